//! Which counts of which nonces were used. Source: RFC 7616 §3.4, §5.12.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Nonce;

/// Whether a count may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Count {
    Fresh,
    /// Used before, or too long ago to know.
    Used,
}

/// The counts of the nonces that are in use.
pub(super) struct Counts {
    /// Nothing is called and no other lock taken while it is held.
    table: Mutex<Table>,
    nonces_max: usize,
}

struct Table {
    /// By nonce, which is in the order they were issued.
    used: BTreeMap<Nonce, Window>,
    /// Up to here nothing is known any more, so that nothing is accepted.
    forgotten: Option<Nonce>,
}

/// The highest count, and which of the 64 up to it were used: clients with several connections send them out of
/// order.
struct Window {
    highest: u32,
    used: u64,
}

impl Counts {
    pub(super) fn new(nonces_max: usize) -> Self {
        Self {
            table: Mutex::new(Table {
                used: BTreeMap::new(),
                forgotten: None,
            }),
            nonces_max: nonces_max.max(1),
        }
    }

    /// Uses a count of a nonce that is still alive.
    pub(super) fn use_once(
        &self,
        nonce: Nonce,
        count: u32,
        now: Duration,
        life: Duration,
    ) -> Count {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Table { used, forgotten } = &mut *table;
        if forgotten.is_some_and(|forgotten| nonce <= forgotten) {
            return Count::Used;
        }
        if let Some(window) = used.get_mut(&nonce) {
            return window.use_once(count);
        }
        // Those that have ended are of no use; a few at a time, so that no request pays for all.
        for _ in 0..2 {
            match used.first_entry() {
                Some(oldest) if now.saturating_sub(oldest.key().issued) >= life => {
                    oldest.remove();
                }
                _ => break,
            }
        }
        if used.len() == self.nonces_max
            && let Some((oldest, _)) = used.pop_first()
        {
            *forgotten = Some(oldest);
            if nonce <= oldest {
                return Count::Used;
            }
        }
        let mut window = Window {
            highest: 0,
            used: 0,
        };
        let fresh = window.use_once(count);
        used.insert(nonce, window);
        fresh
    }
}

impl Window {
    fn use_once(&mut self, count: u32) -> Count {
        if count > self.highest {
            let further = count - self.highest;
            self.used = self.used.checked_shl(further).unwrap_or(0) | 1;
            self.highest = count;
            return Count::Fresh;
        }
        let back = self.highest - count;
        let Some(bit) = 1_u64.checked_shl(back) else {
            return Count::Used;
        };
        if count == 0 || self.used & bit != 0 {
            return Count::Used;
        }
        self.used |= bit;
        Count::Fresh
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const LIFE: Duration = Duration::from_secs(300);

    fn nonce(seconds: u64) -> Nonce {
        Nonce {
            issued: Duration::from_secs(seconds),
            unique: seconds,
        }
    }

    #[test]
    fn a_count_is_used_once() {
        let counts = Counts::new(10);
        let now = Duration::from_secs(10);
        let take = |count| counts.use_once(nonce(1), count, now, LIFE);
        assert_eq!(take(0), Count::Used);
        assert_eq!(take(1), Count::Fresh);
        assert_eq!(take(1), Count::Used);
        assert_eq!(take(3), Count::Fresh);
        assert_eq!(take(2), Count::Fresh);
        assert_eq!(take(2), Count::Used);
        assert_eq!(take(66), Count::Fresh);
        assert_eq!(take(3), Count::Used);
        assert_eq!(take(2), Count::Used);
        assert_eq!(take(4), Count::Fresh);
        assert_eq!(take(u32::MAX), Count::Fresh);
        assert_eq!(take(66), Count::Used);
    }

    // Whatever comes in whatever order: nothing is accepted twice, and no more is kept than may be.
    #[test]
    fn nothing_is_accepted_twice() {
        let counts = Counts::new(8);
        let mut accepted = HashSet::new();
        let mut state = 88_172_645_463_325_252_u64;
        for step in 0..50_000_u64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let now = Duration::from_secs(step / 20 + 20);
            let nonce = nonce(now.as_secs() - state % 20);
            let count = u32::try_from(state / 32 % 100).unwrap();
            if counts.use_once(nonce, count, now, LIFE) == Count::Fresh {
                assert!(accepted.insert((nonce, count)));
            }
            assert!(counts.table.lock().unwrap().used.len() <= 8);
        }
        assert!(accepted.len() > 1000);
    }
}
