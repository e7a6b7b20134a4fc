//! slowhttptest: attacks by slowness end by the server's timers, and others are served meanwhile.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::ClientError;
use crate::expect;
use crate::peer::Peer;
use crate::process;
use crate::server::io;
use crate::suite::{Bench, Case};

/// A head that never ends, a body that never ends, an answer that is never read.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "head",
        run: |bench| attack(bench, &HEAD),
    },
    Case {
        name: "body",
        run: |bench| attack(bench, &BODY),
    },
    Case {
        name: "read",
        run: |bench| attack(bench, &READ),
    },
];

/// One kind of slowness, and how the server ends it.
struct Attack {
    flags: &'static [&'static str],
    path: &'static str,
    /// As the HTTPERR log has it.
    reason: &'static str,
}

const HEAD: Attack = Attack {
    flags: &["-H", "-i", "1", "-l", "20"],
    path: "/hello",
    reason: "Timer_HeaderWait",
};

const BODY: Attack = Attack {
    flags: &["-B", "-i", "5", "-s", "8192", "-l", "20"],
    path: "/echo",
    reason: "Timer_EntityBody",
};

/// The attacker goes on reading what its own system has received, long after the connection has ended: it
/// ends by its own limit, some seconds after the server has ended the last connection.
const READ: Attack = Attack {
    flags: &[
        "-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-l", "12",
    ],
    path: "/bytes/20000000",
    reason: "Timer_MinBytesPerSecond",
};

/// Timers short enough to be waited for.
///
/// The rate is high because what the system takes for a peer at the start counts as taken.
pub(crate) const SETTINGS: &[&str] = &[
    "--timeout-header-wait",
    "2",
    "--timeout-entity-body",
    "2",
    "--timeout-drain-entity-body",
    "2",
    "--min-send-rate",
    "1000000",
];

fn attack(bench: &Bench<'_>, attack: &Attack) -> Result<(), ClientError> {
    let attack_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let neighbour = scope.spawn(|| be_served(bench.server.port(), &attack_ended));
        let attacked = run_attack(&bench.server.url(attack.path), attack.flags);
        attack_ended.store(true, Ordering::Relaxed);
        attacked?;
        match neighbour.join() {
            Ok(served) => served,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    expect::becomes(
        "the server ends all of the attack's connections",
        LOG_WAIT_MAX,
        || ended_for(bench, attack.reason),
        |count| *count >= CONNECTIONS,
    )
    .map(|_| ())
}

fn run_attack(url: &str, flags: &[&str]) -> Result<(), ClientError> {
    let mut command = Command::new("slowhttptest");
    let connections = CONNECTIONS.to_string();
    command
        .args(flags)
        .args(["-c", &connections, "-r", &connections, "-p", "3", "-u", url]);
    process::run(command, Vec::new(), Duration::from_secs(60)).map(|_| ())
}

/// How many connections the server has ended for this reason, by its HTTPERR log.
fn ended_for(bench: &Bench<'_>, reason: &str) -> Result<usize, ClientError> {
    let folder = bench.server.folder().join("HTTPERR");
    let mut count = 0;
    for entry in fs::read_dir(folder).map_err(io("looking for the HTTPERR log"))? {
        let path = entry.map_err(io("looking for the HTTPERR log"))?.path();
        let text = fs::read_to_string(path).map_err(io("reading the HTTPERR log"))?;
        count += text.matches(reason).count();
    }
    Ok(count)
}

const CONNECTIONS: usize = 200;

/// The log is written by a thread of its own.
const LOG_WAIT_MAX: Duration = Duration::from_secs(10);

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
