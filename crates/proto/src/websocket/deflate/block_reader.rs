//! Reads blocks in any split of the input: literals and repetitions become bytes.
//!
//! What the blocks of one message are in is the message's matter. Source: RFC 1951 §3.2.3 to §3.2.7.

use super::bit_reader::{BitReader, WaitingBits};
use super::decode_table::{DecodeTables, FIXED};
use super::history::Output;
use super::inflater::InflateError;
use super::own_codes::OwnCodes;

/// Where in a block the reader is.
#[derive(Debug)]
pub(super) struct BlockReader {
    waiting: WaitingBits,
    state: State,
    /// Whether the block says that it is the last.
    is_final: bool,
    own: OwnCodes,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The beginning of a block.
    Block,
    /// The length of stored bytes.
    StoredLength,
    /// Stored bytes.
    Stored { left: usize },
    /// The block's own codes.
    OwnCodes,
    /// Literals and repetitions, with fixed codes.
    Fixed,
    /// Literals and repetitions, with the block's own codes.
    Own,
}

impl BlockReader {
    pub(super) fn new() -> Self {
        Self {
            waiting: WaitingBits::default(),
            state: State::Block,
            is_final: false,
            own: OwnCodes::new(),
        }
    }

    /// Expects the first block of a message.
    pub(super) fn restart(&mut self) {
        self.waiting = WaitingBits::default();
        self.state = State::Block;
        self.is_final = false;
    }

    /// Reads all of an input.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), InflateError> {
        let mut bits = BitReader::new(self.waiting, input);
        while let Some(state) = self.step(&mut bits, output)? {
            self.state = state;
        }
        self.waiting = bits.into_waiting();
        Ok(())
    }

    /// Whether a block has ended at a whole byte, or none has begun.
    pub(super) fn is_between_blocks(&self) -> bool {
        self.state == State::Block && self.waiting.is_empty()
    }

    /// Whether the block that has ended, or is being read, says that it is the last.
    pub(super) fn is_final(&self) -> bool {
        self.is_final
    }

    /// Heap memory held, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.own.heap_bytes()
    }

    /// What comes next, or `None` if the input has not enough for what comes now.
    fn step(
        &mut self,
        bits: &mut BitReader<'_>,
        output: &mut Output<'_>,
    ) -> Result<Option<State>, InflateError> {
        let has_ended = match self.state {
            State::Block => return self.begin(bits),
            State::StoredLength => return stored_length(bits),
            State::OwnCodes => {
                let is_complete = self.own.read(bits)?;
                return Ok(is_complete.then_some(State::Own));
            }
            State::Stored { left } => {
                let left = stored(bits, left, output)?;
                self.state = State::Stored { left };
                left == 0
            }
            State::Fixed => symbols(bits, &FIXED, output)?,
            State::Own => symbols(bits, self.own.tables(), output)?,
        };
        if has_ended && self.is_final {
            // RFC 7692 §7.2.3.4: more may follow, from the next whole byte on.
            bits.align();
        }
        Ok(has_ended.then_some(State::Block))
    }

    fn begin(&mut self, bits: &mut BitReader<'_>) -> Result<Option<State>, InflateError> {
        let Some(head) = bits.take(3) else {
            return Ok(None);
        };
        self.is_final = head & 1 != 0;
        match head >> 1 {
            0 => {
                bits.align();
                Ok(Some(State::StoredLength))
            }
            1 => Ok(Some(State::Fixed)),
            2 => {
                self.own.restart();
                Ok(Some(State::OwnCodes))
            }
            _ => Err(InflateError::Malformed),
        }
    }
}

fn stored_length(bits: &mut BitReader<'_>) -> Result<Option<State>, InflateError> {
    let Some(both) = bits.take(32) else {
        return Ok(None);
    };
    let (length, complement) = (both & 0xffff, both >> 16);
    if length != complement ^ 0xffff {
        return Err(InflateError::Malformed);
    }
    let left = length as usize;
    Ok(Some(State::Stored { left }))
}

/// Takes stored bytes. How many are left.
fn stored(
    bits: &mut BitReader<'_>,
    left: usize,
    output: &mut Output<'_>,
) -> Result<usize, InflateError> {
    let (first, first_count, rest) = bits.take_bytes(left);
    output.literals(&first[..first_count])?;
    output.literals(rest)?;
    Ok(left - first_count - rest.len())
}

/// Takes literals and repetitions, as far as the input goes. Whether the block has ended.
fn symbols(
    bits: &mut BitReader<'_>,
    tables: &DecodeTables,
    output: &mut Output<'_>,
) -> Result<bool, InflateError> {
    loop {
        most_symbols(bits, tables, output);
        bits.refill();
        let next = bits.peek();
        let entry = tables.literals.find(next);
        let mut used = entry.bits();
        if entry.is_base() {
            let length = entry.value_at(next >> used);
            used += entry.extra_bits();
            let entry = tables.distances.find(next >> used);
            used += entry.bits();
            let distance = entry.value_at(next >> used);
            used += entry.extra_bits();
            if used > bits.count() {
                return Ok(false);
            }
            if !entry.is_base() {
                return Err(InflateError::Malformed);
            }
            output.repetition(length, distance)?;
        } else if used > bits.count() {
            return Ok(false);
        } else if entry.is_literal() {
            output.literals(&[entry.value() as u8])?;
        } else if entry.is_end() {
            bits.consume(used);
            return Ok(true);
        } else {
            return Err(InflateError::Malformed);
        }
        bits.consume(used);
    }
}

/// Takes literals and repetitions while nothing is near an end: not the input, not the room, not the
/// block, and no repetition begins before this output.
///
/// All that changes is held in variables of its own, and so in registers.
fn most_symbols(bits: &mut BitReader<'_>, tables: &DecodeTables, output: &mut Output<'_>) {
    let mut reader = *bits;
    let mut room = output.room();
    while reader.refill_whole() && room.is_ample() {
        let next = reader.peek();
        let entry = tables.literals.find(next);
        if entry.is_literal() {
            room.literal(entry.value() as u8);
            reader.consume(entry.bits());
            // There are bits for two more.
            for _ in 0..2 {
                let entry = tables.literals.find(reader.peek());
                if !entry.is_literal() {
                    break;
                }
                room.literal(entry.value() as u8);
                reader.consume(entry.bits());
            }
        } else if entry.is_base() {
            let mut used = entry.bits();
            let length = entry.value_at(next >> used);
            used += entry.extra_bits();
            let entry = tables.distances.find(next >> used);
            used += entry.bits();
            let distance = entry.value_at(next >> used);
            used += entry.extra_bits();
            if !entry.is_base() || !room.repetition(length, distance) {
                break;
            }
            reader.consume(used);
        } else {
            break;
        }
    }
    *bits = reader;
    let written = room.written();
    output.wrote(written);
}
