//! Which uploads are in progress, so that a stop leaves nothing of them behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::directory::SaveDirectory;

/// The uploads of a server, and where they go.
#[derive(Debug)]
pub(crate) struct InProgress {
    directories: Vec<Arc<SaveDirectory>>,
    /// Guards the count alone.
    count: Mutex<usize>,
    begun: AtomicU64,
    /// Told when there are none any more.
    none: Condvar,
}

/// An upload, as long as it has temporary files.
#[derive(Debug)]
pub(super) struct Upload(Arc<InProgress>);

impl InProgress {
    pub(super) fn new(directories: Vec<Arc<SaveDirectory>>) -> Self {
        Self {
            directories,
            count: Mutex::new(0),
            begun: AtomicU64::new(0),
            none: Condvar::new(),
        }
    }

    pub(super) fn begin(self: &Arc<Self>) -> Upload {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.begun.fetch_add(1, Ordering::Relaxed);
        Upload(Arc::clone(self))
    }

    /// How many there are now.
    pub(crate) fn count(&self) -> usize {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there have been.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether nobody has it any more who could begin an upload, and none goes on.
    pub(crate) fn is_over(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    /// Waits until there are none, at most so long, and closes their directories. No more may begin.
    pub(crate) fn end(&self, longest: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .none
            .wait_timeout_while(count, longest, |count| *count > 0);
        let (count, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let are_left = *count > 0;
        drop(count);
        // Files that are left are this process's as long as it runs.
        if !are_left {
            for directory in &self.directories {
                directory.close();
            }
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut count = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}
