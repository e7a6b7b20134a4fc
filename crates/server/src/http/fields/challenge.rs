//! `WWW-Authenticate`. Source: RFC 9110 §11.6.1, RFC 7617, RFC 6750 §3.

use super::parameter::{Malformed, Value, is_token};

/// A way in which a client may prove who it is.
///
/// What cannot be said so, such as a realm with a line end, makes the response a 500.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    value: Value,
    has_parameters: bool,
}

impl Challenge {
    /// A user's name and password, in UTF-8, for this realm. RFC 7617.
    pub fn basic(realm: &str) -> Self {
        Self::new("Basic")
            .param("realm", realm)
            .param("charset", "UTF-8")
    }

    /// A token. RFC 6750.
    pub fn bearer() -> Self {
        Self::new("Bearer")
    }

    /// Another scheme, by its registered name.
    pub fn new(scheme: &str) -> Self {
        Self {
            value: match is_token(scheme) {
                true => Value::new(scheme.to_owned()),
                false => Value::malformed(scheme),
            },
            has_parameters: false,
        }
    }

    /// Adds a parameter, such as `realm`, `scope` or `error`.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.value
            .push(if self.has_parameters { ", " } else { " " });
        self.value.push_quoted(name, value);
        self.has_parameters = true;
        self
    }

    pub(super) fn into_value(self) -> Result<String, Malformed> {
        self.value.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_spelled() {
        let value = |challenge: Challenge| challenge.into_value().unwrap();
        assert_eq!(
            value(Challenge::basic("the \"inner\" \\ harbour")),
            r#"Basic realm="the \"inner\" \\ harbour", charset="UTF-8""#
        );
        assert_eq!(value(Challenge::bearer()), "Bearer");
        let refused = Challenge::bearer()
            .param("error", "invalid_token")
            .param("scope", "a b");
        assert_eq!(
            value(refused),
            r#"Bearer error="invalid_token", scope="a b""#
        );
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        for (challenge, part) in [
            (Challenge::basic("a\r\nb"), "a\r\nb"),
            (Challenge::new("a b"), "a b"),
            (Challenge::new(""), ""),
            (Challenge::bearer().param("a=b", "c"), "a=b"),
            (Challenge::bearer().param("a", "\0").param("b", "\n"), "\0"),
        ] {
            assert_eq!(challenge.into_value(), Err(Malformed(part.into())));
        }
    }
}
