//! Raw bytes in, exact bytes out, on a real port: one file for each rule. What is not here, and why, is
//! in the crate's documentation.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod back_pressure;
mod connection_limits;
mod content;
mod ending;
mod faults;
mod field_lines;
mod filter;
mod framing;
mod host;
mod interim;
mod listening;
mod namespace;
mod opaque;
mod opaque_end;
mod opaque_lanes;
mod pipelining;
mod request_line;
mod request_queue;
mod response;
mod routing;
mod splits;
mod stopping;
mod target;
mod timers;
