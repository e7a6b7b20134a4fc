//! permessage-deflate: agreeing on it, compressing and decompressing messages.
//!
//! [`DeflateAgreement`] comes out of the opening handshake and makes the two ends' [`Inflater`] and
//! [`Deflater`]. Which messages are compressed, and the frame's RSV1, are the caller's matter.
//! Source: RFC 7692; RFC 1951 for the DEFLATE format.
//!
//! zlib-rs writes and reads the DEFLATE data. Here is what RFC 7692 adds: messages without their tail,
//! windows that last or are forgotten, and memory that few connections need at a time and all share.

mod compressor;
mod deflater;
mod inflater;
mod negotiation;
mod parameters;
mod settings;
mod workspace;

pub use deflater::{Deflated, Deflater};
pub use inflater::{InflateError, Inflater};
pub use negotiation::{DeflateAgreement, DeflateResponseError};
pub use parameters::DeflateParameterError;
pub use settings::{DeflateSettingError, DeflateSettings};
pub use workspace::DeflateWorkspace;
