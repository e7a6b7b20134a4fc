//! Answering after the handler has returned, from another thread or an async task.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_httpapi::{
    Body, Deferred, FieldBlock, OwnedRequestHead, RequestHead, Responder, ResponseHead,
};
use tokio::runtime::Handle;

use super::content::{ContentLimits, LeftContent};
use super::range::{self, Plan};
use super::request::OwnedRequest;
use super::response::{Rare, Response, ResponseError};
use super::stream::{Guarded, Source};
use crate::component::Shared;
use crate::event::{ExceptionCause, RequestIds};
use crate::handler::ResponseFuture;
use crate::upload::Uploads;

/// What is done with a request that its handler did not answer itself.
pub(crate) enum Deferral {
    /// It is handed over, on the thread of the handler.
    HandOver(Box<dyn FnOnce(OwnedRequest, Response) + Send>),
    /// It is answered by a closure that may hold its thread up.
    Blocking(Box<dyn FnOnce(OwnedRequest, Response) -> Response + Send>),
    /// It is answered by a future on the runtime.
    Async(Box<dyn FnOnce(OwnedRequest, Response) -> ResponseFuture + Send>),
}

/// Whom a response goes to once its request has left the handler. Dropping it sends 500.
#[derive(Debug)]
pub(crate) struct Reply {
    responder: Responder,
    shared: Arc<Shared>,
    /// The head of the request: what is answered depends on its conditions.
    head: OwnedRequestHead,
}

impl Reply {
    pub(super) fn inform(&mut self, status: u16, fields: &FieldBlock) {
        self.responder.inform(status, fields);
    }
}

impl Response {
    /// Hands the request over once the handler has returned: to be answered later, from any thread,
    /// with [`send`](Self::send). The response takes along what has been set so far. A response that
    /// is dropped instead sends 500.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response, queue: std::sync::mpsc::Sender<tidegate::Response>) {
    /// response.defer(move |_request, response| {
    ///     // Another thread sets the content, and calls `response.send()`.
    ///     let _ = queue.send(response);
    /// });
    /// # }
    /// ```
    pub fn defer(&mut self, take: impl FnOnce(OwnedRequest, Self) + Send + 'static) {
        self.put_deferral(Deferral::HandOver(Box::new(take)));
    }

    /// Answers from a future, which runs on the server's tokio runtime. What it gives is sent.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// response.answer_async(|request, mut response| async move {
    ///     match request.text_async().await {
    ///         Ok(text) => response.text(format!("{} characters", text.chars().count())),
    ///         Err(error) => response.status(error.status()).empty(),
    ///     }
    ///     response
    /// });
    /// # }
    /// ```
    pub fn answer_async<F, A>(&mut self, handler: F)
    where
        F: FnOnce(OwnedRequest, Self) -> A + Send + 'static,
        A: Future<Output = Self> + Send + 'static,
    {
        self.answer_boxed(Box::new(move |request, response| {
            Box::pin(handler(request, response))
        }));
    }

    /// Answers from a closure that may block, such as for a file or a database, in either mode: on the
    /// handler thread that the handler was called on, or, where the handler must not block, on one of
    /// the runtime's threads for such work. What it gives is sent.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// response.answer_blocking(|request, mut response| {
    ///     match std::fs::read_to_string("motd.txt") {
    ///         Ok(text) => response.text(text),
    ///         Err(_) => response.status(404).empty(),
    ///     }
    ///     response
    /// });
    /// # }
    /// ```
    pub fn answer_blocking(
        &mut self,
        handler: impl FnOnce(OwnedRequest, Self) -> Self + Send + 'static,
    ) {
        self.put_deferral(Deferral::Blocking(Box::new(handler)));
    }

    pub(crate) fn answer_boxed(
        &mut self,
        handler: Box<dyn FnOnce(OwnedRequest, Self) -> ResponseFuture + Send>,
    ) {
        self.put_deferral(Deferral::Async(handler));
    }

    /// Sends a response that was [deferred](Self::defer). When the connection has ended meanwhile,
    /// nothing happens.
    pub fn send(mut self) {
        if let Some(reply) = self.reply.take() {
            let Reply {
                responder,
                shared,
                head: request,
            } = *reply;
            if let Some(reset) = self.wants_reset() {
                return responder.reset(reset);
            }
            let (head, content) = self.finish(&shared, &request.as_head());
            responder.respond(head, content);
        }
    }

    /// Done once the connection has ended, so that work for nobody can be given up. Never done before
    /// the request has left its handler.
    pub async fn closed(&mut self) {
        poll_fn(|context| match &mut self.reply {
            Some(reply) => reply.responder.poll_closed(context),
            None => Poll::Pending,
        })
        .await;
    }

    /// What is to be done instead of answering now, and the interim responses to send before.
    pub(crate) fn take_deferral(&mut self) -> (Vec<(u16, FieldBlock)>, Option<Deferral>) {
        match &mut self.rare {
            Some(rare) => (std::mem::take(&mut rare.interim), rare.deferral.take()),
            None => (Vec::new(), None),
        }
    }

    /// Whether answering takes more than its head and content.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.rare.is_none()
    }

    /// As the driver takes it, when answering takes no more than that: see
    /// [`is_plain`](Self::is_plain).
    #[inline]
    pub(crate) fn finish_plain(self) -> (ResponseHead, Body) {
        debug_assert!(self.is_plain(), "what is rare is lost");
        (self.head, self.content)
    }

    /// As the driver takes it; 500, of which the application hears, when it cannot be sent.
    pub(crate) fn finish(
        self,
        shared: &Arc<Shared>,
        request: &RequestHead<'_>,
    ) -> (ResponseHead, Body) {
        match self.rare {
            None => (self.head, self.content),
            Some(rare) => finish_rare(self.head, self.content, *rare, (shared, request)),
        }
    }

    fn put_deferral(&mut self, deferral: Deferral) {
        if self.reply.is_some() {
            return self.keep_fault(ResponseError::DeferredTwice);
        }
        self.rare().deferral = Some(deferral);
    }
}

impl Deferral {
    /// Hands a deferred exchange over, with `response` as its handler left it.
    pub(crate) fn run(
        self,
        deferred: Deferred,
        (content, uploads): (LeftContent, Option<Uploads>),
        mut response: Response,
        (shared, limits, may_block): (&Arc<Shared>, &ContentLimits, bool),
    ) {
        let head = deferred.head.as_head();
        let ids = RequestIds::of(&head);
        response.reply = Some(Box::new(Reply {
            responder: deferred.responder,
            shared: Arc::clone(shared),
            head: deferred.head.clone(),
        }));
        let body = match content {
            LeftContent::WithExchange => Some(deferred.body),
            LeftContent::Reader(body) => Some(body),
            LeftContent::Nothing => None,
        };
        let request = OwnedRequest::taken(
            deferred.head,
            (body, uploads),
            (deferred.peer, deferred.local, deferred.tls, deferred.auth),
            limits,
        );
        // A panic drops the response, which sends 500.
        let result = catch_unwind(AssertUnwindSafe(|| match self {
            Self::HandOver(take) => take(request, response),
            Self::Blocking(handler) if may_block => handler(request, response).send(),
            Self::Blocking(handler) => {
                spawn_blocking(move || handler(request, response).send(), shared, ids);
            }
            Self::Async(handler) => spawn(handler(request, response), shared, ids),
        }));
        if let Err(payload) = result {
            shared.events().panicked(Some(ids), &*payload);
        }
    }
}

/// The runtime; when there is none, the application hears of it, and what was to be done is dropped.
fn runtime(shared: &Shared, ids: RequestIds) -> Option<&Handle> {
    match shared.runtime().handle() {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            let cause = ExceptionCause::Runtime(error);
            shared.events().exception(Some(ids), cause);
            None
        }
    }
}

fn spawn_blocking(work: impl FnOnce() + Send + 'static, shared: &Arc<Shared>, ids: RequestIds) {
    let Some(runtime) = runtime(shared, ids) else {
        return;
    };
    let shared = Arc::clone(shared);
    runtime.spawn_blocking(move || {
        // A panic drops the response, which sends 500.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
            shared.events().panicked(Some(ids), &*payload);
        }
    });
}

fn spawn(answer: ResponseFuture, shared: &Arc<Shared>, ids: RequestIds) {
    let Some(runtime) = runtime(shared, ids) else {
        return;
    };
    let shared = Arc::clone(shared);
    runtime.spawn(async move {
        match CatchPanic(answer).await {
            Ok(response) => response.send(),
            Err(payload) => shared.events().panicked(Some(ids), &*payload),
        }
    });
}

#[cold]
fn finish_rare(
    mut head: ResponseHead,
    mut content: Body,
    mut rare: Rare,
    (shared, request): (&Arc<Shared>, &RequestHead<'_>),
) -> (ResponseHead, Body) {
    let ids = RequestIds::of(request);
    let is_head = request.method() == "HEAD";
    let hand_made = rare.hand_made_range(head.status);
    let mut fault = rare.fault.take();
    match hand_made {
        Ok(None) => {}
        Ok(Some(value)) => {
            if let Err(error) = head.fields.set("Content-Range", value) {
                fault = fault.or(Some(error.into()));
            }
        }
        Err(error) => fault = fault.or(Some(error)),
    }
    if rare.processes_ranges && head.status == 200 && fault.is_none() {
        answer_conditions(request, &mut head, &mut content, &mut rare);
    }
    if let Some(Source::Seek(_, length)) = rare.source {
        let set = *rare.content_length.get_or_insert(length);
        if set != length {
            let content = length;
            fault = fault.or(Some(ResponseError::Length { set, content }));
        }
    }
    let mut fault = fault.map(ExceptionCause::Response);
    if let Some(source) = rare.source {
        match source.open(shared) {
            Ok(source) => {
                content = Body::Stream {
                    length: rare.content_length,
                    source: Box::new(Guarded {
                        source,
                        trailers: head.trailers.take(),
                        shared: Arc::clone(shared),
                        ids,
                    }),
                };
            }
            Err(error) => fault = fault.or(Some(ExceptionCause::Runtime(error))),
        }
    }
    match (rare.content_length, content.length()) {
        (Some(set), Some(length)) if set != length => {
            // RFC 9110 §8.6: the length that the content of a GET would have may be told without it.
            if length == 0 && (is_head || head.status == 304) {
                if let Err(error) = head.fields.set("Content-Length", set.to_string()) {
                    fault = fault.or(Some(ExceptionCause::Response(error.into())));
                }
            } else {
                let mismatch = ResponseError::Length {
                    set,
                    content: length,
                };
                fault = fault.or(Some(ExceptionCause::Response(mismatch)));
            }
        }
        _ => {}
    }
    match fault {
        None => (head, content),
        Some(cause) => {
            shared.events().exception(Some(ids), cause);
            (ResponseHead::new(500), Body::Empty)
        }
    }
}

/// Answers the conditions and ranges of the request, with less content or none.
fn answer_conditions(
    request: &RequestHead<'_>,
    head: &mut ResponseHead,
    content: &mut Body,
    rare: &mut Rare,
) {
    let length = match &rare.source {
        None => content.length(),
        Some(Source::Seek(_, length)) => Some(*length),
        Some(_) => None,
    };
    // A length that contradicts the content is a fault, whatever is asked for.
    if rare
        .content_length
        .is_some_and(|set| length.is_some_and(|length| length != set))
    {
        return;
    }
    let plan = range::plan(request, head, length);
    if let Plan::Whole = plan {
        return;
    }
    rare.content_length = None;
    match rare.source.take() {
        Some(Source::Seek(reader, length)) if !matches!(plan, Plan::Nothing) => {
            let (reader, sent) = range::cut_reader(reader, length, &plan);
            rare.source = Some(Source::Read(reader));
            rare.content_length = Some(sent);
        }
        // Content that cannot be cut is sent whole or not at all.
        _ => *content = range::cut_body(std::mem::take(content), &plan).unwrap_or_default(),
    }
}

/// A future whose panic becomes its output.
pub(crate) struct CatchPanic<F>(pub(crate) F);

impl<F: Future + Unpin> Future for CatchPanic<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = Pin::new(&mut self.0);
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    }
}
