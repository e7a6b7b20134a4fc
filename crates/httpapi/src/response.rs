//! A response as an application gives it: status, fields, content.

use std::fmt;

use bytes::Bytes;

use crate::body::BodySource;
use crate::field_block::FieldBlock;

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
    pub reason: Option<Box<str>>,
    /// The fields.
    pub fields: FieldBlock,
    /// How content of unknown length is sent.
    pub transfer: Transfer,
    /// Whether the connection closes after this response (the API's disconnect flag).
    pub close: bool,
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
        }
    }
}

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
            Self::Stream { length, .. } => *length,
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
