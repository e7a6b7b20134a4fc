//! Content that is made of several pieces, of memory and of open files.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

/// A part of a response's content that is there already.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes in memory, sent without being copied if there are many.
    Bytes(Bytes),
    /// Bytes of an open file.
    File(FilePart),
}

impl Piece {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(part) => part.length,
        }
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<FilePart> for Piece {
    fn from(part: FilePart) -> Self {
        Self::File(part)
    }
}

/// A part of an open file. Sent without being copied through user space where the platform can.
///
/// The file's own position is not used, so that one open file may serve many responses at a time. It must be a regular file, opened for reading.
///
/// It is read while it is sent, and what the system has taken to send it may still share with the file:
/// what others write into it meanwhile may be sent. Replace a file that is served by another of its name,
/// do not write into it. If it turns out shorter than announced, or cannot be read, the connection ends, or
/// the HTTP/2 stream is reset, since the response's head is already out: nothing is made up for what is
/// missing.
#[derive(Clone, Debug)]
pub struct FilePart {
    file: Arc<File>,
    offset: u64,
    length: u64,
    is_in_memory: bool,
}

impl FilePart {
    /// `length` bytes of `file` that begin at `offset`.
    ///
    /// Nothing is asked of the file here: a part that reaches past its end is met when it is sent.
    pub const fn new(file: Arc<File>, offset: u64, length: u64) -> Self {
        Self {
            file,
            offset,
            length,
            is_in_memory: false,
        }
    }

    /// Says that the system was found to have the part in memory a moment ago, so that nobody has to look.
    ///
    /// Whoever sends it waits for the disk if that is so no more.
    #[must_use]
    pub const fn found_in_memory(mut self) -> Self {
        self.is_in_memory = true;
        self
    }

    /// Whether it was [found in memory](Self::found_in_memory).
    pub const fn is_in_memory(&self) -> bool {
        self.is_in_memory
    }

    /// The file.
    pub const fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Where the part begins, in bytes from the file's beginning.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The part's length in bytes.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Takes the first `count` bytes off, or all if there are fewer.
    pub fn split_to(&mut self, count: u64) -> Self {
        let count = count.min(self.length);
        let mut first = Self::new(Arc::clone(&self.file), self.offset, count);
        first.is_in_memory = self.is_in_memory;
        // Saturating: an offset past all offsets is past the file's end, and met there.
        self.offset = self.offset.saturating_add(count);
        self.length -= count;
        first
    }
}

/// The length of content made of these pieces.
pub(crate) fn total_length(pieces: &[Piece]) -> u64 {
    // Saturating: no files are so long that their parts sum up to more, which is met as a file that is
    // too short.
    pieces
        .iter()
        .map(Piece::length)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64, length: u64) -> FilePart {
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        FilePart::new(Arc::new(file), offset, length)
    }

    #[test]
    fn what_is_split_off_comes_first() {
        let mut rest = part(10, 100);
        let first = rest.split_to(30);
        assert_eq!((first.offset(), first.length()), (10, 30));
        assert_eq!((rest.offset(), rest.length()), (40, 70));
        let last = rest.split_to(1000);
        assert_eq!((last.offset(), last.length()), (40, 70));
        assert_eq!(rest.length(), 0);
    }

    #[test]
    fn lengths_sum_up_and_do_not_overflow() {
        let bytes = Piece::from(Bytes::from_static(b"bytes"));
        let pieces = [bytes, part(1, 7).into()];
        assert_eq!(total_length(&pieces), 12);
        assert_eq!(total_length(&[]), 0);
        let absurd = [part(0, u64::MAX).into(), part(0, 7).into()];
        assert_eq!(total_length(&absurd), u64::MAX);
        assert_eq!(part(u64::MAX, 9).split_to(3).length(), 3);
    }
}
