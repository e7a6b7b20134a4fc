//! permessage-deflate: agreeing on it, compressing and decompressing messages.
//!
//! [`DeflateAgreement`] comes out of the opening handshake and makes the two ends' [`Inflater`] and
//! [`Deflater`]. Which messages are compressed, and the frame's RSV1, are the caller's matter.
//! Decompressing is zlib-rs's work. Compressing is our own, because a library's compressor takes
//! 130 KiB and more for each connection, whatever its window, and clears them for each message that
//! does not take the context over. Source: RFC 7692; RFC 1951 for the DEFLATE format.

mod bits;
mod block;
mod deflater;
mod huffman;
mod inflater;
mod matcher;
mod negotiation;
mod parameters;
mod settings;
mod symbols;
mod tokens;
mod workspace;

pub use deflater::{Deflated, Deflater};
pub use inflater::{InflateError, Inflater};
pub use negotiation::{DeflateAgreement, DeflateResponseError};
pub use parameters::DeflateParameterError;
pub use settings::{DeflateSettingError, DeflateSettings};
pub use workspace::DeflateWorkspace;
