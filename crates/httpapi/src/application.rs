//! The seam: what a backend calls, and what an application answers through.
//!
//! The backend pushes: it calls [`Application::request`] with an [`Exchange`], on the thread that read
//! the request or on a handler thread. The application answers through the exchange at once, which
//! costs no allocation and no lock, or takes a [`Deferred`] out of it and answers later from any
//! thread. A third way to end an exchange is to upgrade its connection: see [`opaque`](crate::OpaqueLane).

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::body::BodyReader;
use crate::error::ApiError;
use crate::field::KnownField;
use crate::field_block::FieldBlock;
use crate::home::HomeThread;
use crate::opaque::{LaneHost, NoLane, OpaqueLane, Opening};
use crate::request::{ConnectionId, ContentFraming, OwnedRequestHead, RequestHead, Version};
use crate::response::{Body, ResponseHead, StreamReset};
use crate::tls::TlsInfo;

/// What the backend calls. One per request queue.
pub trait Application: Send + Sync {
    /// A request has arrived. Answer through `exchange` now, or [defer](Exchange::defer) it.
    ///
    /// Dropping the exchange unanswered sends 500 and is counted; so does a panic.
    fn request(&self, exchange: Exchange<'_>);

    /// Speaks for the connections that this application [upgrades](Exchange::upgrade) on the calling
    /// thread. Called before the first of them, again only after the queue was closed.
    ///
    /// An application that upgrades none need not have it.
    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        let _ = host;
        Box::new(NoLane)
    }
}

/// Asked about each connection before its first byte is read.
pub trait ConnectionFilter: Send + Sync {
    /// Whether the connection may stay. Called on the worker thread: it must not block.
    fn connected(&self, connection: &ConnectionInfo) -> Admission;
}

/// What a [`ConnectionFilter`] says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// The connection is served.
    Accept,
    /// The connection is dropped at once, without an answer.
    Refuse,
}

/// Where a connection comes from and where it arrived.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Names the connection.
    pub connection_id: ConnectionId,
    /// The peer's address.
    pub peer: PeerAddress,
    /// The local address it arrived at.
    pub local: PeerAddress,
}

/// One end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PeerAddress {
    /// An IP address and TCP port.
    Tcp(SocketAddr),
    /// A Unix socket; `None` when it has no name, as the connecting end mostly has none.
    Unix(Option<PathBuf>),
    /// The system no longer knows: the connection has ended.
    Unknown,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(Some(path)) => write!(formatter, "unix:{}", path.display()),
            Self::Unix(None) => formatter.write_str("unix:"),
            Self::Unknown => formatter.write_str("-"),
        }
    }
}

/// Who a peer was found to be, as whoever found it knows it. Source: the HTTP Server API's
/// `HTTP_REQUEST_AUTH_INFO`, which goes with a request in the same way.
pub type AuthInfo = Arc<dyn Any + Send + Sync>;

/// What a backend does for an [`Exchange`].
pub trait ExchangeBackend {
    /// Whether the thread that called the application may be blocked.
    fn may_block(&self) -> bool;
    /// Whether the application was called with this request before, and had it moved here.
    fn was_moved(&self) -> bool {
        false
    }
    /// Takes the content out, to be read piece by piece.
    fn take_body(&mut self) -> BodyReader;
    /// The address of the peer.
    fn peer(&self) -> PeerAddress;
    /// The local address of the connection.
    fn local(&self) -> PeerAddress;
    /// What secures the connection.
    fn tls(&self) -> Option<Arc<TlsInfo>> {
        None
    }
    /// Who the peer was found to be; a backend does not look for that itself.
    fn auth(&self) -> Option<AuthInfo> {
        None
    }
    /// Memory to build a response's fields or content in; the backend takes it back with the answer.
    fn spare_memory(&mut self) -> Vec<u8>;
    /// Sends an interim response. RFC 9110 §15.2.
    fn inform(&mut self, status: u16, fields: &FieldBlock);
    /// Answers. Called at most once, and last.
    fn respond(&mut self, head: ResponseHead, body: Body);
    /// Answers with 101, or 200 to an extended CONNECT, and gives the connection or the stream to the
    /// application's lane. Called at most once, and last, and only for a request that
    /// [can be upgraded](Exchange::can_upgrade).
    fn upgrade(&mut self, head: ResponseHead, opening: Opening);
    /// Ends an HTTP/2 stream with this code, an HTTP/1 connection with a reset. Called at most once, and
    /// last.
    fn reset(&mut self, reset: StreamReset);
    /// Ends the exchange without an answer: 500. Called at most once, and last.
    fn abandon(&mut self);
    /// Makes the exchange independent of the calling thread. Called at most once, and last.
    fn defer(&mut self) -> Deferred;
    /// Calls the application again on a handler thread, where it may block. Called at most once, and
    /// last, and only when [`may_block`](Self::may_block) is false.
    fn move_to_handler_thread(&mut self);
}

/// What of a request is at hand when the application is called.
#[derive(Clone, Copy, Debug)]
pub struct AtHand<'a> {
    /// The head of the request.
    pub head: &'a RequestHead<'a>,
    /// The whole content, when it has already arrived or there is none.
    pub content: Option<&'a [u8]>,
}

/// One request and the duty to answer it.
pub struct Exchange<'a> {
    at_hand: AtHand<'a>,
    backend: &'a mut dyn ExchangeBackend,
    ended: bool,
}

impl<'a> Exchange<'a> {
    /// An exchange over what a backend holds.
    #[inline]
    pub fn new(at_hand: AtHand<'a>, backend: &'a mut dyn ExchangeBackend) -> Self {
        Self {
            at_hand,
            backend,
            ended: false,
        }
    }

    /// The head of the request.
    #[inline]
    pub fn head(&self) -> &'a RequestHead<'a> {
        self.at_hand.head
    }

    /// The whole content, when it has already arrived or there is none, until it is taken out.
    #[inline]
    pub fn content(&self) -> Option<&'a [u8]> {
        self.at_hand.content
    }

    /// Whether the calling thread may be blocked, for reading content or anything else.
    pub fn may_block(&self) -> bool {
        self.backend.may_block()
    }

    /// Whether the application was called with this request before, and had it
    /// [moved](Self::move_to_handler_thread) here.
    pub fn was_moved(&self) -> bool {
        self.backend.was_moved()
    }

    /// Takes the content out, to be read piece by piece.
    pub fn take_body(&mut self) -> BodyReader {
        self.at_hand.content = None;
        self.backend.take_body()
    }

    /// The address of the peer.
    pub fn peer(&self) -> PeerAddress {
        self.backend.peer()
    }

    /// The local address of the connection.
    pub fn local(&self) -> PeerAddress {
        self.backend.local()
    }

    /// What secures the connection; `None` when nothing does.
    pub fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.backend.tls()
    }

    /// Who the peer was found to be.
    pub fn auth(&self) -> Option<AuthInfo> {
        self.backend.auth()
    }

    /// Memory to build a response's fields or content in, instead of allocating.
    pub fn spare_memory(&mut self) -> Vec<u8> {
        self.backend.spare_memory()
    }

    /// Sends an interim response, such as 103 Early Hints. RFC 8297.
    ///
    /// Ignored for an HTTP/1.0 peer (RFC 9110 §15.2) and for a status outside 102 to 199.
    pub fn inform(&mut self, status: u16, fields: &FieldBlock) {
        if (102..200).contains(&status) {
            self.backend.inform(status, fields);
        }
    }

    /// Answers.
    #[inline]
    pub fn respond(mut self, head: ResponseHead, body: Body) {
        self.ended = true;
        self.backend.respond(head, body);
    }

    /// Whether the request is one that [`upgrade`](Self::upgrade) can answer: HTTP/1.1 with an `Upgrade`
    /// field and without content (http-server-api §11, case T09), or an extended CONNECT of HTTP/2
    /// (RFC 8441 §4).
    pub fn can_upgrade(&self) -> bool {
        can_upgrade(self.at_hand.head)
    }

    /// Answers with 101, whose `Upgrade` field names the new protocol, and gives the connection to the
    /// application's [lane](Application::open_lane). The backend writes `Connection: Upgrade`. In HTTP/2
    /// the status is 200, there is no `Upgrade` field, and the lane gets the stream.
    ///
    /// # Errors
    ///
    /// The status is not 101 (case T10), in HTTP/2 not 200, or the request cannot be upgraded. The peer gets 500 then.
    pub fn upgrade(mut self, head: ResponseHead, opening: Opening) -> Result<(), ApiError> {
        check_upgrade(self.at_hand.head, &head)?;
        self.ended = true;
        self.backend.upgrade(head, opening);
        Ok(())
    }

    /// Gives the request up: ends an HTTP/2 stream with this code, an HTTP/1 connection with a reset,
    /// which has no codes.
    pub fn reset(mut self, reset: StreamReset) {
        self.ended = true;
        self.backend.reset(reset);
    }

    /// Makes the exchange independent of the calling thread, to answer later.
    pub fn defer(mut self) -> Deferred {
        self.ended = true;
        self.backend.defer()
    }

    /// What an exchange is made of, to make another around it that looks at the answer. From now on it is
    /// the caller's duty to end it.
    pub fn take_over(&mut self) -> (AtHand<'a>, &mut dyn ExchangeBackend) {
        self.ended = true;
        (self.at_hand, self.backend)
    }

    /// Has the application called again with this request where it may block.
    pub fn move_to_handler_thread(mut self) {
        self.ended = true;
        self.backend.move_to_handler_thread();
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.backend.abandon();
        }
    }
}

/// A request taken along, to be answered from any thread.
#[derive(Debug)]
pub struct Deferred {
    /// The request's head.
    pub head: OwnedRequestHead,
    /// Its content.
    pub body: BodyReader,
    /// The address of the peer.
    pub peer: PeerAddress,
    /// The local address of the connection.
    pub local: PeerAddress,
    /// What secures the connection.
    pub tls: Option<Arc<TlsInfo>>,
    /// Who the peer was found to be.
    pub auth: Option<AuthInfo>,
    /// Answers it.
    pub responder: Responder,
}

/// What a backend does for a [`Responder`]. Dropping it without an answer sends 500.
pub trait RespondLater: Send {
    /// Sends an interim response.
    fn inform(&mut self, status: u16, fields: &FieldBlock);
    /// Answers.
    fn respond(self: Box<Self>, head: ResponseHead, body: Body);
    /// Answers with 101. See [`ExchangeBackend::upgrade`].
    fn upgrade(self: Box<Self>, head: ResponseHead, opening: Opening);
    /// Ends an HTTP/2 stream with this code, an HTTP/1 connection with a reset.
    fn reset(self: Box<Self>, reset: StreamReset);
    /// Ready once the connection or its stream has ended, so that work for nobody can be given up.
    fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()>;
    /// The thread that the request's connection belongs to, if work can be done there.
    fn home(&self) -> Option<HomeThread> {
        None
    }
}

/// Answers one request, from any thread. Dropping it unanswered sends 500 and is counted.
pub struct Responder(Box<dyn RespondLater>);

impl Responder {
    /// A responder over what a backend holds.
    pub fn new(backend: Box<dyn RespondLater>) -> Self {
        Self(backend)
    }

    /// What is behind the responder, to make another around it that looks at the answer.
    pub fn into_backend(self) -> Box<dyn RespondLater> {
        self.0
    }

    /// Sends an interim response. See [`Exchange::inform`].
    pub fn inform(&mut self, status: u16, fields: &FieldBlock) {
        if (102..200).contains(&status) {
            self.0.inform(status, fields);
        }
    }

    /// Answers. When the connection has ended meanwhile, nothing happens.
    pub fn respond(self, head: ResponseHead, body: Body) {
        self.0.respond(head, body);
    }

    /// Gives the request up. See [`Exchange::reset`].
    pub fn reset(self, reset: StreamReset) {
        self.0.reset(reset);
    }

    /// Answers `request` with 101, as [`Exchange::upgrade`] does.
    ///
    /// # Errors
    ///
    /// As [`Exchange::upgrade`].
    pub fn upgrade(
        self,
        request: &RequestHead<'_>,
        head: ResponseHead,
        opening: Opening,
    ) -> Result<(), ApiError> {
        check_upgrade(request, &head)?;
        self.0.upgrade(head, opening);
        Ok(())
    }

    /// Answers with these bytes, without fields of its own.
    pub fn respond_bytes(self, status: u16, content: Bytes) {
        self.respond(ResponseHead::new(status), Body::Shared(content));
    }

    /// The thread that the request's connection belongs to, if the backend lets others work there.
    pub fn home(&self) -> Option<HomeThread> {
        self.0.home()
    }

    /// Ready once the connection has ended.
    pub fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_closed(context)
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Responder").finish_non_exhaustive()
    }
}

fn can_upgrade(request: &RequestHead<'_>) -> bool {
    match request.version() {
        Version::Http2 => request.line.protocol.is_some(),
        Version::Http11 => {
            request.framing == ContentFraming::None
                && request.fields.known(KnownField::Upgrade).is_some()
        }
        Version::Http10 => false,
    }
}

fn check_upgrade(request: &RequestHead<'_>, head: &ResponseHead) -> Result<(), ApiError> {
    let (status, what) = match request.version() {
        Version::Http2 => (200, "the status of an extended CONNECT's acceptance is 200"),
        _ => (101, "the status of an upgrade is 101"),
    };
    if head.status != status {
        return Err(ApiError::Upgrade { what });
    }
    if !can_upgrade(request) {
        return Err(ApiError::Upgrade {
            what: "only a request of HTTP/1.1 without content that asks for it can be upgraded",
        });
    }
    Ok(())
}
