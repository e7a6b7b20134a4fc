//! The Huffman code of RFC 7541 Appendix B.
//!
//! The code is canonical: codes of one length are consecutive, in the order of their symbols. So the
//! lengths say it all.

/// The length in bits of each symbol's code.
pub(super) const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The longest code. Those of the symbol EOS, which is the last one, are all ones.
pub(super) const LENGTH_MAX: usize = 30;

/// All symbols but EOS, ordered by their codes.
pub(super) const SYMBOLS: [u8; 256] = CODE.symbols;

/// The code of each symbol but EOS, in the low bits.
pub(super) static CODES: [u32; 256] = CODE.codes;

/// For each length, what codes of this length have in common.
pub(super) static GROUPS: [Group; LENGTH_MAX + 1] = CODE.groups;

/// The codes of one length.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// The first one.
    pub(super) first: u32,
    /// Behind the last one, moved to the high end of 32 bits.
    pub(super) end: u64,
    /// Where their symbols begin in [`SYMBOLS`].
    pub(super) offset: u32,
}

struct Code {
    symbols: [u8; 256],
    codes: [u32; 256],
    groups: [Group; LENGTH_MAX + 1],
}

const CODE: Code = {
    let none = Group {
        first: 0,
        end: 0,
        offset: 0,
    };
    let mut code = Code {
        symbols: [0; 256],
        codes: [0; 256],
        groups: [none; LENGTH_MAX + 1],
    };
    let (mut next, mut count, mut length) = (0, 0, 1);
    while length <= LENGTH_MAX {
        next <<= 1;
        let (first, offset) = (next, count as u32);
        let mut symbol = 0;
        while symbol < 256 {
            if LENGTHS[symbol] as usize == length {
                code.codes[symbol] = next;
                code.symbols[count] = symbol as u8;
                next += 1;
                count += 1;
            }
            symbol += 1;
        }
        let end = (next as u64) << (32 - length);
        code.groups[length] = Group { first, end, offset };
        length += 1;
    }
    // Only EOS is left, and it is the last code of its length.
    assert!(count == 256 && next == (1 << LENGTH_MAX) - 1);
    code
};
