//! The files of a site that are kept ready in memory, up to so many bytes. Long contents of them are kept,
//! and counted, elsewhere (`long_contents`).
//!
//! Divided into shards, so that threads seldom wait for one another: each is read under a lock that
//! readers share. What has not been asked for since room was last needed makes room. What is kept is not
//! compared with the disk here.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::resource::Resource;

/// The files kept.
pub(super) struct Memory {
    /// Each guards its own part, held for looking up and changing it only.
    shards: Box<[RwLock<Shard>]>,
    /// Most bytes of one shard.
    shard_bytes_max: usize,
}

#[derive(Default)]
struct Shard {
    entries: FxHashMap<Arc<str>, Entry>,
    /// All keys, those first that will make room first.
    order: VecDeque<Arc<str>>,
    bytes: usize,
}

struct Entry {
    resource: Arc<Resource>,
    /// What it was counted as.
    bytes: usize,
}

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Self {
        // Each shard has room for many of the longest entries, or there is one only.
        let count = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        Self {
            shards: (0..count).map(|_| RwLock::default()).collect(),
            shard_bytes_max: bytes_max / count,
        }
    }

    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<Arc<Resource>> {
        let shard = self.shard(key).read();
        let shard = shard.unwrap_or_else(PoisonError::into_inner);
        let entry = shard.entries.get(key)?;
        entry.resource.touch();
        Some(Arc::clone(&entry.resource))
    }

    /// Keeps a resource, in place of one that was kept under this key. Nothing is kept that is larger than
    /// all there is room for.
    pub(super) fn put(&self, key: &str, resource: &Arc<Resource>) {
        let bytes = entry_bytes(key, resource);
        if bytes > self.shard_bytes_max {
            return;
        }
        let mut shard = self.write(key);
        shard.make_room(self.shard_bytes_max - bytes, key);
        let key: Arc<str> = key.into();
        let entry = Entry {
            resource: Arc::clone(resource),
            bytes,
        };
        if shard.entries.insert(Arc::clone(&key), entry).is_none() {
            shard.order.push_back(key);
        }
        shard.bytes += bytes;
    }

    /// Forgets this resource, unless another has taken its place already.
    pub(super) fn remove(&self, key: &str, resource: &Arc<Resource>) {
        let mut shard = self.write(key);
        let kept = shard.entries.get(key).map(|entry| &entry.resource);
        if kept.is_some_and(|kept| Arc::ptr_eq(kept, resource)) {
            shard.forget(key);
            shard.order.retain(|other| **other != *key);
        }
    }

    /// Whether this resource is what is kept under this key.
    pub(super) fn keeps(&self, key: &str, resource: &Arc<Resource>) -> bool {
        let shard = self.shard(key).read();
        let shard = shard.unwrap_or_else(PoisonError::into_inner);
        let kept = shard.entries.get(key);
        kept.is_some_and(|entry| Arc::ptr_eq(&entry.resource, resource))
    }

    /// Counts anew what a resource takes that has become larger, if it is kept.
    pub(super) fn recount(&self, key: &str, resource: &Arc<Resource>) {
        if self.keeps(key, resource) {
            self.put(key, resource);
        }
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            *shard.write().unwrap_or_else(PoisonError::into_inner) = Shard::default();
        }
    }

    fn shard(&self, key: &str) -> &RwLock<Shard> {
        // The table in the shard goes by other bits of the same hash.
        let hash = FxBuildHasher.hash_one(key);
        &self.shards[(hash >> 32) as usize % self.shards.len()]
    }

    fn write(&self, key: &str) -> std::sync::RwLockWriteGuard<'_, Shard> {
        self.shard(key)
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Forgets what is kept under `key`, and others until no more than `bytes_max` are left.
    fn make_room(&mut self, bytes_max: usize, key: &str) {
        self.forget_bytes_of(key);
        // Who was asked for is let pass once.
        let mut passes = self.order.len();
        while self.bytes > bytes_max {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            let is_spared = *oldest == *key || (passes > 0 && self.was_used(&oldest));
            passes = passes.saturating_sub(1);
            if is_spared {
                self.order.push_back(oldest);
            } else {
                self.forget(&oldest);
            }
        }
    }

    fn was_used(&self, key: &str) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.resource.take_used())
    }

    fn forget_bytes_of(&mut self, key: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.bytes -= std::mem::take(&mut entry.bytes);
        }
    }

    fn forget(&mut self, key: &str) {
        self.forget_bytes_of(key);
        self.entries.remove(key);
    }
}

/// What an entry takes, its key and places in the tables included.
fn entry_bytes(key: &str, resource: &Resource) -> usize {
    resource.bytes() + 2 * key.len() + 64
}

const SHARDS_MAX: usize = 16;

const SHARD_BYTES_MIN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use tidegate_os::{Folder, Opened};

    use super::*;
    use crate::files::settings::FilesSettings;

    /// Resources of files of this many bytes.
    fn resources<const N: usize>(lengths: [usize; N]) -> [Arc<Resource>; N] {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::open(outer.path()).unwrap();
        let settings = FilesSettings::new(outer.path());
        lengths.map(|length| {
            fs::write(outer.path().join("a"), vec![b'a'; length]).unwrap();
            let Opened::File(file, state) = folder.open_file("a").unwrap() else {
                panic!("it is a file");
            };
            let (resource, _) =
                Resource::load(("a", file, state), Vec::new(), &folder, &settings, 0);
            Arc::new(resource)
        })
    }

    /// What is counted; what is kept must come to the same.
    fn bytes(memory: &Memory) -> usize {
        let shards = memory.shards.iter().map(|shard| shard.read().unwrap());
        let counted = shards.map(|shard| {
            let entries = shard.entries.iter();
            let kept: usize = entries
                .map(|(key, entry)| entry_bytes(key, &entry.resource))
                .sum();
            assert_eq!(kept, shard.bytes);
            assert_eq!(shard.order.len(), shard.entries.len());
            shard.bytes
        });
        counted.sum()
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        for bytes_max in [0, 50_000, 1 << 20, 20 << 20] {
            let memory = Memory::new(bytes_max);
            let [short, long] = resources([100, 60_000]);
            for index in 0..2000 {
                let resource = if index % 3 == 0 { &long } else { &short };
                memory.put(&format!("{}", index % 700), resource);
                assert!(bytes(&memory) <= bytes_max);
            }
            assert!(bytes_max == 0 || bytes(&memory) > bytes_max / 2 - 10_000);
            memory.clear();
            assert_eq!(bytes(&memory), 0);
        }
    }

    #[test]
    fn what_was_asked_for_stays_longer() {
        let memory = Memory::new(500_000);
        let resources = resources([50_000; 10]);
        let keys: Vec<_> = (0..10).map(|index| index.to_string()).collect();
        for (key, resource) in keys.iter().zip(&resources).take(9) {
            memory.put(key, resource);
        }
        assert!(memory.get("0").is_some() && memory.get("2").is_some());
        memory.put("9", &resources[9]);
        let is_kept = |index: usize| memory.keeps(&keys[index], &resources[index]);
        let gone: Vec<_> = (0..10).filter(|&index| !is_kept(index)).collect();
        assert_eq!(gone, [1]);
    }

    #[test]
    fn a_resource_is_replaced_and_removed_by_who_knows_it() {
        let memory = Memory::new(1 << 20);
        let [old, new] = resources([1000, 2000]);
        memory.put("a", &old);
        let before = bytes(&memory);
        memory.put("a", &new);
        // Tags tell times, of which one may be a digit longer.
        let grown = bytes(&memory) - before;
        assert!((980..=1020).contains(&grown), "{grown}");
        memory.remove("a", &old);
        assert!(memory.keeps("a", &new));
        memory.recount("a", &old);
        assert!(memory.keeps("a", &new) && !memory.keeps("a", &old));
        memory.remove("a", &new);
        assert!(memory.get("a").is_none());
        assert_eq!(bytes(&memory), 0);
    }

    #[test]
    fn what_becomes_larger_makes_room() {
        let memory = Memory::new(200_000);
        let [first, second] = resources([60_000, 60_000]);
        memory.put("a", &first);
        memory.put("b", &second);
        first.make(
            crate::ContentCoding::Gzip,
            "noise that stays".repeat(10).as_bytes(),
        );
        memory.recount("a", &first);
        assert!(memory.keeps("a", &first));
        assert!(bytes(&memory) <= 200_000);
    }
}
