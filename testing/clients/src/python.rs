//! Clients written in Python: the standard library's, requests, httpx, httpx-sse, aiohttp, h2; the parsers of
//! Prometheus' client; and REDbot, a linter.

use std::process::Command;
use std::time::Duration;

use crate::admitted::{Admitted, TOKEN};
use crate::error::ClientError;
use crate::metrics;
use crate::process;
use crate::server::Server;
use crate::suite::{Bench, Case, folder};
use crate::uploads::DropBox;

/// All clients in Python; each script holds its own cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "http.client",
        run: |bench| script(bench, "with_http_client.py"),
    },
    Case {
        name: "requests",
        run: |bench| script(bench, "with_requests.py"),
    },
    Case {
        name: "httpx",
        run: |bench| script(bench, "with_httpx.py"),
    },
    Case {
        name: "httpx-sse",
        run: |bench| script(bench, "with_httpx_sse.py"),
    },
    Case {
        name: "httpx-sse over TLS",
        run: |bench| script_over_tls(bench, "with_httpx_sse.py"),
    },
    Case {
        name: "httpx-sse, a WebSocket's fallback",
        run: |bench| script(bench, "with_httpx_sse_fallback.py"),
    },
    Case {
        name: "httpx-sse, a WebSocket's fallback over TLS",
        run: |bench| script_over_tls(bench, "with_httpx_sse_fallback.py"),
    },
    Case {
        name: "aiohttp",
        run: |bench| script(bench, "with_aiohttp.py"),
    },
    Case {
        name: "aiohttp over TLS",
        run: |bench| script_over_tls(bench, "with_aiohttp.py"),
    },
    Case {
        name: "httpx, HTTP/2",
        run: |bench| script(bench, "with_httpx_http2.py"),
    },
    Case {
        name: "httpx, HTTP/2 over TLS",
        run: |bench| script_over_tls(bench, "with_httpx_http2.py"),
    },
    Case {
        name: "uploads",
        run: uploads,
    },
    Case {
        name: "prometheus-client",
        run: metrics::read,
    },
    Case {
        name: "passwords, tokens and keys",
        run: |bench| admission(bench, Server::url),
    },
    Case {
        name: "passwords, tokens and keys over TLS",
        run: |bench| admission(bench, Server::tls_url),
    },
    Case {
        name: "REDbot",
        run: |bench| script(bench, "with_redbot.py"),
    },
    Case {
        name: "h2",
        run: |bench| script(bench, "with_h2.py"),
    },
    Case {
        name: "h2 over TLS",
        run: |bench| script_over_tls(bench, "with_h2.py"),
    },
];

/// Forms and files, to a drop box of their own.
fn uploads(bench: &Bench<'_>) -> Result<(), ClientError> {
    let drop_box = DropBox::start(bench)?;
    let directory = drop_box.directory();
    let words = [&*drop_box.server.url(""), &directory.to_string_lossy()];
    script_at(bench, "with_uploads.py", &words, LIMIT)?;
    drop_box.server.stop()
}

/// What has to be proved, by requests and httpx.
fn admission(bench: &Bench<'_>, url: fn(&Server, &str) -> String) -> Result<(), ClientError> {
    let admitted = Admitted::start(bench)?;
    let (base, key) = (url(&admitted.server, ""), &*admitted.key);
    let bench = bench.with_server(&admitted.server);
    script_at(&bench, "with_admission.py", &[&base, key, TOKEN], LIMIT)?;
    admitted.server.stop()
}

/// Runs a script on the demonstration site.
pub(crate) fn script(bench: &Bench<'_>, name: &str) -> Result<(), ClientError> {
    script_at(bench, name, &[&bench.server.url("")], LIMIT).map(|_| ())
}

/// Runs a script on the demonstration site over TLS.
pub(crate) fn script_over_tls(bench: &Bench<'_>, name: &str) -> Result<(), ClientError> {
    script_at(bench, name, &[&bench.server.tls_url("")], LIMIT).map(|_| ())
}

/// Runs a script with words of its own; the first is where the site is. Returns what it printed.
pub(crate) fn script_at(
    bench: &Bench<'_>,
    name: &str,
    words: &[&str],
    limit: Duration,
) -> Result<String, ClientError> {
    let mut command = Command::new(&bench.options.python);
    command
        // Whatever this machine's settings for Python are, they are not for these.
        .args(["-I", "-B", "-W", "error::ResourceWarning"])
        // Whom it trusts: the server alone.
        .env("SSL_CERT_FILE", bench.server.certificate())
        .arg(folder().join("python").join(name))
        .args(words);
    process::run(command, Vec::new(), limit).map(|output| process::text(&output))
}

/// Far longer than a script takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
