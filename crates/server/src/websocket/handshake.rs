//! The handshake: which requests become connections, and what the application may say to it.
//!
//! The rules of RFC 6455 §4.2 and RFC 8441 are `tidegate_proto`'s; here are the component's: origins,
//! sub-protocols, compression, the event. Source: the component's OnHandshake, SecurityOptions,
//! Specifications.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tidegate_httpapi::{
    ConnectionId, Exchange, FieldBlock, KnownField, RequestHead, ResponseHead, Version,
};
use tidegate_proto::websocket as proto;
use tidegate_proto::websocket::{
    DeflateAgreement, HandshakeRules, is_extended_connect, is_upgrade,
};

use super::fallback::EventsHandshake;
use super::headers::KeptHead;
use super::protocol::SubProtocol;
use super::settings::WebSocketSettings;
use super::transport::Transport;
use crate::admission::Authentication;
use crate::component::Shared;
use crate::event::{PeerError, PeerFault, RequestIds};
use crate::http::{ContentLimits, Request};

/// What a lane gets with a connection.
pub(super) struct Opened {
    /// What it is numbered by.
    pub(super) id: ConnectionId,
    pub(super) transport: Transport,
    pub(super) accepted: Accepted,
}

/// What was agreed upon, and what is kept of the request.
pub(super) struct Accepted {
    pub(super) head: KeptHead,
    /// In milliseconds since the Unix epoch: half as long as a system time.
    created: u64,
    /// What most connections have not.
    agreed: Option<Box<Agreed>>,
}

/// What was agreed upon beyond the protocol itself.
#[derive(Default)]
pub(super) struct Agreed {
    pub(super) response: FieldBlock,
    pub(super) protocol: Option<Arc<str>>,
    /// The registered sub-protocol, if the one agreed upon is.
    pub(super) handler: Option<Arc<dyn SubProtocol>>,
    pub(super) deflate: Option<DeflateAgreement>,
    /// Who the peer was found to be.
    pub(super) authentication: Option<Authentication>,
    /// Options of this connection alone.
    pub(super) options: Option<Arc<WebSocketSettings>>,
}

impl Accepted {
    /// What is kept of a handshake that is being accepted.
    fn now(head: KeptHead, agreed: Agreed) -> Self {
        let is_usual = agreed.protocol.is_none()
            && agreed.response.is_empty()
            && agreed.deflate.is_none()
            && agreed.authentication.is_none()
            && agreed.options.is_none();
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            head,
            created: since_epoch.map_or(0, |time| time.as_millis() as u64),
            agreed: (!is_usual).then(|| Box::new(agreed)),
        }
    }

    pub(super) fn created(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.created)
    }

    pub(super) fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_deref()
    }

    pub(super) fn protocol(&self) -> Option<&str> {
        self.agreed()?.protocol.as_deref()
    }

    /// The registered sub-protocol that it speaks.
    #[inline]
    pub(super) fn handler(&self) -> Option<&dyn SubProtocol> {
        self.agreed()?.handler.as_deref()
    }

    pub(super) fn deflate(&self) -> Option<&DeflateAgreement> {
        self.agreed()?.deflate.as_ref()
    }

    #[inline]
    pub(super) fn target(&self) -> &[u8] {
        self.head.target()
    }
}

/// A WebSocket handshake that is in order, as [`on_handshake`](crate::Events::on_handshake) sees it.
pub struct Handshake<'a> {
    request: &'a Request<'a>,
    asked: &'a Asked<'a>,
}

/// What a client asks for, whatever is to carry it.
enum Asked<'a> {
    WebSocket(&'a proto::Handshake<'a>),
    Events(&'a EventsHandshake<'a>),
}

impl Asked<'_> {
    fn origin(&self) -> Option<&str> {
        match self {
            Self::WebSocket(parsed) => parsed.origin(),
            Self::Events(parsed) => parsed.origin,
        }
    }

    fn protocols(&self) -> impl Iterator<Item = &str> {
        let (socket, events) = match self {
            Self::WebSocket(parsed) => (Some(parsed.protocols()), None),
            Self::Events(parsed) => (None, Some(parsed.protocols.iter().map(|name| &**name))),
        };
        let events = events.into_iter().flatten();
        socket.into_iter().flatten().chain(events)
    }
}

impl<'a> Handshake<'a> {
    /// The request: its path, fields, cookies, addresses.
    pub fn request(&self) -> &'a Request<'a> {
        self.request
    }

    /// The origin of the page that asks, if it is one.
    pub fn origin(&self) -> Option<&str> {
        self.asked.origin()
    }

    /// The sub-protocols that the client offers, the ones it prefers first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.asked.protocols()
    }

    /// The `Sec-WebSocket-Key`, which there need not be on HTTP/2 nor over server-sent events.
    pub fn key(&self) -> Option<String> {
        self.request
            .header("Sec-WebSocket-Key")
            .map(|key| key.into_owned())
    }

    /// The extensions that the client offers, as received.
    pub fn extensions(&self) -> Option<String> {
        self.request
            .header("Sec-WebSocket-Extensions")
            .map(|extensions| extensions.into_owned())
    }
}

impl fmt::Debug for Handshake<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Handshake")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// The answer to a WebSocket handshake, to be completed. Left as it is, it accepts.
#[derive(Debug)]
pub struct HandshakeResponse {
    fields: FieldBlock,
    protocol: Option<Arc<str>>,
    /// Made when the application changes one.
    options: Option<WebSocketSettings>,
    settings: Arc<WebSocketSettings>,
    verdict: Verdict,
}

#[derive(Debug)]
enum Verdict {
    Accept,
    Refuse(u16),
    Pass,
}

impl HandshakeResponse {
    /// Adds a field. The fields of the upgrade itself are there already; a name or value that cannot
    /// be sent refuses the handshake with 500.
    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        let is_own = name.to_ascii_lowercase().starts_with("sec-websocket-")
            || matches!(
                KnownField::of(name.as_bytes()),
                KnownField::Connection
                    | KnownField::Upgrade
                    | KnownField::ContentLength
                    | KnownField::TransferEncoding
            );
        if is_own || self.fields.append(name, value).is_err() {
            tracing::error!(name, "a handshake's response cannot have this field");
            self.verdict = Verdict::Refuse(500);
        }
        self
    }

    /// Agrees to this sub-protocol, which must be one of those offered. By default it is the first
    /// offered that is [registered](crate::ServerBuilder::register_protocol).
    pub fn protocol(&mut self, name: impl Into<Arc<str>>) -> &mut Self {
        self.protocol = Some(name.into());
        self
    }

    /// Agrees to no sub-protocol, whichever are registered.
    pub fn no_protocol(&mut self) -> &mut Self {
        self.protocol = None;
        self
    }

    /// Changes options of this connection alone, compression included.
    pub fn configure(&mut self, change: impl FnOnce(&mut WebSocketSettings)) -> &mut Self {
        let settings = &self.settings;
        let options = self
            .options
            .get_or_insert_with(|| WebSocketSettings::clone(settings));
        change(options);
        self
    }

    /// Refuses, with this status (400 to 599).
    pub fn refuse(&mut self, status: u16) {
        self.verdict = Verdict::Refuse(if (400..600).contains(&status) {
            status
        } else {
            500
        });
    }

    /// Leaves the request to [`on_http_request`](crate::Events::on_http_request): it is no place for a
    /// WebSocket. On HTTP/2, where the request can be nothing else, it is answered with 501.
    pub fn pass(&mut self) {
        self.verdict = Verdict::Pass;
    }
}

/// Why a handshake was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It breaks a rule of RFC 6455 or RFC 8441.
    Rule(proto::HandshakeError),
    /// Its origin is not allowed.
    Origin(Box<str>),
}

impl HandshakeError {
    /// The status it was answered with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Rule(error) => error.status(),
            Self::Origin(_) => 403,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(error) => error.fmt(formatter),
            Self::Origin(origin) => write!(formatter, "the origin {origin} is not allowed"),
        }
    }
}

impl std::error::Error for HandshakeError {}

/// How a server takes handshakes.
pub(crate) struct Gate {
    settings: Arc<WebSocketSettings>,
    rules: HandshakeRules,
    /// For HTTP/1.1.
    is_open: bool,
    /// For HTTP/2.
    is_open_for_streams: bool,
}

impl Gate {
    pub(crate) fn new(settings: &WebSocketSettings, is_wanted: bool) -> Self {
        let security = &settings.security;
        Self {
            rules: HandshakeRules {
                enforce_version: security.enforce_websocket_version,
                validate_key: security.validate_websocket_key,
            },
            is_open: settings.rfc6455 && is_wanted,
            is_open_for_streams: settings.rfc8441 && is_wanted,
            settings: Arc::new(settings.clone()),
        }
    }

    pub(crate) fn settings(&self) -> &Arc<WebSocketSettings> {
        &self.settings
    }

    /// Whether WebSocket is spoken at all.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.is_open || self.is_open_for_streams
    }

    /// Whether this request is a handshake, to be given to [`take`](Self::take).
    #[inline]
    pub(crate) fn concerns(&self, head: &RequestHead<'_>) -> bool {
        match head.version() {
            Version::Http2 => self.is_open_for_streams && is_extended_connect(head),
            _ => {
                self.is_open
                    && head.fields.known(KnownField::Upgrade).is_some()
                    && head.method() == "GET"
                    && is_upgrade(head)
            }
        }
    }

    /// Answers a handshake, or gives it back as an ordinary request.
    pub(crate) fn take<'e>(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'e>,
    ) -> Option<Exchange<'e>> {
        match self.judge(shared, &exchange) {
            Ok(Some((head, opened))) => {
                if let Err(error) = exchange.upgrade(head, Box::new(opened)) {
                    tracing::error!(%error, "a handshake cannot be accepted");
                }
                None
            }
            Ok(None) => Some(exchange),
            Err(refusal) => {
                refusal.answer(shared, exchange, FieldBlock::new());
                None
            }
        }
    }

    /// `None`: it is an ordinary request.
    fn judge(
        &self,
        shared: &Arc<Shared>,
        exchange: &Exchange<'_>,
    ) -> Result<Option<(ResponseHead, Opened)>, Refusal> {
        let head = exchange.head();
        let parsed = proto::Handshake::parse(head, &self.rules)
            .map_err(|error| Refusal::of(HandshakeError::Rule(error)))?;
        let Some(mut agreed) = self.ask(shared, exchange, &Asked::WebSocket(&parsed))? else {
            return Ok(None);
        };
        let effective = agreed.options.as_ref().unwrap_or(&self.settings);
        let deflate = effective.per_message_deflate.to_proto();
        // The application may have changed it for this connection.
        if let Err(error) = deflate.check() {
            tracing::error!(%error, "compression as set for a connection is impossible");
            return Err(Refusal::with_status(500));
        }
        let deflate = DeflateAgreement::negotiate(parsed.extensions(), &deflate);
        let (agreement, extensions) = deflate.unzip();
        agreed.deflate = agreement;
        let mut answer = ResponseHead::new(parsed.status());
        let accepted = parsed.accept(
            &mut answer.fields,
            agreed.protocol.as_deref(),
            extensions.as_deref(),
        );
        // The driver writes this one.
        answer.fields.remove("Connection");
        let added = agreed
            .response
            .iter()
            .try_for_each(|field| answer.fields.append(field.name, field.value));
        if accepted.and(added).is_err() {
            return Err(Refusal::with_status(500));
        }
        let transport = Transport::of(head.version());
        let opened = Opened {
            id: transport.number(head),
            transport,
            accepted: Accepted::now(KeptHead::of(head), agreed),
        };
        Ok(Some((answer, opened)))
    }

    /// Judges a request for a connection over server-sent events. `None`: it is an ordinary request.
    pub(super) fn judge_events(
        &self,
        shared: &Arc<Shared>,
        exchange: &Exchange<'_>,
        parsed: &EventsHandshake<'_>,
    ) -> Result<Option<Opened>, Refusal> {
        let Some(agreed) = self.ask(shared, exchange, &Asked::Events(parsed))? else {
            return Ok(None);
        };
        let head = exchange.head();
        let transport = Transport::ServerSentEvents;
        let kept = KeptHead::in_lines(head, &parsed.target);
        Ok(Some(Opened {
            id: transport.number(head),
            transport,
            accepted: Accepted::now(kept, agreed),
        }))
    }

    /// Looks at the origin and asks the application. `None`: it is an ordinary request.
    fn ask(
        &self,
        shared: &Arc<Shared>,
        exchange: &Exchange<'_>,
        asked: &Asked<'_>,
    ) -> Result<Option<Agreed>, Refusal> {
        if !self.allows(asked.origin()) {
            let origin = asked.origin().unwrap_or_default();
            return Err(Refusal::of(HandshakeError::Origin(origin.into())));
        }
        let head = exchange.head();
        let request = Request::arriving(exchange, None, &ContentLimits::NONE);
        let registered = shared.websockets().protocols();
        let mut response = HandshakeResponse {
            fields: FieldBlock::new(),
            protocol: asked
                .protocols()
                .find(|name| registered.iter().any(|known| known.name() == *name))
                .map(Arc::from),
            options: None,
            settings: Arc::clone(&self.settings),
            verdict: Verdict::Accept,
        };
        let handshake = Handshake {
            request: &request,
            asked,
        };
        let events = shared.events();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            events.on_handshake(&handshake, &mut response);
        }));
        if let Err(payload) = told {
            let ids = RequestIds::of(head);
            events.panicked(Some(ids), &*payload);
            return Err(Refusal::with_status(500));
        }
        match response.verdict {
            Verdict::Accept => {}
            Verdict::Pass => return Ok(None),
            Verdict::Refuse(status) => return Err(Refusal::with_status(status)),
        }
        if let Some(name) = &response.protocol
            && !asked.protocols().any(|offered| *offered == **name)
        {
            // RFC 6455 §4.1: the client would have to fail the connection.
            tracing::error!(
                protocol = &**name,
                "the client has not offered the sub-protocol"
            );
            return Err(Refusal::with_status(500));
        }
        let handler = response.protocol.as_ref().and_then(|name| {
            let mut registered = registered.iter();
            registered.find(|known| known.name() == &**name).cloned()
        });
        Ok(Some(Agreed {
            response: response.fields,
            protocol: response.protocol,
            handler,
            deflate: None,
            authentication: request.authentication(),
            options: response.options.map(Arc::new),
        }))
    }

    /// Whether pages of this origin may connect.
    pub(super) fn allows(&self, origin: Option<&str>) -> bool {
        self.settings.security.origins_allowed.allows(origin)
    }
}

/// A handshake's refusal.
pub(super) struct Refusal {
    status: u16,
    fields: FieldBlock,
    error: Option<HandshakeError>,
}

impl Refusal {
    /// Answers with it, and with these fields, and tells the application if a rule was broken.
    pub(super) fn answer(self, shared: &Arc<Shared>, exchange: Exchange<'_>, fields: FieldBlock) {
        let ids = RequestIds::of(exchange.head());
        let mut head = ResponseHead::new(self.status);
        head.fields = self.fields;
        head.fields.extend(&fields);
        exchange.respond(head, Default::default());
        if let Some(error) = self.error {
            shared.events().peer_error(PeerError {
                connection_id: ids.connection,
                request_id: Some(ids.request),
                cause: PeerFault::Handshake(error),
            });
        }
    }

    pub(super) fn with_status(status: u16) -> Self {
        Self {
            status,
            fields: FieldBlock::new(),
            error: None,
        }
    }

    pub(super) fn of(error: HandshakeError) -> Self {
        let mut refusal = Self::with_status(error.status());
        if let HandshakeError::Rule(rule) = &error {
            for (name, value) in rule.fields() {
                // What a connection does next is the driver's to say.
                if *name != "Connection" {
                    // These names and values are fit to be sent.
                    let _ = refusal.fields.append(name, value);
                }
            }
        }
        refusal.error = Some(error);
        refusal
    }
}
