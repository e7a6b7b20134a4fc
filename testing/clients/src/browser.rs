//! Chromium on the demonstration page, in the chat and on the administration's page, as a person would use it, its
//! WebSocket and what it does without one, its downloads and uploads, and the password that it is asked for.

use std::time::Duration;

use crate::admitted::Admitted;
use crate::error::ClientError;
use crate::node::{script, script_at, script_over_tls};
use crate::server::{Configuration, Server};
use crate::suite::{Bench, Case};
use crate::uploads::DropBox;

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
        name: "files and ranges",
        run: |bench| script(bench, "with_chromium_files.mjs", LIMIT),
    },
    Case {
        name: "uploads",
        run: |bench| uploads(bench, Server::url),
    },
    Case {
        name: "a password, for a page and its WebSocket",
        run: |bench| admission(bench, Server::url),
    },
    Case {
        name: "demonstration page over TLS",
        run: |bench| script_over_tls(bench, "with_chromium.mjs", LIMIT),
    },
    Case {
        name: "WebSocket over TLS",
        run: |bench| script_over_tls(bench, "with_chromium_websocket.mjs", LIMIT),
    },
    Case {
        name: "a password, for a page and its WebSocket, over TLS",
        run: |bench| admission(bench, Server::tls_url),
    },
    Case {
        name: "files and ranges over TLS",
        run: |bench| script_over_tls(bench, "with_chromium_files.mjs", LIMIT),
    },
    Case {
        name: "uploads over TLS",
        run: |bench| uploads(bench, Server::tls_url),
    },
    Case {
        name: "administration",
        run: administration,
    },
    // The chat keeps what was said: those who look at all of it come before these.
    Case {
        name: "where no WebSocket can be opened",
        run: |bench| script(bench, "with_chromium_fallback.mjs", LIMIT),
    },
    Case {
        name: "where no WebSocket can be opened, over TLS",
        run: |bench| script_over_tls(bench, "with_chromium_fallback.mjs", LIMIT),
    },
];

/// The administration of a server that the script starts itself, and starts anew.
fn administration(bench: &Bench<'_>) -> Result<(), ClientError> {
    let program = bench.options.program.to_string_lossy();
    let Configuration { mode, io } = bench.configuration;
    let words = [&*program, "--mode", mode.word(), "--io", io.word()];
    script_at(
        bench.server,
        "with_chromium_administration.mjs",
        &words,
        LIMIT,
    )
}

/// Forms and files, to a drop box of their own.
fn uploads(bench: &Bench<'_>, url: fn(&Server, &str) -> String) -> Result<(), ClientError> {
    let drop_box = DropBox::start(bench)?;
    let (base, directory) = (url(&drop_box.server, ""), drop_box.directory());
    let words = [&*base, &directory.to_string_lossy()];
    script_at(&drop_box.server, "with_chromium_uploads.mjs", &words, LIMIT)?;
    drop_box.server.stop()
}

/// Where a password is asked for.
fn admission(bench: &Bench<'_>, url: fn(&Server, &str) -> String) -> Result<(), ClientError> {
    let admitted = Admitted::start(bench)?;
    let base = url(&admitted.server, "");
    script_at(
        &admitted.server,
        "with_chromium_admission.mjs",
        &[&base],
        LIMIT,
    )?;
    admitted.server.stop()
}

const LIMIT: Duration = Duration::from_secs(120);
