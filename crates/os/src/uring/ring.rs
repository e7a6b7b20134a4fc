//! The rings shared with the kernel: pushing submissions, entering, taking completions.
//!
//! What the entries mean is not known here.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::cqueue::CompletionQueue;
use io_uring::squeue::Entry;
use io_uring::{EnterFlags, IoUring};

use crate::error::SystemError;

/// An io_uring of this thread.
pub(super) struct Ring {
    uring: IoUring,
    /// What `io_uring_enter` is told: the index under which the descriptor is registered with the
    /// kernel, which saves its look-up, or the descriptor.
    enter_fd: i32,
    enter_flags: u32,
}

impl Ring {
    pub(super) fn new(submission_entries: u32) -> Result<Self, SystemError> {
        // Without the index array (Linux 6.6) the kernel touches less memory for each submission.
        let uring = build(submission_entries, true)
            .or_else(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => build(submission_entries, false),
                _ => Err(error),
            })
            .map_err(|error| SystemError::new(SETUP, &error))?;
        let mut ring = Self {
            enter_fd: uring.as_raw_fd(),
            // Deferred completions are worked on only when asked for.
            enter_flags: EnterFlags::GETEVENTS.bits(),
            uring,
        };
        if let Some(index) = registered_index(ring.enter_fd) {
            ring.enter_fd = index;
            ring.enter_flags |= EnterFlags::REGISTERED_RING.bits();
        }
        Ok(ring)
    }

    pub(super) fn uring(&self) -> &IoUring {
        &self.uring
    }

    /// Puts an entry into the submission queue; submits first if that is full.
    ///
    /// # Safety
    ///
    /// The memory that the entry points to stays valid until its last completion was taken.
    #[inline]
    pub(super) unsafe fn push(&self, entry: &Entry) {
        loop {
            // SAFETY: `Ring` is of one thread (`IoUring` is behind an `Rc`), and no other
            // `SubmissionQueue` is kept across a call.
            let mut queue = unsafe { self.uring.submission_shared() };
            // SAFETY: the caller's promise.
            if unsafe { queue.push(entry) }.is_ok() {
                return;
            }
            drop(queue);
            // A shortage of the kernel's passes, and `enter` is no error then. Any other would mean
            // that the ring is broken, and what is asked of it lost.
            if let Err(error) = self.enter(0) {
                panic!("the submission queue cannot be emptied: {error}");
            }
        }
    }

    /// Whether nothing waits to be submitted.
    #[inline]
    pub(super) fn is_submitted(&self) -> bool {
        // SAFETY: as in `push`.
        unsafe { self.uring.submission_shared() }.is_empty()
    }

    /// The completions there are. To be dropped before the next call.
    #[inline]
    pub(super) fn completions(&self) -> CompletionQueue<'_> {
        // SAFETY: called by `UringLoop::turn` only, which keeps one queue at a time; its thread is
        // the only one.
        unsafe { self.uring.completion_shared() }
    }

    /// Submits all entries and waits for `completions_min` completions.
    #[inline]
    pub(super) fn enter(&self, completions_min: u32) -> Result<(), SystemError> {
        // SAFETY: as in `push`.
        let pending = unsafe { self.uring.submission_shared() }.len();
        // SAFETY: the descriptor (or registered index) is this ring's; a null argument of size 0
        // means no signal mask. The entries were checked by `push`'s callers.
        let outcome = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.enter_fd,
                pending as u32,
                completions_min,
                self.enter_flags,
                std::ptr::null::<libc::c_void>(),
                0_usize,
            )
        };
        if outcome >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // Interrupted, short of memory, or too many completions not taken yet: nothing is
            // lost, the next turn does it.
            Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
            _ => Err(SystemError::new("io_uring_enter", &error)),
        }
    }
}

fn build(submission_entries: u32, without_index_array: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_clamp()
        .setup_submit_all()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETION_ENTRIES.max(submission_entries.saturating_mul(2)));
    if without_index_array {
        builder.setup_no_sqarray();
    }
    builder.build(submission_entries)
}

/// Registers the ring with the kernel for this thread (Linux 5.18).
fn registered_index(fd: i32) -> Option<i32> {
    let mut update = RingFdUpdate {
        offset: u32::MAX,
        reserved: 0,
        data: u64::try_from(fd).ok()?,
    };
    // SAFETY: `update` is the one element that the kernel reads and writes, during the call.
    let count = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            fd,
            REGISTER_RING_FDS,
            &raw mut update,
            1,
        )
    };
    if count != 1 {
        return None;
    }
    i32::try_from(update.offset).ok()
}

/// `struct io_uring_rsrc_update` of `linux/io_uring.h`.
#[repr(C)]
struct RingFdUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

pub(super) const SETUP: &str = "io_uring_setup";

/// `IORING_REGISTER_RING_FDS` of `linux/io_uring.h`.
const REGISTER_RING_FDS: u32 = 20;

/// Places for completions. When more are outstanding the kernel keeps them, at a cost.
const COMPLETION_ENTRIES: u32 = 4_096;
