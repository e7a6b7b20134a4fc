//! The pool that the kernel takes receive buffers from.
//!
//! One range of addresses is reserved for the largest pool; only buffers that were put into the
//! ring are ever touched, so the rest costs nothing. A buffer belongs to the kernel while it is in
//! the ring or its completion has not been taken, and to us until it is recycled.
//! Source: io_uring_register_buf_ring(3).

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use super::ring::Ring;
use crate::error::SystemError;
use crate::event::{LoopSettings, RECEIVE_BUFFER_BYTES};

pub(super) struct ReceiveBuffers {
    ring: Mapping,
    memory: Mapping,
    /// The most a buffer takes.
    bytes: u32,
    /// From one buffer to the next.
    stride: usize,
    /// Buffers in use: numbers `0..count`.
    count: u16,
    count_max: u16,
    /// Where the next buffer goes in; the kernel has not been told of all before it.
    tail: u16,
}

impl ReceiveBuffers {
    /// Makes the pool and registers it as [`GROUP`]. It must outlive the ring's last receive.
    pub(super) fn new(ring: &Ring, settings: &LoopSettings) -> Result<Self, SystemError> {
        let count_max = settings
            .receive_buffers_max
            .max(settings.receive_buffers)
            .clamp(1, COUNT_MAX)
            .next_power_of_two();
        let count = settings.receive_buffers.clamp(1, count_max);
        let bytes = settings
            .receive_buffer_bytes
            .clamp(*RECEIVE_BUFFER_BYTES.start(), *RECEIVE_BUFFER_BYTES.end());
        let stride = (bytes as usize).next_multiple_of(CACHE_LINE) + COLOUR;
        let mut buffers = Self {
            ring: Mapping::new(usize::from(count_max) * size_of::<BufRingEntry>())?,
            memory: Mapping::new(usize::from(count_max) * stride)?,
            bytes,
            stride,
            count: 0,
            count_max,
            tail: 0,
        };
        let submitter = ring.uring().submitter();
        let address = buffers.ring.start.as_ptr() as u64;
        // SAFETY: the mapping holds `count_max` entries and lives until the last receive of the
        // ring has ended (`Drop` of the loop). The kernel holds its pages besides.
        unsafe { submitter.register_buf_ring_with_flags(address, count_max, GROUP, 0) }
            .map_err(|error| SystemError::new(REGISTER, &error))?;
        buffers.add(count);
        Ok(buffers)
    }

    /// The first `length` bytes of a buffer whose completion was taken.
    ///
    /// # Safety
    ///
    /// The kernel named `id` in a completion with `length` bytes, and it was not recycled since.
    #[inline]
    pub(super) unsafe fn filled(&mut self, id: u16, length: usize) -> &mut [u8] {
        debug_assert!(id < self.count && length <= self.bytes as usize);
        let start = self.address(id);
        // SAFETY: within the mapping (`address`), written by the kernel or zero, and nobody
        // else's: the kernel gave the buffer up and `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(start, length) }
    }

    /// Puts a buffer back. The kernel sees it after `publish`.
    #[inline]
    pub(super) fn recycle(&mut self, id: u16) {
        let mask = self.count_max - 1;
        let place = usize::from(self.tail & mask);
        let address = self.address(id) as u64;
        // SAFETY: `place` is less than `count_max`, the number of entries in the mapping.
        let entry = unsafe { self.ring.start.cast::<BufRingEntry>().add(place) };
        // SAFETY: the mapping is aligned to pages, zeroed at first, and an entry is plain numbers.
        // The kernel does not read this entry: no more buffers exist than places, and the tail is
        // not published yet.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(address);
        entry.set_len(self.bytes);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Tells the kernel of the buffers recycled.
    #[inline]
    pub(super) fn publish(&mut self) {
        // SAFETY: the pointer is the start of a registered buffer ring, as `tail` requires.
        let tail = unsafe { BufRingEntry::tail(self.ring.start.as_ptr().cast()) };
        // SAFETY: aligned, in the mapping, and only ever accessed atomically once registered.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Release: the kernel sees the entries before the tail that covers them.
        tail.store(self.tail, Ordering::Release);
    }

    /// Whether so many connections that wait for a buffer are a reason to have more of them.
    pub(super) fn is_few_for(&self, waiting: usize) -> bool {
        waiting * WAITING_SHARE >= usize::from(self.count)
    }

    /// Doubles the pool, up to its limit.
    pub(super) fn grow(&mut self) {
        self.add(self.count.min(self.count_max - self.count));
    }

    fn add(&mut self, count: u16) {
        let first = self.count;
        self.count += count;
        for id in first..self.count {
            self.recycle(id);
        }
        self.publish();
    }

    #[inline]
    fn address(&self, id: u16) -> *mut u8 {
        debug_assert!(id < self.count_max);
        // SAFETY: `id` is less than `count_max`, so the buffer lies in the mapping.
        unsafe {
            self.memory
                .start
                .as_ptr()
                .add(usize::from(id) * self.stride)
        }
    }
}

/// Zeroed memory from the system.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(length: usize) -> Result<Self, SystemError> {
        // SAFETY: a new private mapping at an address of the kernel's choice touches nothing of
        // ours.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        let start = match NonNull::<u8>::new(start.cast()) {
            Some(start) if start.as_ptr().cast::<libc::c_void>() != libc::MAP_FAILED => start,
            _ => return Err(SystemError::new("mmap", &io::Error::last_os_error())),
        };
        // A huge page would make the first byte cost two megabytes. If the kernel has none, fine.
        // SAFETY: the range was mapped just now; the advice changes no contents.
        let _ = unsafe { libc::madvise(start.as_ptr().cast(), length, libc::MADV_NOHUGEPAGE) };
        Ok(Self { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and nothing borrows from it any more.
        let code = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert_eq!(code, 0);
    }
}

/// The pool's number within its ring.
pub(super) const GROUP: u16 = 0;

pub(super) const REGISTER: &str = "io_uring_register";

/// The pool grows when one connection waits for so many buffers that there are.
const WAITING_SHARE: usize = 8;

/// The kernel's limit on a buffer ring.
const COUNT_MAX: u16 = 1 << 15;

const CACHE_LINE: usize = 64;

/// Short requests use the start of a buffer only. With a power of two from one to the next, these
/// starts would share a few sets of the cache and push each other out.
const COLOUR: usize = 3 * CACHE_LINE;
