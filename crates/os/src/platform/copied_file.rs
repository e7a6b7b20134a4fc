//! Files where nothing tells whether reading would wait, nor sends them in a way that was tried.
//!
//! macOS and FreeBSD have a `sendfile` each, Windows `TransmitFile`: none of them the same, none of them
//! needed for anything but speed. Files are read and sent there.

use std::fs::File;
use std::io::{self, ErrorKind};

use socket2::SockRef;

pub(crate) fn append_now(
    _memory: &mut Vec<u8>,
    _file: &File,
    _offset: u64,
    _max: usize,
) -> io::Result<usize> {
    Err(ErrorKind::WouldBlock.into())
}

pub(crate) fn read_ahead(_file: &File, _offset: u64, _length: u64) {}

pub(crate) fn send_file(
    _socket: &SockRef<'_>,
    _file: &File,
    _offset: u64,
    _count: usize,
) -> io::Result<usize> {
    Err(ErrorKind::Unsupported.into())
}

/// No flag is said for what more is to come.
pub(crate) const MORE_FOLLOWS: i32 = 0;
