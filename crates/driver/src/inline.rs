//! A request answered on the worker that read it: the fast path.
//!
//! Nothing here allocates or locks as long as the application answers at once.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_httpapi::{
    Body, BodyReader, Deferred, ExchangeBackend, FieldBlock, Opening, OwnedRequestHead,
    PeerAddress, RequestHead, Responder, ResponseHead, StreamReset, TlsInfo,
};
use tidegate_os::Operations;

use crate::cache::Began;
use crate::connection::{Connection, Respond};
use crate::content::ContentReader;
use crate::core::Core;
use crate::pending::{Closed, OwnedContent, OwnedExchange, Pending};
use crate::queue::{Queue, Slot};

/// One request and the connection it came on, borrowed from the worker.
pub(crate) struct InlineExchange<'a, O> {
    pub(crate) core: &'a mut Core,
    pub(crate) operations: &'a mut O,
    pub(crate) conn: &'a mut Connection,
    pub(crate) head: &'a RequestHead<'a>,
    pub(crate) content: InlineContent<'a>,
    pub(crate) queue: &'a Arc<Queue>,
    /// Room with the application, when it was taken beforehand.
    pub(crate) slot: Option<Slot>,
    /// How the response cache was when the request was read.
    pub(crate) began: Began,
    /// What the application has answered, if it was 101.
    pub(crate) upgrade: Option<(ResponseHead, Opening)>,
    /// The application has given the request up.
    pub(crate) reset: bool,
}

/// The content of a request on the fast path.
pub(crate) enum InlineContent<'a> {
    /// All of it, or there is none.
    Whole(&'a [u8]),
    /// It arrives later.
    Arriving(ContentReader),
    /// It was taken out.
    Taken,
}

impl<O: Operations> InlineExchange<'_, O> {
    /// Leaves the fast path: what of the request must outlive this call.
    fn leave(&mut self, head: &OwnedRequestHead) -> (OwnedContent, Pending) {
        let closed = Arc::new(Closed::default());
        let request = self.conn.request_key();
        let slot = self.slot.take().unwrap_or_else(|| Queue::hold(self.queue));
        let mut pending = Pending::new(
            Arc::clone(&self.core.mailbox),
            request,
            Arc::clone(&closed),
            Some(slot),
        );
        pending.set_origin(self.core.owned_origin(self.conn, head, self.began));
        self.conn.respond = Respond::Application(closed);
        (self.content.take(), pending)
    }
}

impl<'a> InlineContent<'a> {
    /// All of it, if that is here.
    #[inline]
    pub(crate) fn whole(&self) -> Option<&'a [u8]> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Arriving(_) | Self::Taken => None,
        }
    }

    pub(crate) fn take(&mut self) -> OwnedContent {
        match std::mem::replace(self, Self::Taken) {
            Self::Whole(bytes) => OwnedContent::Whole(Bytes::copy_from_slice(bytes)),
            Self::Arriving(reader) => OwnedContent::Arriving(reader),
            Self::Taken => OwnedContent::Taken,
        }
    }
}

impl<O: Operations> ExchangeBackend for InlineExchange<'_, O> {
    #[inline]
    fn may_block(&self) -> bool {
        false
    }

    fn take_body(&mut self) -> BodyReader {
        self.content.take().take()
    }

    fn peer(&self) -> PeerAddress {
        self.core.peer(self.operations, self.conn)
    }

    fn local(&self) -> PeerAddress {
        self.core.local(self.operations, self.conn)
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.core.tls_info(self.conn)
    }

    #[inline]
    fn spare_memory(&mut self) -> Vec<u8> {
        self.core.pool.take()
    }

    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.core.inform(self.conn, status, fields);
    }

    #[inline]
    fn respond(&mut self, head: ResponseHead, body: Body) {
        if !head.cache.is_none() {
            let origin = self.core.origin(self.conn, self.head, self.began);
            self.core.keep_answer(origin, &head, &body);
        }
        self.core.answer(self.conn, head, body);
    }

    fn upgrade(&mut self, head: ResponseHead, opening: Opening) {
        self.upgrade = Some((head, opening));
    }

    fn reset(&mut self, _: StreamReset) {
        self.reset = true;
    }

    fn abandon(&mut self) {
        self.core.abandon(self.conn);
    }

    fn defer(&mut self) -> Deferred {
        let head = self.head.to_owned();
        let ends = self.core.ends(self.operations, self.conn);
        let (mut content, pending) = self.leave(&head);
        Deferred {
            head,
            body: content.take(),
            peer: ends.peer.clone(),
            local: ends.local.clone(),
            tls: ends.tls.clone(),
            auth: None,
            responder: Responder::new(Box::new(pending)),
        }
    }

    fn move_to_handler_thread(&mut self) {
        let head = self.head.to_owned();
        let ends = self.core.ends(self.operations, self.conn);
        let (content, pending) = self.leave(&head);
        let exchange = OwnedExchange::new(head, content, ends, Arc::clone(self.queue), pending);
        self.queue.move_to_handler_thread(Box::new(exchange));
    }
}
