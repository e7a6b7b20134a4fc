//! How many may do something costly at a time, and how many may wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Places for so many, and a bounded line of who waits.
pub(crate) struct Slots {
    /// Guards the two counts; nothing is called and no other lock taken while it is held.
    state: Mutex<State>,
    freed: Condvar,
    places: usize,
    waiting_max: usize,
}

struct State {
    taken: usize,
    waiting: usize,
}

impl Slots {
    pub(crate) fn new(places: usize, waiting_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                taken: 0,
                waiting: 0,
            }),
            freed: Condvar::new(),
            places: places.max(1),
            waiting_max,
        }
    }

    /// Takes a place, waiting for one if need be. `None` when enough wait already.
    pub(crate) fn take(&self) -> Option<Slot<'_>> {
        let mut state = self.lock();
        if state.taken == self.places {
            if state.waiting == self.waiting_max {
                return None;
            }
            state.waiting += 1;
            while state.taken == self.places {
                state = self
                    .freed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.waiting -= 1;
        }
        state.taken += 1;
        Some(Slot(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; free again when it is dropped.
pub(crate) struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().taken -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn who_comes_when_the_line_is_full_is_turned_away() {
        let slots = Slots::new(1, 0);
        let slot = slots.take();
        assert!(slot.is_some());
        assert!(slots.take().is_none());
        drop(slot);
        assert!(slots.take().is_some());
    }

    #[test]
    fn no_more_than_so_many_are_in_at_a_time() {
        let (slots, inside) = (Slots::new(2, 100), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let slot = slots.take();
                        assert!(slot.is_some());
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
