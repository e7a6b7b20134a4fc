//! What the thread of such connections is told by others: requests, what the driver has taken, the lane's waker.
//!
//! Bounded by what there is: a connection has one opening, one request, one notice of each kind at a time.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tidegate_httpapi::{OpaqueKey, WakeLane};

use super::carried::Arrival;
use super::post::Post;

/// Something that has happened.
pub(super) enum Item {
    /// A connection opens.
    Open(Box<Arrival>),
    /// A client has said something.
    Post(Box<Post>),
    /// The driver has taken all events of a connection.
    Taken(OpaqueKey),
    /// A connection's stream is no more.
    Gone(OpaqueKey),
    /// The server begins to stop.
    Stop,
    /// There is nothing more to do.
    Quit,
}

/// Where it is told.
#[derive(Default)]
pub(super) struct Inbox {
    /// Held to push or to take all.
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    items: Vec<Item>,
    is_woken: bool,
    is_closed: bool,
}

impl Inbox {
    /// Leaves something. It is given back when nobody takes anything any more.
    pub(super) fn push(&self, item: Item) -> Result<(), Item> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(item);
        }
        state.items.push(item);
        self.told.notify_one();
        Ok(())
    }

    /// Takes all there is into `items`, which must be empty. Says whether the lane was woken.
    pub(super) fn take(&self, items: &mut Vec<Item>) -> bool {
        let mut state = self.lock();
        mem::swap(&mut state.items, items);
        mem::take(&mut state.is_woken)
    }

    /// As [`take`](Self::take), once there is something or it is time.
    pub(super) fn wait(&self, until: Option<Instant>, items: &mut Vec<Item>) -> bool {
        let mut state = self.lock();
        while state.items.is_empty() && !state.is_woken {
            let Some(until) = until else {
                state = self
                    .told
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.told.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.take(items)
    }

    /// Takes nothing any more. What is left is given back.
    pub(super) fn close(&self) -> Vec<Item> {
        let mut state = self.lock();
        state.is_closed = true;
        mem::take(&mut state.items)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WakeLane for Inbox {
    fn wake(&self) {
        let mut state = self.lock();
        state.is_woken = true;
        self.told.notify_one();
    }
}
