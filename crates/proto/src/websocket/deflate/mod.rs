//! permessage-deflate: agreeing on it, compressing and decompressing messages.
//!
//! [`DeflateAgreement`] comes out of the opening handshake and makes the two ends' [`Inflater`] and
//! [`Deflater`]. Which messages are compressed, and the frame's RSV1, are the caller's matter.
//! Source: RFC 7692; RFC 1951 for the DEFLATE format.
//!
//! Both ways are our own, in safe code, and a connection holds a window and little more. zlib-rs's
//! compressor takes 134 KiB or more for each connection, whatever its window, and clears 128 KiB of it
//! for each message that does not take the context over. Its decompressor takes 46 KiB for each, or has
//! the window copied into it for each message.

mod bit_reader;
mod bit_writer;
mod block_reader;
mod block_writer;
mod decode_table;
mod deflater;
mod history;
mod huffman;
mod inflater;
mod matcher;
mod negotiation;
mod own_codes;
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
