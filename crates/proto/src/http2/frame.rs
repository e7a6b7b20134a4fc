//! Frame headers, and the short frames that are written whole.
//!
//! What a frame means is the connection's matter. Source: RFC 9113 §4.1, §6; RFC 9218 §7.1.

use super::error::ErrorCode;

/// The nine bytes that each frame begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FrameHead {
    /// Length of the payload.
    pub(super) len: u32,
    /// One of [`kind`], or another.
    pub(super) kind: u8,
    /// Some of [`flag`], or others.
    pub(super) flags: u8,
    /// The stream's identifier; 0 is the connection.
    pub(super) stream: u32,
}

impl FrameHead {
    /// Its length.
    pub(super) const LEN: usize = 9;

    /// Reads the header that `bytes` begins with. `None`: it is not whole.
    #[inline(always)]
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (word, rest) = bytes.first_chunk::<{ Self::LEN }>()?.split_first_chunk()?;
        let word = u32::from_be_bytes(*word);
        let (flags, stream) = rest.split_first()?;
        Some(Self {
            len: word >> 8,
            kind: word as u8,
            flags: *flags,
            // RFC 9113 §4.1: the reserved bit is ignored.
            stream: read_u31(stream)?,
        })
    }

    #[inline(always)]
    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The header's bytes.
    #[inline(always)]
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let [_, l0, l1, l2] = self.len.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }
}

/// Reads a 31-bit number, the bit before it ignored, from the first four of `bytes`.
#[inline(always)]
pub(super) fn read_u31(bytes: &[u8]) -> Option<u32> {
    read_u32(bytes).map(|number| number & MAX_U31)
}

/// Reads a number from the first four of `bytes`.
#[inline(always)]
pub(super) fn read_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|four| u32::from_be_bytes(*four))
}

/// Frame types. Others are ignored, RFC 9113 §5.5.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
    pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
}

/// Flags; which frames have them, the standard says.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// What a client's bytes begin with. RFC 9113 §3.4.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The longest payload we take and send: what each peer accepts without being asked. RFC 9113 §4.2.
pub(super) const PAYLOAD_BYTES_MAX: usize = 16_384;

/// The largest window, increment and identifier.
pub(super) const MAX_U31: u32 = 0x7FFF_FFFF;

/// Appends a frame whose payload is known.
#[inline]
pub(super) fn write<const N: usize>(
    out: &mut Vec<u8>,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &[u8; N],
) {
    let head = FrameHead {
        len: N as u32,
        kind,
        flags,
        stream,
    };
    out.extend_from_slice(&head.to_bytes());
    out.extend_from_slice(payload);
}

/// Appends RST_STREAM.
pub(super) fn write_reset(out: &mut Vec<u8>, stream: u32, code: u32) {
    write(out, kind::RST_STREAM, 0, stream, &code.to_be_bytes());
}

/// Appends WINDOW_UPDATE.
pub(super) fn write_window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    write(
        out,
        kind::WINDOW_UPDATE,
        0,
        stream,
        &increment.to_be_bytes(),
    );
}

/// Appends GOAWAY without debug data.
pub(super) fn write_go_away(out: &mut Vec<u8>, last_stream: u32, code: ErrorCode) {
    let payload = u64::from(last_stream) << 32 | u64::from(code.value());
    write(out, kind::GOAWAY, 0, 0, &payload.to_be_bytes());
}

/// Appends the room for a frame's header. Returns where it is, for [`end_headers`].
#[inline]
pub(super) fn begin_headers(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; FrameHead::LEN]);
    start
}

/// Makes HEADERS of the header block that was appended after [`begin_headers`].
#[inline]
pub(super) fn end_headers(out: &mut Vec<u8>, start: usize, stream: u32, flags: u8) {
    let block_bytes = out.len() - start - FrameHead::LEN;
    if block_bytes > PAYLOAD_BYTES_MAX {
        return split_block(out, start, stream, flags);
    }
    let head = FrameHead {
        len: block_bytes as u32,
        kind: kind::HEADERS,
        flags: flags | flag::END_HEADERS,
        stream,
    };
    out[start..start + FrameHead::LEN].copy_from_slice(&head.to_bytes());
}

/// Writes a block that is too long for one frame as HEADERS and CONTINUATION.
#[cold]
#[inline(never)]
fn split_block(out: &mut Vec<u8>, start: usize, stream: u32, flags: u8) {
    let block = out.split_off(start + FrameHead::LEN);
    out.truncate(start);
    let mut fragments = block.chunks(PAYLOAD_BYTES_MAX).peekable();
    let mut kind = kind::HEADERS;
    let mut flags = flags;
    while let Some(fragment) = fragments.next() {
        if fragments.peek().is_none() {
            flags |= flag::END_HEADERS;
        }
        let head = FrameHead {
            len: fragment.len() as u32,
            kind,
            flags,
            stream,
        };
        out.extend_from_slice(&head.to_bytes());
        out.extend_from_slice(fragment);
        kind = kind::CONTINUATION;
        flags = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_written() {
        let head = FrameHead {
            len: 0x01_02_03,
            kind: 0x9,
            flags: 0xF1,
            stream: 0x7ABC_DEF0,
        };
        let bytes = head.to_bytes();
        assert_eq!(bytes, [1, 2, 3, 9, 0xF1, 0x7A, 0xBC, 0xDE, 0xF0]);
        assert_eq!(FrameHead::parse(&bytes), Some(head));
        assert_eq!(FrameHead::parse(&bytes[..8]), None);
    }

    // RFC 9113 §4.1: the reserved bit must be ignored when received.
    #[test]
    fn the_reserved_bit_is_ignored() {
        let head = FrameHead::parse(&[0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(head.map(|head| head.stream), Some(MAX_U31));
    }

    #[test]
    fn long_blocks_are_split() {
        for (len, frames) in [(0, 1), (16_384, 1), (16_385, 2), (32_768, 2), (32_769, 3)] {
            let mut out = b"before".to_vec();
            let start = begin_headers(&mut out);
            out.extend((0..len).map(|at| at as u8));
            end_headers(&mut out, start, 7, flag::END_STREAM);
            let mut rest = &out[6..];
            let mut block = Vec::new();
            for number in 1..=frames {
                let head = FrameHead::parse(rest).unwrap();
                assert_eq!(head.stream, 7);
                assert_eq!(head.kind == kind::HEADERS, number == 1);
                assert_eq!(head.has(flag::END_HEADERS), number == frames);
                assert_eq!(head.has(flag::END_STREAM), number == 1);
                let end = FrameHead::LEN + head.len as usize;
                block.extend_from_slice(&rest[FrameHead::LEN..end]);
                rest = &rest[end..];
            }
            assert!(rest.is_empty());
            assert!(block.iter().copied().eq((0..len).map(|at| at as u8)));
        }
    }
}
