//! Where keys are kept: a file, memory, or what an application has.

mod file;
mod memory;

use std::error::Error;
use std::fmt;

pub use file::FileStorage;
pub use memory::MemoryStorage;

use super::error::DatabaseFault;

/// A place where keys are kept: four tables of numbered values, and changes that are made whole or not at all.
///
/// What the values are is this crate's affair: a storage keeps bytes. It is asked for all of them at the start and
/// when others have changed something; requests never reach it.
pub trait KeyStorage: Send + Sync + 'static {
    /// By what people know it, in messages: a path, a name.
    fn name(&self) -> String;

    /// Has `work` read and write, once. If it says [`Commit`](TransactionEnd::Commit), all that it wrote is kept when
    /// this returns, whatever ends the process then; else nothing of it is. Nobody else writes meanwhile, in another
    /// process either.
    ///
    /// # Errors
    ///
    /// What `work` failed with, or what the storage did. Nothing is changed then.
    fn write(
        &self,
        work: &mut dyn FnMut(&mut dyn WriteKeys) -> Result<TransactionEnd, DatabaseFault>,
    ) -> Result<(), DatabaseFault>;

    /// Has `work` read, once: all of one moment.
    ///
    /// # Errors
    ///
    /// What `work` failed with, or what the storage did.
    fn read(
        &self,
        work: &mut dyn FnMut(&dyn ReadKeys) -> Result<(), DatabaseFault>,
    ) -> Result<(), DatabaseFault>;

    /// Whether somebody may have changed it since this was last asked. Asked once a second; cheap, therefore. By
    /// default it always may have been, and is looked into.
    fn may_have_changed(&self) -> bool {
        true
    }
}

/// What becomes of what was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransactionEnd {
    /// It is kept.
    Commit,
    /// It was never written.
    Abandon,
}

/// One of the tables.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum KeyTable {
    /// Keys, by their names.
    Records,
    /// How often they were used, by their names.
    Usage,
    /// What was done, in its order.
    Audit,
    /// What there is one of.
    State,
}

impl KeyTable {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Records, Self::Usage, Self::Audit, Self::State];
}

/// Tables that can be read.
pub trait ReadKeys {
    /// A value.
    ///
    /// # Errors
    ///
    /// The storage cannot be used; so with all that follow.
    fn get(&self, table: KeyTable, number: u64) -> Result<Option<Vec<u8>>, DatabaseFault>;

    /// All values, by their numbers.
    ///
    /// # Errors
    ///
    /// See [`get`](Self::get).
    fn all(&self, table: KeyTable) -> Result<Vec<(u64, Vec<u8>)>, DatabaseFault>;

    /// The value with the least number.
    ///
    /// # Errors
    ///
    /// See [`get`](Self::get).
    fn first(&self, table: KeyTable) -> Result<Option<(u64, Vec<u8>)>, DatabaseFault>;

    /// The values with the greatest numbers, those first.
    ///
    /// # Errors
    ///
    /// See [`get`](Self::get).
    fn last(&self, table: KeyTable, most: usize) -> Result<Vec<(u64, Vec<u8>)>, DatabaseFault>;
}

/// Tables that can be written, too.
pub trait WriteKeys: ReadKeys {
    /// Puts a value in its place.
    ///
    /// # Errors
    ///
    /// The storage cannot be used.
    fn set(&mut self, table: KeyTable, number: u64, value: &[u8]) -> Result<(), DatabaseFault>;

    /// Removes a value, if there is one.
    ///
    /// # Errors
    ///
    /// The storage cannot be used.
    fn remove(&mut self, table: KeyTable, number: u64) -> Result<(), DatabaseFault>;
}

/// Why a storage of an application's own cannot be used.
pub struct CustomFault(pub Box<dyn Error + Send + Sync>);

impl fmt::Debug for CustomFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
