//! Decompresses the messages of one connection.
//!
//! Source: RFC 7692 §7.2.2 and §7.2.3.

use std::collections::VecDeque;
use std::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::compressor::TAIL;
use super::workspace::DeflateWorkspace;

/// The decompressor of one side of a connection.
///
/// Between messages it holds, with context takeover, what was received last, at most a window of it;
/// without, nothing. That cannot be given back, for the peer may refer to it. While a message comes
/// in pieces it holds a window in any case, and zlib's decompressor of 47 KiB.
pub struct Inflater {
    takeover: bool,
    window: Window,
    /// In the middle of a message.
    message: Option<Box<Message>>,
}

/// Why a message cannot be decompressed. The peer is at fault; the connection must fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InflateError {
    /// The message is longer than allowed: close code 1009.
    TooLarge {
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// The payload is not DEFLATE data, or refers to what was never sent: close code 1007.
    Malformed,
    /// The message ends within a block: close code 1007.
    Truncated,
}

/// What was received last.
struct Window {
    bytes_max: usize,
    bytes: VecDeque<u8>,
}

/// A message that has begun.
struct Message {
    inflate: Inflate,
    /// Bytes of the message so far.
    length: usize,
    /// Whether the last byte so far ended a block that says it is the last one.
    is_final: bool,
}

/// Where the bytes of a message go.
struct Output<'a> {
    out: &'a mut Vec<u8>,
    /// Where the bytes of this part of the message begin.
    start: usize,
    /// How long the message may be.
    limit: usize,
    /// Where bytes are put before it is known how many they are.
    produced: &'a mut [u8],
}

impl Inflater {
    pub(super) fn new(window_bits: u8, takeover: bool) -> Self {
        Self {
            takeover,
            window: Window {
                bytes_max: 1 << window_bits.min(15),
                bytes: VecDeque::new(),
            },
            message: None,
        }
    }

    /// Decompresses a part of a message, not its last: appends what comes out of it.
    ///
    /// The message, from its beginning, may get as long as `limit` bytes. However much more there
    /// is in `input`, that is where this ends.
    ///
    /// # Errors
    ///
    /// The message cannot be decompressed; nor can any after it. `out` may have got a part of it.
    pub fn inflate_part(
        &mut self,
        input: &[u8],
        limit: usize,
        workspace: &mut DeflateWorkspace,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        let mut message = match self.message.take() {
            Some(message) => message,
            None => Box::new(Message::begin(workspace.take_inflate(), &self.window)?),
        };
        let start = out.len();
        let mut output = Output::new(out, limit, &mut workspace.produced);
        message.take(input, &self.window, &mut output)?;
        self.message = Some(message);
        self.window.append(&out[start..]);
        Ok(())
    }

    /// Decompresses the last part of a message, or a whole one.
    ///
    /// # Errors
    ///
    /// As of [`inflate_part`](Self::inflate_part), or the message is not complete.
    pub fn inflate_last(
        &mut self,
        input: &[u8],
        limit: usize,
        workspace: &mut DeflateWorkspace,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        let mut message = match self.message.take() {
            Some(message) => *message,
            None => Message::begin(workspace.take_inflate(), &self.window)?,
        };
        let start = out.len();
        let mut output = Output::new(out, limit, &mut workspace.produced);
        message.take(input, &self.window, &mut output)?;
        message.end()?;
        workspace.give_inflate(message.inflate);
        match self.takeover {
            true => self.window.append(&out[start..]),
            false => self.window.bytes = VecDeque::new(),
        }
        Ok(())
    }

    /// Heap memory held by this connection alone, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let message = self.message.as_ref();
        self.window.bytes.capacity() + message.map_or(0, |_| size_of::<Message>() + INFLATE_BYTES)
    }
}

impl Message {
    fn begin(inflate: Inflate, window: &Window) -> Result<Self, InflateError> {
        let mut message = Self {
            inflate,
            length: 0,
            is_final: false,
        };
        message.restart(window, &[])?;
        Ok(message)
    }

    /// Expects the beginning of a block, which may refer to what is in the window and what came
    /// after it.
    fn restart(&mut self, window: &Window, newest: &[u8]) -> Result<(), InflateError> {
        self.inflate.reset(false);
        self.is_final = false;
        let (older, newer) = window.bytes.as_slices();
        for bytes in [older, newer, newest] {
            if !bytes.is_empty() {
                // Raw DEFLATE data takes one at any time; so this does not fail.
                let set = self.inflate.set_dictionary(bytes);
                set.map_err(|_| InflateError::Malformed)?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        mut input: &[u8],
        window: &Window,
        output: &mut Output<'_>,
    ) -> Result<(), InflateError> {
        while !input.is_empty() {
            if self.is_final {
                // RFC 7692 §7.2.3.4: a block may say it is the last one, and more may follow, from
                // the next whole byte on.
                self.restart(window, &output.out[output.start..])?;
            }
            input = self.take_blocks(input, output)?;
        }
        Ok(())
    }

    /// Takes all, or as far as a block that says it is the last one. What is left.
    fn take_blocks<'i>(
        &mut self,
        mut input: &'i [u8],
        output: &mut Output<'_>,
    ) -> Result<&'i [u8], InflateError> {
        loop {
            // One byte more than allowed is asked for, to see that there is more.
            let left = output.limit.saturating_sub(self.length);
            let room = output.produced.len().min(left.saturating_add(1));
            let (consumed, made, status) = self.decompress(input, &mut output.produced[..room])?;
            if made > left {
                let limit = output.limit;
                return Err(InflateError::TooLarge { limit });
            }
            output.append(made, left);
            self.length += made;
            input = &input[consumed..];
            if status == Status::StreamEnd {
                self.is_final = true;
                return Ok(input);
            }
            if made < room {
                // All that could come out has come out.
                if input.is_empty() {
                    return Ok(input);
                }
                if consumed == 0 {
                    return Err(InflateError::Malformed);
                }
            }
        }
    }

    /// Whether the message may end here.
    fn end(&mut self) -> Result<(), InflateError> {
        if self.is_final {
            // Such a block should be followed by a byte 0 (RFC 7692 §7.2.3.4). Some leave it out;
            // that the message is complete is certain all the same.
            return Ok(());
        }
        // RFC 7692 §7.2.2: the tail that messages are sent without. If the message is complete, the
        // tail completes an empty block, and an empty one that says it is the last can follow.
        let mut end = [0; TAIL.len() + LAST_BLOCK.len()];
        end[..TAIL.len()].copy_from_slice(&TAIL);
        end[TAIL.len()..].copy_from_slice(&LAST_BLOCK);
        match self.decompress(&end, &mut [0; 1]) {
            Ok((consumed, 0, Status::StreamEnd)) if consumed == end.len() => Ok(()),
            _ => Err(InflateError::Truncated),
        }
    }

    /// How many bytes were consumed and made.
    fn decompress(
        &mut self,
        input: &[u8],
        made: &mut [u8],
    ) -> Result<(usize, usize, Status), InflateError> {
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, made, InflateFlush::SyncFlush)
            .map_err(|_| InflateError::Malformed)?;
        let consumed = self.inflate.total_in() - before.0;
        let made = self.inflate.total_out() - before.1;
        Ok((consumed as usize, made as usize, status))
    }
}

impl<'a> Output<'a> {
    fn new(out: &'a mut Vec<u8>, limit: usize, produced: &'a mut [u8]) -> Self {
        let start = out.len();
        Self {
            out,
            start,
            limit,
            produced,
        }
    }

    /// Appends what was produced. Room is made for it and as much as there is, but for no more than is
    /// `left` to the message.
    fn append(&mut self, made: usize, left: usize) {
        if made > self.out.capacity() - self.out.len() {
            let more = made.max(self.out.len()).min(left);
            self.out.reserve_exact(more);
        }
        self.out.extend_from_slice(&self.produced[..made]);
    }
}

impl Window {
    fn append(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.bytes_max)..];
        let gone = (self.bytes.len() + bytes.len()).saturating_sub(self.bytes_max);
        self.bytes.drain(..gone);
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            // No more than a window, which doubling would come to.
            let capacity = needed.max(2 * self.bytes.capacity()).min(self.bytes_max);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater")
            .field("takeover", &self.takeover)
            .field("in_message", &self.message.is_some())
            .field("heap_bytes", &self.heap_bytes())
            .finish()
    }
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => {
                write!(f, "message decompresses to more than {limit} bytes")
            }
            Self::Malformed => f.write_str("payload is not DEFLATE data"),
            Self::Truncated => f.write_str("compressed message ends within a block"),
        }
    }
}

impl std::error::Error for InflateError {}

/// An empty stored block that says it is the last. RFC 1951 §3.2.3.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// What a decompressor takes, measured.
const INFLATE_BYTES: usize = 47_552;
