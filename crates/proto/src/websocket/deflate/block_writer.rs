//! Writes one block in the shortest of DEFLATE's three ways: stored, fixed codes, codes of its own.
//!
//! Source: RFC 1951 §3.2.3 to §3.2.7.

use super::bit_writer::BitWriter;
use super::huffman::{Code, code_lengths, codes};
use super::matcher::{Matcher, Sink};
use super::symbols::{
    DISTANCES, END_OF_BLOCK, FIXED_DISTANCES, FIXED_LITERALS, LENGTH_EXTRA_BITS, LENGTHS, LITERALS,
    RUN_CODE_ORDER, RUN_CODES, distance_extra_bits, distance_symbol, run_extra_bits,
};
use super::tokens::Tokens;

/// Appends a block with these bytes, which follow those the matcher has had.
pub(super) fn write_block(
    bits: &mut BitWriter<'_>,
    bytes: &[u8],
    matcher: &mut Matcher,
    tokens: &mut Tokens,
) {
    tokens.clear();
    for piece in bytes.chunks(matcher.piece_bytes_max()) {
        matcher.tokenize(piece, tokens);
    }
    write_shortest(bits, tokens, bytes);
}

/// Appends a block with these bytes, at most [`SHORT_BYTES`], as the only one of `out`.
///
/// They are too few for codes of their own to pay, so that no tokens need be kept.
pub(super) fn write_short_block(bits: &mut BitWriter<'_>, bytes: &[u8], matcher: &mut Matcher) {
    let start = bits.mark();
    bits.write(FIXED << 1, 3);
    let mut fixed = Coded {
        bits,
        literals: &FIXED_LITERALS,
        distances: &FIXED_DISTANCES,
    };
    matcher.tokenize(bytes, &mut fixed);
    fixed.end();
    if bits.written(start) > bytes.len() + 5 {
        bits.rewind(start);
        write_stored(bits, bytes);
    }
}

/// Appends a block with these tokens, which say the same as these bytes.
fn write_shortest(bits: &mut BitWriter<'_>, tokens: &Tokens, bytes: &[u8]) {
    let extra = extra_bits(tokens);
    let fixed = 3 + extra + cost(tokens, &FIXED_LITERALS, &FIXED_DISTANCES);
    // Up to 7 bits of alignment are left out: they do not decide.
    let stored = 8 * bytes.len() + 40 * bytes.len().div_ceil(STORED_BYTES_MAX).max(1);
    if tokens.list().len() >= OWN_CODES_TOKENS_MIN {
        let own = OwnCodes::of(tokens);
        let cost = 3 + own.header_bits() + extra + cost(tokens, &own.literals, &own.distances);
        if cost < fixed.min(stored) {
            bits.write(DYNAMIC << 1, 3);
            own.write_header(bits);
            write_tokens(bits, tokens, &own.literals, &own.distances);
            return;
        }
    }
    if stored < fixed {
        write_stored(bits, bytes);
    } else {
        bits.write(FIXED << 1, 3);
        write_tokens(bits, tokens, &FIXED_LITERALS, &FIXED_DISTANCES);
    }
}

/// Appends the beginning of an empty stored block, up to the next whole byte. What would have to
/// follow, 00 00 FF FF, is the tail that messages are sent without. RFC 7692 §7.2.1.
pub(super) fn write_flush(bits: &mut BitWriter<'_>) {
    bits.write(STORED << 1, 3);
    bits.align();
}

fn write_stored(bits: &mut BitWriter<'_>, bytes: &[u8]) {
    for part in bytes.chunks(STORED_BYTES_MAX) {
        bits.write(STORED << 1, 3);
        bits.align();
        let length = part.len() as u16;
        bits.write_bytes(&length.to_le_bytes());
        bits.write_bytes(&(!length).to_le_bytes());
        bits.write_bytes(part);
    }
}

fn write_tokens(bits: &mut BitWriter<'_>, tokens: &Tokens, literals: &[Code], distances: &[Code]) {
    let mut coded = Coded {
        bits,
        literals,
        distances,
    };
    for token in tokens.list() {
        match token.parts() {
            Ok(literal) => coded.literal(literal),
            Err((length, distance)) => coded.repetition(length, distance),
        }
    }
    coded.end();
}

/// Writes with these codes.
struct Coded<'a, 'b> {
    bits: &'a mut BitWriter<'b>,
    literals: &'a [Code],
    distances: &'a [Code],
}

impl Coded<'_, '_> {
    #[inline]
    fn write(&mut self, code: Code) {
        self.bits.write(u32::from(code.bits), u32::from(code.count));
    }

    /// The extra bits behind the code.
    #[inline]
    fn write_with(&mut self, code: Code, extra: u32, extra_bits: u32) {
        let count = u32::from(code.count);
        let bits = u32::from(code.bits) | extra << count;
        self.bits.write(bits, count + extra_bits);
    }

    fn end(mut self) {
        self.write(self.literals[END_OF_BLOCK]);
    }
}

impl Sink for Coded<'_, '_> {
    #[inline]
    fn literal(&mut self, byte: u8) {
        self.write(self.literals[usize::from(byte)]);
    }

    #[inline]
    fn repetition(&mut self, length: u8, distance: u16) {
        let length = LENGTHS[usize::from(length)];
        let code = self.literals[usize::from(length.symbol)];
        let (extra, extra_bits) = (u32::from(length.extra), u32::from(length.extra_bits));
        self.write_with(code, extra, extra_bits);
        let symbol = distance_symbol(distance);
        let extra_bits = distance_extra_bits(symbol);
        let extra = u32::from(distance) & ((1 << extra_bits) - 1);
        self.write_with(self.distances[symbol], extra, extra_bits);
    }
}

/// Bits that all symbols take with these codes.
fn cost(tokens: &Tokens, literals: &[Code], distances: &[Code]) -> usize {
    let of = |counts: &[u32], codes: &[Code]| -> usize {
        let bits = counts.iter().zip(codes);
        bits.map(|(&count, code)| count as usize * usize::from(code.count))
            .sum()
    };
    of(&tokens.literals, literals) + of(&tokens.distances, distances)
}

/// Extra bits of all lengths and distances, the same with any codes.
fn extra_bits(tokens: &Tokens) -> usize {
    let lengths = tokens.literals[257..].iter().zip(LENGTH_EXTRA_BITS);
    let lengths = lengths.map(|(&count, bits)| count * u32::from(bits));
    let distances = (0..).zip(&tokens.distances);
    let distances = distances.map(|(symbol, &count)| count * distance_extra_bits(symbol));
    lengths.chain(distances).map(|bits| bits as usize).sum()
}

/// Codes made for one block, and how the block's header says them. RFC 1951 §3.2.7.
struct OwnCodes {
    literals: [Code; LITERALS],
    distances: [Code; DISTANCES],
    literals_used: usize,
    distances_used: usize,
    /// The lengths of all codes, run-length encoded: symbol and extra bits.
    runs: Vec<(u8, u8)>,
    run_codes: [Code; RUN_CODES],
    run_codes_used: usize,
}

impl OwnCodes {
    fn of(tokens: &Tokens) -> Self {
        let literals = code_lengths(&tokens.literals, 15);
        let distances = code_lengths(&tokens.distances, 15);
        let literals_used = used(&literals).max(257);
        let distances_used = used(&distances).max(1);

        let mut lengths = [0; LITERALS + DISTANCES];
        lengths[..literals_used].copy_from_slice(&literals[..literals_used]);
        let all = literals_used + distances_used;
        lengths[literals_used..all].copy_from_slice(&distances[..distances_used]);
        let runs = run_lengths(&lengths[..all]);
        let mut counts = [0; RUN_CODES];
        for &(symbol, _) in &runs {
            counts[usize::from(symbol)] += 1;
        }
        let run_codes = code_lengths(&counts, 7);
        let last = RUN_CODE_ORDER
            .iter()
            .rposition(|&symbol| run_codes[symbol] > 0);
        Self {
            literals: codes(&literals),
            distances: codes(&distances),
            literals_used,
            distances_used,
            runs,
            run_codes: codes(&run_codes),
            run_codes_used: last.map_or(0, |last| last + 1).max(4),
        }
    }

    fn header_bits(&self) -> usize {
        let runs = self.runs.iter().map(|&(symbol, _)| {
            usize::from(self.run_codes[usize::from(symbol)].count) + run_extra_bits(symbol) as usize
        });
        5 + 5 + 4 + 3 * self.run_codes_used + runs.sum::<usize>()
    }

    fn write_header(&self, bits: &mut BitWriter<'_>) {
        bits.write(self.literals_used as u32 - 257, 5);
        bits.write(self.distances_used as u32 - 1, 5);
        bits.write(self.run_codes_used as u32 - 4, 4);
        for &symbol in &RUN_CODE_ORDER[..self.run_codes_used] {
            bits.write(u32::from(self.run_codes[symbol].count), 3);
        }
        for &(symbol, extra) in &self.runs {
            let code = self.run_codes[usize::from(symbol)];
            bits.write(u32::from(code.bits), u32::from(code.count));
            bits.write(u32::from(extra), run_extra_bits(symbol));
        }
    }
}

/// How many symbols there are up to the last that has a code.
fn used(lengths: &[u8]) -> usize {
    let last = lengths.iter().rposition(|&length| length > 0);
    last.map_or(0, |last| last + 1)
}

/// Code lengths as symbols 0 to 15, 16 (the last again), 17 and 18 (zeros), with their extra bits.
fn run_lengths(lengths: &[u8]) -> Vec<(u8, u8)> {
    let mut runs = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|a, b| a == b) {
        let (length, mut left) = (run[0], run.len());
        if length == 0 {
            while left >= 11 {
                let count = left.min(138);
                runs.push((18, (count - 11) as u8));
                left -= count;
            }
            if left >= 3 {
                runs.push((17, (left - 3) as u8));
                left = 0;
            }
        } else {
            runs.push((length, 0));
            left -= 1;
            while left >= 3 {
                let count = left.min(6);
                runs.push((16, (count - 3) as u8));
                left -= count;
            }
        }
        runs.extend(std::iter::repeat_n((length, 0), left));
    }
    runs
}

const STORED: u32 = 0;
const FIXED: u32 = 1;
const DYNAMIC: u32 = 2;

/// Most bytes of a stored block: its length has 16 bits.
const STORED_BYTES_MAX: usize = 65_535;

/// A block of this many bytes or fewer is written as it is tokenized.
pub(super) const SHORT_BYTES: usize = 256;

/// With fewer tokens, saying own codes takes more than they save.
const OWN_CODES_TOKENS_MIN: usize = 128;
