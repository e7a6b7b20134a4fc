//! What the connections of one thread share, because each needs it only while a message is worked on.

use std::fmt;

use zlib_rs::Inflate;

use super::compressor::Compressor;

/// Memory for compressing and decompressing, for any number of connections, one after the other.
///
/// Have one for each thread that works on connections. A connection's own state is in its
/// [`Inflater`](super::Inflater) and [`Deflater`](super::Deflater); it may move to another workspace
/// at any time.
pub struct DeflateWorkspace {
    /// Decompressors without a message. 47 KiB each.
    inflates: Vec<Inflate>,
    /// Compressors that have forgotten all. [`DeflateSettings`](super::DeflateSettings) says what each
    /// takes.
    #[expect(clippy::vec_box, reason = "connections hold them boxed")]
    compressors: Vec<Box<Compressor>>,
    /// Where bytes are put before it is known how many they are.
    pub(super) produced: Box<[u8]>,
    /// The last short message that was decompressed.
    pub(in crate::websocket) inflated: Vec<u8>,
}

impl DeflateWorkspace {
    /// A workspace that has grown nothing yet.
    pub fn new() -> Self {
        Self {
            inflates: Vec::new(),
            compressors: Vec::new(),
            produced: vec![0; PRODUCED_BYTES].into(),
            inflated: Vec::new(),
        }
    }

    pub(super) fn take_inflate(&mut self) -> Inflate {
        let free = self.inflates.pop();
        free.unwrap_or_else(|| Inflate::new(false, 15))
    }

    pub(super) fn give_inflate(&mut self, inflate: Inflate) {
        if self.inflates.len() < FREE_MAX {
            self.inflates.push(inflate);
        }
    }

    pub(super) fn take_compressor(&mut self, window_bits: u8, mem_level: u8) -> Box<Compressor> {
        let mut free = self.compressors.iter();
        match free.rposition(|compressor| compressor.is_of(window_bits, mem_level)) {
            Some(index) => self.compressors.swap_remove(index),
            None => Box::new(Compressor::new(window_bits, mem_level)),
        }
    }

    pub(super) fn give_compressor(&mut self, mut compressor: Box<Compressor>) {
        if self.compressors.len() < FREE_MAX {
            compressor.forget();
            self.compressors.push(compressor);
        }
    }
}

impl Default for DeflateWorkspace {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeflateWorkspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeflateWorkspace")
            .field("inflates", &self.inflates.len())
            .field("compressors", &self.compressors.len())
            .finish_non_exhaustive()
    }
}

/// How many of each kind are kept: one compressor for each window there can be. One is in use at a time,
/// but for messages that come or go in pieces.
const FREE_MAX: usize = 8;

/// Large enough that few messages take more than one turn, small enough for the processor's cache.
const PRODUCED_BYTES: usize = 16 * 1024;
