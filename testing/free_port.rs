//! Ports for servers of tests.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A free port, which is given to nobody else from here.
pub(crate) fn free_port() -> u16 {
    free_ports(1)
}

/// The first of so many free ports, which are given to nobody else from here.
///
/// They are none of those that the system gives out: such a one may go to a client of another test before the server
/// listens, and a server shares its port with whoever else asks to share it. Each process begins at another. All are
/// above the last port that browsers refuse to go to (Fetch standard, "bad port").
pub(crate) fn free_ports(count: u16) -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let begin = std::process::id().wrapping_mul(16);
    let candidates = std::iter::repeat_with(|| {
        let given = GIVEN.fetch_add(count.into(), Ordering::Relaxed);
        10_100 + (begin.wrapping_add(given) % 20_000) as u16
    });
    candidates
        .take(10_000)
        .find(|first| (*first..first + count).all(is_free))
        .unwrap()
}
