//! What is wrong with a prefix: the part, the value, the way out. The caller's fault.

use std::fmt;

use crate::error::ErrorCode;

/// Which part of a prefix is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PrefixError {
    /// There is no `://`.
    SchemeMissing {
        /// The prefix.
        prefix: Box<str>,
    },
    /// The scheme is neither `http` nor `https`, in lower case.
    Scheme {
        /// The scheme.
        scheme: Box<str>,
    },
    /// There is no host.
    HostEmpty,
    /// The host is no name.
    HostName {
        /// The host.
        host: Box<str>,
    },
    /// An address literal, of the host or after the port, is wrong.
    Address {
        /// The literal.
        address: Box<str>,
        /// What is wrong with it.
        fault: AddressFault,
    },
    /// Something that is no name is tied to a local address.
    TiedHost {
        /// The host.
        host: Box<str>,
        /// The address.
        address: Box<str>,
    },
    /// There is no `:` and port after the host.
    PortMissing {
        /// The prefix.
        prefix: Box<str>,
    },
    /// The port is no decimal number from 1 to 65535 without leading zero.
    Port {
        /// The port.
        port: Box<str>,
    },
    /// There is no `/` after the port.
    PathMissing {
        /// The prefix.
        prefix: Box<str>,
    },
    /// A path given by itself does not begin with `/`.
    PathStart {
        /// The path.
        path: Box<str>,
    },
    /// The path has a query, a fragment or a control character.
    PathCharacter {
        /// The path.
        path: Box<str>,
        /// The character.
        character: char,
    },
    /// The path has a segment that no request could ever match.
    PathSegment {
        /// The path.
        path: Box<str>,
        /// What is wrong with the segment.
        fault: SegmentFault,
    },
}

/// What is wrong with an address literal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressFault {
    /// It is no address.
    Malformed,
    /// It is `0.0.0.0` or `[::]`.
    Unspecified,
    /// It is a network's, a broadcast or a multicast address, which no connection arrives at.
    NotOfAHost,
    /// It is an IPv4 address in a form other than four decimal numbers.
    OldForm,
    /// It is an IPv4 address written as IPv6.
    Mapped,
    /// It has a zone.
    Zone,
}

/// What is wrong with a path segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SegmentFault {
    /// It is empty.
    Empty,
    /// It is `.` or `..`.
    Dots,
    /// It has a backslash.
    Backslash,
}

impl SegmentFault {
    pub(super) fn of(segment: &str) -> Option<Self> {
        match segment {
            "" => Some(Self::Empty),
            "." | ".." => Some(Self::Dots),
            _ if segment.contains('\\') => Some(Self::Backslash),
            _ => None,
        }
    }
}

impl PrefixError {
    /// The code that the HTTP Server API returns.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Address {
                fault: AddressFault::Malformed,
                ..
            } => ErrorCode::InvalidParameter,
            Self::Address { .. } | Self::TiedHost { .. } => ErrorCode::NotSupported,
            _ => ErrorCode::InvalidParameter,
        }
    }

    /// The part that is wrong: `scheme`, `host`, `port` or `path`.
    pub fn part(&self) -> &'static str {
        match self {
            Self::SchemeMissing { .. } | Self::Scheme { .. } => "scheme",
            Self::HostEmpty
            | Self::HostName { .. }
            | Self::Address { .. }
            | Self::TiedHost { .. } => "host",
            Self::PortMissing { .. } | Self::Port { .. } => "port",
            Self::PathMissing { .. }
            | Self::PathStart { .. }
            | Self::PathCharacter { .. }
            | Self::PathSegment { .. } => "path",
        }
    }
}

impl fmt::Display for PrefixError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SchemeMissing { prefix } => write!(
                formatter,
                "URL prefix {prefix:?} has no scheme, write http:// or https:// in front"
            ),
            Self::Scheme { scheme } => write!(
                formatter,
                "scheme {scheme:?} of a URL prefix is neither \"http\" nor \"https\" in lower case"
            ),
            Self::HostEmpty => formatter.write_str(
                "host of a URL prefix is empty, write a name, an address, * or + before the port",
            ),
            Self::HostName { host } => write!(
                formatter,
                "host {host:?} of a URL prefix is no host name; +, * and *.name are the wildcards, \
                 IPv6 addresses stand in brackets"
            ),
            Self::Address { address, fault } => {
                write!(formatter, "address {address:?} of a URL prefix {fault}")
            }
            Self::TiedHost { host, address } => write!(
                formatter,
                "host {host:?} of a URL prefix cannot be tied to {address}, only a name can; \
                 for every host on that address write it as the host"
            ),
            Self::PortMissing { prefix } => write!(
                formatter,
                "URL prefix {prefix:?} has no port, write :80 or another after the host"
            ),
            Self::Port { port } => write!(
                formatter,
                "port {port:?} of a URL prefix is no decimal number from 1 to 65535 without \
                 leading zero"
            ),
            Self::PathMissing { prefix } => write!(
                formatter,
                "URL prefix {prefix:?} has no path, write at least / after the port"
            ),
            Self::PathStart { path } => {
                write!(
                    formatter,
                    "path {path:?} of a URL prefix does not begin with /"
                )
            }
            Self::PathCharacter { path, character } => write!(
                formatter,
                "path {path:?} of a URL prefix has {character:?}; query, fragment and control \
                 characters are not part of a prefix"
            ),
            Self::PathSegment { path, fault } => write!(
                formatter,
                "path {path:?} of a URL prefix has {fault}, which no request can match"
            ),
        }
    }
}

impl std::error::Error for PrefixError {}

impl fmt::Display for AddressFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "is malformed",
            Self::Unspecified => "is no local address, write * for every address",
            Self::NotOfAHost => "is no address of a host",
            Self::OldForm => "is not four decimal numbers from 0 to 255 without leading zeros",
            Self::Mapped => "is an IPv4 address written as IPv6, write it as IPv4",
            Self::Zone => "has a zone, which is not supported, write it without",
        })
    }
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "an empty segment",
            Self::Dots => "a dot segment",
            Self::Backslash => "a backslash",
        })
    }
}
