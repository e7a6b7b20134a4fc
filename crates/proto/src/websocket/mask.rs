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
    let four = u32::from_le_bytes(key);
    let eight = u64::from(four) | u64::from(four) << 32;
    let sixteen = u8x16::from((u128::from(eight) | u128::from(eight) << 64).to_le_bytes());
    let (blocks, rest) = payload.as_chunks_mut::<64>();
    for block in blocks {
        apply_sixteen(block, sixteen);
    }
    // What remains is taken by its bits, each part at most once: short payloads are the usual ones.
    let (block, rest) = rest.as_chunks_mut::<32>();
    if let [block] = block {
        apply_sixteen(block, sixteen);
    }
    if rest.is_empty() {
        return;
    }
    let (block, rest) = rest.as_chunks_mut::<16>();
    if let [block] = block {
        apply_sixteen(block, sixteen);
    }
    let (block, rest) = rest.as_chunks_mut();
    if let [block] = block {
        *block = (u64::from_le_bytes(*block) ^ eight).to_le_bytes();
    }
    let (block, rest) = rest.as_chunks_mut();
    if let [block] = block {
        *block = (u32::from_le_bytes(*block) ^ four).to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[inline(always)]
fn apply_sixteen(block: &mut [u8], key: u8x16) {
    for sixteen in block.as_chunks_mut().0 {
        *sixteen = (u8x16::from(*sixteen) ^ key).to_array();
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
