//! A worker's clock: read once for each turn of its loop.
//!
//! Timers count in coarse ticks; the `Date` field is made anew only when the second changes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_proto::http1::format_date;

/// Time as the worker sees it during one turn.
pub(crate) struct Clock {
    start: Instant,
    now: Instant,
    tick: u32,
    millisecond: u32,
    unix_second: u64,
    /// When `unix_second` is over; before that the wall clock is not asked.
    second_ends: Instant,
    date: [u8; 29],
}

impl Clock {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut clock = Self {
            start: now,
            now,
            tick: 0,
            millisecond: 0,
            unix_second: 0,
            second_ends: now,
            date: [b' '; 29],
        };
        clock.update();
        clock
    }

    /// Reads the system's clocks. Says whether the date has changed.
    pub(crate) fn update(&mut self) -> bool {
        self.now = Instant::now();
        self.tick = self.ticks_until(self.now);
        self.millisecond = self.milliseconds(self.now);
        if self.now < self.second_ends {
            return false;
        }
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.second_ends =
            self.now + Duration::from_nanos(1_000_000_000 - u64::from(unix.subsec_nanos()));
        let changed = unix.as_secs() != self.unix_second;
        if changed {
            self.unix_second = unix.as_secs();
            self.date = format_date(self.unix_second);
        }
        changed
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// The present tick. Ticks begin at 1: 0 is free to mean "never".
    pub(crate) fn tick(&self) -> u32 {
        self.tick
    }

    /// The milliseconds that this turn began after the clock; every 49 days they begin anew.
    #[inline]
    pub(crate) fn millisecond(&self) -> u32 {
        self.millisecond
    }

    fn milliseconds(&self, instant: Instant) -> u32 {
        instant.saturating_duration_since(self.start).as_millis() as u32
    }

    /// Now, wherever in the turn that is: in the milliseconds of this clock, and in those since 1970.
    pub(crate) fn read(&self) -> (u32, u64) {
        let now = Instant::now();
        let second_ends = (self.unix_second + 1) * 1000;
        let unix = match self.second_ends.checked_duration_since(now) {
            Some(left) => second_ends.saturating_sub(left.as_millis() as u64 + 1),
            None => {
                second_ends + now.saturating_duration_since(self.second_ends).as_millis() as u64
            }
        };
        (self.milliseconds(now), unix)
    }

    /// The present minute, for what is counted by the minute.
    pub(crate) fn minute(&self) -> u32 {
        self.tick / TICKS_A_MINUTE
    }

    /// The tick by which `instant` has passed.
    pub(crate) fn ticks_until(&self, instant: Instant) -> u32 {
        let since = instant.saturating_duration_since(self.start);
        1 + ticks(since)
    }

    /// The time from now to the beginning of `tick`.
    pub(crate) fn duration_until(&self, tick: u32) -> Duration {
        let due = self.start + TICK * tick.saturating_sub(1);
        due.saturating_duration_since(self.now)
    }

    /// The seconds since 1970-01-01 00:00:00 UTC.
    pub(crate) fn unix_second(&self) -> u64 {
        self.unix_second
    }

    pub(crate) fn date(&self) -> &[u8; 29] {
        &self.date
    }
}

/// One tick of a timer.
pub(crate) const TICK: Duration = Duration::from_millis(100);

const TICKS_A_MINUTE: u32 = 600;

/// Longer times are as good as never: three years.
const TICKS_MAX: u32 = 1_000_000_000;

/// Whole ticks in a duration.
pub(crate) fn ticks(duration: Duration) -> u32 {
    let ticks = duration.as_secs().saturating_mul(10) + u64::from(duration.subsec_millis() / 100);
    u32::try_from(ticks).map_or(TICKS_MAX, |ticks| ticks.min(TICKS_MAX))
}
