//! Connections to other servers, which applications use and workers look after.
//!
//! A worker owns the socket, as it does those of clients. Its user has a [`Handle`]; between the two is an
//! [`Outgoing`]: bytes that have arrived, and bytes to be sent. Both are bounded by a window.
//! What the worker does with it is in `worker::outgoing`.

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tidegate_httpapi::OutgoingConnection;
use tidegate_os::{ConnectionKey, SystemError};

use crate::mailbox::{Mailbox, Message};

/// One connection, as both sides see it.
#[derive(Default)]
pub(crate) struct Outgoing {
    /// Held only to put in or take out something.
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Until the worker has it.
    pub(crate) socket: Option<TcpStream>,
    /// Its name at the worker.
    pub(crate) key: Option<ConnectionKey>,
    /// Received; what is before `taken` has been read.
    received: Vec<u8>,
    taken: usize,
    /// Nothing more will be received: that was all, or receiving failed.
    end: Option<Result<(), io::ErrorKind>>,
    /// To be sent next.
    pub(crate) output: Vec<u8>,
    /// The worker's loop has a buffer of it.
    pub(crate) is_sending: bool,
    /// Nothing more can be sent.
    is_broken: bool,
    /// Our side is to end behind what is to be sent.
    pub(crate) ends: bool,
    pub(crate) has_ended: bool,
    /// The worker has stopped receiving.
    pub(crate) is_paused: bool,
    /// Its user has dropped it.
    pub(crate) is_dropped: bool,
    /// The worker has been asked to look at it and has not done so.
    is_posted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Outgoing {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker begins to look at it: what is changed from now on it is told of anew.
    pub(crate) fn look(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.is_posted = false;
        state
    }

    /// Bytes have arrived. True: receiving is to stop until they have been read.
    pub(crate) fn received(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        let taken = std::mem::take(&mut state.taken);
        state.received.drain(..taken);
        state.received.extend_from_slice(bytes);
        let pauses = state.received.len() >= WINDOW && !state.is_paused;
        state.is_paused |= pauses;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        pauses
    }

    /// Nothing more arrives.
    pub(crate) fn ended(&self) {
        let mut state = self.lock();
        state.end.get_or_insert(Ok(()));
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// The connection is broken.
    pub(crate) fn failed(&self, kind: io::ErrorKind) {
        let mut state = self.lock();
        state.end.get_or_insert(Err(kind));
        state.is_broken = true;
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
    }

    /// A send has ended, and `memory` may be used again.
    pub(crate) fn sent(&self, mut memory: Vec<u8>, result: Result<(), SystemError>) {
        let mut state = self.lock();
        state.is_sending = false;
        // What it has said before may still be read.
        state.is_broken |= result.is_err();
        if state.output.capacity() == 0 && memory.capacity() <= KEPT_MAX {
            memory.clear();
            state.output = memory;
        }
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }
}

impl State {
    /// Whether so much has been read that the worker may receive again.
    pub(crate) fn has_room(&self) -> bool {
        self.received.len() - self.taken <= WINDOW / 2
    }

    /// What is to be sent, if it can be sent now.
    pub(crate) fn take_output(&mut self) -> Option<Vec<u8>> {
        if self.is_sending || self.is_broken || self.output.is_empty() {
            return None;
        }
        self.is_sending = true;
        Some(std::mem::take(&mut self.output))
    }

    /// Whether the loop has got all that there was to send.
    pub(crate) fn is_all_sent(&self) -> bool {
        !self.is_sending && self.output.is_empty()
    }

    /// Whether the worker is to be told.
    fn begin_post(&mut self) -> bool {
        !std::mem::replace(&mut self.is_posted, true)
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What its user has of a connection.
pub(crate) struct Handle {
    outgoing: Arc<Outgoing>,
    mailbox: Arc<Mailbox>,
}

impl Handle {
    /// Has the mailbox's worker look after a connection.
    pub(crate) fn new(mailbox: Arc<Mailbox>, socket: TcpStream) -> Self {
        let outgoing = Arc::new(Outgoing::default());
        let mut state = outgoing.lock();
        state.socket = Some(socket);
        state.is_posted = true;
        drop(state);
        let handle = Self { outgoing, mailbox };
        handle.post();
        handle
    }

    fn post(&self) {
        let outgoing = Arc::clone(&self.outgoing);
        self.mailbox.post(Message::LookAfter(outgoing));
    }

    fn post_if(&self, is_due: bool) {
        if is_due {
            self.post();
        }
    }
}

impl OutgoingConnection for Handle {
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.outgoing.lock();
        if !state.received.is_empty() {
            let left = &state.received[state.taken..];
            let taken = take(left).min(left.len());
            state.taken += taken;
            if state.taken == state.received.len() {
                state.taken = 0;
                state.received.clear();
                if state.received.capacity() > KEPT_MAX {
                    state.received = Vec::new();
                }
            }
            let is_due = state.is_paused && state.has_room() && state.begin_post();
            drop(state);
            self.post_if(is_due);
            return Poll::Ready(Ok(taken));
        }
        match state.end {
            Some(end) => Poll::Ready(end.map(|()| 0).map_err(io::Error::from)),
            None => {
                keep(&mut state.reader, context);
                Poll::Pending
            }
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.outgoing.lock();
        if state.is_broken || state.ends {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = WINDOW.saturating_sub(state.output.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            keep(&mut state.writer, context);
            return Poll::Pending;
        }
        state.output.extend_from_slice(&bytes[..room]);
        let is_due = !state.is_sending && state.begin_post();
        drop(state);
        self.post_if(is_due);
        Poll::Ready(Ok(room))
    }

    fn end(&mut self) {
        let mut state = self.outgoing.lock();
        state.ends = true;
        let is_due = state.begin_post();
        drop(state);
        self.post_if(is_due);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.outgoing.lock();
        state.is_dropped = true;
        let wakers = (state.reader.take(), state.writer.take());
        let is_due = state.begin_post();
        drop(state);
        // They may hold the last handle to something that looks here again.
        drop(wakers);
        self.post_if(is_due);
    }
}

/// Keeps who is to be woken, without a new one where it is the same.
fn keep(place: &mut Option<Waker>, context: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(context.waker()),
        None => *place = Some(context.waker().clone()),
    }
}

/// Bytes held on each side. As much as the driver has in memory for a client that is reading, by default.
const WINDOW: usize = 64 * 1024;

/// Memory that a connection keeps while it has nothing to do.
const KEPT_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use tidegate_httpapi::HomeThread;
    use tidegate_os::{EventLoop, LoopSettings, Operations, PollLoop};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn mailbox() -> Arc<Mailbox> {
        let mut event_loop = PollLoop::new(&LoopSettings::default()).unwrap();
        Arc::new(Mailbox::new(event_loop.operations().waker()))
    }

    fn socket() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    }

    fn posted(mailbox: &Mailbox) -> usize {
        let mut messages = Vec::new();
        mailbox.take(&mut messages);
        let looked = |message: &Message| match message {
            Message::LookAfter(outgoing) => outgoing.look().output.len() < usize::MAX,
            _ => false,
        };
        messages.iter().filter(|message| looked(message)).count()
    }

    #[test]
    fn a_window_of_bytes_is_taken_and_the_rest_waits() {
        let mailbox = mailbox();
        let mut handle = Handle::new(Arc::clone(&mailbox), socket());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let bytes = vec![b'x'; WINDOW + 1];
        let Poll::Ready(Ok(count)) = handle.poll_write(&mut context, &bytes) else {
            panic!("there is room");
        };
        assert_eq!(count, WINDOW);
        assert!(handle.poll_write(&mut context, b"x").is_pending());
        assert_eq!(posted(&mailbox), 1, "the worker is told once");
        let outgoing = Arc::clone(&handle.outgoing);
        let output = outgoing.look().take_output().unwrap();
        assert_eq!(output.len(), WINDOW);
        outgoing.sent(output, Ok(()));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(handle.poll_write(&mut context, b"x").is_ready());
        outgoing.failed(io::ErrorKind::ConnectionReset);
        let Poll::Ready(Err(error)) = handle.poll_write(&mut context, b"x") else {
            panic!("it is broken");
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn receiving_stops_at_a_window_and_goes_on_when_half_of_it_is_read() {
        let mailbox = mailbox();
        let mut handle = Handle::new(Arc::clone(&mailbox), socket());
        let outgoing = Arc::clone(&handle.outgoing);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(posted(&mailbox), 1);
        assert!(!outgoing.received(&vec![b'x'; WINDOW - 1]));
        assert!(outgoing.received(b"xx"));
        assert!(!outgoing.received(b"x"), "it has been stopped already");
        outgoing.ended();
        let mut read = |count: usize| {
            let mut take = |bytes: &[u8]| bytes.len().min(count);
            match handle.poll_read(&mut context, &mut take) {
                Poll::Ready(Ok(count)) => count,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read(WINDOW / 2 + 1), WINDOW / 2 + 1);
        assert_eq!(posted(&mailbox), 0, "more than half is left");
        assert_eq!(read(1), 1);
        assert_eq!(posted(&mailbox), 1);
        assert_eq!(read(usize::MAX), WINDOW / 2);
        assert_eq!(
            read(usize::MAX),
            0,
            "the end comes behind what was received"
        );
    }

    #[test]
    fn a_worker_that_has_ended_looks_after_nothing() {
        let mailbox = mailbox();
        let mut before = Handle::new(Arc::clone(&mailbox), socket());
        mailbox.close();
        let mut after = Handle::new(Arc::clone(&mailbox), socket());
        let mut context = Context::from_waker(Waker::noop());
        for handle in [&mut before, &mut after] {
            let Poll::Ready(Err(error)) = handle.poll_read(&mut context, &mut |_| 0) else {
                panic!("nobody receives");
            };
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        }
    }

    #[test]
    fn work_left_to_a_worker_that_has_ended_is_dropped() {
        let mailbox = mailbox();
        let held = Arc::new(());
        let work = |held: Arc<()>| {
            Box::pin(async move {
                std::future::pending::<()>().await;
                drop(held);
            })
        };
        let home = HomeThread::new(Arc::clone(&mailbox) as Arc<dyn tidegate_httpapi::WorkAtHome>);
        home.run(work(Arc::clone(&held)));
        assert_eq!(Arc::strong_count(&held), 2);
        mailbox.close();
        home.run(work(Arc::clone(&held)));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
