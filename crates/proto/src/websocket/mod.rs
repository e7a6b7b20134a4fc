//! WebSocket: the opening handshake of both sides, frames, messages, close codes.
//!
//! Not here: when to send what, timers, masking keys' randomness. Source: RFC 6455.

mod extension;

pub use extension::{Extension, ExtensionList, MalformedExtensions};
