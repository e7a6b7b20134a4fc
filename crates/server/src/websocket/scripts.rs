//! Serves the JavaScript clients: the component's own, and those of its sub-protocols.
//!
//! `tidegate/websocket.js` and `tidegate/NAME.js`, under whatever prefix the request came by, so that a
//! page refers to them the same way wherever it is served. A path there that is none of these is an
//! ordinary request. Source: the component's Options.JavascriptFiles.

use tidegate_httpapi::{Body, Exchange, FieldBlock, FieldError, RequestHead, ResponseHead};

use super::connections::Hub;
use super::settings::WebSocketSettings;

/// Whether, and how, clients are served.
pub(crate) struct Scripts {
    are_served: bool,
}

impl Scripts {
    pub(crate) fn new(settings: &WebSocketSettings) -> Self {
        Self {
            are_served: settings.javascript_files,
        }
    }

    /// Whether this request may be for a client, to be given to [`take`](Self::take).
    #[inline]
    pub(crate) fn concerns(&self, head: &RequestHead<'_>) -> bool {
        self.are_served && within_prefix(head).starts_with(FOLDER)
    }

    /// Answers a request for a client, or gives it back as an ordinary request.
    #[cold]
    pub(crate) fn take<'e>(&self, hub: &Hub, exchange: Exchange<'e>) -> Option<Exchange<'e>> {
        let head = exchange.head();
        let found = match head.method() {
            "GET" | "HEAD" => find(hub, within_prefix(head)),
            _ => None,
        };
        let Some((script, fields)) = found.and_then(|script| Some((script, fields().ok()?))) else {
            return Some(exchange);
        };
        let mut head = ResponseHead::new(200);
        head.fields = fields;
        exchange.respond(head, Body::Static(script.as_bytes()));
        None
    }
}

fn find(hub: &Hub, path: &str) -> Option<&'static str> {
    match path.strip_prefix(FOLDER)?.strip_suffix(".js")? {
        "websocket" => Some(include_str!("script/websocket.js")),
        name => hub.script(name),
    }
}

fn fields() -> Result<FieldBlock, FieldError> {
    let mut fields = FieldBlock::new();
    fields.append("Content-Type", "text/javascript; charset=utf-8")?;
    // As long as a page with its parts takes to load, several times over; after a new version of the
    // server has come, not much longer.
    fields.append("Cache-Control", "max-age=300")?;
    fields.append("X-Content-Type-Options", "nosniff")?;
    Ok(fields)
}

/// The path behind the prefix, from its last slash on.
#[inline]
fn within_prefix<'a>(head: &RequestHead<'a>) -> &'a str {
    let (path, prefix) = (head.cooked_path, &*head.registration.prefix.path);
    if prefix == "/" {
        return path;
    }
    // Segments are counted, not characters: see Request::base_and_rest.
    let segments = prefix.matches('/').count().saturating_sub(1);
    match path.match_indices('/').nth(segments) {
        Some((index, _)) => &path[index..],
        None => "",
    }
}

const FOLDER: &str = "/tidegate/";
