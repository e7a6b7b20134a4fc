//! Answering after the handler has returned, from another thread or an async task.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tidegate_httpapi::{Body, BodyReader, Deferred, FieldBlock, Responder, ResponseHead};
use tokio::runtime::Handle;

use super::request::OwnedRequest;
use super::response::{Rare, Response, ResponseError};
use super::stream::Guarded;
use crate::component::Shared;
use crate::event::{ExceptionCause, RequestIds};
use crate::handler::ResponseFuture;

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
    ids: RequestIds,
    is_head: bool,
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
                ids,
                is_head,
            } = *reply;
            let (head, content) = self.finish(&shared, ids, is_head);
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

    /// As the driver takes it; 500, of which the application hears, when it cannot be sent.
    #[inline]
    pub(crate) fn finish(
        self,
        shared: &Arc<Shared>,
        ids: RequestIds,
        is_head: bool,
    ) -> (ResponseHead, Body) {
        match self.rare {
            None => (self.head, self.content),
            Some(rare) => finish_rare(self.head, self.content, *rare, (shared, ids, is_head)),
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
        body: Option<BodyReader>,
        mut response: Response,
        (shared, limit, may_block): (&Arc<Shared>, u64, bool),
    ) {
        let head = deferred.head.as_head();
        let ids = RequestIds {
            connection: head.connection_id,
            request: head.request_id,
        };
        response.reply = Some(Box::new(Reply {
            responder: deferred.responder,
            shared: Arc::clone(shared),
            ids,
            is_head: head.method() == "HEAD",
        }));
        let request = OwnedRequest::taken(
            deferred.head,
            body.unwrap_or(deferred.body),
            (deferred.peer, deferred.local),
            limit,
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
    rare: Rare,
    (shared, ids, is_head): (&Arc<Shared>, RequestIds, bool),
) -> (ResponseHead, Body) {
    let mut fault = rare.fault.map(ExceptionCause::Response);
    if let Some(source) = rare.source {
        match source.open(shared.runtime()) {
            Ok(source) => {
                content = Body::Stream {
                    length: rare.content_length,
                    source: Box::new(Guarded {
                        source,
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
