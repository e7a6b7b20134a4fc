//! Unix: opening files, and files in a folder, step by step and without following links.

use std::ffi::CString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// A folder that is open.
pub(crate) type FolderHandle = OwnedFd;

pub(crate) fn open_folder(path: &Path) -> io::Result<FolderHandle> {
    let folder = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(path)?;
    Ok(folder.into())
}

/// Opens for reading: a pipe without a program at its other end, a terminal without becoming its.
pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(READ & !libc::O_RDONLY)
        .open(path)
}

/// A file that was opened without waiting is read like others from now on: by io_uring, reading what is
/// not in memory would fail otherwise.
pub(crate) fn wait_for_disk(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call, which takes no pointer.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_RDONLY) };
    match done {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

pub(crate) fn file_number(metadata: &Metadata) -> u64 {
    metadata.ino()
}

/// All but `/` and NUL are names.
pub(crate) fn is_plain_name(_: &str) -> bool {
    true
}

/// Opens what is at `path`, a list of names, one after the other. No link is followed.
pub(crate) fn open_step_by_step(folder: &FolderHandle, path: &str) -> io::Result<File> {
    if path.is_empty() {
        return open_at(folder.as_raw_fd(), ".", READ | libc::O_NOFOLLOW);
    }
    let mut names = path.split('/').peekable();
    // The folder that the next name is in, unless it is the first.
    let mut reached: Option<File> = None;
    while let Some(name) = names.next() {
        let within = reached
            .as_ref()
            .map_or(folder.as_raw_fd(), |within| within.as_raw_fd());
        let flags = match names.peek() {
            Some(_) => READ | libc::O_NOFOLLOW | libc::O_DIRECTORY,
            None => READ | libc::O_NOFOLLOW,
        };
        reached = Some(open_at(within, name, flags)?);
    }
    reached.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn open_at(folder: libc::c_int, name: &str, flags: libc::c_int) -> io::Result<File> {
    let name = CString::new(name)?;
    // SAFETY: the name is a string that ends with NUL and lives as long as the call, which keeps no
    // pointer. Without O_CREAT and O_TMPFILE no mode is read.
    let descriptor = unsafe { libc::openat(folder, name.as_ptr(), flags) };
    if descriptor == -1 {
        return Err(open_error());
    }
    // SAFETY: the call gave us the descriptor just now, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// Why the last open failed. A link that was not to be followed is not there.
pub(crate) fn open_error() -> io::Error {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // EMLINK is FreeBSD's word for it.
        Some(libc::ELOOP | libc::EMLINK) => io::ErrorKind::NotFound.into(),
        _ => error,
    }
}

/// How files are opened.
pub(crate) const READ: libc::c_int =
    libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
