//! Uploads over real ports, on each event loop the system offers, in both operating modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

mod beside;
mod broken;
mod disk_full;
mod events;
mod form;
mod forms;
mod limits;
mod names;
mod places;
mod plain;
mod start;
