//! A request under a rule of the rate limiter or the firewall: whatever answers it, now or later, says what is left,
//! and is not stored where the next request for the same would have to be asked about too.

use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_httpapi::{
    AuthInfo, Body, BodyReader, Deferred, ExchangeBackend, FieldBlock, HeadCachePolicy, HomeThread,
    Opening, PeerAddress, RequestId, RespondLater, Responder, ResponseHead, StreamReset, TlsInfo,
};

use super::content::Scan;
use super::rate_fields::{RateFields, RateNumbers};
use super::rate_limit::{RateLimiter, Told};

/// What is done with every answer to a request.
#[derive(Clone)]
struct OnAnswer<Fields> {
    /// What the rule that it falls under has left, if it is told.
    told: Option<(Fields, RateNumbers)>,
    /// Whether the response cache may keep it.
    stores: bool,
    /// What looks at its content as it is read.
    scan: Option<Arc<Scan>>,
}

impl<Fields: AsRef<RateFields>> OnAnswer<Fields> {
    fn apply(&self, head: &mut ResponseHead, body: &mut Body) {
        if let Some(scan) = &self.scan {
            scan.replace(head, body);
        }
        if !self.stores {
            head.cache = HeadCachePolicy::NONE;
        }
        if let Some((fields, numbers)) = &self.told {
            numbers.tell(fields.as_ref(), head);
        }
    }
}

/// An exchange around another.
pub(super) struct LimitedExchange<'a> {
    inner: &'a mut dyn ExchangeBackend,
    on_answer: OnAnswer<&'a Arc<RateFields>>,
    /// Who is to know that it was counted, should it be moved.
    counted_by: Option<(&'a RateLimiter, RequestId)>,
}

impl<'a> LimitedExchange<'a> {
    /// Around `inner`. `told` is what answers tell, `stores` whether they may be stored, `scan` looks at content that
    /// is read.
    pub(super) fn new(
        inner: &'a mut dyn ExchangeBackend,
        told: Option<Told<'a>>,
        stores: bool,
        scan: Option<Arc<Scan>>,
    ) -> Self {
        Self {
            inner,
            on_answer: OnAnswer { told, stores, scan },
            counted_by: None,
        }
    }

    /// Has it be known to `limiter` that `request` was counted, should it be moved.
    pub(super) fn counted_by(mut self, limiter: &'a RateLimiter, request: RequestId) -> Self {
        self.counted_by = Some((limiter, request));
        self
    }
}

impl ExchangeBackend for LimitedExchange<'_> {
    fn may_block(&self) -> bool {
        self.inner.may_block()
    }

    fn was_moved(&self) -> bool {
        self.inner.was_moved()
    }

    fn take_body(&mut self) -> BodyReader {
        let body = self.inner.take_body();
        match &self.on_answer.scan {
            Some(scan) => scan.reader(body),
            None => body,
        }
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

    fn respond(&mut self, mut head: ResponseHead, mut body: Body) {
        self.on_answer.apply(&mut head, &mut body);
        self.inner.respond(head, body);
    }

    fn upgrade(&mut self, mut head: ResponseHead, opening: Opening) {
        self.on_answer.apply(&mut head, &mut Body::Empty);
        self.inner.upgrade(head, opening);
    }

    fn reset(&mut self, reset: StreamReset) {
        self.inner.reset(reset);
    }

    fn abandon(&mut self) {
        self.respond(ResponseHead::new(500), Body::Empty);
    }

    fn defer(&mut self) -> Deferred {
        let mut deferred = self.inner.defer();
        if let Some(scan) = &self.on_answer.scan {
            deferred.body = scan.reader(deferred.body);
        }
        let later = LimitedResponder {
            inner: Some(deferred.responder.into_backend()),
            on_answer: OnAnswer {
                told: self
                    .on_answer
                    .told
                    .map(|(fields, numbers)| (Arc::clone(fields), numbers)),
                stores: self.on_answer.stores,
                scan: self.on_answer.scan.clone(),
            },
        };
        Deferred {
            responder: Responder::new(Box::new(later)),
            ..deferred
        }
    }

    fn move_to_handler_thread(&mut self) {
        if let Some((limiter, request)) = self.counted_by {
            limiter.keep_counted(request);
        }
        self.inner.move_to_handler_thread();
    }
}

/// A responder around another.
struct LimitedResponder {
    /// Until it has answered.
    inner: Option<Box<dyn RespondLater>>,
    on_answer: OnAnswer<Arc<RateFields>>,
}

impl LimitedResponder {
    fn answer(&mut self, mut head: ResponseHead, mut body: Body) {
        if let Some(inner) = self.inner.take() {
            self.on_answer.apply(&mut head, &mut body);
            inner.respond(head, body);
        }
    }
}

impl RespondLater for LimitedResponder {
    fn inform(&mut self, status: u16, fields: &FieldBlock) {
        if let Some(inner) = &mut self.inner {
            inner.inform(status, fields);
        }
    }

    fn respond(mut self: Box<Self>, head: ResponseHead, body: Body) {
        self.answer(head, body);
    }

    fn upgrade(mut self: Box<Self>, mut head: ResponseHead, opening: Opening) {
        if let Some(inner) = self.inner.take() {
            self.on_answer.apply(&mut head, &mut Body::Empty);
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

impl Drop for LimitedResponder {
    fn drop(&mut self) {
        self.answer(ResponseHead::new(500), Body::Empty);
    }
}
