//! A request that was let in: it tells who the peer is, and its answer is not stored for others.
//!
//! The driver serves stored answers before the component is asked, and knows only of `Authorization`
//! (http-server-api §8): an answer to an API key or a session, or one that needs a proof at all, must not be
//! stored there.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_httpapi::{
    AuthInfo, Body, BodyReader, Deferred, ExchangeBackend, FieldBlock, HeadCachePolicy, HomeThread,
    Opening, PeerAddress, RespondLater, Responder, ResponseHead, StreamReset, TlsInfo,
};

use super::identity::Identity;

/// An exchange around another.
pub(super) struct AdmittedExchange<'a> {
    inner: &'a mut dyn ExchangeBackend,
    /// Who the peer is, until somebody asks, which most do not.
    identity: Cell<Option<Identity>>,
    auth: OnceCell<AuthInfo>,
}

impl<'a> AdmittedExchange<'a> {
    pub(super) fn new(inner: &'a mut dyn ExchangeBackend, identity: Option<Identity>) -> Self {
        Self {
            inner,
            identity: Cell::new(identity),
            auth: OnceCell::new(),
        }
    }
}

impl ExchangeBackend for AdmittedExchange<'_> {
    fn may_block(&self) -> bool {
        self.inner.may_block()
    }

    /// What asks may have had it moved itself, to hash a password: nothing behind it has seen it then. That it is
    /// asked again does less harm than that it is not.
    fn was_moved(&self) -> bool {
        false
    }

    fn take_body(&mut self) -> BodyReader {
        self.inner.take_body()
    }

    fn peer(&self) -> PeerAddress {
        self.inner.peer()
    }

    fn local(&self) -> PeerAddress {
        self.inner.local()
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.inner.tls()
    }

    fn auth(&self) -> Option<AuthInfo> {
        if let Some(identity) = self.identity.take() {
            return Some(Arc::clone(self.auth.get_or_init(|| Arc::new(identity))));
        }
        self.auth.get().cloned()
    }

    fn spare_memory(&mut self) -> Vec<u8> {
        self.inner.spare_memory()
    }

    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.inner.inform(status, fields);
    }

    fn respond(&mut self, mut head: ResponseHead, body: Body) {
        head.cache = HeadCachePolicy::NONE;
        self.inner.respond(head, body);
    }

    fn upgrade(&mut self, head: ResponseHead, opening: Opening) {
        self.inner.upgrade(head, opening);
    }

    fn reset(&mut self, reset: StreamReset) {
        self.inner.reset(reset);
    }

    fn abandon(&mut self) {
        self.inner.abandon();
    }

    fn defer(&mut self) -> Deferred {
        let deferred = self.inner.defer();
        let later = AdmittedResponder(deferred.responder.into_backend());
        Deferred {
            responder: Responder::new(Box::new(later)),
            auth: self.auth(),
            ..deferred
        }
    }

    fn move_to_handler_thread(&mut self) {
        self.inner.move_to_handler_thread();
    }
}

/// A responder around another. Dropped unanswered, it drops that one, which sends 500.
struct AdmittedResponder(Box<dyn RespondLater>);

impl RespondLater for AdmittedResponder {
    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.0.inform(status, fields);
    }

    fn respond(self: Box<Self>, mut head: ResponseHead, body: Body) {
        head.cache = HeadCachePolicy::NONE;
        self.0.respond(head, body);
    }

    fn upgrade(self: Box<Self>, head: ResponseHead, opening: Opening) {
        self.0.upgrade(head, opening);
    }

    fn reset(self: Box<Self>, reset: StreamReset) {
        self.0.reset(reset);
    }

    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_closed(context)
    }

    fn home(&self) -> Option<HomeThread> {
        self.0.home()
    }
}
