//! Every event of a server, its order and its promises, and the errors that events carry.
//!
//! [`Events`] is the one delivery point: the builder's closures fill a struct that implements it (see
//! `handler`). A server's own events come in order: before-binding, startup, shutdown. A connection's
//! come in order and never two at once: connect, then its requests. A panic in any handler ends what
//! it was called for, not the server. Source: the component's events.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::IpAddr;

use tidegate_admission::api_keys::ApiKeyEvent;
use tidegate_admission::country::Country;
use tidegate_httpapi::{
    Admission, BackendFailure, BodyError, ConnectionId, ConnectionInfo, RequestHead, RequestId,
    StreamReset,
};

use crate::admission::{
    ApiKeyRotation, ApiKeyValidation, BeforeAuthentication, TokenValidation, Unauthorized,
};
use crate::binding::Binding;
use crate::error::Error;
use crate::forward::{Forward, ForwardError};
use crate::http::{
    ContentError, FileError, OwnedRequest, Request, Response, ResponseError, reset_of,
};
use crate::server::Server;
use crate::tower::BoxError;
use crate::traffic::{BotDetected, FirewallFiltered, FirewallViolation, RateLimited, ScoreChanged};
use crate::upload::{BeforeUpload, SaveFile, UploadError, UploadedFile};
use crate::watchdog::WatchDogRestart;
use crate::websocket::{
    Connection, Disconnect, Handshake, HandshakeError, HandshakeResponse, Opcode, Violation,
    WriteError,
};

/// What a server tells the application.
///
/// Each method does by default what happens when nobody listens to the event.
///
/// ```no_run
/// use tidegate::{Events, HandlerError, Request, Response, Server};
///
/// struct Site;
///
/// impl Events for Site {
///     fn on_http_request(
///         &self,
///         request: &Request<'_>,
///         response: &mut Response,
///     ) -> Result<(), HandlerError> {
///         response.text(format!("You asked for {}", request.document()));
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), tidegate::Error> {
/// Server::builder().port(8080).events(Site).build()?.run()
/// # }
/// ```
pub trait Events: Send + Sync + 'static {
    /// Before listening begins: the bindings, to be changed, taken out or added to.
    fn on_before_binding(&self, bindings: &mut Vec<Binding>) {
        let _ = bindings;
    }

    /// The server listens on all its bindings.
    fn on_startup(&self, server: &Server) {
        let _ = server;
    }

    /// The server has stopped: it takes no more requests, and those in progress have ended.
    fn on_shutdown(&self, server: &Server) {
        let _ = server;
    }

    /// The server has stopped though nobody asked it to, or does not answer, and the watchdog is about to start
    /// it anew; [`on_startup`](Self::on_startup) tells when it has.
    ///
    /// Called on the watchdog's thread. Only where [`watchdog`](crate::Settings::watchdog) is enabled.
    fn on_watchdog_restart(&self, server: &Server, restart: &WatchDogRestart) {
        let _ = (server, restart);
    }

    /// A connection has been made; nothing has been read from it. Refusing it closes it at once.
    ///
    /// Called where connections are accepted: it must not block.
    fn on_tcp_connect(&self, connection: &ConnectionInfo) -> Admission {
        let _ = connection;
        Admission::Accept
    }

    /// Whether [`on_tcp_connect`](Self::on_tcp_connect) is to be called at all; asked once at start.
    fn watches_connections(&self) -> bool {
        true
    }

    /// A request has a user's name and password, by Basic or in its URL: whether they belong together. Left to
    /// [`AuthDecision::ByList`], the users of [`AuthenticationSettings`](crate::AuthenticationSettings) decide.
    ///
    /// Called where it may block, in either mode, but for a pair that the list has found right within the last
    /// minute. The request's content is not to be had here. Source: the component's OnAuthentication.
    fn on_authentication(&self, request: &Request<'_>, user: &str, password: &str) -> AuthDecision {
        let _ = (request, user, password);
        AuthDecision::ByList
    }

    /// Whether [`on_authentication`](Self::on_authentication) is to be called at all.
    fn watches_authentication(&self) -> bool {
        true
    }

    /// A request has an API key, and the store has said what it is: whether the request comes in.
    ///
    /// [`AuthDecision::Accept`] lets in with a key that is refused, or none of the store's; that a key is needed at
    /// all, and https where it is asked for, stays so. Called where requests are read: it must not block. It may be
    /// asked twice of a request whose password is hashed. Source: the component's validated and validation-override
    /// events.
    fn on_api_key_validation(
        &self,
        request: &Request<'_>,
        validation: &ApiKeyValidation<'_>,
    ) -> AuthDecision {
        let _ = (request, validation);
        AuthDecision::ByList
    }

    /// Whether [`on_api_key_validation`](Self::on_api_key_validation) is to be called at all.
    fn watches_api_keys(&self) -> bool {
        true
    }

    /// Something has happened to an API key: issued, revoked, rotated, expired, changed, removed, or something was
    /// written to the audit, refused keys included, of which at most 20 in a second are told.
    ///
    /// Called by the thread that does it, for a refused key the one that has read the request: it must not block. What
    /// other processes do with the same file is not told, but for the ends of keys. It is the listener of the store
    /// ([`ApiKeys::set_listener`](crate::api_keys::ApiKeys::set_listener)): another one takes its place.
    fn on_api_key_event(&self, event: &ApiKeyEvent) {
        let _ = event;
    }

    /// An API key is due to be replaced, and here is the new one: whether it is taken, that is, now where the program
    /// that uses it finds it. If it is, the old one still works for
    /// [`rotation_grace`](crate::ApiKeySettings::rotation_grace); if not, it goes on, the new one is removed, and in a
    /// minute there is another.
    ///
    /// A new key may come again for the same old one, when the process ended before this was done: the last that was
    /// taken counts. It may block.
    fn on_api_key_rotation(&self, rotation: &ApiKeyRotation<'_>) -> bool {
        let _ = rotation;
        false
    }

    /// Whether keys that are due are to be replaced by themselves: only when somebody takes the new ones. Otherwise
    /// they are listed (`tidegate apikey list --due`), and go on.
    fn rotates_api_keys(&self) -> bool {
        false
    }

    /// Before it is found out who a request is of: that may be passed over. API keys are asked for all the same.
    ///
    /// Called where requests are read: it must not block. It may be asked twice of a request whose password is
    /// hashed. Source: the JWT validator's event before requests, with Cancel.
    fn on_before_authentication(&self, request: &Request<'_>) -> BeforeAuthentication {
        let _ = request;
        BeforeAuthentication::Check
    }

    /// Whether [`on_before_authentication`](Self::on_before_authentication) is to be called at all.
    fn watches_before_authentication(&self) -> bool {
        true
    }

    /// A request has a signed token, and here is what was found: whether it is believed. One that the application
    /// accepts though it is wrong is nobody's in particular.
    ///
    /// Called where requests are read: it must not block. Source: the JWT validator's events before and after the
    /// validation of a token.
    fn on_token_validation(
        &self,
        request: &Request<'_>,
        validation: &TokenValidation<'_>,
    ) -> AuthDecision {
        let _ = (request, validation);
        AuthDecision::ByList
    }

    /// Whether [`on_token_validation`](Self::on_token_validation) is to be called at all.
    fn watches_tokens(&self) -> bool {
        true
    }

    /// A request is about to be answered with 401 or 403, since what it has is missing, wrong or not enough.
    /// [`Admission::Accept`] lets it in nevertheless, as nobody's; the answer may be changed.
    ///
    /// Called where requests are read: it must not block. A wrong proof counts for the firewall, unless it is let in.
    /// Source: the JWT validator's Unauthorized and ResponseError events.
    fn on_unauthorized(&self, request: &Request<'_>, answer: &mut Unauthorized) -> Admission {
        let _ = (request, answer);
        Admission::Refuse
    }

    /// Whether [`on_unauthorized`](Self::on_unauthorized) is to be called at all.
    fn watches_unauthorized(&self) -> bool {
        true
    }

    /// The firewall is about to keep an address out: to close its new connection, before
    /// [`on_tcp_connect`](Self::on_tcp_connect), or, when it was banned meanwhile, to refuse its request or message.
    /// [`Admission::Accept`] lets it in nevertheless.
    ///
    /// This and the other events of the firewall and the rate limiter are called where connections are accepted,
    /// and where requests and messages are read: they must not block. After a panic in one of them all is as if it
    /// were not there.
    fn on_firewall_filtered(&self, filtered: &FirewallFiltered) -> Admission {
        let _ = filtered;
        Admission::Refuse
    }

    /// A request or message breaks a rule of the firewall.
    fn on_firewall_violation(&self, violation: &FirewallViolation) {
        let _ = violation;
    }

    /// A request is of a program, and not of somebody at a browser. Nothing becomes of it but this event.
    fn on_bot_detected(&self, detected: &BotDetected<'_>) {
        let _ = detected;
    }

    /// A rule of the application's own for the firewall: [`Admission::Refuse`] has the request answered with 403, and
    /// counts it to its address as an attack. Its content cannot be read here.
    ///
    /// It is asked after the lists and bans, before what attacks look like. Addresses on the list of those that are
    /// always let in are not asked about.
    fn on_firewall_rule(&self, request: &Request<'_>) -> Admission {
        let _ = request;
        Admission::Accept
    }

    /// Whether [`on_firewall_rule`](Self::on_firewall_rule) is to be called at all.
    fn watches_firewall_rules(&self) -> bool {
        true
    }

    /// The firewall wants to know the country of an address, since the settings have rules about countries.
    /// `None` leaves it to the database.
    fn on_resolve_country(&self, address: IpAddr) -> Option<Country> {
        let _ = address;
        None
    }

    /// The threat score of an address has changed, or it was banned for what it did.
    fn on_score_changed(&self, changed: &ScoreChanged) {
        let _ = changed;
    }

    /// The rate limiter is about to refuse a request. [`Admission::Accept`] lets it pass nevertheless.
    fn on_rate_limited(&self, limited: &RateLimited<'_>) -> Admission {
        let _ = limited;
        Admission::Refuse
    }

    /// A quota is spent, for which the rate limiter is about to refuse a request;
    /// [`on_rate_limited`](Self::on_rate_limited) comes next.
    fn on_quota_exceeded(&self, limited: &RateLimited<'_>) {
        let _ = limited;
    }

    /// A request has arrived. A response left as it is says 200 without content.
    ///
    /// In classic mode the handler may block. In HighPerf mode it must not, unless the request's
    /// content has yet to arrive: then it is called on a handler thread.
    ///
    /// # Errors
    ///
    /// The request is answered with [`HandlerError::status`] instead of `response`, and
    /// [`on_error`](Self::on_error) or [`on_exception`](Self::on_exception) hears of it. With a
    /// [`StreamReset`] it is not answered but given up, as by [`Response::reset`].
    fn on_http_request(
        &self,
        request: &Request<'_>,
        response: &mut Response,
    ) -> Result<(), HandlerError> {
        let _ = request;
        response.status(404);
        Ok(())
    }

    /// Whether [`on_http_request`](Self::on_http_request) reads content that has yet to arrive before
    /// it returns, so that HighPerf mode has to call it on a handler thread then; asked once at start.
    ///
    /// False spares that detour for a handler that answers through [`Response::answer_async`] or
    /// [`Response::defer`].
    fn waits_for_content(&self) -> bool {
        true
    }

    /// A request is about to be served here, or to be forwarded as the settings say: it may be forwarded
    /// elsewhere, otherwise, or not at all. WebSocket handshakes are among these requests; those for
    /// mounted services are not.
    ///
    /// Where it is called is as with requests; it never waits for content, which cannot be read here.
    fn on_before_forward_http(&self, request: &Request<'_>, forward: &mut Forward) {
        let _ = (request, forward);
    }

    /// An upstream has answered a forwarded request, or none has, for the reason of `error`. The response
    /// says what the upstream said, or the status of the error: it may be changed, or filled anew after
    /// [`Response::clear`].
    ///
    /// Its content is still on its way, and stays so when the handler leaves it alone. The request's
    /// content is gone. Not called for WebSocket connections that were passed on.
    ///
    /// Called on the async runtime in either mode: it must not block. A handler that has to, answers
    /// through [`Response::answer_blocking`].
    fn on_after_forward_http(
        &self,
        request: &OwnedRequest,
        response: &mut Response,
        error: Option<&ForwardError>,
    ) {
        let _ = (request, response, error);
    }

    /// Whether [`on_before_forward_http`](Self::on_before_forward_http) and
    /// [`on_after_forward_http`](Self::on_after_forward_http) are to be called at all; asked once at start.
    fn watches_forwarding(&self) -> bool {
        true
    }

    /// An upload's head has arrived, and nothing of its content has been read: whether it is to be. The place
    /// to check who sends it, what and how much. The request's content is not to be had here.
    ///
    /// Called for each form with files (`multipart/form-data`), in memory or to disk, and for whatever else
    /// [`HttpUploadFiles`](crate::HttpUploadFiles) or [`UploadSettings`](crate::UploadSettings) send to
    /// disk. This and the other events of uploads are called where they may block, in either mode, and come
    /// in order: this; then, when all of the upload has arrived, for each part in turn
    /// [`on_http_upload_read_input`](Self::on_http_upload_read_input), or
    /// [`on_http_upload_before_save_file`](Self::on_http_upload_before_save_file) and
    /// [`on_http_upload_after_save_file`](Self::on_http_upload_after_save_file); then
    /// [`on_http_request`](Self::on_http_request). A panic in one of them is answered with 500, and nothing
    /// of the upload stays.
    fn on_http_upload_before_create_post_stream(&self, request: &Request<'_>) -> BeforeUpload {
        let _ = request;
        BeforeUpload::Accept
    }

    /// A file of an upload has arrived and is about to get its name: name and directory may be changed.
    ///
    /// What is given here is the application's own choice, so any directory may be. A name that is none, or
    /// that has a path, is an error.
    fn on_http_upload_before_save_file(&self, request: &Request<'_>, file: &mut SaveFile) {
        let _ = (request, file);
    }

    /// A file of an upload has its name. Should one of the files after it fail, it is removed again.
    fn on_http_upload_after_save_file(&self, request: &Request<'_>, file: &UploadedFile) {
        let _ = (request, file);
    }

    /// A field of a form that is no file; only of forms that go to disk with
    /// [`remove_boundaries`](crate::HttpUploadFiles::remove_boundaries).
    fn on_http_upload_read_input(&self, request: &Request<'_>, name: &str, value: &str) {
        let _ = (request, name, value);
    }

    /// Whether
    /// [`on_http_upload_before_create_post_stream`](Self::on_http_upload_before_create_post_stream) is to be
    /// called for forms that stay in memory; asked once at start. In HighPerf mode these requests have to go
    /// to a handler thread for it.
    fn watches_uploads(&self) -> bool {
        true
    }

    /// Whether WebSocket handshakes are accepted at all; asked once at start. False: a request for one
    /// is an ordinary request.
    fn accepts_websockets(&self) -> bool {
        true
    }

    /// A WebSocket handshake is in order and about to be answered: fields may be added, a sub-protocol
    /// chosen, options changed; or it may be refused, or left to
    /// [`on_http_request`](Self::on_http_request).
    ///
    /// Where it is called is as with requests.
    fn on_handshake(&self, handshake: &Handshake<'_>, response: &mut HandshakeResponse) {
        let _ = (handshake, response);
    }

    /// A WebSocket connection is usable. The first of its events.
    ///
    /// In classic mode WebSocket handlers are called on handler threads and may block. In HighPerf mode
    /// they are called on the thread that received, and must not.
    fn on_connect(&self, connection: &Connection) {
        let _ = connection;
    }

    /// A whole text message has arrived.
    ///
    /// # Errors
    ///
    /// The connection is closed with 1011, and [`on_exception`](Self::on_exception) hears of it.
    fn on_message(&self, connection: &Connection, text: &str) -> Result<(), HandlerError> {
        let _ = (connection, text);
        Ok(())
    }

    /// A whole binary message has arrived.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Self::on_message).
    fn on_binary(&self, connection: &Connection, data: &[u8]) -> Result<(), HandlerError> {
        let _ = (connection, data);
        Ok(())
    }

    /// A frame of a message that comes in several has arrived; only where
    /// [`fragmented_messages`](crate::WebSocketSettings::fragmented_messages) asks for it.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Self::on_message).
    fn on_fragmented(
        &self,
        connection: &Connection,
        fragment: &Fragment<'_>,
    ) -> Result<(), HandlerError> {
        let _ = (connection, fragment);
        Ok(())
    }

    /// A WebSocket connection has ended, whoever ended it and however. The last of its events; it comes
    /// exactly once for each [`on_connect`](Self::on_connect).
    fn on_disconnect(&self, connection: &Connection, disconnect: &Disconnect) {
        let _ = (connection, disconnect);
    }

    /// A heartbeat's ping is about to be sent.
    fn on_before_heartbeat(&self, connection: &Connection) -> BeforeHeartbeat {
        let _ = connection;
        BeforeHeartbeat::Ping
    }

    /// Whether [`on_before_heartbeat`](Self::on_before_heartbeat) is to be called at all; asked once at
    /// start.
    fn watches_heartbeats(&self) -> bool {
        true
    }

    /// A message sent while [`asynchronous`](crate::WebSocketSettings::asynchronous) is set has been
    /// taken by the system, or never will be.
    fn on_asynchronous(&self, connection: &Connection, sent: &Sent) {
        let _ = (connection, sent);
    }

    /// Never called: declared since the component declares it.
    fn on_unknown_protocol(&self, connection: &Connection) {
        let _ = connection;
    }

    /// A peer did what it must not: a request's content ended early, a WebSocket handshake or frame
    /// breaks a rule.
    fn on_error(&self, error: &PeerError) {
        let _ = error;
    }

    /// A handler panicked or failed, or gave a response that cannot be sent, or starting failed.
    fn on_exception(&self, exception: &Exception) {
        let _ = exception;
    }
}

/// What a handler of requests may return: nothing, or a [`Result`] whose error is a [`HandlerError`].
pub trait HandlerResult: sealed::Sealed {
    /// As [`Events::on_http_request`] returns it.
    ///
    /// # Errors
    ///
    /// The handler failed.
    fn into_result(self) -> Result<(), HandlerError>;
}

impl HandlerResult for () {
    #[inline]
    fn into_result(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl HandlerResult for Result<(), HandlerError> {
    #[inline]
    fn into_result(self) -> Result<(), HandlerError> {
        self
    }
}

/// What a handler of WebSocket messages may return: nothing, what a send returns, or
/// `Result<(), HandlerError>`; where the compiler cannot tell which, `Ok::<(), HandlerError>(())`.
pub trait MessageResult: sealed::SealedMessage {
    /// As [`Events::on_message`] returns it.
    ///
    /// # Errors
    ///
    /// The handler failed.
    fn into_result(self) -> Result<(), HandlerError>;
}

impl MessageResult for () {
    #[inline]
    fn into_result(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl MessageResult for Result<(), HandlerError> {
    #[inline]
    fn into_result(self) -> Result<(), HandlerError> {
        self
    }
}

impl MessageResult for Result<(), WriteError> {
    #[inline]
    fn into_result(self) -> Result<(), HandlerError> {
        self.map_err(HandlerError::from)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for Result<(), super::HandlerError> {}

    pub trait SealedMessage {}
    impl SealedMessage for () {}
    impl SealedMessage for Result<(), super::HandlerError> {}
    impl SealedMessage for Result<(), super::WriteError> {}
}

/// A frame of a message that comes in several.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Text or binary for the first frame of a message, then continuation.
    pub opcode: Opcode,
    /// The frame's payload. Text may be cut within a character.
    pub payload: &'a [u8],
    /// Whether the message ends with it.
    pub is_last: bool,
}

/// What [`Events::on_authentication`], [`Events::on_api_key_validation`] and [`Events::on_token_validation`] say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuthDecision {
    /// What was found decides: the users of the settings, the store of keys, the token.
    #[default]
    ByList,
    /// It is right, whatever was found.
    Accept,
    /// It is not, whatever was found.
    Refuse,
}

/// What [`Events::on_before_heartbeat`] says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BeforeHeartbeat {
    /// The ping is sent.
    Ping,
    /// The handler has sent one of its own, or wants none.
    Handled,
}

/// What became of a message sent asynchronously.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Sent {
    /// The number given with [`Message::with_context`](crate::Message::with_context).
    pub context: u64,
    /// Length of the message, in bytes.
    pub bytes: usize,
    /// Whether the system has taken all of it. False: the connection ended before.
    pub is_sent: bool,
}

/// Why a handler of requests failed. Any error becomes one with `?`.
///
/// It is no [`std::error::Error`] itself, so that every error can become one.
pub struct HandlerError(BoxError);

impl HandlerError {
    /// The status that the request is answered with.
    ///
    /// What a peer did to its request's content decides it (413 too long, 408 too slow, 400 broken,
    /// 415 in an unknown charset), or why there is no file to answer with (404 missing, 403 forbidden);
    /// all else is 500.
    pub fn status(&self) -> u16 {
        if let Some(error) = self.0.downcast_ref::<ContentError>() {
            error.status()
        } else if let Some(error) = self.0.downcast_ref::<FileError>() {
            error.status()
        } else if let Some(error) = self.body_error() {
            ContentError::Body(error).status()
        } else {
            500
        }
    }

    /// The reset that it is, or whose cause is one: the handler gives the request up.
    pub fn reset(&self) -> Option<StreamReset> {
        reset_of(&*self.0)
    }

    /// The error itself.
    pub fn cause(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.0
    }

    /// The peer's fault, if it is the peer's.
    fn peer_fault(&self) -> Option<ContentError> {
        let error = match self.0.downcast_ref::<ContentError>() {
            Some(error) => error.clone(),
            None => ContentError::Body(self.body_error()?),
        };
        error.is_peer_fault().then_some(error)
    }

    /// A body error, as it is or as the cause of an I/O error.
    fn body_error(&self) -> Option<BodyError> {
        let error = &*self.0;
        match error.downcast_ref::<io::Error>() {
            Some(error) => body_error(error),
            None => error.downcast_ref::<BodyError>().copied(),
        }
    }
}

/// The body error that is the cause of an I/O error.
pub(crate) fn body_error(error: &io::Error) -> Option<BodyError> {
    error.get_ref()?.downcast_ref::<BodyError>().copied()
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a peer did wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeerError {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The request, unless it happened on a WebSocket connection.
    pub request_id: Option<RequestId>,
    /// What was wrong.
    pub cause: PeerFault,
}

/// Why [`Events::on_error`] is called.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PeerFault {
    /// A request's content ended early while the request was with the application.
    Content(ContentError),
    /// A WebSocket handshake was refused.
    Handshake(HandshakeError),
    /// A WebSocket frame or message breaks a rule or a limit; the connection is closed.
    WebSocket(Violation),
    /// A peer took so little of what it was sent that its connection is ended.
    SlowReader,
    /// A peer answered no heartbeat; its connection is ended.
    NoPong,
}

impl fmt::Display for PeerFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(error) => error.fmt(formatter),
            Self::Handshake(error) => error.fmt(formatter),
            Self::WebSocket(violation) => violation.fmt(formatter),
            Self::SlowReader => formatter.write_str("the peer takes nothing of what is sent to it"),
            Self::NoPong => formatter.write_str("the peer has not answered a ping in time"),
        }
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(formatter)
    }
}

/// What went wrong on this side.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exception {
    /// The connection it happened for, if for one.
    pub connection_id: Option<ConnectionId>,
    /// The request it happened for, if for one.
    pub request_id: Option<RequestId>,
    /// What happened.
    pub cause: ExceptionCause,
}

/// Why [`Events::on_exception`] is called.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExceptionCause {
    /// A handler panicked, with this message.
    Panic(Box<str>),
    /// A handler of requests returned an error.
    Handler(HandlerError),
    /// A response cannot be sent as it was given; 500 is sent instead.
    Response(ResponseError),
    /// The source of a response's content failed; the connection is closed.
    Content(io::Error),
    /// A mounted service failed; 500 is sent.
    Service(BoxError),
    /// A file of a static site cannot be opened or its folder not be read; 500 is sent.
    Files(io::Error),
    /// An upload cannot be stored; 500 is sent, or 507 when there is no room for it.
    Upload(UploadError),
    /// The runtime for async handlers cannot be started; 500 is sent.
    Runtime(io::Error),
    /// Starting or restarting the server failed.
    Start(Error),
    /// A part of the driver serves no more; the watchdog, if it is enabled, starts the server anew.
    Driver(BackendFailure),
}

impl fmt::Display for Exception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            ExceptionCause::Panic(message) => write!(formatter, "a handler panicked: {message}"),
            ExceptionCause::Handler(error) => write!(formatter, "a handler failed: {error}"),
            ExceptionCause::Response(error) => error.fmt(formatter),
            ExceptionCause::Content(error) => {
                write!(
                    formatter,
                    "the source of a response's content failed: {error}"
                )
            }
            ExceptionCause::Service(error) => write!(formatter, "a service failed: {error}"),
            ExceptionCause::Files(error) => {
                write!(
                    formatter,
                    "a file of a static site cannot be opened: {error}"
                )
            }
            ExceptionCause::Upload(error) => error.fmt(formatter),
            ExceptionCause::Runtime(error) => {
                write!(
                    formatter,
                    "cannot start the runtime for async handlers: {error}"
                )
            }
            ExceptionCause::Start(error) => write!(formatter, "{error:?}"),
            ExceptionCause::Driver(failure) => failure.fmt(formatter),
        }
    }
}

/// Whom an error belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestIds {
    pub(crate) connection: ConnectionId,
    pub(crate) request: RequestId,
}

impl RequestIds {
    /// Those of the request with this head.
    pub(crate) fn of(head: &RequestHead<'_>) -> Self {
        Self {
            connection: head.connection_id,
            request: head.request_id,
        }
    }
}

impl dyn Events {
    /// Tells of what went wrong on this side: in the log, and to the application.
    pub(crate) fn exception(&self, ids: Option<RequestIds>, cause: ExceptionCause) {
        self.tell_exception(Exception {
            connection_id: ids.map(|ids| ids.connection),
            request_id: ids.map(|ids| ids.request),
            cause,
        });
    }

    fn tell_exception(&self, exception: Exception) {
        match &exception.cause {
            // Whoever waits for the start is told as well, and would tell a person twice.
            ExceptionCause::Start(_) => tracing::debug!("{exception}"),
            // The driver has.
            ExceptionCause::Driver(_) => tracing::debug!("{exception}"),
            _ => tracing::error!(
                connection = exception.connection_id.map(|id| id.0),
                request = exception.request_id.map(|id| id.0),
                "{exception}"
            ),
        }
        deliver("on_exception", || self.on_exception(&exception));
    }

    /// Tells of a handler's error, by whose fault it is. Gives the status to answer with.
    pub(crate) fn handler_failed(&self, ids: RequestIds, error: HandlerError) -> u16 {
        let status = error.status();
        match error.peer_fault() {
            Some(cause) => self.peer_failed(ids, cause),
            // That somebody asks for what is not there is nobody's fault.
            None if status == 404 => tracing::debug!(request = ids.request.0, "{error}"),
            None => self.exception(Some(ids), ExceptionCause::Handler(error)),
        }
        status
    }

    /// Tells of a source of a response's content that failed, by whose fault it is: one that passes a
    /// request's content on fails when that does.
    pub(crate) fn content_failed(&self, ids: RequestIds, error: io::Error) {
        match body_error(&error).map(ContentError::Body) {
            Some(cause) if cause.is_peer_fault() => self.peer_failed(ids, cause),
            _ => self.exception(Some(ids), ExceptionCause::Content(error)),
        }
    }

    fn peer_failed(&self, ids: RequestIds, cause: ContentError) {
        self.peer_error(PeerError {
            connection_id: ids.connection,
            request_id: Some(ids.request),
            cause: PeerFault::Content(cause),
        });
    }

    /// Tells of what a peer did wrong.
    pub(crate) fn peer_error(&self, error: PeerError) {
        tracing::debug!(connection = error.connection_id.0, "{error}");
        deliver("on_error", || self.on_error(&error));
    }

    /// Tells of what went wrong on this side for a WebSocket connection.
    pub(crate) fn connection_exception(&self, connection: ConnectionId, cause: ExceptionCause) {
        self.tell_exception(Exception {
            connection_id: Some(connection),
            request_id: None,
            cause,
        });
    }

    /// Tells of a panic in a handler.
    pub(crate) fn panicked(&self, ids: Option<RequestIds>, payload: &(dyn Any + Send)) {
        self.exception(ids, ExceptionCause::Panic(panic_message(payload)));
    }
}

/// The message that a panic was raised with.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> Box<str> {
    if let Some(message) = payload.downcast_ref::<&str>() {
        (*message).into()
    } else if let Some(message) = payload.downcast_ref::<String>() {
        message.as_str().into()
    } else {
        "a panic without a message".into()
    }
}

/// Calls a handler of errors, whose own panic has nobody left to be told to but the log.
fn deliver(event: &'static str, call: impl FnOnce()) {
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)) {
        tracing::error!(
            "the handler of {event} panicked: {}",
            panic_message(&*payload)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::FileFault;

    #[test]
    fn the_status_tells_whose_fault_it_is() {
        let too_large = BodyError::TooLarge { limit: 1 };
        let cases = [
            (HandlerError::from(too_large), 413, true),
            (HandlerError::from(io::Error::from(too_large)), 413, true),
            (HandlerError::from(BodyError::TimedOut), 408, true),
            (HandlerError::from(ContentError::NotText), 400, true),
            (HandlerError::from(ContentError::WouldBlock), 500, false),
            (HandlerError::from("no such table"), 500, false),
            (
                HandlerError::from(FileError::new("a".as_ref(), FileFault::Missing)),
                404,
                false,
            ),
        ];
        for (error, status, peer) in cases {
            assert_eq!(error.status(), status, "{error}");
            assert_eq!(error.peer_fault().is_some(), peer, "{error}");
        }
    }
}
