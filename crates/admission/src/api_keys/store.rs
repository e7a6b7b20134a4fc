//! A store of keys: what is on the disk, and its copy in memory.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::database::{Content, Database, Fault, Transaction};
use super::error::ApiKeyError;
use super::format::KeyFormat;
use super::hash::{Fit, KeyHash};
use super::record::{ApiKey, ApiKeyId, ApiKeyState};
use super::refused::{Refused, RefusedSettings};
use super::storage::{FileStorage, KeyStorage};
use super::table::{Entry, Hasher, Table};
use super::vault::Passphrase;
use super::{ApiKeyEvent, ApiKeyStatistics, AuditEntry, Counters, milliseconds};
use crate::random;
use crate::slots::Slots;

/// What a store of API keys is made of.
#[derive(Clone)]
pub struct ApiKeySettings {
    /// Where they are kept.
    pub storage: Arc<dyn KeyStorage>,
    /// What they are encrypted by there. Default `None`: they are not. A store is encrypted from its beginning on, or
    /// never.
    pub passphrase: Option<Passphrase>,
    /// What keys look like that are issued from now on.
    pub format: KeyFormat,
    /// As which hash they are kept. Default SHA-256.
    pub hash: KeyHash,
    /// How many slow hashes are made at a time, and how many may wait for their turn. Default 2 and 16.
    pub hashing_max: (usize, usize),
    /// How long a key lives that is issued without an end. Default `None`: it has none.
    pub life: Option<Duration>,
    /// How often what was counted is written to the disk. Default 30 s.
    pub usage_every: Duration,
    /// How long after its end a key is removed. Default `None`: never.
    pub purge_after: Option<Duration>,
    /// How often it is looked which keys have ended, and which are to be removed. Default 1 s.
    pub sweep_every: Duration,
    /// How many entries the audit has; the oldest go first. Default 10,000.
    pub audit_entries_max: u64,
    /// How long they are kept. Default 90 days.
    pub audit_retention: Duration,
    /// What is kept of checks that refused a key.
    pub refused: RefusedSettings,
}

impl ApiKeySettings {
    /// The defaults, with a file that is made if there is none, for its owner alone.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_storage(Arc::new(FileStorage::new(path)))
    }

    /// The defaults, with a storage.
    pub fn with_storage(storage: Arc<dyn KeyStorage>) -> Self {
        Self {
            storage,
            passphrase: None,
            format: KeyFormat::default(),
            hash: KeyHash::default(),
            hashing_max: (2, 16),
            life: None,
            usage_every: Duration::from_secs(30),
            purge_after: None,
            sweep_every: Duration::from_secs(1),
            audit_entries_max: 10_000,
            audit_retention: Duration::from_secs(90 * 24 * 60 * 60),
            refused: RefusedSettings::default(),
        }
    }
}

impl fmt::Debug for ApiKeySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApiKeySettings")
            .field("storage", &self.storage.name())
            .field("format", &self.format)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// A key that was issued.
#[derive(Clone)]
pub struct Issued {
    /// Its name.
    pub id: ApiKeyId,
    /// The key itself. Nobody can be told again.
    pub key: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Issued")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

type Listener = Arc<dyn Fn(&ApiKeyEvent) + Send + Sync>;

/// API keys.
pub struct ApiKeys {
    settings: ApiKeySettings,
    file: Database,
    /// Makes what a key that was found right is known by from then on.
    prover: Hasher,
    slots: Slots,
    refused: Refused,
    table: ArcSwap<Table>,
    counters: Counters,
    /// Held for each change, on the disk and in memory. No other lock but the listener's is taken meanwhile.
    state: Mutex<State>,
    /// Since when the database cannot be used, in milliseconds since the epoch; 0 when it can.
    failing_since: AtomicU64,
    listener: RwLock<Option<Listener>>,
}

pub(super) struct State {
    /// Of what is in memory.
    generation: u64,
    /// It could not be read when it was last to be.
    must_read: bool,
    usage_written: SystemTime,
    /// Up to when ends were told.
    swept: SystemTime,
}

impl ApiKeys {
    /// Opens a store.
    ///
    /// # Errors
    ///
    /// The format is not one, or the database cannot be used: then nobody should be let in.
    pub fn open(settings: ApiKeySettings, now: SystemTime) -> Result<Self, ApiKeyError> {
        settings.format.check().map_err(ApiKeyError::Format)?;
        let file = Database::new(Arc::clone(&settings.storage), settings.passphrase.clone());
        let content = file.open()?;
        Ok(Self {
            state: Mutex::new(State {
                generation: content.generation,
                must_read: true,
                usage_written: now,
                swept: now,
            }),
            failing_since: AtomicU64::new(0),
            table: ArcSwap::from_pointee(Table::new(&content.salt, content.entries)),
            prover: Hasher::new(&random::bytes()),
            slots: Slots::new(settings.hashing_max.0, settings.hashing_max.1),
            refused: Refused::new(settings.refused.clone()),
            settings,
            file,
            counters: Counters::default(),
            listener: RwLock::default(),
        })
    }

    /// Has somebody told what happens to keys.
    pub fn set_listener(&self, listener: impl Fn(&ApiKeyEvent) + Send + Sync + 'static) {
        let mut place = self
            .listener
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::new(listener));
    }

    /// What has to be done now and then, such as once a second: sees what others have changed, writes what was
    /// counted, tells of keys that have ended, and removes those that ended long ago.
    ///
    /// # Errors
    ///
    /// The database cannot be used. What is in memory stays; see [`is_reliable`](Self::is_reliable).
    pub fn maintain(&self, now: SystemTime) -> Result<(), ApiKeyError> {
        let mut events = Vec::new();
        let maintained = {
            let mut state = self.lock();
            let maintained = self
                .see_changes(&mut state)
                .and_then(|()| self.write_usage(&mut state, now, self.settings.usage_every));
            let since = match (&maintained, self.failing_since.load(Ordering::Relaxed)) {
                (Ok(()), _) => 0,
                (Err(_), 0) => milliseconds(now),
                (Err(_), since) => since,
            };
            self.failing_since.store(since, Ordering::Relaxed);
            let (from, to) = (milliseconds(state.swept), milliseconds(now));
            let every = u64::try_from(self.settings.sweep_every.as_millis()).unwrap_or(u64::MAX);
            let sweeps = to >= from.saturating_add(every);
            if sweeps {
                state.swept = now;
                events.extend(self.table.load().all().iter().filter_map(|entry| {
                    let record = &entry.record;
                    let has_ended = record.expires.is_some_and(|end| end > from && end <= to);
                    let was_alive = record.revoked.is_none();
                    (has_ended && was_alive).then_some(ApiKeyEvent::Expired(record.id))
                }));
            }
            maintained.map(|()| sweeps)
        };
        self.tell(&events);
        let written = self.refused.write(now);
        if maintained? {
            self.purge_if_due(now)?;
        }
        written
    }

    /// The checks that were last refused, the newest first: as many as [`RefusedSettings::kept`] says at most. Of the
    /// keys that came, nothing is kept.
    pub fn refused(&self, most: usize) -> Vec<AuditEntry> {
        self.refused.last(most)
    }

    pub(super) fn refuse(&self, entry: AuditEntry) {
        if self.refused.note(&entry) {
            self.tell(&[ApiKeyEvent::Audited(entry)]);
        }
    }

    /// Whether what is in memory can be relied on: the database could be read when it had last changed, or not for
    /// ten seconds at most.
    pub fn is_reliable(&self, now: SystemTime) -> bool {
        let since = self.failing_since.load(Ordering::Relaxed);
        since == 0 || milliseconds(now) < since.saturating_add(UNREAD_MAX)
    }

    /// Writes what was counted since the last time.
    ///
    /// # Errors
    ///
    /// The database cannot be used; what was counted is kept for the next time.
    pub fn flush(&self, now: SystemTime) -> Result<(), ApiKeyError> {
        self.write_usage(&mut self.lock(), now, Duration::ZERO)
    }

    /// A key by its name.
    pub fn get(&self, id: ApiKeyId, now: SystemTime) -> Option<ApiKey> {
        let now = milliseconds(now);
        let all = self.table.load().all();
        let entry = all.iter().find(|entry| entry.record.id == id)?;
        Some(entry.record.tell(&entry.usage, now))
    }

    /// All keys, or all of an owner, the oldest first.
    pub fn list(&self, owner: Option<&str>, now: SystemTime) -> Vec<ApiKey> {
        let milliseconds = milliseconds(now);
        let mut keys: Vec<_> = self
            .table
            .load()
            .all()
            .iter()
            .filter(|entry| owner.is_none_or(|owner| entry.record.owner == owner))
            .map(|entry| entry.record.tell(&entry.usage, milliseconds))
            .collect();
        keys.sort_by_key(|key| (key.issued, key.id));
        keys
    }

    /// The keys that are to be replaced by now.
    pub fn due(&self, now: SystemTime) -> Vec<ApiKey> {
        let mut keys = self.list(None, now);
        keys.retain(|key| {
            key.state == ApiKeyState::Active && key.rotation_due.is_some_and(|due| due <= now)
        });
        keys
    }

    /// How many keys there are, and what came of checks.
    pub fn statistics(&self, now: SystemTime) -> ApiKeyStatistics {
        let mut statistics = ApiKeyStatistics {
            validations: self.counters.validations.load(Ordering::Relaxed),
            failures: self.counters.failures.load(Ordering::Relaxed),
            ..ApiKeyStatistics::default()
        };
        for entry in self.table.load().all() {
            statistics.total += 1;
            match entry.record.state_at(milliseconds(now)) {
                ApiKeyState::Active => statistics.active += 1,
                ApiKeyState::Revoked => statistics.revoked += 1,
                ApiKeyState::Expired => statistics.expired += 1,
            }
        }
        statistics
    }

    /// What was done, the newest first.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn audit(&self, most: usize) -> Result<Vec<AuditEntry>, ApiKeyError> {
        let _state = self.lock();
        self.file
            .write(|transaction| transaction.newest_audit(most))
    }

    pub(super) fn settings(&self) -> &ApiKeySettings {
        &self.settings
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The key whose text this is; `Err` when too many are being hashed to say.
    pub(super) fn find(&self, key: &str) -> Result<Option<Arc<Entry>>, ()> {
        let table = self.table.load();
        if let Some(entry) = table.find(key) {
            return Ok(Some(entry));
        }
        let Some(entry) = table.find_named(key) else {
            return Ok(None);
        };
        let Some(secret) = &entry.record.secret else {
            return Ok(None);
        };
        let quick = self.prover.hash(key);
        match secret.fits(key, table.salt(), (&quick, &entry.proof), &self.slots) {
            Fit::Right => Ok(Some(entry)),
            Fit::Wrong => Ok(None),
            Fit::Busy => Err(()),
        }
    }

    /// Whether [`validate`](Self::validate) takes tens of milliseconds for this key: it is kept as a slow hash, and
    /// was not found right yet.
    pub fn takes_long(&self, key: &str) -> bool {
        let entry = self.table.load().find_named(key);
        entry.is_some_and(|entry| {
            let secret = entry.record.secret.as_ref();
            secret.is_some_and(|secret| secret.is_slow(&entry.proof))
        })
    }

    /// Makes a change on the disk, and then whatever follows from it in memory. If another process has changed the
    /// keys meanwhile, memory learns that first.
    pub(super) fn change<R>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>, &Table) -> Result<Changed<R>, Fault>,
    ) -> Result<R, ApiKeyError> {
        let (result, events) = {
            let mut state = self.lock();
            let known = state.generation;
            let (changed, generation, noted) = self.file.write(|transaction| {
                if transaction.generation()? != known {
                    let content = transaction.read_all()?;
                    state.generation = content.generation;
                    self.take(content);
                }
                let changed = change(transaction, &self.table.load())?;
                let generation = transaction.next_generation()?;
                Ok((changed, generation, transaction.take_noted()))
            })?;
            state.generation = generation;
            let table = self.table.load();
            for record in changed.records {
                table.set(record);
            }
            for hash in &changed.removed {
                table.remove(hash);
            }
            let mut events = changed.events;
            events.extend(noted.into_iter().map(ApiKeyEvent::Audited));
            (changed.result, events)
        };
        self.tell(&events);
        Ok(result)
    }

    /// All that is on the disk.
    pub(super) fn read(&self) -> Result<Content, ApiKeyError> {
        let _state = self.lock();
        self.file.open()
    }

    /// Reads all again, whatever is known.
    pub(super) fn reload(&self) -> Result<(), ApiKeyError> {
        let mut state = self.lock();
        let content = self.file.open()?;
        state.generation = content.generation;
        self.take(content);
        Ok(())
    }

    fn tell(&self, events: &[ApiKeyEvent]) {
        if events.is_empty() {
            return;
        }
        let listener = {
            let place = self.listener.read().unwrap_or_else(PoisonError::into_inner);
            place.clone()
        };
        if let Some(listener) = listener {
            events.iter().for_each(|event| listener(event));
        }
    }

    fn purge_if_due(&self, now: SystemTime) -> Result<(), ApiKeyError> {
        let Some(after) = self.settings.purge_after else {
            return Ok(());
        };
        let before = milliseconds(now.checked_sub(after).unwrap_or(SystemTime::UNIX_EPOCH));
        let now_milliseconds = milliseconds(now);
        let is_over = |entry: &Arc<Entry>| {
            let ended = entry.record.ended(now_milliseconds);
            ended.is_some_and(|ended| ended <= before)
        };
        if self.table.load().all().iter().any(is_over) {
            self.purge_expired(after, now)?;
        }
        Ok(())
    }

    fn see_changes(&self, state: &mut State) -> Result<(), ApiKeyError> {
        let may_have_changed = self.file.storage().may_have_changed();
        if !may_have_changed && !state.must_read {
            return Ok(());
        }
        state.must_read = true;
        if let Some(content) = self.file.read_if_changed(state.generation)? {
            state.generation = content.generation;
            self.take(content);
        }
        state.must_read = false;
        Ok(())
    }

    /// Puts what was read in the place of what is in memory. What was counted and is not written yet goes along.
    fn take(&self, content: Content) {
        let old = self.table.load();
        let mut entries = content.entries;
        for entry in &mut entries {
            if let Some(known) = old.find_hash(&entry.record.hash) {
                let (last_used, uses, failures) = entry.usage.read();
                known.usage.set_base((last_used, uses, failures));
                entry.usage = Arc::clone(&known.usage);
                entry.proof = Arc::clone(&known.proof);
            }
        }
        self.table
            .store(Arc::new(Table::new(&content.salt, entries)));
    }

    fn write_usage(
        &self,
        state: &mut State,
        now: SystemTime,
        every: Duration,
    ) -> Result<(), ApiKeyError> {
        if now.duration_since(state.usage_written).unwrap_or_default() < every {
            return Ok(());
        }
        state.usage_written = now;
        let all = self.table.load().all();
        let pending: Vec<_> = all
            .iter()
            .filter_map(|entry| Some((entry, entry.usage.take_pending()?)))
            .collect();
        if pending.is_empty() {
            return Ok(());
        }
        let written = self.file.write(|transaction| {
            let mut sums = Vec::with_capacity(pending.len());
            for (entry, counts) in &pending {
                sums.push(transaction.add_usage(entry.record.id, *counts)?);
            }
            Ok(sums)
        });
        match written {
            Ok(sums) => {
                for ((entry, _), sum) in pending.iter().zip(sums) {
                    entry.usage.set_base(sum);
                }
                Ok(())
            }
            Err(error) => {
                for (entry, counts) in &pending {
                    entry.usage.put_back(*counts);
                }
                Err(error)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApiKeys")
            .field("storage", &self.settings.storage.name())
            .finish_non_exhaustive()
    }
}

/// What a change comes to in memory.
pub(super) struct Changed<R> {
    pub(super) result: R,
    pub(super) records: Vec<super::record::Record>,
    pub(super) removed: Vec<[u8; 32]>,
    pub(super) events: Vec<ApiKeyEvent>,
}

/// For how long what is in memory is relied on while the database cannot be used, in milliseconds.
const UNREAD_MAX: u64 = 10_000;
