//! Why a request to speak WebSocket is refused, and with what answer.
//!
//! Source: RFC 6455 §4.2.1, §4.4; RFC 8441 §5.

use std::fmt;

/// The rule that a client's opening handshake broke.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The method is not `GET`.
    Method,
    /// `Upgrade` does not list `websocket`, `Connection` does not list `upgrade`, or HTTP/1.0.
    NotAnUpgrade,
    /// The request has content.
    Content,
    /// The version is missing, or not 13.
    Version,
    /// The version is missing, or not 13, on an HTTP/2 stream.
    StreamVersion,
    /// More than one `Sec-WebSocket-Version`.
    VersionRepeated,
    /// The key is missing, or not 16 bytes in base64.
    Key,
    /// More than one `Sec-WebSocket-Key`.
    KeyRepeated,
    /// More than one `Origin`, or one that is not text.
    Origin,
    /// A sub-protocol is not a token.
    Protocol,
    /// The extensions break the grammar.
    Extensions,
}

impl HandshakeError {
    /// The status to answer with. This `match` is the only place that decides it.
    pub fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Version => 426,
            Self::NotAnUpgrade
            | Self::Content
            // Not 426, whose `Upgrade` (RFC 9110 §15.5.22) HTTP/2 does not have.
            | Self::StreamVersion
            | Self::VersionRepeated
            | Self::Key
            | Self::KeyRepeated
            | Self::Origin
            | Self::Protocol
            | Self::Extensions => 400,
        }
    }

    /// The fields that the answer must have, as name and value.
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // RFC 9110 §15.5.6.
            Self::Method => &[("Allow", "GET")],
            // RFC 6455 §4.4; RFC 9110 §15.5.22 asks for `Upgrade`, and with it `Connection`.
            Self::Version => &[
                ("Sec-WebSocket-Version", "13"),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
            ],
            Self::StreamVersion => &[("Sec-WebSocket-Version", "13")],
            _ => &[],
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Method => "the method of a WebSocket handshake is not GET",
            Self::NotAnUpgrade => "not a request to upgrade to WebSocket",
            Self::Content => "a WebSocket handshake with content",
            Self::Version | Self::StreamVersion => "Sec-WebSocket-Version is not 13",
            Self::VersionRepeated => "more than one Sec-WebSocket-Version",
            Self::Key => "Sec-WebSocket-Key is not 16 bytes in base64",
            Self::KeyRepeated => "more than one Sec-WebSocket-Key",
            Self::Origin => "malformed or repeated Origin",
            Self::Protocol => "Sec-WebSocket-Protocol has what is not a token",
            Self::Extensions => "malformed Sec-WebSocket-Extensions",
        })
    }
}

impl std::error::Error for HandshakeError {}
