//! A name and a password as they are. Source: RFC 7617.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::AuthorizationError;

/// What the Basic scheme gives.
#[derive(Clone, Eq, PartialEq)]
pub struct BasicCredentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl BasicCredentials {
    pub(super) fn parse(text: &str) -> Result<Self, AuthorizationError> {
        let decoded = BASE64_STANDARD
            .decode(text)
            .map_err(|_| AuthorizationError::Basic)?;
        let decoded = String::from_utf8(decoded).map_err(|_| AuthorizationError::Basic)?;
        // RFC 7617 §2: neither has control characters. A name with a line end in it would be the beginning of
        // somebody's forged log line.
        if decoded.chars().any(char::is_control) {
            return Err(AuthorizationError::Basic);
        }
        // RFC 7617 §2: a user's name has no colon, a password may have.
        let (username, password) = decoded.split_once(':').ok_or(AuthorizationError::Basic)?;
        Ok(Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BasicCredentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7617 §2 and §2.1.
    #[test]
    fn the_standard_examples_are_read() {
        for (text, username, password) in [
            ("QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"),
            ("dGVzdDoxMjPCow==", "test", "123£"),
            ("OjE6", "", "1:"),
            ("YTo=", "a", ""),
        ] {
            let basic = BasicCredentials::parse(text).unwrap();
            assert_eq!((&*basic.username, &*basic.password), (username, password));
            assert!(password.is_empty() || !format!("{basic:?}").contains(password));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "!",
            "QQ==",
            "QUI",
            "YTpi YTpi",
            "YTpi,",
            "/zpi", // No UTF-8.
            "YQ06Yg==",
            "YTpiDQo=",
            "YTp/", // CR, CR LF and DEL.
        ] {
            assert_eq!(
                BasicCredentials::parse(text),
                Err(AuthorizationError::Basic),
                "{text}"
            );
        }
    }
}
