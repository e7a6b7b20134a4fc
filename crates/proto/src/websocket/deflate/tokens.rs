//! A block's literals and repetitions, held until it is known how to write them shortest.

use super::matcher::Sink;
use super::symbols::{DISTANCES, END_OF_BLOCK, LENGTHS, LITERALS, distance_symbol};

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

impl Token {
    /// A literal, or a repetition's length less 3 and distance less 1.
    #[inline]
    pub(super) fn parts(self) -> Result<u8, (u8, u16)> {
        match self.0 & Self::REPETITION {
            0 => Ok(self.0 as u8),
            _ => Err((self.0 as u8, (self.0 >> 16) as u16)),
        }
    }

    const REPETITION: u32 = 1 << 8;
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

    /// Begins a new block, which has its end only.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.literals = [0; LITERALS];
        self.distances = [0; DISTANCES];
        self.literals[END_OF_BLOCK] = 1;
    }
}

impl Sink for Tokens {
    #[inline]
    fn literal(&mut self, byte: u8) {
        self.list.push(Token(u32::from(byte)));
        self.literals[usize::from(byte)] += 1;
    }

    #[inline]
    fn repetition(&mut self, length: u8, distance: u16) {
        let token = u32::from(distance) << 16 | Token::REPETITION | u32::from(length);
        self.list.push(Token(token));
        self.literals[usize::from(LENGTHS[usize::from(length)].symbol)] += 1;
        self.distances[distance_symbol(distance)] += 1;
    }
}
