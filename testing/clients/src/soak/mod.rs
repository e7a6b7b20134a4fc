//! Very many requests and WebSocket connections, a good part of them broken off anywhere: nothing may
//! stay behind.
//!
//! Afterwards, the server has no connection, no descriptor and no thread more than before, and its
//! memory does not grow with them. What a client does is in `act` and `websocket`.

mod act;
mod watch;
mod websocket;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::ClientError;
use crate::expect;
use crate::python;
use crate::suite::{Bench, Case};
use watch::Footprint;

/// Each takes as long as it is given work.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "nothing stays behind",
        run: requests,
    },
    Case {
        name: "no WebSocket stays behind",
        run: websockets,
    },
    Case {
        name: "nothing of TLS and HTTP/2 stays behind",
        run: secured,
    },
];

/// A client that does one thing after the other.
trait Visit: Send {
    /// Does something; tells how much of its work that was.
    fn visit(&mut self) -> Result<u64, ClientError>;
}

/// What very many of are made.
struct Work<C> {
    of: &'static str,
    amount: u64,
    /// A client for a port, with a seed.
    client: fn(u16, u64) -> C,
    /// How much more memory the server may have after it.
    growth_bytes_max: u64,
}

/// Timers shorter than [`SETTLE_WAIT_MAX`], and a heartbeat.
///
/// A standing receive on io_uring can miss that its peer has gone: when bytes and a reset arrive together,
/// some kernels wake it once, it takes the bytes, and nothing wakes it again (seen on Linux 6.18, once
/// in some 300,000 connections broken off; the socket is closed and the receive still armed). The
/// timers end such a connection, as they end one whose peer was cut off from the network.
pub(crate) const SETTINGS: &[&str] = &[
    "--timeout-header-wait",
    "10",
    "--timeout-entity-body",
    "10",
    "--timeout-drain-entity-body",
    "10",
    "--timeout-idle-connection",
    "10",
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/soak/heartbeat.toml"),
];

fn requests(bench: &Bench<'_>) -> Result<(), ClientError> {
    let port = bench.server.port();
    // The server takes threads, descriptors and memory as it first needs them; what it has of them is
    // counted from there.
    act::occupy_all_threads(port)?;
    act::use_all_parts(port)?;
    soak(
        bench,
        &Work {
            of: "requests",
            amount: bench.options.soak_requests,
            client: act::Client::new,
            growth_bytes_max: LEAKED_BYTES_MAX,
        },
    )?;
    // It must still do its work.
    act::Client::new(port, 3).ask_and_check()
}

fn websockets(bench: &Bench<'_>) -> Result<(), ClientError> {
    let port = bench.server.port();
    websocket::Client::new(port, 0).do_all()?;
    soak(
        bench,
        &Work {
            of: "WebSocket connections",
            amount: bench.options.soak_connections,
            client: websocket::Client::new,
            growth_bytes_max: LEAKED_BYTES_MAX,
        },
    )?;
    soak(
        bench,
        &Work {
            of: "that read nothing",
            amount: bench.options.soak_connections / 25,
            client: websocket::NeverReading::new,
            growth_bytes_max: FRAGMENTED_BYTES_MAX,
        },
    )?;
    expect::becomes(
        "the server counts no WebSocket",
        SETTLE_WAIT_MAX,
        || websocket::counted_by_the_server(port),
        |count| *count == 0,
    )?;
    websocket::Client::new(port, 3).closed_by_us()?;
    // They are there when the server is told to stop, and it must.
    websocket::leave_open(port)
}

/// Connections over TLS and of HTTP/2, by a script: streams reset, sessions left, handshakes that end early.
fn secured(bench: &Bench<'_>) -> Result<(), ClientError> {
    let process = bench.server.process_id();
    let ports = [bench.server.port(), bench.server.tls_port()];
    let visit = |amount: u64, seed: &str| {
        let (base, cleartext) = (bench.server.tls_url(""), bench.server.url(""));
        let words = [&*base, &*cleartext, &amount.to_string(), seed];
        python::script_at(bench, "soak.py", &words, SECURED_WAIT_MAX).map(|_| ())
    };
    // As above: all that is taken when it is first needed.
    visit(40, "0")?;
    wait_until_unconnected(&ports)?;
    let idle = Footprint::of(process)?;
    let amount = bench.options.soak_connections / CONFIGURATIONS / 10;
    visit(amount / 2, "1")?;
    let before = settle(&ports, process, &idle)?;
    visit(amount, "2")?;
    let after = settle(&ports, process, &idle)?;
    tell_and_judge(
        bench,
        amount,
        "over TLS, HTTP/2",
        &before,
        &after,
        FRAGMENTED_BYTES_MAX,
    )?;
    act::Client::new(bench.server.port(), 3).ask_and_check()
}

fn soak<C: Visit>(bench: &Bench<'_>, work: &Work<C>) -> Result<(), ClientError> {
    let port = bench.server.port();
    let process = bench.server.process_id();
    wait_until_unconnected(&[port])?;
    let idle = Footprint::of(process)?;
    let amount = work.amount / CONFIGURATIONS;
    run_clients(port, amount / 2, 1, work)?;
    let before = settle(&[port], process, &idle)?;
    run_clients(port, amount, 2, work)?;
    let after = settle(&[port], process, &idle)?;
    tell_and_judge(
        bench,
        amount,
        work.of,
        &before,
        &after,
        work.growth_bytes_max,
    )
}

fn tell_and_judge(
    bench: &Bench<'_>,
    amount: u64,
    of: &str,
    before: &Footprint,
    after: &Footprint,
    growth_bytes_max: u64,
) -> Result<(), ClientError> {
    bench.tell(format_args!(
        "          {amount} {of}; before: {before}; after: {after}"
    ));
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    expect::holds(
        "memory does not grow with them",
        grown <= growth_bytes_max,
        || format!("{grown} bytes more"),
    )
}

/// What the server holds when the clients have gone: no more than when it was idle, but for memory.
fn settle(ports: &[u16], process: u32, idle: &Footprint) -> Result<Footprint, ClientError> {
    wait_until_unconnected(ports)?;
    expect::becomes(
        "no descriptor and no thread stays behind",
        SETTLE_WAIT_MAX,
        || Footprint::of(process),
        |now| now.descriptors <= idle.descriptors && now.threads <= idle.threads,
    )
}

fn wait_until_unconnected(ports: &[u16]) -> Result<(), ClientError> {
    expect::becomes(
        "no connection stays behind",
        SETTLE_WAIT_MAX,
        || ports.iter().map(|port| watch::connections(*port)).sum(),
        |count: &usize| *count == 0,
    )
    .map(|_| ())
}

/// Has several clients do so much work in all.
fn run_clients<C: Visit>(
    port: u16,
    amount: u64,
    seed: u64,
    work: &Work<C>,
) -> Result<(), ClientError> {
    let left = AtomicU64::new(amount);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let left = &left;
                scope.spawn(move || {
                    let mut client = (work.client)(port, seed * 1000 + index);
                    loop {
                        let done = client.visit()?;
                        // Relaxed: only a count; the threads share nothing else.
                        let update = |left: u64| left.checked_sub(done);
                        if left
                            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update)
                            .is_err()
                        {
                            left.store(0, Ordering::Relaxed);
                            return Ok(());
                        }
                    }
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| match client.join() {
                Ok(ended) => ended,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}

/// Each runs in one of them.
const CONFIGURATIONS: u64 = 4;

/// Enough that connections overlap.
const CLIENTS: u64 = 8;

/// Fragmentation comes and goes; a leak of a few bytes for each request would be more than this.
const LEAKED_BYTES_MAX: u64 = 4 << 20;

/// What slow readers leave unread are megabytes, and whenever more of them than ever before come to be
/// served by the same thread, its part of the heap grows. It is a part of what they have at once.
const FRAGMENTED_BYTES_MAX: u64 = 32 << 20;

/// Far longer than the script takes.
const SECURED_WAIT_MAX: Duration = Duration::from_secs(120);

const SETTLE_WAIT_MAX: Duration = Duration::from_secs(30);
