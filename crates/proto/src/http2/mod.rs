//! HTTP/2, the server's side: frames, header blocks, streams, flow control, priorities.
//!
//! [`Connection`] takes a peer's bytes and tells what they mean; requests look as those of HTTP/1 do, so that
//! an application sees no difference. Rules of one stream end that stream, rules of the connection end the
//! connection, and whoever asks for too much is stopped by a counter. Not here: when to read and write,
//! timers, routing. Source: RFC 9113, RFC 7541, RFC 9218, RFC 8441.

mod connection;
mod error;
mod event;
mod flood;
mod flow;
mod frame;
pub mod hpack;
mod priority;
mod request;
mod response;
mod settings;
mod stream;

pub use connection::{CONNECTION_WINDOW_BYTES, Connection, STREAMS_AFTER_GO_AWAY_MAX};
pub use error::{ErrorCode, Failure};
pub use event::{Event, Step, StreamKey};
pub use frame::PREFACE;
pub use request::Head;
pub use response::{SentHead, wants_close};
