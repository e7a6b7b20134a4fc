//! Windows: files.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt as _;

/// Moves the file's position, which nobody here relies on.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}
