//! Keys in a file: an embedded database (redb), open only while something is done with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    TableDefinition, TableHandle, WriteTransaction,
};

use super::{KeyStorage, KeyTable, ReadKeys, TransactionEnd, WriteKeys};
use crate::api_keys::error::DatabaseFault;
use crate::stamp::Stamp;

/// Keys in a file. Other processes may use it, too, by turns.
pub struct FileStorage {
    path: PathBuf,
    /// Of the file when it was last asked for.
    seen: Mutex<Option<Stamp>>,
}

impl FileStorage {
    /// The file is made when something is written, for its owner alone.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            seen: Mutex::default(),
        }
    }

    fn database(&self) -> Result<Database, DatabaseFault> {
        // Nobody else has to read hashes, owners and addresses.
        restrict(&self.path)?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        wait_for(|| builder.create(&self.path))
    }
}

impl KeyStorage for FileStorage {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn WriteKeys) -> Result<TransactionEnd, DatabaseFault>,
    ) -> Result<(), DatabaseFault> {
        let database = self.database()?;
        let mut writing = Writing(database.begin_write()?);
        // Written by a version that was never released.
        if writing.0.list_tables()?.any(|table| table.name() == "meta") {
            return Err(DatabaseFault::Version(1));
        }
        for table in KeyTable::ALL {
            writing.0.open_table(definition(table))?;
        }
        if work(&mut writing)? == TransactionEnd::Commit {
            // Durability is immediate unless another is asked for: on the disk, that is.
            writing.0.commit()?;
        }
        Ok(())
    }

    fn read(
        &self,
        work: &mut dyn FnMut(&dyn ReadKeys) -> Result<(), DatabaseFault>,
    ) -> Result<(), DatabaseFault> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        match wait_for(|| builder.open_read_only(&self.path)) {
            // Somebody was killed while it was open: only who may write can put it right.
            Err(DatabaseFault::Redb(redb::Error::RepairAborted)) => {
                work(&Reading(self.database()?.begin_read()?))
            }
            opened => work(&Reading(opened?.begin_read()?)),
        }
    }

    fn may_have_changed(&self) -> bool {
        // Taken before the file is read: what changes meanwhile is seen the next time.
        let stamp = Stamp::of(&self.path).ok();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let may_have = stamp.is_none() || *seen != stamp;
        *seen = stamp;
        may_have
    }
}

impl fmt::Debug for FileStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FileStorage")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

struct Reading(ReadTransaction);

struct Writing(WriteTransaction);

macro_rules! reads {
    ($name:ident) => {
        impl ReadKeys for $name {
            fn get(&self, table: KeyTable, number: u64) -> Result<Option<Vec<u8>>, DatabaseFault> {
                let table = self.0.open_table(definition(table))?;
                let found = table.get(number)?;
                Ok(found.map(|value| value.value().to_vec()))
            }

            fn all(&self, table: KeyTable) -> Result<Vec<(u64, Vec<u8>)>, DatabaseFault> {
                let table = self.0.open_table(definition(table))?;
                let all = table.iter()?.map(owned);
                all.collect()
            }

            fn first(&self, table: KeyTable) -> Result<Option<(u64, Vec<u8>)>, DatabaseFault> {
                let table = self.0.open_table(definition(table))?;
                let mut all = table.iter()?.map(owned);
                all.next().transpose()
            }

            fn last(
                &self,
                table: KeyTable,
                most: usize,
            ) -> Result<Vec<(u64, Vec<u8>)>, DatabaseFault> {
                let table = self.0.open_table(definition(table))?;
                let last = table.iter()?.rev().take(most).map(owned);
                last.collect()
            }
        }
    };
}

reads!(Reading);
reads!(Writing);

impl WriteKeys for Writing {
    fn set(&mut self, table: KeyTable, number: u64, value: &[u8]) -> Result<(), DatabaseFault> {
        self.0
            .open_table(definition(table))?
            .insert(number, value)?;
        Ok(())
    }

    fn remove(&mut self, table: KeyTable, number: u64) -> Result<(), DatabaseFault> {
        self.0.open_table(definition(table))?.remove(number)?;
        Ok(())
    }
}

type Item<'a> = (
    redb::AccessGuard<'a, u64>,
    redb::AccessGuard<'a, &'static [u8]>,
);

fn owned(item: Result<Item<'_>, redb::StorageError>) -> Result<(u64, Vec<u8>), DatabaseFault> {
    let (number, value) = item?;
    Ok((number.value(), value.value().to_vec()))
}

fn definition(table: KeyTable) -> TableDefinition<'static, u64, &'static [u8]> {
    TableDefinition::new(match table {
        KeyTable::Records => "records",
        KeyTable::Usage => "uses",
        KeyTable::Audit => "log",
        KeyTable::State => "state",
    })
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
