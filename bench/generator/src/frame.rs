//! WebSocket frames as a client writes them and a server answers them. RFC 6455 §5.2.
//!
//! Written whole before a load starts, so that sending costs the generator nothing but the call.
//! Reads only what a well-meant server sends: no extension but permessage-deflate, no fragments.

/// What a frame carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kind {
    pub(crate) opcode: u8,
    /// The payload is compressed: RSV1 of permessage-deflate, RFC 7692 §6.
    pub(crate) is_deflated: bool,
}

impl Kind {
    /// A text message, or a binary one.
    pub(crate) fn message(is_text: bool, is_deflated: bool) -> Self {
        Self {
            opcode: if is_text { TEXT } else { BINARY },
            is_deflated,
        }
    }

    fn first_byte(self) -> u8 {
        FINAL | u8::from(self.is_deflated) << 6 | self.opcode
    }
}

/// A frame as a client sends it.
pub(crate) fn masked(kind: Kind, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = header(kind, payload.len());
    frame[1] |= MASKED;
    frame.extend_from_slice(&key);
    let mask = key.iter().cycle();
    frame.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The header of a frame as a server sends it.
pub(crate) fn header(kind: Kind, payload_bytes: usize) -> Vec<u8> {
    let mut header = vec![kind.first_byte()];
    match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
        (Ok(short), _) if short < LENGTH_16 => header.push(short),
        (_, Ok(medium)) => {
            header.push(LENGTH_16);
            header.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            header.push(LENGTH_64);
            header.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
    header
}

/// A close frame with code 1000, as a client sends it.
pub(crate) fn close(key: [u8; 4]) -> Vec<u8> {
    let kind = Kind {
        opcode: CLOSE,
        is_deflated: false,
    };
    masked(kind, &1000_u16.to_be_bytes(), key)
}

/// What stands at the start of a server's frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Bytes of the header itself.
    pub(crate) bytes: usize,
    pub(crate) payload_bytes: usize,
}

impl Header {
    /// Reads the header; `None` when it is not all there, or not one that a server should send here.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else {
            return None;
        };
        let kind = Kind {
            opcode: first & 0x0F,
            is_deflated: first & 0x40 != 0,
        };
        if *first != kind.first_byte() {
            return None;
        }
        let (length_bytes, payload_bytes) = match *second {
            LENGTH_16 => (
                2,
                usize::from(u16::from_be_bytes(rest.first_chunk().copied()?)),
            ),
            LENGTH_64 => {
                let length = u64::from_be_bytes(rest.first_chunk().copied()?);
                (8, usize::try_from(length).ok()?)
            }
            masked if masked & MASKED != 0 => return None,
            short => (0, usize::from(short)),
        };
        Some(Self {
            kind,
            bytes: 2 + length_bytes,
            payload_bytes,
        })
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        self.bytes + self.payload_bytes
    }
}

/// The masking key of the connection with this index: any, but the same for every server.
pub(crate) fn key(index: usize) -> [u8; 4] {
    // The finalizer of MurmurHash3, so that neighbours have nothing in common.
    let mut bits = (index as u32).wrapping_add(0x9E37_79B9);
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85EB_CA6B);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xC2B2_AE35);
    (bits ^ (bits >> 16)).to_ne_bytes()
}

pub(crate) const CLOSE: u8 = 8;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 6455 §5.7.
    #[test]
    fn examples_of_the_standard_are_written() {
        let kind = Kind::message(true, false);
        let hello = [
            0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58,
        ];
        assert_eq!(masked(kind, b"Hello", [0x37, 0xFA, 0x21, 0x3D]), hello);
        assert_eq!(header(kind, 5), [0x81, 0x05]);
        let binary = Kind::message(false, false);
        assert_eq!(header(binary, 256), [0x82, 0x7E, 0x01, 0x00]);
        assert_eq!(header(binary, 65536), [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn headers_are_read_as_written_and_not_before_they_are_whole() {
        for payload_bytes in [0, 125, 126, 65535, 65536] {
            for is_deflated in [false, true] {
                let kind = Kind::message(true, is_deflated);
                let bytes = header(kind, payload_bytes);
                let read = Header {
                    kind,
                    bytes: bytes.len(),
                    payload_bytes,
                };
                assert_eq!(Header::read(&bytes), Some(read));
                assert_eq!(Header::read(&bytes[..bytes.len() - 1]), None);
            }
        }
    }

    #[test]
    fn masked_fragmented_and_reserved_are_not_a_servers() {
        for bytes in [[0x82, 0x80], [0x02, 0x00], [0xA2, 0x00]] {
            assert_eq!(Header::read(&bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn connections_have_different_keys() {
        let mut keys: Vec<_> = (0..10_000).map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 10_000);
    }
}
