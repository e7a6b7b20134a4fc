//! What can be wrong with a header block.

use std::error::Error;
use std::fmt;

/// Why a header block could not be decoded. The peer's fault.
///
/// The two dynamic tables are no longer the same then: the connection ends with `COMPRESSION_ERROR`
/// (RFC 9113 §4.3).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HpackError {
    /// The block ends within a field.
    Truncated,
    /// An integer has more than five octets behind its prefix, or does not fit 32 bits. RFC 7541 §5.1.
    IntegerOverflow,
    /// There is nothing at this index of the two tables. RFC 7541 §2.3.3.
    IndexUnknown {
        /// The index.
        index: u32,
    },
    /// The dynamic table would become larger than was announced. RFC 7541 §6.3.
    SizeUpdateTooLarge {
        /// The size asked for.
        bytes: u32,
        /// The largest allowed.
        bytes_max: u32,
    },
    /// A size update is behind a field, or is the third. RFC 7541 §4.2.
    SizeUpdateMisplaced,
    /// The largest size was lowered, and the block does not begin with a size update. RFC 7541 §4.2.
    SizeUpdateMissing,
    /// A Huffman-coded string has the symbol EOS in it. RFC 7541 §5.2.
    HuffmanEos,
    /// A Huffman-coded string does not end in zero to seven ones. RFC 7541 §5.2.
    HuffmanPadding,
}

impl fmt::Display for HpackError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => formatter.write_str("header block ends within a field"),
            Self::IntegerOverflow => formatter.write_str("integer in header block is too large"),
            Self::IndexUnknown { index } => write!(formatter, "no field at index {index}"),
            Self::SizeUpdateTooLarge { bytes, bytes_max } => write!(
                formatter,
                "dynamic table size update to {bytes}, at most {bytes_max} allowed"
            ),
            Self::SizeUpdateMisplaced => {
                formatter.write_str("dynamic table size update at a wrong place")
            }
            Self::SizeUpdateMissing => {
                formatter.write_str("dynamic table size update is missing after the limit fell")
            }
            Self::HuffmanEos => formatter.write_str("end-of-string symbol in Huffman code"),
            Self::HuffmanPadding => formatter.write_str("Huffman code is wrongly padded"),
        }
    }
}

impl Error for HpackError {}
