//! DEFLATE's alphabets: which symbol, and which extra bits, stand for a length or a distance.
//!
//! Source: RFC 1951 §3.2.5 and §3.2.6.

use super::huffman::{Code, codes};

/// Symbols of literals, the end of a block, and lengths.
pub(super) const LITERALS: usize = 286;
/// Symbols of distances.
pub(super) const DISTANCES: usize = 30;
/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: usize = 256;
/// Shortest and longest repetition that has a symbol.
pub(super) const MATCH_MAX: usize = 258;

/// What a length is written as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) symbol: u16,
    pub(super) extra_bits: u8,
    pub(super) extra: u8,
}

/// What the lengths, less 3, are written as.
pub(super) static LENGTHS: [Length; 256] = lengths();

/// The symbol of a distance, less 1.
#[inline]
pub(super) const fn distance_symbol(less_1: u16) -> usize {
    if less_1 < 4 {
        return less_1 as usize;
    }
    // Two symbols for each power of two: the bit below the highest tells which.
    let highest = less_1.ilog2();
    (2 * highest + (less_1 >> (highest - 1) & 1) as u32) as usize
}

/// How many extra bits follow a symbol of a distance.
#[inline]
pub(super) const fn distance_extra_bits(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

/// Codes of a block that says nothing of its codes. RFC 1951 §3.2.6.
pub(super) static FIXED_LITERALS: [Code; 288] = codes(&fixed_literal_lengths());
pub(super) static FIXED_DISTANCES: [Code; 32] = codes(&[5; 32]);

const fn fixed_literal_lengths() -> [u8; 288] {
    let mut lengths = [8; 288];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
}

/// Symbols that code lengths are written with. RFC 1951 §3.2.7.
pub(super) const RUN_CODES: usize = 19;

/// In which order their own lengths are written.
pub(super) const RUN_CODE_ORDER: [usize; RUN_CODES] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// How many extra bits follow one of these symbols: how often a length is repeated.
pub(super) fn run_extra_bits(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// How many extra bits follow the symbols from 257 on.
pub(super) const LENGTH_EXTRA_BITS: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];

const fn lengths() -> [Length; 256] {
    let mut lengths = [Length {
        symbol: 257,
        extra_bits: 0,
        extra: 0,
    }; 256];
    // Each symbol's lengths follow those of the symbol before it.
    let mut less_3 = 0;
    let mut symbol = 0;
    while symbol < 28 {
        let extra_bits = LENGTH_EXTRA_BITS[symbol];
        let mut extra = 0;
        while extra < 1 << extra_bits && less_3 < 256 {
            lengths[less_3] = Length {
                symbol: 257 + symbol as u16,
                extra_bits,
                extra,
            };
            extra += 1;
            less_3 += 1;
        }
        symbol += 1;
    }
    // The longest has a symbol of its own.
    lengths[255] = Length {
        symbol: 285,
        extra_bits: 0,
        extra: 0,
    };
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 1951 §3.2.5: the tables, at the ends of some rows.
    #[test]
    fn lengths_have_their_symbols() {
        for (length, symbol, extra_bits, extra) in [
            (3, 257, 0, 0),
            (10, 264, 0, 0),
            (11, 265, 1, 0),
            (12, 265, 1, 1),
            (19, 269, 2, 0),
            (130, 280, 4, 15),
            (131, 281, 5, 0),
            (227, 284, 5, 0),
            (257, 284, 5, 30),
            (258, 285, 0, 0),
        ] {
            let found = LENGTHS[length - 3];
            let found = (found.symbol, found.extra_bits, found.extra);
            assert_eq!(found, (symbol, extra_bits, extra), "{length}");
        }
    }

    #[test]
    fn distances_have_their_symbols() {
        for (distance, symbol, extra_bits) in [
            (1, 0, 0),
            (4, 3, 0),
            (5, 4, 1),
            (7, 5, 1),
            (8, 5, 1),
            (9, 6, 2),
            (192, 14, 6),
            (193, 15, 6),
            (24_576, 28, 13),
            (24_577, 29, 13),
            (32_768, 29, 13),
        ] {
            let found = distance_symbol((distance - 1) as u16);
            assert_eq!(found, symbol, "{distance}");
            assert_eq!(distance_extra_bits(found), extra_bits, "{distance}");
        }
    }
}
