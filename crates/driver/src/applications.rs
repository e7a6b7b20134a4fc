//! The applications that a worker calls, at hand: asking a queue for its own takes a lock.
//!
//! Another may be put in an application's place. That a queue has another is seen by its number, at the next
//! request; so that one which is no more is not kept until then, workers are told to let go of all.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_httpapi::Application;

use crate::queue::Queue;

/// An application, and a number that no other of this process has.
#[derive(Clone)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    application: Arc<dyn Application>,
}

impl Numbered {
    pub(crate) fn new(application: Arc<dyn Application>) -> Self {
        Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            application,
        }
    }
}

impl Deref for Numbered {
    type Target = dyn Application;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &*self.application
    }
}

/// Those that a worker has called.
#[derive(Default)]
pub(crate) struct Applications(Vec<Numbered>);

impl Applications {
    /// Takes a queue's application out, to be called and put back.
    #[inline]
    pub(crate) fn take(&mut self, queue: &Queue) -> Numbered {
        let number = queue.application_number();
        match self.0.iter().position(|known| known.number == number) {
            Some(index) => self.0.swap_remove(index),
            None => queue.application(),
        }
    }

    /// Puts one back that was called.
    #[inline]
    pub(crate) fn put(&mut self, application: Numbered) {
        self.0.push(application);
    }

    /// Lets go of all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);
