//! Reads numbers of any bit length, lowest bit first, as DEFLATE packs them. RFC 1951 §3.1.1.

/// Bits that were read from the input, but not yet used. Kept from one input to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WaitingBits {
    /// The oldest lowest. Those beyond `count` are 0, or what the next bytes of the input say.
    bits: u64,
    count: u32,
}

/// An input, behind the bits that wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    waiting: WaitingBits,
    input: &'a [u8],
}

impl WaitingBits {
    /// Whether there are none.
    pub(super) fn is_empty(self) -> bool {
        self.count == 0
    }
}

impl<'a> BitReader<'a> {
    pub(super) fn new(waiting: WaitingBits, input: &'a [u8]) -> Self {
        Self { waiting, input }
    }

    /// What waits for the next input. Only when this one is used up.
    pub(super) fn into_waiting(self) -> WaitingBits {
        debug_assert!(self.input.is_empty());
        self.waiting
    }

    /// Sees to it that at least 56 bits are there, or all that the input has.
    #[inline]
    pub(super) fn refill(&mut self) {
        let WaitingBits { bits, count } = &mut self.waiting;
        while *count < 56
            && let Some((&byte, rest)) = self.input.split_first()
        {
            *bits |= u64::from(byte) << *count;
            *count += 8;
            self.input = rest;
        }
    }

    /// Sees to it that at least 56 bits are there; says no if the input is nearly at its end.
    #[inline]
    pub(super) fn refill_whole(&mut self) -> bool {
        let Some(eight) = self.input.first_chunk() else {
            return false;
        };
        let WaitingBits { bits, count } = &mut self.waiting;
        *bits |= u64::from_le_bytes(*eight) << *count;
        // Only whole bytes count; a part of the next one may already be there, and be laid over itself
        // next time.
        let bytes = (63 - *count) / 8;
        self.input = &self.input[bytes as usize..];
        *count += 8 * bytes;
        true
    }

    /// The bits that are there, the oldest lowest; those beyond [`count`](Self::count) mean nothing.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        self.waiting.bits
    }

    /// How many bits are there.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        self.waiting.count
    }

    /// Uses up bits that are there.
    #[inline]
    pub(super) fn consume(&mut self, count: u32) {
        debug_assert!(count <= self.waiting.count);
        self.waiting.bits >>= count;
        self.waiting.count -= count;
    }

    /// The next bits, at most 32, or `None`, and nothing is used up, if the input has not so many.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        self.refill();
        if self.waiting.count < count {
            return None;
        }
        let bits = self.waiting.bits & ((1 << count) - 1);
        self.consume(count);
        Some(bits as u32)
    }

    /// Uses up the rest of a byte that was begun.
    pub(super) fn align(&mut self) {
        self.consume(self.waiting.count % 8);
    }

    /// Takes up to so many whole bytes as there are, in two parts. Only at a whole byte.
    pub(super) fn take_bytes(&mut self, most: usize) -> ([u8; 8], usize, &'a [u8]) {
        debug_assert_eq!(self.waiting.count % 8, 0);
        let first = self.waiting.bits.to_le_bytes();
        let first_count = most.min(self.waiting.count as usize / 8);
        self.consume(8 * first_count as u32);
        if self.waiting.count > 0 {
            return (first, first_count, &[]);
        }
        // The next byte was perhaps seen in part; it is now used up in another way.
        self.waiting.bits = 0;
        let (taken, rest) = self
            .input
            .split_at(self.input.len().min(most - first_count));
        self.input = rest;
        (first, first_count, taken)
    }
}
