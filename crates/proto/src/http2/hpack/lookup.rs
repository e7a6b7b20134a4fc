//! Finds the fields of the encoder's dynamic table, and their names, by hash.
//!
//! Each hash leads to the newest field that has it, and each field to the next older one. The table
//! evicts the oldest first, so what was evicted is behind all others: nothing has to be taken out.

use super::dynamic_table::{DynamicTable, Entry};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    /// A name and its value.
    Field = 0,
    /// A name. One that is in the static table is not to be found here.
    Name = 1,
}

/// What the encoder knows about a field of its table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// For each [`Key`], its hash.
    hashes: [u32; 2],
    /// For each [`Key`], the number of an older field that may have the same hash.
    older: [u32; 2],
    /// The name's index in the static table, or 0.
    pub(super) static_name: u8,
}

impl Mark {
    pub(super) fn new(field_hash: u32, name_hash: u32, static_name: u8) -> Self {
        Self {
            hashes: [field_hash, name_hash],
            older: [0; 2],
            static_name,
        }
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: Key) -> u32 {
        self.hashes[key as usize]
    }
}

/// For each hash and [`Key`] the number of the newest field. Fields are numbered as they are inserted,
/// the first one being 1.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// As many as a power of two, or none.
    heads: Vec<[u32; 2]>,
    /// The number of the newest field. It may wrap: what is found is compared.
    newest: u32,
}

impl Lookup {
    /// One which has no memory yet.
    pub(super) const fn new() -> Self {
        Self {
            heads: Vec::new(),
            newest: 0,
        }
    }

    /// The position in `table` of the newest entry with this hash that `is_it`.
    #[inline]
    pub(super) fn find(
        &self,
        table: &DynamicTable<Mark>,
        key: Key,
        hash: u32,
        is_it: impl Fn(&Entry<Mark>) -> bool,
    ) -> Option<usize> {
        let mut number = self.heads.get(hash as usize & self.mask())?[key as usize];
        let mut nearest = 0;
        loop {
            // No field has number 0, and those evicted have no position either.
            let position = self.newest.wrapping_sub(number) as usize;
            let entry = table.entry(position)?;
            if entry.mark.hash(key) == hash && is_it(entry) {
                return Some(position);
            }
            // Only older ones, even where numbers have wrapped.
            if position < nearest {
                return None;
            }
            nearest = position + 1;
            number = entry.mark.older[key as usize];
        }
    }

    /// Learns of the entry that was just inserted into `table`.
    #[inline]
    pub(super) fn insert(&mut self, table: &mut DynamicTable<Mark>) {
        self.newest = self.newest.wrapping_add(1);
        if table.len() > self.heads.len() {
            self.grow(table);
        } else {
            self.link(table, 0);
        }
    }

    /// Puts an entry before those that are older.
    fn link(&mut self, table: &mut DynamicTable<Mark>, position: usize) {
        let number = self.newest.wrapping_sub(position as u32);
        let mask = self.mask();
        let Some(mark) = table.mark_mut(position) else {
            return;
        };
        let keys = if mark.static_name == 0 { 2 } else { 1 };
        for key in 0..keys {
            if let Some(heads) = self.heads.get_mut(mark.hashes[key] as usize & mask) {
                mark.older[key] = std::mem::replace(&mut heads[key], number);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, table: &mut DynamicTable<Mark>) {
        let count = (self.heads.len() * 2).max(HEADS_MIN);
        self.heads.clear();
        self.heads.reserve_exact(count);
        self.heads.resize(count, [0; 2]);
        for position in (0..table.len()).rev() {
            self.link(table, position);
        }
    }

    #[inline(always)]
    fn mask(&self) -> usize {
        self.heads.len().wrapping_sub(1)
    }
}

const HEADS_MIN: usize = 8;
