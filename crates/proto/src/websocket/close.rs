//! Close codes, and what a close frame holds.
//!
//! When to close, and how long to wait for the peer's close frame, is the connection's matter.
//! Source: RFC 6455 §5.5.1, §7.4, and the IANA registry of close codes.

use super::frame::{FrameHead, Opcode};
use super::violation::Violation;

/// Close codes by name.
pub mod close_code {
    /// The purpose was fulfilled.
    pub const NORMAL: u16 = 1000;
    /// An end goes away: a server stops, a page is left.
    pub const GOING_AWAY: u16 = 1001;
    /// The protocol was broken.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// A kind of data that is not accepted.
    pub const UNSUPPORTED_DATA: u16 = 1003;
    /// Never sent: the peer's close frame had no code.
    pub const NO_STATUS: u16 = 1005;
    /// Never sent: the connection ended without a close frame.
    pub const ABNORMAL: u16 = 1006;
    /// Data that is not what its type says: text that is not UTF-8.
    pub const INVALID_PAYLOAD: u16 = 1007;
    /// A policy was broken, and no other code says more.
    pub const POLICY_VIOLATION: u16 = 1008;
    /// The message is too big.
    pub const MESSAGE_TOO_BIG: u16 = 1009;
    /// The server did not agree to an extension that the client needs.
    pub const MANDATORY_EXTENSION: u16 = 1010;
    /// Something unexpected kept the server from going on.
    pub const INTERNAL_ERROR: u16 = 1011;
    /// The server restarts.
    pub const SERVICE_RESTART: u16 = 1012;
    /// The server is overloaded.
    pub const TRY_AGAIN_LATER: u16 = 1013;
    /// A gateway had an invalid answer from the server behind it.
    pub const BAD_GATEWAY: u16 = 1014;
    /// Never sent: the TLS handshake failed.
    pub const TLS_HANDSHAKE: u16 = 1015;
}

/// Whether a code may stand in a close frame.
///
/// RFC 6455 §7.4.2: 1000–2999 are for the protocol, of which those that IANA has registered and that
/// are not reserved may be sent; 3000–4999 are for libraries and applications.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What a close frame says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CloseFrame<'a> {
    /// Why the peer closes; `None` when it does not say, which is then told as 1005.
    pub code: Option<u16>,
    /// The reason, for people; mostly empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Reads a close frame's payload.
    ///
    /// # Errors
    ///
    /// A single byte, a code that may not be sent, a reason that is not UTF-8. The peer is at fault.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Violation> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            return match payload {
                [] => Ok(Self {
                    code: None,
                    reason: "",
                }),
                _ => Err(Violation::CloseLength),
            };
        };
        let code = u16::from_be_bytes(*code);
        if !may_be_sent(code) {
            return Err(Violation::CloseCode(code));
        }
        let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReason)?;
        Ok(Self {
            code: Some(code),
            reason,
        })
    }

    /// Appends a close frame, masked with `mask` if this end is a client.
    ///
    /// A reason that is too long is cut at a character. Without a code there is no reason, as it could
    /// not be told from a code. The caller sees to it that the code [may be sent](may_be_sent).
    pub fn encode(&self, out: &mut Vec<u8>, mask: Option<[u8; 4]>) {
        let mut payload = [0; REASON_BYTES_MAX + 2];
        let mut length = 0;
        if let Some(code) = self.code {
            debug_assert!(may_be_sent(code), "{code} is never sent");
            let reason = &self.reason[..self.reason.floor_char_boundary(REASON_BYTES_MAX)];
            payload[..2].copy_from_slice(&code.to_be_bytes());
            length = 2 + reason.len();
            payload[2..length].copy_from_slice(reason.as_bytes());
        }
        let head = FrameHead {
            mask,
            ..FrameHead::new(Opcode::Close)
        };
        head.encode_frame(out, &payload[..length]);
    }
}

/// The longest reason that a control frame has room for.
const REASON_BYTES_MAX: usize = 123;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_meant_for_the_wire_are_accepted() {
        for code in 0..=u16::MAX {
            let expected = matches!(
                code,
                1000 | 1001 | 1002 | 1003 | 1007 | 1008 | 1009 | 1010 | 1011 | 1012 | 1013 | 1014
            ) || (3000..5000).contains(&code);
            let payload = code.to_be_bytes();
            let parsed = CloseFrame::parse(&payload);
            match expected {
                true => assert_eq!(parsed.unwrap().code, Some(code)),
                false => assert_eq!(parsed, Err(Violation::CloseCode(code))),
            }
        }
    }

    #[test]
    fn the_payload_is_empty_or_begins_with_a_code() {
        let none = CloseFrame {
            code: None,
            reason: "",
        };
        assert_eq!(CloseFrame::parse(b""), Ok(none));
        assert_eq!(CloseFrame::parse(b"\x03"), Err(Violation::CloseLength));
        let with_reason = CloseFrame::parse(b"\x03\xE8bye").unwrap();
        assert_eq!((with_reason.code, with_reason.reason), (Some(1000), "bye"));
        assert_eq!(
            CloseFrame::parse(b"\x03\xE8\xC3"),
            Err(Violation::CloseReason)
        );
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let reason = "é".repeat(100);
        let mut out = Vec::new();
        let close = CloseFrame {
            code: Some(1000),
            reason: &reason,
        };
        close.encode(&mut out, None);
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xE8]);
        assert_eq!(&out[4..], "é".repeat(61).as_bytes());
    }

    #[test]
    fn a_close_without_a_code_is_empty() {
        let mut out = Vec::new();
        let close = CloseFrame {
            code: None,
            reason: "unsaid",
        };
        close.encode(&mut out, None);
        assert_eq!(out, [0x88, 0]);
    }
}
