//! What a worker has of the response cache for itself.

use std::sync::atomic::Ordering;
use std::time::Instant;

use tidegate_engine::{CacheReplica, CacheState};

use super::{ResponseCache, Stored, Table};
use crate::core::Core;

/// A worker's view of the table, and what it has counted.
#[derive(Default)]
pub(crate) struct WorkerCache {
    pub(super) replica: CacheReplica<Stored>,
    /// Something was counted since the last turn.
    pub(super) has_counted: bool,
    pub(super) misses: u64,
    /// When it looks after the table, or its view, next. None while nothing is stored that it knows of.
    due: Option<Instant>,
}

impl WorkerCache {
    /// When the worker is to wake for it.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether something is to be done at the end of the turn.
    #[inline]
    pub(crate) fn has_work(&self, now: Instant) -> bool {
        self.has_counted || self.due.is_some_and(|due| now >= due)
    }

    /// What is stored at a place that was found just now.
    #[inline]
    pub(crate) fn stored(&self, place: u32) -> &Stored {
        let entry = self.replica.at(place);
        &entry.expect("the view has not changed since").response
    }

    #[inline]
    pub(super) fn count_hit(&mut self, place: u32) {
        self.has_counted = true;
        self.replica.count_hit(place);
    }

    #[inline]
    pub(super) fn count_miss(&mut self) {
        self.has_counted = true;
        self.misses += 1;
    }

    pub(super) fn is_behind(&self, state: CacheState) -> bool {
        self.replica.is_behind(state)
    }

    /// Brings the view up to date.
    pub(super) fn update(&mut self, cache: &ResponseCache, table: &Table, now: Instant) {
        self.hand_on(cache, now);
        self.replica.update(&table.store);
        if self.replica.is_empty() {
            self.due = None;
        } else if self.due.is_none() {
            self.due = now.checked_add(cache.limits.scavenger_period);
        }
    }

    fn tend(&mut self, cache: &ResponseCache, now: Instant) {
        self.hand_on(cache, now);
        if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            let mut table = cache.lock();
            cache.scavenge(&mut table, now);
            self.update(cache, &table, now);
        }
    }

    /// Hands on what was counted.
    fn hand_on(&mut self, cache: &ResponseCache, now: Instant) {
        self.has_counted = false;
        let mut all = 0;
        self.replica.hand_on_hits(now, |entry, hits| {
            all += hits;
            entry.response.count_hits(hits);
        });
        let misses = std::mem::take(&mut self.misses);
        if all > 0 {
            cache.hits.fetch_add(all, Ordering::Relaxed);
        }
        if misses > 0 {
            cache.misses.fetch_add(misses, Ordering::Relaxed);
        }
    }
}

impl Core {
    /// Ends a turn: hands on what was counted, and looks after the table if that is due.
    #[inline(never)]
    pub(crate) fn tend_cache(&mut self) {
        self.cache.tend(&self.shared.cache, self.clock.now());
    }

    /// Drops what is not stored any more.
    pub(crate) fn tidy_cache(&mut self) {
        let now = self.clock.now();
        let (cache, own) = (&self.shared.cache, &mut self.cache);
        let table = cache.lock();
        own.update(cache, &table, now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use bytes::Bytes;
    use tidegate_engine::{CacheKey, Candidate, Control, KeyedPath, PortKey, Wanted};
    use tidegate_httpapi::{
        CacheLimits, CachePolicy, Registration, RequestQueueId, ResponseHead, ServerHeaderMode,
        Timeouts, UrlPrefix, Version,
    };
    use tidegate_proto::http1::{ResponseContext, StoredHead};

    use super::*;
    use crate::queue::Queue;

    fn store(cache: &ResponseCache, path: &str, policy: CachePolicy, now: Instant) -> u64 {
        let prefix = UrlPrefix::parse("http://+:80/").unwrap();
        let registration = Arc::new(Registration { prefix, context: 0 });
        let wanted = Wanted {
            port: PortKey::Tcp(80),
            registration: &registration,
            queue: RequestQueueId(1),
            host: b"h",
            path: KeyedPath::Cooked(path),
            query: None,
        };
        let context = ResponseContext {
            version: Version::Http11,
            head_request: false,
            keep_alive: true,
            date: &[b' '; 29],
            server_token: "",
            server_mode: ServerHeaderMode::Never,
            from_driver: false,
        };
        let head = ResponseHead::new(200);
        let wire = StoredHead::new(&head, 4, &context);
        let content = Bytes::from_static(b"text");
        let hash = wanted.hash(&cache.build);
        let candidate = Candidate {
            key: CacheKey::of(&wanted),
            hash,
            response_bytes: 100,
            response: Stored::new(head, wire, content, Arc::new(AtomicU64::new(0))),
            policy,
            began: cache.state(),
        };
        let mut table = cache.lock();
        cache.insert(&mut table, candidate, now).unwrap();
        hash
    }

    #[test]
    fn a_worker_that_holds_copies_looks_after_them() {
        let limits = CacheLimits::default();
        let period = limits.scavenger_period;
        let snapshot = Control::<Queue>::new(Timeouts::default(), 1).snapshot();
        let cache = ResponseCache::new(&limits, snapshot);
        let (mut first, mut second) = (WorkerCache::default(), WorkerCache::default());
        let now = Instant::now();
        assert_eq!(first.deadline(), None);
        let time_to_live = CachePolicy::TimeToLive(Duration::from_secs(100_000));
        let asked = store(&cache, "/asked", time_to_live, now);
        store(&cache, "/idle", time_to_live, now);
        first.update(&cache, &cache.lock(), now);
        assert_eq!(first.deadline(), Some(now + period));
        assert!(!first.has_work(now + period / 2) && first.has_work(now + period));
        // Who has looked nothing up has nothing to look after.
        assert_eq!(second.deadline(), None);
        second.update(&cache, &cache.lock(), now + period / 2);
        second.count_hit(second.replica.find(asked).unwrap());
        second.count_miss();
        assert!(second.has_work(now));
        second.tend(&cache, now + period / 2);
        let counters = cache.counters();
        assert_eq!((counters.hits, counters.misses, counters.cached), (1, 1, 2));
        first.tend(&cache, now + period);
        let counters = cache.counters();
        assert_eq!((counters.cached, counters.scavenged), (1, 1));
        assert_eq!(first.deadline(), Some(now + 2 * period));
        // The second holds what was dropped until it looks as well.
        let held = counters.bytes;
        second.tend(&cache, now + period / 2 + period);
        assert!(cache.counters().bytes < held);
        first.tend(&cache, now + 2 * period);
        assert_eq!(cache.counters().cached, 0);
        assert_eq!(first.deadline(), None);
        assert!(!cache.state().is_occupied());
        second.tend(&cache, now + 4 * period);
        assert_eq!((second.deadline(), cache.counters().bytes), (None, 0));
    }
}
