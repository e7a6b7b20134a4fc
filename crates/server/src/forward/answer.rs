//! What becomes of an upstream's answer, or of its failure: past the application to the client.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tidegate_httpapi::{Body, BodyReader, BodySource, Deferred, KnownField, ResponseHead};
use tidegate_proto::websocket::accept_key;

use super::error::{ForwardError, ForwardFailure};
use super::exchange::{Exchange, Passing};
use super::head::{Outgoing, WebSocketAsked};
use super::serve::{Answered, Client, Job};
use super::tunnel::Opening;
use super::upstream::{AnswerHead, InFlight};
use crate::http::{Guarded, LeftContent, OwnedRequest, Response};

impl Job {
    /// Passes an answer on.
    pub(super) fn pass_on(mut self, answered: Answered, outgoing: &Outgoing) {
        let Answered {
            mut head,
            mut exchange,
            in_flight,
        } = answered;
        let upstream = in_flight.upstream().url.to_string();
        let refuse = |job: Self| {
            job.fail(ForwardError {
                upstream: Some(upstream),
                cause: ForwardFailure::Upgrade,
            });
        };
        if let Some(asked) = &outgoing.websocket {
            match (head.status, asked) {
                (101, _) if accepts(&head, asked) => {
                    return self.upgrade(head, exchange, in_flight, asked);
                }
                // The client would take a 2xx for the consent that the upstream did not give.
                (101, _) | (200..300, WebSocketAsked::Connect { .. }) => return refuse(self),
                _ => {}
            }
        }
        if let Err(cause) = self.change_fields(&mut head) {
            let upstream = Some(in_flight.upstream().url.to_string());
            return self.fail(ForwardError { upstream, cause });
        }
        let is_head = &*outgoing.method == "HEAD";
        let mut answer = ResponseHead::new(head.status);
        answer.reason = head.reason.map(Into::into);
        answer.fields = head.fields;
        let content = if is_head || head.status == 304 {
            exchange.whole_content();
            exchange.finish(&in_flight);
            match head.told_length {
                Some(length) => {
                    // Digits are a field value.
                    let _ = answer.fields.set("Content-Length", length.to_string());
                    Body::Empty
                }
                // That the content has no length is told, too.
                None => Body::Stream {
                    length: None,
                    source: Box::new(Nothing),
                },
            }
        } else if let Some(content) = exchange.whole_content() {
            exchange.finish(&in_flight);
            match content.is_empty() {
                true => Body::Empty,
                false => Body::Shared(content),
            }
        } else {
            // Whoever knows the length does not ask for what comes behind the content.
            let has_trailers = answer.fields.contains(KnownField::Trailer);
            let length = head.length.filter(|_| !has_trailers);
            let passing = Passing::new(exchange, in_flight, self.settings.idle_timeout);
            Body::Stream {
                length,
                source: Box::new(Guarded {
                    source: Box::new(passing),
                    trailers: None,
                    shared: Arc::clone(&self.shared),
                    ids: self.client.ids,
                }),
            }
        };
        self.finish(answer, content, None);
    }

    fn change_fields(&mut self, head: &mut AnswerHead) -> Result<(), ForwardFailure> {
        let settings = &self.settings;
        for name in &settings.remove_response_fields {
            head.fields.remove(name);
        }
        for (name, value) in &settings.set_response_fields {
            let set = head.fields.set(name, value);
            set.map_err(ForwardFailure::Field)?;
        }
        Ok(())
    }

    /// Gives the client's connection to its lane, with the upstream's.
    fn upgrade(
        self,
        mut head: AnswerHead,
        exchange: Exchange,
        in_flight: InFlight,
        asked: &WebSocketAsked,
    ) {
        let mut answer = ResponseHead::new(101);
        if let WebSocketAsked::Connect { .. } = asked {
            // RFC 8441 §5: in HTTP/2 there is neither key nor upgrade.
            answer.status = 200;
            head.fields.remove("Sec-WebSocket-Accept");
        } else if head.fields.append("Upgrade", "websocket").is_err() {
            return;
        }
        answer.fields = head.fields;
        let Some((io, first)) = exchange.into_tunnel() else {
            return;
        };
        let opening = Opening {
            io,
            first,
            in_flight,
            idle_timeout: self.settings.websocket_idle_timeout,
        };
        let Client {
            head, responder, ..
        } = self.client;
        let opening = Box::new(opening);
        if let Err(error) = responder.upgrade(&head.as_head(), answer, opening) {
            tracing::error!(%error, "a WebSocket connection cannot be passed on");
        }
    }

    /// Answers in place of an upstream.
    pub(super) fn fail(self, error: ForwardError) {
        let status = error.status();
        let ids = self.client.ids;
        if let ForwardFailure::Content(cause) = error.cause {
            let failed = std::io::Error::from(cause);
            self.shared.events().content_failed(ids, failed);
        } else {
            tracing::warn!(
                connection = ids.connection.0,
                request = ids.request.0,
                status,
                "{error}"
            );
        }
        self.finish(ResponseHead::new(status), Body::Empty, Some(error));
    }

    /// Answers, after the application has looked at the answer if it wants to.
    fn finish(self, answer: ResponseHead, content: Body, error: Option<ForwardError>) {
        if !self.is_watched {
            return self.client.responder.respond(answer, content);
        }
        match self.shared.runtime().handle() {
            Ok(runtime) => {
                let runtime = runtime.clone();
                runtime.spawn(async move { self.tell(answer, content, error) });
            }
            Err(_) => self.tell(answer, content, error),
        }
    }

    /// Has the application look at the answer, and answers.
    fn tell(self, answer: ResponseHead, content: Body, error: Option<ForwardError>) {
        let Client {
            head,
            peer,
            local,
            tls,
            auth,
            mut responder,
            ids,
        } = self.client;
        let (shared, limits) = (&self.shared, &self.limits);
        let mut response = Response::prefilled(answer, content);
        let ends = (peer.clone(), local.clone(), tls.clone(), auth.clone());
        let content = (Some(BodyReader::empty()), None);
        let request = OwnedRequest::taken(head.clone(), content, ends, limits);
        let told = catch_unwind(AssertUnwindSafe(|| {
            let events = shared.events();
            events.on_after_forward_http(&request, &mut response, error.as_ref());
        }));
        if let Err(payload) = told {
            // The responder is dropped, which sends 500.
            return shared.events().panicked(Some(ids), &*payload);
        }
        let (interim, deferral) = response.take_deferral();
        for (status, fields) in &interim {
            responder.inform(*status, fields);
        }
        if let Some(deferral) = deferral {
            let deferred = Deferred {
                head,
                body: BodyReader::empty(),
                peer,
                local,
                tls,
                auth,
                responder,
            };
            let left = (LeftContent::WithExchange, None);
            return deferral.run(deferred, left, response, (shared, limits, false));
        }
        if let Some(reset) = response.wants_reset() {
            return responder.reset(reset);
        }
        let (answer, content) = response.finish(shared, &head.as_head());
        responder.respond(answer, content);
    }
}

/// Whether a 101 agrees to what was asked.
fn accepts(head: &AnswerHead, asked: &WebSocketAsked) -> bool {
    let is_websocket = head
        .upgrade
        .as_deref()
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
    is_websocket
        && match asked {
            // The client has the key, and checks for itself.
            WebSocketAsked::Upgrade => true,
            WebSocketAsked::Connect { key } => {
                let accepted = accept_key(key.as_bytes());
                head.fields.value("Sec-WebSocket-Accept") == Some(&accepted)
            }
        }
}

/// Content that is never asked for.
struct Nothing;

impl BodySource for Nothing {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        Poll::Ready(None)
    }
}
