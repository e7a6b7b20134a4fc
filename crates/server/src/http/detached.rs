//! A request that has left its exchange, and that the application is asked about after all.
//!
//! While an upload arrives no thread waits for it: its request is deferred. What the application hears of it,
//! and the call of its handler once all has arrived, come from here.

use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_httpapi::{
    AtHand, AuthInfo, Body, BodyReader, Deferred, Exchange, ExchangeBackend, FieldBlock, Opening,
    OwnedRequestHead, PeerAddress, RequestHead, RespondLater, Responder, ResponseHead, StreamReset,
    TlsInfo,
};

use super::source::Transport;
use crate::component::Delivery;
use crate::event::RequestIds;

/// A request without its exchange. Dropping it unanswered sends 500.
#[derive(Debug)]
pub(crate) struct Detached {
    head: OwnedRequestHead,
    /// What can still be had of the content.
    body: BodyReader,
    peer: PeerAddress,
    local: PeerAddress,
    tls: Option<Arc<TlsInfo>>,
    auth: Option<AuthInfo>,
    /// [`Gone`] once it is answered.
    responder: Responder,
}

impl Detached {
    /// The request, and its content.
    pub(crate) fn new(deferred: Deferred) -> (Self, BodyReader) {
        let detached = Self {
            head: deferred.head,
            body: BodyReader::empty(),
            peer: deferred.peer,
            local: deferred.local,
            tls: deferred.tls,
            auth: deferred.auth,
            responder: deferred.responder,
        };
        (detached, deferred.body)
    }

    /// Gives content back.
    pub(crate) fn put_back(&mut self, body: BodyReader) {
        self.body = body;
    }

    pub(crate) fn as_head(&self) -> RequestHead<'_> {
        self.head.as_head()
    }

    /// Has the application's handler answer.
    pub(crate) fn deliver(mut self, delivery: Delivery<'_>) {
        let head = self.head.clone();
        let at_hand = AtHand {
            head: &head.as_head(),
            content: None,
        };
        delivery.deliver(Exchange::new(at_hand, &mut self));
    }

    pub(crate) fn ids(&self) -> RequestIds {
        RequestIds::of(&self.as_head())
    }

    /// Answers.
    pub(crate) fn answer(self, head: ResponseHead, content: Body) {
        self.responder.respond(head, content);
    }

    fn take_responder(&mut self) -> Responder {
        std::mem::replace(&mut self.responder, Responder::new(Box::new(Gone)))
    }
}

impl Transport for Detached {
    fn peer(&self) -> PeerAddress {
        self.peer.clone()
    }

    fn local(&self) -> PeerAddress {
        self.local.clone()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.tls.clone()
    }

    fn auth(&self) -> Option<AuthInfo> {
        self.auth.clone()
    }
}

impl ExchangeBackend for Detached {
    /// Whoever asks the application about a detached request does so where it may.
    fn may_block(&self) -> bool {
        true
    }

    fn take_body(&mut self) -> BodyReader {
        std::mem::take(&mut self.body)
    }

    fn peer(&self) -> PeerAddress {
        self.peer.clone()
    }

    fn local(&self) -> PeerAddress {
        self.local.clone()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.tls.clone()
    }

    fn auth(&self) -> Option<AuthInfo> {
        self.auth.clone()
    }

    fn spare_memory(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.responder.inform(status, fields);
    }

    fn respond(&mut self, head: ResponseHead, content: Body) {
        self.take_responder().respond(head, content);
    }

    /// A request with content cannot be upgraded, so none that is an upload.
    fn upgrade(&mut self, _: ResponseHead, _: Opening) {
        self.abandon();
    }

    fn reset(&mut self, reset: StreamReset) {
        self.take_responder().reset(reset);
    }

    fn abandon(&mut self) {
        drop(self.take_responder());
    }

    fn defer(&mut self) -> Deferred {
        Deferred {
            head: self.head.clone(),
            body: self.take_body(),
            peer: self.peer.clone(),
            local: self.local.clone(),
            tls: self.tls.clone(),
            auth: self.auth.clone(),
            responder: self.take_responder(),
        }
    }

    /// It is on such a thread.
    fn move_to_handler_thread(&mut self) {
        self.abandon();
    }
}

/// Whom a request that is answered already would go to.
struct Gone;

impl RespondLater for Gone {
    fn inform(&mut self, _: u16, _: &FieldBlock) {}

    fn respond(self: Box<Self>, _: ResponseHead, _: Body) {}

    fn upgrade(self: Box<Self>, _: ResponseHead, _: Opening) {}

    fn reset(self: Box<Self>, _: StreamReset) {}

    fn poll_closed(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
