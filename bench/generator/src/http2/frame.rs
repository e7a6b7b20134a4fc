//! Frames of HTTP/2 (RFC 9113 §4 and §6), as far as a client of well-meaning servers needs them.

/// A frame's head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) payload_bytes: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// Reads the head at the start of `bytes`; `None` when it is not all there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Some(Self {
            payload_bytes: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7FFF_FFFF,
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame.
pub(super) fn push(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What is left of a payload without the padding, and without the priority where a flag says that
/// there is one; `None` when it is longer than the payload.
pub(super) fn unpadded(head: Head, payload: &[u8]) -> Option<&[u8]> {
    let mut payload = payload;
    let mut padding = 0;
    if head.has(PADDED) {
        let (length, rest) = payload.split_first()?;
        (padding, payload) = (usize::from(*length), rest);
    }
    if head.kind == HEADERS && head.has(PRIORITY) {
        payload = payload.get(5..)?;
    }
    payload.get(..payload.len().checked_sub(padding)?)
}

/// The settings in a payload: identifier and value.
pub(super) fn settings(payload: &[u8]) -> impl Iterator<Item = (u16, u32)> + '_ {
    payload.chunks_exact(6).map(|setting| {
        (
            u16::from_be_bytes([setting[0], setting[1]]),
            number(&setting[2..]),
        )
    })
}

/// The number in the first four bytes; 0 when they are not there.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_be_bytes)
}

pub(super) const HEAD_BYTES: usize = 9;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const PRIORITY: u8 = 0x20;

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        push(&mut bytes, DATA, END_STREAM, 7, b"abc");
        let head = Head::read(&bytes).unwrap();
        assert_eq!((head.payload_bytes, head.kind, head.stream), (3, DATA, 7));
        assert!(head.has(END_STREAM));
        assert_eq!(Head::read(&bytes[..8]), None);
    }

    #[test]
    fn padding_and_priority_are_taken_off() {
        let head = |kind, flags| Head {
            payload_bytes: 0,
            kind,
            flags,
            stream: 1,
        };
        assert_eq!(
            unpadded(head(DATA, PADDED), &[2, b'a', 0, 0]),
            Some(&b"a"[..])
        );
        assert_eq!(unpadded(head(DATA, PADDED), &[3, 0, 0]), None);
        let both = head(HEADERS, PADDED | PRIORITY);
        assert_eq!(
            unpadded(both, &[1, 0, 0, 0, 0, 9, 0x88, 0]),
            Some(&[0x88][..])
        );
    }
}
