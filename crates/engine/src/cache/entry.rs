//! One stored response: whose it is, how long it lasts, and whether it still counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tidegate_httpapi::CachePolicy;

use super::key::CacheKey;

/// A stored response. `R` is what the driver serves it from.
///
/// Shared by all workers. Only what an entry counts and whether it is valid changes; whoever drops it from
/// the store makes it invalid first, which all see at once.
#[derive(Debug)]
pub struct CacheEntry<R> {
    /// What it is stored for.
    pub key: CacheKey,
    /// What it is served from.
    pub response: R,
    /// The number of its key.
    pub(super) hash: u64,
    /// The change of the store that put it there.
    pub(super) change: u64,
    policy: CachePolicy,
    stored: Instant,
    expires: Option<Instant>,
    is_valid: AtomicBool,
    hits: AtomicU64,
    /// When it was served last, in milliseconds since it was stored.
    used: AtomicU64,
    bytes: u64,
    memory: Arc<Memory>,
}

/// The memory of all entries that there are: those in the store, and those that a worker has not dropped
/// yet.
#[derive(Debug, Default)]
pub(super) struct Memory(AtomicU64);

impl Memory {
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<R> Drop for CacheEntry<R> {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What an entry is made of.
pub(super) struct NewEntry<R> {
    pub(super) key: CacheKey,
    pub(super) response: R,
    pub(super) hash: u64,
    pub(super) change: u64,
    pub(super) policy: CachePolicy,
    pub(super) now: Instant,
    pub(super) bytes: u64,
}

impl<R> CacheEntry<R> {
    pub(super) fn new(new: NewEntry<R>, memory: &Arc<Memory>) -> Arc<Self> {
        memory.0.fetch_add(new.bytes, Ordering::Relaxed);
        let time_to_live = new.policy.time_to_live();
        Arc::new(Self {
            key: new.key,
            response: new.response,
            hash: new.hash,
            change: new.change,
            policy: new.policy,
            stored: new.now,
            // What is too far away to be told is never.
            expires: time_to_live.and_then(|time| new.now.checked_add(time)),
            is_valid: AtomicBool::new(true),
            hits: AtomicU64::new(0),
            used: AtomicU64::new(0),
            bytes: new.bytes,
            memory: Arc::clone(memory),
        })
    }

    /// Whether it may be served now.
    #[inline]
    pub fn is_fresh(&self, now: Instant) -> bool {
        // Acquire: who sees it dropped sees what was done before, and nobody can see it valid who has heard
        // that it was dropped.
        self.is_valid.load(Ordering::Acquire) && self.expires.is_none_or(|expires| now < expires)
    }

    pub(super) fn is_valid(&self) -> bool {
        self.is_valid.load(Ordering::Acquire)
    }

    /// From now on nobody is served it.
    pub(super) fn invalidate(&self) {
        self.is_valid.store(false, Ordering::Release);
    }

    /// Counts that it was served so often.
    pub(super) fn count_hits(&self, hits: u64, now: Instant) {
        self.hits.fetch_add(hits, Ordering::Relaxed);
        // Later than when it was stored, however soon.
        self.used.store(self.age(now).max(1), Ordering::Relaxed);
    }

    /// When it was served last, in milliseconds since it was stored.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether it is to be dropped: too old, or nobody has asked for it in so long. What only its user
    /// invalidates stays.
    pub(super) fn is_to_be_scavenged(&self, now: Instant, period: Duration) -> bool {
        let idle = self.age(now).saturating_sub(self.used());
        match self.policy {
            CachePolicy::TimeToLive(_) => {
                !self.is_fresh(now) || u128::from(idle) >= period.as_millis()
            }
            CachePolicy::UserInvalidates | CachePolicy::None => !self.is_valid(),
        }
    }

    fn age(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.stored).as_millis();
        u64::try_from(age).unwrap_or(u64::MAX)
    }

    /// What was asked for.
    pub fn policy(&self) -> CachePolicy {
        self.policy
    }

    /// When it was stored.
    pub fn stored(&self) -> Instant {
        self.stored
    }

    /// How long it still lasts; `None` where no time ends it.
    pub fn time_left(&self, now: Instant) -> Option<Duration> {
        let time_to_live = self.policy.time_to_live()?;
        let age = now.saturating_duration_since(self.stored);
        Some(time_to_live.saturating_sub(age))
    }

    /// How often it was served.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}
