//! What is counted, what is told of a running server, and who is told it, on real ports, on each event loop the
//! system offers, in both operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod connections;
mod counts;
mod endpoint;
#[path = "../http2/http2_client.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http2_client;
mod parts;
mod service_state;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
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
