//! What a client says under Digest. Source: RFC 7616 §3.4.

use std::fmt;

use super::DigestAlgorithm;
use crate::authorization::{AuthorizationError, parameters};

/// What a client says under Digest. Nobody has checked it.
#[derive(Clone, Eq, PartialEq)]
pub struct DigestCredentials {
    /// The user's name, or, with [`userhash`](Self::userhash), its hash.
    pub username: String,
    /// Whether the name is hashed.
    pub userhash: bool,
    /// Which hash.
    pub algorithm: DigestAlgorithm,
    pub(super) realm: String,
    pub(super) uri: String,
    pub(super) nonce: String,
    pub(super) cnonce: String,
    /// As it was sent, since it is hashed so.
    pub(super) count_digits: String,
    pub(super) count: u32,
    pub(super) response: String,
}

impl DigestCredentials {
    pub(in crate::authorization) fn parse(text: &str) -> Result<Self, AuthorizationError> {
        let mut parameters = parameters::parse(text)?;
        let mut find = |name: &str| {
            let index = parameters.iter().position(|(known, _)| known == name)?;
            Some(parameters.swap_remove(index).1)
        };
        const REFUSED: AuthorizationError = AuthorizationError::Digest;
        let username = match (find("username"), find("username*")) {
            (Some(username), None) => username,
            (None, Some(extended)) => decode_extended(&extended).ok_or(REFUSED)?,
            // RFC 7616 §3.4: never both.
            _ => return Err(REFUSED),
        };
        if username.chars().any(char::is_control) {
            return Err(REFUSED);
        }
        // RFC 7616 §3.4: without one it is MD5.
        let algorithm = match find("algorithm") {
            None => DigestAlgorithm::Md5,
            Some(name) => DigestAlgorithm::named(&name).ok_or(REFUSED)?,
        };
        // Without qop there is no count, and what was sent could be sent again (RFC 2069).
        if !find("qop").ok_or(REFUSED)?.eq_ignore_ascii_case("auth") {
            return Err(REFUSED);
        }
        let count_digits = find("nc").ok_or(REFUSED)?;
        let is_count =
            count_digits.len() == 8 && count_digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_count {
            return Err(REFUSED);
        }
        Ok(Self {
            username,
            userhash: find("userhash").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            algorithm,
            realm: find("realm").ok_or(REFUSED)?,
            uri: find("uri").ok_or(REFUSED)?,
            nonce: find("nonce").ok_or(REFUSED)?,
            cnonce: find("cnonce").ok_or(REFUSED)?,
            count: u32::from_str_radix(&count_digits, 16).map_err(|_| REFUSED)?,
            count_digits,
            response: find("response").ok_or(REFUSED)?.to_ascii_lowercase(),
        })
    }

    /// What the response has to be (RFC 7616 §3.4.1).
    pub(super) fn expected_response(&self, method: &str, secret: &str) -> String {
        let hash = |parts: &[&str]| {
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            self.algorithm.hash(&parts)
        };
        let request = hash(&[method, ":", &self.uri]);
        hash(&[
            secret,
            ":",
            &self.nonce,
            ":",
            &self.count_digits,
            ":",
            &self.cnonce,
            ":auth:",
            &request,
        ])
    }
}

impl fmt::Debug for DigestCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DigestCredentials")
            .field("username", &self.username)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// RFC 8187 §3.2.1: `UTF-8''J%C3%A4s%C3%B8n`.
fn decode_extended(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_language, value) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            decoded.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}
