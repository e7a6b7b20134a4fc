//! One allowance: so many calls in so long a time, and what a call at a moment does to it.
//!
//! Pure arithmetic over a [`Cell`]; whose cell it is, is not known here.

use std::fmt;
use std::time::Duration;

use crate::table::{Cell, Nanoseconds, SECOND};

/// How calls are counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Strategy {
    /// The allowance grows back steadily; what is saved up may be used at once, up to
    /// [`burst`](Limit::burst). No window has an edge to wait for.
    ///
    /// The generic cell rate algorithm, which is a token bucket that keeps one moment as its state.
    #[default]
    TokenBucket,
    /// So many in any window up to now. The calls of the window before this one are taken to have come evenly.
    SlidingWindow,
    /// So many from one multiple of the window, by the clock, to the next. Twice as many may come around the edge.
    FixedWindow,
}

/// So many calls in so long a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// How calls are counted.
    pub strategy: Strategy,
    /// Calls in a window. Range 1 to 1,000,000,000.
    pub calls: u32,
    /// The window. Range 1 ms to 366 days.
    pub window: Duration,
    /// Most calls at once of a token bucket; 0 is as many as `calls`. Other strategies do not use it.
    pub burst: u32,
    /// How long whoever has been refused is refused everything. Zero: not at all. Range up to 366 days.
    ///
    /// Calls meanwhile do not make it longer.
    pub cooldown: Duration,
}

/// What a limit says about a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// Whether it is the cooldown that refuses.
    pub(crate) cools_down: bool,
    pub(crate) remaining: u32,
    /// Until all of the allowance is back.
    pub(crate) reset: Nanoseconds,
    /// Until this call would be allowed; 0 if it is.
    pub(crate) retry_after: Nanoseconds,
}

/// A limit that cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LimitFault {
    /// `calls` is not in its range.
    Calls(u32),
    /// `window` is not in its range.
    Window(Duration),
    /// `cooldown` is not in its range.
    Cooldown(Duration),
    /// `burst` is not in its range, which is that of `calls`.
    Burst(u32),
}

impl Limit {
    /// So many calls in a window, as a token bucket without a cooldown.
    pub fn new(calls: u32, window: Duration) -> Self {
        Self {
            strategy: Strategy::TokenBucket,
            calls,
            window,
            burst: 0,
            cooldown: Duration::ZERO,
        }
    }

    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first that is not.
    pub fn check(&self) -> Result<(), LimitFault> {
        if !(1..=CALLS_MAX).contains(&self.calls) {
            return Err(LimitFault::Calls(self.calls));
        }
        if !(Duration::from_millis(1)..=WINDOW_MAX).contains(&self.window) {
            return Err(LimitFault::Window(self.window));
        }
        if self.burst > CALLS_MAX {
            return Err(LimitFault::Burst(self.burst));
        }
        if self.cooldown > WINDOW_MAX {
            return Err(LimitFault::Cooldown(self.cooldown));
        }
        Ok(())
    }

    /// Most calls at once.
    pub fn capacity(&self) -> u32 {
        match self.strategy {
            Strategy::TokenBucket if self.burst > 0 => self.burst,
            _ => self.calls,
        }
    }

    /// What a call of this cost at this moment gets. Changes nothing; [`charge`](Self::charge) does.
    ///
    /// A call that costs more than all of the allowance costs all of it.
    pub(crate) fn ask(&self, cell: &Cell, now: Nanoseconds, cost: u32) -> Verdict {
        let cost = cost.min(self.capacity());
        let cooled = Nanoseconds::from(cell.until) * SECOND;
        let cooldown = cooled.saturating_sub(now);
        // A clock that was set back between two runs leaves a moment ahead that cannot be.
        let is_cooling = cooldown > 0 && cooldown <= nanoseconds(self.cooldown) + SECOND;
        let mut verdict = match self.strategy {
            Strategy::TokenBucket => self.ask_bucket(cell, now, cost),
            Strategy::SlidingWindow => self.ask_sliding(cell, now, cost),
            Strategy::FixedWindow => self.ask_fixed(cell, now, cost),
        };
        if is_cooling {
            verdict.allowed = false;
            verdict.cools_down = true;
            verdict.remaining = 0;
            verdict.retry_after = verdict.retry_after.max(cooldown);
            verdict.reset = verdict.reset.max(cooldown);
        }
        verdict
    }

    /// Takes an allowed call from the allowance.
    pub(crate) fn charge(&self, cell: &mut Cell, now: Nanoseconds, cost: u32) {
        let cost = cost.min(self.capacity());
        let window = self.window();
        match self.strategy {
            Strategy::TokenBucket => {
                cell.at = self.theoretical_arrival(cell, now) + self.worth(cost);
                self.set_fresh(cell, cell.at);
            }
            Strategy::SlidingWindow => {
                (cell.count, cell.previous, cell.at) = self.sliding(cell, now);
                cell.count = cell.count.saturating_add(cost);
                self.set_fresh(cell, cell.at + 2 * window);
            }
            Strategy::FixedWindow => {
                (cell.count, cell.at) = self.fixed(cell, now);
                cell.count = cell.count.saturating_add(cost);
                self.set_fresh(cell, cell.at + window);
            }
        }
    }

    /// Begins the cooldown.
    pub(crate) fn refuse(&self, cell: &mut Cell, now: Nanoseconds) {
        if self.strategy == Strategy::TokenBucket {
            // Of a clock that was set back nothing must stay: else the bucket would be empty until then.
            let at = self.theoretical_arrival(cell, now);
            if at < cell.at {
                cell.at = at;
                self.set_fresh(cell, at);
            }
        }
        if self.cooldown.is_zero() {
            return;
        }
        let until = seconds_up(now + nanoseconds(self.cooldown));
        cell.until = until;
        cell.fresh_at = cell.fresh_at.max(until);
    }

    fn set_fresh(&self, cell: &mut Cell, at: Nanoseconds) {
        cell.fresh_at = seconds_up(at).max(cell.until);
    }

    fn window(&self) -> Nanoseconds {
        nanoseconds(self.window)
    }

    /// How long it takes until so many calls have grown back.
    fn worth(&self, calls: u32) -> Nanoseconds {
        if calls == self.calls {
            return self.window();
        }
        // A century and a half is as good as never, and a moment may still be added to it.
        share(self.window(), calls.into(), self.calls.into()).min(Nanoseconds::MAX / 4)
    }

    fn theoretical_arrival(&self, cell: &Cell, now: Nanoseconds) -> Nanoseconds {
        // It is never further ahead than an empty bucket, even if the clock or the settings say so.
        cell.at.clamp(now, now + self.worth(self.capacity()))
    }

    fn ask_bucket(&self, cell: &Cell, now: Nanoseconds, cost: u32) -> Verdict {
        let capacity = self.worth(self.capacity());
        let debt = self.theoretical_arrival(cell, now) - now;
        let wanted = debt + self.worth(cost);
        let allowed = wanted <= capacity;
        let left = capacity - if allowed { wanted } else { debt };
        Verdict {
            allowed,
            cools_down: false,
            remaining: share(left, self.calls.into(), self.window()) as u32,
            reset: if allowed { wanted } else { debt },
            retry_after: wanted.saturating_sub(capacity),
        }
    }

    /// Calls in this window and the one before, and when this one began.
    fn sliding(&self, cell: &Cell, now: Nanoseconds) -> (u32, u32, Nanoseconds) {
        let window = self.window();
        let start = now - now % window;
        if cell.at == start {
            (cell.count, cell.previous, start)
        } else if cell.at + window == start {
            (0, cell.count, start)
        } else {
            (0, 0, start)
        }
    }

    fn ask_sliding(&self, cell: &Cell, now: Nanoseconds, cost: u32) -> Verdict {
        let window = u128::from(self.window());
        let (count, previous, start) = self.sliding(cell, now);
        let past = u128::from(now - start);
        let (count, previous) = (u128::from(count), u128::from(previous));
        let (calls, cost) = (u128::from(self.calls), u128::from(cost));
        // All in calls times nanoseconds, so that nothing is rounded.
        let used = previous * (window - past) + count * window;
        let after = used + cost * window;
        let allowed = after <= calls * window;
        let left = (calls * window).saturating_sub(if allowed { after } else { used });
        let retry_after = if allowed {
            0
        } else if count + cost <= calls {
            // Enough of the window before has to fall out of sight.
            let room = calls - cost - count;
            (window - past) - room * window / previous.max(1)
        } else {
            // This window has to become the one before, and then enough of it has to fall out of sight.
            let room = calls - cost;
            (window - past) + (window - room * window / count.max(1))
        };
        let is_used = count > 0 || allowed;
        let reset = (window - past) + if is_used { window } else { 0 };
        Verdict {
            allowed,
            cools_down: false,
            remaining: (left / window) as u32,
            reset: reset as Nanoseconds,
            retry_after: retry_after as Nanoseconds,
        }
    }

    /// Calls in this window, and when it began.
    fn fixed(&self, cell: &Cell, now: Nanoseconds) -> (u32, Nanoseconds) {
        let start = now - now % self.window();
        (if cell.at == start { cell.count } else { 0 }, start)
    }

    fn ask_fixed(&self, cell: &Cell, now: Nanoseconds, cost: u32) -> Verdict {
        let (count, start) = self.fixed(cell, now);
        let left = self.calls.saturating_sub(count);
        let allowed = cost <= left;
        let until_end = start + self.window() - now;
        Verdict {
            allowed,
            cools_down: false,
            remaining: if allowed { left - cost } else { left },
            reset: until_end,
            retry_after: if allowed { 0 } else { until_end },
        }
    }
}

/// `whole × part / of`, as far as it can be counted. The long way only where it has to be.
fn share(whole: u64, part: u64, of: u64) -> u64 {
    match whole.checked_mul(part) {
        Some(product) => product / of,
        None => (u128::from(whole) * u128::from(part) / u128::from(of))
            .try_into()
            .unwrap_or(u64::MAX),
    }
}

/// Nanoseconds of a length of time, as far as they can be counted.
pub(crate) fn nanoseconds(length: Duration) -> Nanoseconds {
    length.as_nanos().try_into().unwrap_or(Nanoseconds::MAX)
}

/// The first full second at or after a moment.
pub(crate) fn seconds_up(at: Nanoseconds) -> u32 {
    at.div_ceil(SECOND).try_into().unwrap_or(u32::MAX)
}

pub(super) const CALLS_MAX: u32 = 1_000_000_000;
const WINDOW_MAX: Duration = Duration::from_secs(366 * 86_400);

impl fmt::Display for LimitFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(calls) => write!(
                formatter,
                "limit is {calls}, which is not in 1 to {CALLS_MAX}"
            ),
            Self::Burst(burst) => write!(
                formatter,
                "burst is {burst}, which is more than {CALLS_MAX}"
            ),
            Self::Window(window) => {
                write!(
                    formatter,
                    "window is {window:?}, which is not between 1 ms and 366 days"
                )
            }
            Self::Cooldown(cooldown) => {
                write!(
                    formatter,
                    "cooldown is {cooldown:?}, which is longer than 366 days"
                )
            }
        }
    }
}

impl std::error::Error for LimitFault {}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanoseconds = 1_700_000_000 * SECOND;

    fn call(limit: &Limit, cell: &mut Cell, now: Nanoseconds, cost: u32) -> Verdict {
        let verdict = limit.ask(cell, now, cost);
        if verdict.allowed {
            limit.charge(cell, now, cost);
        } else if !verdict.cools_down {
            limit.refuse(cell, now);
        }
        verdict
    }

    fn of(strategy: Strategy) -> Limit {
        Limit {
            strategy,
            ..Limit::new(10, Duration::from_secs(10))
        }
    }

    const ALL: [Strategy; 3] = [
        Strategy::TokenBucket,
        Strategy::SlidingWindow,
        Strategy::FixedWindow,
    ];

    #[test]
    fn as_many_as_allowed_pass_and_one_more_does_not() {
        for strategy in ALL {
            let (limit, mut cell) = (of(strategy), Cell::default());
            for remaining in (0..10).rev() {
                let verdict = call(&limit, &mut cell, START, 1);
                assert_eq!(
                    (verdict.allowed, verdict.remaining),
                    (true, remaining),
                    "{strategy:?}"
                );
            }
            let verdict = call(&limit, &mut cell, START, 1);
            assert_eq!(
                (verdict.allowed, verdict.remaining),
                (false, 0),
                "{strategy:?}"
            );
            assert!(verdict.retry_after > 0);
        }
    }

    // What is said to be the time after which a call is allowed must be that, and not later than needed.
    #[test]
    fn a_call_after_retry_after_is_allowed_and_one_before_is_not() {
        for strategy in ALL {
            for cost in [1, 3, 10] {
                let (limit, mut cell, mut now) =
                    (of(strategy), Cell::default(), START + SECOND / 3);
                let (mut allowed, mut refused) = (0, 0);
                while allowed < 50 {
                    let verdict = call(&limit, &mut cell, now, cost);
                    if verdict.allowed {
                        allowed += 1;
                        now += SECOND / 7;
                        continue;
                    }
                    refused += 1;
                    assert!(
                        !limit
                            .ask(&cell, now + verdict.retry_after - 2, cost)
                            .allowed
                    );
                    now += verdict.retry_after + 1;
                    assert!(limit.ask(&cell, now, cost).allowed, "{strategy:?} {cost}");
                }
                assert!(refused > 0);
            }
        }
    }

    #[test]
    fn over_a_long_time_no_more_pass_than_allowed() {
        for strategy in ALL {
            let (limit, mut cell) = (of(strategy), Cell::default());
            // A thousand windows, twenty calls a second.
            let passed = (0..200_000)
                .filter(|step| call(&limit, &mut cell, START + step * SECOND / 20, 1).allowed)
                .count();
            assert!((9_000..=10_010).contains(&passed), "{strategy:?} {passed}");
        }
    }

    #[test]
    fn a_sliding_window_lets_no_double_pass_around_its_edge() {
        let (limit, mut cell) = (of(Strategy::SlidingWindow), Cell::default());
        let edge = START - START % (10 * SECOND) + 10 * SECOND;
        let before = (0..20)
            .filter(|_| call(&limit, &mut cell, edge - 1, 1).allowed)
            .count();
        let after = (0..20)
            .filter(|_| call(&limit, &mut cell, edge + SECOND, 1).allowed)
            .count();
        assert_eq!((before, after), (10, 1));
    }

    #[test]
    fn reset_is_when_the_state_is_that_of_a_stranger() {
        for strategy in ALL {
            let (limit, mut cell) = (of(strategy), Cell::default());
            let reset = (0..4)
                .map(|_| call(&limit, &mut cell, START + 1, 1).reset)
                .last()
                .unwrap();
            assert_eq!(
                limit.ask(&cell, START + 1 + reset, 1).remaining,
                9,
                "{strategy:?}"
            );
            assert!(u64::from(cell.fresh_at) * SECOND <= START + 1 + reset + SECOND);
            assert!(u64::from(cell.fresh_at) * SECOND + SECOND > START + 1 + reset);
        }
    }

    #[test]
    fn a_bucket_has_a_burst_of_its_own() {
        let limit = Limit {
            burst: 25,
            ..of(Strategy::TokenBucket)
        };
        let mut cell = Cell::default();
        let passed = (0..40)
            .filter(|_| call(&limit, &mut cell, START, 1).allowed)
            .count();
        assert_eq!(passed, 25);
        assert!(call(&limit, &mut cell, START + SECOND, 1).allowed);
        assert!(!call(&limit, &mut cell, START + SECOND, 1).allowed);
    }

    #[test]
    fn a_cooldown_refuses_everything_and_ends_whatever_comes_meanwhile() {
        for strategy in ALL {
            let limit = Limit {
                cooldown: Duration::from_secs(60),
                ..of(strategy)
            };
            let mut cell = Cell::default();
            for _ in 0..11 {
                call(&limit, &mut cell, START, 1);
            }
            for second in 1..60 {
                let verdict = call(&limit, &mut cell, START + second * SECOND, 1);
                assert!(
                    !verdict.allowed && verdict.cools_down,
                    "{strategy:?} {second}"
                );
                assert_eq!(verdict.retry_after, (60 - second) * SECOND);
            }
            assert!(call(&limit, &mut cell, START + 60 * SECOND, 1).allowed);
        }
    }

    #[test]
    fn what_costs_more_than_everything_costs_everything() {
        for strategy in ALL {
            let (limit, mut cell) = (of(strategy), Cell::default());
            assert!(call(&limit, &mut cell, START, 1_000).allowed);
            assert!(!call(&limit, &mut cell, START, 1).allowed);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        for strategy in ALL {
            let limit = Limit {
                cooldown: Duration::from_secs(5),
                ..of(strategy)
            };
            let mut cell = Cell::default();
            for _ in 0..11 {
                call(&limit, &mut cell, START, 1);
            }
            let earlier = START - 1_000_000 * SECOND;
            let verdict = call(&limit, &mut cell, earlier, 1);
            assert!(verdict.retry_after <= 10 * SECOND, "{strategy:?}");
            assert!(
                call(&limit, &mut cell, earlier + 10 * SECOND, 1).allowed,
                "{strategy:?}"
            );
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        for (strategy, calls) in ALL.into_iter().flat_map(|all| [(all, CALLS_MAX), (all, 1)]) {
            let limit = Limit {
                strategy,
                calls,
                window: WINDOW_MAX,
                burst: CALLS_MAX,
                cooldown: WINDOW_MAX,
            };
            limit.check().unwrap();
            let mut cell = Cell {
                at: u64::MAX / 2,
                count: u32::MAX,
                previous: u32::MAX,
                ..Cell::default()
            };
            for cost in [0, 1, u32::MAX] {
                call(&limit, &mut cell, START, cost);
            }
        }
    }
}
