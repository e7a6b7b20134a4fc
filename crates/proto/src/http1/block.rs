//! Sixteen bytes looked at together: each question about them is a handful of instructions.
//!
//! Answers are bit masks, bit *i* for byte *i*. The vector types are compiled to what every
//! processor of the target has, so nothing is detected at run time.

use wide::u8x16;

/// How many bytes a block has.
pub(super) const BLOCK: usize = 16;

/// Sixteen bytes of a head.
#[derive(Clone, Copy)]
pub(super) struct Block(u8x16);

impl Block {
    /// These bytes.
    #[inline(always)]
    pub(super) fn new(bytes: &[u8; BLOCK]) -> Self {
        Self(u8x16::from(*bytes))
    }

    /// Letters, digits and `-`: what nearly all field names are made of.
    #[inline(always)]
    pub(super) fn name_bytes(self) -> u32 {
        (self.alphanumerics() | self.equal(b'-')).to_bitmask()
    }

    /// Letters, digits, `-` and `.`: what nearly all hosts are made of.
    #[inline(always)]
    pub(super) fn host_bytes(self) -> u32 {
        // `-` and `.` are neighbours.
        (self.alphanumerics() | self.in_range(b'-', b'.')).to_bitmask()
    }

    /// Control characters, TAB too.
    #[inline(always)]
    pub(super) fn controls(self) -> u32 {
        let below_blank = self.0.min(u8x16::splat(0x1F)).simd_eq(self.0);
        (below_blank | self.equal(0x7F)).to_bitmask()
    }

    /// Bytes that may stand in a target: all that are visible in ASCII.
    #[inline(always)]
    pub(super) fn target_bytes(self) -> u32 {
        self.in_range(0x21, 0x7E).to_bitmask()
    }

    /// What makes a target more than a plain path: `?`, `#`, `%`, `\\`, and a slash before a slash or
    /// a dot: an empty segment, or perhaps a dot segment. `next` is the block one byte further.
    #[inline(always)]
    pub(super) fn special(self, next: Self) -> u32 {
        let marks = self.equal(b'?') | self.equal(b'#') | self.equal(b'%') | self.equal(b'\\');
        // `.` and `/` differ in the last bit only.
        let slash_or_dot = Self(next.0 | u8x16::splat(1)).equal(b'/');
        (marks | self.equal(b'/') & slash_or_dot).to_bitmask()
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u8x16 {
        self.0.simd_eq(u8x16::splat(byte))
    }

    #[inline(always)]
    fn alphanumerics(self) -> u8x16 {
        let lower = Self(self.0 | u8x16::splat(0x20));
        lower.in_range(b'a', b'z') | self.in_range(b'0', b'9')
    }

    /// Which bytes are in `from..=to`.
    #[inline(always)]
    fn in_range(self, from: u8, to: u8) -> u8x16 {
        // Shifted so that the range ends at the largest number.
        let shifted = self.0 + u8x16::splat(0xFF - to);
        let bound = u8x16::splat(0xFF - (to - from));
        shifted.max(bound).simd_eq(shifted)
    }
}

/// The index of the first byte that a mask lacks; `BLOCK` when it has all.
#[inline(always)]
pub(super) fn first_not(mask: u32) -> usize {
    (!mask).trailing_zeros() as usize
}
