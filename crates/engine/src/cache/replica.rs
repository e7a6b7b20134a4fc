//! A worker's own view of the store, to be searched without a lock.
//!
//! It may be out of date: what it lacks is found when it is brought up to date after a miss, and what it has
//! and the store has dropped is not valid any more. Hits are counted here and handed on once for many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::entry::CacheEntry;
use super::store::{CacheState, CacheStore, HashedAlready};

/// A worker's view of the store.
#[derive(Debug)]
pub struct CacheReplica<R> {
    slots: Vec<Option<Slot<R>>>,
    free: Vec<u32>,
    index: HashMap<u64, u32, HashedAlready>,
    /// The store's last change that is known here.
    change: u64,
    /// Slots that have hits to hand on.
    hit: Vec<u32>,
}

#[derive(Debug)]
struct Slot<R> {
    entry: Arc<CacheEntry<R>>,
    /// Hits that have not been handed on.
    hits: u64,
}

impl<R> Default for CacheReplica<R> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            change: 0,
            hit: Vec::new(),
        }
    }
}

impl<R> CacheReplica<R> {
    /// The last change of the store that is known here. As long as it stays the same, so do places.
    #[inline]
    pub fn change(&self) -> u64 {
        self.change
    }

    /// Whether it lacks changes that the store had seen in this state.
    #[inline]
    pub fn is_behind(&self, state: CacheState) -> bool {
        state.change() > self.change
    }

    /// Whether nothing is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The place of what is stored under a key's number.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<u32> {
        self.index.get(&hash).copied()
    }

    /// What is at a place that was found.
    #[inline]
    pub fn at(&self, place: u32) -> Option<&CacheEntry<R>> {
        let slot = self.slots.get(place as usize)?.as_ref()?;
        Some(&slot.entry)
    }

    /// Counts a hit.
    #[inline]
    pub fn count_hit(&mut self, place: u32) {
        if let Some(Some(slot)) = self.slots.get_mut(place as usize) {
            if slot.hits == 0 {
                self.hit.push(place);
            }
            slot.hits += 1;
        }
    }

    /// Hands on the hits that were counted. `tell` is given each entry, and how many it has had.
    pub fn hand_on_hits(&mut self, now: Instant, mut tell: impl FnMut(&CacheEntry<R>, u64)) {
        for place in self.hit.drain(..) {
            if let Some(Some(slot)) = self.slots.get_mut(place as usize) {
                let hits = std::mem::take(&mut slot.hits);
                slot.entry.count_hits(hits, now);
                tell(&slot.entry, hits);
            }
        }
    }

    /// Brings it up to date. Hand on the hits first.
    pub fn update(&mut self, store: &CacheStore<R>) {
        debug_assert!(self.hit.is_empty(), "hits would be lost");
        let change = store.state().change();
        if change == self.change {
            return;
        }
        match store.changed_since(self.change) {
            Some(changed) => {
                for hash in changed {
                    self.put(hash, store.at(hash));
                }
            }
            None => self.take_all(store),
        }
        self.change = change;
        if self.index.is_empty() {
            *self = Self {
                change,
                ..Self::default()
            };
        }
    }

    fn put(&mut self, hash: u64, entry: Option<&Arc<CacheEntry<R>>>) {
        let Some(entry) = entry else {
            if let Some(place) = self.index.remove(&hash) {
                self.slots[place as usize] = None;
                self.free.push(place);
            }
            return;
        };
        let slot = Some(Slot {
            entry: Arc::clone(entry),
            hits: 0,
        });
        if let Some(&place) = self.index.get(&hash) {
            self.slots[place as usize] = slot;
            return;
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(hash, place);
    }

    fn take_all(&mut self, store: &CacheStore<R>) {
        self.slots.clear();
        self.free.clear();
        self.index.clear();
        for entry in store.entries() {
            self.put(entry.hash, Some(entry));
        }
    }
}
