//! The place where metrics are read. Source: Prometheus, "Exposition formats"; OpenMetrics 1.0.

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use subtle::ConstantTimeEq;

use super::exposition::Exposition;
use crate::error::Error;
use crate::event::HandlerError;
use crate::http::{Challenge, Request, Response};
use crate::operations::{Operation, settled};
use crate::server::WeakServer;
use crate::settings::Settings;

/// What serves metrics, if the settings say that something does.
pub(crate) fn operation(
    server: WeakServer,
    settings: &Settings,
) -> Result<Option<Operation>, Error> {
    let metrics = &settings.metrics;
    if !metrics.enabled {
        return Ok(None);
    }
    let token = metrics.read_token().map_err(Error::Metrics)?;
    let answer = move |request: &Request<'_>, response: &mut Response| {
        answer(request, response, &server, token.as_deref())
    };
    Ok(Some(Operation {
        binding: settled(&metrics.url, settings),
        answer: Box::new(answer),
    }))
}

fn answer(
    request: &Request<'_>,
    response: &mut Response,
    server: &WeakServer,
    token: Option<&[u8]>,
) -> Result<(), HandlerError> {
    // What it says is of the moment.
    response.header("Cache-Control", "no-store");
    let (_, rest) = request.base_and_rest();
    if !rest.is_empty() {
        response.status(404).text("Metrics are at the path itself.");
        return Ok(());
    }
    if let Some(token) = token
        && !shows(request, token)
    {
        let challenge = Challenge::bearer().param("realm", "metrics");
        response.status(401).www_authenticate(challenge).empty();
        return Ok(());
    }
    if !matches!(request.method(), "GET" | "HEAD") {
        response.status(405).allow(["GET", "HEAD"]).empty();
        return Ok(());
    }
    let Some(server) = server.upgrade() else {
        response.status(503).text("The server is being stopped.");
        return Ok(());
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition(server.metrics())));
    let mut content = String::with_capacity(16 * 1024);
    match request.accepts([PLAIN, OPEN_METRICS, OPEN_METRICS_ESCAPED]) {
        Some(OPEN_METRICS | OPEN_METRICS_ESCAPED) => {
            text::encode(&mut content, &registry)?;
            response.content_type(OPEN_METRICS);
        }
        // Who likes neither gets what most can read.
        _ => {
            prometheus_text::encode(&mut content, &registry)?;
            response.content_type(PLAIN);
        }
    }
    response.vary("Accept").text(content);
    Ok(())
}

/// Whether a request shows this token (RFC 6750 §2.1). How long it takes tells nothing of the token.
fn shows(request: &Request<'_>, token: &[u8]) -> bool {
    let shown = request.bearer_token();
    shown.is_some_and(|shown| shown.as_bytes().ct_eq(token).into())
}

const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How Prometheus 3 asks for it: no name here needs to be escaped.
const OPEN_METRICS_ESCAPED: &str =
    "application/openmetrics-text; version=1.0.0; escaping=allow-utf-8; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
