//! All live connections of a server, by their number.
//!
//! In parts, each with a lock of its own, so that nobody who looks at all connections keeps others from
//! coming and going. Never more than one part is locked, and nothing of a connection runs meanwhile:
//! what is taken out is handed over or dropped when the lock has been released.
//! Source: the component's Connections, ConnectionsByGUID, Count, ShareList; its Optimizations.

mod guid;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustc_hash::FxBuildHasher;

pub use guid::{Guid, GuidError};

/// All live connections of a server.
pub(crate) struct Registry<T> {
    parts: Box<[Part<T>; PARTS]>,
    count: AtomicUsize,
}

/// Alone in its cache line, so that threads that use different parts do not meet.
#[repr(align(64))]
struct Part<T>(RwLock<Table<T>>);

/// Numbers are the server's own: a peer cannot choose them to collide.
type Table<T> = HashMap<u64, T, FxBuildHasher>;

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            parts: Box::new(std::array::from_fn(|_| Part(RwLock::default()))),
            count: AtomicUsize::new(0),
        }
    }
}

impl<T: Clone> Registry<T> {
    /// Adds a connection. Gives back the one that had the same number.
    pub(crate) fn insert(&self, id: u64, connection: T) -> Option<T> {
        let before = self.part(id).write().insert(id, connection);
        if before.is_none() {
            // Relaxed: a count that nothing else depends on.
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        before
    }

    /// Takes a connection out.
    pub(crate) fn remove(&self, id: u64) -> Option<T> {
        let mut table = self.part(id).write();
        let removed = table.remove(&id)?;
        // After many have gone, so seldom that it costs nothing.
        if table.capacity() > CAPACITY_KEPT && table.len() < table.capacity() / 4 {
            let twice = table.len() * 2;
            table.shrink_to(twice);
        }
        drop(table);
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(removed)
    }

    /// The connection of this number.
    pub(crate) fn get(&self, id: u64) -> Option<T> {
        self.part(id).read().get(&id).cloned()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// All connections, in no order. One that comes or goes meanwhile may be among them or not.
    pub(crate) fn snapshot(&self) -> Vec<T> {
        let mut all = Vec::with_capacity(self.count());
        for part in self.parts.iter() {
            part.append_to(&mut all);
        }
        all
    }

    /// So many connections, or all if there are not as many; the same ones while none comes or goes.
    pub(crate) fn some(&self, count: usize) -> Vec<T> {
        let mut some = Vec::with_capacity(count.min(self.count()));
        for part in self.parts.iter() {
            let room = count - some.len();
            some.extend(part.read().values().take(room).cloned());
            if some.len() == count {
                break;
            }
        }
        some
    }

    fn part(&self, id: u64) -> &Part<T> {
        // Numbers are taken by each of the driver's threads in runs; this spreads them, and leaves to
        // the tables bits that are independent of it.
        let spread = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - PARTS.trailing_zeros());
        &self.parts[spread as usize]
    }
}

impl<T: Clone> Part<T> {
    /// Appends all of this part. Memory for them is taken while it is not locked.
    fn append_to(&self, all: &mut Vec<T>) {
        loop {
            let table = self.read();
            let count = table.len();
            if count <= all.capacity() - all.len() {
                all.extend(table.values().cloned());
                return;
            }
            drop(table);
            all.reserve(count);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

const PARTS: usize = 64;
const _: () = assert!(PARTS.is_power_of_two());

/// A part smaller than this is not worth shrinking.
const CAPACITY_KEPT: usize = 28;

#[cfg(test)]
mod tests;
