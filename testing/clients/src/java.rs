//! Java's own WebSocket client.

use std::process::Command;
use std::time::Duration;

use crate::process;
use crate::suite::{Case, folder};

/// One program, which Java compiles as it starts it.
pub(crate) const CASES: &[Case] = &[Case {
    name: "java.net.http",
    run: |bench| {
        let mut command = Command::new("java");
        command
            .arg(folder().join("java").join("WithWebSocket.java"))
            .arg(bench.server.url(""));
        process::run(command, Vec::new(), Duration::from_secs(120)).map(|_| ())
    },
}];
