//! How a peer broke the protocol: one variant for each rule, and the close code that answers it.
//!
//! Source: RFC 6455 §5, §7.4.1, §8.1; RFC 7692 §7.

use std::fmt;

use super::close::close_code;
use super::deflate::InflateError;

/// The rule that a peer broke, or the limit that it met. The connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit is set and no extension gives it a meaning. RFC 6455 §5.2.
    ReservedBits,
    /// An opcode that is not defined. RFC 6455 §5.2.
    UnknownOpcode(u8),
    /// A control frame without its final bit. RFC 6455 §5.5.
    FragmentedControl,
    /// A control frame of more than 125 bytes. RFC 6455 §5.5.
    ControlTooLong,
    /// A length written in more bytes than it needs. RFC 6455 §5.2.
    LengthNotMinimal,
    /// A length of 2⁶³ or more. RFC 6455 §5.2.
    LengthTopBit,
    /// A client's frame without a mask. RFC 6455 §5.1.
    NotMasked,
    /// A server's frame with a mask. RFC 6455 §5.1.
    Masked,
    /// A continuation frame when no message was begun. RFC 6455 §5.4.
    NothingToContinue,
    /// A message is begun before the one in progress ended. RFC 6455 §5.4.
    MessageInterrupted,
    /// A close frame with a payload of one byte. RFC 6455 §5.5.1.
    CloseLength,
    /// A close code that must not be sent. RFC 6455 §7.4.
    CloseCode(u16),
    /// The reason in a close frame is not UTF-8. RFC 6455 §5.5.1.
    CloseReason,
    /// A text message is not UTF-8. RFC 6455 §8.1.
    TextNotUtf8,
    /// Compressed data cannot be inflated. RFC 7692 §7.2.2.
    Deflate,
    /// A message is longer than `max_message_size`, or would be inflated.
    MessageTooLarge,
    /// The memory budget of all connections is spent.
    BudgetSpent,
}

impl Violation {
    /// The code to close the connection with. This `match` is the only place that decides it.
    pub fn close_code(self) -> u16 {
        match self {
            Self::ReservedBits
            | Self::UnknownOpcode(_)
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::NotMasked
            | Self::Masked
            | Self::NothingToContinue
            | Self::MessageInterrupted
            | Self::CloseLength
            | Self::CloseCode(_) => close_code::PROTOCOL_ERROR,
            Self::CloseReason | Self::TextNotUtf8 | Self::Deflate => close_code::INVALID_PAYLOAD,
            Self::MessageTooLarge => close_code::MESSAGE_TOO_BIG,
            Self::BudgetSpent => close_code::TRY_AGAIN_LATER,
        }
    }
}

impl From<InflateError> for Violation {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooLarge { .. } => Self::MessageTooLarge,
            InflateError::Malformed | InflateError::Truncated => Self::Deflate,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::UnknownOpcode(opcode) => {
                return write!(formatter, "unknown opcode {opcode} (RFC 6455 §5.2)");
            }
            Self::CloseCode(code) => {
                return write!(formatter, "invalid close code {code} (RFC 6455 §7.4)");
            }
            Self::ReservedBits => "reserved bit without an extension (RFC 6455 §5.2)",
            Self::FragmentedControl => "fragmented control frame (RFC 6455 §5.5)",
            Self::ControlTooLong => "control frame of more than 125 bytes (RFC 6455 §5.5)",
            Self::LengthNotMinimal => "frame length not in its shortest form (RFC 6455 §5.2)",
            Self::LengthTopBit => "frame length of 2^63 or more (RFC 6455 §5.2)",
            Self::NotMasked => "client frame without a mask (RFC 6455 §5.1)",
            Self::Masked => "server frame with a mask (RFC 6455 §5.1)",
            Self::NothingToContinue => "continuation without a message (RFC 6455 §5.4)",
            Self::MessageInterrupted => "message begun within a message (RFC 6455 §5.4)",
            Self::CloseLength => "close frame of one byte (RFC 6455 §5.5.1)",
            Self::CloseReason => "close reason is not UTF-8 (RFC 6455 §5.5.1)",
            Self::TextNotUtf8 => "text is not UTF-8 (RFC 6455 §8.1)",
            Self::Deflate => "malformed compressed data (RFC 7692 §7.2.2)",
            Self::MessageTooLarge => "message too large",
            Self::BudgetSpent => "no memory left for messages",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for Violation {}
