//! Clients written for Node.js: its own `http`, `http2` and `fetch`, undici, and eventsource.

use std::process::Command;
use std::time::Duration;

use crate::error::ClientError;
use crate::process;
use crate::server::Server;
use crate::suite::{Bench, Case, folder};

/// All clients for Node.js; each script holds its own cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "node:http",
        run: |bench| script(bench, "with_http.mjs", LIMIT),
    },
    Case {
        name: "undici",
        run: |bench| script(bench, "with_undici.mjs", LIMIT),
    },
    Case {
        name: "undici over TLS, and HTTP/2",
        run: |bench| script_over_tls(bench, "with_undici.mjs", LIMIT),
    },
    Case {
        name: "eventsource",
        run: |bench| script(bench, "with_eventsource.mjs", LIMIT),
    },
    Case {
        name: "eventsource over TLS",
        run: |bench| script_over_tls(bench, "with_eventsource.mjs", LIMIT),
    },
    Case {
        name: "node:http2",
        run: |bench| script(bench, "with_http2.mjs", LIMIT),
    },
    Case {
        name: "node:http2 over TLS",
        run: |bench| script_over_tls(bench, "with_http2.mjs", LIMIT),
    },
    Case {
        name: "node:http2 when the server stops",
        run: stopped,
    },
];

/// Has the script stop a server of its own.
fn stopped(bench: &Bench<'_>) -> Result<(), ClientError> {
    for is_secured in [false, true] {
        let server = Server::start(bench.options, bench.configuration, &[])?;
        let url = match is_secured {
            true => server.tls_url(""),
            false => server.url(""),
        };
        let id = server.process_id().to_string();
        script_at(&server, "with_http2_stop.mjs", &[&url, &id], LIMIT)?;
        server.ends()?;
    }
    Ok(())
}

/// Runs a script on the demonstration site.
pub(crate) fn script(bench: &Bench<'_>, name: &str, limit: Duration) -> Result<(), ClientError> {
    script_at(bench.server, name, &[&bench.server.url("")], limit)
}

/// Runs a script on the demonstration site over TLS.
pub(crate) fn script_over_tls(
    bench: &Bench<'_>,
    name: &str,
    limit: Duration,
) -> Result<(), ClientError> {
    script_at(bench.server, name, &[&bench.server.tls_url("")], limit)
}

/// Runs a script with words of its own; the first is where the site is. It trusts the server's certificate.
pub(crate) fn script_at(
    server: &Server,
    name: &str,
    words: &[&str],
    limit: Duration,
) -> Result<(), ClientError> {
    let mut command = Command::new("node");
    command
        .current_dir(folder().join("node"))
        .env("NODE_EXTRA_CA_CERTS", server.certificate())
        .arg(name)
        .args(words);
    process::run(command, Vec::new(), limit).map(|_| ())
}

/// Far longer than a script takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
