//! The application's handlers, one by one. What each is told, and when, is at [`Events`](crate::Events).

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_admission::api_keys::ApiKeyEvent;
use tidegate_admission::country::Country;
use tidegate_httpapi::{Admission, ConnectionInfo};

use super::ServerBuilder;
use crate::admission::{
    ApiKeyRotation, ApiKeyValidation, BeforeAuthentication, TokenValidation, Unauthorized,
};
use crate::binding::Binding;
use crate::event::{
    AuthDecision, BeforeHeartbeat, Exception, Fragment, HandlerResult, MessageResult, PeerError,
    Sent,
};
use crate::forward::{Forward, ForwardError};
use crate::handler::OnHttpRequest;
use crate::http::{OwnedRequest, Request, Response};
use crate::server::Server;
use crate::traffic::{BotDetected, FirewallFiltered, FirewallViolation, RateLimited, ScoreChanged};
use crate::upload::{BeforeUpload, SaveFile, UploadedFile};
use crate::watchdog::WatchDogRestart;
use crate::websocket::{Connection, Disconnect, Handshake, HandshakeResponse};

impl ServerBuilder {
    /// See [`Events::on_api_key_validation`](crate::Events::on_api_key_validation).
    pub fn on_api_key_validation(
        mut self,
        handler: impl Fn(&Request<'_>, &ApiKeyValidation<'_>) -> AuthDecision + Send + Sync + 'static,
    ) -> Self {
        self.handlers.admission.api_key_validation = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_api_key_event`](crate::Events::on_api_key_event).
    pub fn on_api_key_event(
        mut self,
        handler: impl Fn(&ApiKeyEvent) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.admission.api_key_event = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_api_key_rotation`](crate::Events::on_api_key_rotation).
    pub fn on_api_key_rotation(
        mut self,
        handler: impl Fn(&ApiKeyRotation<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.handlers.admission.api_key_rotation = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_before_authentication`](crate::Events::on_before_authentication).
    pub fn on_before_authentication(
        mut self,
        handler: impl Fn(&Request<'_>) -> BeforeAuthentication + Send + Sync + 'static,
    ) -> Self {
        self.handlers.admission.before_authentication = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_token_validation`](crate::Events::on_token_validation).
    pub fn on_token_validation(
        mut self,
        handler: impl Fn(&Request<'_>, &TokenValidation<'_>) -> AuthDecision + Send + Sync + 'static,
    ) -> Self {
        self.handlers.admission.token_validation = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_unauthorized`](crate::Events::on_unauthorized).
    pub fn on_unauthorized(
        mut self,
        handler: impl Fn(&Request<'_>, &mut Unauthorized) -> Admission + Send + Sync + 'static,
    ) -> Self {
        self.handlers.admission.unauthorized = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_authentication`](crate::Events::on_authentication).
    pub fn on_authentication(
        mut self,
        handler: impl Fn(&Request<'_>, &str, &str) -> AuthDecision + Send + Sync + 'static,
    ) -> Self {
        self.handlers.authentication = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_before_binding`](crate::Events::on_before_binding).
    pub fn on_before_binding(
        mut self,
        handler: impl Fn(&mut Vec<Binding>) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.before_binding = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_watchdog_restart`](crate::Events::on_watchdog_restart).
    pub fn on_watchdog_restart(
        mut self,
        handler: impl Fn(&Server, &WatchDogRestart) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.watchdog_restart = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_startup`](crate::Events::on_startup).
    pub fn on_startup(mut self, handler: impl Fn(&Server) + Send + Sync + 'static) -> Self {
        self.handlers.startup = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_shutdown`](crate::Events::on_shutdown).
    pub fn on_shutdown(mut self, handler: impl Fn(&Server) + Send + Sync + 'static) -> Self {
        self.handlers.shutdown = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_tcp_connect`](crate::Events::on_tcp_connect).
    pub fn on_tcp_connect(
        mut self,
        handler: impl Fn(&ConnectionInfo) -> Admission + Send + Sync + 'static,
    ) -> Self {
        self.handlers.tcp_connect = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_firewall_filtered`](crate::Events::on_firewall_filtered).
    pub fn on_firewall_filtered(
        mut self,
        handler: impl Fn(&FirewallFiltered) -> Admission + Send + Sync + 'static,
    ) -> Self {
        self.handlers.firewall_filtered = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_firewall_violation`](crate::Events::on_firewall_violation).
    pub fn on_firewall_violation(
        mut self,
        handler: impl Fn(&FirewallViolation) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.firewall_violation = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_bot_detected`](crate::Events::on_bot_detected).
    pub fn on_bot_detected(
        mut self,
        handler: impl Fn(&BotDetected<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.bot_detected = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_firewall_rule`](crate::Events::on_firewall_rule).
    pub fn on_firewall_rule(
        mut self,
        handler: impl Fn(&Request<'_>) -> Admission + Send + Sync + 'static,
    ) -> Self {
        self.handlers.firewall_rule = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_resolve_country`](crate::Events::on_resolve_country).
    pub fn on_resolve_country(
        mut self,
        handler: impl Fn(IpAddr) -> Option<Country> + Send + Sync + 'static,
    ) -> Self {
        self.handlers.resolve_country = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_score_changed`](crate::Events::on_score_changed).
    pub fn on_score_changed(
        mut self,
        handler: impl Fn(&ScoreChanged) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.score_changed = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_rate_limited`](crate::Events::on_rate_limited).
    pub fn on_rate_limited(
        mut self,
        handler: impl Fn(&RateLimited<'_>) -> Admission + Send + Sync + 'static,
    ) -> Self {
        self.handlers.rate_limited = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_quota_exceeded`](crate::Events::on_quota_exceeded).
    pub fn on_quota_exceeded(
        mut self,
        handler: impl Fn(&RateLimited<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.quota_exceeded = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_http_request`](crate::Events::on_http_request). The handler returns nothing, or
    /// `Result<(), HandlerError>`, which any error becomes with `?`.
    pub fn on_http_request<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(&Request<'_>, &mut Response) -> R + Send + Sync + 'static,
        R: HandlerResult,
    {
        self.handlers.http_request = OnHttpRequest::Blocking(Box::new(move |request, response| {
            handler(request, response).into_result()
        }));
        self
    }

    /// As [`on_http_request`](Self::on_http_request), with an async handler, which is given the
    /// request and the response to keep and gives the response back.
    ///
    /// ```
    /// let builder = tidegate::Server::builder().on_http_request_async(
    ///     |request, mut response| async move {
    ///         response.text(format!("Hello, {}", request.document()));
    ///         response
    ///     },
    /// );
    /// ```
    pub fn on_http_request_async<F, A>(mut self, handler: F) -> Self
    where
        F: Fn(OwnedRequest, Response) -> A + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        self.handlers.http_request = OnHttpRequest::Async(Arc::new(move |request, response| {
            Box::pin(handler(request, response))
        }));
        self
    }

    /// See [`Events::on_before_forward_http`](crate::Events::on_before_forward_http).
    ///
    /// ```
    /// let builder = tidegate::Server::builder().on_before_forward_http(|request, forward| {
    ///     if request.document().starts_with("/legacy/") {
    ///         forward.to("http://127.0.0.1:9000");
    ///     }
    /// });
    /// ```
    pub fn on_before_forward_http(
        mut self,
        handler: impl Fn(&Request<'_>, &mut Forward) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.before_forward = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_after_forward_http`](crate::Events::on_after_forward_http).
    ///
    /// ```
    /// let builder = tidegate::Server::builder().on_after_forward_http(|_, response, error| {
    ///     if error.is_some() {
    ///         response.text("Back in a minute.");
    ///     }
    /// });
    /// ```
    pub fn on_after_forward_http(
        mut self,
        handler: impl Fn(&OwnedRequest, &mut Response, Option<&ForwardError>) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.after_forward = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_http_upload_before_create_post_stream`](crate::Events::on_http_upload_before_create_post_stream).
    pub fn on_http_upload_before_create_post_stream(
        mut self,
        handler: impl Fn(&Request<'_>) -> BeforeUpload + Send + Sync + 'static,
    ) -> Self {
        self.handlers.before_upload = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_http_upload_before_save_file`](crate::Events::on_http_upload_before_save_file).
    pub fn on_http_upload_before_save_file(
        mut self,
        handler: impl Fn(&Request<'_>, &mut SaveFile) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.before_save_file = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_http_upload_after_save_file`](crate::Events::on_http_upload_after_save_file).
    pub fn on_http_upload_after_save_file(
        mut self,
        handler: impl Fn(&Request<'_>, &UploadedFile) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.after_save_file = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_http_upload_read_input`](crate::Events::on_http_upload_read_input).
    pub fn on_http_upload_read_input(
        mut self,
        handler: impl Fn(&Request<'_>, &str, &str) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.read_input = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_handshake`](crate::Events::on_handshake).
    pub fn on_handshake(
        mut self,
        handler: impl Fn(&Handshake<'_>, &mut HandshakeResponse) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.handshake = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_connect`](crate::Events::on_connect).
    pub fn on_connect(mut self, handler: impl Fn(&Connection) + Send + Sync + 'static) -> Self {
        self.handlers.connect = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_message`](crate::Events::on_message). The handler returns nothing, what a send returns, or
    /// `Result<(), HandlerError>`.
    ///
    /// ```
    /// let echo = tidegate::Server::builder()
    ///     .on_message(|connection, text| connection.send_text(text))
    ///     .on_binary(|connection, data| connection.send_binary(data));
    /// ```
    pub fn on_message<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(&Connection, &str) -> R + Send + Sync + 'static,
        R: MessageResult,
    {
        self.handlers.message = Some(Box::new(move |connection, text| {
            handler(connection, text).into_result()
        }));
        self
    }

    /// See [`Events::on_binary`](crate::Events::on_binary). As [`on_message`](Self::on_message).
    pub fn on_binary<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(&Connection, &[u8]) -> R + Send + Sync + 'static,
        R: MessageResult,
    {
        self.handlers.binary = Some(Box::new(move |connection, data| {
            handler(connection, data).into_result()
        }));
        self
    }

    /// See [`Events::on_fragmented`](crate::Events::on_fragmented). As [`on_message`](Self::on_message).
    pub fn on_fragmented<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(&Connection, &Fragment<'_>) -> R + Send + Sync + 'static,
        R: MessageResult,
    {
        self.handlers.fragmented = Some(Box::new(move |connection, fragment| {
            handler(connection, fragment).into_result()
        }));
        self
    }

    /// See [`Events::on_disconnect`](crate::Events::on_disconnect).
    pub fn on_disconnect(
        mut self,
        handler: impl Fn(&Connection, &Disconnect) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.disconnect = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_before_heartbeat`](crate::Events::on_before_heartbeat).
    pub fn on_before_heartbeat(
        mut self,
        handler: impl Fn(&Connection) -> BeforeHeartbeat + Send + Sync + 'static,
    ) -> Self {
        self.handlers.before_heartbeat = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_asynchronous`](crate::Events::on_asynchronous).
    pub fn on_asynchronous(
        mut self,
        handler: impl Fn(&Connection, &Sent) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.asynchronous = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_unknown_protocol`](crate::Events::on_unknown_protocol).
    pub fn on_unknown_protocol(
        mut self,
        handler: impl Fn(&Connection) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.unknown_protocol = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_error`](crate::Events::on_error).
    pub fn on_error(mut self, handler: impl Fn(&PeerError) + Send + Sync + 'static) -> Self {
        self.handlers.error = Some(Box::new(handler));
        self
    }

    /// See [`Events::on_exception`](crate::Events::on_exception).
    pub fn on_exception(mut self, handler: impl Fn(&Exception) + Send + Sync + 'static) -> Self {
        self.handlers.exception = Some(Box::new(handler));
        self
    }
}
