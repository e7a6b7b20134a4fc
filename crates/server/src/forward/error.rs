//! Why a request could not be forwarded, or its answer not be passed on.

use std::fmt;
use std::io;

use tidegate_httpapi::{BodyError, FieldError};
use tidegate_proto::http1::AnswerFault;

use super::url::UpstreamUrlError;
use crate::http::ContentError;

/// Why a request was not answered by an upstream.
#[derive(Debug)]
pub struct ForwardError {
    /// The upstream that was tried last, if one was.
    pub upstream: Option<String>,
    /// What happened.
    pub cause: ForwardFailure,
}

/// What kept an upstream from answering.
#[derive(Debug)]
#[non_exhaustive]
pub enum ForwardFailure {
    /// All upstreams are unwell, or have just been tried in vain. 503.
    NoneHealthy,
    /// The upstream cannot be connected to. 502.
    Connect(io::Error),
    /// Connecting took longer than `connect_timeout`. 504.
    ConnectTimedOut,
    /// TLS failed: its certificate is not trusted, or it speaks no TLS. 502.
    Tls(io::Error),
    /// The connection broke before the response's head was complete. 502.
    Broken(io::Error),
    /// The upstream closed the connection before the response's head was complete. 502.
    Closed,
    /// The response's head took longer than `response_timeout`. 504.
    ResponseTimedOut,
    /// What the upstream sent is no response. 502.
    Response(AnswerFault),
    /// The upstream changed to a protocol that was not asked for, or not as it must. 502.
    Upgrade,
    /// The upstream sent interim responses without end. 502.
    Interim,
    /// HTTP/2 with the upstream failed. 502.
    Http2(h2::Error),
    /// The client's content ended early. The client's fault: 400, 408 or 413.
    Content(BodyError),
    /// It goes round in circles. 508.
    Loop,
    /// The request's target cannot be sent to the upstream. 400.
    Target,
    /// A field that was set by a handler cannot be sent. 500.
    Field(FieldError),
    /// The URL that a handler has set is none. 500.
    Url(UpstreamUrlError),
    /// The TLS options that a handler has set cannot be used. 500.
    TlsOptions(String),
    /// WebSocket connections are not forwarded here. 501.
    NoWebSockets,
    /// The system gives no random numbers. 500.
    NoRandomness,
}

impl ForwardFailure {
    /// The status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoneHealthy => 503,
            Self::ConnectTimedOut | Self::ResponseTimedOut => 504,
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Broken(_)
            | Self::Closed
            | Self::Response(_)
            | Self::Upgrade
            | Self::Interim
            | Self::Http2(_) => 502,
            Self::Content(error) => ContentError::Body(*error).status(),
            Self::Loop => 508,
            Self::Target => 400,
            Self::NoWebSockets => 501,
            Self::Field(_) | Self::Url(_) | Self::TlsOptions(_) | Self::NoRandomness => 500,
        }
    }

    /// Whether it says something about the upstream.
    pub(super) fn is_upstreams_fault(&self) -> bool {
        matches!(self.status(), 502 | 504)
    }
}

impl ForwardError {
    /// The status to answer with.
    pub fn status(&self) -> u16 {
        self.cause.status()
    }
}

impl fmt::Display for ForwardFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneHealthy => formatter.write_str("no upstream is well"),
            Self::Connect(error) => write!(formatter, "cannot connect: {error}"),
            Self::ConnectTimedOut => formatter.write_str("connecting took too long"),
            Self::Tls(error) => write!(formatter, "TLS failed: {error}"),
            Self::Broken(error) => {
                write!(formatter, "the connection broke before a response: {error}")
            }
            Self::Closed => formatter.write_str("the connection was closed before a response"),
            Self::ResponseTimedOut => formatter.write_str("the response took too long"),
            Self::Response(fault) => write!(formatter, "what came is no response: {fault}"),
            Self::Upgrade => formatter.write_str("it changed to a protocol not as it was asked"),
            Self::Interim => formatter.write_str("it sent interim responses without end"),
            Self::Http2(error) => write!(formatter, "HTTP/2 failed: {error}"),
            Self::Content(error) => error.fmt(formatter),
            Self::Loop => formatter.write_str("the request goes round in circles"),
            Self::Target => formatter.write_str("the target cannot be sent"),
            Self::Field(error) => error.fmt(formatter),
            Self::Url(error) => error.fmt(formatter),
            Self::TlsOptions(reason) => write!(formatter, "TLS cannot be set up: {reason}"),
            Self::NoWebSockets => formatter.write_str("WebSocket connections are not forwarded"),
            Self::NoRandomness => formatter.write_str("the system gives no random numbers"),
        }
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.upstream {
            Some(upstream) => write!(formatter, "forwarding to {upstream}: {}", self.cause),
            None => write!(formatter, "forwarding: {}", self.cause),
        }
    }
}

impl std::error::Error for ForwardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            ForwardFailure::Connect(error)
            | ForwardFailure::Tls(error)
            | ForwardFailure::Broken(error) => error.source(),
            _ => None,
        }
    }
}
