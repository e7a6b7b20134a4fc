//! A request under a policy: whatever answers it, now or later, says what the policy says.

use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_httpapi::{
    AuthInfo, Body, BodyReader, Deferred, ExchangeBackend, FieldBlock, HomeThread, Opening,
    PeerAddress, RespondLater, Responder, ResponseHead, StreamReset, TlsInfo,
};

use super::policy::{Grant, Policy};

/// An exchange around another.
pub(super) struct CorsExchange<'a> {
    inner: &'a mut dyn ExchangeBackend,
    policy: &'a Arc<Policy>,
    grant: Grant,
}

impl<'a> CorsExchange<'a> {
    pub(super) fn new(
        inner: &'a mut dyn ExchangeBackend,
        policy: &'a Arc<Policy>,
        grant: Grant,
    ) -> Self {
        Self {
            inner,
            policy,
            grant,
        }
    }
}

impl ExchangeBackend for CorsExchange<'_> {
    fn may_block(&self) -> bool {
        self.inner.may_block()
    }

    fn was_moved(&self) -> bool {
        self.inner.was_moved()
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
        self.inner.auth()
    }

    fn spare_memory(&mut self) -> Vec<u8> {
        self.inner.spare_memory()
    }

    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.inner.inform(status, fields);
    }

    fn respond(&mut self, mut head: ResponseHead, body: Body) {
        self.policy.add_to(&self.grant, &mut head);
        self.inner.respond(head, body);
    }

    // Connections of other protocols are no matter of this one's: WebSocket has its own list.
    fn upgrade(&mut self, head: ResponseHead, opening: Opening) {
        self.inner.upgrade(head, opening);
    }

    fn reset(&mut self, reset: StreamReset) {
        self.inner.reset(reset);
    }

    // The driver's own answer would say nothing of origins, and the page would not even learn that it is
    // an error.
    fn abandon(&mut self) {
        self.respond(ResponseHead::new(500), Body::Empty);
    }

    fn defer(&mut self) -> Deferred {
        let deferred = self.inner.defer();
        let later = CorsResponder {
            inner: Some(deferred.responder.into_backend()),
            policy: Arc::clone(self.policy),
            grant: self.grant.clone(),
        };
        Deferred {
            responder: Responder::new(Box::new(later)),
            ..deferred
        }
    }

    fn move_to_handler_thread(&mut self) {
        self.inner.move_to_handler_thread();
    }
}

/// A responder around another.
struct CorsResponder {
    /// Until it has answered.
    inner: Option<Box<dyn RespondLater>>,
    policy: Arc<Policy>,
    grant: Grant,
}

impl CorsResponder {
    fn answer(&mut self, mut head: ResponseHead, body: Body) {
        if let Some(inner) = self.inner.take() {
            self.policy.add_to(&self.grant, &mut head);
            inner.respond(head, body);
        }
    }
}

impl RespondLater for CorsResponder {
    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        if let Some(inner) = &mut self.inner {
            inner.inform(status, fields);
        }
    }

    fn respond(mut self: Box<Self>, head: ResponseHead, body: Body) {
        self.answer(head, body);
    }

    fn upgrade(mut self: Box<Self>, head: ResponseHead, opening: Opening) {
        if let Some(inner) = self.inner.take() {
            inner.upgrade(head, opening);
        }
    }

    fn reset(mut self: Box<Self>, reset: StreamReset) {
        if let Some(inner) = self.inner.take() {
            inner.reset(reset);
        }
    }

    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.inner {
            Some(inner) => inner.poll_closed(context),
            None => Poll::Ready(()),
        }
    }

    fn home(&self) -> Option<HomeThread> {
        self.inner.as_ref()?.home()
    }
}

impl Drop for CorsResponder {
    fn drop(&mut self) {
        self.answer(ResponseHead::new(500), Body::Empty);
    }
}
