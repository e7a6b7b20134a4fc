//! The user's name and password of the Basic scheme. Source: RFC 7617.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What a peer says its user's name and password are. Nobody has checked them.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// Reads an `Authorization` field; `None` for another scheme, and for what the scheme does not
    /// allow.
    pub(super) fn from_basic(value: &[u8]) -> Option<Self> {
        let (scheme, token) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let decoded = BASE64_STANDARD.decode(token.trim_ascii()).ok()?;
        // RFC 7617 §2: a user's name has no colon, a password may have.
        let (username, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some(Self {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_read() {
        let credentials = Credentials::from_basic(b"bAsic QWxhZGRpbjpvcGVuOnNlc2FtZQ==").unwrap();
        assert_eq!(credentials.username, "Aladdin");
        assert_eq!(credentials.password, "open:sesame");
    }

    #[test]
    fn anything_else_is_none() {
        for value in [
            "",
            "Basic",
            "Basic !",
            "Basic QQ==",
            "Bearer QTpi",
            "Basic /zpi",
        ] {
            assert_eq!(Credentials::from_basic(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials::from_basic(b"Basic QWxhZGRpbjpvcGVu").unwrap();
        assert!(!format!("{credentials:?}").contains("open"));
    }
}
