//! What the connections of one thread share, because each needs it only while a message is worked on.

use super::block_reader::BlockReader;
use super::matcher::Matcher;
use super::tokens::Tokens;

/// Memory for compressing and decompressing, for any number of connections, one after the other.
///
/// Have one for each thread that works on connections. A connection's own state is in its
/// [`Inflater`](super::Inflater) and [`Deflater`](super::Deflater); it may move to another workspace
/// at any time.
pub struct DeflateWorkspace {
    /// Decompressors without a message.
    #[expect(clippy::vec_box, reason = "connections hold them boxed")]
    readers: Vec<Box<BlockReader>>,
    /// Windows of compressors, all forgotten.
    matchers: Vec<Matcher>,
    pub(super) tokens: Tokens,
    /// The last short message that was decompressed.
    pub(in crate::websocket) inflated: Vec<u8>,
}

impl DeflateWorkspace {
    /// A workspace that has grown nothing yet.
    pub fn new() -> Self {
        Self {
            readers: Vec::new(),
            matchers: Vec::new(),
            tokens: Tokens::new(),
            inflated: Vec::new(),
        }
    }

    pub(super) fn take_reader(&mut self) -> Box<BlockReader> {
        let free = self.readers.pop();
        free.unwrap_or_else(|| Box::new(BlockReader::new()))
    }

    pub(super) fn give_reader(&mut self, mut reader: Box<BlockReader>) {
        if self.readers.len() < FREE_MAX {
            reader.restart();
            self.readers.push(reader);
        }
    }

    pub(super) fn take_matcher(&mut self, window_bits: u8, mem_level: u8) -> Matcher {
        let fitting = |matcher: &Matcher| matcher.is_of(window_bits, mem_level);
        match self.matchers.iter().rposition(fitting) {
            Some(index) => self.matchers.swap_remove(index),
            None => Matcher::new(window_bits, mem_level),
        }
    }

    pub(super) fn give_matcher(&mut self, mut matcher: Matcher) {
        if self.matchers.len() < FREE_MAX {
            matcher.forget();
            self.matchers.push(matcher);
        }
    }
}

impl Default for DeflateWorkspace {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for DeflateWorkspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeflateWorkspace")
            .field("readers", &self.readers.len())
            .field("matchers", &self.matchers.len())
            .finish_non_exhaustive()
    }
}

/// How many of each kind are kept. One is in use at a time, but for messages that come or go in
/// pieces.
const FREE_MAX: usize = 8;
