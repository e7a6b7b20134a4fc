//! Reads the codes that a block tells of itself, in any split of the input. RFC 1951 §3.2.7.

use super::bit_reader::BitReader;
use super::decode_table::{DecodeTable, DecodeTables, RUN_BITS, RUN_ENTRIES};
use super::inflater::InflateError;
use super::symbols::{DISTANCES, LITERALS, RUN_CODE_ORDER, RUN_CODES, run_extra_bits};

/// A block's own codes, as far as they have been told.
#[derive(Debug)]
pub(super) struct OwnCodes {
    /// How many codes there are, once that is known.
    counts: Option<Counts>,
    /// How many of the run codes' lengths are known.
    run_codes_known: usize,
    run_codes: [u8; RUN_CODES],
    runs: DecodeTable<RUN_BITS>,
    /// How many of the lengths are known.
    known: usize,
    /// Lengths of the literals' codes, then of the distances'.
    lengths: [u8; LITERALS + DISTANCES],
    tables: DecodeTables,
}

#[derive(Clone, Copy, Debug)]
struct Counts {
    literals: usize,
    distances: usize,
    run_codes: usize,
}

impl OwnCodes {
    pub(super) fn new() -> Self {
        Self {
            counts: None,
            run_codes_known: 0,
            run_codes: [0; RUN_CODES],
            runs: DecodeTable::new(),
            known: 0,
            lengths: [0; LITERALS + DISTANCES],
            tables: DecodeTables::new(),
        }
    }

    /// Expects the first code.
    pub(super) fn restart(&mut self) {
        self.counts = None;
        self.run_codes_known = 0;
        self.run_codes = [0; RUN_CODES];
        self.known = 0;
    }

    /// The codes. Only when [`read`](Self::read) has said that they are complete.
    pub(super) fn tables(&self) -> &DecodeTables {
        &self.tables
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.runs.heap_bytes()
            + self.tables.literals.heap_bytes()
            + self.tables.distances.heap_bytes()
    }

    /// Reads as far as the input goes. Whether the codes are complete.
    pub(super) fn read(&mut self, bits: &mut BitReader<'_>) -> Result<bool, InflateError> {
        let counts = match self.counts {
            Some(counts) => counts,
            None => {
                let Some(told) = bits.take(14) else {
                    return Ok(false);
                };
                *self.counts.insert(Counts::of(told)?)
            }
        };
        while self.run_codes_known < counts.run_codes {
            let Some(length) = bits.take(3) else {
                return Ok(false);
            };
            self.run_codes[RUN_CODE_ORDER[self.run_codes_known]] = length as u8;
            self.run_codes_known += 1;
            if self.run_codes_known == counts.run_codes {
                self.runs.build(&self.run_codes, &RUN_ENTRIES)?;
            }
        }
        let count = counts.literals + counts.distances;
        while self.known < count {
            bits.refill();
            let next = bits.peek();
            let entry = self.runs.find(next);
            let symbol = entry.value() as u8;
            let extra_bits = run_extra_bits(symbol);
            if entry.bits() + extra_bits > bits.count() {
                return Ok(false);
            }
            if !entry.is_literal() {
                return Err(InflateError::Malformed);
            }
            let extra = next >> entry.bits() & ((1 << extra_bits) - 1);
            bits.consume(entry.bits() + extra_bits);
            self.add(symbol, extra as usize, count)?;
        }
        let (literals, distances) = self.lengths[..count].split_at(counts.literals);
        self.tables.build(literals, distances)?;
        Ok(true)
    }

    fn add(&mut self, symbol: u8, extra: usize, count: usize) -> Result<(), InflateError> {
        let (length, times) = match symbol {
            16 => {
                let last = self.known.checked_sub(1).ok_or(InflateError::Malformed)?;
                (self.lengths[last], 3 + extra)
            }
            17 => (0, 3 + extra),
            18 => (0, 11 + extra),
            length => (length, 1),
        };
        if self.known + times > count {
            return Err(InflateError::Malformed);
        }
        self.lengths[self.known..][..times].fill(length);
        self.known += times;
        Ok(())
    }
}

impl Counts {
    fn of(told: u32) -> Result<Self, InflateError> {
        let counts = Self {
            literals: 257 + (told & 31) as usize,
            distances: 1 + (told >> 5 & 31) as usize,
            run_codes: 4 + (told >> 10) as usize,
        };
        match counts.literals <= LITERALS && counts.distances <= DISTANCES {
            true => Ok(counts),
            false => Err(InflateError::Malformed),
        }
    }
}
