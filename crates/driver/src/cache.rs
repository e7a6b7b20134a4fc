//! The response cache, as all workers share it.
//!
//! What is stored and for whom is the engine's matter. Here are the lock around its table, the word that
//! tells workers without it whether anything has changed, and what administrators ask. A hit takes no lock:
//! a worker has a view of the table of its own (`worker`), finds there what a request asks for (`lookup`),
//! and sends what was prepared (`stored`). The table is written when an answer comes that asks to be kept
//! (`keep`). Source: http-server-api §8.

mod keep;
mod lookup;
mod stored;
mod worker;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustc_hash::{FxHashMap, FxHashSet};
use tidegate_engine::{
    CacheKey, CacheState, CacheStore, Candidate, FlushPattern, FlushSite, NoRoom, Snapshot,
};
use tidegate_httpapi::{
    ApiError, CacheCounters, CacheFlush, CacheLimits, CacheUrl, CachedResponse, RequestLimits,
    RequestQueueId,
};
use tidegate_proto::http1::cook_path;

pub(crate) use keep::OwnedOrigin;
pub(crate) use lookup::{Asking, Found, KnownStored};
pub(crate) use stored::Stored;
pub(crate) use worker::WorkerCache;

use crate::mailbox::{Mailbox, Message};
use crate::queue::Queue;

/// The response cache.
pub(crate) struct ResponseCache {
    limits: CacheLimits,
    /// How the table is, for those who do not take its lock. Written under it.
    state: AtomicU64,
    /// What keys' numbers are made with.
    build: RandomState,
    /// Guards the table. No other lock is taken under it, and the application is never called.
    table: Mutex<Table>,
    hits: AtomicU64,
    misses: AtomicU64,
    /// The workers, who hold memory that is not in the table any more.
    workers: OnceLock<Vec<Arc<Mailbox>>>,
}

struct Table {
    store: CacheStore<Stored>,
    /// Whom routing leads to now. What is stored belongs to one of these.
    snapshot: Arc<Snapshot<Queue>>,
    queue_hits: FxHashMap<RequestQueueId, Arc<AtomicU64>>,
    scavenged: Instant,
    /// When workers were asked to drop what is not stored any more.
    tidied: Option<Instant>,
}

/// How things were when a request began: what its answer may be stored by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Began {
    pub(crate) state: CacheState,
    /// The snapshot that it was routed with.
    pub(crate) version: u64,
}

impl ResponseCache {
    pub(crate) fn new(limits: &CacheLimits, snapshot: Arc<Snapshot<Queue>>) -> Self {
        let build = RandomState::new();
        Self {
            limits: limits.clone(),
            state: AtomicU64::default(),
            table: Mutex::new(Table {
                store: CacheStore::new(limits, build.clone()),
                snapshot,
                queue_hits: FxHashMap::default(),
                scavenged: Instant::now(),
                tidied: None,
            }),
            build,
            hits: AtomicU64::default(),
            misses: AtomicU64::default(),
            workers: OnceLock::new(),
        }
    }

    /// Whom to tell when memory is to be dropped.
    pub(crate) fn set_workers(&self, workers: &[Arc<Mailbox>]) {
        // Set once, when all have started.
        let _ = self.workers.set(workers.to_vec());
    }

    /// How the table is now.
    #[inline]
    pub(crate) fn state(&self) -> CacheState {
        // Acquire: what an application reads for its answer is read after this, so that a flush that comes
        // after that is not missed.
        CacheState::from_word(self.state.load(Ordering::Acquire))
    }

    /// A number that nobody can know beforehand.
    fn unknown(&self, number: u64) -> u128 {
        let half = |half: u8| u128::from(self.build.hash_one((number, half)));
        half(0) << 64 | half(1)
    }

    /// Takes over a change of the namespace, before anybody routes by it: what has lost its owner goes.
    pub(crate) fn set_snapshot(&self, snapshot: &Arc<Snapshot<Queue>>) {
        let mut table = self.lock();
        table.snapshot = Arc::clone(snapshot);
        if !table.store.state().is_occupied() {
            return;
        }
        let owners: FxHashSet<(usize, RequestQueueId)> = snapshot
            .entries()
            .filter_map(|entry| {
                let registration = Arc::as_ptr(&entry.registration) as usize;
                Some((registration, entry.group.queue_id()?))
            })
            .collect();
        let owner = |key: &CacheKey| (Arc::as_ptr(key.registration()) as usize, key.queue());
        table.store.retain(|key| owners.contains(&owner(key)));
        self.publish(&table);
    }

    /// Forgets what a queue has counted.
    pub(crate) fn forget_queue(&self, queue: RequestQueueId) {
        self.lock().queue_hits.remove(&queue);
    }

    /// Drops what is meant, for all at once.
    pub(crate) fn flush(
        &self,
        owner: Option<RequestQueueId>,
        flush: &CacheFlush,
        limits: &RequestLimits,
    ) -> Result<u64, ApiError> {
        let pattern = pattern(owner, flush, limits)?;
        let mut table = self.lock();
        let flushed = table.store.flush(pattern);
        self.publish(&table);
        drop(table);
        if flushed > 0 {
            self.ask_to_tidy();
        }
        Ok(flushed)
    }

    /// Drops everything, for good.
    pub(crate) fn clear(&self) {
        let mut table = self.lock();
        table.store.flush(FlushPattern::all(None));
        self.publish(&table);
    }

    /// What is stored now, by URL.
    pub(crate) fn responses(&self) -> Vec<CachedResponse> {
        let now = Instant::now();
        let table = self.lock();
        let entries: Vec<_> = table.store.entries().map(Arc::clone).collect();
        drop(table);
        let fresh = entries.iter().filter(|entry| entry.is_fresh(now));
        let mut responses: Vec<_> = fresh
            .map(|entry| {
                let age = now.saturating_duration_since(entry.stored());
                let created = SystemTime::now() - age;
                let key = &entry.key;
                let mut response = CachedResponse::new(key.to_string(), key.queue(), created);
                entry.response.describe(&mut response);
                response.policy = entry.policy();
                response.time_left = entry.time_left(now);
                response.hits = entry.hits();
                response
            })
            .collect();
        responses.sort_by(|left, right| left.url.cmp(&right.url));
        responses
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        let table = self.lock();
        let totals = table.store.totals();
        let mut counters = CacheCounters::default();
        counters.cached = totals.cached;
        counters.bytes = totals.bytes;
        counters.added = totals.added;
        counters.flushed = totals.flushed;
        counters.scavenged = totals.scavenged;
        counters.evicted = totals.evicted;
        counters.hits = self.hits.load(Ordering::Relaxed);
        counters.misses = self.misses.load(Ordering::Relaxed);
        counters.queue_hits = table
            .queue_hits
            .iter()
            .map(|(&queue, hits)| (queue, hits.load(Ordering::Relaxed)))
            .filter(|(_, hits)| *hits > 0)
            .collect();
        counters.queue_hits.sort_by_key(|(queue, _)| queue.0);
        counters
    }

    /// Puts an answer into the table.
    fn insert(
        &self,
        table: &mut Table,
        candidate: Candidate<Stored>,
        now: Instant,
    ) -> Result<(), NoRoom> {
        let inserted = table.store.insert(candidate, now);
        self.publish(table);
        inserted
    }

    /// Drops what is too old or not asked for, if that is due.
    fn scavenge(&self, table: &mut Table, now: Instant) {
        let since = now.saturating_duration_since(table.scavenged);
        if since >= self.limits.scavenger_period {
            table.scavenged = now;
            table.store.scavenge(now);
            self.publish(table);
        }
    }

    fn ask_to_tidy(&self) {
        for worker in self.workers.get().into_iter().flatten() {
            worker.post(Message::TidyCache);
        }
    }

    /// Tells how the table is to those who do not take its lock.
    fn publish(&self, table: &Table) {
        // Release: who sees it finds the entries as they are now.
        let state = table.store.state();
        self.state.store(state.word(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether routing still leads to the owner of a key, which was found with this version of it.
    fn has_owner(&self, key: &CacheKey, version: u64) -> bool {
        let is_latest = version == self.snapshot.version();
        is_latest
            || self
                .snapshot
                .leads_to(key.port(), key.registration(), key.queue())
    }

    /// The hits of a queue.
    fn queue_hits(&mut self, queue: RequestQueueId) -> Arc<AtomicU64> {
        Arc::clone(self.queue_hits.entry(queue).or_default())
    }

    /// Whether it is time to ask workers again to drop what is not stored any more.
    fn may_ask_to_tidy(&mut self, now: Instant) -> bool {
        let since = |then| now.saturating_duration_since(then);
        let may = self.tidied.is_none_or(|then| since(then) >= TIDY_AGAIN);
        if may {
            self.tidied = Some(now);
        }
        may
    }
}

/// What a flush means, with its path cooked as those of requests are.
fn pattern(
    owner: Option<RequestQueueId>,
    flush: &CacheFlush,
    limits: &RequestLimits,
) -> Result<FlushPattern, ApiError> {
    let (url, is_tree) = match flush {
        CacheFlush::All => return Ok(FlushPattern::all(owner)),
        CacheFlush::Url(url) => (url, false),
        CacheFlush::Tree(url) => (url, true),
    };
    let wrong = |url: &CacheUrl| ApiError::CacheUrl {
        url: url.path.clone(),
    };
    let mut cooked = String::new();
    // Who writes a path by hand may leave spaces and other letters as they are.
    let raw = escape(&url.path);
    cook_path(raw.as_bytes(), limits, &mut cooked).map_err(|_| wrong(url))?;
    let site = url.site.as_ref().map(|site| FlushSite {
        scheme: site.scheme,
        host: site.host.clone(),
        port: site.port,
    });
    match (is_tree, &url.query) {
        (true, None) => Ok(FlushPattern::tree(owner, site, &cooked)),
        (true, Some(_)) => Err(wrong(url)),
        (false, query) => {
            let query = query.as_deref().map(str::as_bytes);
            Ok(FlushPattern::url(owner, site, &cooked, query))
        }
    }
}

/// A path in which what cannot stand in a request is escaped.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, '!'..='~') {
            escaped.push(character);
            continue;
        }
        let mut buffer = [0; 4];
        for byte in character.encode_utf8(&mut buffer).bytes() {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Workers are not asked again within this time.
const TIDY_AGAIN: Duration = Duration::from_secs(1);
