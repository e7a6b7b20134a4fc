//! Named groups of connections.
//!
//! A group is there as long as it has members, or from when it was made until it is taken away. One lock
//! guards all of them; nothing of a member runs under it: members are dropped and sent to when it has
//! been released.
//! Source: the component's Groups.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::mask;

/// Groups, and in each its members by number.
pub(crate) struct GroupTable<T>(Mutex<Groups<T>>);

struct Groups<T> {
    /// The standard hasher, since names may come from peers.
    by_name: HashMap<Arc<str>, Group<T>>,
    /// The groups of each member.
    of_member: FxHashMap<u64, Vec<Arc<str>>>,
}

struct Group<T> {
    members: FxHashMap<u64, T>,
    /// Stays without members.
    is_kept: bool,
}

impl<T> Default for GroupTable<T> {
    fn default() -> Self {
        Self(Mutex::new(Groups {
            by_name: HashMap::new(),
            of_member: FxHashMap::default(),
        }))
    }
}

impl<T: Clone> GroupTable<T> {
    /// Makes a group that stays without members. Says whether there was none of this name.
    pub(crate) fn create(&self, name: &str) -> bool {
        let mut groups = self.lock();
        let is_new = !groups.by_name.contains_key(name);
        groups.group(name).1.is_kept = true;
        is_new
    }

    /// Adds a member to a group, which is made if there is none. Says whether it was no member.
    pub(crate) fn add(&self, name: &str, id: u64, member: T) -> bool {
        let mut groups = self.lock();
        let (name, group) = groups.group(name);
        let Entry::Vacant(place) = group.members.entry(id) else {
            drop(groups);
            return false;
        };
        place.insert(member);
        groups.of_member.entry(id).or_default().push(name);
        true
    }

    /// Takes a member out of a group. Says whether it was one.
    pub(crate) fn remove(&self, name: &str, id: u64) -> bool {
        let mut groups = self.lock();
        let removed = groups.cut(name, id);
        if removed.is_some()
            && let Entry::Occupied(mut own) = groups.of_member.entry(id)
        {
            own.get_mut().retain(|group| **group != *name);
            if own.get().is_empty() {
                own.remove();
            }
        }
        drop(groups);
        removed.is_some()
    }

    /// Takes a member out of all its groups, and tells which those were.
    pub(crate) fn leave_all(&self, id: u64) -> Vec<Arc<str>> {
        let mut groups = self.lock();
        let names = groups.of_member.remove(&id).unwrap_or_default();
        give_back(&mut groups.of_member);
        let removed: Vec<_> = names.iter().map(|name| groups.cut(name, id)).collect();
        drop(groups);
        drop(removed);
        names
    }

    /// The groups that a member is in.
    pub(crate) fn names_of(&self, id: u64) -> Vec<Arc<str>> {
        self.lock().of_member.get(&id).cloned().unwrap_or_default()
    }

    /// The members of a group, in no order.
    pub(crate) fn members(&self, name: &str) -> Vec<T> {
        let groups = self.lock();
        let group = groups.by_name.get(name);
        group.map_or_else(Vec::new, |group| group.members.values().cloned().collect())
    }

    /// The members of all groups whose names match `mask`, each once, in no order.
    pub(crate) fn matching(&self, mask: &str) -> Vec<T> {
        if !mask::is_mask(mask) {
            return self.members(mask);
        }
        let groups = self.lock();
        let mut seen = FxHashSet::with_capacity_and_hasher(groups.of_member.len(), FxBuildHasher);
        let matching = groups
            .by_name
            .iter()
            .filter(|(name, _)| mask::matches(mask, name));
        matching
            .flat_map(|(_, group)| &group.members)
            .filter(|(id, _)| seen.insert(**id))
            .map(|(_, member)| member.clone())
            .collect()
    }

    /// The names of all groups, in no order.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.lock().by_name.keys().cloned().collect()
    }

    /// How many groups there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().by_name.len()
    }

    /// How many members a group has.
    pub(crate) fn len(&self, name: &str) -> usize {
        let groups = self.lock();
        groups
            .by_name
            .get(name)
            .map_or(0, |group| group.members.len())
    }

    fn lock(&self) -> MutexGuard<'_, Groups<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Groups<T> {
    /// A group and its name, shared; made if there is none.
    fn group(&mut self, name: &str) -> (Arc<str>, &mut Group<T>) {
        let name = match self.by_name.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => name.into(),
        };
        let group = self.by_name.entry(Arc::clone(&name)).or_insert(Group {
            members: FxHashMap::default(),
            is_kept: false,
        });
        (name, group)
    }

    /// Takes a member out of a group, and the group away when it was the last; not out of `of_member`.
    fn cut(&mut self, name: &str, id: u64) -> Option<T> {
        let group = self.by_name.get_mut(name)?;
        let removed = group.members.remove(&id);
        if group.members.is_empty() && !group.is_kept {
            self.by_name.remove(name);
            give_back(&mut self.by_name);
        } else {
            give_back(&mut group.members);
        }
        removed
    }
}

/// Gives memory back when most of it is unused, so seldom that it costs nothing.
fn give_back<K: Eq + Hash, V>(table: &mut HashMap<K, V, impl BuildHasher>) {
    if table.capacity() > CAPACITY_KEPT && table.len() < table.capacity() / 4 {
        table.shrink_to(table.len() * 2);
    }
}

/// A table with less room is not worth shrinking.
const CAPACITY_KEPT: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<V: Ord>(mut values: Vec<V>) -> Vec<V> {
        values.sort_unstable();
        values
    }

    #[test]
    fn a_group_is_there_while_it_has_members() {
        let table = GroupTable::default();
        assert!(table.add("a", 1, "one"));
        assert!(!table.add("a", 1, "one"));
        assert!(table.add("a", 2, "two"));
        assert_eq!(table.names(), ["a".into()]);
        assert_eq!((table.count(), table.len("a"), table.len("b")), (1, 2, 0));
        assert_eq!(sorted(table.members("a")), ["one", "two"]);
        assert!(table.members("b").is_empty());
        assert!(table.remove("a", 1));
        assert!(!table.remove("a", 1));
        assert!(!table.remove("b", 1));
        assert!(table.remove("a", 2));
        assert_eq!(table.count(), 0);
        assert!(table.lock().of_member.is_empty());
    }

    #[test]
    fn a_group_that_was_made_stays() {
        let table = GroupTable::default();
        assert!(table.create("a"));
        assert!(!table.create("a"));
        table.add("a", 1, ());
        table.remove("a", 1);
        assert_eq!((table.count(), table.len("a")), (1, 0));
        table.add("b", 1, ());
        assert!(!table.create("b"));
        table.leave_all(1);
        assert_eq!(sorted(table.names()), ["a".into(), "b".into()]);
    }

    #[test]
    fn who_leaves_all_is_in_none() {
        let table = GroupTable::default();
        for name in ["a", "b", "c"] {
            table.add(name, 1, 1);
        }
        table.add("b", 2, 2);
        table.remove("c", 1);
        assert_eq!(sorted(table.leave_all(1)), ["a".into(), "b".into()]);
        assert_eq!(table.leave_all(1), [] as [Arc<str>; 0]);
        assert_eq!(table.names(), ["b".into()]);
        assert_eq!(table.members("b"), [2]);
    }

    #[test]
    fn a_mask_finds_each_member_once() {
        let table = GroupTable::default();
        for (name, id) in [("Room1", 1), ("Room1", 2), ("Room2", 2), ("Hall", 3)] {
            table.add(name, id, id);
        }
        for (mask, expected) in [
            ("Room*", &[1, 2][..]),
            ("Room2", &[2]),
            ("*", &[1, 2, 3]),
            ("room*", &[]),
            ("Room", &[]),
        ] {
            assert_eq!(sorted(table.matching(mask)), expected, "{mask}");
        }
    }

    /// Uses the table when it is dropped, as an application's value in a connection may.
    struct Curious(Arc<GroupTable<Arc<Curious>>>);

    impl Drop for Curious {
        fn drop(&mut self) {
            self.0.count();
        }
    }

    #[test]
    fn nothing_is_dropped_under_the_lock() {
        let table = Arc::new(GroupTable::default());
        let curious = || Arc::new(Curious(Arc::clone(&table)));
        assert!(table.add("a", 1, curious()));
        assert!(!table.add("a", 1, curious()));
        assert!(table.remove("a", 1));
        assert!(table.add("a", 2, curious()));
        assert_eq!(table.leave_all(2).len(), 1);
        assert_eq!(table.count(), 0);
    }

    #[test]
    fn memory_is_given_back() {
        let table = GroupTable::default();
        for id in 0..10_000 {
            table.add("a", id, ());
        }
        for id in 1..10_000 {
            table.leave_all(id);
        }
        let groups = table.lock();
        assert!(groups.by_name["a"].members.capacity() <= 2 * CAPACITY_KEPT);
        assert!(groups.of_member.capacity() <= 2 * CAPACITY_KEPT);
    }
}
