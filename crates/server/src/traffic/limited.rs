//! A request under a rule of the rate limiter or the firewall: whatever answers it, now or later, says what is left,
//! and is not stored where the next request for the same would have to be asked about too.
//!
//! Source: draft-ietf-httpapi-ratelimit-headers-10; the `X-RateLimit` fields are the component's.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tidegate_admission::rate::{Decision, Rule};
use tidegate_httpapi::{
    AuthInfo, Body, BodyReader, Deferred, ExchangeBackend, FieldBlock, HeadCachePolicy, HomeThread,
    Opening, PeerAddress, RequestHead, RespondLater, Responder, ResponseHead, StreamReset, TlsInfo,
};

use super::content::Scan;
use super::rate_limit::RateLimiter;

/// Adds what a rule has left.
pub(super) fn tell(head: &mut ResponseHead, rule: &str, decision: &Decision) {
    if !head.cache.is_none() {
        // A copy would tell others what this caller has left.
        return;
    }
    let Decision {
        limit,
        window,
        remaining,
        reset,
        ..
    } = *decision;
    let (window, reset) = (seconds_up(window), seconds_up(reset));
    let (limit, remaining) = (u64::from(limit), u64::from(remaining));
    let mut value = Value::new();
    for (field, (first, of_first), (second, of_second)) in [
        ("RateLimit-Policy", ("\";q=", limit), (";w=", window)),
        ("RateLimit", ("\";r=", remaining), (";t=", reset)),
    ] {
        value.begin().bytes(b"\"").bytes(rule.as_bytes());
        value.bytes(first.as_bytes()).number(of_first);
        value.bytes(second.as_bytes()).number(of_second);
        value.append_to(head, field);
    }
    for (field, number) in [
        ("X-RateLimit-Limit", limit),
        ("X-RateLimit-Remaining", remaining),
        ("X-RateLimit-Reset", reset),
    ] {
        append(head, field, number);
    }
}

/// Adds a field that is a number.
pub(super) fn append(head: &mut ResponseHead, name: &'static str, number: u64) {
    let mut value = Value::new();
    value.number(number).append_to(head, name);
}

/// A field's value while it is put together. By hand, since `fmt` takes a third of a microsecond for five of them,
/// and every answer under a rule has five.
struct Value {
    memory: [u8; Self::BYTES],
    length: usize,
    is_too_long: bool,
}

impl Value {
    /// The name of a rule may be longer than anybody would want to read; then nothing is told.
    const BYTES: usize = 160;

    fn new() -> Self {
        Self {
            memory: [0; Self::BYTES],
            length: 0,
            is_too_long: false,
        }
    }

    fn begin(&mut self) -> &mut Self {
        (self.length, self.is_too_long) = (0, false);
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.length + bytes.len();
        match self.memory.get_mut(self.length..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.is_too_long = true,
        }
        self
    }

    fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [b'0'; 20];
        let mut begin = digits.len();
        loop {
            begin -= 1;
            digits[begin] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.bytes(&digits[begin..])
    }

    fn append_to(&self, head: &mut ResponseHead, field: &'static str) {
        if !self.is_too_long {
            let added = head.fields.append(field, &self.memory[..self.length]);
            debug_assert!(added.is_ok(), "a rule's name is a token");
        }
    }
}

/// Seconds, rounded up, so that whoever waits so long has waited long enough.
pub(super) fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What is done with every answer to a request.
#[derive(Clone)]
struct OnAnswer<Name> {
    /// The rule that it falls under, and what that has left, if it is told.
    told: Option<(Name, Decision)>,
    /// Whether the response cache may keep it.
    stores: bool,
    /// What looks at its content as it is read.
    scan: Option<Arc<Scan>>,
}

impl<Name: AsRef<str>> OnAnswer<Name> {
    fn apply(&self, head: &mut ResponseHead, body: &mut Body) {
        if let Some(scan) = &self.scan {
            scan.replace(head, body);
        }
        if !self.stores {
            head.cache = HeadCachePolicy::NONE;
        }
        if let Some((rule, decision)) = &self.told {
            tell(head, rule.as_ref(), decision);
        }
    }
}

/// An exchange around another.
pub(super) struct LimitedExchange<'a> {
    inner: &'a mut dyn ExchangeBackend,
    on_answer: OnAnswer<&'a str>,
    /// Who is to know that it was counted, should it be moved.
    counted_by: Option<&'a RateLimiter>,
}

impl<'a> LimitedExchange<'a> {
    /// Around `inner`. `told` is what answers tell, `stores` whether they may be stored, `scan` looks at content that
    /// is read.
    pub(super) fn new(
        inner: &'a mut dyn ExchangeBackend,
        told: Option<(&'a Rule, Decision)>,
        stores: bool,
        scan: Option<Arc<Scan>>,
    ) -> Self {
        let told = told.map(|(rule, decision)| (&*rule.name, decision));
        Self {
            inner,
            on_answer: OnAnswer { told, stores, scan },
            counted_by: None,
        }
    }

    /// Has it be known to `limiter` that the request was counted, should it be moved.
    pub(super) fn counted_by(mut self, limiter: &'a RateLimiter) -> Self {
        self.counted_by = Some(limiter);
        self
    }
}

impl ExchangeBackend for LimitedExchange<'_> {
    fn head(&self) -> RequestHead<'_> {
        self.inner.head()
    }

    fn content(&self) -> Option<&[u8]> {
        self.inner.content()
    }

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
                    .map(|(rule, decision)| (Box::from(rule), decision)),
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
        if let Some(limiter) = self.counted_by {
            limiter.keep_counted(self.inner.head().request_id);
        }
        self.inner.move_to_handler_thread();
    }
}

/// A responder around another.
struct LimitedResponder {
    /// Until it has answered.
    inner: Option<Box<dyn RespondLater>>,
    on_answer: OnAnswer<Box<str>>,
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
