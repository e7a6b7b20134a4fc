//! Raw bytes in, exact bytes out, on a real port: one file for each rule. What is not here, and why, is
//! in the crate's documentation.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod back_pressure;
mod cache;
mod connection_limits;
mod content;
mod ending;
mod faults;
mod field_lines;
mod files;
mod filter;
mod framing;
mod host;
mod http2;
mod interim;
mod listening;
mod namespace;
mod opaque;
mod opaque_end;
mod opaque_lanes;
mod pipelining;
mod proxy_protocol;
mod request_line;
mod request_queue;
mod response;
mod routing;
mod splits;
mod stopping;
mod target;
mod timers;
mod tls;
