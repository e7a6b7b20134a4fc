//! The file: what is in which table, and how it is opened.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use super::audit::AuditEntry;
use super::error::{ApiKeyError, DatabaseFault};
use super::record::{ApiKeyId, Record, Usage};
use super::table::{Entry, Salt};
use crate::random;

type Counts = (u64, u64, u64);

/// Records by id, as JSON: what is added later has a default.
const KEYS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("keys");
/// Last use, uses, failures, by id. Apart, since it is written far more often.
const USAGE: TableDefinition<'_, u64, Counts> = TableDefinition::new("usage");
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const SALT: TableDefinition<'_, (), Salt> = TableDefinition::new("salt");

const VERSION: u64 = 1;

/// Where keys are kept. Open only while something is done with it.
#[derive(Debug)]
pub(super) struct KeyFile {
    path: PathBuf,
}

/// All that is in the file, at one time.
pub(super) struct Content {
    pub(super) salt: Salt,
    /// Goes up with each change of a key.
    pub(super) generation: u64,
    pub(super) entries: Vec<Entry>,
}

impl KeyFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file if there is none, and reads it.
    pub(super) fn open(&self) -> Result<Content, ApiKeyError> {
        self.write(|transaction| transaction.read_all())
    }

    /// Reads the file if it is of another generation than the one that is known.
    pub(super) fn read_if_changed(&self, known: u64) -> Result<Option<Content>, ApiKeyError> {
        let read = || -> Result<Option<Content>, DatabaseFault> {
            let mut builder = Builder::new();
            builder.set_cache_size(CACHE_BYTES);
            let database = match wait_for(|| builder.open_read_only(&self.path)) {
                // Somebody was killed while it was open: only who may write can put it right.
                Err(DatabaseFault::Redb(redb::Error::RepairAborted)) => return self.repair(known),
                opened => opened?,
            };
            read_if_changed(&database, known)
        };
        read().map_err(|fault| self.fail(fault))
    }

    fn repair(&self, known: u64) -> Result<Option<Content>, DatabaseFault> {
        read_if_changed(&self.database()?, known)
    }

    /// Makes a change, all of it or nothing. When this returns, it is on the disk.
    pub(super) fn write<R>(
        &self,
        change: impl FnOnce(&mut Transaction) -> Result<R, Fault>,
    ) -> Result<R, ApiKeyError> {
        let write = || -> Result<R, Fault> {
            let database = self.database()?;
            let mut transaction = Transaction {
                inner: database.begin_write().map_err(DatabaseFault::from)?,
            };
            transaction.begin()?;
            let result = change(&mut transaction)?;
            // Durability is immediate unless another is asked for: on the disk, that is.
            transaction.inner.commit().map_err(DatabaseFault::from)?;
            Ok(result)
        };
        write().map_err(|fault| match fault {
            Fault::Database(fault) => self.fail(fault),
            Fault::Caller(error) => *error,
        })
    }

    fn database(&self) -> Result<Database, DatabaseFault> {
        // Nobody else has to read hashes, owners and addresses.
        restrict(&self.path)?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        wait_for(|| builder.create(&self.path))
    }

    fn fail(&self, fault: DatabaseFault) -> ApiKeyError {
        ApiKeyError::Database {
            path: self.path.clone(),
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

/// A change that is being made.
pub(super) struct Transaction {
    inner: WriteTransaction,
}

impl Transaction {
    /// Makes the tables, where there are none.
    fn begin(&mut self) -> Result<(), DatabaseFault> {
        self.inner.open_table(KEYS)?;
        self.inner.open_table(USAGE)?;
        self.inner.open_table(AUDIT)?;
        let mut meta = self.inner.open_table(META)?;
        let version = meta.get("version")?.map(|version| version.value());
        match version {
            None => {
                meta.insert("version", VERSION)?;
                meta.insert("generation", 0)?;
                let mut salt = self.inner.open_table(SALT)?;
                salt.insert((), random::bytes())?;
            }
            Some(VERSION) => {}
            Some(other) => return Err(DatabaseFault::Version(other)),
        }
        Ok(())
    }

    pub(super) fn generation(&self) -> Result<u64, Fault> {
        let meta = self.inner.open_table(META)?;
        Ok(meta
            .get("generation")?
            .map_or(0, |generation| generation.value()))
    }

    /// Tells all who have the keys in memory that they have changed.
    pub(super) fn next_generation(&mut self) -> Result<u64, Fault> {
        let next = self.generation()? + 1;
        self.inner.open_table(META)?.insert("generation", next)?;
        Ok(next)
    }

    pub(super) fn salt(&self) -> Result<Salt, Fault> {
        let salt = self.inner.open_table(SALT)?;
        Ok(salt.get(())?.map(|salt| salt.value()).unwrap_or_default())
    }

    pub(super) fn set_salt(&mut self, salt: &Salt) -> Result<(), Fault> {
        self.inner.open_table(SALT)?.insert((), salt)?;
        Ok(())
    }

    pub(super) fn record(&self, id: ApiKeyId) -> Result<Record, Fault> {
        let keys = self.inner.open_table(KEYS)?;
        match keys.get(id.0)? {
            Some(json) => Ok(serde_json::from_slice(json.value())?),
            None => Err(Fault::caller(ApiKeyError::NoSuchKey(id))),
        }
    }

    pub(super) fn has(&self, id: ApiKeyId) -> Result<bool, Fault> {
        let keys = self.inner.open_table(KEYS)?;
        Ok(keys.get(id.0)?.is_some())
    }

    pub(super) fn set(&mut self, record: &Record) -> Result<(), Fault> {
        let json = serde_json::to_vec(record)?;
        let mut keys = self.inner.open_table(KEYS)?;
        keys.insert(record.id.0, &*json)?;
        Ok(())
    }

    pub(super) fn remove(&mut self, id: ApiKeyId) -> Result<(), Fault> {
        self.inner.open_table(KEYS)?.remove(id.0)?;
        self.inner.open_table(USAGE)?.remove(id.0)?;
        Ok(())
    }

    /// Adds to what was counted of a key, and returns what it comes to. A key that is gone counts no more.
    pub(super) fn add_usage(&mut self, id: ApiKeyId, counts: Counts) -> Result<Counts, Fault> {
        if !self.has(id)? {
            return Ok(counts);
        }
        let mut usage = self.inner.open_table(USAGE)?;
        let before = usage
            .get(id.0)?
            .map(|counts| counts.value())
            .unwrap_or_default();
        let sum = (
            before.0.max(counts.0),
            before.1.saturating_add(counts.1),
            before.2.saturating_add(counts.2),
        );
        usage.insert(id.0, sum)?;
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
        let mut audit = self.inner.open_table(AUDIT)?;
        let next = audit.last()?.map_or(0, |(number, _)| number.value() + 1);
        audit.insert(next, &*json)?;
        loop {
            let Some((first, is_old)) = audit.first()?.map(|(number, json)| {
                let entry = serde_json::from_slice::<AuditEntry>(json.value());
                (number.value(), entry.is_ok_and(|entry| entry.at < oldest))
            }) else {
                return Ok(());
            };
            if !is_old && next - first < entries_max {
                return Ok(());
            }
            audit.remove(first)?;
        }
    }

    /// The newest entries of the audit, the newest first.
    pub(super) fn newest_audit(&self, most: usize) -> Result<Vec<AuditEntry>, Fault> {
        let audit = self.inner.open_table(AUDIT)?;
        let mut entries = Vec::new();
        for entry in audit.iter()?.rev().take(most) {
            entries.push(serde_json::from_slice(entry?.1.value())?);
        }
        Ok(entries)
    }

    pub(super) fn read_all(&self) -> Result<Content, Fault> {
        let (keys, usage) = (self.inner.open_table(KEYS)?, self.inner.open_table(USAGE)?);
        Ok(Content {
            salt: self.salt()?,
            generation: self.generation()?,
            entries: read_entries(&keys, &usage)?,
        })
    }
}

fn read_if_changed(
    database: &impl ReadableDatabase,
    known: u64,
) -> Result<Option<Content>, DatabaseFault> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let generation = meta
        .get("generation")?
        .map_or(0, |generation| generation.value());
    if generation == known {
        return Ok(None);
    }
    match meta.get("version")?.map(|version| version.value()) {
        Some(VERSION) => {}
        other => return Err(DatabaseFault::Version(other.unwrap_or(0))),
    }
    let salt = transaction.open_table(SALT)?;
    let (keys, usage) = (
        transaction.open_table(KEYS)?,
        transaction.open_table(USAGE)?,
    );
    Ok(Some(Content {
        salt: salt.get(())?.map(|salt| salt.value()).unwrap_or_default(),
        generation,
        entries: read_entries(&keys, &usage)?,
    }))
}

fn read_entries(
    keys: &impl ReadableTable<u64, &'static [u8]>,
    usage: &impl ReadableTable<u64, Counts>,
) -> Result<Vec<Entry>, DatabaseFault> {
    let mut entries = Vec::new();
    for item in keys.iter()? {
        let (id, json) = item?;
        let record: Record = serde_json::from_slice(json.value())?;
        let counts = usage.get(id.value())?.map(|counts| counts.value());
        entries.push(Entry {
            record,
            usage: Usage::from_parts(counts.unwrap_or_default()).into(),
        });
    }
    Ok(entries)
}

/// Opens a database, waiting for a while if another process has it open: nobody does for long.
fn wait_for<D>(open: impl Fn() -> Result<D, DatabaseError>) -> Result<D, DatabaseFault> {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        match open() {
            Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < patience => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(DatabaseFault::InUse),
            opened => return Ok(opened?),
        }
    }
}

/// Makes a new file one of its owner's alone.
fn restrict(path: &Path) -> Result<(), DatabaseFault> {
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// Keys are read once and kept; a cache would hold them twice.
const CACHE_BYTES: usize = 1024 * 1024;
