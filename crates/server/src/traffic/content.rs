//! Content of requests, looked at by the firewall: the beginning of forms and of JSON.
//!
//! Content that is there when the application would be called is looked at then. Of content that arrives as it is
//! read, the beginning is held back from who reads it until it has been looked at; the rest passes. What is refused
//! then is an error to the reader, and whatever he answers, the client gets 403. Uploads and other content is not
//! looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use tidegate_httpapi::{
    Body, BodyError, BodyReader, ReceiveBody, RequestHead, ResponseHead, Trailers, Version,
};

use super::firewall::{Culprit, Firewall};
use crate::component::Shared;

/// How content is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ContentForm {
    /// Names and values, as in a query.
    Form,
    /// JSON.
    Json,
}

impl ContentForm {
    /// How a request's content is written; `None` if it is not one of these.
    pub(super) fn of(head: &RequestHead<'_>) -> Option<Self> {
        let value = head.field("Content-Type")?;
        let value = std::str::from_utf8(&value).ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        let ends_with_json = essence
            .len()
            .checked_sub("+json".len())
            .and_then(|at| essence.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case("+json"));
        if is("application/x-www-form-urlencoded") {
            Some(Self::Form)
        } else if is("application/json") || is("text/json") || ends_with_json {
            Some(Self::Json)
        } else {
            None
        }
    }
}

/// What is to be looked at of one request's content.
pub(super) struct Scan {
    firewall: Arc<Firewall>,
    shared: Arc<Shared>,
    culprit: Culprit,
    form: ContentForm,
    /// Of HTTP/1 the connection ends with the refusal.
    closes: bool,
    is_refused: AtomicBool,
}

impl Scan {
    pub(super) fn new(
        firewall: &Arc<Firewall>,
        shared: &Arc<Shared>,
        culprit: Culprit,
        form: ContentForm,
        version: Version,
    ) -> Arc<Self> {
        Arc::new(Self {
            firewall: Arc::clone(firewall),
            shared: Arc::clone(shared),
            culprit,
            form,
            closes: version < Version::Http2,
            is_refused: AtomicBool::new(false),
        })
    }

    /// A reader of the content, which looks at it.
    pub(super) fn reader(self: &Arc<Self>, body: BodyReader) -> BodyReader {
        if body.is_end() {
            return body;
        }
        BodyReader::new(Box::new(ScannedBody {
            inner: body,
            state: State::Gathering(Vec::new()),
            scan: Arc::clone(self),
        }))
    }

    /// Puts the refusal in place of an answer to what was refused.
    pub(super) fn replace(&self, head: &mut ResponseHead, body: &mut Body) {
        // Acquire: pairs with the Release of who refused it.
        if self.is_refused.load(Ordering::Acquire) {
            *head = ResponseHead::new(403);
            head.close = self.closes;
            *body = Body::Empty;
        }
    }

    /// Whether this may pass.
    fn look(&self, beginning: &[u8]) -> bool {
        let events = self.shared.events();
        let passes = self
            .firewall
            .content(events, self.culprit, self.form, beginning);
        if !passes {
            self.is_refused.store(true, Ordering::Release);
        }
        passes
    }
}

struct ScannedBody {
    inner: BodyReader,
    state: State,
    scan: Arc<Scan>,
}

enum State {
    /// The beginning is held back.
    Gathering(Vec<u8>),
    /// It has been looked at.
    Passing,
    Refused,
}

impl ReceiveBody for ScannedBody {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            let gathered = match &mut self.state {
                State::Passing => return self.inner.poll_chunk(context),
                State::Refused => return Poll::Ready(Err(BodyError::Forbidden)),
                State::Gathering(gathered) => gathered,
            };
            let chunk = std::task::ready!(self.inner.poll_chunk(context))?;
            let is_end = chunk.is_none();
            gathered.extend_from_slice(chunk.as_deref().unwrap_or_default());
            if !is_end && gathered.len() < self.scan.firewall.scan_bytes_max() {
                continue;
            }
            let gathered = std::mem::take(gathered);
            if !self.scan.look(&gathered) {
                self.state = State::Refused;
                continue;
            }
            self.state = State::Passing;
            if !gathered.is_empty() {
                return Poll::Ready(Ok(Some(gathered.into())));
            }
        }
    }

    fn trailers(&mut self) -> Trailers {
        self.inner.trailers().clone()
    }
}
