//! `Set-Cookie`. Source: RFC 6265 §4.1; its successor's draft for what came later.

use std::time::{Duration, SystemTime};

use super::parameter::{Malformed, is_token};
use crate::http::date;

/// A cookie that a client is to keep.
///
/// What cannot be said so makes the response a 500: a value with a blank, for instance, or an attribute
/// without which browsers would drop the cookie without a word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetCookie {
    name: String,
    value: String,
    path: Option<String>,
    domain: Option<String>,
    max_age: Option<Duration>,
    expires: Option<SystemTime>,
    same_site: Option<SameSite>,
    is_secure: bool,
    is_http_only: bool,
    is_partitioned: bool,
}

/// With which requests a cookie is sent that pages of other sites make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameSite {
    /// With none.
    Strict,
    /// With those that open a page. What browsers mostly do when nothing is said.
    Lax,
    /// With all. The cookie has to be [`secure`](SetCookie::secure).
    None,
}

impl SetCookie {
    /// A cookie that lasts as long as the client runs, for the path that it was set at.
    ///
    /// The value is ASCII without blanks, controls, and `"`, `,`, `;`, `\`: what is more, is to be encoded.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: None,
            domain: None,
            max_age: None,
            expires: None,
            same_site: None,
            is_secure: false,
            is_http_only: false,
            is_partitioned: false,
        }
    }

    /// Has the client forget the cookie of this name, for the same path and domain as it was set for.
    pub fn removed(name: impl Into<String>) -> Self {
        Self::new(name, "").max_age(Duration::ZERO)
    }

    /// It is sent with requests at and under this path.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// It is sent to this host and all under it, instead of to the one that set it alone.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// It lasts for so long. Parts of a second are cut off.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// It lasts until then.
    #[must_use]
    pub fn expires(mut self, time: SystemTime) -> Self {
        self.expires = Some(time);
        self
    }

    /// It is sent over TLS only.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// Scripts of pages do not see it.
    #[must_use]
    pub fn http_only(mut self) -> Self {
        self.is_http_only = true;
        self
    }

    /// With which requests it is sent that pages of other sites make.
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = Some(same_site);
        self
    }

    /// Where it is set from within another site's page, it is for that site's pages alone. It has to be
    /// [`secure`](Self::secure).
    #[must_use]
    pub fn partitioned(mut self) -> Self {
        self.is_partitioned = true;
        self
    }

    pub(super) fn into_value(self) -> Result<String, Malformed> {
        self.check()?;
        let mut text = format!("{}={}", self.name, self.value);
        let mut put = |name: &str, value: &str| {
            for part in ["; ", name, "=", value] {
                text.push_str(part);
            }
        };
        if let Some(path) = &self.path {
            put("Path", path);
        }
        if let Some(domain) = &self.domain {
            put("Domain", domain);
        }
        if let Some(age) = self.max_age {
            put("Max-Age", &age.as_secs().to_string());
        }
        if let Some(time) = self.expires {
            put("Expires", &date::to_field_value(time));
        }
        if let Some(same_site) = self.same_site {
            put("SameSite", same_site.word());
        }
        for (is_so, word) in [
            (self.is_secure, "; Secure"),
            (self.is_http_only, "; HttpOnly"),
            (self.is_partitioned, "; Partitioned"),
        ] {
            if is_so {
                text.push_str(word);
            }
        }
        Ok(text)
    }

    /// Whether a client will keep it.
    fn check(&self) -> Result<(), Malformed> {
        let refuse = |part: &str| Err(Malformed(part.into()));
        if !is_token(&self.name) {
            return refuse(&self.name);
        }
        let is_octet = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        if !self.value.bytes().all(is_octet) {
            return refuse(&self.value);
        }
        let is_of_attribute = |byte: u8| (0x20..0x7F).contains(&byte) && byte != b';';
        for attribute in [&self.path, &self.domain].into_iter().flatten() {
            if !attribute.bytes().all(is_of_attribute) {
                return refuse(attribute);
            }
        }
        if !self.is_secure && self.same_site == Some(SameSite::None) {
            return refuse("SameSite=None without Secure");
        }
        if !self.is_secure && self.is_partitioned {
            return refuse("Partitioned without Secure");
        }
        // Browsers compare these without letter case.
        let has_prefix = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if has_prefix("__Secure-") && !self.is_secure {
            return refuse("__Secure- without Secure");
        }
        let is_of_host =
            self.is_secure && self.path.as_deref() == Some("/") && self.domain.is_none();
        if has_prefix("__Host-") && !is_of_host {
            return refuse("__Host- without Secure and Path=/, or with Domain");
        }
        Ok(())
    }
}

impl SameSite {
    fn word(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn cookies_are_spelled() {
        let value = |cookie: SetCookie| cookie.into_value().unwrap();
        assert_eq!(value(SetCookie::new("a", "")), "a=");
        let whole = SetCookie::new("__Secure-id", "0f=")
            .path("/a b")
            .domain("example.com")
            .max_age(Duration::from_millis(1500))
            .expires(UNIX_EPOCH)
            .secure()
            .http_only()
            .partitioned()
            .same_site(SameSite::None);
        assert_eq!(
            value(whole),
            "__Secure-id=0f=; Path=/a b; Domain=example.com; Max-Age=1; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT; SameSite=None; Secure; HttpOnly; Partitioned"
        );
        assert_eq!(
            value(SetCookie::removed("a").path("/")),
            "a=; Path=/; Max-Age=0"
        );
        let of_host = SetCookie::new("__Host-id", "1").path("/").secure();
        assert_eq!(value(of_host), "__Host-id=1; Path=/; Secure");
    }

    #[test]
    fn what_no_client_keeps_is_refused() {
        let cookie = || SetCookie::new("a", "b");
        for bad in [
            SetCookie::new("", "b"),
            SetCookie::new("a b", "b"),
            SetCookie::new("a=", "b"),
            SetCookie::new("a", "b c"),
            SetCookie::new("a", "b;c"),
            SetCookie::new("a", "\"b\""),
            SetCookie::new("a", "ä"),
            SetCookie::new("a", "b\r\nSet-Cookie: c=d"),
            cookie().path("/;Secure"),
            cookie().path("/ä"),
            cookie().domain("a\nb"),
            cookie().same_site(SameSite::None),
            cookie().partitioned(),
            SetCookie::new("__secure-a", "b"),
            SetCookie::new("__Host-a", "b").secure(),
            SetCookie::new("__Host-a", "b").path("/"),
            SetCookie::new("__HOST-a", "b")
                .path("/")
                .secure()
                .domain("a"),
        ] {
            assert!(bad.clone().into_value().is_err(), "{bad:?}");
        }
    }
}
