//! WebSocket in the component, on real ports, on each event loop the system offers, in both operating
//! modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod addressing;
#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod connection;
mod deflate;
mod ends;
mod events_client;
mod failures;
mod fallback;
mod fallback_garbage;
mod flow;
mod handshake;
mod heartbeat;
mod journal;
mod lifetime;
mod messages;
mod order;
mod pressure;
mod requests;
mod sends;
mod stopping;
#[path = "../client/websocket.rs"]
mod websocket;

use std::time::{Duration, Instant};

/// Waits for what nobody tells of.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < websocket::PATIENCE, "{what} never holds");
        std::thread::sleep(Duration::from_millis(1));
    }
}
