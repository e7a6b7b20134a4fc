//! Parts of files: reading them at given places, with and without waiting for the disk.
//!
//! The position of an open file is not used, so that one may be read by many at once.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use crate::platform;

/// A part of an open file, to be sent.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// A regular file, opened for reading.
    pub file: Arc<File>,
    /// Where it begins, in bytes from the file's beginning.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// Appends what the file has from `offset` on, at most `max` bytes, and says how many.
///
/// Waits for the disk as long as it takes. 0 is the file's end.
///
/// # Errors
///
/// The file cannot be read: it was not opened for it, is a directory, or its disk fails.
pub fn append_at(memory: &mut Vec<u8>, file: &File, offset: u64, max: usize) -> io::Result<usize> {
    if max == 0 || offset > OFFSET_MAX {
        return Ok(0);
    }
    let begin = memory.len();
    memory.resize(begin + max, 0);
    let outcome = loop {
        match platform::read_at(file, &mut memory[begin..], offset) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => break outcome,
        }
    };
    memory.truncate(begin + *outcome.as_ref().unwrap_or(&0));
    outcome
}

/// As [`append_at`], if that need not wait: fewer bytes may come than are there. Never 0, unless `max` is.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`]: the bytes are not in memory, or at the file's end there are none, or the
/// system cannot tell. Otherwise as [`append_at`].
pub fn append_now(memory: &mut Vec<u8>, file: &File, offset: u64, max: usize) -> io::Result<usize> {
    if max == 0 {
        return Ok(0);
    }
    if offset > OFFSET_MAX {
        return Err(ErrorKind::WouldBlock.into());
    }
    loop {
        match platform::append_now(memory, file, offset, max) {
            // Who waits for it learns whether this is the end indeed.
            Ok(0) => return Err(ErrorKind::WouldBlock.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Whether sending a part of a file would not wait for the disk, as far as its first and its last byte tell.
///
/// `false` as well where the system cannot tell.
#[must_use]
pub fn is_in_memory(range: &FileRange) -> bool {
    let Some(last) = range.length.checked_sub(1) else {
        return true;
    };
    let mut byte = Vec::new();
    let mut at = |offset| {
        byte.clear();
        append_now(&mut byte, &range.file, offset, 1).is_ok()
    };
    at(range.offset) && (last == 0 || at(range.offset.saturating_add(last)))
}

/// Asks the system to read a part of a file soon. May wait a little itself.
pub fn read_ahead(range: &FileRange) {
    if range.length > 0 && range.offset <= OFFSET_MAX {
        platform::read_ahead(&range.file, range.offset, range.length);
    }
}

/// No file is longer: systems count in signed numbers.
const OFFSET_MAX: u64 = i64::MAX as u64;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(file)
    }

    fn read(file: &File, offset: u64, max: usize) -> Vec<u8> {
        let mut memory = b"before ".to_vec();
        let count = append_at(&mut memory, file, offset, max).unwrap();
        assert_eq!(memory.len(), 7 + count);
        memory.split_off(7)
    }

    #[test]
    fn bytes_are_read_where_they_are_wanted() {
        let file = file(b"0123456789");
        assert_eq!(read(&file, 3, 4), b"3456");
        assert_eq!(read(&file, 0, 100), b"0123456789");
        assert_eq!(read(&file, 9, 100), b"9");
        assert_eq!(read(&file, 10, 100), b"");
        assert_eq!(read(&file, u64::MAX, 100), b"");
        assert_eq!(read(&file, 5, 0), b"");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_just_written_need_not_be_waited_for() {
        let file = file(b"0123456789");
        let mut memory = b"before ".to_vec();
        assert_eq!(append_now(&mut memory, &file, 3, 4).unwrap(), 4);
        assert_eq!(memory, b"before 3456");
    }

    #[test]
    fn the_end_is_not_told_without_waiting() {
        let file = file(b"0123456789");
        for offset in [10, 1 << 40, OFFSET_MAX, u64::MAX] {
            let mut memory = Vec::new();
            let error = append_now(&mut memory, &file, offset, 4).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            assert!(memory.is_empty());
        }
        let range = |offset, length| FileRange {
            file: Arc::clone(&file),
            offset,
            length,
        };
        assert!(!is_in_memory(&range(0, 11)));
        assert!(!is_in_memory(&range(u64::MAX, u64::MAX)));
        assert!(is_in_memory(&range(0, 0)));
        assert_eq!(is_in_memory(&range(0, 10)), cfg!(target_os = "linux"));
        assert_eq!(is_in_memory(&range(9, 1)), cfg!(target_os = "linux"));
        // Only a wish: nothing to see but that it is allowed anywhere.
        read_ahead(&range(0, 10));
        read_ahead(&range(u64::MAX, u64::MAX));
    }

    #[test]
    fn a_file_that_may_not_be_read_is_an_error() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let mut memory = Vec::new();
        assert!(append_at(&mut memory, &file, 0, 1).is_err());
        assert!(append_now(&mut memory, &file, 0, 1).is_err());
        assert!(memory.is_empty());
    }

    // Where files are the memory's own, the system does not say so of each page.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_in_memory_is_in_memory() {
        let Ok(mut file) = tempfile::tempfile_in("/dev/shm") else {
            return;
        };
        file.write_all(b"0123456789").unwrap();
        let mut memory = Vec::new();
        assert_eq!(append_now(&mut memory, &file, 8, 10).unwrap(), 2);
        assert_eq!(memory, b"89");
    }
}
