//! URL prefixes: which part of the URL space a registration or reservation covers.
//!
//! Holds the grammar, the one canonical form and the sameness of two prefixes. Which prefix wins a
//! request, and which prefixes exclude each other, is the engine's matter.
//! Source: "UrlPrefix Strings", HTTP Server API; http-server-api §2.1.

mod error;
mod fold;
mod host;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

pub use error::{AddressFault, PrefixError, SegmentFault};
pub use fold::{fold_case, fold_path};
pub use host::{Host, canonical_host_name};

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

/// A canonical `scheme://host:port/path/`.
///
/// Two prefixes are equal when they name the same URLs: letter case of the path does not count.
///
/// ```
/// use tidegate_httpapi::UrlPrefix;
///
/// let prefix = UrlPrefix::parse("http://WWW.Adatum.com:80/vroot")?;
/// assert_eq!(prefix.to_string(), "http://www.adatum.com:80/vroot/");
/// assert_eq!(prefix, UrlPrefix::parse("http://www.adatum.com:80/VRoot/")?);
/// # Ok::<(), tidegate_httpapi::PrefixError>(())
/// ```
#[derive(Clone, Debug)]
pub struct UrlPrefix {
    /// The scheme.
    pub scheme: Scheme,
    /// The host.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
    /// The path, beginning and ending with `/`, as written: unescaped, letter case kept.
    pub path: Box<str>,
}

impl UrlPrefix {
    /// Reads a prefix; a final `/` is added where it is missing (http-server-api C12).
    ///
    /// # Errors
    ///
    /// The first part, from the left, that is wrong.
    pub fn parse(prefix: &str) -> Result<Self, PrefixError> {
        let Some((scheme, rest)) = prefix.split_once("://") else {
            return Err(PrefixError::SchemeMissing {
                prefix: prefix.into(),
            });
        };
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => {
                return Err(PrefixError::Scheme {
                    scheme: scheme.into(),
                });
            }
        };
        let (host, rest) = split_host(rest);
        let host = Host::parse(host)?;
        let Some(rest) = rest.strip_prefix(':') else {
            return Err(PrefixError::PortMissing {
                prefix: prefix.into(),
            });
        };
        let (port, rest) = rest.split_at(rest.find([':', '/']).unwrap_or(rest.len()));
        let port = parse_port(port)?;
        let (host, path) = match rest.strip_prefix(':') {
            None => (host, rest),
            Some(rest) => {
                let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (host.tied_to(address)?, path)
            }
        };
        if path.is_empty() {
            return Err(PrefixError::PathMissing {
                prefix: prefix.into(),
            });
        }
        Ok(Self {
            scheme,
            host,
            port,
            path: Self::parse_path(path)?,
        })
    }

    /// Whether `other` is this prefix or below it, on the same scheme, host and port.
    pub fn covers(&self, other: &Self) -> bool {
        let place = |prefix: &Self| (prefix.scheme, prefix.host.clone(), prefix.port);
        // Both end with a slash, so that no segment is cut.
        place(self) == place(other) && fold_path(&other.path).starts_with(&*fold_path(&self.path))
    }

    /// Reads the path of a prefix: it begins with `/`, and gets a final `/` where that is missing.
    ///
    /// # Errors
    ///
    /// It does not begin with `/`, or has a query, a fragment, a control character, or a segment that
    /// no request could ever match.
    pub fn parse_path(path: &str) -> Result<Box<str>, PrefixError> {
        let Some(segments) = path.strip_prefix('/') else {
            return Err(PrefixError::PathStart { path: path.into() });
        };
        if let Some(character) = path
            .chars()
            .find(|&c| matches!(c, '?' | '#') || c.is_control())
        {
            return Err(PrefixError::PathCharacter {
                path: path.into(),
                character,
            });
        }
        let segments = segments.strip_suffix('/').unwrap_or(segments);
        // Routing cooks the path of a request first: empty and dot segments and backslashes are gone
        // by then. A prefix with one of them would be registered and never reached.
        if path.len() > 1
            && let Some(fault) = segments.split('/').find_map(SegmentFault::of)
        {
            return Err(PrefixError::PathSegment {
                path: path.into(),
                fault,
            });
        }
        Ok(match path.ends_with('/') {
            true => path.into(),
            false => format!("{path}/").into(),
        })
    }
}

impl FromStr for UrlPrefix {
    type Err = PrefixError;

    fn from_str(prefix: &str) -> Result<Self, PrefixError> {
        Self::parse(prefix)
    }
}

impl PartialEq for UrlPrefix {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host == other.host
            && (self.path == other.path
                || self
                    .path
                    .chars()
                    .map(fold_case)
                    .eq(other.path.chars().map(fold_case)))
    }
}

impl Eq for UrlPrefix {}

impl Hash for UrlPrefix {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scheme.hash(state);
        self.port.hash(state);
        self.host.hash(state);
        for character in self.path.chars() {
            fold_case(character).hash(state);
        }
    }
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.scheme, self.host, self.port)?;
        match self.host.tie() {
            Some(IpAddr::V4(address)) => write!(formatter, ":{address}")?,
            Some(IpAddr::V6(address)) => write!(formatter, ":[{address}]")?,
            None => {}
        }
        formatter.write_str(&self.path)
    }
}

/// Cuts the host off the front: up to the bracket that closes an address, or up to `:` or `/`.
fn split_host(rest: &str) -> (&str, &str) {
    let end = match rest.starts_with('[') {
        true => rest.find(']').map(|bracket| bracket + 1),
        false => rest.find([':', '/']),
    };
    rest.split_at(end.unwrap_or(rest.len()))
}

/// Decimal 1 to 65535 without leading zero or sign.
fn parse_port(port: &str) -> Result<u16, PrefixError> {
    let error = || PrefixError::Port { port: port.into() };
    if port.starts_with('0') || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    port.parse().map_err(|_| error())
}

#[cfg(test)]
mod tests;
