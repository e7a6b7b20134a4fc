//! wrk: many connections at once for some seconds, without one error.

use std::process::Command;
use std::time::Duration;

use crate::error::ClientError;
use crate::expect;
use crate::process;
use crate::suite::Case;

/// Short answers, and longer ones.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "/hello",
        run: |bench| load(&bench.server.url("/hello"), 64, 3),
    },
    Case {
        name: "/bytes/20000",
        run: |bench| load(&bench.server.url("/bytes/20000"), 64, 2),
    },
    Case {
        name: "/stream",
        run: |bench| load(&bench.server.url("/stream"), 64, 2),
    },
];

/// Loads a server for some seconds; every answer must be a good one.
pub(crate) fn load(url: &str, connections: u32, seconds: u64) -> Result<(), ClientError> {
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), url]);
    let got = process::run(command, Vec::new(), Duration::from_secs(seconds + 20))?;
    let text = process::text(&got);
    let bad = text.contains("Socket errors") || text.contains("Non-2xx");
    expect::holds("no errors", !bad, || text.clone())?;
    let requests = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse::<u64>().ok())
        .unwrap_or(0);
    expect::holds("answers", requests > 100 * seconds, || text.clone())
}
