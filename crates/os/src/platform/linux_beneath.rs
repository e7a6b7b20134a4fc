//! Linux: files in a folder, found by the kernel, which keeps the path in it.
//!
//! Source: openat2(2).

use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _};

use super::unix_beneath::{FolderHandle, READ, open_error, open_step_by_step};

pub(crate) fn open_beneath(folder: &FolderHandle, path: &str) -> io::Result<File> {
    open(folder, path, READ)
}

pub(crate) fn look_beneath(folder: &FolderHandle, path: &str) -> io::Result<Metadata> {
    open(folder, path, libc::O_PATH | libc::O_CLOEXEC)?.metadata()
}

fn open(folder: &FolderHandle, path: &str, flags: libc::c_int) -> io::Result<File> {
    let mut attempts = 0;
    loop {
        let error = match open_once(folder, path, flags) {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        match error.raw_os_error() {
            // Something in the path was renamed meanwhile, so that the kernel cannot tell.
            Some(libc::EAGAIN | libc::EINTR) if attempts < ATTEMPTS => attempts += 1,
            // Older than 5.6, or forbidden by a filter of system calls that does not know it. Where it
            // is EPERM that the file itself says, the other way says so too.
            Some(libc::ENOSYS | libc::EPERM) => return open_step_by_step(folder, path),
            _ => return Err(error),
        }
    }
}

fn open_once(folder: &FolderHandle, path: &str, flags: libc::c_int) -> io::Result<File> {
    let path = CString::new(if path.is_empty() { "." } else { path })?;
    let how = OpenHow {
        flags: u64::from(flags.cast_unsigned()),
        mode: 0,
        resolve: libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS,
    };
    // SAFETY: the path is a string that ends with NUL, `how` is what the call reads, of the size told;
    // both live as long as the call, which keeps no pointer and writes nothing.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            folder.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    };
    match libc::c_int::try_from(descriptor) {
        Ok(-1) | Err(_) => Err(open_error()),
        // SAFETY: the call gave us the descriptor just now, so nobody else owns it.
        Ok(descriptor) => Ok(unsafe { File::from_raw_fd(descriptor) }),
    }
}

/// `struct open_how`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const ATTEMPTS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::open_folder;

    // What is done where openat2 is missing finds the same, but for links.
    #[test]
    fn both_ways_find_the_same() {
        let outer = tempfile::tempdir().unwrap();
        std::fs::create_dir(outer.path().join("sub")).unwrap();
        std::fs::write(outer.path().join("sub/a"), "a").unwrap();
        std::os::unix::fs::symlink("sub", outer.path().join("link")).unwrap();
        let folder = open_folder(outer.path()).unwrap();
        let number = |file: File| super::super::file_number(&file.metadata().unwrap());
        for path in ["", "sub", "sub/a"] {
            let kernel = number(open_once(&folder, path, READ).unwrap());
            assert_eq!(number(open_step_by_step(&folder, path).unwrap()), kernel);
        }
        for path in ["b", "sub/b", "sub/a/b"] {
            assert!(open_once(&folder, path, READ).is_err());
            assert!(open_step_by_step(&folder, path).is_err());
        }
        for path in ["link", "link/a"] {
            assert!(open_once(&folder, path, READ).is_ok());
            assert!(open_step_by_step(&folder, path).is_err());
        }
    }
}
