//! Keys in memory alone: gone with the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{KeyStorage, KeyTable, ReadKeys, TransactionEnd, WriteKeys};
use crate::api_keys::error::DatabaseFault;

/// Keys in memory: for tests, and for servers whose keys come from elsewhere at each start.
#[derive(Default)]
pub struct MemoryStorage {
    /// Held for each reading and writing.
    tables: Mutex<Tables>,
}

#[derive(Clone, Default)]
struct Tables(BTreeMap<(KeyTable, u64), Vec<u8>>);

impl MemoryStorage {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyStorage for MemoryStorage {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn WriteKeys) -> Result<TransactionEnd, DatabaseFault>,
    ) -> Result<(), DatabaseFault> {
        let mut tables = self.tables();
        let mut changed = tables.clone();
        if work(&mut changed)? == TransactionEnd::Commit {
            *tables = changed;
        }
        Ok(())
    }

    fn read(
        &self,
        work: &mut dyn FnMut(&dyn ReadKeys) -> Result<(), DatabaseFault>,
    ) -> Result<(), DatabaseFault> {
        work(&*self.tables())
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MemoryStorage")
            .finish_non_exhaustive()
    }
}

impl Tables {
    fn of(&self, table: KeyTable) -> impl DoubleEndedIterator<Item = (u64, Vec<u8>)> {
        let range = self.0.range((table, 0)..=(table, u64::MAX));
        range.map(|((_, number), value)| (*number, value.clone()))
    }
}

impl ReadKeys for Tables {
    fn get(&self, table: KeyTable, number: u64) -> Result<Option<Vec<u8>>, DatabaseFault> {
        Ok(self.0.get(&(table, number)).cloned())
    }

    fn all(&self, table: KeyTable) -> Result<Vec<(u64, Vec<u8>)>, DatabaseFault> {
        Ok(self.of(table).collect())
    }

    fn first(&self, table: KeyTable) -> Result<Option<(u64, Vec<u8>)>, DatabaseFault> {
        Ok(self.of(table).next())
    }

    fn last(&self, table: KeyTable, most: usize) -> Result<Vec<(u64, Vec<u8>)>, DatabaseFault> {
        Ok(self.of(table).rev().take(most).collect())
    }
}

impl WriteKeys for Tables {
    fn set(&mut self, table: KeyTable, number: u64, value: &[u8]) -> Result<(), DatabaseFault> {
        self.0.insert((table, number), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, table: KeyTable, number: u64) -> Result<(), DatabaseFault> {
        self.0.remove(&(table, number));
        Ok(())
    }
}
