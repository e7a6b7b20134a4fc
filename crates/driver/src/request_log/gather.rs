//! What a worker keeps of requests until their answers have been sent, and hands over then.
//!
//! In the common case nothing here allocates or locks: entries are used again, their memory is the worker's,
//! and what has ended in one turn is handed over in one row at its end.

use std::sync::Arc;

use tidegate_httpapi::{LogFields, LogSelection};

use super::record::RECORD_BYTES_MAX;
use super::{Inner, Record, Ring, Rows};

/// Names an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct EntryId(u32);

/// A request in progress, or one whose answer has not all been sent.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Record,
    /// What its log's lines say.
    pub(crate) fields: LogFields,
    /// Whether it is logged depends on its status.
    pub(crate) selection: LogSelection,
    pub(crate) texts: Vec<u8>,
    /// When its first byte came, by the worker's clock in milliseconds.
    pub(crate) began: u32,
    /// Where in what the connection sends its answer begins.
    pub(crate) start: u64,
    /// Where it ends, once that is known.
    pub(crate) end: u64,
    /// The one of the same connection whose answer ends next.
    pub(crate) next: Option<EntryId>,
}

/// A worker's part in the logs.
pub(crate) struct WorkerLog {
    inner: Arc<Inner>,
    ring: Arc<Ring>,
    entries: Vec<Option<Entry>>,
    free: Vec<EntryId>,
    /// Memory for texts. Not the worker's store: what is taken there may be large, and a request may be long.
    memory: Vec<Vec<u8>>,
    /// What has ended in this turn.
    row: Rows,
}

impl WorkerLog {
    pub(super) fn new(inner: Arc<Inner>, ring: Arc<Ring>) -> Self {
        Self {
            inner,
            ring,
            entries: Vec::new(),
            free: Vec::new(),
            memory: Vec::new(),
            row: Rows::default(),
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, entry: Entry) -> EntryId {
        match self.free.pop() {
            Some(id) => {
                self.entries[id.0 as usize] = Some(entry);
                id
            }
            None => {
                self.entries.push(Some(entry));
                EntryId(self.entries.len() as u32 - 1)
            }
        }
    }

    #[inline]
    pub(crate) fn entry(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.get_mut(id.0 as usize)?.as_mut()
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: EntryId) -> Option<Entry> {
        let entry = self.entries.get_mut(id.0 as usize)?.take()?;
        self.free.push(id);
        Some(entry)
    }

    /// Memory for the texts of a request.
    #[inline]
    pub(crate) fn take_memory(&mut self) -> Vec<u8> {
        self.memory
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(MEMORY_BYTES))
    }

    /// Takes memory back, unless there is enough or it has grown large.
    #[inline]
    pub(crate) fn put_memory(&mut self, mut memory: Vec<u8>) {
        if memory.capacity() <= MEMORY_BYTES_MAX && self.memory.len() < MEMORY_MAX {
            memory.clear();
            self.memory.push(memory);
        }
    }

    /// Takes a record whose answer has been sent, as far as it could be.
    #[inline]
    pub(crate) fn push(&mut self, record: Record, texts: &[u8]) {
        if self.row.records.capacity() == 0 {
            self.row.records.reserve(ROW_RECORDS);
            self.row.texts.reserve(ROW_BYTES + RECORD_BYTES_MAX);
        }
        self.row.records.push(record);
        self.row.texts.extend_from_slice(texts);
        if self.row.records.len() >= ROW_RECORDS || self.row.texts.len() >= ROW_BYTES {
            self.hand_over();
        }
    }

    /// Whether there is something to be handed over.
    #[inline]
    pub(crate) fn has_row(&self) -> bool {
        !self.row.records.is_empty()
    }

    /// Hands over what has ended in this turn.
    pub(crate) fn hand_over(&mut self) {
        self.ring.put(&self.inner, &self.row);
        self.row.clear();
    }
}

impl Drop for WorkerLog {
    fn drop(&mut self) {
        if self.has_row() {
            self.hand_over();
        }
    }
}

/// Records that are handed over at once at most.
const ROW_RECORDS: usize = 256;
/// Bytes of their texts, but for those of the last one.
const ROW_BYTES: usize = 64 * 1024;
/// Memory for usual texts.
const MEMORY_BYTES: usize = 512;
/// Largest memory kept.
const MEMORY_BYTES_MAX: usize = 8 * 1024;
/// How many are kept.
const MEMORY_MAX: usize = 1024;
