//! A request away from its worker: waiting for the application, or with it.
//!
//! Whatever is done with it goes to the worker's mailbox; the worker alone writes to the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidegate_httpapi::{
    Body, BodyReader, Deferred, ExchangeBackend, FieldBlock, HomeThread, Opening, OwnedRequestHead,
    PeerAddress, RespondLater, Responder, ResponseHead, StreamReset, TlsInfo, WorkAtHome,
};

use crate::cache::OwnedOrigin;
use crate::content::ContentReader;
use crate::mailbox::{Mailbox, Message, RequestKey};
use crate::queue::{Queue, Slot};

/// The two ends of a connection and what secures it, for requests away from its worker.
pub(crate) struct Ends {
    pub(crate) peer: PeerAddress,
    pub(crate) local: PeerAddress,
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// Tells whoever works on a request that its connection has ended.
#[derive(Default)]
pub(crate) struct Closed {
    closed: AtomicBool,
    /// Held only to put in or take out the waker.
    waker: Mutex<Option<Waker>>,
}

impl Closed {
    /// Called by the worker when the connection ends.
    pub(crate) fn set(&self) {
        // Release: pairs with the Acquire in `poll`, which looks again after leaving its waker.
        self.closed.store(true, Ordering::Release);
        let waker = self
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if !self.closed.load(Ordering::Acquire) {
            *self.waker.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(context.waker().clone());
            if !self.closed.load(Ordering::Acquire) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// The duty to answer one request through its worker's mailbox. Dropped unanswered, it abandons it.
pub(crate) struct Pending {
    mailbox: Arc<Mailbox>,
    request: RequestKey,
    closed: Arc<Closed>,
    answered: bool,
    /// Room that the request takes with the application; given back with the answer.
    slot: Option<Slot>,
    /// What is needed to store the answer; `None` where none to such a request is stored.
    origin: Option<OwnedOrigin>,
}

impl Pending {
    pub(crate) fn new(
        mailbox: Arc<Mailbox>,
        request: RequestKey,
        closed: Arc<Closed>,
        slot: Option<Slot>,
    ) -> Self {
        Self {
            mailbox,
            request,
            closed,
            answered: false,
            slot,
            origin: None,
        }
    }

    /// Says what the answer may be stored by.
    pub(crate) fn set_origin(&mut self, origin: Option<OwnedOrigin>) {
        self.origin = origin;
    }

    fn respond_with(&mut self, head: ResponseHead, body: Body) {
        self.answered = true;
        let asks_to_be_kept = !head.cache.is_none();
        let message = match self.origin.take().filter(|_| asks_to_be_kept) {
            Some(origin) => Message::RespondAndKeep(Box::new(origin), self.request, head, body),
            None => Message::Respond(self.request, head, body),
        };
        self.mailbox.post(message);
    }

    fn upgrade_with(&mut self, head: ResponseHead, opening: Opening) {
        self.answered = true;
        self.mailbox
            .post(Message::Upgrade(self.request, head, opening));
    }

    fn reset_with(&mut self, reset: StreamReset) {
        self.answered = true;
        self.mailbox.post(Message::Reset(self.request, reset));
    }

    /// Gives up the duty without saying anything to the worker, which already knows.
    fn forget(&mut self) {
        self.answered = true;
    }
}

impl RespondLater for Pending {
    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.mailbox
            .post(Message::Inform(self.request, status, fields.clone()));
    }

    fn respond(mut self: Box<Self>, head: ResponseHead, body: Body) {
        self.respond_with(head, body);
    }

    fn upgrade(mut self: Box<Self>, head: ResponseHead, opening: Opening) {
        self.upgrade_with(head, opening);
    }

    fn reset(mut self: Box<Self>, reset: StreamReset) {
        self.reset_with(reset);
    }

    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.closed.poll(context)
    }

    fn home(&self) -> Option<HomeThread> {
        Some(HomeThread::new(
            Arc::clone(&self.mailbox) as Arc<dyn WorkAtHome>
        ))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.mailbox.post(Message::Abandon(self.request));
        }
    }
}

/// The content of a request away from its worker.
pub(crate) enum OwnedContent {
    /// All of it, or there is none.
    Whole(Bytes),
    /// It arrives through the worker.
    Arriving(ContentReader),
    /// It was taken out.
    Taken,
}

impl OwnedContent {
    pub(crate) fn take(&mut self) -> BodyReader {
        match std::mem::replace(self, Self::Taken) {
            Self::Whole(bytes) => BodyReader::whole(bytes),
            Self::Arriving(reader) => BodyReader::new(Box::new(reader)),
            Self::Taken => BodyReader::empty(),
        }
    }
}

/// A request that waits in the queue or is served by a handler thread.
pub(crate) struct OwnedExchange {
    head: OwnedRequestHead,
    content: OwnedContent,
    ends: Arc<Ends>,
    queue: Arc<Queue>,
    pending: Option<Pending>,
    may_block: bool,
    was_moved: bool,
}

impl OwnedExchange {
    pub(crate) fn new(
        head: OwnedRequestHead,
        content: OwnedContent,
        ends: Arc<Ends>,
        queue: Arc<Queue>,
        pending: Pending,
    ) -> Self {
        Self {
            head,
            content,
            ends,
            queue,
            pending: Some(pending),
            may_block: false,
            was_moved: false,
        }
    }

    /// Says that the application has had it before.
    pub(crate) fn set_moved(&mut self) {
        self.was_moved = true;
    }

    /// Says that the thread it is served on may be blocked.
    pub(crate) fn allow_blocking(&mut self) {
        self.may_block = true;
    }

    /// Has its worker call the application, for which there is room now.
    pub(crate) fn dispatch(mut self: Box<Self>, slot: Slot) {
        if let Some(pending) = &mut self.pending {
            pending.slot = Some(slot);
            let mailbox = Arc::clone(&pending.mailbox);
            mailbox.post(Message::Dispatch(self));
        }
    }

    /// The head, and the whole content if that is here, apart from the rest.
    pub(crate) fn at_hand(&self) -> (OwnedRequestHead, Option<Bytes>) {
        let content = match &self.content {
            OwnedContent::Whole(bytes) => Some(bytes.clone()),
            OwnedContent::Arriving(_) | OwnedContent::Taken => None,
        };
        (self.head.clone(), content)
    }

    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    pub(crate) fn request(&self) -> Option<RequestKey> {
        self.pending.as_ref().map(|pending| pending.request)
    }

    /// To be dropped after it: ends it for a request that the worker itself has ended or refuses.
    pub(crate) fn discard(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.forget();
        }
    }

    /// To be dropped after it: has the worker refuse it.
    pub(crate) fn refuse(&mut self, cause: tidegate_engine::Unavailable) {
        if let Some(pending) = &mut self.pending {
            pending
                .mailbox
                .post(Message::Refuse(pending.request, cause));
            pending.forget();
        }
    }

    /// Takes all out of an exchange that ends by being deferred or moved.
    fn take(&mut self) -> Option<Box<Self>> {
        Some(Box::new(Self {
            head: self.head.clone(),
            content: std::mem::replace(&mut self.content, OwnedContent::Taken),
            ends: Arc::clone(&self.ends),
            queue: Arc::clone(&self.queue),
            pending: Some(self.pending.take()?),
            may_block: true,
            was_moved: self.was_moved,
        }))
    }
}

impl ExchangeBackend for OwnedExchange {
    fn may_block(&self) -> bool {
        self.may_block
    }

    fn was_moved(&self) -> bool {
        self.was_moved
    }

    fn take_body(&mut self) -> BodyReader {
        self.content.take()
    }

    fn peer(&self) -> PeerAddress {
        self.ends.peer.clone()
    }

    fn local(&self) -> PeerAddress {
        self.ends.local.clone()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.ends.tls.clone()
    }

    fn spare_memory(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        if let Some(pending) = &mut self.pending {
            pending.inform(status, fields);
        }
    }

    fn respond(&mut self, head: ResponseHead, body: Body) {
        if let Some(mut pending) = self.pending.take() {
            pending.respond_with(head, body);
        }
    }

    fn upgrade(&mut self, head: ResponseHead, opening: Opening) {
        if let Some(mut pending) = self.pending.take() {
            pending.upgrade_with(head, opening);
        }
    }

    fn reset(&mut self, reset: StreamReset) {
        if let Some(mut pending) = self.pending.take() {
            pending.reset_with(reset);
        }
    }

    fn abandon(&mut self) {
        self.pending = None;
    }

    fn defer(&mut self) -> Deferred {
        let pending = self.pending.take();
        Deferred {
            head: self.head.clone(),
            body: self.content.take(),
            peer: self.ends.peer.clone(),
            local: self.ends.local.clone(),
            tls: self.ends.tls.clone(),
            auth: None,
            responder: Responder::new(match pending {
                Some(pending) => Box::new(pending),
                None => Box::new(Ended),
            }),
        }
    }

    fn move_to_handler_thread(&mut self) {
        if let Some(moved) = self.take() {
            let queue = Arc::clone(&self.queue);
            queue.move_to_handler_thread(moved);
        }
    }
}

/// A responder for a request that has been answered already.
struct Ended;

impl RespondLater for Ended {
    fn inform(&mut self, _: u16, _: &FieldBlock) {}

    fn respond(self: Box<Self>, _: ResponseHead, _: Body) {}

    fn upgrade(self: Box<Self>, _: ResponseHead, _: Opening) {}

    fn reset(self: Box<Self>, _: StreamReset) {}

    fn poll_closed(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
