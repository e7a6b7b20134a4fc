//! The URL of an upstream: where to connect to, and what stands before every path there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use tidegate_proto::http1::parse_authority;

/// Where requests are forwarded to: `http://127.0.0.1:9000`, `https://backend.example:9443/base`.
///
/// Its path, where it has one, comes before the path that is forwarded.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct UpstreamUrl {
    is_secure: bool,
    /// As it stands in a URL: an IPv6 address in brackets.
    host: Box<str>,
    port: u16,
    /// Begins with `/` and does not end with one; empty when there is none.
    base: Box<str>,
}

impl UpstreamUrl {
    /// Whether it is reached by TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// The host as it stands in a URL.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as a name or an address to connect to: an IPv6 address without brackets.
    pub(crate) fn address(&self) -> &str {
        let bare = self.host.strip_prefix('[');
        bare.and_then(|bare| bare.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What comes before every path: begins with `/` and does not end with one, or is empty.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Host and, unless it is the scheme's own, port: the value of `Host`. RFC 9110 §7.2.
    pub(crate) fn authority(&self) -> String {
        match self.port == default_port(self.is_secure) {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Without the path.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    pub(crate) fn scheme(&self) -> &'static str {
        match self.is_secure {
            true => "https",
            false => "http",
        }
    }
}

impl FromStr for UpstreamUrl {
    type Err = UpstreamUrlError;

    fn from_str(text: &str) -> Result<Self, UpstreamUrlError> {
        let refuse = |fault| UpstreamUrlError {
            text: text.to_owned(),
            fault,
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| refuse(UpstreamUrlFault::Scheme))?;
        let is_secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ => return Err(refuse(UpstreamUrlFault::Scheme)),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        // User information, a query or a fragment are not part of where to connect to.
        let parsed = parse_authority(authority.as_bytes());
        let parsed = parsed.map_err(|_| refuse(UpstreamUrlFault::Authority))?;
        if parsed.host.is_empty() || parsed.port == Some(0) {
            return Err(refuse(UpstreamUrlFault::Authority));
        }
        let is_path = |byte: u8| byte.is_ascii_graphic() && !b"?#\\".contains(&byte);
        if !path.bytes().all(is_path) || path.contains("//") || has_dot_segment(path) {
            return Err(refuse(UpstreamUrlFault::Path));
        }
        Ok(Self {
            is_secure,
            host: parsed.host.to_ascii_lowercase().into(),
            port: parsed.port.unwrap_or(default_port(is_secure)),
            base: path.trim_end_matches('/').into(),
        })
    }
}

fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn default_port(is_secure: bool) -> u16 {
    match is_secure {
        true => 443,
        false => 80,
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, authority) = (self.scheme(), self.authority());
        write!(formatter, "{scheme}://{authority}{}", self.base)
    }
}

/// Why a text is no URL of an upstream. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpstreamUrlError {
    /// The text refused.
    pub text: String,
    /// Which part of it.
    pub fault: UpstreamUrlFault,
}

/// Which part of an upstream's URL is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UpstreamUrlFault {
    /// It does not begin with `http://` or `https://`.
    Scheme,
    /// Host or port are missing or malformed, or there is more than both.
    Authority,
    /// The path has a query, a dot segment, an empty segment, or a character that must be escaped.
    Path,
}

impl fmt::Display for UpstreamUrlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        formatter.write_str(match self.fault {
            UpstreamUrlFault::Scheme => {
                return write!(
                    formatter,
                    "`{text}` does not begin with http:// or https://"
                );
            }
            UpstreamUrlFault::Authority => {
                return write!(formatter, "`{text}` has no host and port as a URL has them");
            }
            UpstreamUrlFault::Path => "",
        })?;
        write!(
            formatter,
            "`{text}` has a path with a query, an empty or dot segment, or what must be escaped"
        )
    }
}

impl std::error::Error for UpstreamUrlError {}

impl<'de> Deserialize<'de> for UpstreamUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_scheme_host_port_and_base() {
        let url: UpstreamUrl = "https://B.example:9443/base/".parse().unwrap();
        assert_eq!(url.to_string(), "https://b.example:9443/base");
        assert_eq!(
            (url.host(), url.port(), url.base()),
            ("b.example", 9443, "/base")
        );
        let url: UpstreamUrl = "HTTP://[::1]".parse().unwrap();
        assert_eq!((url.address(), url.port(), url.base()), ("::1", 80, ""));
        assert_eq!(url.authority(), "[::1]");
    }

    #[test]
    fn what_is_no_upstream_is_refused_by_its_part() {
        use UpstreamUrlFault::{Authority, Path, Scheme};
        let cases = [
            ("127.0.0.1:9000", Scheme),
            ("ftp://a", Scheme),
            ("http://", Authority),
            ("http://:80", Authority),
            ("http://user@a", Authority),
            ("http://a:0", Authority),
            ("http://a:99999", Authority),
            ("http://a?x", Authority),
            ("http://a/b?c", Path),
            ("http://a/b/../c", Path),
            ("http://a//b", Path),
            ("http://a/b c", Path),
        ];
        for (text, fault) in cases {
            let error = text.parse::<UpstreamUrl>().unwrap_err();
            assert_eq!(error.fault, fault, "{text}");
            assert!(error.to_string().contains(text));
        }
    }
}
