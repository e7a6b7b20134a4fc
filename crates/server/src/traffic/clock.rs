//! The time that allowances and bans go by.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidegate_admission::table::Nanoseconds;

/// The wall clock, read once, and from then on a clock that never goes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    wall: Nanoseconds,
}

impl Clock {
    pub(super) fn start() -> Self {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            wall: wall.as_nanos() as Nanoseconds,
        }
    }

    #[inline]
    pub(super) fn now(&self) -> Nanoseconds {
        self.wall + self.started.elapsed().as_nanos() as Nanoseconds
    }
}
