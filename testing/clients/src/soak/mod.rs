//! Very many requests, a good part of them broken off anywhere: nothing may stay behind.
//!
//! After each, the server has no connection, no descriptor and no thread more than before, and its
//! memory does not grow with the requests. What a client does is in `act`.

mod act;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::ClientError;
use crate::expect;
use crate::suite::{Bench, Case};
use act::Client;
use watch::Footprint;

/// One case: it takes as long as it is given requests.
pub(crate) const CASES: &[Case] = &[Case {
    name: "nothing stays behind",
    run: soak,
}];

/// Timers shorter than [`SETTLE_WAIT_MAX`].
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
];

fn soak(bench: &Bench<'_>) -> Result<(), ClientError> {
    let port = bench.server.port();
    let process = bench.server.process_id();
    // The server takes threads, descriptors and memory as it first needs them; what it has of them is
    // counted from there.
    act::occupy_all_threads(port)?;
    act::use_all_parts(port)?;
    wait_until_unconnected(port)?;
    let idle = Footprint::of(process)?;
    let requests = bench.options.soak_requests / CONFIGURATIONS;
    run_clients(port, requests / 4, 1)?;
    let before = settle(port, process, &idle)?;
    run_clients(port, requests, 2)?;
    let after = settle(port, process, &idle)?;
    println!("         {requests} requests; before: {before}; after: {after}");
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    expect::holds(
        "memory does not grow with the requests",
        grown <= GROWTH_BYTES_MAX,
        || format!("{grown} bytes more"),
    )?;
    // It must still do its work.
    Client::new(port, 3).ask_and_check()
}

/// What the server holds when the clients have gone: no more than when it was idle, but for memory.
fn settle(port: u16, process: u32, idle: &Footprint) -> Result<Footprint, ClientError> {
    wait_until_unconnected(port)?;
    expect::becomes(
        "no descriptor and no thread stays behind",
        SETTLE_WAIT_MAX,
        || Footprint::of(process),
        |now| now.descriptors <= idle.descriptors && now.threads <= idle.threads,
    )
}

fn wait_until_unconnected(port: u16) -> Result<(), ClientError> {
    expect::becomes(
        "no connection stays behind",
        SETTLE_WAIT_MAX,
        || watch::connections(port),
        |count| *count == 0,
    )
    .map(|_| ())
}

/// Has several clients make so many requests in all.
fn run_clients(port: u16, requests: u64, seed: u64) -> Result<(), ClientError> {
    let left = AtomicU64::new(requests);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let left = &left;
                scope.spawn(move || {
                    let mut client = Client::new(port, seed * 1000 + index);
                    loop {
                        let made = client.visit()?;
                        // Relaxed: only a count; the threads share nothing else.
                        let update = |left: u64| left.checked_sub(made);
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
const GROWTH_BYTES_MAX: u64 = 4 << 20;

const SETTLE_WAIT_MAX: Duration = Duration::from_secs(30);
