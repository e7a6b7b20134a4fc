//! Decompressed bytes: where they go, and what may be repeated of those before.

use std::collections::VecDeque;

use super::inflater::InflateError;

/// What came last, at most a window of it: kept from one message, or part of one, to the next.
#[derive(Debug, Default)]
pub(super) struct Window {
    bytes: VecDeque<u8>,
}

/// What is appended to a vector, after a window.
pub(super) struct Output<'a> {
    window: &'a Window,
    window_bytes: usize,
    /// Longer than what has been written: what is beyond `end` is yet to be written over.
    out: &'a mut Vec<u8>,
    start: usize,
    end: usize,
    /// Where writing must end.
    end_max: usize,
    /// How long the message may be.
    limit: usize,
}

/// The part of the output that is at hand.
pub(super) struct Room<'a> {
    /// The window, in its two pieces.
    older: &'a [u8],
    newer: &'a [u8],
    /// What was written into this output, then what can be written over.
    bytes: &'a mut [u8],
    written: usize,
    window_bytes: usize,
}

impl Window {
    /// Takes in what came after it, and forgets what is too old.
    pub(super) fn append(&mut self, bytes: &[u8], window_bytes: usize) {
        let bytes = &bytes[bytes.len().saturating_sub(window_bytes)..];
        let gone = (self.bytes.len() + bytes.len()).saturating_sub(window_bytes);
        self.bytes.drain(..gone);
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            // No more than a window, which doubling would come to.
            let capacity = needed.max(2 * self.bytes.capacity()).min(window_bytes);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// What is there from here on, up to where the bytes are no longer in one piece.
    fn piece_from(&self, at: usize) -> &[u8] {
        let (older, newer) = self.bytes.as_slices();
        match older.get(at..) {
            Some(piece) if !piece.is_empty() => piece,
            _ => &newer[at - older.len()..],
        }
    }
}

impl<'a> Output<'a> {
    /// Appends to `out`, after a message's first `length` bytes, until it is `limit` bytes long.
    ///
    /// Room is made for about so many bytes as are expected.
    pub(super) fn new(
        window: &'a Window,
        window_bytes: usize,
        out: &'a mut Vec<u8>,
        (length, limit): (usize, usize),
        expected: usize,
    ) -> Self {
        let start = out.len();
        let mut output = Self {
            window,
            window_bytes,
            out,
            start,
            end: start,
            end_max: start.saturating_add(limit.saturating_sub(length)),
            limit,
        };
        output.grow(expected);
        output
    }

    /// Leaves in the vector what was written. How many bytes that are.
    pub(super) fn finish(self) -> usize {
        self.out.truncate(self.end);
        self.end - self.start
    }

    /// The room that there is now.
    pub(super) fn room(&mut self) -> Room<'_> {
        let (older, newer) = self.window.bytes.as_slices();
        Room {
            older,
            newer,
            written: self.end - self.start,
            bytes: &mut self.out[self.start..],
            window_bytes: self.window_bytes,
        }
    }

    /// Notes how many bytes have been written, in the room that there was.
    pub(super) fn wrote(&mut self, written: usize) {
        self.end = self.start + written;
    }

    pub(super) fn literals(&mut self, bytes: &[u8]) -> Result<(), InflateError> {
        self.make_room(bytes.len())?;
        self.out[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        Ok(())
    }

    /// Repeats so many bytes, of so far back.
    pub(super) fn repetition(
        &mut self,
        length: usize,
        distance: usize,
    ) -> Result<(), InflateError> {
        let mut back = distance.saturating_sub(self.end - self.start);
        if distance > self.window_bytes || back > self.window.bytes.len() {
            return Err(InflateError::Malformed);
        }
        self.make_room(length)?;
        // What begins before this output may go on in it.
        let mut left = length;
        while back > 0 && left > 0 {
            let piece = self.window.piece_from(self.window.bytes.len() - back);
            let piece = &piece[..piece.len().min(left)];
            self.out[self.end..][..piece.len()].copy_from_slice(piece);
            self.end += piece.len();
            back -= piece.len();
            left -= piece.len();
        }
        if left > 0 {
            self.repeat_bytes(left, distance);
        }
        Ok(())
    }

    fn repeat_bytes(&mut self, length: usize, distance: usize) {
        repeat(
            &mut self.out[self.end - distance..self.end + length],
            distance,
        );
        self.end += length;
    }

    /// Sees to it that so many bytes can be written.
    fn make_room(&mut self, count: usize) -> Result<(), InflateError> {
        if self.end_max - self.end < count {
            return Err(InflateError::TooLarge { limit: self.limit });
        }
        if self.out.len() - self.end < count + ROOM_BYTES {
            // Half as much again as there is, so that room is made a few times only.
            self.grow((self.out.len() / 2).max(count + ROOM_BYTES));
        }
        Ok(())
    }

    fn grow(&mut self, count: usize) {
        let length = self.end.saturating_add(count).min(self.end_max);
        if length > self.out.len() {
            self.out.reserve_exact(length - self.out.len());
            self.out.resize(length, 0);
        }
    }
}

impl<'a> Room<'a> {
    /// Whether there is room for a repetition, or some literals, in any case.
    #[inline]
    pub(super) fn is_ample(&self) -> bool {
        self.bytes.len() - self.written >= ROOM_BYTES
    }

    /// How many bytes have been written, with those of before.
    #[inline]
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Only while the room [is ample](Self::is_ample), and two more.
    #[inline]
    pub(super) fn literal(&mut self, byte: u8) {
        self.bytes[self.written] = byte;
        self.written += 1;
    }

    /// Repeats so many bytes, or says no if they are not in one piece. Only while the room is ample.
    #[inline]
    pub(super) fn repetition(&mut self, length: usize, distance: usize) -> bool {
        if distance > self.window_bytes {
            return false;
        }
        if distance > self.written {
            let Some(piece) = self.window_piece(length, distance - self.written) else {
                return false;
            };
            self.bytes[self.written..][..length].copy_from_slice(piece);
            self.written += length;
            return true;
        }
        let bytes = &mut self.bytes[self.written - distance..];
        if distance >= COPY_BYTES {
            // Whole groups; the last may go too far, and is written over.
            let bytes = &mut bytes[..distance + length + COPY_BYTES];
            let mut at = 0;
            while at < length {
                let mut group = [0; COPY_BYTES];
                group.copy_from_slice(&bytes[at..at + COPY_BYTES]);
                bytes[at + distance..at + distance + COPY_BYTES].copy_from_slice(&group);
                at += COPY_BYTES;
            }
        } else {
            repeat(&mut bytes[..distance + length], distance);
        }
        self.written += length;
        true
    }

    /// So many bytes of so far back in the window.
    #[inline]
    fn window_piece(&self, length: usize, back: usize) -> Option<&'a [u8]> {
        match self.newer.len().checked_sub(back) {
            Some(at) => self.newer.get(at..at + length),
            None => {
                let at = (self.older.len() + self.newer.len()).checked_sub(back)?;
                self.older.get(at..at + length)
            }
        }
    }
}

/// Writes each byte from what stands so far before it: those written are repeated again.
fn repeat(bytes: &mut [u8], distance: usize) {
    if distance == 1 {
        let byte = bytes[0];
        bytes.fill(byte);
    } else {
        for at in distance..bytes.len() {
            bytes[at] = bytes[at - distance];
        }
    }
}

/// How many bytes are copied at a time.
const COPY_BYTES: usize = 8;

/// Room for the longest repetition, and for a group too many.
const ROOM_BYTES: usize = 258 + COPY_BYTES;
