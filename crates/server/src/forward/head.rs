//! The head of a request as an upstream gets it, whatever version of HTTP it is sent in.
//!
//! How it is framed and written is the transport's matter. Source: RFC 9110 §7.6.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_httpapi::{
    ContentFraming, FieldBlock, FieldError, KnownField, PeerAddress, RequestHead, Version,
};

use super::error::ForwardFailure;
use super::event::Forward;
use super::fields::{is_own, passed_on};
use super::forwarded::Client;
use super::settings::{ForwardHost, ForwardSettings};
use crate::path::{escape, escape_query, is_plain, respell, without_base};
use crate::place::rest_of;

/// A request's head, as it is passed on.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: Box<str>,
    /// What comes behind the upstream's own path: path and query. Empty, or begins with `/` or `?`.
    rest: Vec<u8>,
    /// The target is `*`.
    is_asterisk: bool,
    /// `None`: that of the upstream's URL.
    pub(super) host: Option<Box<[u8]>>,
    /// All fields but `Host` and what says how the message is framed.
    pub(super) fields: FieldBlock,
    pub(super) framing: ContentFraming,
    /// The client understands trailers.
    pub(super) takes_trailers: bool,
    /// The client waits for `100 Continue`.
    pub(super) expects_continue: bool,
    /// A WebSocket connection is asked for.
    pub(super) websocket: Option<WebSocketAsked>,
}

/// How a client asks for a WebSocket connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum WebSocketAsked {
    /// By an upgrade: the answer is 101.
    Upgrade,
    /// By an extended CONNECT (RFC 8441), which has no key: this one was made up. The answer is 200.
    Connect { key: Box<str> },
}

/// What makes a request's head another.
pub(super) struct Changes<'a> {
    pub(super) settings: &'a ForwardSettings,
    /// Of the part of the paths that it is forwarded by.
    pub(super) base: &'a str,
    pub(super) forward: &'a Forward,
    pub(super) peer: &'a PeerAddress,
    pub(super) via: &'a str,
    /// Sixteen bytes that nobody can foretell.
    pub(super) nonce: &'a dyn Fn() -> Option<[u8; 16]>,
}

impl Outgoing {
    pub(super) fn new(
        head: &RequestHead<'_>,
        changes: &Changes<'_>,
    ) -> Result<Self, ForwardFailure> {
        let Changes {
            settings, forward, ..
        } = *changes;
        let websocket = websocket_asked(head, changes)?;
        let method = match &websocket {
            // RFC 8441 §5: what is a CONNECT in HTTP/2 is a GET in HTTP/1.1.
            Some(WebSocketAsked::Connect { .. }) => "GET",
            _ => head.method(),
        };
        let fields = fields(head, changes, websocket.as_ref());
        let host: Option<Box<[u8]>> = match (&forward.host, &settings.host) {
            (Some(host), _) | (None, ForwardHost::Name(host)) => Some(host.as_bytes().into()),
            (None, ForwardHost::Preserve) => head.host().map(Box::from),
            (None, ForwardHost::Upstream) => None,
        };
        if let Some(host) = &host {
            // Nothing that would end its line.
            let checked = FieldBlock::new().append("Host", host);
            checked.map_err(ForwardFailure::Field)?;
        }
        Ok(Self {
            method: method.into(),
            rest: rest(head, changes).ok_or(ForwardFailure::Target)?,
            is_asterisk: head.target() == b"*" && forward.document.is_none(),
            host,
            fields: fields.map_err(ForwardFailure::Field)?,
            framing: head.framing,
            takes_trailers: head.version() == Version::Http2
                && head
                    .fields
                    .known(KnownField::Te)
                    .is_some_and(|te| te.eq_ignore_ascii_case(b"trailers")),
            expects_continue: head.expects_continue,
            websocket,
        })
    }

    /// A question of our own, for this path.
    pub(super) fn get(path: &str) -> Self {
        Self {
            method: "GET".into(),
            rest: path.as_bytes().to_vec(),
            is_asterisk: false,
            host: None,
            fields: FieldBlock::new(),
            framing: ContentFraming::None,
            takes_trailers: false,
            expects_continue: false,
            websocket: None,
        }
    }

    /// Whether its method is one that has content as a rule.
    pub(super) fn may_have_content(&self) -> bool {
        matches!(&*self.method, "POST" | "PUT" | "PATCH")
    }

    /// The target, at an upstream whose paths begin with `base`.
    pub(super) fn target(&self, base: &str) -> Vec<u8> {
        if self.is_asterisk && base.is_empty() {
            return b"*".to_vec();
        }
        let mut target = Vec::with_capacity(base.len() + self.rest.len() + 1);
        target.extend_from_slice(base.as_bytes());
        if target.is_empty() && self.rest.first() != Some(&b'/') {
            target.push(b'/');
        }
        target.extend_from_slice(&self.rest);
        target
    }
}

/// How often `via` stands in the request's `Via`. RFC 9110 §7.6.3.
pub(super) fn times_seen(head: &RequestHead<'_>, via: &str) -> usize {
    let lines = head.fields.iter();
    let lines = lines.filter(|field| field.name.eq_ignore_ascii_case("Via"));
    lines
        .flat_map(|field| field.value.split(|&byte| byte == b','))
        .filter(|element| {
            let mut words = element
                .split(|byte| matches!(byte, b' ' | b'\t'))
                .filter(|word| !word.is_empty());
            words.nth(1) == Some(via.as_bytes())
        })
        .count()
}

/// How many more may forward a TRACE or OPTIONS. RFC 9110 §7.6.2.
pub(super) fn forwards_left(head: &RequestHead<'_>) -> Option<u32> {
    if !matches!(head.method(), "TRACE" | "OPTIONS") {
        return None;
    }
    let value = head.field("Max-Forwards")?;
    std::str::from_utf8(&value).ok()?.parse().ok()
}

fn websocket_asked(
    head: &RequestHead<'_>,
    changes: &Changes<'_>,
) -> Result<Option<WebSocketAsked>, ForwardFailure> {
    if !asks_for_websocket(head) {
        return Ok(None);
    }
    if !changes.settings.websockets {
        return match head.version() {
            Version::Http2 => Err(ForwardFailure::NoWebSockets),
            // Without its `Upgrade` it is a request like any other.
            _ => Ok(None),
        };
    }
    if head.version() != Version::Http2 {
        return Ok(Some(WebSocketAsked::Upgrade));
    }
    let nonce = (changes.nonce)().ok_or(ForwardFailure::NoRandomness)?;
    Ok(Some(WebSocketAsked::Connect {
        key: STANDARD.encode(nonce).into(),
    }))
}

/// Whether a request asks for a WebSocket connection. Other protocols are not forwarded: an upstream that
/// agreed to one would be out of sight of whoever decides here.
pub(super) fn asks_for_websocket(head: &RequestHead<'_>) -> bool {
    match head.version() {
        Version::Http2 => head.protocol() == Some(b"websocket"),
        Version::Http11 => {
            let has = |name, token: &[u8]| {
                head.field(name).is_some_and(|value| {
                    let mut options = value.split(|&byte| byte == b',');
                    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(token))
                })
            };
            head.fields
                .known(KnownField::Upgrade)
                .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
                && head.framing == ContentFraming::None
                && head.method() == "GET"
                && has("Connection", b"upgrade")
        }
        _ => false,
    }
}

fn fields(
    head: &RequestHead<'_>,
    changes: &Changes<'_>,
    websocket: Option<&WebSocketAsked>,
) -> Result<FieldBlock, FieldError> {
    let Changes {
        settings, forward, ..
    } = *changes;
    let client = Client::of(head, changes.peer, settings);
    let origin = forward.origin.as_ref().or(settings.origin.as_ref());
    let forwards_left = forwards_left(head);
    // Its size is nearly that of the head that came.
    let mut out = FieldBlock::with_memory(Vec::with_capacity(head.bytes.len() + 256));
    for field in passed_on(head.fields) {
        let name = field.name;
        let known = KnownField::of(name.as_bytes());
        let is_dropped = matches!(known, KnownField::Host | KnownField::Expect)
            || client.drops(name, settings)
            || settings.removes(name)
            || settings.sets(name)
            || forward.sets(name)
            || (forward.no_cache && is_about_cache(name));
        if is_dropped {
            continue;
        }
        match name {
            _ if origin.is_some() && name.eq_ignore_ascii_case("Origin") => {
                out.append(name, origin.map_or("", |origin| origin))?;
            }
            _ if name.eq_ignore_ascii_case("Max-Forwards") && forwards_left.is_some() => {
                let left = forwards_left.unwrap_or_default().saturating_sub(1);
                out.append(name, left.to_string())?;
            }
            _ => out.append(name, field.value)?,
        }
    }
    if let Some(WebSocketAsked::Connect { key }) = websocket {
        out.append("Sec-WebSocket-Key", &**key)?;
        if head.field("Sec-WebSocket-Version").is_none() {
            out.append("Sec-WebSocket-Version", "13")?;
        }
    }
    if forward.no_cache {
        out.append("Cache-Control", "no-cache")?;
        out.append("Pragma", "no-cache")?;
    }
    client.write(head, settings, &mut out)?;
    let received = match head.version() {
        Version::Http10 => "1.0",
        Version::Http2 => "2",
        _ => "1.1",
    };
    out.append("Via", format!("{received} {}", changes.via))?;
    for (name, value) in &settings.set_fields {
        // Settings that a handler makes have not been checked.
        if !forward.sets(name) && !is_own(name) {
            out.append(name, value)?;
        }
    }
    for field in forward.custom_headers.iter() {
        // A handler's fields are checked where they are used: it may have set any.
        if !is_own(field.name) {
            out.append(field.name, field.value)?;
        }
    }
    Ok(out)
}

/// What a client says about whether a stored response would do for it.
fn is_about_cache(name: &str) -> bool {
    [
        "Cache-Control",
        "Pragma",
        "If-None-Match",
        "If-Modified-Since",
    ]
    .iter()
    .any(|field| name.eq_ignore_ascii_case(field))
}

/// Path and query, behind the upstream's own path.
fn rest(head: &RequestHead<'_>, changes: &Changes<'_>) -> Option<Vec<u8>> {
    let Changes {
        settings, forward, ..
    } = *changes;
    let mut rest = match &forward.document {
        Some(document) => {
            let mut rest = Vec::with_capacity(document.len() + 1);
            if !document.starts_with('/') {
                rest.push(b'/');
            }
            escape(document.as_bytes(), &mut rest);
            rest
        }
        None => path(head.raw_path(), changes.base, settings)?,
    };
    match (&forward.query_params, head.query()) {
        (Some(query), _) if query.is_empty() => {}
        (Some(query), _) => {
            rest.push(b'?');
            escape_query(query.as_bytes(), &mut rest);
        }
        (None, Some(query)) => {
            rest.push(b'?');
            rest.extend_from_slice(query);
        }
        (None, None) => {}
    }
    Some(rest)
}

fn path(raw: &[u8], base: &str, settings: &ForwardSettings) -> Option<Vec<u8>> {
    let without = |path: Vec<u8>| match settings.strip_path && !base.is_empty() {
        true => without_base(&path, base).to_vec(),
        false => path,
    };
    if is_plain(raw) {
        return Some(without(raw.to_vec()));
    }
    if settings.raw_path {
        let kept = respell(raw, true)?;
        if rest_of(&kept, base).is_some() {
            return Some(without(kept));
        }
    }
    Some(without(respell(raw, false)?))
}

impl ForwardSettings {
    fn removes(&self, name: &str) -> bool {
        let mut removed = self.remove_fields.iter();
        removed.any(|field| field.eq_ignore_ascii_case(name))
    }

    fn sets(&self, name: &str) -> bool {
        let mut set = self.set_fields.keys();
        set.any(|field| field.eq_ignore_ascii_case(name))
    }
}
