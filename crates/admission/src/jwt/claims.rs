//! What a token says. Source: RFC 7519 §4.1.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{JwtError, JwtSettings};

/// What a token that is believed says.
#[derive(Clone, PartialEq)]
pub struct Claims {
    all: Map<String, Value>,
}

impl Claims {
    /// Whom it is about (`sub`).
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// Who has issued it (`iss`).
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// What its bearer may do: the words of `scope` (RFC 8693 §4.2), or the list `scp`, which some issuers use.
    pub fn scopes(&self) -> Vec<&str> {
        match (self.all.get("scope"), self.all.get("scp")) {
            (Some(Value::String(scopes)), _) | (None, Some(Value::String(scopes))) => {
                scopes.split_ascii_whitespace().collect()
            }
            (Some(Value::Array(scopes)), _) | (None, Some(Value::Array(scopes))) => {
                scopes.iter().filter_map(Value::as_str).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A claim by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.all.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Value::as_str)
    }

    pub(super) fn check(
        all: Map<String, Value>,
        settings: &JwtSettings,
        now: SystemTime,
    ) -> Result<Self, JwtError> {
        let JwtSettings {
            issuers,
            audiences,
            leeway,
            may_last_forever,
            ..
        } = settings;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        match date(&all, "exp")? {
            // RFC 7519 §4.1.4: on or after it, the token must not be accepted.
            Some(expires) if now >= expires.saturating_add(*leeway) => {
                return Err(JwtError::Expired);
            }
            None if !may_last_forever => return Err(JwtError::Expired),
            _ => {}
        }
        for name in ["nbf", "iat"] {
            if date(&all, name)?.is_some_and(|begins| begins > now.saturating_add(*leeway)) {
                return Err(JwtError::NotYetValid);
            }
        }
        for name in ["iss", "sub"] {
            if !matches!(all.get(name), None | Some(Value::String(_))) {
                return Err(JwtError::Claim);
            }
        }
        let claims = Self { all };
        let is_of = |issuer: &str| issuers.iter().any(|known| known == issuer);
        if !issuers.is_empty() && !claims.issuer().is_some_and(is_of) {
            return Err(JwtError::Issuer);
        }
        let is_for = |audience: &str| audiences.iter().any(|known| known == audience);
        let is_for_us = match claims.all.get("aud") {
            None => audiences.is_empty(),
            Some(Value::String(audience)) => is_for(audience),
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).any(is_for),
            Some(_) => return Err(JwtError::Claim),
        };
        if !is_for_us {
            return Err(JwtError::Audience);
        }
        Ok(claims)
    }
}

/// Claims may be about persons: none is printed.
impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Claims").finish_non_exhaustive()
    }
}

/// RFC 7519 §2, NumericDate: seconds since the epoch, perhaps with a fraction.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<Duration>, JwtError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().ok_or(JwtError::Claim)?;
    // Before the epoch is before everything.
    let date = Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| JwtError::Claim)?;
    Ok(Some(date))
}
