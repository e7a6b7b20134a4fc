//! Signed tokens that say who somebody is. Sources: RFC 7519 (JWT), RFC 7515 (signatures), RFC 8725 (how to go
//! wrong).
//!
//! Which algorithms are accepted is the server's choice, never the token's: a token names one, it must be on the
//! list, and it must be one that its key is for. So a token without a signature is refused, and a public key is
//! never taken for a secret.

mod claims;
mod keys;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

pub use claims::Claims;
pub use keys::{JwtKeyError, JwtKeys};

/// An algorithm of signatures. Source: RFC 7518 §3.1, RFC 8037.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256. Who can check a token can make one.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As the standards name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// That of a name; `None` for `none` and all others.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    fn library(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Hs384 => Algorithm::HS384,
            Self::Hs512 => Algorithm::HS512,
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Ps384 => Algorithm::PS384,
            Self::Ps512 => Algorithm::PS512,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// Which tokens are accepted.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// Algorithms that may sign. There is no default: choose those that your issuer uses.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Whose tokens are accepted (`iss`). Empty: anybody's that a key here has signed.
    pub issuers: Vec<String>,
    /// For whom a token must be (`aud`), one of them. Empty: a token that is for somebody is refused, one that is
    /// for nobody in particular is accepted (RFC 7519 §4.1.3).
    pub audiences: Vec<String>,
    /// How far the issuer's clock may be off. Default 60 s.
    pub leeway: Duration,
    /// Whether a token that never expires is accepted. Default false.
    pub may_last_forever: bool,
}

impl Default for JwtSettings {
    fn default() -> Self {
        Self {
            algorithms: Vec::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: Duration::from_secs(60),
            may_last_forever: false,
        }
    }
}

/// Checks tokens.
pub struct Jwt {
    settings: JwtSettings,
    keys: ArcSwap<JwtKeys>,
}

impl Jwt {
    /// With the keys of those who may sign.
    pub fn new(settings: JwtSettings, keys: JwtKeys) -> Self {
        Self {
            settings,
            keys: ArcSwap::from_pointee(keys),
        }
    }

    /// Takes other keys from now on.
    pub fn set_keys(&self, keys: JwtKeys) {
        self.keys.store(Arc::new(keys));
    }

    /// What a token says, if it is to be believed.
    ///
    /// # Errors
    ///
    /// Why it is not. The peer's fault; to a peer all are the same.
    pub fn check(&self, token: &str, now: SystemTime) -> Result<Claims, JwtError> {
        let header = decode_header(token).map_err(|error| match error.kind() {
            // `alg` is none that exists.
            ErrorKind::InvalidAlgorithmName => JwtError::Algorithm,
            _ => JwtError::Malformed,
        })?;
        let is_listed = |listed: &&JwtAlgorithm| listed.library() == header.alg;
        let algorithm = self.settings.algorithms.iter().find(is_listed);
        let algorithm = algorithm.ok_or(JwtError::Algorithm)?.library();
        let mut validation = Validation::new(algorithm);
        // Times, issuer and audience are looked at by `claims`: the library would ask the clock.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let keys = self.keys.load();
        let mut error = JwtError::UnknownKey;
        let is_missing = header.kid.as_deref().is_some_and(|id| !keys.has(id));
        for key in keys.candidates(header.kid.as_deref(), algorithm) {
            match decode::<Map<String, Value>>(token, key, &validation) {
                Ok(decoded) => return Claims::check(decoded.claims, &self.settings, now),
                Err(cause) => {
                    error = match cause.kind() {
                        // Tried because it has no name: the one that was named is not here.
                        ErrorKind::InvalidSignature if is_missing => JwtError::UnknownKey,
                        ErrorKind::InvalidSignature => JwtError::Signature,
                        _ => JwtError::Malformed,
                    }
                }
            }
        }
        Err(error)
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Jwt")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Why a token is not believed. The peer's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwtError {
    /// It is no signed token.
    Malformed,
    /// Its algorithm is not on the list.
    Algorithm,
    /// No key is known by its `kid` and for its algorithm. The issuer may have a new one.
    UnknownKey,
    /// Its signature does not fit.
    Signature,
    /// It has expired, or does not say when it does.
    Expired,
    /// It is not valid yet (`nbf`), or was issued in the future (`iat`).
    NotYetValid,
    /// It is of another issuer.
    Issuer,
    /// It is for another audience.
    Audience,
    /// A claim is not of the type that the standard says.
    Claim,
}

impl fmt::Display for JwtError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "not a signed token",
            Self::Algorithm => "the token's algorithm is not accepted",
            Self::UnknownKey => "no key is known that could have signed the token",
            Self::Signature => "the token's signature does not fit",
            Self::Expired => "the token has expired or never does",
            Self::NotYetValid => "the token is not valid yet",
            Self::Issuer => "the token is of another issuer",
            Self::Audience => "the token is for another audience",
            Self::Claim => "a claim of the token is not of its type",
        })
    }
}

impl Error for JwtError {}
