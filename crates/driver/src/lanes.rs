//! A worker's lanes: who speaks for the connections that were upgraded on its thread.
//!
//! One for each request queue with such connections, opened with the first of them and kept until the
//! queue is closed or the worker ends. What a connection has of its own is in `connection::opaque`.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use tidegate_httpapi::{
    HandlerThreads, LaneHost, LaneWaker, OpaqueEnd, OpaqueKey, OpaqueLane, OperatingMode, WakeLane,
};

use crate::mailbox::Mailbox;
use crate::queue::{Jobs, Queue};

/// A worker's lanes, by the index that their connections hold.
#[derive(Default)]
pub(crate) struct Lanes {
    entries: Vec<Option<Entry>>,
    /// How many are being closed.
    closing: usize,
}

struct Entry {
    queue: Arc<Queue>,
    /// Not here while it is being called.
    lane: Option<Box<dyn OpaqueLane>>,
    signal: Arc<LaneSignal>,
    /// Its connections that have been opened and not closed.
    connections: usize,
    /// It has been told to stop.
    stops: bool,
    closing: Option<Closing>,
}

/// A lane whose queue is closed.
struct Closing {
    /// By when its connections must have ended.
    deadline: Instant,
    /// Dropped with the lane, which whoever closes the queue waits for.
    _done: Sender<()>,
}

impl Lanes {
    /// The lane of a queue.
    pub(crate) fn find(&self, queue: &Arc<Queue>) -> Option<u32> {
        let is_its = |entry: &Option<Entry>| {
            let entry = entry.as_ref();
            entry.is_some_and(|entry| Arc::ptr_eq(&entry.queue, queue))
        };
        self.entries.iter().position(is_its).map(to_index)
    }

    /// Has the queue's application open its lane on this thread. `None` if it panics.
    pub(crate) fn open(&mut self, queue: &Arc<Queue>, mailbox: &Arc<Mailbox>) -> Option<u32> {
        let signal = Arc::new(LaneSignal {
            woken: AtomicBool::new(false),
            mailbox: Arc::clone(mailbox),
        });
        let host = LaneHost {
            waker: LaneWaker::new(Arc::clone(&signal) as Arc<dyn WakeLane>),
            threads: HandlerThreads::new(Arc::new(Jobs::of(queue))),
            may_call_inline: queue.mode() == OperatingMode::HighPerf,
        };
        let opened = catch_unwind(AssertUnwindSafe(|| queue.application().open_lane(host)));
        let Ok(lane) = opened else {
            tracing::error!("an application panicked while it opened a lane");
            return None;
        };
        let entry = Entry {
            queue: Arc::clone(queue),
            lane: Some(lane),
            signal,
            connections: 0,
            stops: false,
            closing: None,
        };
        let free = self.entries.iter().position(Option::is_none);
        let index = free.unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() - 1
        });
        self.entries[index] = Some(entry);
        Some(to_index(index))
    }

    /// The indexes that lanes may have.
    pub(crate) fn indexes(&self) -> Range<u32> {
        0..to_index(self.entries.len())
    }

    /// Takes a lane out, to be called.
    #[inline]
    pub(crate) fn take(&mut self, index: u32) -> Option<Box<dyn OpaqueLane>> {
        self.entry(index)?.lane.take()
    }

    /// Puts a lane back that was called.
    #[inline]
    pub(crate) fn put(&mut self, index: u32, lane: Option<Box<dyn OpaqueLane>>) {
        if let Some(entry) = self.entry(index) {
            entry.lane = lane;
        }
    }

    /// A connection is about to be opened.
    pub(crate) fn count_opened(&mut self, index: u32) {
        if let Some(entry) = self.entry(index) {
            entry.connections += 1;
        }
    }

    /// Tells a lane that one of its connections is no more.
    pub(crate) fn closed(&mut self, index: u32, key: OpaqueKey, end: OpaqueEnd) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        entry.connections -= 1;
        let Some(lane) = &mut entry.lane else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| lane.closed(key, end))).is_err() {
            tracing::error!("a lane panicked while it was told of a connection's end");
        }
    }

    /// Whether a lane was woken since this was asked last.
    pub(crate) fn take_woken(&mut self, index: u32) -> bool {
        // Acquire: what was left for the lane before is visible to it.
        let is_woken = |entry: &mut Entry| entry.signal.woken.swap(false, Ordering::Acquire);
        self.entry(index).is_some_and(is_woken)
    }

    /// Whether a lane is to be told to stop, which it is once.
    pub(crate) fn begin_stop(&mut self, index: u32) -> bool {
        self.entry(index)
            .is_some_and(|entry| !std::mem::replace(&mut entry.stops, true))
    }

    /// Its queue is closed: what is left of its connections ends at `deadline`.
    pub(crate) fn begin_close(&mut self, index: u32, deadline: Instant, done: Sender<()>) {
        if let Some(entry) = self.entry(index) {
            let closing = Closing {
                deadline,
                _done: done,
            };
            if entry.closing.replace(closing).is_none() {
                self.closing += 1;
            }
        }
    }

    #[inline]
    pub(crate) fn any_closing(&self) -> bool {
        self.closing > 0
    }

    /// By when the first lane that is being closed must have ended.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let closing = |entry: &Option<Entry>| Some(entry.as_ref()?.closing.as_ref()?.deadline);
        self.entries.iter().filter_map(closing).min()
    }

    /// Drops lanes that are closed and have no connections left. Gives back those whose time is over.
    pub(crate) fn sweep(&mut self, now: Instant) -> Vec<u32> {
        let mut overdue = Vec::new();
        for (index, place) in self.entries.iter_mut().enumerate() {
            let Some(entry) = place else {
                continue;
            };
            let Some(closing) = &entry.closing else {
                continue;
            };
            if entry.connections == 0 {
                self.closing -= 1;
                let entry = place.take();
                if catch_unwind(AssertUnwindSafe(|| drop(entry))).is_err() {
                    tracing::error!("a lane panicked while it was dropped");
                }
            } else if now >= closing.deadline {
                overdue.push(to_index(index));
            }
        }
        overdue
    }

    #[inline]
    fn entry(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)?.as_mut()
    }
}

fn to_index(index: usize) -> u32 {
    u32::try_from(index).expect("a process has fewer request queues")
}

/// Wakes a lane; several times before it looks count once.
struct LaneSignal {
    woken: AtomicBool,
    mailbox: Arc<Mailbox>,
}

impl WakeLane for LaneSignal {
    fn wake(&self) {
        // AcqRel: what was left for the lane before is visible to it, also when another has woken it.
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.mailbox.wake_lanes();
        }
    }
}
