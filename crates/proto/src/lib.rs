//! Bytes of HTTP, of its forms and of WebSocket, sans-I/O: what a peer sent becomes values, values become what
//! a peer gets.
//!
//! No sockets, no clock, no threads. Functions take bytes and limits and give back values, so that
//! every rule can be tested, and fuzzed, without a connection.
#![forbid(unsafe_code)]

pub mod conditional;
pub mod form_data;
pub mod http1;
pub mod http2;
pub mod log;
pub mod proxy_protocol;
pub mod range;
pub mod websocket;
