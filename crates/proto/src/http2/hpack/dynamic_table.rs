//! The dynamic table: what both ends remember of earlier fields.
//!
//! All names and values lie in one piece of memory that grows as they come, up to twice the table's
//! size; what was evicted is squeezed out when the piece is full, and not before. What the decoder and
//! the encoder know besides is theirs: `M`. Source: RFC 7541 §2.3.2, §4.

use super::FIELD_OVERHEAD_BYTES;

#[derive(Clone, Debug)]
pub(super) struct DynamicTable<M> {
    bytes: Vec<u8>,
    /// Evicted ones, then those of the table, the newest last.
    entries: Vec<Entry<M>>,
    evicted: usize,
    /// The table's size as RFC 7541 §4.1 counts it, never more than `bytes_max`.
    size: usize,
    bytes_max: u32,
    generation: u64,
}

/// A field of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<M> {
    start: u32,
    name_len: u32,
    value_len: u32,
    pub(super) mark: M,
}

impl<M> Entry<M> {
    #[inline]
    pub(super) fn name_len(&self) -> usize {
        self.name_len as usize
    }

    #[inline]
    pub(super) fn value_len(&self) -> usize {
        self.value_len as usize
    }

    #[inline]
    fn len(&self) -> usize {
        self.name_len() + self.value_len()
    }
}

impl<M: Copy> DynamicTable<M> {
    /// An empty table, which has no memory yet.
    pub(super) const fn new(bytes_max: u32) -> Self {
        Self {
            bytes: Vec::new(),
            entries: Vec::new(),
            evicted: 0,
            size: 0,
            bytes_max,
            generation: 0,
        }
    }

    #[inline]
    pub(super) fn bytes_max(&self) -> u32 {
        self.bytes_max
    }

    /// Changes with each change of the table.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Counts something as a change that is none of the table itself.
    #[inline]
    pub(super) fn touch(&mut self) {
        self.generation += 1;
    }

    /// How many fields there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.evicted
    }

    /// The entry at a position, the newest at 0.
    #[inline]
    pub(super) fn entry(&self, position: usize) -> Option<&Entry<M>> {
        if position < self.len() {
            Some(&self.entries[self.entries.len() - 1 - position])
        } else {
            None
        }
    }

    /// What is known about the entry at a position.
    #[inline]
    pub(super) fn mark_mut(&mut self, position: usize) -> Option<&mut M> {
        let entry = self.entries[self.evicted..].iter_mut().nth_back(position);
        entry.map(|entry| &mut entry.mark)
    }

    /// Name and value of an entry, end to end.
    #[inline]
    pub(super) fn text(&self, entry: &Entry<M>) -> &[u8] {
        &self.bytes[entry.start as usize..][..entry.len()]
    }

    /// Changes the largest size, and evicts what no longer fits.
    pub(super) fn set_bytes_max(&mut self, bytes_max: u32) {
        if bytes_max != self.bytes_max {
            self.generation += 1;
            self.bytes_max = bytes_max;
            self.evict_down_to(bytes_max as usize);
        }
    }

    /// Adds a field. Says whether it is in the table: one that is larger than the table empties it, as
    /// RFC 7541 §4.4 has it.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], mark: M) -> bool {
        self.generation += 1;
        let len = name.len() + value.len();
        let room = (self.bytes_max as usize).checked_sub(len + FIELD_OVERHEAD_BYTES);
        self.evict_down_to(room.unwrap_or(0));
        if room.is_none() {
            return false;
        }
        if self.bytes.capacity() - self.bytes.len() < len
            || self.entries.capacity() == self.entries.len()
        {
            self.make_room(len);
        }
        let entry = Entry {
            // No more than twice `bytes_max`, see `make_room`.
            start: self.bytes.len() as u32,
            name_len: name.len() as u32,
            value_len: value.len() as u32,
            mark,
        };
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.entries.push(entry);
        self.size += len + FIELD_OVERHEAD_BYTES;
        true
    }

    #[inline]
    fn evict_down_to(&mut self, size_max: usize) {
        while self.size > size_max {
            self.size -= self.entries[self.evicted].len() + FIELD_OVERHEAD_BYTES;
            self.evicted += 1;
        }
        if self.size == 0 {
            self.bytes.clear();
            self.entries.clear();
            self.evicted = 0;
        }
    }

    /// Squeezes out what was evicted if that is half of all; otherwise gets more memory.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, len: usize) {
        let evicted_bytes = self
            .entries
            .get(self.evicted)
            .map_or(self.bytes.len(), |oldest| oldest.start as usize);
        if evicted_bytes * 2 > self.bytes.len() || self.evicted * 2 > self.entries.len() {
            self.bytes.drain(..evicted_bytes);
            self.entries.drain(..self.evicted);
            self.evicted = 0;
            for entry in &mut self.entries {
                entry.start -= evicted_bytes as u32;
            }
        }
        let free = self.bytes.capacity() - self.bytes.len();
        if free < len {
            // At most half of the bytes are of evicted fields, so there are less than twice
            // `bytes_max`, also with the field that comes.
            let wanted = self.bytes.len() + len;
            let doubled = (self.bytes.capacity() * 2).max(BYTES_MIN);
            let capacity = doubled.min(2 * self.bytes_max as usize).max(wanted);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.entries.reserve(1);
    }
}

/// The first piece of memory: what a usual client's first request needs.
const BYTES_MIN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_with_use_and_is_bounded() {
        let mut table = DynamicTable::new(4096);
        assert_eq!((table.bytes.capacity(), table.entries.capacity()), (0, 0));
        table.insert(b"name", b"value", ());
        assert_eq!(table.bytes.capacity(), BYTES_MIN);
        for number in 0..20_000_usize {
            let value = vec![b'v'; number * 7919 % 300];
            assert!(table.insert(b"n", &value, ()));
            assert!(table.size <= 4096);
            assert!(table.bytes.capacity() <= 2 * 4096);
            assert!(table.entries.capacity() <= 512);
            let newest = table.entry(0).unwrap();
            assert_eq!(&table.text(newest)[1..], value);
            assert!(table.entry(table.len()).is_none());
        }
    }

    #[test]
    fn a_field_larger_than_the_table_empties_it() {
        let mut table = DynamicTable::new(100);
        assert!(table.insert(b"a", &[b'v'; 67], ()));
        assert_eq!((table.len(), table.size), (1, 100));
        assert!(!table.insert(b"a", &[b'v'; 68], ()));
        assert_eq!((table.len(), table.size), (0, 0));
    }

    #[test]
    fn each_change_is_seen_in_the_generation() {
        let mut table = DynamicTable::new(100);
        let mut seen = vec![table.generation()];
        table.insert(b"a", b"b", ());
        seen.push(table.generation());
        table.set_bytes_max(50);
        seen.push(table.generation());
        table.set_bytes_max(0);
        seen.push(table.generation());
        assert!(seen.is_sorted_by(|before, after| before < after));
        table.set_bytes_max(0);
        assert_eq!(seen.last(), Some(&table.generation()));
    }
}
