//! One request from the client to an upstream and back.
//!
//! Tried again only where that is safe: where nothing was sent, or a connection that was kept turned out to
//! be closed and the request can be made twice without harm. Source: RFC 9110 §9.2.2, RFC 9112 §9.3.1.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use tidegate_httpapi::{
    AuthInfo, BodyReader, ContentFraming, HomeThread, OwnedRequestHead, PeerAddress, Responder,
    TlsInfo,
};

use super::error::{ForwardError, ForwardFailure};
use super::exchange::{Deadline, Exchange};
use super::head::Outgoing;
use super::route::Candidates;
use super::settings::ForwardSettings;
use super::upload::Upload;
use super::upstream::http1::Http1;
use super::upstream::http2::Http2;
use super::upstream::{AnswerHead, InFlight, Opened, Upstream, Wanted};
use crate::component::Shared;
use crate::event::RequestIds;
use crate::http::ContentLimits;

/// A request that is to be forwarded.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<ForwardSettings>,
    /// The thread of the client's connection, if it can be worked on.
    pub(super) home: Option<HomeThread>,
    pub(super) client: Client,
    pub(super) content: Content,
    /// Whether the application wants to hear of the answer.
    pub(super) is_watched: bool,
    /// What content a handler may ask for.
    pub(super) limits: ContentLimits,
}

/// Whom the answer goes to.
pub(super) struct Client {
    pub(super) head: OwnedRequestHead,
    pub(super) peer: PeerAddress,
    pub(super) local: PeerAddress,
    pub(super) tls: Option<Arc<TlsInfo>>,
    pub(super) auth: Option<AuthInfo>,
    pub(super) responder: Responder,
    pub(super) ids: RequestIds,
}

/// The content of a request.
pub(super) enum Content {
    /// All of it, or there is none: it can be sent again.
    Whole(Bytes),
    /// It arrives from the client; `None` once it has gone to an upstream.
    Arriving(Option<BodyReader>),
}

impl Content {
    /// The content of a deferred request; `is_whole`: all of it has arrived.
    pub(super) fn of(mut reader: BodyReader, is_whole: bool) -> Self {
        if !is_whole {
            return Self::Arriving(Some(reader));
        }
        let mut context = Context::from_waker(Waker::noop());
        match reader.poll_chunk(&mut context) {
            Poll::Ready(Ok(content)) => Self::Whole(content.unwrap_or_default()),
            _ => Self::Arriving(Some(reader)),
        }
    }

    fn can_be_sent(&self) -> bool {
        !matches!(self, Self::Arriving(None))
    }

    fn upload(&mut self, framing: ContentFraming) -> Upload {
        match self {
            Self::Whole(content) => {
                // What is whole has a length, however it came.
                let framing = match (framing, content.len() as u64) {
                    (ContentFraming::None, _) => ContentFraming::None,
                    (_, length) => ContentFraming::Length(length),
                };
                Upload::whole(content.clone(), framing)
            }
            Self::Arriving(reader) => Upload::arriving(reader.take().unwrap_or_default(), framing),
        }
    }
}

/// The head of an answer, and where its content comes from.
pub(super) struct Answered {
    pub(super) head: AnswerHead,
    pub(super) exchange: Exchange,
    pub(super) in_flight: InFlight,
}

impl Job {
    /// Has an upstream answer.
    pub(super) async fn run(mut self: Box<Self>, candidates: Candidates, outgoing: Outgoing) {
        match self.answer(&candidates, &outgoing).await {
            Ok(Some(answered)) => self.pass_on(answered, &outgoing),
            // The client has left. What there is of the exchange is gone with it.
            Ok(None) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Tries one upstream after the other. `None`: the client has left.
    async fn answer(
        &mut self,
        candidates: &Candidates,
        outgoing: &Outgoing,
    ) -> Result<Option<Answered>, ForwardError> {
        let mut tried: Vec<Arc<Upstream>> = Vec::new();
        let mut last: Option<ForwardError> = None;
        let mut tries_left = self.settings.retries + 1;
        let mut again: Option<Arc<Upstream>> = None;
        loop {
            let picked = again.take().or_else(|| candidates.pick(&tried));
            let Some(upstream) = picked.filter(|_| tries_left > 0) else {
                return Err(last.unwrap_or(ForwardError {
                    upstream: None,
                    cause: ForwardFailure::NoneHealthy,
                }));
            };
            tries_left -= 1;
            let is_first = !tried.iter().any(|other| Arc::ptr_eq(other, &upstream));
            let in_flight = InFlight::new(Arc::clone(&upstream));
            let cause = match self.attempt(in_flight, outgoing, is_first).await {
                Ok(answered) => {
                    upstream.health.succeeded();
                    return Ok(answered);
                }
                Err(Attempt { cause, next }) => {
                    let may_go_on = self.content.can_be_sent();
                    match next {
                        Next::Never => {}
                        Next::Same if may_go_on => again = Some(Arc::clone(&upstream)),
                        Next::Other if may_go_on => {}
                        Next::Same | Next::Other => tries_left = 0,
                    }
                    if matches!(next, Next::Never) {
                        tries_left = 0;
                    }
                    let is_fault = cause.is_upstreams_fault() && again.is_none();
                    if is_fault {
                        upstream.failures.fetch_add(1, Ordering::Relaxed);
                    }
                    if is_fault && upstream.health.failed(Instant::now()) {
                        tracing::warn!(upstream = %upstream.url, %cause, "an upstream is unwell");
                    }
                    cause
                }
            };
            if is_first {
                tried.push(Arc::clone(&upstream));
            }
            let error = ForwardError {
                upstream: Some(upstream.url.to_string()),
                cause,
            };
            if tries_left > 0 {
                tracing::debug!("{error}; trying again");
            }
            last = Some(error);
        }
    }

    /// Tries one upstream. `may_reuse`: over a connection that was kept.
    async fn attempt(
        &mut self,
        in_flight: InFlight,
        outgoing: &Outgoing,
        may_reuse: bool,
    ) -> Result<Option<Answered>, Attempt> {
        let upstream = Arc::clone(in_flight.upstream());
        let only_http1 = outgoing.websocket.is_some();
        let home = self.home.clone();
        let opening = upstream.open(Wanted {
            home: home.as_ref(),
            only_http1,
            may_reuse,
        });
        let opened = match unless_closed(opening, &mut self.client.responder).await {
            None => return Ok(None),
            Some(Ok(opened)) => opened,
            Some(Err(cause)) => {
                let next = Next::Other;
                return Err(Attempt { cause, next });
            }
        };
        let upload = self.content.upload(outgoing.framing);
        let (authority, base) = (&*upstream.authority, upstream.url.base());
        let (mut exchange, was_there) = match opened {
            Opened::Http1 {
                connection,
                is_reused,
            } => {
                let limits = &upstream.limits;
                let http1 = Http1::new(connection, outgoing, (authority, base), upload, limits);
                (Exchange::Http1(Box::new(http1)), is_reused)
            }
            Opened::Http2(requests) => {
                let place = (upstream.url.scheme(), authority, base);
                match Http2::new(requests, outgoing, place, upload) {
                    Ok(http2) => (Exchange::Http2(Box::new(http2)), true),
                    Err(cause) => {
                        upstream.forget_shared();
                        let next = match (&cause, &self.content) {
                            (ForwardFailure::Http2(_), Content::Whole(_)) => Next::Same,
                            _ => Next::Never,
                        };
                        return Err(Attempt { cause, next });
                    }
                }
            }
        };
        match self.head(&mut exchange).await {
            Ok(None) => Ok(None),
            Ok(Some(head)) => Ok(Some(Answered {
                head,
                exchange,
                in_flight,
            })),
            Err(cause) => {
                let next = self.after_failure(&cause, &exchange, was_there, outgoing);
                if matches!(cause, ForwardFailure::Http2(_)) {
                    upstream.forget_shared();
                }
                Err(Attempt { cause, next })
            }
        }
    }

    /// What may be tried after a request has been sent, at least in part.
    fn after_failure(
        &self,
        cause: &ForwardFailure,
        exchange: &Exchange,
        was_there: bool,
        outgoing: &Outgoing,
    ) -> Next {
        let is_broken = match cause {
            ForwardFailure::Closed | ForwardFailure::Broken(_) => true,
            ForwardFailure::Http2(error) => {
                // RFC 9113 §8.7: it has not been processed, so any method may be tried again.
                if error.reason() == Some(Reason::REFUSED_STREAM) {
                    return Next::Same;
                }
                error.is_io() || error.is_go_away()
            }
            _ => false,
        };
        // RFC 9112 §9.3.1: the upstream may have closed it before it saw the request.
        let is_safe = is_idempotent(&outgoing.method) && outgoing.websocket.is_none();
        match was_there && is_broken && is_safe && !exchange.has_received() {
            true => Next::Same,
            false => Next::Never,
        }
    }

    /// Sends the request, and waits for the head of the final response. `None`: the client has left.
    async fn head(
        &mut self,
        exchange: &mut Exchange,
    ) -> Result<Option<AnswerHead>, ForwardFailure> {
        let responder = &mut self.client.responder;
        let mut deadline = Deadline::new(self.settings.response_timeout);
        let mut continue_deadline = Deadline::new(CONTINUE_WAIT);
        let mut sent = 0;
        let mut interim = 0;
        loop {
            let head = poll_fn(|context| {
                loop {
                    if let Poll::Ready(head) = exchange.poll_head(context) {
                        return Poll::Ready(head.map(Some));
                    }
                    let (now_sent, waits_for_client) = exchange.progress();
                    if now_sent != sent || waits_for_client {
                        sent = now_sent;
                        deadline.restart();
                    }
                    if exchange.upload().waits() && continue_deadline.poll(context).is_ready() {
                        // RFC 9110 §10.1.1: whoever expects 100 need not wait for it for ever.
                        exchange.upload().go_on();
                        continue;
                    }
                    if deadline.poll(context).is_ready() {
                        return Poll::Ready(Err(ForwardFailure::ResponseTimedOut));
                    }
                    return responder.poll_closed(context).map(|()| Ok(None));
                }
            })
            .await?;
            match head {
                None => return Ok(None),
                Some(head) if head.status == 100 => exchange.upload().go_on(),
                Some(head) if head.status < 200 && head.status != 101 => {
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Err(ForwardFailure::Interim);
                    }
                    responder.inform(head.status, &head.fields);
                }
                Some(head) => return Ok(Some(head)),
            }
        }
    }
}

/// An attempt that failed, and what may be tried next.
struct Attempt {
    cause: ForwardFailure,
    next: Next,
}

enum Next {
    /// The same upstream, over another connection.
    Same,
    /// Another upstream.
    Other,
    /// Nothing: the upstream may have seen the request.
    Never,
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
    )
}

/// What a future gives; `None` when the client left before.
async fn unless_closed<F: Future>(future: F, responder: &mut Responder) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        responder.poll_closed(context).map(|()| None)
    })
    .await
}

/// Interim responses passed on for one request: the client may not take them as fast as they come.
const INTERIM_MAX: usize = 32;

/// How long an upstream is waited for to say `100 Continue`. As long as the usual clients wait.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
