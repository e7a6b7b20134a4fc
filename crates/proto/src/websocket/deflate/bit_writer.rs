//! Writes numbers of any bit length, lowest bit first, as DEFLATE packs them. RFC 1951 §3.1.1.

/// Bits at the end of a byte vector.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Bits that wait to be whole bytes, the oldest lowest.
    waiting: u64,
    /// How many; fewer than 32 between calls.
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            waiting: 0,
            count: 0,
        }
    }

    /// Appends the lowest `count` bits of `bits`, at most 32; the others must be 0.
    #[inline]
    pub(super) fn write(&mut self, bits: u32, count: u32) {
        debug_assert!(count <= 32 && (u64::from(bits) >> count) == 0);
        self.waiting |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out
                .extend_from_slice(&(self.waiting as u32).to_le_bytes());
            self.waiting >>= 32;
            self.count -= 32;
        }
    }

    /// Where it stands, to come back to. Only at a whole byte.
    pub(super) fn mark(&self) -> usize {
        debug_assert_eq!(self.count, 0);
        self.out.len()
    }

    /// How many bytes there are since the mark, a part of one counted as one.
    pub(super) fn written(&self, mark: usize) -> usize {
        self.out.len() - mark + self.count.div_ceil(8) as usize
    }

    /// Takes back all that was written since the mark.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.out.truncate(mark);
        self.waiting = 0;
        self.count = 0;
    }

    /// Appends 0 bits up to the next whole byte.
    pub(super) fn align(&mut self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&self.waiting.to_le_bytes()[..bytes]);
        self.waiting = 0;
        self.count = 0;
    }

    /// Appends whole bytes. Only after [`align`](Self::align).
    pub(super) fn write_bytes(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::BitWriter;

    #[test]
    fn bits_fill_bytes_from_the_lowest() {
        let mut out = vec![9];
        let mut bits = BitWriter::new(&mut out);
        bits.write(0b1, 1);
        bits.write(0b01, 2);
        bits.write(u32::MAX, 32);
        bits.align();
        bits.write_bytes(&[7]);
        assert_eq!(out, [9, 0b1111_1011, 0xff, 0xff, 0xff, 0b0000_0111, 7]);
    }
}
