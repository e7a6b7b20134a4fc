//! A message that did not come whole in one piece: what has arrived of it.
//!
//! Memory grows with what has arrived, never with what a peer says will come.

use super::budget::Charge;
use super::deflate::Inflater;
use super::frame::{FrameHead, Opcode};
use super::received::{DecodeContext, FragmentedMessages};
use super::utf8::{self, Utf8Stream};
use super::violation::Violation;

/// What has arrived of a message. Exists only while a message is in progress.
#[derive(Debug)]
pub(super) struct Message {
    /// What the next fragment is to be told as: the message's own opcode, then continuation.
    pub(super) fragment_opcode: Opcode,
    /// Payload bytes of its frames so far, those of the frame in progress in full.
    declared: u64,
    /// How it is delivered.
    pub(super) delivery: FragmentedMessages,
    /// Whether it is text.
    pub(super) is_text: bool,
    is_compressed: bool,
    checks_text: bool,
    /// Where the frame in progress begins in `bytes`.
    frame_start: usize,
    utf8: Utf8Stream,
    /// Text delivered whole, so that it need not be checked again at its end.
    text: String,
    /// All other content: binary, inflated, unchecked, or delivered in fragments.
    bytes: Vec<u8>,
    charge: Charge,
}

impl Message {
    /// A message that begins with this frame.
    pub(super) fn new(head: &FrameHead, context: &DecodeContext<'_>) -> Self {
        let is_text = head.opcode == Opcode::Text;
        Self {
            fragment_opcode: head.opcode,
            declared: head.payload_len,
            delivery: match head.fin {
                true => FragmentedMessages::Whole,
                false => context.fragments,
            },
            is_text,
            is_compressed: head.rsv1,
            checks_text: is_text && context.validate_utf8,
            frame_start: 0,
            utf8: Utf8Stream::default(),
            text: String::new(),
            bytes: Vec::new(),
            charge: Charge::new(context.budget),
        }
    }

    /// Counts one more frame of this length.
    pub(super) fn declare(&mut self, payload_len: u64, max: u64) -> Result<(), Violation> {
        self.declared = self.declared.saturating_add(payload_len);
        match exceeds(self.declared, max) {
            true => Err(Violation::MessageTooLarge),
            false => Ok(()),
        }
    }

    /// Adds what has arrived of a frame; so many bytes of the frame are still to come.
    pub(super) fn append(&mut self, piece: &[u8], to_come: u64) -> Result<(), Violation> {
        let to_come = usize::try_from(to_come).unwrap_or(usize::MAX);
        let keeps_text = self.checks_text && self.delivery == FragmentedMessages::Whole;
        let (len, capacity) = match keeps_text {
            true => (self.text.len(), self.text.capacity()),
            false => (self.bytes.len(), self.bytes.capacity()),
        };
        // A character that was cut may join.
        let needed = len + piece.len() + 3;
        if needed > capacity {
            let capacity_new = (2 * capacity)
                .max(CAPACITY_MIN)
                .min(needed.saturating_add(to_come))
                .max(needed);
            self.charge.take(capacity_new - capacity)?;
            match keeps_text {
                true => self.text.reserve_exact(capacity_new - len),
                false => self.bytes.reserve_exact(capacity_new - len),
            }
        }
        if keeps_text {
            let checked = self.utf8.push(piece)?;
            self.text.extend(checked.joined);
            self.text.push_str(checked.text);
        } else {
            if self.checks_text {
                self.utf8.push(piece)?;
            }
            self.bytes.extend_from_slice(piece);
        }
        Ok(())
    }

    /// Adds what comes of compressed bytes that have arrived.
    pub(super) fn append_inflated(
        &mut self,
        piece: &[u8],
        is_last: bool,
        inflater: &mut Inflater,
        context: &mut DecodeContext<'_>,
    ) -> Result<(), Violation> {
        let workspace = context.deflate.as_deref_mut();
        let workspace = workspace.ok_or(Violation::ReservedBits)?;
        let limit = inflated_max(context.max_message_size);
        let mut rest = piece;
        loop {
            // What comes of a few bytes is charged before more are taken, as it may be a lot.
            let (slice, after) = rest.split_at(rest.len().min(SLICE_BYTES_MAX));
            rest = after;
            let before = self.bytes.len();
            match is_last && rest.is_empty() {
                true => inflater.inflate_last(slice, limit, workspace, &mut self.bytes)?,
                false => inflater.inflate_part(slice, limit, workspace, &mut self.bytes)?,
            }
            let held = self.bytes.capacity() + inflater.heap_bytes();
            self.charge.raise_to(held)?;
            if self.checks_text && self.delivery != FragmentedMessages::Whole {
                self.utf8.push(&self.bytes[before..])?;
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Takes on what a whole message was decompressed to.
    pub(super) fn adopt(&mut self, inflated: Vec<u8>) -> Result<(), Violation> {
        self.charge.take(inflated.capacity())?;
        self.bytes = inflated;
        Ok(())
    }

    /// Checks a fragment that is delivered where it lies.
    pub(super) fn check_in_place(&mut self, piece: &[u8]) -> Result<(), Violation> {
        if self.checks_text {
            self.utf8.push(piece)?;
        }
        Ok(())
    }

    /// Whether a fragment need not be kept if it is whole in its piece.
    pub(super) fn passes_fragments(&self) -> bool {
        self.delivery == FragmentedMessages::Fragments
            && self.bytes.is_empty()
            && !self.is_compressed
    }

    /// Ends the message: nothing comes after what has arrived.
    pub(super) fn finish(&self) -> Result<(), Violation> {
        self.utf8.finish()
    }

    /// Makes the message ready to be delivered as a whole.
    pub(super) fn finish_whole(&mut self) -> Result<(), Violation> {
        if self.is_text && !self.checks_text && utf8::text(&self.bytes).is_err() {
            // A bad byte becomes a character of three.
            self.charge.take(3 * self.bytes.len())?;
            self.text = String::from_utf8_lossy(&self.bytes).into_owned();
            self.bytes.clear();
        }
        Ok(())
    }

    /// The frame that has just ended.
    pub(super) fn fragment(&self) -> &[u8] {
        &self.bytes[self.frame_start..]
    }

    /// Lets go of a fragment that was delivered.
    pub(super) fn end_fragment(&mut self) {
        self.fragment_opcode = Opcode::Continuation;
        if self.delivery == FragmentedMessages::Fragments {
            // The capacity stays, and stays charged: the next fragment probably needs as much.
            self.bytes.clear();
        }
        self.frame_start = self.bytes.len();
    }

    /// The whole message as text.
    pub(super) fn as_text(&self) -> Result<&str, Violation> {
        if !self.bytes.is_empty() {
            return utf8::text(&self.bytes);
        }
        Ok(&self.text)
    }

    /// The whole message as bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether a message is longer than it may be.
pub(super) fn exceeds(length: u64, max_message_size: u64) -> bool {
    max_message_size != 0 && length > max_message_size
}

/// The longest message that may come of decompressing.
pub(super) fn inflated_max(max_message_size: u64) -> usize {
    match usize::try_from(max_message_size) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(max) => max,
    }
}

/// How many compressed bytes are taken at a time. DEFLATE makes at most 1,032 bytes of one.
pub(super) const SLICE_BYTES_MAX: usize = 4096;

/// Less is not worth growing from.
const CAPACITY_MIN: usize = 1024;
