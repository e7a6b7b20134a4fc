//! How many bytes may go in a second: of all connections of a server session, of those of a URL group, and of
//! one response.
//!
//! A [`Bandwidth`] is shared by all workers. It is one number: the moment until which what was granted takes at
//! its rate. Who wants to send takes a slice in advance and may send it when its moment has come, so that
//! workers are served in the order in which they asked, without a lock and without waiting for each other
//! (`Share`). Who has received pays afterwards ([`Bandwidth::charge`]). Who of a worker's connections sends
//! next is [`Shaper`]'s matter. Time is an argument, counted from when the driver began.
//! Source: QoS bandwidth and flow rate, http-server-api §12. Slices and catching up are our ruling.

mod flow;
mod shaper;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use flow::ResponseFlow;
pub use shaper::{Shaper, Sleep};

/// A rate that all who have it share, in bytes per second.
#[derive(Debug)]
pub struct Bandwidth {
    /// [`UNLIMITED`] or the bytes per second.
    rate: AtomicU64,
    /// The rate that `paid_until` was reckoned at.
    reckoned_at: AtomicU64,
    /// In nanoseconds: when what was granted has been used up.
    paid_until: AtomicU64,
}

/// What one worker has of a [`Bandwidth`].
#[derive(Debug)]
struct Share {
    rate: u64,
    /// May be sent now. Below 0 when more was sent than there was.
    credit: i64,
    /// May be sent from a moment on.
    next: Option<Slice>,
}

/// Bytes that may be sent from a moment on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Slice {
    at: Duration,
    bytes: u64,
}

/// The limits of a URL group, and those of its session. The same in all snapshots: a change of their rates acts
/// at once, on what is being sent too.
#[derive(Debug, Default)]
pub struct GroupBandwidth {
    /// What the group's responses have together.
    pub send: Bandwidth,
    /// What all groups of the session have together.
    pub session: Arc<SessionBandwidth>,
}

/// The limits of a server session.
#[derive(Debug, Default)]
pub struct SessionBandwidth {
    /// What all that is sent has together.
    pub send: Bandwidth,
    /// What all that is received has together.
    pub receive: Bandwidth,
}

impl GroupBandwidth {
    /// Whether anything of what is sent is limited.
    #[inline]
    pub fn limits_send(&self) -> bool {
        self.send.is_limited() || self.session.send.is_limited()
    }

    /// Whether anything is limited.
    pub fn is_limited(&self) -> bool {
        self.limits_send() || self.session.receive.is_limited()
    }
}

impl Default for Bandwidth {
    fn default() -> Self {
        Self {
            rate: AtomicU64::new(UNLIMITED),
            reckoned_at: AtomicU64::new(UNLIMITED),
            paid_until: AtomicU64::new(0),
        }
    }
}

impl Bandwidth {
    /// Sets the rate in bytes per second; `None` is unlimited.
    pub fn set(&self, rate: Option<u32>) {
        let rate = rate.map_or(UNLIMITED, |rate| u64::from(rate).max(1));
        // Relaxed, here and below: the numbers themselves are all there is to agree on.
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Whether there is a limit.
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.rate() != UNLIMITED
    }

    #[inline]
    fn rate(&self) -> u64 {
        self.rate.load(Ordering::Relaxed)
    }

    /// `bytes` have been received. Says until when nothing more should be, for the rate to be kept.
    pub fn charge(&self, bytes: u64, now: Duration) -> Duration {
        let rate = self.rate();
        if rate == UNLIMITED {
            return now;
        }
        self.reckon(rate, now);
        let began = self.pay(bytes, rate, now);
        Duration::from_nanos(began.saturating_add(nanoseconds(bytes, rate)))
    }

    /// Takes a slice for so many connections.
    fn reserve(&self, rate: u64, connections: usize, now: Duration) -> Slice {
        self.reckon(rate, now);
        // Workers with more connections get more, but nobody waits long for another's slice.
        let wanted = slice_bytes(rate).saturating_mul(connections.max(1) as u64);
        let bytes = wanted.min((rate / 4).max(SLICE_BYTES_MIN));
        let at = self.pay(bytes, rate, now);
        Slice {
            at: Duration::from_nanos(at),
            bytes,
        }
    }

    /// Pays for bytes. Returns the moment from which on they are paid.
    fn pay(&self, bytes: u64, rate: u64, now: Duration) -> u64 {
        let takes = nanoseconds(bytes, rate);
        // What was not used lately may be used still: a worker that comes late does not lower the rate.
        let earliest = as_nanos(now.saturating_sub(CATCHES_UP));
        let begin = |paid: u64| paid.max(earliest);
        let before = self
            .paid_until
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
                Some(begin(paid).saturating_add(takes))
            });
        begin(before.unwrap_or_else(|paid| paid))
    }

    /// After a change of the rate: what has been granted in advance takes less time at a higher one. At a lower
    /// one it takes no more than it did, so that nobody waits for what was right when it was granted.
    fn reckon(&self, rate: u64, now: Duration) {
        let before = self.reckoned_at.load(Ordering::Relaxed);
        if before == rate {
            return;
        }
        let exchanged =
            self.reckoned_at
                .compare_exchange(before, rate, Ordering::Relaxed, Ordering::Relaxed);
        if exchanged.is_err() || rate <= before {
            return;
        }
        let now = as_nanos(now);
        let _ = self
            .paid_until
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
                let ahead = paid.checked_sub(now)?;
                let ahead = u128::from(ahead) * u128::from(before) / u128::from(rate);
                Some(now.saturating_add(u64::try_from(ahead).unwrap_or(u64::MAX)))
            });
    }
}

impl Default for Share {
    fn default() -> Self {
        Self {
            rate: UNLIMITED,
            credit: 0,
            next: None,
        }
    }
}

impl Share {
    /// How many bytes may be sent now; `u64::MAX` without a limit. `connections` wait for some.
    ///
    /// # Errors
    ///
    /// None: again at the moment returned.
    fn available(
        &mut self,
        of: &Bandwidth,
        connections: usize,
        now: Duration,
    ) -> Result<u64, Duration> {
        let rate = of.rate();
        if rate != self.rate {
            // Granted at another rate.
            *self = Self {
                rate,
                ..Self::default()
            };
        }
        if rate == UNLIMITED {
            return Ok(u64::MAX);
        }
        loop {
            if self.credit > 0 {
                return Ok(self.credit.unsigned_abs());
            }
            let next = *self
                .next
                .get_or_insert_with(|| of.reserve(rate, connections, now));
            if next.at > now {
                return Err(next.at);
            }
            self.next = None;
            self.credit = self
                .credit
                .saturating_add(i64::try_from(next.bytes).unwrap_or(i64::MAX));
        }
    }

    /// `bytes` are sent. They may be a little more than were available: what follows waits for it.
    fn take(&mut self, bytes: u64) {
        if self.rate != UNLIMITED {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.credit = self.credit.saturating_sub(bytes);
        }
    }
}

/// What a connection is given at a time: what the rate gives in a 64th of a second, but never so little that it
/// would not be worth a system call, nor so much that others would wait long for theirs.
fn slice_bytes(rate: u64) -> u64 {
    (rate / 64).clamp(SLICE_BYTES_MIN, 64 * 1024)
}

const SLICE_BYTES_MIN: u64 = 512;

/// How long bytes take at a rate.
fn nanoseconds(bytes: u64, rate: u64) -> u64 {
    let takes = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    u64::try_from(takes).unwrap_or(u64::MAX)
}

fn as_nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

const UNLIMITED: u64 = u64::MAX;

/// For how long what was not used may be used afterwards.
const CATCHES_UP: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
