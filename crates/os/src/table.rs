//! Connections by index, with a generation for each index.
//!
//! Both loops keep their connections here. An index is found without a search; a key is checked by
//! comparing its generation.

use crate::key::ConnectionKey;

/// A table of connections.
///
/// A connection leaves in two steps: `retire` makes its key invalid, `release` gives its index
/// free. Between the two the loop waits for operations that the system has not finished.
pub(crate) struct Table<T> {
    slots: Vec<Slot<T>>,
    /// Indexes to be reused, the last released first: its memory is the warmest.
    free: Vec<u32>,
    /// Connections whose key is valid.
    live: usize,
}

struct Slot<T> {
    /// Of the connection here; after `retire`, of the next one.
    generation: u32,
    retired: bool,
    value: Option<T>,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
        }
    }

    /// The number of connections whose key is valid.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn insert(&mut self, value: T) -> ConnectionKey {
        self.live += 1;
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.value = Some(value);
            slot.retired = false;
            return ConnectionKey::new(index, slot.generation);
        }
        let index = u32::try_from(self.slots.len()).expect("a process has fewer descriptors");
        self.slots.push(Slot {
            generation: 0,
            retired: false,
            value: Some(value),
        });
        ConnectionKey::new(index, 0)
    }

    /// The connection of a valid key.
    #[inline]
    pub(crate) fn get(&self, key: ConnectionKey) -> Option<&T> {
        let slot = self.slots.get(key.index() as usize)?;
        if slot.generation != key.generation() {
            return None;
        }
        slot.value.as_ref()
    }

    /// The connection of a valid key.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: ConnectionKey) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index() as usize)?;
        if slot.generation != key.generation() {
            return None;
        }
        slot.value.as_mut()
    }

    /// The connection at an index, and its key unless it was retired.
    #[inline]
    pub(crate) fn at(&mut self, index: u32) -> Option<(&mut T, Option<ConnectionKey>)> {
        let slot = self.slots.get_mut(index as usize)?;
        let key = (!slot.retired).then_some(ConnectionKey::new(index, slot.generation));
        Some((slot.value.as_mut()?, key))
    }

    /// Makes the key invalid. The connection stays at its index until `release`.
    ///
    /// The key must be valid.
    pub(crate) fn retire(&mut self, key: ConnectionKey) {
        let slot = &mut self.slots[key.index() as usize];
        debug_assert_eq!(slot.generation, key.generation());
        slot.generation += 1;
        slot.retired = true;
        self.live -= 1;
    }

    /// Takes a retired connection out and gives its index free.
    pub(crate) fn release(&mut self, index: u32) -> Option<T> {
        let slot = &mut self.slots[index as usize];
        let value = slot.value.take()?;
        // An index whose generations are used up stays empty for ever.
        if slot.generation != USED_UP {
            self.free.push(index);
        }
        Some(value)
    }

    /// The valid keys.
    pub(crate) fn keys(&self) -> Vec<ConnectionKey> {
        (0_u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.value.is_some() && !slot.retired)
            .map(|(index, slot)| ConnectionKey::new(index, slot.generation))
            .collect()
    }
}

const USED_UP: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retired_key_is_invalid_and_its_index_is_reused_after_release_only() {
        let mut table = Table::new();
        let first = table.insert('a');
        table.retire(first);
        assert_eq!((table.get(first), table.live()), (None, 0));
        assert_eq!(table.at(first.index()), Some((&mut 'a', None)));
        assert_ne!(table.insert('b').index(), first.index());
        assert_eq!(table.release(first.index()), Some('a'));
        let third = table.insert('c');
        assert_eq!(third.index(), first.index());
        assert_ne!(third, first);
        assert_eq!(table.get(first), None);
        assert_eq!(table.get_mut(third), Some(&mut 'c'));
    }

    #[test]
    fn index_whose_generations_are_used_up_is_not_reused() {
        let mut table = Table::new();
        let key = table.insert(());
        table.slots[0].generation = USED_UP - 1;
        let last = ConnectionKey::new(key.index(), USED_UP - 1);
        table.retire(last);
        table.release(last.index());
        assert_eq!(table.insert(()).index(), 1);
    }
}
