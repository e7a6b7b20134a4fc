//! URL prefixes: which part of the URL space a registration or reservation covers.

use std::fmt;
use std::net::IpAddr;

use crate::error::ErrorCode;

/// The scheme of a prefix, and of all that its port carries.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// The host of a prefix; its kind decides the bucket.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Host {
    /// `+`: every host, before all others.
    StrongWildcard,
    /// A name, in lower case.
    Name {
        /// The name, without a leading `*.`.
        name: Box<str>,
        /// Whether it was written `*.name` and means any sub-domain.
        subdomains: bool,
        /// The local address it is tied to, if any.
        address: Option<IpAddr>,
    },
    /// An address literal: any host asked for on that local address.
    Address(IpAddr),
    /// `*`: every host not found elsewhere.
    WeakWildcard,
}

/// A canonical `scheme://host:port/path/`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UrlPrefix {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
    /// The path, beginning and ending with `/`, as written.
    pub path: Box<str>,
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}://{:?}:{}{}",
            self.scheme, self.host, self.port, self.path
        )
    }
}

/// Which part of a prefix is wrong. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PrefixError {}

impl PrefixError {
    /// The code that the HTTP Server API returns.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::InvalidParameter
    }
}

impl fmt::Display for PrefixError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for PrefixError {}
