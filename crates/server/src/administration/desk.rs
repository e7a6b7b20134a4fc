//! Answers requests to the administration: the page, signing in and out, and the WebSocket.
//!
//! What programs ask for is `api`'s matter.

use std::sync::Arc;

use serde_json::{Value, json};
use tidegate_httpapi::{Backend, RequestQueueId};

use super::api;
use super::door::{Door, Refusal, Visitor};
use super::live::Series;
use super::sample::ServerInfo;
use crate::event::{Events, HandlerError};
use crate::http::{Request, Response};
use crate::server::WeakServer;
use crate::websocket::{Connection, Handshake, HandshakeResponse};

/// What an administration knows.
pub(super) struct Desk {
    pub(super) door: Door,
    pub(super) backend: Arc<dyn Backend>,
    /// The application's.
    pub(super) queue: RequestQueueId,
    pub(super) about: WeakServer,
    pub(super) info: ServerInfo,
    /// The prefixes of the administration.
    pub(super) own_urls: Vec<String>,
    /// Those of metrics.
    pub(super) metrics_urls: Vec<String>,
    pub(super) connections_max: usize,
    pub(super) series: Series,
}

impl Desk {
    pub(super) fn sign_in_link(&self) -> String {
        format!("{}{}", self.info.url, self.door.link_query())
    }
}

/// The events of the administration's own server.
pub(super) struct Page(pub(super) Arc<Desk>);

impl Events for Page {
    fn on_http_request(
        &self,
        request: &Request<'_>,
        response: &mut Response,
    ) -> Result<(), HandlerError> {
        self.0.answer(request, response);
        Ok(())
    }

    fn watches_connections(&self) -> bool {
        false
    }

    fn watches_authentication(&self) -> bool {
        false
    }

    fn watches_forwarding(&self) -> bool {
        false
    }

    fn watches_uploads(&self) -> bool {
        false
    }

    fn watches_heartbeats(&self) -> bool {
        false
    }

    /// Nobody's content is read before he has been let in.
    fn waits_for_content(&self) -> bool {
        false
    }

    fn on_handshake(&self, handshake: &Handshake<'_>, response: &mut HandshakeResponse) {
        let request = handshake.request();
        if request.base_and_rest().1 != "/live" {
            return response.pass();
        }
        match self.0.door.admit(request, true) {
            Ok(_) => {
                response.no_protocol();
            }
            Err(refusal) => response.refuse(refusal.status()),
        }
    }

    fn on_connect(&self, connection: &Connection) {
        let desk = &self.0;
        let info = api::server(desk);
        let history = desk.series.history();
        let hello = format!("{{\"type\":\"hello\",\"server\":{info},\"history\":{history}}}");
        // Who has left already misses nothing.
        let _ = connection.send_text(&hello);
    }

    fn on_message(&self, connection: &Connection, text: &str) -> Result<(), HandlerError> {
        let asked: Value = serde_json::from_str(text).unwrap_or_default();
        let answer = api::asked_live(&self.0, &asked);
        let _ = connection.send_text(&answer.to_string());
        Ok(())
    }
}

impl Desk {
    fn answer(&self, request: &Request<'_>, response: &mut Response) {
        let (_, rest) = request.base_and_rest();
        guard(response);
        if let Err(refusal) = self.door.check_host(request) {
            return self.refuse(refusal, rest, request, response);
        }
        match rest {
            // Relative links need the slash.
            "" => redirect(response, 308, &self.info_path("")),
            "/" => self.page(request, response),
            "/page.css" => file(request, response, "text/css", include_str!("page/page.css")),
            "/page.js" => file(
                request,
                response,
                "text/javascript",
                include_str!("page/page.js"),
            ),
            "/sign-in.js" => file(
                request,
                response,
                "text/javascript",
                include_str!("page/sign-in.js"),
            ),
            "/sign-in" => self.sign_in(request, response),
            "/sign-out" => self.sign_out(request, response),
            // Here come requests only that ask for no WebSocket.
            "/live" => refuse_with(response, 426, "this is a WebSocket"),
            _ => match rest.strip_prefix("/api/") {
                Some(path) => self.program(path, request, response),
                None => refuse_with(response, 404, "there is no such page"),
            },
        }
    }

    fn info_path(&self, rest: &str) -> String {
        let start = self.info.url.find("://").map_or(0, |index| index + 3);
        let path = self.info.url[start..]
            .find('/')
            .map_or("/", |index| &self.info.url[start + index..]);
        format!("{path}{rest}")
    }

    fn page(&self, request: &Request<'_>, response: &mut Response) {
        if !is_read(request, response) {
            return;
        }
        match self.door.admit(request, false) {
            Ok(_) => html(response, include_str!("page/index.html")),
            Err(Refusal::Nobody) => redirect(response, 303, &self.info_path("sign-in")),
            Err(refusal) => self.refuse(refusal, "/", request, response),
        }
    }

    fn sign_in(&self, request: &Request<'_>, response: &mut Response) {
        match request.method() {
            "GET" | "HEAD" => {
                let query = request.query_params();
                let Some(code) = query.first("once") else {
                    return html(response, include_str!("page/sign-in.html"));
                };
                // A HEAD, which looks whether a link is there, must not use it up.
                if request.method() == "HEAD" {
                    return response.empty();
                }
                match self.door.take_code(request, &code) {
                    Ok(()) => {
                        response.set_cookie(self.door.begin_session());
                        // A redirect of a link that another page had would not send the cookie.
                        html(response, include_str!("page/signed-in.html"));
                    }
                    Err(Refusal::Nobody) => {
                        response.status(403);
                        html(response, include_str!("page/sign-in.html"));
                    }
                    Err(refusal) => self.refuse(refusal, "/sign-in", request, response),
                }
            }
            "POST" => {
                let admitted = self.door.admit(request, true);
                match admitted {
                    Ok(Visitor::Program) => {
                        response.set_cookie(self.door.begin_session());
                        respond(response, 200, &json!({}));
                    }
                    Ok(Visitor::Browser(_)) => respond(response, 200, &json!({})),
                    Err(refusal) => self.refuse(refusal, "/api/", request, response),
                }
            }
            _ => not_allowed(response, &["GET", "HEAD", "POST"]),
        }
    }

    fn sign_out(&self, request: &Request<'_>, response: &mut Response) {
        if request.method() != "POST" {
            return not_allowed(response, &["POST"]);
        }
        match self.door.admit(request, true) {
            Ok(Visitor::Browser(session)) => {
                response.set_cookie(self.door.end_session(&session));
                respond(response, 200, &json!({}));
            }
            Ok(Visitor::Program) => respond(response, 200, &json!({})),
            Err(refusal) => self.refuse(refusal, "/api/", request, response),
        }
    }

    fn program(&self, path: &str, request: &Request<'_>, response: &mut Response) {
        let acts = request.method() != "GET";
        match self.door.admit(request, acts) {
            Ok(_) => api::answer(self, path, request, response),
            Err(refusal) => self.refuse(refusal, "/api/", request, response),
        }
    }

    fn refuse(&self, refusal: Refusal, rest: &str, request: &Request<'_>, response: &mut Response) {
        // Who shows nothing has yet to sign in.
        if refusal != Refusal::Nobody || request.header("Authorization").is_some() {
            let peer = request.peer();
            tracing::warn!(%peer, path = rest, "administration: {}", refusal.text());
        }
        if refusal == Refusal::Nobody {
            response.header(
                "WWW-Authenticate",
                "Bearer realm=\"tidegate administration\"",
            );
        }
        if refusal == Refusal::TooMany {
            response.header("Retry-After", "60");
        }
        match rest.starts_with("/api/") {
            true => refuse_with(response, refusal.status(), refusal.text()),
            false => {
                response.status(refusal.status());
                response.text(refusal.text());
            }
        }
    }
}

/// What all answers say: that nobody else may show, keep or use them.
fn guard(response: &mut Response) {
    response
        .header("Cache-Control", "no-store")
        .header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        .header("X-Frame-Options", "DENY")
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cross-Origin-Opener-Policy", "same-origin")
        .header("Cross-Origin-Resource-Policy", "same-origin");
}

fn html(response: &mut Response, page: &'static str) {
    response.content_type("text/html; charset=utf-8").text(page);
}

/// A part of the pages, which is no secret.
fn file(request: &Request<'_>, response: &mut Response, kind: &str, content: &'static str) {
    if is_read(request, response) {
        let content_type = format!("{kind}; charset=utf-8");
        response.content_type(&content_type).text(content);
    }
}

fn is_read(request: &Request<'_>, response: &mut Response) -> bool {
    let is_read = matches!(request.method(), "GET" | "HEAD");
    if !is_read {
        not_allowed(response, &["GET", "HEAD"]);
    }
    is_read
}

pub(super) fn not_allowed(response: &mut Response, methods: &[&str]) {
    response.allow(methods);
    refuse_with(response, 405, "there is another method for this");
}

fn redirect(response: &mut Response, status: u16, to: &str) {
    response.status(status).location(to).empty();
}

/// Answers with JSON.
pub(super) fn respond(response: &mut Response, status: u16, content: &Value) {
    response
        .status(status)
        .content_type("application/json")
        .bytes(content.to_string());
}

/// Answers that something cannot be done, and why.
pub(super) fn refuse_with(response: &mut Response, status: u16, why: &str) {
    respond(response, status, &json!({ "error": why }));
}

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
