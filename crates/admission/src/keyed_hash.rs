//! A hash that only who knows its key can make.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::random;

/// HMAC-SHA-256 (RFC 2104) with a key.
#[derive(Clone)]
pub(crate) struct KeyedHash(Hmac<Sha256>);

impl KeyedHash {
    /// With a key that nobody knows, for as long as the process lives.
    pub(crate) fn random() -> Self {
        Self::new(&random::bytes::<32>())
    }

    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        Self(keyed)
    }

    /// Of some parts. Where one of them ends counts: `ab` and `c` are not `a` and `bc`.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = self.0.clone();
        for part in parts {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into_bytes().into()
    }
}
