//! Files that are kept open for a while, since they are asked for again and again and are too long to be sent
//! from memory.
//!
//! Whoever uses one has found it by itself: here is only what keeps it from being closed.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The files of a site that are kept open.
pub(super) struct OpenFiles {
    /// Guards the files, with when they are closed, in that order. Held for changing that only.
    files: Mutex<VecDeque<(u64, Arc<File>)>>,
    /// When the first of them is to be closed.
    close_at: AtomicU64,
}

impl OpenFiles {
    pub(super) fn new() -> Self {
        Self {
            files: Mutex::default(),
            close_at: AtomicU64::new(u64::MAX),
        }
    }

    /// Keeps a file open for so many milliseconds from `now` on, or until others need its place.
    pub(super) fn keep(&self, file: &Arc<File>, now: u64, for_ms: u64) {
        let mut files = self.files();
        if files.len() == FILES_MAX {
            files.pop_front();
        }
        files.push_back((now + for_ms, Arc::clone(file)));
        self.set_close_at(&files);
    }

    /// Closes the files whose time is over. Nobody sees to it when there are no requests, so a few may stay
    /// open then.
    #[inline]
    pub(super) fn close_old(&self, now: u64) {
        if now >= self.close_at.load(Ordering::Relaxed) {
            self.close_until(now);
        }
    }

    #[cold]
    fn close_until(&self, now: u64) {
        let mut files = self.files();
        while files.front().is_some_and(|(close_at, _)| *close_at <= now) {
            files.pop_front();
        }
        self.set_close_at(&files);
    }

    fn set_close_at(&self, files: &VecDeque<(u64, Arc<File>)>) {
        let close_at = files.front().map_or(u64::MAX, |(close_at, _)| *close_at);
        self.close_at.store(close_at, Ordering::Relaxed);
    }

    fn files(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<File>)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Files kept open at a time: few of what a process may have, by any system's default.
const FILES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_closed_in_time() {
        let open = OpenFiles::new();
        let files = [0, 1, 2].map(|_| Arc::new(tempfile::tempfile().unwrap()));
        for (now, file) in (0..).zip(&files) {
            open.keep(file, now, 10);
        }
        let kept = || {
            files
                .iter()
                .filter(|file| Arc::strong_count(file) > 1)
                .count()
        };
        for (now, count) in [(0, 3), (9, 3), (10, 2), (11, 1), (1000, 0), (1001, 0)] {
            open.close_old(now);
            assert_eq!(kept(), count, "at {now}");
        }
        open.keep(&files[0], 1000, 10);
        open.close_old(1009);
        assert_eq!(kept(), 1);
    }

    #[test]
    fn no_more_are_kept_than_there_are_places() {
        let open = OpenFiles::new();
        let first = Arc::new(tempfile::tempfile().unwrap());
        open.keep(&first, 0, 10);
        let other = Arc::new(tempfile::tempfile().unwrap());
        for _ in 0..2 * FILES_MAX {
            open.keep(&other, 0, 10);
        }
        assert_eq!(Arc::strong_count(&first), 1);
        assert_eq!(Arc::strong_count(&other), 1 + FILES_MAX);
    }
}
