//! HPACK: header lists of HTTP/2 in and out of the bytes of header blocks.
//!
//! A block is whole: putting it together from frames is the connection's matter, as is what a header
//! list means. What is decided here is what the bytes stand for, and whether a name or a value is one
//! at all (RFC 9113 §8.2.1), because that is cheapest seen where they enter the table. Source: RFC 7541.

mod decoder;
mod dynamic_table;
mod encoder;
mod error;
mod field_name;
mod header_list;
mod huffman;
mod huffman_code;
mod indexing;
mod integer;
mod lookup;
mod static_table;
#[cfg(test)]
mod tests;
mod token;

pub use decoder::Decoder;
pub use encoder::{Encoder, encode_content_length, encode_field_plain};
pub use error::HpackError;
pub use field_name::FieldName;
pub use header_list::{HeaderField, HeaderList, HeaderListLimits};
pub use indexing::Indexing;
pub use token::Token;

/// What a dynamic table holds at most until somebody says otherwise. RFC 9113 §6.5.2.
pub const DEFAULT_TABLE_BYTES_MAX: u32 = 4096;

/// What a field counts besides its name and its value. RFC 7541 §4.1, RFC 9113 §6.5.2.
const FIELD_OVERHEAD_BYTES: usize = 32;
