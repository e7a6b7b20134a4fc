//! Why a connection does not become a WebSocket: our request, or the server's answer.

use std::fmt;

use tidegate_httpapi::FieldError;

use crate::websocket::extension::MalformedExtensions;

/// A request to speak WebSocket cannot be sent. The caller is at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UpgradeRequestError {
    /// The target does not begin with `/`, or has what must be escaped.
    Target(String),
    /// A sub-protocol is not a token.
    Protocol(String),
    /// The extensions break the grammar.
    Extensions(MalformedExtensions),
    /// The host, the origin or the extensions have a control character.
    Field(FieldError),
}

/// A server's answer does not accept, or breaks a rule. RFC 6455 §4.1.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// Not a response of HTTP/1.1, or longer than 64 KiB.
    Malformed,
    /// Another status than 101: the server refuses.
    Status(u16),
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not list `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or not for our key.
    Accept,
    /// `Sec-WebSocket-Protocol` is repeated or not text.
    ProtocolMalformed,
    /// A sub-protocol that was not offered.
    Protocol(String),
    /// `Sec-WebSocket-Extensions` breaks the grammar.
    ExtensionsMalformed,
    /// An extension that was not offered.
    Extension(String),
}

impl fmt::Display for UpgradeRequestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => write!(formatter, "`{target}` is no path and query"),
            Self::Protocol(name) => write!(formatter, "sub-protocol `{name}` is no token"),
            Self::Extensions(_) => formatter.write_str("the extensions offered are malformed"),
            Self::Field(_) => formatter.write_str("a field of the request is malformed"),
        }
    }
}

impl std::error::Error for UpgradeRequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Target(_) | Self::Protocol(_) => None,
            Self::Extensions(error) => Some(error),
            Self::Field(error) => Some(error),
        }
    }
}

impl From<FieldError> for UpgradeRequestError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}

impl From<MalformedExtensions> for UpgradeRequestError {
    fn from(error: MalformedExtensions) -> Self {
        Self::Extensions(error)
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => formatter.write_str("the answer is no HTTP/1.1 response"),
            Self::Status(status) => write!(formatter, "the server answered {status}, not 101"),
            Self::Upgrade => formatter.write_str("Upgrade is not websocket"),
            Self::Connection => formatter.write_str("Connection does not list upgrade"),
            Self::Accept => formatter.write_str("Sec-WebSocket-Accept is not for our key"),
            Self::ProtocolMalformed => formatter.write_str("malformed Sec-WebSocket-Protocol"),
            Self::Protocol(name) => write!(formatter, "sub-protocol `{name}` was not offered"),
            Self::ExtensionsMalformed => formatter.write_str("malformed Sec-WebSocket-Extensions"),
            Self::Extension(name) => write!(formatter, "extension `{name}` was not offered"),
        }
    }
}

impl std::error::Error for UpgradeError {}
