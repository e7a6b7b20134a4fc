//! Finds repetitions within a sliding window: bytes become literals and matches.
//!
//! One candidate for each four bytes, the latest; the first match is taken. Matches are verified
//! against the window's bytes, so what the search table holds never has to be right: it is neither
//! cleared when the window is forgotten nor moved along when it slides. Source: RFC 1951 §4.

use super::symbols::{DISTANCES, END_OF_BLOCK, LITERALS};
use super::symbols::{MATCH_MAX, distance_symbol, length_symbol};

/// A literal, or a repetition of earlier bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token(u32);

/// The tokens of one block, and how often each symbol occurs in them.
#[derive(Debug)]
pub(super) struct Tokens {
    list: Vec<Token>,
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; DISTANCES],
}

/// The window of one stream of messages, and the table to search it.
#[derive(Debug)]
pub(super) struct Matcher {
    window_bits: u8,
    mem_level: u8,
    /// At most a window of bytes that were compressed before, then those that are now.
    bytes: Vec<u8>,
    /// Where `bytes` begins in the stream, modulo 2^16.
    base: u16,
    /// For each hash of four bytes, where they stood last, modulo 2^16.
    latest: Box<[u16]>,
}

impl Token {
    /// The literal, or the length less 3 and the distance less 1.
    #[inline]
    pub(super) fn parts(self) -> Result<u8, (u8, u16)> {
        let distance = (self.0 >> 16) as u16;
        match self.0 & Self::MATCH {
            0 => Ok(self.0 as u8),
            _ => Err((self.0 as u8, distance)),
        }
    }

    const MATCH: u32 = 1 << 8;
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            list: Vec::new(),
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        }
    }

    pub(super) fn list(&self) -> &[Token] {
        &self.list
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.literals = [0; LITERALS];
        self.distances = [0; DISTANCES];
        self.literals[END_OF_BLOCK] = 1;
    }

    #[inline]
    fn literal(&mut self, byte: u8) {
        self.list.push(Token(u32::from(byte)));
        self.literals[usize::from(byte)] += 1;
    }

    #[inline]
    fn repetition(&mut self, length: usize, distance: usize) {
        let (length, distance) = ((length - 3) as u8, (distance - 1) as u16);
        let token = u32::from(distance) << 16 | Token::MATCH | u32::from(length);
        self.list.push(Token(token));
        self.literals[length_symbol(length)] += 1;
        self.distances[distance_symbol(distance)] += 1;
    }
}

impl Matcher {
    pub(super) fn new(window_bits: u8, mem_level: u8) -> Self {
        let table_bits = (mem_level + 9).min(window_bits + 1).min(15);
        Self {
            window_bits,
            mem_level,
            bytes: Vec::new(),
            base: 0,
            latest: vec![0; 1 << table_bits].into(),
        }
    }

    /// Whether this was made by [`new`](Self::new) with these numbers.
    pub(super) fn is_of(&self, window_bits: u8, mem_level: u8) -> bool {
        (self.window_bits, self.mem_level) == (window_bits, mem_level)
    }

    /// Forgets all bytes: nothing that comes will refer to them.
    pub(super) fn forget(&mut self) {
        self.base = self.base.wrapping_add(self.bytes.len() as u16);
        self.bytes.clear();
    }

    /// Forgets the bytes that came last, this many, or all if some of these have left the window.
    pub(super) fn forget_last(&mut self, count: usize) {
        match self.bytes.len().checked_sub(count) {
            Some(rest) => self.bytes.truncate(rest),
            None => self.forget(),
        }
    }

    /// Heap memory held, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + 2 * self.latest.len()
    }

    /// Most bytes that [`tokenize`](Self::tokenize) takes at once: half a window is added to the
    /// window that must stay, so that sliding it is rare.
    pub(super) fn piece_bytes_max(&self) -> usize {
        (self.window_bytes() / 2).max(PIECE_BYTES_MIN)
    }

    fn window_bytes(&self) -> usize {
        1 << self.window_bits
    }

    /// Appends the tokens of these bytes, which follow those before.
    pub(super) fn tokenize(&mut self, piece: &[u8], tokens: &mut Tokens) {
        self.append(piece);
        let end = self.bytes.len();
        let mut at = end - piece.len();
        // How many literals since the last match.
        let mut missed = 0;
        while let Some(four) = four_at(&self.bytes, at) {
            let Some(distance) = self.candidate(at, four) else {
                tokens.literal(self.bytes[at]);
                at += 1;
                missed += 1;
                // Where nothing repeats, look less and less often.
                for _ in 0..(missed >> 6).min(end - at) {
                    tokens.literal(self.bytes[at]);
                    at += 1;
                }
                continue;
            };
            missed = 0;
            let length = self.match_length(at, distance);
            tokens.repetition(length, distance);
            let next = at + length;
            at += 1;
            while at < next {
                if let Some(four) = four_at(&self.bytes, at) {
                    let slot = self.slot(four);
                    self.latest[slot] = self.base.wrapping_add(at as u16);
                }
                at += 1;
            }
        }
        for &byte in &self.bytes[at..] {
            tokens.literal(byte);
        }
    }

    /// Appends bytes; slides the window when they would take more than window and piece.
    fn append(&mut self, piece: &[u8]) {
        debug_assert!(piece.len() <= self.piece_bytes_max());
        let most = self.window_bytes() + self.piece_bytes_max();
        if self.bytes.len() + piece.len() > most {
            let gone = self.bytes.len() - self.window_bytes();
            self.bytes.drain(..gone);
            self.base = self.base.wrapping_add(gone as u16);
        }
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.max(2 * self.bytes.capacity()).min(most);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }

    /// How far back the same four bytes stand, if in the window; notes that they now stand here.
    #[inline]
    fn candidate(&mut self, at: usize, four: u32) -> Option<usize> {
        let here = self.base.wrapping_add(at as u16);
        let slot = self.slot(four);
        let latest = std::mem::replace(&mut self.latest[slot], here);
        let distance = usize::from(here.wrapping_sub(latest));
        let is_within = distance != 0 && distance <= at.min(self.window_bytes());
        (is_within && four_at(&self.bytes, at - distance) == Some(four)).then_some(distance)
    }

    /// How long the repetition is, whose first four bytes are known to be one.
    #[inline]
    fn match_length(&self, at: usize, distance: usize) -> usize {
        let end = self.bytes.len().min(at + MATCH_MAX);
        let here = &self.bytes[at..end];
        let there = &self.bytes[at - distance..end - distance];
        let mut length = 4;
        while let (Some(a), Some(b)) = (eight_at(here, length), eight_at(there, length)) {
            let different = a ^ b;
            if different != 0 {
                return length + different.trailing_zeros() as usize / 8;
            }
            length += 8;
        }
        let same = here[length..].iter().zip(&there[length..]);
        length + same.take_while(|(a, b)| a == b).count()
    }

    #[inline]
    fn slot(&self, four: u32) -> usize {
        // Knuth's multiplicative hash; the product's highest bits mix all four bytes.
        let hash = four.wrapping_mul(0x9E37_79B1);
        (hash >> 16) as usize >> (16 - self.latest.len().trailing_zeros())
    }
}

/// Smaller pieces, which small windows would lead to, find too few repetitions.
const PIECE_BYTES_MIN: usize = 1024;

#[inline]
fn four_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}

#[inline]
fn eight_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*eight))
}
