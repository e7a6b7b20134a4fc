//! From the bits of a prefix code to the symbol they stand for, in one or two steps. RFC 1951 §3.2.

use std::sync::LazyLock;

use super::inflater::InflateError;
use super::symbols::{
    DISTANCES, END_OF_BLOCK, LENGTH_EXTRA_BITS, LITERALS, RUN_CODES, distance_extra_bits,
};

/// What bits stand for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry(u32);

/// The codes of a block.
#[derive(Debug)]
pub(super) struct DecodeTables {
    pub(super) literals: DecodeTable<LITERAL_BITS>,
    pub(super) distances: DecodeTable<DISTANCE_BITS>,
}

/// A code. The next `BITS` bits are looked up; longer codes go on in a second table behind the first.
#[derive(Debug)]
pub(super) struct DecodeTable<const BITS: u32> {
    entries: Vec<Entry>,
}

/// Most literals are found in one step; the table is quickly made.
const LITERAL_BITS: u32 = 10;
const DISTANCE_BITS: u32 = 8;
/// Codes of code lengths, RFC 1951 §3.2.7, have at most 7 bits.
pub(super) const RUN_BITS: u32 = 7;

impl Entry {
    // Bits 0 to 3: how many bits the code has, or for a second table, how many more it has.
    // Bits 4 to 7: how many extra bits follow.
    // Bits 8 to 10: the kind.
    // Bits 16 to 31: the value.
    const LITERAL: u32 = 0;
    const BASE: u32 = 1 << 8;
    const END: u32 = 2 << 8;
    const SECOND: u32 = 3 << 8;
    const INVALID: Self = Self(4 << 8);
    const KIND: u32 = 7 << 8;

    const fn new(kind: u32, value: u32, extra_bits: u32) -> Self {
        Self(value << 16 | kind | extra_bits << 4)
    }

    fn with_bits(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }

    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 15
    }

    #[inline]
    pub(super) fn extra_bits(self) -> u32 {
        self.0 >> 4 & 15
    }

    /// The literal; or the least length or distance of a symbol; or the symbol.
    #[inline]
    pub(super) fn value(self) -> u32 {
        self.0 >> 16
    }

    /// The value with the extra bits, which these bits begin with, added to it.
    #[inline]
    pub(super) fn value_at(self, bits: u64) -> usize {
        let extra = bits & ((1 << self.extra_bits()) - 1);
        self.value() as usize + extra as usize
    }

    #[inline]
    pub(super) fn is_literal(self) -> bool {
        self.0 & Self::KIND == Self::LITERAL
    }

    /// Whether a value is to be added to extra bits.
    #[inline]
    pub(super) fn is_base(self) -> bool {
        self.0 & Self::KIND == Self::BASE
    }

    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0 & Self::KIND == Self::END
    }

    #[inline]
    fn is_second(self) -> bool {
        self.0 & Self::KIND == Self::SECOND
    }
}

impl DecodeTables {
    pub(super) fn new() -> Self {
        Self {
            literals: DecodeTable::new(),
            distances: DecodeTable::new(),
        }
    }

    /// Codes of these lengths; of a block's literals and distances.
    pub(super) fn build(&mut self, literals: &[u8], distances: &[u8]) -> Result<(), InflateError> {
        if literals[END_OF_BLOCK] == 0 {
            return Err(InflateError::Malformed);
        }
        self.literals.build(literals, &LITERAL_ENTRIES)?;
        self.distances.build(distances, &DISTANCE_ENTRIES)
    }
}

impl<const BITS: u32> DecodeTable<BITS> {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Entry>() * self.entries.capacity()
    }

    /// What the lowest of these bits stand for; there may be fewer bits than its code has.
    #[inline]
    pub(super) fn find(&self, bits: u64) -> Entry {
        let entry = self.entries[(bits & ((1 << BITS) - 1)) as usize];
        if !entry.is_second() {
            return entry;
        }
        let more = bits >> BITS & ((1 << entry.bits()) - 1);
        self.entries[entry.value() as usize + more as usize]
    }

    /// Gives each symbol whose length is not 0 its code. `entries` has what the symbols stand for.
    pub(super) fn build(&mut self, lengths: &[u8], entries: &[Entry]) -> Result<(), InflateError> {
        let mut of_length = [0u16; 16];
        for &length in lengths {
            of_length[usize::from(length)] += 1;
        }
        of_length[0] = 0;
        let longest = of_length.iter().rposition(|&count| count > 0).unwrap_or(0) as u32;
        let taken: u32 = (0..)
            .zip(&of_length)
            .map(|(length, &count)| u32::from(count) << (15 - length))
            .sum();
        // Bits without a meaning may be left only by a code of one symbol, or none: a block with one
        // distance, or with none, says so.
        let may_be_incomplete = longest <= 1 && BITS != RUN_BITS;
        if taken > 1 << 15 || (taken < 1 << 15 && !may_be_incomplete) {
            return Err(InflateError::Malformed);
        }
        // Symbols in the order of their codes: by length, then by number.
        let mut starts = [0u16; 16];
        for length in 1..16 {
            starts[length] = starts[length - 1] + of_length[length - 1];
        }
        let mut sorted = [0u16; 288];
        for (symbol, &length) in lengths.iter().enumerate() {
            if length > 0 {
                let start = &mut starts[usize::from(length)];
                sorted[usize::from(*start)] = symbol as u16;
                *start += 1;
            }
        }
        let mut sorted = sorted.iter();
        let mut code = 0u32;
        self.entries.clear();
        self.entries.push(Entry::INVALID.with_bits(1));
        for length in 1..=longest.max(BITS) {
            if length <= BITS {
                // One bit more tells apart what this length's codes, and none before, tell apart.
                self.entries.extend_from_within(..);
            }
            for &symbol in sorted.by_ref().take(of_length[length as usize].into()) {
                // Codes come from their highest bit.
                let reversed = code.reverse_bits() >> (32 - length);
                let entry = entries[usize::from(symbol)].with_bits(length);
                if length <= BITS {
                    self.entries[reversed as usize] = entry;
                } else {
                    self.put_long(reversed, length, longest, entry);
                }
                code += 1;
            }
            code <<= 1;
        }
        Ok(())
    }

    /// Fills, in a second table, all places whose lowest bits are the rest of this code.
    fn put_long(&mut self, code: u32, length: u32, longest: u32, entry: Entry) {
        let first = (code & ((1 << BITS) - 1)) as usize;
        let more_bits = longest - BITS;
        if !self.entries[first].is_second() {
            let start = self.entries.len();
            let second = Entry::new(Entry::SECOND, start as u32, 0).with_bits(more_bits);
            self.entries[first] = second;
            let invalid = Entry::INVALID.with_bits(1);
            self.entries.resize(start + (1 << more_bits), invalid);
        }
        let start = self.entries[first].value() as usize;
        let places = &mut self.entries[start..][..1 << more_bits];
        let places = places.iter_mut().skip((code >> BITS) as usize);
        for place in places.step_by(1 << (length - BITS)) {
            *place = entry;
        }
    }
}

/// The codes of a block that says nothing of its codes. RFC 1951 §3.2.6.
pub(super) static FIXED: LazyLock<DecodeTables> = LazyLock::new(|| {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    let mut tables = DecodeTables::new();
    let built = tables.build(&lengths, &[5; 32]);
    debug_assert_eq!(built, Ok(()));
    tables
});

/// What the symbols of literals and lengths stand for. The last two must not occur.
static LITERAL_ENTRIES: [Entry; 288] = {
    let mut entries = [Entry::INVALID; 288];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = Entry::new(Entry::LITERAL, symbol as u32, 0);
        symbol += 1;
    }
    entries[END_OF_BLOCK] = Entry::new(Entry::END, 0, 0);
    let mut least = 3;
    let mut symbol = 257;
    while symbol < LITERALS - 1 {
        let extra_bits = LENGTH_EXTRA_BITS[symbol - 257] as u32;
        entries[symbol] = Entry::new(Entry::BASE, least, extra_bits);
        least += 1 << extra_bits;
        symbol += 1;
    }
    entries[LITERALS - 1] = Entry::new(Entry::BASE, 258, 0);
    entries
};

/// What the symbols of distances stand for. The last two must not occur.
static DISTANCE_ENTRIES: [Entry; 32] = {
    let mut entries = [Entry::INVALID; 32];
    let mut least = 1;
    let mut symbol = 0;
    while symbol < DISTANCES {
        let extra_bits = distance_extra_bits(symbol);
        entries[symbol] = Entry::new(Entry::BASE, least, extra_bits);
        least += 1 << extra_bits;
        symbol += 1;
    }
    entries
};

/// What the symbols of code lengths stand for: themselves.
pub(super) static RUN_ENTRIES: [Entry; RUN_CODES] = {
    let mut entries = [Entry::INVALID; RUN_CODES];
    let mut symbol = 0;
    while symbol < RUN_CODES {
        entries[symbol] = Entry::new(Entry::LITERAL, symbol as u32, 0);
        symbol += 1;
    }
    entries
};

#[cfg(test)]
mod tests {
    use super::*;

    type Table = DecodeTable<DISTANCE_BITS>;

    fn built(lengths: &[u8]) -> Result<Table, InflateError> {
        let mut table = Table::new();
        table.build(lengths, &DISTANCE_ENTRIES)?;
        Ok(table)
    }

    // RFC 1951 §3.2.2: the example, whose codes come from their highest bit.
    #[test]
    fn bits_are_found_whatever_follows_them() {
        let mut table = DecodeTable::<RUN_BITS>::new();
        let lengths = [3, 3, 3, 3, 3, 2, 4, 4];
        table.build(&lengths, &RUN_ENTRIES).unwrap();
        for (symbol, code) in [(0, "010"), (4, "110"), (5, "00"), (6, "1110"), (7, "1111")] {
            let bits = code.bytes().rev();
            let bits = bits.fold(0, |bits, bit| bits << 1 | u64::from(bit == b'1'));
            for rest in 0..8 {
                let entry = table.find(bits | rest << code.len());
                assert_eq!(entry.value(), symbol);
                assert_eq!(entry.bits() as usize, code.len());
            }
        }
    }

    // Codes of every length up to 15, beyond what one step finds.
    #[test]
    fn long_codes_are_found_in_two_steps() {
        let mut lengths = [0; 16];
        for (length, place) in (1..).zip(&mut lengths) {
            *place = length;
        }
        lengths[15] = 15;
        let table = built(&lengths).unwrap();
        for (ones, entry) in (0..15).zip(DISTANCE_ENTRIES) {
            // So many ones, then a zero.
            let found = table.find((1 << ones) - 1);
            assert_eq!(found, entry.with_bits(ones + 1));
        }
        let expected = DISTANCE_ENTRIES[15].with_bits(15);
        assert_eq!(table.find(0x7fff), expected);
    }

    #[test]
    fn lengths_must_be_those_of_a_code() {
        assert!(built(&[1, 1]).is_ok());
        assert!(built(&[2, 2, 2, 2]).is_ok());
        for wrong in [&[1, 1, 1][..], &[1, 2], &[2], &[2, 2, 2], &[15; 30]] {
            assert_eq!(built(wrong).unwrap_err(), InflateError::Malformed);
        }
        // One distance, or none.
        let one = built(&[0, 1]).unwrap();
        assert_eq!(one.find(0), DISTANCE_ENTRIES[1].with_bits(1));
        assert!(!one.find(1).is_base());
        assert!(!built(&[0, 0]).unwrap().find(0).is_base());
        // But not of codes that codes are told with.
        let mut runs = DecodeTable::<RUN_BITS>::new();
        let built = runs.build(&[1, 0], &RUN_ENTRIES);
        assert_eq!(built, Err(InflateError::Malformed));
    }
}
