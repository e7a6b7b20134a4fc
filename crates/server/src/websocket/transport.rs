//! What carries a WebSocket connection: one of HTTP/1.1, a stream of HTTP/2, or server-sent events.

use std::fmt;

use tidegate_httpapi::{ConnectionId, RequestHead, Version};

/// What carries a WebSocket connection, by the standard that says how. Source: the component's
/// Transport and Specification.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Transport {
    /// A connection of its own, upgraded from HTTP/1.1.
    Rfc6455,
    /// A stream of an HTTP/2 connection, which carries others beside it.
    Rfc8441,
    /// Server-sent events, with requests the other way, of HTTP of either version. See
    /// [`ServerSentEventsFallback`](super::ServerSentEventsFallback).
    ServerSentEvents,
}

impl Transport {
    pub(super) fn of(version: Version) -> Self {
        match version {
            Version::Http2 => Self::Rfc8441,
            _ => Self::Rfc6455,
        }
    }

    /// The version of HTTP that its handshake was made in; `None` where it may be any.
    pub fn http_version(self) -> Option<Version> {
        match self {
            Self::Rfc6455 => Some(Version::Http11),
            Self::Rfc8441 => Some(Version::Http2),
            Self::ServerSentEvents => None,
        }
    }

    /// What a WebSocket connection is numbered by that this request asks for.
    pub(super) fn number(self, head: &RequestHead<'_>) -> ConnectionId {
        match self {
            Self::Rfc6455 => head.connection_id,
            // The connection of HTTP may carry several, at once or one after the other.
            Self::Rfc8441 | Self::ServerSentEvents => ConnectionId(head.request_id.0),
        }
    }
}

impl fmt::Display for Transport {
    /// The component's name of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rfc6455 => "RFC6455",
            Self::Rfc8441 => "RFC8441",
            Self::ServerSentEvents => "SSE",
        })
    }
}
