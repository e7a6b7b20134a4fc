//! Who may come in, on real ports, on each event loop the system offers, in both operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod api_keys;
#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
#[path = "../http2/http2_client.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http2_client;
mod issuer;
mod jwk_set_url;
mod schemes;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;

use std::time::{Duration, Instant};

/// Waits for what nobody tells of.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} never holds");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How long anything awaited may take. Far longer than it ever does.
const PATIENCE: Duration = Duration::from_secs(60);
