//! Chromium on the demonstration page and in the chat, as a person would use it, and its WebSocket.

use std::time::Duration;

use crate::node::{script, script_over_tls};
use crate::suite::Case;

/// Each script opens a page and tries everything there is to try.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "demonstration page",
        run: |bench| script(bench, "with_chromium.mjs", LIMIT),
    },
    Case {
        name: "WebSocket",
        run: |bench| script(bench, "with_chromium_websocket.mjs", LIMIT),
    },
    Case {
        name: "chat",
        run: |bench| script(bench, "with_chromium_chat.mjs", LIMIT),
    },
    Case {
        name: "demonstration page over TLS",
        run: |bench| script_over_tls(bench, "with_chromium.mjs", LIMIT),
    },
    Case {
        name: "WebSocket over TLS",
        run: |bench| script_over_tls(bench, "with_chromium_websocket.mjs", LIMIT),
    },
];

const LIMIT: Duration = Duration::from_secs(120);
