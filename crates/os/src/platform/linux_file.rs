//! Linux: files.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

use socket2::SockRef;

/// What is sent goes out together with what follows, as far as it fills no segment of its own.
pub(crate) const MORE_FOLLOWS: i32 = libc::MSG_MORE;

/// Reads if the bytes are in the page cache, see preadv2(2).
pub(crate) fn append_now(
    memory: &mut Vec<u8>,
    file: &File,
    offset: u64,
    max: usize,
) -> io::Result<usize> {
    memory.reserve(max);
    match append(memory, file, offset, max, libc::RWF_NOWAIT) {
        // This file system cannot do it (overlayfs, tmpfs, NFS), or a filter of calls forbids it.
        Err(error) if CANNOT_TELL.contains(&error.raw_os_error().unwrap_or(0)) => {
            if is_cached(file, offset, max as u64) {
                append(memory, file, offset, max, 0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            }
        }
        outcome => outcome,
    }
}

fn append(
    memory: &mut Vec<u8>,
    file: &File,
    offset: u64,
    max: usize,
    flags: i32,
) -> io::Result<usize> {
    let room = memory.spare_capacity_mut();
    let length = room.len().min(max);
    let part = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: length,
    };
    // The offset in two halves, of which a system with long words takes all from the first. By its number,
    // because not all C libraries have the call.
    let (low, high) = (offset as libc::c_ulong, (offset >> 32) as libc::c_ulong);
    // SAFETY: `part` describes memory that is `memory`'s own and that nobody else sees, of which the system
    // writes at most `length` bytes during the call.
    let count = unsafe {
        libc::syscall(
            libc::SYS_preadv2,
            file.as_raw_fd(),
            &raw const part,
            1_usize,
            low,
            high,
            flags,
        )
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(io::Error::last_os_error());
    };
    debug_assert!(count <= length);
    // SAFETY: the system has written so many bytes behind those that there are; the capacity has room for
    // them since they were written there.
    unsafe { memory.set_len(memory.len() + count) };
    Ok(count)
}

/// Whether a part of a file is in memory, asked of the system in ways that say nothing of waiting.
#[cold]
fn is_cached(file: &File, offset: u64, length: u64) -> bool {
    let mut of = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the system writes one `statfs` to where there is room for one.
    let outcome = unsafe { libc::fstatfs(file.as_raw_fd(), of.as_mut_ptr()) };
    if outcome == 0 {
        // SAFETY: written, as the outcome says.
        let kind = unsafe { of.assume_init() }.f_type;
        if u64::try_from(kind) == Ok(TMPFS) {
            return true;
        }
    }
    let range = CacheRange { offset, length };
    let mut found = CacheState::default();
    // SAFETY: the system reads one range and writes one state during the call. Where it does not know the
    // call, or does not tell us (files of others, since Linux 6.14), it fails and nothing is written.
    let outcome = unsafe {
        libc::syscall(
            CACHESTAT,
            file.as_raw_fd(),
            &raw const range,
            &raw mut found,
            0,
        )
    };
    let first = offset / PAGE_MIN;
    let last = offset.saturating_add(length - 1) / PAGE_MIN;
    // Pages may be larger: then fewer are found, and the bytes are read by someone who may wait.
    outcome == 0 && found.cached > last - first
}

/// Asks for a part of a file to be read into the page cache, see posix_fadvise(2).
pub(crate) fn read_ahead(file: &File, offset: u64, length: u64) {
    let offset = libc::off64_t::try_from(offset).unwrap_or(libc::off64_t::MAX);
    let length = libc::off64_t::try_from(length).unwrap_or(libc::off64_t::MAX);
    // SAFETY: the call takes numbers only. It is a wish: nothing to be done if it is refused.
    let _ = unsafe {
        libc::posix_fadvise64(file.as_raw_fd(), offset, length, libc::POSIX_FADV_WILLNEED)
    };
}

/// Sends from the page cache, see sendfile(2). The socket must not block. 0 is the file's end.
///
/// There is no flag against the signal of a broken connection here: Rust programs ignore SIGPIPE from
/// their start.
pub(crate) fn send_file(
    socket: &SockRef<'_>,
    file: &File,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let mut offset = libc::off64_t::try_from(offset).map_err(|_| ErrorKind::InvalidInput)?;
    // SAFETY: the system reads and writes the offset, which is there during the call, and nothing else of
    // ours. With an offset given the file's own is left alone.
    let sent =
        unsafe { libc::sendfile64(socket.as_raw_fd(), file.as_raw_fd(), &raw mut offset, count) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

const CANNOT_TELL: [i32; 4] = [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL, libc::EPERM];

/// `struct cachestat_range` of `linux/mman.h`.
#[repr(C)]
struct CacheRange {
    offset: u64,
    length: u64,
}

/// `struct cachestat` of `linux/mman.h`.
#[repr(C)]
#[derive(Default)]
struct CacheState {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS: u64 = 0x0102_1994;

/// cachestat(2), of Linux 6.5: the same number on all machines.
const CACHESTAT: libc::c_long = 451;

/// The smallest page there is.
const PAGE_MIN: u64 = 4096;
