//! The `Authorization` field: what a client says to prove who it is, and what it is asked for.
//!
//! Sources: RFC 9110 §11 (the framework), RFC 7617 (Basic), RFC 7616 (Digest), RFC 6750 (Bearer).

mod basic;
mod challenge;
mod digest;
mod parameters;

use std::error::Error;
use std::fmt;

pub use basic::BasicCredentials;
pub use challenge::{basic_challenge, bearer_challenge};
pub use digest::{Digest, DigestAlgorithm, DigestCredentials, DigestSettings, DigestVerdict};

/// What an `Authorization` field holds, by its scheme. Nobody has checked it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Authorization<'a> {
    /// A name and a password.
    Basic(BasicCredentials),
    /// A proof of knowing a password.
    Digest(Box<DigestCredentials>),
    /// A token.
    Bearer(&'a str),
    /// A scheme that is not spoken here, by its name.
    Other(&'a str),
}

impl<'a> Authorization<'a> {
    /// Reads a field's value.
    ///
    /// # Errors
    ///
    /// It is not what its scheme's standard allows. The peer's fault, and 400 is the answer: the HTTP Server API
    /// does the same.
    pub fn parse(value: &'a [u8]) -> Result<Self, AuthorizationError> {
        let value = std::str::from_utf8(value).map_err(|_| AuthorizationError::Text)?;
        // RFC 9110 §11.4: the scheme, spaces, then what the scheme says.
        let value = value.trim_matches([' ', '\t']);
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        let rest = rest.trim_start_matches(' ');
        if scheme.is_empty() || !scheme.bytes().all(parameters::is_token_byte) {
            return Err(AuthorizationError::Scheme);
        }
        if scheme.eq_ignore_ascii_case("basic") {
            BasicCredentials::parse(rest).map(Self::Basic)
        } else if scheme.eq_ignore_ascii_case("digest") {
            DigestCredentials::parse(rest).map(|digest| Self::Digest(Box::new(digest)))
        } else if scheme.eq_ignore_ascii_case("bearer") {
            if is_token68(rest) {
                Ok(Self::Bearer(rest))
            } else {
                Err(AuthorizationError::Token)
            }
        } else {
            Ok(Self::Other(scheme))
        }
    }
}

/// RFC 9110 §11.2: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token68(text: &str) -> bool {
    let stem = text.trim_end_matches('=');
    !stem.is_empty()
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// Why an `Authorization` field cannot be read. The peer's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// It is not UTF-8.
    Text,
    /// It does not begin with a scheme.
    Scheme,
    /// What Basic gives is not Base64 of `NAME:PASSWORD` in UTF-8 without control characters.
    Basic,
    /// What Digest gives is no list of parameters, or has one twice.
    Parameters,
    /// A parameter that Digest needs is missing or not what it must be.
    Digest,
    /// What Bearer gives is no token.
    Token,
}

impl fmt::Display for AuthorizationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "credentials are not UTF-8",
            Self::Scheme => "credentials have no scheme",
            Self::Basic => "credentials are not a name and a password in Base64",
            Self::Parameters => "credentials are not a list of parameters, each once",
            Self::Digest => "credentials lack what Digest needs",
            Self::Token => "credentials have no token",
        })
    }
}

impl Error for AuthorizationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_by_its_scheme() {
        assert!(matches!(
            Authorization::parse(b"bAsic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap(),
            Authorization::Basic(basic) if basic.username == "Aladdin"
        ));
        assert_eq!(
            Authorization::parse(b"Bearer mF_9.B5f-4.1JqM").unwrap(),
            Authorization::Bearer("mF_9.B5f-4.1JqM")
        );
        assert_eq!(
            Authorization::parse(b"Negotiate YII=").unwrap(),
            Authorization::Other("Negotiate")
        );
    }

    #[test]
    fn what_is_no_credentials_is_told() {
        for (value, error) in [
            (&b""[..], AuthorizationError::Scheme),
            (b" ", AuthorizationError::Scheme),
            (b"Ba(sic x", AuthorizationError::Scheme),
            (b"Basic", AuthorizationError::Basic),
            (b"Basic \xff", AuthorizationError::Text),
            (b"Bearer", AuthorizationError::Token),
            (b"Bearer =", AuthorizationError::Token),
            (b"Bearer a b", AuthorizationError::Token),
            (b"Bearer a,b", AuthorizationError::Token),
            (b"Digest", AuthorizationError::Parameters),
        ] {
            assert_eq!(Authorization::parse(value), Err(error), "{value:?}");
        }
    }

    // Any bytes: no panic, and what is read as Basic has no control character.
    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let alphabet: &[u8] =
            b"Basic Digest Bearer =,\"\\ username*='%41nonce qop \x00\xffQUI6QQ==";
        for _ in 0..20_000 {
            let mut value =
                [&b"Basic "[..], b"Digest ", b"Bearer ", b""][draw() as usize % 4].to_vec();
            for _ in 0..draw() % 40 {
                value.push(alphabet[draw() as usize % alphabet.len()]);
            }
            if let Ok(Authorization::Basic(basic)) = Authorization::parse(&value) {
                assert!(!basic.username.contains(':'));
                assert!(!basic.username.chars().any(char::is_control));
            }
        }
    }
}
