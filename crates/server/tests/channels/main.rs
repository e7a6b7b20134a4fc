//! The channel protocol on real ports, on each event loop the system offers, in both operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod delivery;
mod methods;
mod overload;
mod peer;
mod retention;
mod scripts;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;
