//! Frames: their heads read and written.
//!
//! Whether a frame may come now is the [`Decoder`](super::Decoder)'s matter. Source: RFC 6455 §5.2.

use super::mask::apply_mask;
use super::violation::Violation;

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Receives masked frames, sends frames without a mask.
    Server,
    /// Receives frames without a mask, sends masked ones.
    Client,
}

/// What a frame is. RFC 6455 §11.8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Opcode {
    /// Goes on with a message.
    Continuation = 0,
    /// Begins a text message.
    Text = 1,
    /// Begins a binary message.
    Binary = 2,
    /// Closes the connection.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping, or says that we are there.
    Pong = 10,
}

impl Opcode {
    /// The opcode in the low four bits of a frame's first byte.
    #[inline]
    fn of(first: u8) -> Result<Self, Violation> {
        Ok(match first & 0x0F {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => return Err(Violation::UnknownOpcode(other)),
        })
    }

    /// Whether this is a control frame: close, ping or pong.
    #[inline]
    pub fn is_control(self) -> bool {
        self as u8 & 0x08 != 0
    }
}

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FrameHead {
    /// Whether it ends its message.
    pub fin: bool,
    /// The bit that permessage-deflate sets on the first frame of a compressed message.
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key; a client's frames have one.
    pub mask: Option<[u8; 4]>,
    /// Length of the payload in bytes, below 2⁶³.
    pub payload_len: u64,
}

impl FrameHead {
    /// The head of a whole message, or of a control frame; not compressed, not masked, and empty.
    #[inline]
    pub const fn new(opcode: Opcode) -> Self {
        Self {
            fin: true,
            rsv1: false,
            opcode,
            mask: None,
            payload_len: 0,
        }
    }

    /// Reads the head at the start of `bytes`, and says how many bytes it takes.
    ///
    /// `None` if it is not whole. What depends on the connection is not looked at: who must mask, who
    /// may set RSV1, whether a message goes on.
    ///
    /// # Errors
    ///
    /// A rule on heads is broken. The peer is at fault.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let &[first, second, ..] = bytes else {
            return Ok(None);
        };
        if first & (RSV2 | RSV3) != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::of(first)?;
        let fin = first & FIN != 0;
        let short_len = second & !MASKED;
        if opcode.is_control() {
            if !fin {
                return Err(Violation::FragmentedControl);
            }
            if short_len > 125 {
                return Err(Violation::ControlTooLong);
            }
        }
        let rest = &bytes[2..];
        let (payload_len, rest) = match short_len {
            126 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            short => (u64::from(short), rest),
        };
        if payload_len > LENGTH_MAX {
            return Err(Violation::LengthTopBit);
        }
        // RFC 6455 §5.2: "the minimal number of bytes MUST be used".
        if (short_len == 126 && payload_len < 126) || (short_len == 127 && payload_len < 0x1_0000) {
            return Err(Violation::LengthNotMinimal);
        }
        let (mask, rest) = match second & MASKED != 0 {
            false => (None, rest),
            true => match rest.split_first_chunk() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            },
        };
        let head = Self {
            fin,
            rsv1: first & RSV1 != 0,
            opcode,
            mask,
            payload_len,
        };
        Ok(Some((head, bytes.len() - rest.len())))
    }

    /// Appends this head.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.payload_len <= LENGTH_MAX);
        let fin = if self.fin { FIN } else { 0 };
        let rsv1 = if self.rsv1 { RSV1 } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        let first = fin | rsv1 | self.opcode as u8;
        match self.payload_len {
            length @ 0..126 => out.extend_from_slice(&[first, masked | length as u8]),
            length @ 126..0x1_0000 => {
                let [high, low] = (length as u16).to_be_bytes();
                out.extend_from_slice(&[first, masked | 126, high, low]);
            }
            length => {
                out.extend_from_slice(&[first, masked | 127]);
                out.extend_from_slice(&length.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }

    /// Appends a frame of this kind with this payload, masked if there is a key.
    ///
    /// The length is that of the payload; `payload_len` is not looked at.
    pub fn encode_frame(&self, out: &mut Vec<u8>, payload: &[u8]) {
        out.reserve(payload.len() + HEAD_BYTES_MAX);
        let head = Self {
            payload_len: payload.len() as u64,
            ..*self
        };
        head.encode(out);
        let start = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = self.mask {
            apply_mask(&mut out[start..], key);
        }
    }
}

/// Appends a server's frame: a whole message that is not compressed, or a control frame.
///
/// The same bytes can be sent to any number of clients. Other frames: [`FrameHead::encode_frame`].
#[inline]
pub fn encode_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    if payload.len() < 126 {
        out.reserve(payload.len() + 2);
        out.extend_from_slice(&[FIN | opcode as u8, payload.len() as u8]);
        out.extend_from_slice(payload);
    } else {
        FrameHead::new(opcode).encode_frame(out, payload);
    }
}

/// The longest head.
pub const HEAD_BYTES_MAX: usize = 14;

pub(super) const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
pub(super) const MASKED: u8 = 0x80;
const LENGTH_MAX: u64 = i64::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_written_is_read_as_the_same() {
        for opcode in [
            Opcode::Continuation,
            Opcode::Text,
            Opcode::Binary,
            Opcode::Close,
            Opcode::Ping,
            Opcode::Pong,
        ] {
            for payload_len in [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, LENGTH_MAX] {
                for bits in 0..8 {
                    let head = FrameHead {
                        fin: bits & 1 != 0,
                        rsv1: bits & 2 != 0,
                        opcode,
                        mask: (bits & 4 != 0).then_some([9, 8, 7, 6]),
                        payload_len,
                    };
                    if opcode.is_control() && (!head.fin || payload_len > 125) {
                        continue;
                    }
                    let mut bytes = Vec::new();
                    head.encode(&mut bytes);
                    assert!(bytes.len() <= HEAD_BYTES_MAX);
                    assert_eq!(FrameHead::parse(&bytes), Ok(Some((head, bytes.len()))));
                    for end in 0..bytes.len() {
                        assert_eq!(FrameHead::parse(&bytes[..end]), Ok(None));
                    }
                }
            }
        }
    }

    #[test]
    fn what_breaks_a_rule_of_heads_is_refused() {
        for (bytes, violation) in [
            (&b"\xA1\x00"[..], Violation::ReservedBits),
            (b"\x91\x00", Violation::ReservedBits),
            (b"\x83\x00", Violation::UnknownOpcode(3)),
            (b"\x87\x00", Violation::UnknownOpcode(7)),
            (b"\x8B\x00", Violation::UnknownOpcode(11)),
            (b"\x8F\x00", Violation::UnknownOpcode(15)),
            (b"\x09\x00", Violation::FragmentedControl),
            (b"\x08\x00", Violation::FragmentedControl),
            (b"\x89\x7E", Violation::ControlTooLong),
            (b"\x8A\xFF", Violation::ControlTooLong),
            (b"\x81\x7E\x00\x7D", Violation::LengthNotMinimal),
            (b"\x81\x7F\0\0\0\0\0\0\xFF\xFF", Violation::LengthNotMinimal),
            (b"\x81\x7F\x80\0\0\0\0\0\0\0", Violation::LengthTopBit),
        ] {
            assert_eq!(FrameHead::parse(bytes), Err(violation), "{bytes:X?}");
        }
    }

    // RFC 6455 §5.7.
    #[test]
    fn the_standard_s_examples_are_written_as_shown() {
        let mut out = Vec::new();
        encode_frame(&mut out, Opcode::Text, b"Hello");
        assert_eq!(out, b"\x81\x05Hello");
        out.clear();
        let masked = FrameHead {
            mask: Some([0x37, 0xFA, 0x21, 0x3D]),
            ..FrameHead::new(Opcode::Text)
        };
        masked.encode_frame(&mut out, b"Hello");
        assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        out.clear();
        encode_frame(&mut out, Opcode::Binary, &[0; 256]);
        assert_eq!(out[..4], *b"\x82\x7E\x01\x00");
        out.clear();
        encode_frame(&mut out, Opcode::Binary, &[0; 65536]);
        assert_eq!(out[..10], *b"\x82\x7F\0\0\0\0\0\x01\0\0");
        out.clear();
        let first = FrameHead {
            fin: false,
            ..FrameHead::new(Opcode::Text)
        };
        first.encode_frame(&mut out, b"Hel");
        encode_frame(&mut out, Opcode::Continuation, b"lo");
        assert_eq!(out, b"\x01\x03Hel\x80\x02lo");
    }
}
