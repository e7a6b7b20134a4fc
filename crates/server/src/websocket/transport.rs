//! What carries a WebSocket connection: one of HTTP/1.1, or a stream of HTTP/2.

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
}

impl Transport {
    pub(super) fn of(version: Version) -> Self {
        match version {
            Version::Http2 => Self::Rfc8441,
            _ => Self::Rfc6455,
        }
    }

    /// The version of HTTP that its handshake was made in.
    pub fn http_version(self) -> Version {
        match self {
            Self::Rfc6455 => Version::Http11,
            Self::Rfc8441 => Version::Http2,
        }
    }

    /// What a WebSocket connection is numbered by that this request asks for.
    pub(super) fn number(self, head: &RequestHead<'_>) -> ConnectionId {
        match self {
            Self::Rfc6455 => head.connection_id,
            // Its HTTP/2 connection may carry several.
            Self::Rfc8441 => ConnectionId(head.request_id.0),
        }
    }
}

impl fmt::Display for Transport {
    /// The component's name of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rfc6455 => "RFC6455",
            Self::Rfc8441 => "RFC8441",
        })
    }
}
