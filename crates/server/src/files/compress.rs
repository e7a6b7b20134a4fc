//! Compresses files as they are asked for.
//!
//! Files of up to [`KEPT_BYTES_MAX`] are compressed whole and once, and kept. Longer ones are compressed
//! anew while they are sent, so many at a time, since each takes memory for as long as its client reads.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use brotli::CompressorReader;
use flate2::Compression;
use flate2::read::GzEncoder;

use super::coding::ContentCoding;

/// What is tried to make content shorter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effort {
    /// Much: for short content that is made once and sent often.
    High,
    /// For longer content that is made once.
    Middle,
    /// For what is made anew each time.
    Low,
}

/// The content in this coding; `None` when that is not much shorter, or cannot be made.
pub(super) fn whole(coding: ContentCoding, content: &[u8]) -> Option<Vec<u8>> {
    let effort = match content.len() {
        0..HIGH_EFFORT_BYTES => Effort::High,
        _ => Effort::Middle,
    };
    let worth = content.len() - content.len() / 10;
    let mut made = Vec::with_capacity(content.len() / 3);
    let mut reader = reader(coding, content, effort).ok()?.take(worth as u64 + 1);
    reader.read_to_end(&mut made).ok()?;
    made.shrink_to_fit();
    (made.len() <= worth).then_some(made)
}

/// Gives what `input` gives in this coding.
pub(super) fn reader<'a>(
    coding: ContentCoding,
    input: impl Read + Send + 'a,
    effort: Effort,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match coding {
        ContentCoding::Br => {
            let quality = match effort {
                Effort::High => 9,
                Effort::Middle => 6,
                Effort::Low => 4,
            };
            Box::new(CompressorReader::new(
                input,
                BUFFER_BYTES,
                quality,
                WINDOW_BITS,
            ))
        }
        ContentCoding::Gzip => {
            let level = match effort {
                Effort::High => 9,
                Effort::Middle => 6,
                Effort::Low => 4,
            };
            Box::new(GzEncoder::new(input, Compression::new(level)))
        }
        ContentCoding::Zstd => {
            let level = match effort {
                Effort::High => 12,
                Effort::Middle => 6,
                Effort::Low => 3,
            };
            let mut encoder = zstd::stream::read::Encoder::new(input, level)?;
            encoder.window_log(WINDOW_BITS)?;
            Box::new(encoder)
        }
    })
}

/// How many files may be compressed while they are sent. Whoever comes when there is no slot gets its file
/// as it is.
#[derive(Debug, Default)]
pub(super) struct Slots(Arc<AtomicUsize>);

impl Slots {
    /// Takes a slot, until it is dropped; `None` when all are taken.
    pub(super) fn take(&self) -> Option<Slot> {
        let take = |count| (count < SLOTS).then_some(count + 1);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.ok().map(|_| Slot(Arc::clone(&self.0)))
    }
}

/// One of [`Slots`]. Gives itself back.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// Keeps it for as long as the reader lives.
    pub(super) fn hold<R: Read>(self, reader: R) -> impl Read + use<R> {
        Holding {
            reader,
            _slot: self,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Holding<R> {
    reader: R,
    _slot: Slot,
}

impl<R: Read> Read for Holding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// Shortest content that is compressed: a packet has room for as much, so nothing would arrive earlier.
pub(super) const COMPRESSED_BYTES_MIN: u64 = 1024;

/// Longest content that is compressed whole and kept, in bytes before it is: what a page's scripts have at
/// most.
pub(super) const KEPT_BYTES_MAX: u64 = 1024 * 1024;

/// Shorter content takes some milliseconds whatever the effort.
const HIGH_EFFORT_BYTES: usize = 64 * 1024;

/// How far back is looked for what comes again, as a power of two: 256 KiB. Farther takes more memory for
/// each file that is being sent, and shortens text little.
const WINDOW_BITS: u32 = 18;

const BUFFER_BYTES: usize = 16 * 1024;

/// Compressors take up to some MiB each.
const SLOTS: usize = 32;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const ALL: [ContentCoding; 3] =
        [ContentCoding::Br, ContentCoding::Zstd, ContentCoding::Gzip];

    /// What a client makes of it.
    pub(crate) fn decode(coding: ContentCoding, content: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match coding {
            ContentCoding::Br => brotli::Decompressor::new(content, 4096).read_to_end(&mut plain),
            ContentCoding::Gzip => flate2::read::GzDecoder::new(content).read_to_end(&mut plain),
            ContentCoding::Zstd => zstd::stream::read::Decoder::new(content)
                .unwrap()
                .read_to_end(&mut plain),
        }
        .unwrap();
        plain
    }

    #[test]
    fn text_becomes_shorter_and_comes_back() {
        let text = "the same words, time and again; ".repeat(100);
        for coding in ALL {
            let made = whole(coding, text.as_bytes()).unwrap();
            assert!(made.len() < text.len() / 4, "{coding:?}");
            assert_eq!(decode(coding, &made), text.as_bytes());
            for effort in [Effort::Low, Effort::Middle, Effort::High] {
                let mut read = Vec::new();
                let mut reader = reader(coding, text.as_bytes(), effort).unwrap();
                reader.read_to_end(&mut read).unwrap();
                assert_eq!(decode(coding, &read), text.as_bytes());
            }
        }
    }

    #[test]
    fn what_does_not_become_shorter_is_left() {
        let mut state = 1u32;
        let noise: Vec<u8> = (0..5000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        for coding in ALL {
            assert_eq!(whole(coding, &noise), None);
        }
    }

    #[test]
    fn slots_are_given_back() {
        let slots = Slots::default();
        let mut held: Vec<_> = (0..SLOTS)
            .map(|_| slots.take().unwrap().hold(io::empty()))
            .collect();
        assert!(slots.take().is_none());
        held.pop();
        assert!(slots.take().is_some());
        assert!(slots.take().is_some());
    }
}
