//! How keys are kept: as which hash.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::table::Salt;
use crate::hex;
use crate::slots::Slots;
use crate::users::{HashingCost, PasswordHash};

/// As which hash keys are kept that are issued from now on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyHash {
    /// SHA-256, with the store's salt. All that a key of 128 random bits and more needs.
    #[default]
    Sha256,
    /// SHA-512, with the store's salt, where a rule asks for it. Such keys have their name in them:
    /// `PREFIX` `NAME` `.` and the rest.
    Sha512,
    /// argon2id, with a salt of its own, where a rule asks for a slow hash. Such keys have their name in them, too.
    ///
    /// The first check of a key after the start makes such a hash; then its SHA-256 is known in memory, by which
    /// later ones go, right or wrong.
    Argon2id(HashingCost),
}

/// What is kept of a key that its name is found by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Secret {
    Sha512(String),
    Argon2id(String),
}

impl KeyHash {
    /// `None` for who is found by the hash itself.
    pub(super) fn make(self, salt: &Salt, key: &str) -> Option<Secret> {
        match self {
            Self::Sha256 => None,
            Self::Sha512 => Some(Secret::Sha512(hex::encode(&sha512(salt, key)))),
            Self::Argon2id(cost) => Some(Secret::Argon2id(PasswordHash::of(key, cost).to_string())),
        }
    }

    pub(super) fn names_keys(self) -> bool {
        self != Self::Sha256
    }
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fit {
    Right,
    Wrong,
    /// Too many hash already.
    Busy,
}

impl Fit {
    fn of(is_right: bool) -> Self {
        match is_right {
            true => Self::Right,
            false => Self::Wrong,
        }
    }
}

/// The SHA-256 of a key that was found right, with a salt that this process alone knows.
pub(super) type Proof = OnceLock<[u8; 32]>;

impl Secret {
    /// Whether [`fits`](Self::fits) takes tens of milliseconds.
    pub(super) fn is_slow(&self, proof: &Proof) -> bool {
        matches!(self, Self::Argon2id(_)) && proof.get().is_none()
    }

    /// `quick`: the key's hash that a proof is. A key has one right text: once that is known, all others are wrong
    /// without another slow hash.
    pub(super) fn fits(
        &self,
        key: &str,
        salt: &Salt,
        (quick, proof): (&[u8; 32], &Proof),
        slots: &Slots,
    ) -> Fit {
        let is_right = match self {
            Self::Sha512(kept) => {
                let kept = hex::decode::<64>(kept);
                kept.is_some_and(|kept| bool::from(kept.ct_eq(&sha512(salt, key))))
            }
            Self::Argon2id(kept) => {
                if let Some(proved) = proof.get() {
                    return Fit::of(proved.ct_eq(quick).into());
                }
                let Some(_slot) = slots.take() else {
                    return Fit::Busy;
                };
                // Whoever waited for the slot may have waited for the same.
                match proof.get() {
                    Some(proved) => proved.ct_eq(quick).into(),
                    None => {
                        let fits = PasswordHash::parse(kept).is_some_and(|kept| kept.verify(key));
                        if fits {
                            proof.get_or_init(|| *quick);
                        }
                        fits
                    }
                }
            }
        };
        Fit::of(is_right)
    }

    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Sha512(kept) => hex::decode::<64>(kept).is_some(),
            Self::Argon2id(kept) => PasswordHash::parse(kept).is_some(),
        }
    }
}

fn sha512(salt: &Salt, key: &str) -> [u8; 64] {
    let mut hash = Sha512::new();
    hash.update(salt);
    hash.update(key.as_bytes());
    hash.finalize().into()
}
