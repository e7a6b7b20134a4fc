//! A proof of knowing a password that does not tell it. Source: RFC 7616.
//!
//! A nonce is made of the time, something random, and a hash of both keyed with what only this process knows, so
//! that none has to be kept until it comes back. Only of those that came back with a right response is it kept
//! which counts were used, in a table that is bounded: each count is accepted once, so what somebody has listened
//! to cannot be sent again.

mod counts;
mod credentials;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

pub use credentials::DigestCredentials;

use super::parameters::quoted;
use crate::keyed_hash::KeyedHash;
use crate::{hex, random};
use counts::{Count, Counts};

/// A hash that Digest knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// MD5, for clients that know nothing else. Passwords can be guessed faster from what it sends.
    Md5,
}

impl DigestAlgorithm {
    /// All there are, the strongest first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Md5];

    /// As the standard names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// Of the parts one after the other, as digits in lower case.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Sha256 => {
                let mut hash = Sha256::new();
                parts.iter().for_each(|part| hash.update(part));
                hex::encode(&hash.finalize())
            }
            Self::Md5 => {
                let mut hash = Md5::new();
                parts.iter().for_each(|part| hash.update(part));
                hex::encode(&hash.finalize())
            }
        }
    }
}

/// What is asked of clients that use Digest.
#[derive(Clone, Debug)]
pub struct DigestSettings {
    /// The protection space. Users' secrets are of one realm.
    pub realm: String,
    /// Which hashes may be used. Default SHA-256 alone.
    pub algorithms: Vec<DigestAlgorithm>,
    /// How long a nonce can be used; then the client is given another and does not ask its user again.
    ///
    /// Default 5 minutes, range 1 second to a day.
    pub nonce_life: Duration,
    /// Of how many nonces it is kept which counts were used. When there are more, the oldest become stale.
    ///
    /// Default 65,536, each some 100 bytes.
    pub nonces_max: usize,
    /// Whether clients are told that they may hide names (RFC 7616 §3.4.4). Default false.
    pub userhash: bool,
}

impl Default for DigestSettings {
    fn default() -> Self {
        Self {
            realm: "tidegate".to_owned(),
            algorithms: vec![DigestAlgorithm::Sha256],
            nonce_life: Duration::from_secs(300),
            nonces_max: 65_536,
            userhash: false,
        }
    }
}

/// What came of a client's proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DigestVerdict {
    /// It knows the password.
    Accepted,
    /// It knows the password, but has to say so with a new nonce.
    Stale,
    /// It does not.
    Refused,
}

/// The Digest scheme of a server.
pub struct Digest {
    settings: DigestSettings,
    key: KeyedHash,
    counts: Counts,
}

impl Digest {
    /// With a key that nobody knows: nonces end with the process.
    pub fn new(settings: DigestSettings) -> Self {
        Self {
            key: KeyedHash::random(),
            counts: Counts::new(settings.nonces_max),
            settings,
        }
    }

    /// The challenges, one for each algorithm, to be sent in this order (RFC 7616 §3.7).
    pub fn challenges(&self, now: SystemTime, stale: bool) -> impl Iterator<Item = String> {
        let realm = quoted(&self.settings.realm);
        self.settings.algorithms.iter().map(move |algorithm| {
            let nonce = self.nonce(since_epoch(now));
            let algorithm = algorithm.name();
            let mut challenge = format!(
                "Digest realm={realm}, qop=\"auth\", algorithm={algorithm}, nonce=\"{nonce}\""
            );
            if stale {
                challenge.push_str(", stale=true");
            }
            if self.settings.userhash {
                challenge.push_str(", userhash=true");
            }
            challenge
        })
    }

    /// Whether a client knows what `secret` was made of: `H(name:realm:password)`, in digits. `None` where there
    /// is no such user; then as much is computed, to be refused.
    ///
    /// `target` is the request's target as it came; the client's proof is for that one alone.
    pub fn check(
        &self,
        credentials: &DigestCredentials,
        method: &str,
        target: &str,
        secret: Option<&str>,
        now: SystemTime,
    ) -> DigestVerdict {
        let is_ours = credentials.realm == self.settings.realm
            && credentials.uri == target
            && self.settings.algorithms.contains(&credentials.algorithm);
        let response = credentials.expected_response(method, secret.unwrap_or(NOBODY));
        let is_right = bool::from(response.as_bytes().ct_eq(credentials.response.as_bytes()));
        if !is_ours || !is_right || secret.is_none() {
            return DigestVerdict::Refused;
        }
        let now = since_epoch(now);
        let Some(nonce) = self.read_nonce(&credentials.nonce) else {
            return DigestVerdict::Stale;
        };
        let life = self.settings.nonce_life;
        // From the future are only nonces from before the clock was set back.
        if now.saturating_sub(nonce.issued) >= life || nonce.issued > now {
            return DigestVerdict::Stale;
        }
        match self.counts.use_once(nonce, credentials.count, now, life) {
            Count::Fresh => DigestVerdict::Accepted,
            Count::Used => DigestVerdict::Stale,
        }
    }

    fn nonce(&self, now: Duration) -> String {
        let mut bytes = [0; NONCE_BYTES];
        let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        bytes[..8].copy_from_slice(&milliseconds.to_be_bytes());
        bytes[8..16].copy_from_slice(&random::bytes::<8>());
        let proof = self.key.of(&[&bytes[..16]]);
        bytes[16..].copy_from_slice(&proof[..16]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a nonce of ours says; `None` for any other.
    fn read_nonce(&self, text: &str) -> Option<Nonce> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let bytes: [u8; NONCE_BYTES] = bytes.try_into().ok()?;
        let proof = self.key.of(&[&bytes[..16]]);
        if !bool::from(proof[..16].ct_eq(&bytes[16..])) {
            return None;
        }
        let (time, unique) = bytes[..16].split_at(8);
        Some(Nonce {
            issued: Duration::from_millis(u64::from_be_bytes(time.try_into().ok()?)),
            unique: u64::from_be_bytes(unique.try_into().ok()?),
        })
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Digest")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A nonce of ours.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Nonce {
    /// When, since the epoch.
    issued: Duration,
    unique: u64,
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Time, random bytes, proof.
const NONCE_BYTES: usize = 32;

/// What stands for the secret of who is not there.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[cfg(test)]
mod tests;
