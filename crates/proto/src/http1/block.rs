//! Sixteen bytes looked at together: each question about them is a handful of instructions.
//!
//! Answers are bit masks, bit *i* for byte *i*. The vector types are compiled to what every
//! processor of the target has, so nothing is detected at run time.

use wide::u8x16;

/// Sixteen bytes of a head. Past the head's end there are NULs, which end everything.
#[derive(Clone, Copy)]
pub(super) struct Block([u8; BLOCK]);

impl Block {
    /// The bytes from `start` on.
    #[inline(always)]
    pub(super) fn at(bytes: &[u8], start: usize) -> Self {
        let rest = bytes.get(start..).unwrap_or_default();
        match rest.first_chunk() {
            Some(block) => Self(*block),
            None => Self::padded(rest),
        }
    }

    #[cold]
    #[inline(never)]
    fn padded(rest: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        Self(block)
    }

    /// How many of the first bytes are letters, digits or `-`: nearly every field name's.
    #[inline(always)]
    pub(super) fn name_len(&self) -> usize {
        first(!(self.alphanumerics() | self.equal(b'-')).to_bitmask())
    }

    /// How many of the first bytes are letters, digits, `-` or `.`: nearly every host's.
    #[inline(always)]
    pub(super) fn host_len(&self) -> usize {
        let host = self.alphanumerics() | self.equal(b'-') | self.equal(b'.');
        first(!host.to_bitmask())
    }

    /// Control characters, TAB too.
    #[inline(always)]
    pub(super) fn controls(&self) -> u32 {
        let below_blank = self.bytes().min(u8x16::splat(0x1F)).simd_eq(self.bytes());
        (below_blank | self.equal(0x7F)).to_bitmask()
    }

    /// Bytes that cannot stand in a target: blank, controls, and those beyond ASCII.
    #[inline(always)]
    pub(super) fn not_in_target(&self) -> u32 {
        (!in_range(self.bytes(), 0x21, 0x7E)).to_bitmask()
    }

    /// `?`, `#`, `%` and `\`: the target is more than a plain path.
    #[inline(always)]
    pub(super) fn marks(&self) -> u32 {
        let marks = self.equal(b'?') | self.equal(b'#') | self.equal(b'%') | self.equal(b'\\');
        marks.to_bitmask()
    }

    /// Slashes.
    #[inline(always)]
    pub(super) fn slashes(&self) -> u32 {
        self.equal(b'/').to_bitmask()
    }

    /// Dots.
    #[inline(always)]
    pub(super) fn dots(&self) -> u32 {
        self.equal(b'.').to_bitmask()
    }

    /// The first and the last eight bytes as numbers, lower-cased where they are letters.
    #[inline(always)]
    pub(super) fn lower_words(&self) -> (u64, u64) {
        let number = u128::from_le_bytes(self.0) | u128::from_le_bytes([0x20; BLOCK]);
        (number as u64, (number >> 64) as u64)
    }

    #[inline(always)]
    fn bytes(&self) -> u8x16 {
        u8x16::from(self.0)
    }

    #[inline(always)]
    fn equal(&self, byte: u8) -> u8x16 {
        self.bytes().simd_eq(u8x16::splat(byte))
    }

    #[inline(always)]
    fn alphanumerics(&self) -> u8x16 {
        let lower = self.bytes() | u8x16::splat(0x20);
        in_range(lower, b'a', b'z') | in_range(self.bytes(), b'0', b'9')
    }
}

/// How many bytes a block has.
pub(super) const BLOCK: usize = 16;

/// The index of the first bit of a mask; `BLOCK` when there is none.
#[inline(always)]
pub(super) fn first(mask: u32) -> usize {
    (mask | 1 << BLOCK).trailing_zeros() as usize
}

/// Which bytes are in `from..=to`: shifted so that the range ends at the largest number.
#[inline(always)]
fn in_range(bytes: u8x16, from: u8, to: u8) -> u8x16 {
    let shifted = bytes + u8x16::splat(0xFF - to);
    let bound = u8x16::splat(0xFF - (to - from));
    shifted.max(bound).simd_eq(shifted)
}
