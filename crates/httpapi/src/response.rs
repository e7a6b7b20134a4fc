//! A response as an application gives it: status, fields, content.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use crate::body::BodySource;
use crate::cache_policy::HeadCachePolicy;
use crate::field_block::FieldBlock;
use crate::logging::LogData;
use crate::piece::{Piece, total_length};
use crate::property::FlowRate;

/// A response's status and fields.
///
/// `Date`, `Server`, the framing fields and `Connection` are the backend's to write: a `Date` set
/// here is replaced, a `Server` set here comes before the backend's own, a `Content-Length` set here
/// is kept as it is.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status code, 200 to 599.
    pub status: u16,
    /// Reason phrase in place of the standard one; may not hold control characters.
    pub reason: Option<ReasonPhrase>,
    /// The fields.
    pub fields: FieldBlock,
    /// How content of unknown length is sent.
    pub transfer: Transfer,
    /// Whether the connection closes after this response (the API's disconnect flag). In HTTP/2 it begins
    /// to close: the client is asked to open no more streams (case T06).
    pub close: bool,
    /// The trailer section of content that is no stream; a stream's own comes from its source. Sent in
    /// HTTP/2 only (case T16).
    pub trailers: Option<Box<FieldBlock>>,
    /// Whether it may be stored, to be served again without the application. Default no.
    ///
    /// It is stored only if the request and the response are fit for it (http-server-api §8): see
    /// [`CachePolicy`](crate::CachePolicy). Sent it is in any case.
    pub cache: HeadCachePolicy,
    /// What few responses have.
    pub extras: Option<Box<HeadExtras>>,
}

impl ResponseHead {
    /// A head with this status and no fields.
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            reason: None,
            fields: FieldBlock::new(),
            transfer: Transfer::Automatic,
            close: false,
            trailers: None,
            cache: HeadCachePolicy::NONE,
            extras: None,
        }
    }
}

/// What few responses have beside their head: together, since a head has no room for each of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HeadExtras {
    /// What a log of requests says beside what it sees. Kept with a response that is stored.
    pub log: LogData,
    /// Its own rate, in place of its group's. Has been [checked](FlowRate::check). A copy that the response cache
    /// serves goes at the group's.
    pub flow_rate: Option<FlowRate>,
}

/// A reason phrase. Few responses have one of their own: it is small in a head that has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReasonPhrase(Box<Box<str>>);

impl From<&str> for ReasonPhrase {
    fn from(phrase: &str) -> Self {
        Self(Box::new(phrase.into()))
    }
}

impl From<Box<str>> for ReasonPhrase {
    fn from(phrase: Box<str>) -> Self {
        Self(Box::new(phrase))
    }
}

impl Deref for ReasonPhrase {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

// A response, which is a head and content, is moved a few times on its way: where it is longer than 128 bytes,
// each time takes a call.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<ResponseHead>() <= 64, "a head has grown");

/// How content of unknown length is sent on HTTP/1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Transfer {
    /// In chunks to a peer that understands them (RFC 9112 §7.1), else until the connection closes.
    #[default]
    Automatic,
    /// Neither `Content-Length` nor `Transfer-Encoding`: the connection's close ends it, as the HTTP
    /// Server API does when an application sends in several calls without a length (case C03).
    UntilClose,
}

/// Ends an HTTP/2 stream with this error code. RFC 9113 §7.
///
/// What [`Responder::reset`](crate::Responder::reset) does before a response, a
/// [`BodySource`] does in the middle of it by failing with this error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamReset {
    /// The code sent.
    pub code: u32,
}

impl StreamReset {
    /// `CANCEL`: the request is given up.
    pub const CANCEL: Self = Self { code: 0x8 };
}

impl fmt::Display for StreamReset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the application reset the stream with code {}",
            self.code
        )
    }
}

impl std::error::Error for StreamReset {}

/// A response's content.
#[derive(Default)]
#[non_exhaustive]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// Bytes that live as long as the program.
    Static(&'static [u8]),
    /// Bytes made for this response.
    Owned(Vec<u8>),
    /// Bytes shared with others; large ones are sent without being copied.
    Shared(Bytes),
    /// Bytes and parts of files, sent one after the other. Their lengths sum up to the content's.
    Pieces(Vec<Piece>),
    /// Content that comes piece by piece.
    Stream {
        /// Its length, when known. Giving fewer or more bytes ends the connection.
        length: Option<u64>,
        /// Where it comes from.
        source: Box<dyn BodySource>,
    },
}

impl Body {
    /// The length, when it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Static(bytes) => Some(bytes.len() as u64),
            Self::Owned(bytes) => Some(bytes.len() as u64),
            Self::Shared(bytes) => Some(bytes.len() as u64),
            Self::Pieces(pieces) => Some(total_length(pieces)),
            Self::Stream { length, .. } => *length,
        }
    }

    /// Drops it: without a call where there is nothing to drop, as mostly.
    #[inline]
    pub fn discard(self) {
        match self {
            Self::Empty | Self::Static(_) => std::mem::forget(self),
            _ => drop(self),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Empty => "Empty",
            Self::Static(_) => "Static",
            Self::Owned(_) => "Owned",
            Self::Shared(_) => "Shared",
            Self::Pieces(_) => "Pieces",
            Self::Stream { .. } => "Stream",
        };
        formatter
            .debug_struct(kind)
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}

/// The standard reason phrase of a status code; empty for one that is not registered.
///
/// Source: RFC 9110 §15 and the IANA HTTP status code registry.
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}
