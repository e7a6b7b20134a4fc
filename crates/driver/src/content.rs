//! A request's content on its way from the worker that receives it to whoever reads it.
//!
//! Bounded by the worker: when the reader has more than a window before it, the worker stops receiving
//! and goes on when the reader has made room. Each stop costs system calls and changes of thread, so the
//! window of a reader that keeps up grows.

mod memory;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidegate_httpapi::{BodyError, ReceiveBody, Trailers};

pub(crate) use self::memory::PieceMemory;
use crate::mailbox::{Mailbox, Message, RequestKey};

/// What the worker does after it has put content in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pushed {
    /// Goes on receiving.
    Room,
    /// Stops until the reader asks for more.
    Full,
    /// Drops what still comes.
    NobodyReads,
}

/// The place where worker and reader meet.
pub(crate) struct ContentChannel {
    /// Held only to put in or take out a piece.
    state: Mutex<State>,
    mailbox: Arc<Mailbox>,
    memory: Arc<PieceMemory>,
    request: RequestKey,
}

/// How many bytes may lie before a reader.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// At first, and for a reader that is slower than the peer.
    usual: usize,
    /// For one that is not.
    widest: usize,
    present: usize,
    /// The reader has waited for the peer since the window was full last.
    ran_dry: bool,
}

impl Window {
    pub(crate) fn new(usual: usize, widest: usize) -> Self {
        Self {
            usual,
            widest,
            present: usual,
            ran_dry: false,
        }
    }

    /// Whether so much is enough for now. When it would be, the window is fitted to the reader first.
    fn is_filled_by(&mut self, buffered: usize) -> bool {
        if buffered < self.present {
            return false;
        }
        self.present = if std::mem::take(&mut self.ran_dry) {
            self.present.saturating_mul(2).min(self.widest)
        } else {
            self.usual
        };
        buffered >= self.present
    }

    /// Half a window of room is worth a wake-up of the worker; less would be one for each piece.
    fn has_room_beside(&self, buffered: usize) -> bool {
        buffered <= self.present / 2
    }
}

struct State {
    chunks: VecDeque<Bytes>,
    buffered: usize,
    window: Window,
    end: Option<Result<Trailers, BodyError>>,
    waker: Option<Waker>,
    /// The reader's next call asks the worker for more: nothing was read yet, or it was full.
    wanting: bool,
    reader_gone: bool,
}

impl ContentChannel {
    pub(crate) fn new(
        mailbox: Arc<Mailbox>,
        memory: Arc<PieceMemory>,
        request: RequestKey,
        window: Window,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                chunks: VecDeque::new(),
                buffered: 0,
                window,
                end: None,
                waker: None,
                wanting: true,
                reader_gone: false,
            }),
            mailbox,
            memory,
            request,
        })
    }

    /// Puts in a piece of content. `wakers` gets who is to be woken: when the turn ends, since more may
    /// come in it, and a reader on another thread that is woken for each piece costs more than the piece.
    pub(crate) fn push(&self, bytes: &[u8], wakers: &mut Vec<Waker>) -> Pushed {
        let mut state = self.lock();
        if state.reader_gone {
            return Pushed::NobodyReads;
        }
        if !bytes.is_empty() {
            state.chunks.push_back(self.memory.copy(bytes));
            state.buffered += bytes.len();
        }
        let State {
            window, buffered, ..
        } = &mut *state;
        let pushed = if window.is_filled_by(*buffered) {
            state.wanting = true;
            Pushed::Full
        } else {
            Pushed::Room
        };
        wakers.extend(state.waker.take());
        pushed
    }

    /// Says that no more comes: the content is whole, or broken. Only the first call counts.
    pub(crate) fn end(&self, end: Result<Trailers, BodyError>) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader's end.
pub(crate) struct ContentReader(pub(crate) Arc<ContentChannel>);

impl ReceiveBody for ContentReader {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let channel = &*self.0;
        let mut state = channel.lock();
        let taken = state.chunks.pop_front();
        if let Some(chunk) = &taken {
            state.buffered -= chunk.len();
        }
        let wants =
            state.wanting && state.end.is_none() && state.window.has_room_beside(state.buffered);
        if wants {
            state.wanting = false;
        }
        let polled = match (taken, &state.end) {
            (Some(chunk), _) => Poll::Ready(Ok(Some(chunk))),
            (None, Some(Ok(_))) => Poll::Ready(Ok(None)),
            (None, Some(Err(error))) => Poll::Ready(Err(*error)),
            (None, None) => {
                state.window.ran_dry = true;
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        };
        drop(state);
        if wants {
            channel
                .mailbox
                .post(Message::ContentWanted(channel.request));
        }
        polled
    }

    fn trailers(&mut self) -> Trailers {
        match &self.0.lock().end {
            Some(Ok(trailers)) => trailers.clone(),
            _ => Trailers::default(),
        }
    }
}

impl Drop for ContentReader {
    fn drop(&mut self) {
        let channel = &*self.0;
        let mut state = channel.lock();
        state.reader_gone = true;
        state.chunks.clear();
        let unfinished = state.end.is_none();
        drop(state);
        if unfinished {
            channel
                .mailbox
                .post(Message::ContentUnwanted(channel.request));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn grows_for_a_reader_that_keeps_up() {
        let mut window = Window::new(100, 400);
        assert!(!window.is_filled_by(99));
        window.ran_dry = true;
        assert!(!window.is_filled_by(100), "the reader was waiting");
        assert!(window.is_filled_by(200), "it has not come back since");
        assert!(window.is_filled_by(100), "and has lost what it had gained");
    }

    #[test]
    fn grows_no_further_than_allowed() {
        let mut window = Window::new(100, 400);
        for buffered in [100, 200, 400, 800] {
            window.ran_dry = true;
            window.is_filled_by(buffered);
        }
        assert!(!window.is_filled_by(399));
        window.ran_dry = true;
        assert!(window.is_filled_by(400));
    }

    #[test]
    fn is_as_usual_again_for_a_reader_that_falls_behind() {
        let mut window = Window::new(100, 400);
        window.ran_dry = true;
        assert!(!window.is_filled_by(100));
        assert!(window.is_filled_by(200));
        assert!(!window.has_room_beside(51));
        assert!(window.has_room_beside(50));
        assert!(window.is_filled_by(100));
    }
}
