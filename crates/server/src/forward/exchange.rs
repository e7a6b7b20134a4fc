//! One request and its response at an upstream, in whichever version of HTTP; and the response's content as
//! the driver takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tidegate_httpapi::{BodySource, FieldBlock, Trailers};
use tokio::time::{Instant, Sleep};

use super::error::ForwardFailure;
use super::upload::Upload;
use super::upstream::http1::Http1;
use super::upstream::http2::Http2;
use super::upstream::{AnswerHead, BoxIo, InFlight};

/// One request and its response.
pub(super) enum Exchange {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

impl Exchange {
    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, ForwardFailure>> {
        match self {
            Self::Http1(http1) => http1.poll_head(context),
            Self::Http2(http2) => http2.poll_head(context),
        }
    }

    pub(super) fn upload(&mut self) -> &mut Upload {
        match self {
            Self::Http1(http1) => http1.upload(),
            Self::Http2(http2) => http2.upload(),
        }
    }

    /// Whether the upstream has said anything.
    pub(super) fn has_received(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.has_received(),
            Self::Http2(http2) => http2.has_received(),
        }
    }

    /// How much of the request has been sent, and whether it is the client that has to send more.
    pub(super) fn progress(&mut self) -> (u64, bool) {
        match self {
            Self::Http1(http1) => (http1.sent(), http1.waits_for_client()),
            Self::Http2(http2) => (http2.sent(), http2.waits_for_client()),
        }
    }

    /// All content, if it is there already.
    pub(super) fn whole_content(&mut self) -> Option<Bytes> {
        match self {
            Self::Http1(http1) => http1.whole_content(),
            Self::Http2(http2) => http2.whole_content(),
        }
    }

    pub(super) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        match self {
            Self::Http1(http1) => http1.poll_chunk(context),
            Self::Http2(http2) => http2.poll_chunk(context),
        }
    }

    /// Whether nothing more is to come.
    fn has_ended(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.has_ended(),
            Self::Http2(_) => false,
        }
    }

    fn take_trailers(&mut self) -> Option<Trailers> {
        match self {
            Self::Http1(http1) => http1.take_trailers(),
            Self::Http2(http2) => http2.take_trailers(),
        }
    }

    /// Request and response have ended: what can carry another request is kept.
    pub(super) fn finish(self, in_flight: &InFlight) {
        if let Self::Http1(http1) = self
            && let Some(connection) = http1.into_reusable()
        {
            in_flight.upstream().keep(connection);
        }
    }

    /// The connection after an upgrade, and what came behind the head.
    pub(super) fn into_tunnel(self) -> Option<(BoxIo, Bytes)> {
        match self {
            Self::Http1(http1) => http1.into_tunnel(),
            Self::Http2(_) => None,
        }
    }
}

/// A response's content on its way from an upstream to the client.
pub(super) struct Passing {
    /// `None` once it has ended.
    exchange: Option<Exchange>,
    in_flight: InFlight,
    deadline: Deadline,
    sent: u64,
    trailers: Option<Trailers>,
}

impl Passing {
    pub(super) fn new(exchange: Exchange, in_flight: InFlight, idle_timeout: Duration) -> Self {
        Self {
            exchange: Some(exchange),
            in_flight,
            deadline: Deadline::new(idle_timeout),
            sent: 0,
            trailers: None,
        }
    }

    fn finish(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            self.trailers = exchange.take_trailers();
            exchange.finish(&self.in_flight);
        }
    }

    fn failed(&mut self, error: io::Error) -> io::Error {
        self.exchange = None;
        let upstream = &self.in_flight.upstream().url;
        tracing::warn!(%upstream, %error, "a response could not be passed on to its end");
        error
    }
}

impl BodySource for Passing {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(exchange) = &mut self.exchange else {
            return Poll::Ready(None);
        };
        match exchange.poll_chunk(context) {
            Poll::Ready(Some(Ok(piece))) => {
                self.deadline.restart();
                if exchange.has_ended() {
                    // Whoever knows the length need not ask for the end.
                    self.finish();
                }
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.failed(error)))),
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let (sent, waits_for_client) = exchange.progress();
                if waits_for_client || sent != self.sent {
                    self.sent = sent;
                    self.deadline.restart();
                }
                if self.deadline.poll(context).is_pending() {
                    return Poll::Pending;
                }
                let error = "the upstream paused too long within the content";
                let error = io::Error::new(io::ErrorKind::TimedOut, error);
                Poll::Ready(Some(Err(self.failed(error))))
            }
        }
    }

    fn trailers(&mut self) -> Option<FieldBlock> {
        let trailers = self.trailers.take()?;
        let mut block = FieldBlock::new();
        for field in trailers.iter() {
            // One that may not be sent is left out: the content before it is whole.
            let _ = block.append(field.name, field.value);
        }
        Some(block)
    }
}

/// A time that must not pass without progress. Costs nothing as long as nothing has to be waited for.
pub(super) struct Deadline {
    after: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    restarts: bool,
}

impl Deadline {
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            sleep: None,
            restarts: false,
        }
    }

    /// There was progress.
    pub(super) fn restart(&mut self) {
        self.restarts = true;
    }

    /// Ready once the time has passed. Within the runtime.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let restarts = std::mem::take(&mut self.restarts);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if restarts {
                    sleep.as_mut().reset(Instant::now() + self.after);
                }
                sleep
            }
            None => self.sleep.insert(Box::pin(tokio::time::sleep(self.after))),
        };
        sleep.as_mut().poll(context)
    }
}
