//! Which origins a policy is for. They are compared as browsers send them, byte by byte. Source: RFC 6454
//! §6.2, the HTML standard on serialising an origin.

use std::fmt;
use std::str::FromStr;

/// The origins that pages may have.
///
/// Read from entries with commas between them, each in one of these forms:
///
/// | Entry | allows |
/// | --- | --- |
/// | `https://example.com` | this origin |
/// | `http://localhost:3000` | this origin; the port is told unless it is the scheme's own |
/// | `https://*.example.com` | all hosts under this name, but not the name itself |
/// | `null` | pages without an origin: sandboxed ones, files |
/// | `*` | all; stands alone |
///
/// ```
/// use tidegate::CorsOrigins;
///
/// let origins: CorsOrigins = "https://example.com, https://*.example.com".parse()?;
/// assert!(origins.allows("https://example.com"));
/// assert!(origins.allows("https://www.example.com"));
/// assert!(!origins.allows("http://www.example.com"));
/// assert!(!origins.allows("https://example.com.evil.example"));
/// # Ok::<(), tidegate::CorsOriginError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CorsOrigins {
    any: bool,
    /// With `null`.
    exact: Vec<Box<str>>,
    under: Vec<Under>,
}

/// All hosts under a name.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Under {
    /// Up to what may be anything: `https://`.
    scheme: Box<str>,
    /// What follows it: `.example.com`, with the port.
    name: Box<str>,
}

/// An entry of [`CorsOrigins`] is in none of its forms. The caller is at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CorsOriginError {
    /// The entry.
    pub entry: String,
    /// How it was probably meant.
    pub meant: Option<String>,
}

impl CorsOrigins {
    /// All origins.
    pub fn any() -> Self {
        Self {
            any: true,
            ..Self::default()
        }
    }

    /// Whether all origins are allowed.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// Whether a page of this origin is allowed.
    pub fn allows(&self, origin: &str) -> bool {
        self.any
            || self.exact.iter().any(|exact| **exact == *origin)
            || self.under.iter().any(|under| under.allows(origin))
    }

    fn add(&mut self, entry: &str) -> Result<(), CorsOriginError> {
        let (host, is_under) = match entry.split_once("://") {
            Some((_, authority)) => (authority, authority.starts_with("*.")),
            None => ("", false),
        };
        let stem = match is_under {
            // A name in place of the star makes it an origin.
            true => entry.replacen("*.", "x.", 1),
            false => entry.to_owned(),
        };
        if entry != "null" && serialised(&stem).as_deref() != Some(&*stem) {
            let star = |meant: String| match is_under {
                true => meant.replacen("x.", "*.", 1),
                false => meant,
            };
            return Err(CorsOriginError {
                entry: entry.to_owned(),
                meant: serialised(&stem).map(star),
            });
        }
        match is_under {
            true => {
                let (scheme, _) = entry.split_at(entry.len() - host.len());
                self.under.push(Under {
                    scheme: scheme.into(),
                    name: host[1..].into(),
                });
            }
            false => self.exact.push(entry.into()),
        }
        Ok(())
    }
}

impl Under {
    fn allows(&self, origin: &str) -> bool {
        let host = origin
            .strip_prefix(&*self.scheme)
            .and_then(|rest| rest.strip_suffix(&*self.name));
        // What else could stand there is no part of a host.
        host.is_some_and(|host| host.split('.').all(is_label))
    }
}

impl FromStr for CorsOrigins {
    type Err = CorsOriginError;

    fn from_str(list: &str) -> Result<Self, CorsOriginError> {
        let mut origins = Self::default();
        let entries = list.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            match entry {
                "*" if list.trim() == "*" => origins.any = true,
                entry => origins.add(entry)?,
            }
        }
        Ok(origins)
    }
}

/// An origin as a browser serialises it, if the text spells one in some way.
fn serialised(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.rsplit_once(':') {
        // Not within an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (&*authority, None),
    };
    let host_is_one = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    if !is_scheme || !host_is_one {
        return None;
    }
    let Some(port) = port else {
        return Some(format!("{scheme}://{host}"));
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|_| digits)?;
    let is_its_own = matches!((&*scheme, port), ("http", 80) | ("https", 443));
    Some(match is_its_own {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:{port}"),
    })
}

/// A part of a host as browsers send it: in lower case, names in other scripts as `xn--…`.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

impl fmt::Display for CorsOriginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no origin as browsers send it",
            self.entry
        )?;
        match &self.meant {
            Some(meant) => write!(formatter, ": did you mean `{meant}`?"),
            None if self.entry == "*" => formatter.write_str(": `*` stands alone"),
            None => formatter.write_str(
                ": expected `scheme://host`, `scheme://host:port`, `scheme://*.host`, `null` or `*` alone",
            ),
        }
    }
}

impl std::error::Error for CorsOriginError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, allowed: &[&str], refused: &[&str]) {
        let origins: CorsOrigins = list.parse().unwrap();
        for origin in allowed {
            assert!(origins.allows(origin), "{origin}");
        }
        for origin in refused {
            assert!(!origins.allows(origin), "{origin}");
        }
    }

    #[test]
    fn origins_are_compared_as_they_are_sent() {
        check(
            "https://a.example, http://localhost:3000,http://[::1]:8080, app+x://a",
            &[
                "https://a.example",
                "http://localhost:3000",
                "http://[::1]:8080",
                "app+x://a",
            ],
            &[
                "http://a.example",
                "https://A.example",
                "https://a.example:443",
                "https://a.example/",
                "https://a.example.evil",
                "https://a.example@evil",
                "https://b.a.example",
                "http://localhost",
                "null",
                "*",
                "",
            ],
        );
        check("", &[], &["https://a.example", "null", ""]);
        check("null", &["null"], &["https://a.example", "NULL", "*"]);
        check("*", &["https://a.example", "null", ""], &[]);
        check(" * ", &["https://a.example"], &[]);
    }

    #[test]
    fn a_star_is_for_hosts_under_a_name() {
        check(
            "https://*.a.example, http://*.b.example:8080",
            &[
                "https://x.a.example",
                "https://x.y.a.example",
                "https://x-1_2.a.example",
                "https://xn--p1ai.a.example",
                "http://x.b.example:8080",
            ],
            &[
                "https://a.example",
                "https://.a.example",
                "https://x..a.example",
                "https://xa.example",
                "http://x.a.example",
                "https://x.a.example:443",
                "https://x.a.example:8443",
                "https://X.a.example",
                "https://evil/x.a.example",
                "https://evil:1.a.example",
                "https://evil?.a.example",
                "https://evil#.a.example",
                "https://evil@x.a.example",
                "https://evil\\.a.example",
                "https://evil .a.example",
                "https://x.a.example.evil",
                "http://x.b.example",
                "http://x.b.example:80",
            ],
        );
    }

    #[test]
    fn what_no_browser_sends_is_refused_and_told_how_it_is_meant() {
        for (entry, meant) in [
            ("https://A.Example", Some("https://a.example")),
            ("HTTPS://a.example/", Some("https://a.example")),
            ("https://a.example:443", Some("https://a.example")),
            ("http://a.example:080", Some("http://a.example")),
            ("http://*.A.example:80/", Some("http://*.a.example")),
            ("a.example", None),
            ("https://", None),
            ("https://a.example/path", None),
            ("https://a..example", None),
            ("https://a.example:", None),
            ("https://a.example:65536", None),
            ("https://a.example:+1", None),
            ("https://münchen.example", None),
            ("https://user@a.example", None),
            ("https://a.*.example", None),
            ("https://*a.example", None),
            ("https://*", None),
            ("https://*.", None),
            ("http://[::g]", None),
            ("NULL", None),
            ("https://a.example, *", None),
        ] {
            let error = entry.parse::<CorsOrigins>().unwrap_err();
            assert_eq!(error.meant.as_deref(), meant, "{entry}");
        }
        let error = "https://a.example, *".parse::<CorsOrigins>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`*` is no origin as browsers send it: `*` stands alone"
        );
    }
}
