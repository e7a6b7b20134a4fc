//! The keys that tokens may be signed with. Sources: RFC 7517 (JSON Web Key), RFC 7518 §3.

use std::error::Error;
use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys that tokens may be signed with.
#[derive(Default)]
pub struct JwtKeys {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    key: DecodingKey,
    /// What it may be used for: never by the token's choice alone.
    algorithms: Vec<Algorithm>,
}

impl JwtKeys {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the keys of a JWK set, `{"keys": […]}`. Those that are not for signatures, or not understood, are left
    /// out (RFC 7517 §5). Returns how many were added.
    ///
    /// `may_have_secrets` says whether secrets of HMAC are wanted in it: in a set that is there for all to read,
    /// one would be no secret.
    ///
    /// # Errors
    ///
    /// It is no JWK set, has more than 256 keys, or none that can be used.
    pub fn add_jwk_set(
        &mut self,
        text: &[u8],
        may_have_secrets: bool,
    ) -> Result<usize, JwtKeyError> {
        let set: KeySet = serde_json::from_slice(text).map_err(JwtKeyError::JwkSet)?;
        if set.keys.len() > KEYS_MAX {
            return Err(JwtKeyError::TooMany);
        }
        let before = self.keys.len();
        for value in set.keys {
            if let Ok(jwk) = serde_json::from_value::<Jwk>(value)
                && let Some(key) = Key::of_jwk(&jwk, may_have_secrets)
            {
                self.keys.push(key);
            }
        }
        let added = self.keys.len() - before;
        if added == 0 {
            return Err(JwtKeyError::NoneUsable);
        }
        Ok(added)
    }

    /// Adds a public key in PEM: RSA, P-256, P-384 or Ed25519.
    ///
    /// # Errors
    ///
    /// It is none of these.
    pub fn add_pem(&mut self, id: Option<&str>, pem: &[u8]) -> Result<(), JwtKeyError> {
        // A private key also has the public one, but has no business here.
        if pem.windows(11).any(|window| window == b"PRIVATE KEY") {
            return Err(JwtKeyError::Private);
        }
        let (key, algorithms) = if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            (key, RSA.to_vec())
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            (key, vec![Algorithm::ES256, Algorithm::ES384])
        } else {
            let key = DecodingKey::from_ed_pem(pem).map_err(|_| JwtKeyError::Pem)?;
            (key, vec![Algorithm::EdDSA])
        };
        self.keys.push(Key {
            id: id.map(str::to_owned),
            key,
            algorithms,
        });
        Ok(())
    }

    /// Adds a secret for HMAC.
    ///
    /// # Errors
    ///
    /// It has less than 32 bytes: RFC 7518 §3.2 asks for as many as the hash has.
    pub fn add_secret(&mut self, id: Option<&str>, secret: &[u8]) -> Result<(), JwtKeyError> {
        let algorithms = hmac_of(secret.len());
        if algorithms.is_empty() {
            return Err(JwtKeyError::ShortSecret);
        }
        self.keys.push(Key {
            id: id.map(str::to_owned),
            key: DecodingKey::from_secret(secret).map_err(|_| JwtKeyError::ShortSecret)?,
            algorithms,
        });
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Those that may have signed: by its id if a token names one, else all that are for its algorithm. A few at
    /// most: each costs a check.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &DecodingKey> {
        self.keys
            .iter()
            // A key without a name may be any.
            .filter(move |key| match (id, &key.id) {
                (Some(id), Some(own)) => id == own,
                _ => true,
            })
            .filter(move |key| key.algorithms.contains(&algorithm))
            .map(|key| &key.key)
            .take(CANDIDATES_MAX)
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|key| &key.id).collect();
        formatter.debug_tuple("JwtKeys").field(&ids).finish()
    }
}

impl Key {
    fn of_jwk(jwk: &Jwk, may_have_secrets: bool) -> Option<Self> {
        let common = &jwk.common;
        let is_for_signatures =
            matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
                && common
                    .key_operations
                    .as_ref()
                    .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !is_for_signatures {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA.to_vec(),
            AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(parameters) => match parameters.curve {
                EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
                _ => return None,
            },
            AlgorithmParameters::OctetKey(_) if may_have_secrets => {
                hmac_of(key.try_get_as_bytes().ok()?.len())
            }
            _ => return None,
        };
        if let Some(named) = common.key_algorithm {
            let named = Algorithm::try_from(named).ok()?;
            algorithms.retain(|algorithm| *algorithm == named);
        }
        (!algorithms.is_empty()).then(|| Self {
            id: common.key_id.clone(),
            key,
            algorithms,
        })
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// RFC 7518 §3.2: a secret of at least as many bytes as the hash has.
fn hmac_of(secret_bytes: usize) -> Vec<Algorithm> {
    let all = [
        (32, Algorithm::HS256),
        (48, Algorithm::HS384),
        (64, Algorithm::HS512),
    ];
    let long_enough = all.into_iter().filter(|(least, _)| secret_bytes >= *least);
    long_enough.map(|(_, algorithm)| algorithm).collect()
}

/// Why keys cannot be used. The caller's fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum JwtKeyError {
    /// It is no JWK set.
    JwkSet(serde_json::Error),
    /// The set has more than 256 keys.
    TooMany,
    /// Of its keys none can be used.
    NoneUsable,
    /// It is no public key in PEM of a kind that is known.
    Pem,
    /// It is a private key.
    Private,
    /// A secret has less than 32 bytes.
    ShortSecret,
}

impl fmt::Display for JwtKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::JwkSet(_) => "not a JWK set, which is {\"keys\": […]}",
            Self::TooMany => "a JWK set of more than 256 keys",
            Self::NoneUsable => "no key of the JWK set is for signatures and of a known kind",
            Self::Pem => "not a public key in PEM (RSA, P-256, P-384 or Ed25519)",
            Self::Private => "a private key, where a public one is wanted",
            Self::ShortSecret => "a secret needs at least 32 bytes",
        })
    }
}

impl Error for JwtKeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::JwkSet(error) => Some(error),
            _ => None,
        }
    }
}

const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

const KEYS_MAX: usize = 256;

/// How many keys are tried for a token that names none, or whose name several have.
const CANDIDATES_MAX: usize = 8;
