//! Closures as handlers: the struct that the builder's `on_…` methods fill, an [`Events`] itself.
//!
//! An event without a closure goes to the [`Events`] value that the builder was given, if any.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use tidegate_admission::api_keys::ApiKeyEvent;
use tidegate_admission::country::Country;
use tidegate_httpapi::{Admission, ConnectionInfo};

use crate::admission::{
    ApiKeyRotation, ApiKeyValidation, BeforeAuthentication, TokenValidation, Unauthorized,
};
use crate::binding::Binding;
use crate::event::{
    AuthDecision, BeforeHeartbeat, Events, Exception, Fragment, HandlerError, PeerError, Sent,
};
use crate::forward::{Forward, ForwardError};
use crate::http::{OwnedRequest, Request, Response};
use crate::server::Server;
use crate::traffic::{BotDetected, FirewallFiltered, FirewallViolation, RateLimited, ScoreChanged};
use crate::upload::{BeforeUpload, SaveFile, UploadedFile};
use crate::watchdog::WatchDogRestart;
use crate::websocket::{Connection, Disconnect, Handshake, HandshakeResponse};

type Handler<A> = Option<Box<dyn Fn(&A) + Send + Sync>>;

type BindingsHandler = Box<dyn Fn(&mut Vec<Binding>) + Send + Sync>;

type ConnectHandler = Box<dyn Fn(&ConnectionInfo) -> Admission + Send + Sync>;

type AuthenticationHandler = Box<dyn Fn(&Request<'_>, &str, &str) -> AuthDecision + Send + Sync>;
type FilteredHandler = Box<dyn Fn(&FirewallFiltered) -> Admission + Send + Sync>;

type CountryHandler = Box<dyn Fn(IpAddr) -> Option<Country> + Send + Sync>;

type BotHandler = Box<dyn Fn(&BotDetected<'_>) + Send + Sync>;

type RuleHandler = Box<dyn Fn(&Request<'_>) -> Admission + Send + Sync>;

type LimitedHandler = Box<dyn Fn(&RateLimited<'_>) -> Admission + Send + Sync>;

type QuotaHandler = Box<dyn Fn(&RateLimited<'_>) + Send + Sync>;

type RequestHandler =
    Box<dyn Fn(&Request<'_>, &mut Response) -> Result<(), HandlerError> + Send + Sync>;

type BeforeForwardHandler = Box<dyn Fn(&Request<'_>, &mut Forward) + Send + Sync>;

type AfterForwardHandler =
    Box<dyn Fn(&OwnedRequest, &mut Response, Option<&ForwardError>) + Send + Sync>;

type BeforeUploadHandler = Box<dyn Fn(&Request<'_>) -> BeforeUpload + Send + Sync>;

type SaveFileHandler = Box<dyn Fn(&Request<'_>, &mut SaveFile) + Send + Sync>;

type SavedFileHandler = Box<dyn Fn(&Request<'_>, &UploadedFile) + Send + Sync>;

type InputHandler = Box<dyn Fn(&Request<'_>, &str, &str) + Send + Sync>;

type HandshakeHandler = Box<dyn Fn(&Handshake<'_>, &mut HandshakeResponse) + Send + Sync>;

type TextHandler = Box<dyn Fn(&Connection, &str) -> Result<(), HandlerError> + Send + Sync>;

type BinaryHandler = Box<dyn Fn(&Connection, &[u8]) -> Result<(), HandlerError> + Send + Sync>;

type FragmentHandler =
    Box<dyn Fn(&Connection, &Fragment<'_>) -> Result<(), HandlerError> + Send + Sync>;

type DisconnectHandler = Box<dyn Fn(&Connection, &Disconnect) + Send + Sync>;

type WatchDogHandler = Box<dyn Fn(&Server, &WatchDogRestart) + Send + Sync>;

type HeartbeatHandler = Box<dyn Fn(&Connection) -> BeforeHeartbeat + Send + Sync>;

type AsynchronousHandler = Box<dyn Fn(&Connection, &Sent) + Send + Sync>;

/// What an async handler is at work on.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

type AsyncHandler = Arc<dyn Fn(OwnedRequest, Response) -> ResponseFuture + Send + Sync>;

/// What is told of who comes in.
#[derive(Default)]
pub(crate) struct AdmissionHandlers {
    pub(crate) api_key_validation: Option<KeyValidationHandler>,
    pub(crate) api_key_event: Handler<ApiKeyEvent>,
    pub(crate) api_key_rotation: Option<KeyRotationHandler>,
    pub(crate) before_authentication: Option<BeforeAuthenticationHandler>,
    pub(crate) token_validation: Option<TokenValidationHandler>,
    pub(crate) unauthorized: Option<UnauthorizedHandler>,
}

type KeyValidationHandler =
    Box<dyn Fn(&Request<'_>, &ApiKeyValidation<'_>) -> AuthDecision + Send + Sync>;

type KeyRotationHandler = Box<dyn Fn(&ApiKeyRotation<'_>) -> bool + Send + Sync>;

type BeforeAuthenticationHandler = Box<dyn Fn(&Request<'_>) -> BeforeAuthentication + Send + Sync>;

type TokenValidationHandler =
    Box<dyn Fn(&Request<'_>, &TokenValidation<'_>) -> AuthDecision + Send + Sync>;

type UnauthorizedHandler = Box<dyn Fn(&Request<'_>, &mut Unauthorized) -> Admission + Send + Sync>;

/// Who answers requests.
#[derive(Default)]
pub(crate) enum OnHttpRequest {
    /// The `rest` of the events.
    #[default]
    Rest,
    /// A closure, before it returns.
    Blocking(RequestHandler),
    /// An async closure, on the runtime.
    Async(AsyncHandler),
}

/// The builder's closures.
#[derive(Default)]
pub(crate) struct Handlers {
    pub(crate) rest: Option<Box<dyn Events>>,
    pub(crate) before_binding: Option<BindingsHandler>,
    pub(crate) startup: Handler<Server>,
    pub(crate) shutdown: Handler<Server>,
    pub(crate) watchdog_restart: Option<WatchDogHandler>,
    pub(crate) tcp_connect: Option<ConnectHandler>,
    pub(crate) authentication: Option<AuthenticationHandler>,
    pub(crate) admission: AdmissionHandlers,
    pub(crate) firewall_filtered: Option<FilteredHandler>,
    pub(crate) firewall_violation: Handler<FirewallViolation>,
    pub(crate) bot_detected: Option<BotHandler>,
    pub(crate) firewall_rule: Option<RuleHandler>,
    pub(crate) resolve_country: Option<CountryHandler>,
    pub(crate) score_changed: Handler<ScoreChanged>,
    pub(crate) rate_limited: Option<LimitedHandler>,
    pub(crate) quota_exceeded: Option<QuotaHandler>,
    pub(crate) http_request: OnHttpRequest,
    pub(crate) before_forward: Option<BeforeForwardHandler>,
    pub(crate) after_forward: Option<AfterForwardHandler>,
    pub(crate) before_upload: Option<BeforeUploadHandler>,
    pub(crate) before_save_file: Option<SaveFileHandler>,
    pub(crate) after_save_file: Option<SavedFileHandler>,
    pub(crate) read_input: Option<InputHandler>,
    pub(crate) handshake: Option<HandshakeHandler>,
    pub(crate) connect: Handler<Connection>,
    pub(crate) message: Option<TextHandler>,
    pub(crate) binary: Option<BinaryHandler>,
    pub(crate) fragmented: Option<FragmentHandler>,
    pub(crate) disconnect: Option<DisconnectHandler>,
    pub(crate) before_heartbeat: Option<HeartbeatHandler>,
    pub(crate) asynchronous: Option<AsynchronousHandler>,
    pub(crate) unknown_protocol: Handler<Connection>,
    /// A sub-protocol was registered: connections are wanted for it.
    pub(crate) has_protocols: bool,
    pub(crate) error: Handler<PeerError>,
    pub(crate) exception: Handler<Exception>,
}

impl Handlers {
    fn rest(&self) -> &dyn Events {
        match &self.rest {
            Some(rest) => &**rest,
            None => &NobodyListens,
        }
    }
}

impl Events for Handlers {
    fn on_before_binding(&self, bindings: &mut Vec<Binding>) {
        match &self.before_binding {
            Some(handler) => handler(bindings),
            None => self.rest().on_before_binding(bindings),
        }
    }

    fn on_startup(&self, server: &Server) {
        match &self.startup {
            Some(handler) => handler(server),
            None => self.rest().on_startup(server),
        }
    }

    fn on_watchdog_restart(&self, server: &Server, restart: &WatchDogRestart) {
        match &self.watchdog_restart {
            Some(handler) => handler(server, restart),
            None => self.rest().on_watchdog_restart(server, restart),
        }
    }

    fn on_shutdown(&self, server: &Server) {
        match &self.shutdown {
            Some(handler) => handler(server),
            None => self.rest().on_shutdown(server),
        }
    }

    fn on_tcp_connect(&self, connection: &ConnectionInfo) -> Admission {
        match &self.tcp_connect {
            Some(handler) => handler(connection),
            None => self.rest().on_tcp_connect(connection),
        }
    }

    fn watches_connections(&self) -> bool {
        self.tcp_connect.is_some() || self.rest().watches_connections()
    }

    fn on_firewall_filtered(&self, filtered: &FirewallFiltered) -> Admission {
        match &self.firewall_filtered {
            Some(handler) => handler(filtered),
            None => self.rest().on_firewall_filtered(filtered),
        }
    }

    fn on_firewall_violation(&self, violation: &FirewallViolation) {
        match &self.firewall_violation {
            Some(handler) => handler(violation),
            None => self.rest().on_firewall_violation(violation),
        }
    }

    fn on_bot_detected(&self, detected: &BotDetected<'_>) {
        match &self.bot_detected {
            Some(handler) => handler(detected),
            None => self.rest().on_bot_detected(detected),
        }
    }

    fn on_firewall_rule(&self, request: &Request<'_>) -> Admission {
        match &self.firewall_rule {
            Some(handler) => handler(request),
            None => self.rest().on_firewall_rule(request),
        }
    }

    fn watches_firewall_rules(&self) -> bool {
        self.firewall_rule.is_some() || self.rest().watches_firewall_rules()
    }

    fn on_resolve_country(&self, address: IpAddr) -> Option<Country> {
        match &self.resolve_country {
            Some(handler) => handler(address),
            None => self.rest().on_resolve_country(address),
        }
    }

    fn on_score_changed(&self, changed: &ScoreChanged) {
        match &self.score_changed {
            Some(handler) => handler(changed),
            None => self.rest().on_score_changed(changed),
        }
    }

    fn on_rate_limited(&self, limited: &RateLimited<'_>) -> Admission {
        match &self.rate_limited {
            Some(handler) => handler(limited),
            None => self.rest().on_rate_limited(limited),
        }
    }

    fn on_quota_exceeded(&self, limited: &RateLimited<'_>) {
        match &self.quota_exceeded {
            Some(handler) => handler(limited),
            None => self.rest().on_quota_exceeded(limited),
        }
    }

    #[inline]
    fn on_http_request(
        &self,
        request: &Request<'_>,
        response: &mut Response,
    ) -> Result<(), HandlerError> {
        match &self.http_request {
            OnHttpRequest::Blocking(handler) => handler(request, response),
            OnHttpRequest::Async(handler) => {
                let handler = Arc::clone(handler);
                response.answer_boxed(Box::new(move |request, response| {
                    handler(request, response)
                }));
                Ok(())
            }
            OnHttpRequest::Rest => self.rest().on_http_request(request, response),
        }
    }

    fn waits_for_content(&self) -> bool {
        match &self.http_request {
            OnHttpRequest::Blocking(_) => true,
            OnHttpRequest::Async(_) => false,
            OnHttpRequest::Rest => self.rest().waits_for_content(),
        }
    }

    fn on_before_forward_http(&self, request: &Request<'_>, forward: &mut Forward) {
        match &self.before_forward {
            Some(handler) => handler(request, forward),
            None => self.rest().on_before_forward_http(request, forward),
        }
    }

    fn on_after_forward_http(
        &self,
        request: &OwnedRequest,
        response: &mut Response,
        error: Option<&ForwardError>,
    ) {
        match &self.after_forward {
            Some(handler) => handler(request, response, error),
            None => self.rest().on_after_forward_http(request, response, error),
        }
    }

    fn watches_forwarding(&self) -> bool {
        self.before_forward.is_some()
            || self.after_forward.is_some()
            || self.rest().watches_forwarding()
    }

    fn on_http_upload_before_create_post_stream(&self, request: &Request<'_>) -> BeforeUpload {
        match &self.before_upload {
            Some(handler) => handler(request),
            None => self
                .rest()
                .on_http_upload_before_create_post_stream(request),
        }
    }

    fn on_http_upload_before_save_file(&self, request: &Request<'_>, file: &mut SaveFile) {
        match &self.before_save_file {
            Some(handler) => handler(request, file),
            None => self.rest().on_http_upload_before_save_file(request, file),
        }
    }

    fn on_http_upload_after_save_file(&self, request: &Request<'_>, file: &UploadedFile) {
        match &self.after_save_file {
            Some(handler) => handler(request, file),
            None => self.rest().on_http_upload_after_save_file(request, file),
        }
    }

    fn on_http_upload_read_input(&self, request: &Request<'_>, name: &str, value: &str) {
        match &self.read_input {
            Some(handler) => handler(request, name, value),
            None => self.rest().on_http_upload_read_input(request, name, value),
        }
    }

    fn on_authentication(&self, request: &Request<'_>, user: &str, password: &str) -> AuthDecision {
        match &self.authentication {
            Some(handler) => handler(request, user, password),
            None => self.rest().on_authentication(request, user, password),
        }
    }

    fn on_api_key_validation(
        &self,
        request: &Request<'_>,
        validation: &ApiKeyValidation<'_>,
    ) -> AuthDecision {
        match &self.admission.api_key_validation {
            Some(handler) => handler(request, validation),
            None => self.rest().on_api_key_validation(request, validation),
        }
    }

    fn watches_api_keys(&self) -> bool {
        self.admission.api_key_validation.is_some() || self.rest().watches_api_keys()
    }

    fn on_api_key_event(&self, event: &ApiKeyEvent) {
        match &self.admission.api_key_event {
            Some(handler) => handler(event),
            None => self.rest().on_api_key_event(event),
        }
    }

    fn on_api_key_rotation(&self, rotation: &ApiKeyRotation<'_>) -> bool {
        match &self.admission.api_key_rotation {
            Some(handler) => handler(rotation),
            None => self.rest().on_api_key_rotation(rotation),
        }
    }

    fn rotates_api_keys(&self) -> bool {
        self.admission.api_key_rotation.is_some() || self.rest().rotates_api_keys()
    }

    fn on_before_authentication(&self, request: &Request<'_>) -> BeforeAuthentication {
        match &self.admission.before_authentication {
            Some(handler) => handler(request),
            None => self.rest().on_before_authentication(request),
        }
    }

    fn watches_before_authentication(&self) -> bool {
        self.admission.before_authentication.is_some()
            || self.rest().watches_before_authentication()
    }

    fn on_token_validation(
        &self,
        request: &Request<'_>,
        validation: &TokenValidation<'_>,
    ) -> AuthDecision {
        match &self.admission.token_validation {
            Some(handler) => handler(request, validation),
            None => self.rest().on_token_validation(request, validation),
        }
    }

    fn watches_tokens(&self) -> bool {
        self.admission.token_validation.is_some() || self.rest().watches_tokens()
    }

    fn on_unauthorized(&self, request: &Request<'_>, answer: &mut Unauthorized) -> Admission {
        match &self.admission.unauthorized {
            Some(handler) => handler(request, answer),
            None => self.rest().on_unauthorized(request, answer),
        }
    }

    fn watches_unauthorized(&self) -> bool {
        self.admission.unauthorized.is_some() || self.rest().watches_unauthorized()
    }

    fn watches_authentication(&self) -> bool {
        self.authentication.is_some() || self.rest().watches_authentication()
    }

    fn watches_uploads(&self) -> bool {
        self.before_upload.is_some() || self.rest().watches_uploads()
    }

    fn accepts_websockets(&self) -> bool {
        self.handshake.is_some()
            || self.connect.is_some()
            || self.message.is_some()
            || self.binary.is_some()
            || self.fragmented.is_some()
            || self.disconnect.is_some()
            || self.has_protocols
            || self.rest().accepts_websockets()
    }

    fn on_handshake(&self, handshake: &Handshake<'_>, response: &mut HandshakeResponse) {
        match &self.handshake {
            Some(handler) => handler(handshake, response),
            None => self.rest().on_handshake(handshake, response),
        }
    }

    fn on_connect(&self, connection: &Connection) {
        match &self.connect {
            Some(handler) => handler(connection),
            None => self.rest().on_connect(connection),
        }
    }

    #[inline]
    fn on_message(&self, connection: &Connection, text: &str) -> Result<(), HandlerError> {
        match &self.message {
            Some(handler) => handler(connection, text),
            None => self.rest().on_message(connection, text),
        }
    }

    #[inline]
    fn on_binary(&self, connection: &Connection, data: &[u8]) -> Result<(), HandlerError> {
        match &self.binary {
            Some(handler) => handler(connection, data),
            None => self.rest().on_binary(connection, data),
        }
    }

    fn on_fragmented(
        &self,
        connection: &Connection,
        fragment: &Fragment<'_>,
    ) -> Result<(), HandlerError> {
        match &self.fragmented {
            Some(handler) => handler(connection, fragment),
            None => self.rest().on_fragmented(connection, fragment),
        }
    }

    fn on_disconnect(&self, connection: &Connection, disconnect: &Disconnect) {
        match &self.disconnect {
            Some(handler) => handler(connection, disconnect),
            None => self.rest().on_disconnect(connection, disconnect),
        }
    }

    fn on_before_heartbeat(&self, connection: &Connection) -> BeforeHeartbeat {
        match &self.before_heartbeat {
            Some(handler) => handler(connection),
            None => self.rest().on_before_heartbeat(connection),
        }
    }

    fn watches_heartbeats(&self) -> bool {
        self.before_heartbeat.is_some() || self.rest().watches_heartbeats()
    }

    fn on_asynchronous(&self, connection: &Connection, sent: &Sent) {
        match &self.asynchronous {
            Some(handler) => handler(connection, sent),
            None => self.rest().on_asynchronous(connection, sent),
        }
    }

    fn on_unknown_protocol(&self, connection: &Connection) {
        match &self.unknown_protocol {
            Some(handler) => handler(connection),
            None => self.rest().on_unknown_protocol(connection),
        }
    }

    fn on_error(&self, error: &PeerError) {
        match &self.error {
            Some(handler) => handler(error),
            None => self.rest().on_error(error),
        }
    }

    fn on_exception(&self, exception: &Exception) {
        match &self.exception {
            Some(handler) => handler(exception),
            None => self.rest().on_exception(exception),
        }
    }
}

/// Every event's default, without the cost of asking about connections.
struct NobodyListens;

impl Events for NobodyListens {
    fn watches_connections(&self) -> bool {
        false
    }

    fn waits_for_content(&self) -> bool {
        false
    }

    fn watches_forwarding(&self) -> bool {
        false
    }

    fn watches_api_keys(&self) -> bool {
        false
    }

    fn watches_before_authentication(&self) -> bool {
        false
    }

    fn watches_tokens(&self) -> bool {
        false
    }

    fn watches_unauthorized(&self) -> bool {
        false
    }

    fn watches_authentication(&self) -> bool {
        false
    }

    fn watches_firewall_rules(&self) -> bool {
        false
    }

    fn watches_uploads(&self) -> bool {
        false
    }

    fn accepts_websockets(&self) -> bool {
        false
    }

    fn watches_heartbeats(&self) -> bool {
        false
    }
}
