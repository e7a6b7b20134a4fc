//! `/inspect`: the request as the server saw it, as JSON.
//!
//! Bytes that are no UTF-8 are shown as U+FFFD. Ids are texts, since they may be longer than the whole
//! numbers that JavaScript keeps.

use std::borrow::Cow;

use serde::Serialize;
use tidegate::{Request, Response, TlsInfo};

pub(super) fn inspect(request: &Request<'_>, response: &mut Response) {
    let fields = request.headers();
    let tls = request.tls();
    let seen = Seen {
        method: request.method(),
        target: text(request.target()),
        path: request.document(),
        query: request.query().map(text),
        version: request.version().as_str(),
        headers: fields
            .iter()
            .map(|field| (field.name, text(field.value)))
            .collect(),
        peer: request.peer().to_string(),
        local: request.local().to_string(),
        connection_id: request.connection_id().0.to_string(),
        request_id: request.request_id().0.to_string(),
        prefix: request.prefix().to_string(),
        context: request.url_context(),
        tls: tls.as_deref().map(Tls::of),
    };
    response
        .content_type("application/json")
        .cache_control("no-store");
    match serde_json::to_vec_pretty(&seen) {
        Ok(json) => response.bytes(json),
        Err(_) => response.status(500).empty(),
    }
}

/// What is shown, in this order.
#[derive(Serialize)]
struct Seen<'a> {
    method: &'a str,
    target: Cow<'a, str>,
    /// Decoded, as routing went by it.
    path: &'a str,
    query: Option<Cow<'a, str>>,
    version: &'static str,
    /// Names and values, as received.
    headers: Vec<(&'a str, Cow<'a, str>)>,
    peer: String,
    local: String,
    connection_id: String,
    request_id: String,
    /// The prefix that won, and the number registered with it.
    prefix: String,
    context: u64,
    tls: Option<Tls<'a>>,
}

/// What secures the connection.
#[derive(Serialize)]
struct Tls<'a> {
    version: &'static str,
    cipher_suite: &'static str,
    key_exchange: Option<&'static str>,
    server_name: Option<&'a str>,
    resumed: bool,
    /// How many the client showed, its own and those of who issued it.
    client_certificates: usize,
}

impl<'a> Tls<'a> {
    fn of(info: &'a TlsInfo) -> Self {
        Self {
            version: info.version,
            cipher_suite: info.cipher_suite,
            key_exchange: info.key_exchange,
            server_name: info.server_name.as_deref(),
            resumed: info.resumed,
            client_certificates: info.client_certificates.len(),
        }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
