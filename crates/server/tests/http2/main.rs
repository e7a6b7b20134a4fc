//! The component over HTTP/2 on real ports, on each event loop the system offers, in both operating modes.
//!
//! Frames and their rules are the driver's matter and tested there; here is what an application makes of
//! streams, against a client that is not ours.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod events;
mod fallback;
mod http2_client;
mod requests;
mod resets;
mod streams;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;
