use std::sync::Arc;

use super::*;

#[test]
fn what_was_inserted_is_found_until_removed() {
    let registry = Registry::default();
    assert_eq!(registry.insert(1, "a"), None);
    assert_eq!(registry.insert(1, "b"), Some("a"));
    assert_eq!(registry.insert(2, "c"), None);
    assert_eq!(registry.count(), 2);
    assert_eq!(registry.get(1), Some("b"));
    assert_eq!(registry.get(3), None);
    assert_eq!(registry.remove(1), Some("b"));
    assert_eq!(registry.remove(1), None);
    assert_eq!(registry.get(1), None);
    assert_eq!(registry.count(), 1);
}

#[test]
fn a_snapshot_has_everyone_once() {
    let registry = Registry::default();
    for id in 0..10_000 {
        registry.insert(id, id);
    }
    let mut all = registry.snapshot();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..10_000));
}

#[test]
fn parts_are_filled_evenly() {
    // Each of the driver's threads takes numbers in runs, one after the other or with gaps.
    for step in [1, 2, 4, 64, 256, 1024] {
        let registry = Registry::default();
        for id in 0..6400 {
            registry.insert(id * step, ());
        }
        for part in registry.parts.iter() {
            assert!((50..200).contains(&part.read().len()), "{step}");
        }
    }
}

#[test]
fn memory_is_given_back() {
    let registry = Registry::default();
    for id in 0..100_000 {
        registry.insert(id, id);
    }
    for id in 0..100_000 {
        registry.remove(id);
    }
    assert_eq!(registry.count(), 0);
    for part in registry.parts.iter() {
        assert!(part.read().capacity() <= 2 * CAPACITY_KEPT);
    }
}

/// Uses the registry when it is dropped, as an application's value in a connection may.
struct Curious(Arc<Registry<Arc<Curious>>>);

impl Drop for Curious {
    fn drop(&mut self) {
        // Every part, also the one that this was taken from.
        self.0.snapshot();
        (0..1000).for_each(|id| drop(self.0.remove(1000 + id)));
    }
}

#[test]
fn nothing_is_dropped_under_a_lock() {
    let registry = Arc::new(Registry::default());
    let curious = || Arc::new(Curious(Arc::clone(&registry)));
    drop(registry.insert(5, curious()));
    drop(registry.insert(5, curious()));
    registry.insert(6, curious());
    registry.remove(5);
    drop(registry.remove(6));
    assert_eq!(registry.count(), 0);
}

#[test]
fn threads_that_come_and_go_leave_nobody() {
    let registry = Registry::default();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let registry = &registry;
            scope.spawn(move || {
                for id in (0..20_000).map(|id| id * 4 + thread) {
                    registry.insert(id, id);
                    if id % 1000 < 4 {
                        assert!(registry.snapshot().contains(&id));
                    }
                    registry.remove(id);
                }
            });
        }
    });
    assert_eq!((registry.count(), registry.snapshot()), (0, Vec::new()));
}
