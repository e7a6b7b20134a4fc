//! The table of all stored responses, bounded in memory.
//!
//! Each change has a number, by which workers know what they have missed. What is evicted is what was not
//! served since it was looked at last (the "clock" of page replacement), so that a row of URLs that are
//! asked for once does not drive out what is asked for all the time.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_httpapi::{CacheLimits, CachePolicy};

use super::entry::{CacheEntry, Memory, NewEntry};
use super::flush::{FlushPattern, RecentFlushes};
use super::key::{CacheKey, Wanted};

/// All stored responses.
#[derive(Debug)]
pub struct CacheStore<R> {
    /// Most memory that entries may take, in the table and out of it.
    memory_bytes_max: u64,
    /// Most memory that entries in the table may take. The rest is for those that have been dropped from it
    /// and that workers have not let go yet.
    bytes_max: u64,
    scavenger_period: Duration,
    build: RandomState,
    entries: HashMap<u64, Arc<CacheEntry<R>>, HashedAlready>,
    /// In the order in which they are looked at when room is needed.
    clock: VecDeque<Looked>,
    /// What the entries in the table take.
    bytes: u64,
    memory: Arc<Memory>,
    flushes: RecentFlushes,
    change: u64,
    /// The keys' numbers that the last changes were about; the last is that of `change`.
    changed: VecDeque<u64>,
    totals: CacheTotals,
}

/// An entry in the row of those that are looked at.
#[derive(Debug)]
struct Looked {
    hash: u64,
    /// The change that has put it there. Another with the same hash may have replaced it.
    change: u64,
    /// When it had been served last as it was looked at.
    used: u64,
}

/// What a store has done since it was made, and what it holds now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheTotals {
    /// Entries.
    pub cached: u64,
    /// Memory that they take, in bytes.
    pub bytes: u64,
    /// Entries put in.
    pub added: u64,
    /// Entries flushed, or dropped with their owner.
    pub flushed: u64,
    /// Entries that were too old, or not asked for.
    pub scavenged: u64,
    /// Entries dropped for want of room.
    pub evicted: u64,
}

/// How a store is at one moment, for those who look without a lock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheState(u64);

impl CacheState {
    /// The state that a word stands for.
    #[inline]
    pub fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// As one word.
    #[inline]
    pub fn word(self) -> u64 {
        self.0
    }

    /// Whether anything is stored.
    #[inline]
    pub fn is_occupied(self) -> bool {
        self.0 & 1 != 0
    }

    /// The number of the last change.
    #[inline]
    pub(super) fn change(self) -> u64 {
        self.0 >> 1
    }
}

/// What is to be stored.
#[derive(Debug)]
pub struct Candidate<R> {
    /// What for.
    pub key: CacheKey,
    /// The number of the key.
    pub hash: u64,
    /// What it is served from.
    pub response: R,
    /// Memory that this takes.
    pub response_bytes: usize,
    /// For how long.
    pub policy: CachePolicy,
    /// How the store was when the request began that this is an answer to.
    pub began: CacheState,
}

/// Why something was not stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoRoom {
    /// It was flushed while it was made.
    Flushed,
    /// It is larger than all that may be stored.
    TooLarge,
    /// There is room in the table, but workers have not dropped yet what was in it.
    Undropped,
}

impl<R> CacheStore<R> {
    /// An empty store. `build` has a seed that nobody knows.
    pub fn new(limits: &CacheLimits, build: RandomState) -> Self {
        Self {
            memory_bytes_max: limits.total_bytes_max,
            bytes_max: limits.total_bytes_max / 8 * 7,
            scavenger_period: limits.scavenger_period,
            build,
            entries: HashMap::default(),
            clock: VecDeque::new(),
            bytes: 0,
            memory: Arc::default(),
            flushes: RecentFlushes::default(),
            change: 0,
            changed: VecDeque::new(),
            totals: CacheTotals::default(),
        }
    }

    /// How it is now.
    pub fn state(&self) -> CacheState {
        CacheState(self.change << 1 | u64::from(!self.entries.is_empty()))
    }

    /// What it has done and what it holds.
    pub fn totals(&self) -> CacheTotals {
        CacheTotals {
            cached: self.entries.len() as u64,
            bytes: self.memory.bytes(),
            ..self.totals
        }
    }

    /// What keys' numbers are made with.
    pub fn build(&self) -> &RandomState {
        &self.build
    }

    /// All entries, in no particular order.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<CacheEntry<R>>> {
        self.entries.values()
    }

    /// The entry of what a request asks for, fresh or not.
    pub fn find(&self, wanted: &Wanted<'_>) -> Option<&Arc<CacheEntry<R>>> {
        let entry = self.entries.get(&wanted.hash(&self.build))?;
        entry.key.is_of(wanted).then_some(entry)
    }

    /// Stores something, in place of what was stored for the same key.
    ///
    /// # Errors
    ///
    /// Why it was not; what was there before may have gone.
    pub fn insert(&mut self, new: Candidate<R>, now: Instant) -> Result<(), NoRoom> {
        if self.flushes.mean_since(new.began.change(), &new.key) {
            return Err(NoRoom::Flushed);
        }
        let bytes = (ENTRY_BYTES + new.key.bytes() + new.response_bytes) as u64;
        if bytes > self.bytes_max {
            return Err(NoRoom::TooLarge);
        }
        self.remove(new.hash);
        if self.bytes + bytes > self.bytes_max {
            self.make_room(bytes, now);
        }
        if self.memory.bytes() + bytes > self.memory_bytes_max {
            return Err(NoRoom::Undropped);
        }
        let change = self.note_change(new.hash);
        let entry = NewEntry {
            key: new.key,
            response: new.response,
            hash: new.hash,
            change,
            policy: new.policy,
            now,
            bytes,
        };
        self.bytes += bytes;
        self.totals.added += 1;
        self.clock.push_back(Looked {
            hash: new.hash,
            change,
            used: 0,
        });
        self.entries
            .insert(new.hash, CacheEntry::new(entry, &self.memory));
        self.tidy_clock();
        Ok(())
    }

    /// Drops all that is meant. Says how many entries that was.
    ///
    /// What is being made meanwhile is not stored either, if it is meant.
    pub fn flush(&mut self, pattern: FlushPattern) -> u64 {
        let dropped = self.drop_all(|entry| pattern.means(&entry.key));
        self.totals.flushed += dropped;
        // A change in any case: what began before it is told by it.
        let change = self.note_change(NO_KEY);
        self.flushes.add(change, pattern);
        dropped
    }

    /// Drops all whose owner is no more.
    pub fn retain(&mut self, is_owned: impl Fn(&CacheKey) -> bool) {
        let dropped = self.drop_all(|entry| !is_owned(&entry.key));
        self.totals.flushed += dropped;
    }

    /// Drops what is too old or not asked for. Call it once in each scavenger's period.
    pub fn scavenge(&mut self, now: Instant) {
        let period = self.scavenger_period;
        let dropped = self.drop_all(|entry| entry.is_to_be_scavenged(now, period));
        self.totals.scavenged += dropped;
    }

    /// What stands at a key's number.
    pub(super) fn at(&self, hash: u64) -> Option<&Arc<CacheEntry<R>>> {
        self.entries.get(&hash)
    }

    /// The keys' numbers that changes after this one were about; `None` when they are not known any more.
    pub(super) fn changed_since(&self, change: u64) -> Option<impl Iterator<Item = u64>> {
        let missed = usize::try_from(self.change - change).ok()?;
        let first = self.changed.len().checked_sub(missed)?;
        let numbers = self.changed.range(first..).copied();
        Some(numbers.filter(|&hash| hash != NO_KEY))
    }

    fn drop_all(&mut self, is_dropped: impl Fn(&CacheEntry<R>) -> bool) -> u64 {
        let dropped: Vec<u64> = self
            .entries
            .values()
            .filter(|entry| is_dropped(entry))
            .map(|entry| entry.hash)
            .collect();
        for &hash in &dropped {
            self.remove(hash);
        }
        self.tidy_clock();
        dropped.len() as u64
    }

    fn remove(&mut self, hash: u64) {
        if let Some(entry) = self.entries.remove(&hash) {
            entry.invalidate();
            self.bytes -= entry.bytes();
            self.note_change(hash);
        }
    }

    fn note_change(&mut self, hash: u64) -> u64 {
        if self.changed.len() == CHANGES_KEPT {
            self.changed.pop_front();
        }
        self.changed.push_back(hash);
        self.change += 1;
        self.change
    }

    /// Evicts until there is room for so many bytes, and some for those that follow.
    fn make_room(&mut self, bytes: u64, now: Instant) {
        let target = (self.bytes_max - bytes).min(self.bytes_max / 16 * 15);
        // Each is passed over once at most: after that it has not been served since.
        let mut looks_left = 2 * self.clock.len();
        while self.bytes > target
            && looks_left > 0
            && let Some(looked) = self.clock.pop_front()
        {
            looks_left -= 1;
            let entry = self.entries.get(&looked.hash);
            let Some(entry) = entry.filter(|entry| entry.change == looked.change) else {
                continue;
            };
            let used = entry.used();
            if used > looked.used && entry.is_fresh(now) {
                self.clock.push_back(Looked { used, ..looked });
                continue;
            }
            self.totals.evicted += 1;
            self.remove(looked.hash);
        }
    }

    /// Forgets in the row what is no more, when that is most of it.
    fn tidy_clock(&mut self) {
        if self.clock.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.clock.retain(|looked| {
                let entry = entries.get(&looked.hash);
                entry.is_some_and(|entry| entry.change == looked.change)
            });
        }
    }
}

/// Memory that is counted for an entry beside its key and its response: itself, and its places in the
/// tables of the store and of some workers.
const ENTRY_BYTES: usize = 768;

/// Changes that are known one by one. A worker that has missed more takes the whole table.
const CHANGES_KEPT: usize = 1024;

/// In place of a key's number, which are smaller: a change that is about none.
const NO_KEY: u64 = u64::MAX;

/// For maps whose keys are numbers of keys, which are hashes already.
pub(super) type HashedAlready = BuildHasherDefault<PassThrough>;

#[derive(Debug, Default)]
pub(super) struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
