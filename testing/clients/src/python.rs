//! Clients written in Python: the standard library's, requests, httpx, aiohttp.

use std::process::Command;
use std::time::Duration;

use crate::error::ClientError;
use crate::process;
use crate::suite::{Bench, Case, folder};

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
        name: "aiohttp",
        run: |bench| script(bench, "with_aiohttp.py"),
    },
];

/// Runs a script on the demonstration site.
pub(crate) fn script(bench: &Bench<'_>, name: &str) -> Result<(), ClientError> {
    let url = bench.server.url("");
    script_at(bench, name, &[&url], Duration::from_secs(60)).map(|_| ())
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
        .arg(folder().join("python").join(name))
        .args(words);
    process::run(command, Vec::new(), limit).map(|output| process::text(&output))
}
