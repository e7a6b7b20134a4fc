//! slowhttptest: attacks by slowness end by the server's timers, and others are served meanwhile.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::ClientError;
use crate::expect;
use crate::peer::Peer;
use crate::process;
use crate::suite::{Bench, Case};

/// A head that never ends, a body that never ends, an answer that is never read.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "head",
        run: |bench| attack(bench, &["-H", "-i", "1"], "/hello"),
    },
    Case {
        name: "body",
        run: |bench| attack(bench, &["-B", "-i", "5", "-s", "8192"], "/echo"),
    },
    Case {
        name: "read",
        run: |bench| {
            let flags = ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32"];
            attack(bench, &flags, "/bytes/20000000")
        },
    },
];

/// Timers short enough to be waited for.
pub(crate) const SETTINGS: &[&str] = &[
    "--timeout-header-wait",
    "2",
    "--timeout-entity-body",
    "2",
    "--timeout-drain-entity-body",
    "2",
    "--min-send-rate",
    "1000",
];

fn attack(bench: &Bench<'_>, flags: &[&str], path: &str) -> Result<(), ClientError> {
    let attack_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let neighbour = scope.spawn(|| be_served(bench.server.port(), &attack_ended));
        let attacked = run_attack(&bench.server.url(path), flags);
        attack_ended.store(true, Ordering::Relaxed);
        attacked?;
        match neighbour.join() {
            Ok(served) => served,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The attack must find all its connections closed before it gives up by itself.
fn run_attack(url: &str, flags: &[&str]) -> Result<(), ClientError> {
    let mut command = Command::new("slowhttptest");
    command
        .args(flags)
        .args(["-c", "200", "-r", "200", "-l", "40", "-p", "3", "-u", url]);
    let got = process::run(command, Vec::new(), Duration::from_secs(60))?;
    let text = process::text(&got);
    let end = text
        .lines()
        .rev()
        .find(|line| line.contains("Exit status"))
        .unwrap_or_default();
    expect::holds(
        "all of the attack's connections are closed",
        end.contains("No open connections left"),
        || text.clone(),
    )
}

/// Another client, which must not feel the attack.
fn be_served(port: u16, attack_ended: &AtomicBool) -> Result<(), ClientError> {
    let failed = |source| ClientError::Io {
        what: "being served during the attack",
        source,
    };
    while !attack_ended.load(Ordering::Relaxed) {
        let mut peer = Peer::connect(port).map_err(failed)?;
        for _ in 0..20 {
            let asked = Instant::now();
            peer.send(b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".as_slice())
                .map_err(failed)?;
            let reply = peer.reply().map_err(failed)?;
            expect::equal("status", &reply.status, &200)?;
            let took = asked.elapsed();
            expect::holds("an answer at once", took < Duration::from_secs(2), || {
                format!("{took:?}")
            })?;
            // A pace, so that the attack and not this client is what the server is busy with.
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}
