//! Work of an application that runs on a worker's thread.
//!
//! A task is polled when the worker takes the message that says so; waking it posts that message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::mailbox::{Mailbox, Message};

/// A future, and where it runs.
pub(crate) struct Task {
    mailbox: Arc<Mailbox>,
    /// Its message is in the mailbox.
    is_posted: AtomicBool,
    /// `None` once it has ended. Only the worker polls it: the lock is never waited for.
    work: Mutex<Option<Work>>,
}

/// What a task does.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Task {
    /// Has the mailbox's worker do this.
    pub(crate) fn begin(mailbox: Arc<Mailbox>, work: Work) {
        let task = Arc::new(Self {
            mailbox,
            is_posted: AtomicBool::new(false),
            work: Mutex::new(Some(work)),
        });
        task.wake();
    }

    /// Called by the worker that takes its message.
    pub(crate) fn run(self: Arc<Self>) {
        // Acquire: what was written before it was woken is visible. A wake from here on posts it anew.
        self.is_posted.swap(false, Ordering::Acquire);
        let waker = Waker::from(Arc::clone(&self));
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unfinished) = &mut *work else {
            return;
        };
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| unfinished.as_mut().poll(&mut context)));
        if let Ok(Poll::Pending) = polled {
            return;
        }
        let finished = work.take();
        drop(work);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(finished)));
        if polled.is_err() || dropped.is_err() {
            tracing::error!("a task of the application panicked");
        }
    }

    /// Nobody will run it any more.
    pub(crate) fn abandon(&self) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished = work.take();
        drop(work);
        if catch_unwind(AssertUnwindSafe(|| drop(unfinished))).is_err() {
            tracing::error!("a task of the application panicked when it was dropped");
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        // Release: pairs with the Acquire of who runs it.
        if !self.is_posted.swap(true, Ordering::AcqRel) {
            let mailbox = Arc::clone(&self.mailbox);
            mailbox.post(Message::Run(self));
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_posted.swap(true, Ordering::AcqRel) {
            self.mailbox.post(Message::Run(Arc::clone(self)));
        }
    }
}
