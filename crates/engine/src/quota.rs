//! How many connections there may be: of one URL group, and of the whole backend.
//!
//! A count and the rule to enter it. The limit is an argument, so that a new one acts at once: raised,
//! the next connection gets in; lowered, those inside stay and no other enters until enough have left.
//! Source: QoS connection limit, `MaxConnections`; http-server-api §12.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections that count to one limit, shared by all workers.
///
/// Touched once in a connection's life: at its start for the backend's limit, at its first routed
/// request for a group's.
#[derive(Debug, Default)]
pub struct ConnectionCount {
    inside: AtomicU64,
    /// The most there have been.
    most: AtomicU64,
}

/// One connection in a [`ConnectionCount`]; dropping it takes the connection out.
#[derive(Debug)]
#[must_use]
pub struct ConnectionSlot(Arc<ConnectionCount>);

impl ConnectionCount {
    /// Takes a connection in; `None` when `max` or more are inside already.
    pub fn enter(self: &Arc<Self>, max: Option<u32>) -> Option<ConnectionSlot> {
        let max = max.map_or(u64::MAX, u64::from);
        // Relaxed: the number itself is all there is to agree on.
        let before = self
            .inside
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < max).then_some(count + 1)
            })
            .ok()?;
        self.most.fetch_max(before + 1, Ordering::Relaxed);
        Some(ConnectionSlot(Arc::clone(self)))
    }

    /// How many are inside.
    pub fn count(&self) -> u64 {
        self.inside.load(Ordering::Relaxed)
    }

    /// The most that have been inside at once.
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

impl ConnectionSlot {
    /// Whether it is a slot of this count.
    #[inline]
    pub fn is_of(&self, count: &Arc<ConnectionCount>) -> bool {
        Arc::ptr_eq(&self.0, count)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // http-server-api Q04, Q05: how the refusal looks is `unavailable`'s matter.
    #[test]
    fn q04_connection_above_the_limit_stays_out() {
        let count = Arc::new(ConnectionCount::default());
        let mut inside: Vec<_> = (0..3).map(|_| count.enter(Some(3)).unwrap()).collect();
        assert!(count.enter(Some(3)).is_none());
        assert_eq!(count.count(), 3);
        inside.pop();
        assert_eq!((count.count(), count.most()), (2, 3));
        assert!(count.enter(Some(3)).is_some());
    }

    #[test]
    fn q06_raising_acts_at_once_and_lowering_keeps_those_inside() {
        let count = Arc::new(ConnectionCount::default());
        let mut inside: Vec<_> = (0..3).map(|_| count.enter(Some(3)).unwrap()).collect();
        inside.push(count.enter(Some(4)).unwrap());
        assert!(count.enter(Some(2)).is_none());
        assert_eq!(count.count(), 4);
        inside.truncate(2);
        assert!(count.enter(Some(2)).is_none());
        inside.pop();
        assert!(count.enter(Some(2)).is_some());
    }

    #[test]
    fn no_limit_counts_all_the_same() {
        let count = Arc::new(ConnectionCount::default());
        let slot = count.enter(None).unwrap();
        assert!(count.enter(Some(1)).is_none());
        assert!(slot.is_of(&count));
        assert!(!slot.is_of(&Arc::default()));
    }

    #[test]
    fn limit_of_zero_lets_nobody_in() {
        assert!(
            Arc::new(ConnectionCount::default())
                .enter(Some(0))
                .is_none()
        );
    }

    #[test]
    fn workers_never_overshoot_together() {
        let count = Arc::new(ConnectionCount::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        if let Some(slot) = count.enter(Some(3)) {
                            assert!(count.count() <= 3);
                            drop(slot);
                        }
                    }
                });
            }
        });
        assert_eq!(count.count(), 0);
    }
}
