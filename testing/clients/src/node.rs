//! Clients written for Node.js: its own `http` and `fetch`, and undici.

use std::process::Command;
use std::time::Duration;

use crate::error::ClientError;
use crate::process;
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
];

/// Runs a script on the demonstration site.
pub(crate) fn script(bench: &Bench<'_>, name: &str, limit: Duration) -> Result<(), ClientError> {
    let mut command = Command::new("node");
    command
        .current_dir(folder().join("node"))
        .arg(name)
        .arg(bench.server.url(""));
    process::run(command, Vec::new(), limit).map(|_| ())
}

/// Far longer than a script takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
