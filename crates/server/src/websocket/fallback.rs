//! Connections of clients that cannot open a WebSocket: over server-sent events, with requests the other way.
//!
//! What is said on the wire is in `fallback/wire.md`. A request that opens such a connection is judged by the gate
//! as a handshake is; the connection itself is one of a lane like all others, whose backend is the thread in `host`.
//! Source: the component's FallBack.ServerSentEvents.

mod answer;
mod batch;
mod carried;
mod charge;
mod events;
mod host;
mod inbox;
mod post;
mod session;
mod stream;
mod target;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tidegate_httpapi::{
    ApiError, Body, BodyError, BodyReader, ContentFraming, Exchange, FieldBlock, HandlerThreads,
    LaneHost, LaneWaker, RequestHead, Responder, Version,
};
use tidegate_proto::websocket::OriginList;

use self::carried::Arrival;
use self::charge::Charge;
use self::host::Host;
use self::inbox::{Inbox, Item};
use self::post::{Frames, Post, Reply};
use self::session::{Begun, Secret, Sessions, Turn};
use self::stream::{EventContent, EventQueue};
use super::handshake::{Gate, HandshakeError, Opened, Refusal};
use super::settings::WebSocketSettings;
use crate::component::Shared;
use crate::embedded;
use crate::traffic::Firewall;

/// A request to open a connection over server-sent events that obeys the rules.
pub(super) struct EventsHandshake<'a> {
    pub(super) origin: Option<&'a str>,
    pub(super) protocols: Vec<Box<str>>,
    /// As the application sees it.
    pub(super) target: Vec<u8>,
}

/// All such connections of a server, from its start to its stop.
pub(crate) struct Fallback {
    settings: Arc<WebSocketSettings>,
    /// Longest content of a request.
    content_bytes_max: u64,
    sessions: Arc<Sessions>,
    inbox: Arc<Inbox>,
    /// Guards who waits for it.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Fallback {
    /// `None`: there are to be none.
    pub(crate) fn new(
        settings: &WebSocketSettings,
        request_bytes_max: Option<u64>,
    ) -> Option<Self> {
        if !settings.fallback.server_sent_events.enabled {
            return None;
        }
        let message_bytes_max = match settings.max_message_size {
            0 => u64::MAX,
            bytes => bytes.saturating_mul(CONTENT_TO_MESSAGE),
        };
        let content_bytes_max = message_bytes_max.saturating_add(CONTENT_BYTES_MIN);
        Some(Self {
            settings: Arc::new(settings.clone()),
            content_bytes_max: content_bytes_max.min(request_bytes_max.unwrap_or(u64::MAX)),
            sessions: Arc::default(),
            inbox: Arc::default(),
            thread: Mutex::default(),
        })
    }

    /// Starts the thread. Handlers are called on it, or on these.
    pub(crate) fn start(
        &self,
        shared: &Arc<Shared>,
        threads: HandlerThreads,
        may_call_inline: bool,
        firewall: Option<Arc<Firewall>>,
    ) -> Result<(), ApiError> {
        let host = LaneHost {
            waker: LaneWaker::new(Arc::clone(&self.inbox) as _),
            threads,
            may_call_inline,
        };
        let (shared, settings) = (Arc::clone(shared), Arc::clone(&self.settings));
        let (sessions, inbox) = (Arc::clone(&self.sessions), Arc::clone(&self.inbox));
        let name = "tidegate-fallback".to_owned();
        let spawned = thread::Builder::new().name(name).spawn(move || {
            let mut host = Host::new(shared, (&settings, firewall), host, sessions, inbox);
            if catch_unwind(AssertUnwindSafe(|| host.run())).is_err() {
                tracing::error!("the thread of connections over server-sent events panicked");
            }
        });
        let thread = spawned.map_err(|error| ApiError::Start {
            what: "the thread of connections over server-sent events",
            source: error.into(),
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// The server begins to stop: connections are closed.
    pub(crate) fn begin_stop(&self) {
        let _ = self.inbox.push(Item::Stop);
    }

    /// The server has stopped: waits until every connection was told to have ended.
    pub(crate) fn end(&self) {
        let _ = self.inbox.push(Item::Quit);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // Its panic has been told.
            let _ = thread.join();
        }
    }

    /// Whether this request is to be given to [`take`](Self::take).
    #[inline]
    pub(crate) fn concerns(&self, head: &RequestHead<'_>) -> bool {
        target::is_asked_for(head.query()) && head.protocol().is_none()
    }

    /// Answers a request, or gives it back as an ordinary one.
    pub(crate) fn take<'e>(
        &self,
        shared: &Arc<Shared>,
        gate: &Gate,
        exchange: Exchange<'e>,
    ) -> Option<Exchange<'e>> {
        let head = exchange.head();
        let origin = match single(head, "Origin") {
            Ok(origin) => origin.map(str::from_utf8).transpose().ok(),
            Err(Repeated) => None,
        };
        let Some(origin) = origin else {
            refuse(
                exchange,
                400,
                "The origin is no text, or said twice.",
                no_store(),
            );
            return None;
        };
        let is_allowed = gate.allows(origin);
        let fields = match is_allowed {
            true => answer::fields(origin, self.origins()),
            false => no_store(),
        };
        match head.method() {
            "GET" => return self.open(shared, gate, exchange, fields),
            // What is told of it, an opening tells.
            _ if !is_allowed => {
                let origin = HandshakeError::Origin(origin.unwrap_or_default().into());
                refuse(exchange, 403, &format!("{origin}"), fields);
            }
            "POST" => self.receive(shared, exchange, fields),
            "OPTIONS" if let Some(head) = answer::preflight(head, fields.clone()) => {
                exchange.respond(head, Body::Empty);
            }
            _ => {
                let mut fields = fields;
                let _ = fields.append("Allow", "GET, POST, OPTIONS");
                refuse(
                    exchange,
                    405,
                    "Only GET and POST are answered here.",
                    fields,
                );
            }
        }
        None
    }

    fn origins(&self) -> &OriginList {
        &self.settings.security.origins_allowed
    }

    /// Opens a connection.
    fn open<'e>(
        &self,
        shared: &Arc<Shared>,
        gate: &Gate,
        exchange: Exchange<'e>,
        fields: FieldBlock,
    ) -> Option<Exchange<'e>> {
        let judged = self.judge(shared, gate, &exchange);
        let opened = match judged {
            Ok(Some(opened)) => opened,
            Ok(None) => return Some(exchange),
            Err(refusal) => {
                refusal.answer(shared, exchange, fields);
                return None;
            }
        };
        let Some(secret) = new_secret() else {
            tracing::error!("the system gives no random numbers");
            refuse(exchange, 500, "", fields);
            return None;
        };
        let session = self.sessions.open(secret, exchange.head().cooked_path);
        let queue = Arc::new(EventQueue::default());
        let accepted = &opened.accepted;
        let mut first = Vec::new();
        let retry = self.settings.fallback.server_sent_events.retry;
        events::write_open(&mut first, retry, &secret.told(), accepted.protocol());
        queue.push(first.into(), 0);
        let none = FieldBlock::new();
        let application = accepted.agreed().map_or(&none, |agreed| &agreed.response);
        let head = answer::stream_head(application, &fields);
        let arrival = Arrival {
            opened,
            peer: exchange.peer(),
            local: exchange.local(),
            session: Arc::clone(&session),
            queue: Arc::clone(&queue),
        };
        if self.inbox.push(Item::Open(Box::new(arrival))).is_err() {
            self.sessions.remove(&session);
            refuse(exchange, 503, "The server stops.", fields);
            return None;
        }
        // Whatever becomes of it, its being dropped ends the connection.
        let source = Box::new(EventContent {
            key: session.key,
            queue,
            inbox: Arc::clone(&self.inbox),
        });
        let length = None;
        exchange.respond(head, Body::Stream { length, source });
        None
    }

    /// `None`: it is an ordinary request.
    fn judge(
        &self,
        shared: &Arc<Shared>,
        gate: &Gate,
        exchange: &Exchange<'_>,
    ) -> Result<Option<Opened>, Refusal> {
        let head = exchange.head();
        let query = head.query().unwrap_or_default();
        let origin = head.fields.value("Origin");
        let origin = origin.as_deref().map(str::from_utf8).transpose();
        let parsed = match (head.framing, origin, target::protocols(query)) {
            (ContentFraming::None, Ok(origin), Some(protocols)) => EventsHandshake {
                origin,
                protocols,
                target: target::without_parameters(head.target(), query),
            },
            _ => return Err(Refusal::with_status(400)),
        };
        gate.judge_events(shared, exchange, &parsed)
    }

    /// Takes what a client says.
    fn receive(&self, shared: &Arc<Shared>, exchange: Exchange<'_>, fields: FieldBlock) {
        let turn = match self.begin(exchange.head()) {
            Ok(turn) => turn,
            Err(Fault::Repeated) => return refuse(exchange, 204, "", fields),
            Err(fault) => {
                let mut fields = fields;
                if let Fault::OutOfOrder(next) = fault {
                    let _ = fields.append(answer::NUMBER, next.to_string());
                }
                return refuse(exchange, fault.status(), fault.text(), fields);
            }
        };
        let (length, content_bytes_max) = (exchange.head().framing, self.content_bytes_max);
        if matches!(length, ContentFraming::Length(length) if length > content_bytes_max) {
            drop(turn);
            return refuse(exchange, 413, "The content is too long.", fields);
        }
        let mut charge = Charge::none(shared);
        let Some(content) = exchange.content() else {
            let deferred = exchange.defer();
            let (body, responder) = (deferred.body, deferred.responder);
            return self.receive_later(shared, (turn, charge), body, (responder, fields));
        };
        // From here on its turn is over before it is answered that nothing was taken: it may come again at once.
        if content.len() as u64 > content_bytes_max {
            drop(turn);
            return refuse(exchange, 413, "The content is too long.", fields);
        }
        if !charge.add(content.len()) {
            drop(turn);
            return refuse(exchange, 503, "There is no memory left.", fields);
        }
        match batch::frames(content) {
            Ok(frames) => {
                let reply = Reply::new(exchange.defer().responder, fields);
                deliver(&self.inbox, (turn, Frames::new(frames, charge)), reply);
            }
            Err(error) => {
                drop(turn);
                refuse(exchange, 400, &malformed(&error), fields);
            }
        }
    }

    /// Takes what a client says as it arrives. No thread is held meanwhile.
    fn receive_later(
        &self,
        shared: &Arc<Shared>,
        (turn, mut charge): (Turn, Charge),
        mut body: BodyReader,
        (responder, fields): (Responder, FieldBlock),
    ) {
        let reply = Reply::new(responder, fields);
        let Ok(runtime) = shared.runtime().handle() else {
            return reply.answer(503);
        };
        body.limit(self.content_bytes_max);
        let inbox = Arc::clone(&self.inbox);
        runtime.spawn(async move {
            let content = match collect(&mut body, &mut charge).await {
                Ok(content) => content,
                Err(status) => {
                    drop(turn);
                    return reply.give_up(status);
                }
            };
            // Long content takes a while.
            let parsed = tokio::task::spawn_blocking(move || batch::frames(&content)).await;
            match parsed {
                Ok(Ok(frames)) => deliver(&inbox, (turn, Frames::new(frames, charge)), reply),
                Ok(Err(error)) => {
                    drop(turn);
                    reply.answer_with(400, malformed(&error));
                }
                // The runtime ends.
                Err(_) => {
                    drop(turn);
                    reply.answer(503);
                }
            }
        });
    }

    /// Whose request it is, and whether it is its turn.
    fn begin(&self, head: &RequestHead<'_>) -> Result<Turn, Fault> {
        let secret = single(head, answer::SESSION);
        let secret = secret.map_err(|Repeated| Fault::Session)?;
        let secret = secret.and_then(Secret::parse).ok_or(Fault::Session)?;
        let session = self.sessions.find(&secret, head.cooked_path);
        let session = session.ok_or(Fault::NoSession)?;
        let number = single(head, answer::NUMBER).map_err(|Repeated| Fault::Number)?;
        let number = number.and_then(parse_number).ok_or(Fault::Number)?;
        match session.begin(number) {
            Begun::Next(turn) => Ok(turn),
            Begun::Repeated => Err(Fault::Repeated),
            Begun::Busy => Err(Fault::Busy),
            Begun::OutOfOrder(next) => Err(Fault::OutOfOrder(next)),
        }
    }
}

/// A server that fails to start drops it so.
impl Drop for Fallback {
    fn drop(&mut self) {
        let _ = self.inbox.push(Item::Quit);
    }
}

/// Why a request is not taken.
#[derive(Clone, Copy)]
enum Fault {
    /// There is no secret, or no such one can be.
    Session,
    NoSession,
    Number,
    /// It is none: the request has been taken before.
    Repeated,
    Busy,
    OutOfOrder(u64),
}

impl Fault {
    fn status(self) -> u16 {
        match self {
            Self::Session | Self::Number => 400,
            Self::NoSession => 404,
            Self::Repeated => 204,
            Self::Busy => 429,
            Self::OutOfOrder(_) => 409,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Session => "Tidegate-Session is not 32 hexadecimal digits.",
            Self::NoSession => "There is no such session here.",
            Self::Number => "Tidegate-Number is not a number.",
            Self::Repeated => "",
            Self::Busy => "The request before this one has not been answered.",
            Self::OutOfOrder(_) => "Tidegate-Number is not the next number.",
        }
    }
}

/// Leaves a request's messages with the thread. When that has ended, so has the connection, as the reply says.
fn deliver(inbox: &Inbox, (turn, frames): (Turn, Frames), reply: Reply) {
    drop(inbox.push(Item::Post(Box::new(Post {
        turn,
        frames,
        reply,
    }))));
}

/// All content. An error is the status to answer with, if there is anybody to be answered.
async fn collect(body: &mut BodyReader, charge: &mut Charge) -> Result<Vec<u8>, Option<u16>> {
    let mut content = Vec::new();
    loop {
        match body.chunk().await {
            Ok(None) => return Ok(content),
            Ok(Some(chunk)) if charge.add(chunk.len()) => content.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(Some(503)),
            Err(BodyError::TooLarge { .. }) => return Err(Some(413)),
            Err(BodyError::TimedOut) => return Err(Some(408)),
            Err(_) => return Err(None),
        }
    }
}

fn refuse(exchange: Exchange<'_>, status: u16, text: &str, fields: FieldBlock) {
    let (mut head, content) = answer::told(status, text.to_owned(), fields);
    // Of content that has yet to arrive, or is too long, nothing more is wanted.
    let is_unread = status == 413 || exchange.content().is_none();
    head.close = is_unread && exchange.head().version() < Version::Http2;
    exchange.respond(head, content);
}

fn no_store() -> FieldBlock {
    answer::fields(None, &OriginList::default())
}

fn malformed(error: &serde_json::Error) -> String {
    format!("The content is not a list of messages: {error}.")
}

fn new_secret() -> Option<Secret> {
    let mut secret = [0; 16];
    let random = embedded::tls_provider().secure_random;
    random.fill(&mut secret).ok()?;
    Some(Secret(secret))
}

/// Digits alone, of which the first is no zero.
fn parse_number(digits: &[u8]) -> Option<u64> {
    let is_number = digits.first() != Some(&b'0') && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits)
        .ok()?
        .parse()
        .ok()
        .filter(|_| is_number)
}

/// A field stands there more than once.
struct Repeated;

/// The value of a field that may stand there once.
fn single<'a>(head: &RequestHead<'a>, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
    let mut lines = head
        .fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value);
    match (lines.next(), lines.next()) {
        (line, None) => Ok(line),
        _ => Err(Repeated),
    }
}

/// A character of a text takes up to six bytes in JSON, a byte in base64 less than two; and there is room for
/// several messages.
const CONTENT_TO_MESSAGE: u64 = 8;
const CONTENT_BYTES_MIN: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits() {
        assert_eq!(parse_number(b"1"), Some(1));
        assert_eq!(parse_number(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            "1 ",
            "1.0",
            "18446744073709551616",
            "ä",
        ] {
            assert_eq!(parse_number(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn content_is_bounded_by_requests_and_by_messages() {
        let mut settings = WebSocketSettings::default();
        assert!(Fallback::new(&settings, None).is_none(), "it is off");
        settings.fallback.server_sent_events.enabled = true;
        let bound = |settings: &WebSocketSettings, requests| {
            Fallback::new(settings, requests).unwrap().content_bytes_max
        };
        assert_eq!(bound(&settings, Some(1_000_000)), 1_000_000);
        settings.max_message_size = 1000;
        assert_eq!(bound(&settings, Some(1_000_000)), 8_000 + 65_536);
        settings.max_message_size = 0;
        assert_eq!(bound(&settings, None), u64::MAX);
    }

    #[test]
    fn secrets_are_not_the_same() {
        let (one, other) = (new_secret().unwrap(), new_secret().unwrap());
        assert!(one != other);
    }
}
