//! Passwords that were right a short while ago.
//!
//! Kept as hashes keyed with what only this process knows: who reads its memory would have found the password
//! on its way in as well, but a dump of this alone tells nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::keyed_hash::KeyedHash;

pub(super) struct Verified {
    key: KeyedHash,
    remember: Duration,
    shards: Vec<Mutex<Shard>>,
}

/// A part of what is remembered, with a lock of its own: many ask at the same time. No other lock is taken
/// while one is held.
struct Shard {
    until: HashMap<[u8; 32], Instant>,
    /// In the order they came, which is that of their ends.
    order: VecDeque<[u8; 32]>,
    most: usize,
}

impl Verified {
    pub(super) fn new(most: usize, remember: Duration) -> Self {
        let shard = || {
            Mutex::new(Shard {
                until: HashMap::new(),
                order: VecDeque::new(),
                most: most.div_ceil(SHARDS),
            })
        };
        Self {
            key: KeyedHash::random(),
            remember,
            shards: (0..SHARDS).map(|_| shard()).collect(),
        }
    }

    pub(super) fn knows(&self, edition: u64, name: &str, password: &str, now: Instant) -> bool {
        let hash = self.hash(edition, name, password);
        let shard = self.shard(&hash);
        shard.until.get(&hash).is_some_and(|until| now < *until)
    }

    pub(super) fn remember(&self, edition: u64, name: &str, password: &str, now: Instant) {
        if self.remember.is_zero() {
            return;
        }
        let hash = self.hash(edition, name, password);
        let until = now + self.remember;
        let mut shard = self.shard(&hash);
        if shard.most == 0 {
            return;
        }
        if shard.until.insert(hash, until).is_some() {
            // It was there, expired or not: its place in the order is the new one.
            shard.order.retain(|other| *other != hash);
        }
        shard.order.push_back(hash);
        if shard.order.len() > shard.most
            && let Some(oldest) = shard.order.pop_front()
        {
            shard.until.remove(&oldest);
        }
    }

    fn hash(&self, edition: u64, name: &str, password: &str) -> [u8; 32] {
        let edition = edition.to_le_bytes();
        self.key
            .of(&[&edition, name.as_bytes(), password.as_bytes()])
    }

    fn shard(&self, hash: &[u8; 32]) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(hash[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const SHARDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_one_pair_of_one_edition_for_a_while() {
        let (now, life) = (Instant::now(), Duration::from_secs(60));
        let verified = Verified::new(100, life);
        verified.remember(1, "ab", "c", now);
        assert!(verified.knows(1, "ab", "c", now));
        assert!(!verified.knows(1, "a", "bc", now));
        assert!(!verified.knows(2, "ab", "c", now));
        assert!(verified.knows(1, "ab", "c", now + life - Duration::from_nanos(1)));
        assert!(!verified.knows(1, "ab", "c", now + life));
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let now = Instant::now();
        let verified = Verified::new(SHARDS, Duration::from_secs(60));
        for number in 0..1000 {
            verified.remember(1, &number.to_string(), "x", now);
            verified.remember(1, &number.to_string(), "x", now);
        }
        let kept: usize = verified
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                assert_eq!(shard.order.len(), shard.until.len());
                shard.order.len()
            })
            .sum();
        assert_eq!(kept, SHARDS);
        assert!(verified.knows(1, "999", "x", now));
    }
}
