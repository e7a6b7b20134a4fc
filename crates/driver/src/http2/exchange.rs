//! A stream's request answered on the worker that read it: the fast path of HTTP/2.
//!
//! Nothing here allocates or locks as long as the application answers at once and the answer fits into
//! the peer's window.

use std::sync::Arc;

use tidegate_httpapi::{
    Body, BodyReader, Deferred, ExchangeBackend, FieldBlock, Opening, OwnedRequestHead,
    PeerAddress, RequestHead, Responder, ResponseHead, StreamReset, TlsInfo,
};
use tidegate_os::Operations;
use tidegate_proto::http2::StreamKey;

use crate::cache::Began;
use crate::connection::{Asked, Connection};
use crate::core::Core;
use crate::http2::{Http2, StreamRespond};
use crate::inline::InlineContent;
use crate::pending::{OwnedContent, OwnedExchange, Pending};
use crate::queue::{Queue, Slot};

/// One request and the connection it came on, borrowed from the worker.
pub(super) struct StreamExchange<'a, O> {
    pub(super) core: &'a mut Core,
    pub(super) operations: &'a mut O,
    pub(super) conn: &'a mut Connection,
    pub(super) http2: &'a mut Http2,
    pub(super) stream: StreamKey,
    pub(super) asked: Asked,
    pub(super) head: &'a RequestHead<'a>,
    pub(super) content: InlineContent<'a>,
    pub(super) queue: &'a Arc<Queue>,
    /// Room with the application, when it was taken beforehand.
    pub(super) slot: Option<Slot>,
    /// How the response cache was when the request was read.
    pub(super) began: Began,
    /// What the application has answered to an extended CONNECT.
    pub(super) upgrade: Option<(ResponseHead, Opening)>,
}

impl<O: Operations> StreamExchange<'_, O> {
    /// Leaves the fast path: what of the request must outlive this call.
    fn leave(&mut self, head: &OwnedRequestHead) -> (OwnedContent, Pending) {
        let slot = self.slot.take().unwrap_or_else(|| Queue::hold(self.queue));
        let (closed, mut pending) = self.core.pending_stream(self.conn, self.stream, Some(slot));
        pending.set_origin(self.core.owned_origin(self.conn, head, self.began));
        let stream = self
            .core
            .wait(self.conn, self.http2, self.stream, self.asked);
        stream.respond = StreamRespond::Application(closed);
        (self.content.take(), pending)
    }
}

impl<O: Operations> ExchangeBackend for StreamExchange<'_, O> {
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
        self.core
            .inform_stream(self.conn, self.http2, self.stream, status, fields);
    }

    #[inline]
    fn respond(&mut self, head: ResponseHead, body: Body) {
        let Self {
            core,
            conn,
            http2,
            stream,
            asked,
            ..
        } = self;
        if !head.cache.is_none() {
            let origin = core.origin(conn, self.head, self.began);
            core.keep_answer(origin, &head, &body);
        }
        core.answer_stream(conn, http2, *stream, *asked, head, body);
    }

    fn upgrade(&mut self, head: ResponseHead, opening: Opening) {
        self.upgrade = Some((head, opening));
    }

    fn reset(&mut self, reset: StreamReset) {
        self.core
            .reset_stream(self.conn, self.http2, self.stream, reset.code);
    }

    fn abandon(&mut self) {
        let Self {
            core,
            conn,
            http2,
            stream,
            asked,
            ..
        } = self;
        core.abandon_stream(conn, http2, *stream, *asked);
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
