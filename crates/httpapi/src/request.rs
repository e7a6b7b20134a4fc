//! A request's head: what the peer asked, where it was routed, how its content is framed.
//!
//! [`RequestHead`] borrows from the receive buffer and costs nothing to make; [`OwnedRequestHead`]
//! is its copy for handlers that answer later. Source: RFC 9112 §3, HTTP Server API `HTTP_REQUEST`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::field::{FieldSpan, Fields, KnownField};
use crate::url_prefix::UrlPrefix;

/// Names a connection within the backend's life.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConnectionId(pub u64);

/// Names a request within the backend's life. Never 0, and no connection has the same number: a stream
/// of HTTP/2 that becomes a WebSocket connection is named by it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The version of HTTP that the peer speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.0
    #[cfg_attr(feature = "serde", serde(rename = "HTTP/1.0"))]
    Http10,
    /// HTTP/1.1 or a later 1.x
    #[cfg_attr(feature = "serde", serde(rename = "HTTP/1.1"))]
    Http11,
    /// HTTP/2
    #[cfg_attr(feature = "serde", serde(rename = "HTTP/2"))]
    Http2,
}

impl Version {
    /// As the protocol spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// A stretch of a head's bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The bytes of this span.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// Where the parts of a request line, or of HTTP/2's pseudo-header fields, stand in the bytes of a head.
/// RFC 9112 §3, RFC 9113 §8.3.1.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine {
    /// The method.
    pub method: Span,
    /// The whole request target as received.
    pub target: Span,
    /// The authority of an absolute-form target.
    pub authority: Option<Span>,
    /// The path as received: escapes and dot segments are still there. Empty for `OPTIONS *`.
    pub path: Span,
    /// The query without its `?`; `None` when the target has no `?`.
    pub query: Option<Span>,
    /// The protocol version.
    pub version: Version,
    /// The protocol that an extended CONNECT asks for (RFC 8441); never in HTTP/1.
    pub protocol: Option<Span>,
}

/// How the end of a request's content is found. RFC 9112 §6.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ContentFraming {
    /// There is no content.
    None,
    /// `Content-Length` bytes, at least one.
    Length(u64),
    /// Content of unknown length: in HTTP/1 chunks, then a trailer section; in HTTP/2 DATA frames up to
    /// the end of the stream, which an application sees as chunked too (http-server-api §11, case T07).
    Chunked,
}

/// A URL prefix as it was registered, and the context to return with its requests.
#[derive(Debug)]
pub struct Registration {
    /// The prefix.
    pub prefix: UrlPrefix,
    /// The number given when the prefix was added to its URL group; returned with every request.
    pub context: u64,
}

/// A request's head, borrowed from the receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The bytes that all spans refer to.
    pub bytes: &'a [u8],
    /// The parts of the request line.
    pub line: &'a RequestLine,
    /// The field lines.
    pub fields: Fields<'a>,
    /// Percent-decoded path without dot segments, as used for routing.
    pub cooked_path: &'a str,
    /// How the content is framed.
    pub framing: ContentFraming,
    /// Whether the peer waits for `100 Continue` before it sends the content.
    pub expects_continue: bool,
    /// The prefix that won.
    pub registration: &'a Arc<Registration>,
    /// The connection it came on.
    pub connection_id: ConnectionId,
    /// This request.
    pub request_id: RequestId,
}

impl<'a> RequestHead<'a> {
    /// The method as received, letter case kept.
    #[inline]
    pub fn method(&self) -> &'a str {
        // The usual ones need no look at whether they are text.
        match self.line.method.of(self.bytes) {
            b"GET" => "GET",
            b"POST" => "POST",
            b"PUT" => "PUT",
            b"HEAD" => "HEAD",
            b"DELETE" => "DELETE",
            b"OPTIONS" => "OPTIONS",
            b"PATCH" => "PATCH",
            other => text(other),
        }
    }

    /// The whole request target as received.
    #[inline]
    pub fn target(&self) -> &'a [u8] {
        self.line.target.of(self.bytes)
    }

    /// The path as received, without the query.
    #[inline]
    pub fn raw_path(&self) -> &'a [u8] {
        self.line.path.of(self.bytes)
    }

    /// The query as received, without its `?`; `None` when the target has no `?`.
    #[inline]
    pub fn query(&self) -> Option<&'a [u8]> {
        self.line.query.map(|span| span.of(self.bytes))
    }

    /// The protocol version.
    #[inline]
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// The protocol that an extended CONNECT asks for, `websocket`. RFC 8441 §4.
    #[inline]
    pub fn protocol(&self) -> Option<&'a [u8]> {
        self.line.protocol.map(|span| span.of(self.bytes))
    }

    /// The value of the field `name`, joined when there are several. See [`Fields::value`].
    pub fn field(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.fields.value(name)
    }

    /// The host asked for: an absolute target's authority, else the `Host` field's value.
    pub fn host(&self) -> Option<&'a [u8]> {
        match self.line.authority {
            Some(span) => Some(span.of(self.bytes)),
            None => self.fields.known(KnownField::Host),
        }
    }

    /// A copy that lives on its own.
    pub fn to_owned(&self) -> OwnedRequestHead {
        OwnedRequestHead(Arc::new(Owned {
            bytes: self.bytes.into(),
            line: *self.line,
            fields: self.fields.spans().into(),
            cooked_path: (self.cooked_path.as_bytes() != self.raw_path())
                .then(|| self.cooked_path.into()),
            framing: self.framing,
            expects_continue: self.expects_continue,
            registration: Arc::clone(self.registration),
            connection_id: self.connection_id,
            request_id: self.request_id,
        }))
    }
}

/// A request's head that lives on its own, for handlers that answer later. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OwnedRequestHead(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    bytes: Box<[u8]>,
    line: RequestLine,
    fields: Box<[FieldSpan]>,
    /// `None` when it equals the raw path, as it mostly does.
    cooked_path: Option<Box<str>>,
    framing: ContentFraming,
    expects_continue: bool,
    registration: Arc<Registration>,
    connection_id: ConnectionId,
    request_id: RequestId,
}

impl OwnedRequestHead {
    /// The head, borrowed.
    pub fn as_head(&self) -> RequestHead<'_> {
        let owned = &*self.0;
        RequestHead {
            bytes: &owned.bytes,
            line: &owned.line,
            fields: Fields::new(&owned.bytes, &owned.fields),
            cooked_path: match &owned.cooked_path {
                Some(cooked) => cooked,
                None => text(owned.line.path.of(&owned.bytes)),
            },
            framing: owned.framing,
            expects_continue: owned.expects_continue,
            registration: &owned.registration,
            connection_id: owned.connection_id,
            request_id: owned.request_id,
        }
    }
}

/// Text that the parser has already found to be ASCII.
#[inline]
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
