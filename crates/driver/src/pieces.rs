//! Content made of pieces: what is left of it, and what its files have.
//!
//! A file is sent by the loop where nothing has to see its bytes ([`Pieces::split_window`]), and read
//! otherwise, straight to where it goes out from ([`Pieces::read`]). What is not in memory is read by
//! others ([`FileReader`]), a window at a time: no response holds more, whatever its length.

use std::io::{self, ErrorKind};
use std::task::Waker;

use bytes::Bytes;
use tidegate_httpapi::{FilePart, Piece};
use tidegate_os::{FileRange, append_now, is_in_memory};

use crate::file_reader::{AHEAD_BYTES, FileReader, Reading};
use crate::output::{Output, Pool};

/// What is left of content made of pieces.
pub(crate) struct Pieces {
    /// What comes first, in memory.
    ready: Bytes,
    /// What comes then.
    file: Option<FilePart>,
    /// And then.
    rest: std::vec::IntoIter<Piece>,
    /// Somebody reads the file's beginning.
    reading: Option<Reading>,
}

/// What comes next.
pub(crate) enum Next {
    /// Bytes, to be [taken](Pieces::take_bytes).
    Bytes,
    /// A file, to be read or sent.
    File,
    /// Bytes that are being read.
    Waiting,
    /// Nothing.
    End,
    /// It cannot go on.
    Broken(io::Error),
}

impl Pieces {
    pub(crate) fn new(pieces: Vec<Piece>) -> Self {
        Self {
            ready: Bytes::new(),
            file: None,
            rest: pieces.into_iter(),
            reading: None,
        }
    }

    pub(crate) fn next(&mut self) -> Next {
        if let Some(reading) = &self.reading {
            let Some(outcome) = reading.take() else {
                return Next::Waiting;
            };
            self.reading = None;
            match (outcome, &mut self.file) {
                (Err(error), _) => return Next::Broken(error),
                (Ok(bytes), Some(file)) if !bytes.is_empty() => {
                    file.split_to(bytes.len() as u64);
                    self.ready = bytes.into();
                }
                _ => return Next::Broken(ended()),
            }
        }
        loop {
            if !self.ready.is_empty() {
                return Next::Bytes;
            }
            if self.file.as_ref().is_some_and(|file| file.length() > 0) {
                return Next::File;
            }
            match self.rest.next() {
                None => return Next::End,
                Some(Piece::Bytes(bytes)) => self.ready = bytes,
                Some(Piece::File(file)) => self.file = Some(file),
            }
        }
    }

    /// Takes the bytes that come next.
    pub(crate) fn take_bytes(&mut self) -> Bytes {
        std::mem::take(&mut self.ready)
    }

    /// What is left of the file that comes next.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, FilePart::length)
    }

    /// Whether nothing comes after the file that comes next.
    pub(crate) fn is_last_file(&self) -> bool {
        self.rest.as_slice().iter().all(|piece| piece.length() == 0)
    }

    /// Appends some of the file that comes next, at most `max` bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`]: it must be [read by others](Self::read_later). Otherwise it cannot be read.
    pub(crate) fn read(&mut self, memory: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        let max = usize::try_from(file.length()).map_or(max, |length| length.min(max));
        let count = append_now(memory, file.file(), file.offset(), max)?;
        file.split_to(count as u64);
        Ok(count)
    }

    /// Has the file that comes next be read by others, who wake `waker` then.
    pub(crate) fn read_later(&mut self, reader: &FileReader, waker: &Waker) {
        if let Some(file) = &self.file {
            self.reading = Some(reader.read(range(file), waker.clone()));
        }
    }

    /// Takes a window of the file that comes next, to be sent, at most `max` bytes, if it is in memory.
    pub(crate) fn split_window(&mut self, reader: &FileReader, max: u64) -> Option<FileRange> {
        let file = self.file.as_mut()?;
        let mut window = range(file);
        window.length = window.length.min(SENT_BYTES).min(max);
        let is_known = file.is_in_memory();
        if !is_known && !is_in_memory(&window) {
            return None;
        }
        file.split_to(window.length);
        if is_known {
            return Some(window);
        }
        let mut follows = range(file);
        follows.length = follows.length.min(AHEAD_BYTES);
        // Who comes to what is missing may have to wait; with luck it is there by then.
        if !is_in_memory(&follows) {
            reader.read_ahead(follows);
        }
        Some(window)
    }

    /// Appends all of it, if it is short and in memory. If it does not, it may have appended the beginning.
    pub(crate) fn append_short(&mut self, output: &mut Output, pool: &mut Pool) -> bool {
        let mut room = SENT_MIN as usize - 1;
        loop {
            let count = match self.next() {
                Next::End => return true,
                Next::Bytes => {
                    let bytes = self.take_bytes();
                    let count = bytes.len();
                    output.append(pool, bytes);
                    count
                }
                Next::File if self.file_bytes() <= room as u64 => {
                    match self.read(output.open_end(pool), room) {
                        Ok(count) => count,
                        // Met again, by who can do something about it.
                        Err(_) => return false,
                    }
                }
                Next::File | Next::Waiting | Next::Broken(_) => return false,
            };
            room = room.saturating_sub(count);
        }
    }
}

fn range(part: &FilePart) -> FileRange {
    FileRange {
        file: part.file().clone(),
        offset: part.offset(),
        length: part.length(),
    }
}

fn ended() -> io::Error {
    io::Error::new(
        ErrorKind::UnexpectedEof,
        "a file is shorter than it was when it was announced",
    )
}

/// Files, or what is left of them, shorter than this are read and joined with what goes out around them:
/// up to there, that was measured to cost less than to have the loop send them.
pub(crate) const SENT_MIN: u64 = 32 * 1024;

/// Given to the loop at a time. What is beyond it may have left memory when its turn comes.
const SENT_BYTES: u64 = 512 * 1024;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(file)
    }

    fn pattern(length: u32) -> Vec<u8> {
        (0..length).map(|number| (number / 5) as u8).collect()
    }

    /// Mixed pieces, and what they are.
    fn mixed() -> (Pieces, Vec<u8>) {
        let content = pattern(700_000);
        let file = file(&content);
        let pieces = vec![
            Bytes::from_static(b"first").into(),
            FilePart::new(Arc::clone(&file), 100, 600_000).into(),
            FilePart::new(Arc::clone(&file), 7, 0).into(),
            Bytes::new().into(),
            FilePart::new(file, 699_999, 1).into(),
            Bytes::from_static(b"last").into(),
        ];
        let parts = [
            b"first",
            &content[100..600_100],
            &content[699_999..],
            b"last",
        ];
        (Pieces::new(pieces), parts.concat())
    }

    /// Takes all, with `take_file` for what is of files.
    fn take(
        mut pieces: Pieces,
        mut take_file: impl FnMut(&mut Pieces, &mut Vec<u8>),
    ) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            match pieces.next() {
                Next::End => return Ok(content),
                Next::Bytes => content.extend_from_slice(&pieces.take_bytes()),
                Next::File => take_file(&mut pieces, &mut content),
                Next::Waiting => thread::yield_now(),
                Next::Broken(error) => return Err(error),
            }
        }
    }

    #[test]
    fn pieces_come_in_order_however_they_are_taken() {
        let reader = FileReader::default();
        let later = |pieces: &mut Pieces| pieces.read_later(&reader, Waker::noop());
        let (pieces, wanted) = mixed();
        let content = take(pieces, |pieces, _| later(pieces));
        assert!(content.unwrap() == wanted);
        let (pieces, wanted) = mixed();
        let content = take(pieces, |pieces, content| {
            if pieces.read(content, 10_000).is_err() {
                later(pieces);
            }
        });
        assert!(content.unwrap() == wanted);
        let (pieces, wanted) = mixed();
        let content = take(pieces, |pieces, content| {
            let before = pieces.file_bytes();
            match pieces.split_window(&reader, u64::MAX) {
                Some(range) => {
                    assert!(range.length <= SENT_BYTES);
                    assert_eq!(pieces.file_bytes(), before - range.length);
                    let max = range.length as usize;
                    tidegate_os::append_at(content, &range.file, range.offset, max).unwrap();
                }
                None => later(pieces),
            }
        });
        assert!(content.unwrap() == wanted);
    }

    #[test]
    fn a_file_that_is_too_short_is_an_error() {
        let reader = FileReader::default();
        let part = FilePart::new(file(b"12345"), 2, 4);
        let pieces = Pieces::new(vec![part.into()]);
        let outcome = take(pieces, |pieces, content| {
            assert!(pieces.split_window(&reader, u64::MAX).is_none());
            match pieces.read(content, 100) {
                Ok(count) => assert!((1..=3).contains(&count)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    pieces.read_later(&reader, Waker::noop());
                }
            }
        });
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_short_is_appended_whole() {
        let is_short = |length: u32| {
            let content = pattern(length);
            let file = FilePart::new(file(&content), 0, length.into());
            let pieces = vec![Bytes::from_static(b"before").into(), file.into()];
            let (mut output, mut pool) = (Output::default(), Pool::default());
            let mut pieces = Pieces::new(pieces);
            let done = pieces.append_short(&mut output, &mut pool);
            if done {
                assert!(output.take(&mut pool).head == [b"before", &content[..]].concat());
            }
            done
        };
        // Unless the platform cannot tell what is in memory.
        assert_eq!(is_short(1_000), cfg!(target_os = "linux"));
        assert!(is_short(0));
        assert!(!is_short(SENT_MIN as u32));
    }
}
