//! The keys in memory, as they are checked: found without a lock, by their hash or by the name that is in them.

use std::collections::HashMap;
use std::hash::{self, BuildHasherDefault};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use super::format::name_in;
use super::hash::Proof;
use super::record::{ApiKeyId, Record, Usage};

/// What salts the hashes of a store.
pub(super) type Salt = [u8; 32];

/// A key in memory. A change puts another in its place; what was counted is shared by both.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Record,
    /// Its id as text, for those who look things up by that with each request.
    pub(super) name: Box<str>,
    pub(super) usage: Arc<Usage>,
    /// As long as the key is the same, whatever changes about it.
    pub(super) proof: Arc<Proof>,
}

impl Entry {
    pub(super) fn new(record: Record, usage: Arc<Usage>) -> Self {
        Self::changed(record, usage, Arc::default())
    }

    fn changed(record: Record, usage: Arc<Usage>, proof: Arc<Proof>) -> Self {
        Self {
            name: record.id.to_string().into(),
            record,
            usage,
            proof,
        }
    }
}

/// All keys of a store.
///
/// In parts, so that a change copies a part of it and not all.
pub(super) struct Table {
    salt: Salt,
    hasher: Hasher,
    shards: Vec<ArcSwap<Shard>>,
    /// Whether any key is, or was, found by its name.
    has_named: AtomicBool,
}

type Shard = HashMap<[u8; 32], Arc<Entry>, BuildHasherDefault<AsItIs>>;

/// What is looked up is a hash already, which only who knows the salt can aim at a place.
#[derive(Default)]
struct AsItIs(u64);

impl hash::Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        // Not the first bytes, by which the shard goes.
        if let Some((_, last)) = bytes.split_last_chunk() {
            self.0 = u64::from_le_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Table {
    pub(super) fn new(salt: &Salt, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
        let mut has_named = false;
        for entry in entries {
            let hash = entry.record.hash;
            has_named |= entry.record.secret.is_some();
            shards[index(&hash)].insert(hash, Arc::new(entry));
        }
        Self {
            salt: *salt,
            hasher: Hasher::new(salt),
            shards: shards.into_iter().map(ArcSwap::from_pointee).collect(),
            has_named: AtomicBool::new(has_named),
        }
    }

    /// The key whose text this is. How long that takes tells an attacker at most of a hash, which is salted with
    /// what he does not know.
    ///
    /// Not those that are found by their names, whose text has to be compared.
    pub(super) fn find(&self, key: &str) -> Option<Arc<Entry>> {
        let found = self.find_hash(&self.hasher.hash(key));
        found.filter(|entry| entry.record.secret.is_none())
    }

    /// The key that is found by the name in its text.
    pub(super) fn find_named(&self, key: &str) -> Option<Arc<Entry>> {
        if !self.has_named.load(Ordering::Relaxed) {
            return None;
        }
        let id = name_in(key)?;
        let found = self.find_hash(&self.name_hash(id));
        found.filter(|entry| entry.record.secret.is_some())
    }

    /// What stands for the hash of a key that is found by its name.
    pub(super) fn name_hash(&self, id: ApiKeyId) -> [u8; 32] {
        self.hasher.hash(&format!("\0{id}"))
    }

    pub(super) fn salt(&self) -> &Salt {
        &self.salt
    }

    pub(super) fn find_hash(&self, hash: &[u8; 32]) -> Option<Arc<Entry>> {
        self.shards[index(hash)].load().get(hash).map(Arc::clone)
    }

    pub(super) fn hash(&self, key: &str) -> [u8; 32] {
        self.hasher.hash(key)
    }

    /// Puts a record in the place of the one with its hash. One at a time: the caller holds the store's lock.
    pub(super) fn set(&self, record: Record) {
        let hash = record.hash;
        if record.secret.is_some() {
            self.has_named.store(true, Ordering::Relaxed);
        }
        self.change(&hash, |shard| {
            let (usage, proof) = match shard.get(&hash) {
                Some(entry) => (Arc::clone(&entry.usage), Arc::clone(&entry.proof)),
                None => Default::default(),
            };
            let entry = Entry::changed(record, usage, proof);
            shard.insert(hash, Arc::new(entry));
        });
    }

    pub(super) fn remove(&self, hash: &[u8; 32]) {
        self.change(hash, |shard| {
            shard.remove(hash);
        });
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        let shards = self.shards.iter().map(ArcSwap::load_full);
        shards
            .flat_map(|shard| shard.values().map(Arc::clone).collect::<Vec<_>>())
            .collect()
    }

    fn change(&self, hash: &[u8; 32], change: impl FnOnce(&mut Shard)) {
        let place = &self.shards[index(hash)];
        let mut shard = Shard::clone(&place.load());
        change(&mut shard);
        place.store(Arc::new(shard));
    }
}

/// SHA-256 that has taken in the salt: as a block of its own, so that a key of usual length costs one more.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new(salt: &Salt) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(salt);
        Self(Sha256::new_with_prefix(block))
    }

    pub(super) fn hash(&self, key: &str) -> [u8; 32] {
        let mut hash = self.0.clone();
        hash.update(key.as_bytes());
        hash.finalize().into()
    }
}

fn index(hash: &[u8; 32]) -> usize {
    usize::from(hash[0])
}

/// One for each first byte of a hash.
const SHARDS: usize = 256;
