//! The mask over a client's payload.
//!
//! Source: RFC 6455 §5.3.

use wide::u8x16;

/// A masking key, turned so that its first byte is for the next byte of payload.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Mask(u32);

impl Mask {
    /// The mask of a frame whose payload begins now.
    #[inline(always)]
    pub(super) fn new(key: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(key))
    }

    /// Masks or unmasks the bytes that come next.
    #[inline]
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        apply_mask(bytes, self.0.to_le_bytes());
        self.0 = self.0.rotate_right(8 * (bytes.len() % 4) as u32);
    }
}

/// Masks or unmasks a payload from its first byte on.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    let word = u32::from_le_bytes(key);
    let mut key16 = [0; 16];
    for four in key16.chunks_exact_mut(4) {
        four.copy_from_slice(&key);
    }
    let key16 = u8x16::from(key16);
    let (blocks, rest) = payload.as_chunks_mut::<16>();
    for block in blocks {
        *block = (u8x16::from(*block) ^ key16).to_array();
    }
    let (fours, rest) = rest.as_chunks_mut::<4>();
    for four in fours {
        *four = (u32::from_le_bytes(*four) ^ word).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_gets_the_key_byte_of_its_place() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        for length in 0..200 {
            let mut bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            apply_mask(&mut bytes, key);
            for (index, byte) in bytes.iter().enumerate() {
                assert_eq!(*byte, index as u8 ^ key[index % 4], "{index} of {length}");
            }
        }
    }

    #[test]
    fn a_payload_in_pieces_is_masked_as_one() {
        let key = [1, 2, 3, 4];
        let mut whole = [0x55; 100];
        apply_mask(&mut whole, key);
        for split in 0..100 {
            for second in split..100 {
                let mut bytes = [0x55; 100];
                let mut mask = Mask::new(key);
                mask.apply(&mut bytes[..split]);
                mask.apply(&mut bytes[split..second]);
                mask.apply(&mut bytes[second..]);
                assert_eq!(bytes, whole);
            }
        }
    }
}
