//! WebSocket clients in Python and for Node.js, and those that the server serves.

use crate::node;
use crate::python;
use crate::suite::Case;

/// Each script holds its own cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "websockets",
        run: |bench| python::script(bench, "with_websockets.py"),
    },
    Case {
        name: "websockets over TLS",
        run: |bench| python::script_over_tls(bench, "with_websockets.py"),
    },
    Case {
        name: "aiohttp",
        run: |bench| python::script(bench, "with_aiohttp_websocket.py"),
    },
    Case {
        name: "aiohttp over TLS",
        run: |bench| python::script_over_tls(bench, "with_aiohttp_websocket.py"),
    },
    Case {
        name: "libcurl",
        run: |bench| python::script(bench, "with_libcurl_websocket.py"),
    },
    Case {
        name: "ws",
        run: |bench| node::script(bench, "with_ws.mjs", node::LIMIT),
    },
    Case {
        name: "ws over TLS",
        run: |bench| node::script_over_tls(bench, "with_ws.mjs", node::LIMIT),
    },
    Case {
        name: "undici",
        run: |bench| node::script(bench, "with_undici_websocket.mjs", node::LIMIT),
    },
    Case {
        name: "undici over TLS",
        run: |bench| node::script_over_tls(bench, "with_undici_websocket.mjs", node::LIMIT),
    },
    Case {
        name: "eventsource, where no WebSocket can be opened",
        run: |bench| node::script(bench, "with_fallback.mjs", node::LIMIT),
    },
    Case {
        name: "eventsource, where no WebSocket can be opened, over TLS",
        run: |bench| node::script_over_tls(bench, "with_fallback.mjs", node::LIMIT),
    },
    Case {
        name: "own scripts",
        run: |bench| node::script(bench, "with_own_scripts.mjs", node::LIMIT),
    },
];
