//! What is kept in which table, and how.

use std::sync::{Arc, Mutex, PoisonError};

use super::audit::AuditEntry;
use super::error::{ApiKeyError, DatabaseFault};
use super::record::{ApiKeyId, Record, Usage};
use super::storage::{KeyStorage, KeyTable, ReadKeys, TransactionEnd, WriteKeys};
use super::table::{Entry, Salt};
use super::vault::{self, Passphrase, Vault};
use crate::random;

type Counts = (u64, u64, u64);

// What there is one of. The first three are never encrypted.
const VERSION: u64 = 0;
const GENERATION: u64 = 1;
/// The salt of the passphrase, and then a text that it encrypts.
const VAULT: u64 = 2;
const SALT: u64 = 3;

const VERSION_NOW: u64 = 2;

const CHECKED_TEXT: &[u8] = b"API keys";

/// Where keys are kept, and the passphrase that they are encrypted by.
pub(super) struct Database {
    storage: Arc<dyn KeyStorage>,
    passphrase: Option<Passphrase>,
    /// Made once: that takes long, as it is to. Nothing is called while it is held.
    vault: Mutex<Option<Arc<Vault>>>,
}

/// All that is kept, at one time.
pub(super) struct Content {
    pub(super) salt: Salt,
    /// Goes up with each change of a key.
    pub(super) generation: u64,
    pub(super) entries: Vec<Entry>,
}

impl Database {
    pub(super) fn new(storage: Arc<dyn KeyStorage>, passphrase: Option<Passphrase>) -> Self {
        Self {
            storage,
            passphrase,
            vault: Mutex::default(),
        }
    }

    pub(super) fn storage(&self) -> &dyn KeyStorage {
        &*self.storage
    }

    /// Makes the tables if there are none, and reads them.
    pub(super) fn open(&self) -> Result<Content, ApiKeyError> {
        self.write(|transaction| transaction.read_all())
    }

    /// Reads all if it is of another generation than the one that is known.
    pub(super) fn read_if_changed(&self, known: u64) -> Result<Option<Content>, ApiKeyError> {
        let mut found = None;
        let read = self.storage.read(&mut |tables| {
            if number(tables, GENERATION)?.unwrap_or(0) == known {
                return Ok(());
            }
            let vault = self.vault(tables)?;
            let reader = Reader {
                tables,
                vault: vault.as_deref(),
            };
            found = Some(reader.all()?);
            Ok(())
        });
        match read {
            Ok(()) => Ok(found),
            Err(fault) => Err(self.fail(fault)),
        }
    }

    /// Makes a change, all of it or nothing. When this returns, it is kept.
    pub(super) fn write<R>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, Fault>,
    ) -> Result<R, ApiKeyError> {
        let (mut change, mut made) = (Some(change), None);
        let written = self.storage.write(&mut |tables| {
            let change = change.take().ok_or(DatabaseFault::AskedTwice)?;
            let vault = self.begin(tables)?;
            let mut transaction = Transaction {
                tables,
                vault,
                noted: Vec::new(),
            };
            match change(&mut transaction) {
                Ok(result) => {
                    made = Some(Ok(result));
                    Ok(TransactionEnd::Commit)
                }
                Err(Fault::Caller(error)) => {
                    made = Some(Err(*error));
                    Ok(TransactionEnd::Abandon)
                }
                Err(Fault::Database(fault)) => Err(fault),
            }
        });
        match (written, made) {
            (Err(fault), _) => Err(self.fail(fault)),
            (Ok(()), Some(made)) => made,
            (Ok(()), None) => Err(self.fail(DatabaseFault::NotAsked)),
        }
    }

    /// Makes what there is one of, where there is nothing yet.
    fn begin(&self, tables: &mut dyn WriteKeys) -> Result<Option<Arc<Vault>>, DatabaseFault> {
        match number(tables, VERSION)? {
            None => {
                set_number(tables, VERSION, VERSION_NOW)?;
                set_number(tables, GENERATION, 0)?;
                if let Some(passphrase) = &self.passphrase {
                    let vault = self.make_vault(passphrase, random::bytes());
                    let mut kept = vault.salt().to_vec();
                    kept.extend(vault.seal(KeyTable::State, VAULT, CHECKED_TEXT));
                    tables.set(KeyTable::State, VAULT, &kept)?;
                }
                let vault = self.vault(tables)?;
                let mut transaction = Transaction {
                    tables,
                    vault: vault.clone(),
                    noted: Vec::new(),
                };
                transaction.put(KeyTable::State, SALT, &random::bytes::<32>())?;
                Ok(vault)
            }
            Some(VERSION_NOW) => self.vault(tables),
            Some(other) => Err(DatabaseFault::Version(other)),
        }
    }

    /// What the store is encrypted by, if it is: as the store says, never as the passphrase does alone.
    fn vault(&self, tables: &dyn ReadKeys) -> Result<Option<Arc<Vault>>, DatabaseFault> {
        match number(tables, VERSION)? {
            None | Some(VERSION_NOW) => {}
            Some(other) => return Err(DatabaseFault::Version(other)),
        }
        let kept = tables.get(KeyTable::State, VAULT)?;
        let (kept, passphrase) = match (kept, &self.passphrase) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(DatabaseFault::Encrypted),
            (None, Some(_)) => return Err(DatabaseFault::NotEncrypted),
            (Some(kept), Some(passphrase)) => (kept, passphrase),
        };
        let (salt, text) = kept
            .split_first_chunk::<16>()
            .ok_or(DatabaseFault::Sealed)?;
        let vault = self.make_vault(passphrase, *salt);
        let opened = vault.open(KeyTable::State, VAULT, text);
        match opened {
            Ok(opened) if opened == CHECKED_TEXT => Ok(Some(vault)),
            _ => Err(DatabaseFault::Passphrase),
        }
    }

    fn make_vault(&self, passphrase: &Passphrase, salt: vault::Salt) -> Arc<Vault> {
        let known = {
            let vault = self.vault.lock().unwrap_or_else(PoisonError::into_inner);
            vault.clone().filter(|vault| *vault.salt() == salt)
        };
        known.unwrap_or_else(|| {
            let vault = Arc::new(Vault::new(passphrase, salt));
            let mut place = self.vault.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some(Arc::clone(&vault));
            vault
        })
    }

    fn fail(&self, fault: DatabaseFault) -> ApiKeyError {
        ApiKeyError::Database {
            path: self.storage.name().into(),
            fault,
        }
    }
}

/// Who is at fault for a change that was not made.
pub(super) enum Fault {
    Database(DatabaseFault),
    Caller(Box<ApiKeyError>),
}

impl<E: Into<DatabaseFault>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

impl Fault {
    pub(super) fn caller(error: ApiKeyError) -> Self {
        Self::Caller(Box::new(error))
    }
}

fn number(tables: &dyn ReadKeys, which: u64) -> Result<Option<u64>, DatabaseFault> {
    let Some(value) = tables.get(KeyTable::State, which)? else {
        return Ok(None);
    };
    let bytes = value.try_into().map_err(|_| DatabaseFault::Counts)?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

fn set_number(tables: &mut dyn WriteKeys, which: u64, value: u64) -> Result<(), DatabaseFault> {
    tables.set(KeyTable::State, which, &value.to_be_bytes())
}

/// What can be read, decrypted where it has to be.
struct Reader<'a> {
    tables: &'a dyn ReadKeys,
    vault: Option<&'a Vault>,
}

impl Reader<'_> {
    fn get(&self, table: KeyTable, number: u64) -> Result<Option<Vec<u8>>, DatabaseFault> {
        let value = self.tables.get(table, number)?;
        value
            .map(|value| self.plain(table, number, value))
            .transpose()
    }

    fn plain(
        &self,
        table: KeyTable,
        number: u64,
        value: Vec<u8>,
    ) -> Result<Vec<u8>, DatabaseFault> {
        match self.vault {
            None => Ok(value),
            Some(vault) => vault.open(table, number, &value),
        }
    }

    fn salt(&self) -> Result<Salt, DatabaseFault> {
        let salt = self.get(KeyTable::State, SALT)?;
        let salt = salt.ok_or(DatabaseFault::Counts)?;
        salt.try_into().map_err(|_| DatabaseFault::Counts)
    }

    fn all(&self) -> Result<Content, DatabaseFault> {
        let mut entries = Vec::new();
        for (number, value) in self.tables.all(KeyTable::Records)? {
            let json = self.plain(KeyTable::Records, number, value)?;
            let record: Record = serde_json::from_slice(&json)?;
            let counts = self.get(KeyTable::Usage, number)?;
            let counts = counts.map(|counts| counts_of(&counts)).transpose()?;
            let usage = Usage::from_parts(counts.unwrap_or_default());
            entries.push(Entry::new(record, usage.into()));
        }
        Ok(Content {
            salt: self.salt()?,
            generation: number(self.tables, GENERATION)?.unwrap_or(0),
            entries,
        })
    }
}

fn counts_of(bytes: &[u8]) -> Result<Counts, DatabaseFault> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    match (numbers, rest) {
        (&[last, uses, failures], []) => Ok((
            u64::from_be_bytes(last),
            u64::from_be_bytes(uses),
            u64::from_be_bytes(failures),
        )),
        _ => Err(DatabaseFault::Counts),
    }
}

/// A change that is being made.
pub(super) struct Transaction<'a> {
    tables: &'a mut dyn WriteKeys,
    vault: Option<Arc<Vault>>,
    noted: Vec<AuditEntry>,
}

impl Transaction<'_> {
    /// Has it told when it is done.
    pub(super) fn note(&mut self, entry: AuditEntry) {
        self.noted.push(entry);
    }

    pub(super) fn take_noted(&mut self) -> Vec<AuditEntry> {
        std::mem::take(&mut self.noted)
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            tables: &*self.tables,
            vault: self.vault.as_deref(),
        }
    }

    fn put(&mut self, table: KeyTable, number: u64, value: &[u8]) -> Result<(), DatabaseFault> {
        match &self.vault {
            None => self.tables.set(table, number, value),
            Some(vault) => {
                let sealed = vault.seal(table, number, value);
                self.tables.set(table, number, &sealed)
            }
        }
    }

    pub(super) fn generation(&self) -> Result<u64, Fault> {
        Ok(number(self.tables, GENERATION)?.unwrap_or(0))
    }

    /// Tells all who have the keys in memory that they have changed.
    pub(super) fn next_generation(&mut self) -> Result<u64, Fault> {
        let next = self.generation()? + 1;
        set_number(self.tables, GENERATION, next)?;
        Ok(next)
    }

    pub(super) fn salt(&self) -> Result<Salt, Fault> {
        Ok(self.reader().salt()?)
    }

    pub(super) fn set_salt(&mut self, salt: &Salt) -> Result<(), Fault> {
        Ok(self.put(KeyTable::State, SALT, salt)?)
    }

    pub(super) fn record(&self, id: ApiKeyId) -> Result<Record, Fault> {
        match self.reader().get(KeyTable::Records, id.0)? {
            Some(json) => Ok(serde_json::from_slice(&json)?),
            None => Err(Fault::caller(ApiKeyError::NoSuchKey(id))),
        }
    }

    pub(super) fn has(&self, id: ApiKeyId) -> Result<bool, Fault> {
        Ok(self.tables.get(KeyTable::Records, id.0)?.is_some())
    }

    pub(super) fn set(&mut self, record: &Record) -> Result<(), Fault> {
        let json = serde_json::to_vec(record)?;
        Ok(self.put(KeyTable::Records, record.id.0, &json)?)
    }

    pub(super) fn remove(&mut self, id: ApiKeyId) -> Result<(), Fault> {
        self.tables.remove(KeyTable::Records, id.0)?;
        self.tables.remove(KeyTable::Usage, id.0)?;
        Ok(())
    }

    /// Adds to what was counted of a key, and returns what it comes to. A key that is gone counts no more.
    pub(super) fn add_usage(&mut self, id: ApiKeyId, counts: Counts) -> Result<Counts, Fault> {
        if !self.has(id)? {
            return Ok(counts);
        }
        let before = self.reader().get(KeyTable::Usage, id.0)?;
        let before = before.map(|before| counts_of(&before)).transpose()?;
        let before = before.unwrap_or_default();
        let sum = (
            before.0.max(counts.0),
            before.1.saturating_add(counts.1),
            before.2.saturating_add(counts.2),
        );
        let bytes = [sum.0, sum.1, sum.2].map(u64::to_be_bytes).concat();
        self.put(KeyTable::Usage, id.0, &bytes)?;
        Ok(sum)
    }

    /// Adds to the audit, where the oldest go when there are more than so many or they are older than that.
    pub(super) fn audit(
        &mut self,
        entry: &AuditEntry,
        entries_max: u64,
        oldest: u64,
    ) -> Result<(), Fault> {
        let json = serde_json::to_vec(entry)?;
        let last = self.tables.last(KeyTable::Audit, 1)?;
        let next = last.first().map_or(0, |(number, _)| number + 1);
        self.put(KeyTable::Audit, next, &json)?;
        while let Some((first, value)) = self.tables.first(KeyTable::Audit)? {
            let json = self.reader().plain(KeyTable::Audit, first, value)?;
            let entry = serde_json::from_slice::<AuditEntry>(&json);
            let is_old = entry.is_ok_and(|entry| entry.at < oldest);
            if !is_old && next - first < entries_max {
                break;
            }
            self.tables.remove(KeyTable::Audit, first)?;
        }
        Ok(())
    }

    /// The newest entries of the audit, the newest first.
    pub(super) fn newest_audit(&self, most: usize) -> Result<Vec<AuditEntry>, Fault> {
        let reader = self.reader();
        let mut entries = Vec::new();
        for (number, value) in self.tables.last(KeyTable::Audit, most)? {
            let json = reader.plain(KeyTable::Audit, number, value)?;
            entries.push(serde_json::from_slice(&json)?);
        }
        Ok(entries)
    }

    pub(super) fn read_all(&self) -> Result<Content, Fault> {
        Ok(self.reader().all()?)
    }
}
