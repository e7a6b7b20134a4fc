//! Events on their way to a client: what the lane's thread has written and the driver has yet to take.
//!
//! How much that is, is bounded by the lane, which writes no more when much is unsent. Bytes are counted as the
//! lane counts them, in frames.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidegate_httpapi::{BodySource, OpaqueKey};

use super::inbox::{Inbox, Item};

/// One connection's events.
#[derive(Default)]
pub(super) struct EventQueue {
    /// Held for a moment by either side.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// With how many bytes the lane has counted for it.
    pieces: VecDeque<(Bytes, usize)>,
    unsent: usize,
    taken: u64,
    end: Option<End>,
    waker: Option<Waker>,
    /// The lane is to be told when nothing is left.
    tells: bool,
}

#[derive(Clone, Copy)]
enum End {
    /// Behind what is there.
    Finished,
    /// At once, and as broken off.
    Aborted,
}

impl EventQueue {
    /// Lays a piece in, for which the lane has counted so many bytes.
    pub(super) fn push(&self, piece: Bytes, counted: usize) {
        let mut state = self.lock();
        if state.end.is_some() {
            return;
        }
        state.unsent += counted;
        state.pieces.push_back((piece, counted));
        wake(state);
    }

    /// Counts bytes that lead to nothing yet.
    pub(super) fn count(&self, bytes: usize) {
        self.lock().taken += bytes as u64;
    }

    pub(super) fn unsent(&self) -> usize {
        self.lock().unsent
    }

    pub(super) fn taken(&self) -> u64 {
        self.lock().taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().pieces.is_empty()
    }

    /// Whether nothing is left; else the lane's thread is told when that is so.
    pub(super) fn is_empty_or_tells(&self) -> bool {
        let mut state = self.lock();
        let is_empty = state.pieces.is_empty();
        state.tells = !is_empty;
        is_empty
    }

    /// What is there is the last.
    pub(super) fn finish(&self) {
        self.end(End::Finished);
    }

    /// What is there is not sent any more.
    pub(super) fn abort(&self) {
        self.end(End::Aborted);
    }

    fn end(&self, end: End) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
            if let End::Aborted = end {
                state.pieces.clear();
            }
            wake(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not under the lock: the driver may look at once.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The stream as the driver takes it. Its end is the connection's.
pub(super) struct EventContent {
    pub(super) key: OpaqueKey,
    pub(super) queue: Arc<EventQueue>,
    pub(super) inbox: Arc<Inbox>,
}

impl BodySource for EventContent {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut state = self.queue.lock();
        if let Some((mut piece, mut counted)) = state.pieces.pop_front() {
            if piece.len() > PIECE_BYTES_MAX {
                // A part counts as its share, so that a peer that takes a long event slowly is seen to take it.
                let share = counted as u64 * PIECE_BYTES_MAX as u64 / piece.len() as u64;
                let part = piece.split_to(PIECE_BYTES_MAX);
                let rest = counted - share as usize;
                state.pieces.push_front((piece, rest));
                (piece, counted) = (part, share as usize);
            }
            state.unsent -= counted;
            state.taken += counted as u64;
            let tells = state.pieces.is_empty() && std::mem::take(&mut state.tells);
            drop(state);
            if tells {
                // One that takes nothing any more needs no word.
                let _ = self.inbox.push(Item::Taken(self.key));
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        match state.end {
            Some(End::Finished) => Poll::Ready(None),
            Some(End::Aborted) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn ends_with_peer(&self) -> bool {
        true
    }
}

impl Drop for EventContent {
    fn drop(&mut self) {
        let _ = self.inbox.push(Item::Gone(self.key));
    }
}

/// What the driver is given at a time.
const PIECE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: OpaqueKey = OpaqueKey {
        index: 1,
        generation: 2,
    };

    fn content() -> (Arc<EventQueue>, Arc<Inbox>, EventContent) {
        let (queue, inbox) = (Arc::new(EventQueue::default()), Arc::new(Inbox::default()));
        let content = EventContent {
            key: KEY,
            queue: Arc::clone(&queue),
            inbox: Arc::clone(&inbox),
        };
        (queue, inbox, content)
    }

    fn next(content: &mut EventContent) -> Poll<Option<Result<Bytes, io::ErrorKind>>> {
        let polled = content.poll_chunk(&mut Context::from_waker(Waker::noop()));
        polled.map(|piece| piece.map(|piece| piece.map_err(|error| error.kind())))
    }

    fn keys(inbox: &Inbox) -> Vec<&'static str> {
        let mut items = Vec::new();
        inbox.take(&mut items);
        let names = items.iter().map(|item| match item {
            Item::Taken(KEY) => "taken",
            Item::Gone(KEY) => "gone",
            _ => "other",
        });
        names.collect()
    }

    #[test]
    fn what_is_taken_is_counted_and_told() {
        let (queue, inbox, mut content) = content();
        assert!(next(&mut content).is_pending());
        queue.push(Bytes::from_static(b"event one"), 3);
        queue.push(Bytes::from_static(b"event two"), 4);
        assert_eq!((queue.unsent(), queue.taken()), (7, 0));
        assert!(!queue.is_empty_or_tells());
        assert_eq!(
            next(&mut content),
            Poll::Ready(Some(Ok(Bytes::from_static(b"event one"))))
        );
        assert_eq!((queue.unsent(), queue.taken()), (4, 3));
        assert!(keys(&inbox).is_empty());
        assert!(next(&mut content).is_ready());
        assert_eq!(keys(&inbox), ["taken"]);
        assert!(queue.is_empty_or_tells());
        queue.count(5);
        assert_eq!((queue.unsent(), queue.taken()), (0, 12));
        drop(content);
        assert_eq!(keys(&inbox), ["gone"]);
    }

    #[test]
    fn a_long_event_is_taken_in_parts() {
        let (queue, _, mut content) = content();
        let event: Bytes = (0..150_000)
            .map(|index| index as u8)
            .collect::<Vec<_>>()
            .into();
        queue.push(event.clone(), 120_001);
        let (mut taken, mut counts) = (Vec::new(), Vec::new());
        while let Poll::Ready(Some(Ok(part))) = next(&mut content) {
            taken.extend_from_slice(&part);
            counts.push((queue.taken(), queue.unsent()));
        }
        assert!(taken == event);
        assert_eq!(counts, [(52_429, 67_572), (104_858, 15_143), (120_001, 0)]);
    }

    #[test]
    fn one_that_is_finished_ends_behind_what_is_there() {
        let (queue, _, mut content) = content();
        queue.push(Bytes::from_static(b"last"), 1);
        queue.finish();
        queue.push(Bytes::from_static(b"late"), 1);
        assert!(matches!(next(&mut content), Poll::Ready(Some(Ok(_)))));
        assert_eq!(next(&mut content), Poll::Ready(None));
    }

    #[test]
    fn one_that_is_aborted_fails_at_once() {
        let (queue, _, mut content) = content();
        queue.push(Bytes::from_static(b"never"), 1);
        queue.abort();
        queue.finish();
        let failed = Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted)));
        assert_eq!(next(&mut content), failed);
    }
}
