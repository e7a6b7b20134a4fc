//! The slowest average at which a peer may take a response.
//!
//! The average runs from the moment response data began to wait for the peer until none waits any
//! more. Two things are added to it. Nobody is judged in the first [`GRACE`]: a fresh send has had no
//! time to be taken. And speed cannot be saved up for longer than [`CREDIT_MAX`]: after a gigabyte
//! taken fast, the mere average would let a peer stand still, with all that is held for it, for months.
//! Source: `MinSendRate`; http-server-api §6. Grace and credit are our ruling.

use std::time::{Duration, Instant};

/// Judges the rate of one stretch of sending.
///
/// Make one when response data begins to wait, tell it what the peer takes, drop it when nothing waits.
#[derive(Clone, Copy, Debug)]
pub struct SendRate {
    began: Instant,
    /// When what was taken has been used up, at the slowest rate allowed.
    paid_until: Instant,
}

impl SendRate {
    /// Response data begins to wait.
    pub fn begin(now: Instant) -> Self {
        Self {
            began: now,
            paid_until: now,
        }
    }

    /// The peer has taken `bytes`. `rate` is the slowest rate allowed, in bytes per second.
    pub fn taken(&mut self, bytes: u64, now: Instant, rate: u32) {
        let pays_for = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        let pays_for = u64::try_from(pays_for).map_or(CREDIT_MAX, Duration::from_nanos);
        self.paid_until = (self.paid_until + pays_for.min(CREDIT_MAX)).min(now + CREDIT_MAX);
    }

    /// When the peer will be too slow if it takes nothing more until then.
    pub fn deadline(&self) -> Instant {
        // Grace also bridges the time in which a slow peer's system gathers data before it takes it.
        self.paid_until.max(self.began) + GRACE
    }

    /// Whether the peer is too slow.
    pub fn is_too_slow(&self, now: Instant) -> bool {
        now >= self.deadline()
    }
}

/// How long a fresh send is not judged, and how far behind the rate a peer may fall.
const GRACE: Duration = Duration::from_secs(5);

/// For how long a peer that was fast may stand still: the default of the other timers.
const CREDIT_MAX: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 150;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_fresh_send_is_not_judged() {
        let start = Instant::now();
        let send = SendRate::begin(start);
        assert!(!send.is_too_slow(start));
        assert!(!send.is_too_slow(after(start, 4.999)));
        assert!(send.is_too_slow(after(start, 5.0)));
        assert_eq!(send.deadline(), after(start, 5.0));
    }

    #[test]
    fn a_peer_at_the_rate_goes_on_for_ever() {
        let start = Instant::now();
        let mut send = SendRate::begin(start);
        for second in 1..10_000 {
            let now = after(start, f64::from(second));
            assert!(!send.is_too_slow(now));
            send.taken(u64::from(RATE), now, RATE);
        }
    }

    #[test]
    fn a_peer_below_the_rate_is_found_out() {
        let start = Instant::now();
        let mut send = SendRate::begin(start);
        let too_slow = (1..10_000).find(|&second| {
            let now = after(start, f64::from(second));
            let is_too_slow = send.is_too_slow(now);
            send.taken(u64::from(RATE) * 9 / 10, now, RATE);
            is_too_slow
        });
        // It falls behind by a tenth of a second each second, until grace is used up.
        assert!(too_slow.is_some_and(|second| (40..=52).contains(&second)));
    }

    #[test]
    fn a_burst_pays_for_a_pause() {
        let start = Instant::now();
        let mut send = SendRate::begin(start);
        send.taken(1500, start, RATE);
        assert!(!send.is_too_slow(after(start, 14.9)));
        assert!(send.is_too_slow(after(start, 15.0)));
    }

    #[test]
    fn speed_cannot_be_saved_up_for_long() {
        let start = Instant::now();
        let mut send = SendRate::begin(start);
        send.taken(u64::MAX, start, RATE);
        send.taken(u64::MAX, start, 0);
        assert_eq!(send.deadline(), start + CREDIT_MAX + GRACE);
    }
}
