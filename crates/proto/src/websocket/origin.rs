//! Which pages may connect: an allow-list of origins.
//!
//! Protects people whose browser runs a foreign page, not the server: other programs send what origin
//! they like, or none. Source: RFC 6455 §4.2.2 and §10.2, RFC 6454 §4 and §7.

use std::fmt;
use std::str::FromStr;

use crate::http1::parse_authority;

/// An allow-list of origins. An empty list allows every origin.
///
/// Read from entries with commas between them, each in one of these forms:
///
/// | Entry | allows |
/// | --- | --- |
/// | `https://example.com` | this origin; port 443 is the same as no port |
/// | `https://example.com:8443` | this origin |
/// | `https://example.com:*` | this scheme and host with any port |
/// | `example.com` | this host with any scheme, on the scheme's own port |
/// | `example.com:8080` | this host and port with any scheme |
/// | `example.com:*` | this host with any scheme and any port |
/// | `null` | pages without an origin: sandboxed ones, files |
///
/// Hosts and schemes compare without letter case. There is no wildcard for hosts.
///
/// # Examples
///
/// ```
/// use tidegate_proto::websocket::OriginList;
///
/// let list: OriginList = "https://example.com, localhost:*".parse()?;
/// assert!(list.allows(Some("https://example.com")));
/// assert!(list.allows(Some("http://localhost:3000")));
/// assert!(!list.allows(Some("http://example.com")));
/// # Ok::<(), tidegate_proto::websocket::OriginError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OriginList(Vec<Entry>);

/// An entry of an [`OriginList`] is in none of its forms. The caller is at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginError {
    /// The entry.
    pub entry: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Entry {
    Null,
    Host {
        scheme: Option<String>,
        host: String,
        port: Port,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Port {
    /// The scheme's own.
    Usual,
    Number(u16),
    Any,
}

impl FromStr for OriginList {
    type Err = OriginError;

    fn from_str(list: &str) -> Result<Self, OriginError> {
        let entries = list.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        let parsed: Result<_, _> = entries.map(Entry::parse).collect();
        parsed.map(Self)
    }
}

impl OriginList {
    /// Whether nothing is listed, so that everything is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request with this `Origin` may go on.
    ///
    /// One without is allowed: it does not come from a page.
    pub fn allows(&self, origin: Option<&str>) -> bool {
        match origin {
            Some(origin) if !self.is_empty() => self.0.iter().any(|entry| entry.allows(origin)),
            _ => true,
        }
    }
}

impl Entry {
    fn parse(entry: &str) -> Result<Self, OriginError> {
        if entry == "null" {
            return Ok(Self::Null);
        }
        let malformed = || OriginError {
            entry: entry.to_owned(),
        };
        let (scheme, authority) = split_scheme(entry);
        let (authority, any_port) = match authority.strip_suffix(":*") {
            Some(host) => (host, true),
            None => (authority, false),
        };
        let parsed = parse_authority(authority.as_bytes()).map_err(|_| malformed())?;
        let port = match (any_port, parsed.port) {
            (true, None) => Port::Any,
            (false, None) => Port::Usual,
            (false, Some(number)) => Port::Number(number),
            (true, Some(_)) => return Err(malformed()),
        };
        if scheme.is_some_and(|scheme| !is_scheme(scheme)) || parsed.host.contains('*') {
            return Err(malformed());
        }
        Ok(Self::Host {
            scheme: scheme.map(str::to_owned),
            host: parsed.host.to_owned(),
            port,
        })
    }

    fn allows(&self, origin: &str) -> bool {
        let Self::Host { scheme, host, port } = self else {
            return origin == "null";
        };
        let (Some(its_scheme), authority) = split_scheme(origin) else {
            return false;
        };
        let Ok(authority) = parse_authority(authority.as_bytes()) else {
            return false;
        };
        let usual = usual_port(its_scheme);
        let port_matches = match *port {
            Port::Any => true,
            Port::Usual => authority.port.is_none() || authority.port == usual,
            Port::Number(number) => authority.port.or(usual) == Some(number),
        };
        let scheme_matches = match scheme {
            Some(scheme) => scheme.eq_ignore_ascii_case(its_scheme),
            None => true,
        };
        port_matches && scheme_matches && host.eq_ignore_ascii_case(authority.host)
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no origin: expected `scheme://host`, `host`, `host:port` or `host:*`",
            self.entry
        )
    }
}

impl std::error::Error for OriginError {}

fn split_scheme(origin: &str) -> (Option<&str>, &str) {
    match origin.split_once("://") {
        Some((scheme, authority)) => (Some(scheme), authority),
        None => (None, origin),
    }
}

/// RFC 3986 §3.1.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn usual_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") {
        return Some(443);
    }
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws")).then_some(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, allowed: &[&str], refused: &[&str]) {
        let list: OriginList = list.parse().unwrap();
        for origin in allowed {
            assert!(list.allows(Some(origin)), "{origin}");
        }
        for origin in refused {
            assert!(!list.allows(Some(origin)), "{origin}");
        }
    }

    #[test]
    fn an_empty_list_allows_everything() {
        check("", &["https://a.example", "null", "rubbish", ""], &[]);
        check(" , ", &["https://a.example"], &[]);
    }

    #[test]
    fn no_origin_is_no_page() {
        let list: OriginList = "https://a.example".parse().unwrap();
        assert!(list.allows(None));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        check(
            "https://a.example",
            &[
                "https://a.example",
                "https://A.Example",
                "HTTPS://a.example:443",
            ],
            &[
                "http://a.example",
                "https://a.example:444",
                "https://b.a.example",
                "https://a.example.evil",
                "https://evil/https://a.example",
                "https://a.example@evil",
                "a.example",
                "null",
                "",
            ],
        );
        check(
            "https://a.example:444",
            &["https://a.example:444"],
            &["https://a.example", "http://a.example:444"],
        );
        check(
            "https://a.example:*",
            &["https://a.example", "https://a.example:1"],
            &["http://a.example"],
        );
    }

    #[test]
    fn a_host_goes_with_any_scheme() {
        check(
            "a.example, b.example:8080, localhost:*, [::1]:*",
            &[
                "http://a.example",
                "https://a.example:443",
                "http://a.example:80",
                "app://a.example",
                "https://b.example:8080",
                "http://localhost",
                "http://LOCALHOST:3000",
                "http://[::1]:3000",
            ],
            &[
                "http://a.example:443",
                "http://a.example:8080",
                "http://b.example",
                "http://localhost.evil:3000",
                "http://[::2]",
            ],
        );
        check(
            "b.example:80",
            &["http://b.example", "ws://b.example"],
            &["https://b.example"],
        );
    }

    #[test]
    fn null_is_named_on_its_own() {
        check("null", &["null"], &["http://null", "NULL"]);
        check("http://null", &["http://null"], &["null"]);
    }

    #[test]
    fn a_malformed_entry_is_named() {
        for bad in [
            "*",
            "*.example",
            "https://*.example",
            "https://",
            "https:///",
            "https://a.example/",
            "a.example:",
            "a.example:0",
            "a.example:99999",
            "a.example:1:*",
            "1s://a.example",
            "://a",
            "a b",
        ] {
            let error = format!("https://ok, {bad}").parse::<OriginList>();
            assert_eq!(error, Err(OriginError { entry: bad.into() }));
        }
    }
}
