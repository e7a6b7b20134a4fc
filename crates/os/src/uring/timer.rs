//! The limit on a wait of the io_uring loop.
//!
//! `io_uring_enter` takes a timeout too, but then the kernel sets a timer up and tears it down in
//! each wait. This one is set once for many.

use std::time::{Duration, Instant};

use io_uring::types;

use super::ring::Ring;
use super::submission;

/// The one timer of the loop. It stays with the kernel while turns come and go, so that a turn
/// need not set one: a wait may end early, not late.
pub(super) struct Timer {
    /// Boxed: an entry that points here may have to wait for the next turn, by which time the loop
    /// may have been moved.
    duration: Box<types::Timespec>,
    /// What the timer with the kernel was set to, and when it goes off.
    armed: Option<(Duration, Instant)>,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            duration: Box::new(types::Timespec::new()),
            armed: None,
        }
    }

    /// It went off.
    pub(super) fn expired(&mut self) {
        self.armed = None;
    }

    /// Sees to it that a timer goes off after `timeout` at the latest.
    #[inline]
    pub(super) fn arm(&mut self, ring: &Ring, timeout: Duration) {
        // The common case, without a look at the clock: it was set to less, and earlier.
        if self.armed.is_none_or(|(duration, _)| duration > timeout) {
            self.set(ring, timeout);
        }
    }

    #[cold]
    fn set(&mut self, ring: &Ring, timeout: Duration) {
        let deadline = Instant::now().checked_add(timeout);
        let Some(deadline) = deadline else {
            return;
        };
        *self.duration = timeout.into();
        match self.armed {
            Some((_, armed)) if armed <= deadline + SLACK => return,
            Some(_) => {
                // SAFETY: `duration` is read when the entry is submitted, and lives as long as the
                // ring is entered.
                let entry = unsafe { submission::timer_update(&raw const *self.duration) };
                // SAFETY: as above.
                unsafe { ring.push(&entry) };
            }
            None => {
                // SAFETY: as above.
                let entry = unsafe { submission::timer(&raw const *self.duration) };
                // SAFETY: as above.
                unsafe { ring.push(&entry) };
            }
        }
        self.armed = Some((timeout, deadline));
    }
}

/// How much longer than asked for a wait may be. Spares setting the timer anew when an owner asks
/// for the time that is left until some moment, turn after turn.
pub(super) const SLACK: Duration = Duration::from_millis(1);
