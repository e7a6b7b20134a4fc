//! Decompresses the messages of one connection.
//!
//! Source: RFC 7692 §7.2.2 and §7.2.3.

use std::fmt;

use super::block_reader::BlockReader;
use super::deflater::TAIL;
use super::history::{Output, Window};
use super::workspace::DeflateWorkspace;

/// The decompressor of one side of a connection.
///
/// Between messages it holds, with context takeover, what was received last, at most a window of it;
/// without, nothing. That cannot be given back, for the peer may refer to it. While a message comes
/// in pieces it holds a window in any case, and the codes of the block it is in: 7 KiB as a rule, at
/// most 50 KiB.
#[derive(Debug)]
pub struct Inflater {
    window_bits: u8,
    takeover: bool,
    window: Window,
    /// In the middle of a message.
    reader: Option<Box<BlockReader>>,
    /// Bytes of the message so far.
    length: usize,
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

impl Inflater {
    pub(super) fn new(window_bits: u8, takeover: bool) -> Self {
        Self {
            window_bits,
            takeover,
            window: Window::default(),
            reader: None,
            length: 0,
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
        let mut reader = self.take_reader(workspace);
        let start = out.len();
        let read = self.read(&mut reader, input, limit, out);
        self.reader = Some(reader);
        self.window.append(&out[start..], self.window_bytes());
        read
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
        let mut reader = self.take_reader(workspace);
        let start = out.len();
        let read = self.read(&mut reader, input, limit, out);
        let read = read.and_then(|()| self.read_end(&mut reader, out));
        workspace.give_reader(reader);
        self.length = 0;
        if self.takeover {
            self.window.append(&out[start..], self.window_bytes());
        } else {
            self.window = Window::default();
        }
        read
    }

    /// Heap memory held by this connection alone, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let reader = self.reader.as_ref();
        self.window.heap_bytes() + reader.map_or(0, |reader| reader.heap_bytes())
    }

    fn window_bytes(&self) -> usize {
        1 << self.window_bits
    }

    fn take_reader(&mut self, workspace: &mut DeflateWorkspace) -> Box<BlockReader> {
        let own = self.reader.take();
        own.unwrap_or_else(|| workspace.take_reader())
    }

    fn read(
        &mut self,
        reader: &mut BlockReader,
        input: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        let expected = (4 * input.len()).clamp(EXPECTED_BYTES_MIN, EXPECTED_BYTES_MAX);
        let length = (self.length, limit);
        let mut output = Output::new(&self.window, self.window_bytes(), out, length, expected);
        let read = reader.read(input, &mut output);
        self.length += output.finish();
        read
    }

    /// Reads the tail that messages are sent without. RFC 7692 §7.2.2.
    fn read_end(
        &mut self,
        reader: &mut BlockReader,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        // A last block should be followed by a byte 0, which begins what the tail completes (RFC 7692
        // §7.2.3.4). Some leave it out; that the message is complete is certain all the same.
        if reader.is_between_blocks() && reader.is_final() {
            return Ok(());
        }
        let mut output = Output::new(&self.window, self.window_bytes(), out, (0, 0), 0);
        let read = reader.read(&TAIL, &mut output);
        output.finish();
        match read {
            Ok(()) if reader.is_between_blocks() => Ok(()),
            _ => Err(InflateError::Truncated),
        }
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

/// For how many bytes room is made at first, however few or many came.
const EXPECTED_BYTES_MIN: usize = 512;
const EXPECTED_BYTES_MAX: usize = 64 * 1024;
