//! DEFLATE blocks from bytes: zlib-rs's compressor, with what it was made for and what it takes.
//!
//! Which messages are compressed, and what they may refer to, is the [`Deflater`](super::Deflater)'s
//! matter. Source: RFC 7692 §7.2.1.

use std::mem;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Strategy};

/// A compressor at the beginning of a block, on a whole byte.
pub(super) struct Compressor {
    deflate: Deflate,
    window_bits: u8,
    mem_level: u8,
    /// What was compressed is not to be referred to.
    is_stale: bool,
}

impl Compressor {
    /// With a window of 8 to 15 bits and a memory level of 1 to 9.
    pub(super) fn new(window_bits: u8, mem_level: u8) -> Self {
        // zlib cannot keep to a window of 256 bytes, which RFC 7692 allows. Repeating the byte before
        // and no other keeps to any.
        let strategy = match window_bits {
            8 => Strategy::Rle,
            _ => Strategy::Default,
        };
        let deflate = Deflate::new_with_config(DeflateConfig {
            level: LEVEL,
            // Negative: DEFLATE data without a zlib header.
            window_bits: -i32::from(zlib_window_bits(window_bits)),
            mem_level: mem_level.into(),
            strategy,
            ..DeflateConfig::default()
        });
        Self {
            deflate,
            window_bits,
            mem_level,
            is_stale: false,
        }
    }

    pub(super) fn is_of(&self, window_bits: u8, mem_level: u8) -> bool {
        (self.window_bits, self.mem_level) == (window_bits, mem_level)
    }

    /// Forgets what was compressed.
    ///
    /// That clears 128 KiB, and so is put off: a connection may have to forget many broadcasts before
    /// it compresses again.
    pub(super) fn forget(&mut self) {
        self.is_stale = true;
    }

    /// Appends the blocks of these bytes and the flush, without the tail.
    pub(super) fn compress(&mut self, mut bytes: &[u8], produced: &mut [u8], out: &mut Vec<u8>) {
        if bytes.is_empty() {
            // The head of an empty block, which zlib does not write twice in a row.
            return out.push(0);
        }
        if mem::take(&mut self.is_stale) {
            self.deflate.reset();
        }
        loop {
            let before = (self.deflate.total_in(), self.deflate.total_out());
            self.deflate
                .compress(bytes, produced, DeflateFlush::SyncFlush)
                .expect("the stream is never finished, and only then it takes no more");
            let consumed = self.deflate.total_in() - before.0;
            let made = (self.deflate.total_out() - before.1) as usize;
            bytes = &bytes[consumed as usize..];
            out.extend_from_slice(&produced[..made]);
            // With room left, all that was taken has been flushed.
            if bytes.is_empty() && made < produced.len() {
                break;
            }
        }
        debug_assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
    }

    /// Memory it takes, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        // Two windows, a chain with two bytes for each of a window's, and for each symbol of a block
        // four bytes of output and three of its own.
        let window = 4 << zlib_window_bits(self.window_bits);
        let symbols = 7 << (self.mem_level + 6);
        size_of::<Self>() + window + symbols + TABLE_BYTES + STATE_BYTES
    }
}

fn zlib_window_bits(window_bits: u8) -> u8 {
    window_bits.max(9)
}

/// What a message's payload is sent without. RFC 7692 §7.2.1.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Messages wait to be sent while they are compressed. JSON in messages of 4 KiB comes to 28 % of its
/// length at level 1 and 24 % at level 2, which takes three times as long.
const LEVEL: i32 = 1;

/// Where zlib-rs looks for repetitions, the same for each window.
const TABLE_BYTES: usize = 128 * 1024;

/// The rest of zlib-rs's state, measured.
const STATE_BYTES: usize = 3200;
