//! Exactly-once publishes that clients have not released: one that comes again is known by its name.
//!
//! A plain value: time is an argument. Source: MQTT 3.1.1 §4.3.3, the receiver's side; that a name is
//! remembered for a while after its connection has ended is ours.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Names of unreleased publishes of all connections.
#[derive(Debug, Default)]
pub(super) struct Publishes {
    known: HashMap<Arc<str>, Publish>,
    by_connection: HashMap<u64, HashSet<Arc<str>>>,
    /// Those whose connections have ended, the first that did first. Released ones are still among them.
    orphans: VecDeque<(Instant, Arc<str>)>,
}

#[derive(Debug)]
struct Publish {
    /// What the message was published as.
    number: u64,
    connection: u64,
    orphaned: Option<Instant>,
}

/// Most names that are remembered after their connections have ended.
const ORPHANS_MAX: usize = 65_536;

impl Publishes {
    /// As which number it was published, if it was.
    pub(super) fn find(&self, name: &str) -> Option<u64> {
        Some(self.known.get(name)?.number)
    }

    /// How many a connection has not released.
    pub(super) fn count(&self, connection: u64) -> usize {
        self.by_connection.get(&connection).map_or(0, HashSet::len)
    }

    /// Remembers one.
    pub(super) fn insert(&mut self, name: &str, connection: u64, number: u64) {
        let name: Arc<str> = name.into();
        let publish = Publish {
            number,
            connection,
            orphaned: None,
        };
        let of_connection = self.by_connection.entry(connection).or_default();
        of_connection.insert(Arc::clone(&name));
        self.known.insert(name, publish);
    }

    /// Forgets one: its client will not send it again.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(publish) = self.known.remove(name)
            && let Some(names) = self.by_connection.get_mut(&publish.connection)
        {
            names.remove(name);
            if names.is_empty() {
                self.by_connection.remove(&publish.connection);
            }
        }
    }

    /// A connection has ended: its names are remembered for `memory`.
    pub(super) fn connection_ended(&mut self, connection: u64, now: Instant, memory: Duration) {
        for name in self.by_connection.remove(&connection).unwrap_or_default() {
            if let Some(publish) = self.known.get_mut(&name) {
                publish.orphaned = Some(now);
                self.orphans.push_back((now, name));
            }
        }
        while let Some((since, _)) = self.orphans.front()
            && (self.orphans.len() > ORPHANS_MAX || now.duration_since(*since) >= memory)
            && let Some((since, name)) = self.orphans.pop_front()
        {
            // It may have been released, and its name used again.
            if self
                .known
                .get(&name)
                .is_some_and(|publish| publish.orphaned == Some(since))
            {
                self.known.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Duration = Duration::from_secs(300);

    #[test]
    fn a_publish_is_known_until_it_is_released() {
        let mut publishes = Publishes::default();
        publishes.insert("a", 1, 7);
        assert_eq!((publishes.find("a"), publishes.count(1)), (Some(7), 1));
        publishes.release("a");
        publishes.release("never seen");
        assert_eq!((publishes.find("a"), publishes.count(1)), (None, 0));
        assert!(publishes.by_connection.is_empty());
    }

    #[test]
    fn it_outlives_its_connection_for_a_while() {
        let mut publishes = Publishes::default();
        let start = Instant::now();
        publishes.insert("a", 1, 7);
        publishes.insert("b", 1, 8);
        publishes.connection_ended(1, start, MEMORY);
        assert_eq!(publishes.find("a"), Some(7));
        publishes.release("a");
        publishes.insert("a", 2, 9);
        publishes.connection_ended(3, start + MEMORY, MEMORY);
        assert_eq!(publishes.find("a"), Some(9), "the same name, used again");
        assert_eq!(publishes.find("b"), None);
        assert!(publishes.orphans.is_empty());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut publishes = Publishes::default();
        let now = Instant::now();
        for number in 0..=ORPHANS_MAX as u64 {
            publishes.insert(&number.to_string(), number, number);
            publishes.connection_ended(number, now, MEMORY);
        }
        assert_eq!(publishes.known.len(), ORPHANS_MAX);
        assert_eq!(publishes.find("0"), None);
    }
}
