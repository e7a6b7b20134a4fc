//! `Cache-Control` of a response. Source: RFC 9111 §5.2.2, RFC 5861, RFC 8246.

use std::fmt;
use std::time::Duration;

/// What caches may do with a response, in the order in which it is said.
///
/// ```
/// use std::time::Duration;
/// use tidegate::CacheControl;
///
/// let value = CacheControl::new().private().max_age(Duration::from_secs(60));
/// assert_eq!(value.to_string(), "private, max-age=60");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CacheControl(String);

impl CacheControl {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// No cache keeps it.
    #[must_use]
    pub fn no_store(self) -> Self {
        self.and("no-store")
    }

    /// Caches ask whether it is still valid before each use.
    #[must_use]
    pub fn no_cache(self) -> Self {
        self.and("no-cache")
    }

    /// Shared caches may keep it, even where they would not by themselves.
    #[must_use]
    pub fn public(self) -> Self {
        self.and("public")
    }

    /// Shared caches do not keep it.
    #[must_use]
    pub fn private(self) -> Self {
        self.and("private")
    }

    /// Caches may use it for so long without asking. Parts of a second are cut off.
    #[must_use]
    pub fn max_age(self, age: Duration) -> Self {
        self.and_seconds("max-age", age)
    }

    /// As [`max_age`](Self::max_age), for shared caches.
    #[must_use]
    pub fn s_maxage(self, age: Duration) -> Self {
        self.and_seconds("s-maxage", age)
    }

    /// Once it is stale, it is not used without asking.
    #[must_use]
    pub fn must_revalidate(self) -> Self {
        self.and("must-revalidate")
    }

    /// As [`must_revalidate`](Self::must_revalidate), for shared caches.
    #[must_use]
    pub fn proxy_revalidate(self) -> Self {
        self.and("proxy-revalidate")
    }

    /// Caches keep it only if they know what its status code demands of them.
    #[must_use]
    pub fn must_understand(self) -> Self {
        self.and("must-understand")
    }

    /// Nobody on the way changes the content, by compressing it for instance.
    #[must_use]
    pub fn no_transform(self) -> Self {
        self.and("no-transform")
    }

    /// It does not change while it is fresh, so that nobody needs to ask. RFC 8246.
    #[must_use]
    pub fn immutable(self) -> Self {
        self.and("immutable")
    }

    /// Stale for so long, it may be used while a cache asks for another. RFC 5861 §3.
    #[must_use]
    pub fn stale_while_revalidate(self, time: Duration) -> Self {
        self.and_seconds("stale-while-revalidate", time)
    }

    /// Stale for so long, it may be used in place of an error. RFC 5861 §4.
    #[must_use]
    pub fn stale_if_error(self, time: Duration) -> Self {
        self.and_seconds("stale-if-error", time)
    }

    fn and(mut self, directive: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        self.0.push_str(directive);
        self
    }

    fn and_seconds(self, directive: &str, time: Duration) -> Self {
        self.and(&format!("{directive}={}", time.as_secs()))
    }
}

impl AsRef<str> for CacheControl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CacheControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_spelled_in_order() {
        let second = Duration::from_millis(1999);
        let value = CacheControl::new()
            .no_store()
            .no_cache()
            .public()
            .private()
            .max_age(second)
            .s_maxage(Duration::ZERO)
            .must_revalidate()
            .proxy_revalidate()
            .must_understand()
            .no_transform()
            .immutable()
            .stale_while_revalidate(second)
            .stale_if_error(second);
        assert_eq!(
            value.as_ref(),
            "no-store, no-cache, public, private, max-age=1, s-maxage=0, must-revalidate, \
             proxy-revalidate, must-understand, no-transform, immutable, stale-while-revalidate=1, \
             stale-if-error=1"
        );
    }
}
