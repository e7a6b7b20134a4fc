//! Hashes of passwords: argon2id, as PHC strings. Source: RFC 9106.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use crate::random;

/// What a hash costs to make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HashingCost {
    /// Memory, in KiB. Default 19,456 (19 MiB), range 8 to 1,048,576.
    pub memory_kib: u32,
    /// How often all of the memory is gone over. Default 2, range 1 to 64.
    pub passes: u32,
    /// Into how many lanes it is divided. Default 1, range 1 to 16.
    pub lanes: u32,
}

/// Source: OWASP's Password Storage Cheat Sheet, the first of the choices for argon2id.
impl Default for HashingCost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

impl HashingCost {
    fn params(self, output_bytes: usize) -> Option<Params> {
        // Whoever may write the file may ask for what takes all memory, by a slip.
        let is_bearable =
            self.memory_kib <= 1024 * 1024 && self.passes <= 64 && (1..=16).contains(&self.lanes);
        if !is_bearable {
            return None;
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(output_bytes)).ok()
    }
}

/// The hash of a password.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash {
    salt: Vec<u8>,
    output: Vec<u8>,
    cost: HashingCost,
}

impl PasswordHash {
    /// Hashes a password, with a salt of its own.
    ///
    /// # Panics
    ///
    /// The cost is out of its ranges.
    pub fn of(password: &str, cost: HashingCost) -> Self {
        let mut hash = Self {
            salt: random::bytes::<16>().to_vec(),
            output: vec![0; 32],
            cost,
        };
        hash.output = hash.make(password);
        hash
    }

    /// A hash that no password is known for: its output is random.
    pub(super) fn of_nobody(cost: HashingCost) -> Self {
        Self {
            salt: random::bytes::<16>().to_vec(),
            output: random::bytes::<32>().to_vec(),
            cost,
        }
    }

    /// Reads a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`. `None` for any other hash, a cost out of
    /// its ranges, a salt below 8 bytes or a hash below 16.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = phc::PasswordHash::new(text).ok()?;
        if parsed.algorithm.as_str() != "argon2id" || parsed.version != Some(19) {
            return None;
        }
        let names: Vec<_> = parsed
            .params
            .iter()
            .map(|(name, _)| name.to_string())
            .collect();
        if names != ["m", "t", "p"] {
            return None;
        }
        let cost = HashingCost {
            memory_kib: parsed.params.get_decimal("m")?,
            passes: parsed.params.get_decimal("t")?,
            lanes: parsed.params.get_decimal("p")?,
        };
        let hash = Self {
            salt: parsed.salt?.as_ref().to_vec(),
            output: parsed.hash?.as_bytes().to_vec(),
            cost,
        };
        let is_long_enough = hash.salt.len() >= 8 && hash.output.len() >= 16;
        (is_long_enough && cost.params(hash.output.len()).is_some()).then_some(hash)
    }

    /// Whether it is the hash of this password. Takes as long whether it is or not.
    pub fn verify(&self, password: &str) -> bool {
        self.make(password).ct_eq(&self.output).into()
    }

    /// What it costs.
    pub fn cost(&self) -> HashingCost {
        self.cost
    }

    fn make(&self, password: &str) -> Vec<u8> {
        let mut output = vec![0; self.output.len()];
        let params = self.cost.params(output.len());
        let params = params.expect("the cost is within its ranges");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &self.salt, &mut output)
            .expect("parameters, salt and output are within argon2's ranges");
        output
    }
}

/// As a PHC string.
impl fmt::Display for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HashingCost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        let salt = BASE64_STANDARD_NO_PAD.encode(&self.salt);
        let output = BASE64_STANDARD_NO_PAD.encode(&self.output);
        write!(
            formatter,
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}"
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PasswordHash")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cost that tests can bear.
    const CHEAP: HashingCost = HashingCost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    // Of the reference implementation's tests (phc-winner-argon2, src/test.c, argon2id, version 0x13).
    #[test]
    fn hashes_of_the_reference_implementation_fit() {
        let hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                    nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let hash = PasswordHash::parse(hash).unwrap();
        assert!(hash.verify("password"));
        assert!(!hash.verify("Password"));
    }

    #[test]
    fn what_is_written_is_read() {
        let hash = PasswordHash::of("open sesame", CHEAP);
        let read = PasswordHash::parse(&hash.to_string()).unwrap();
        assert_eq!(read, hash);
        assert!(read.verify("open sesame"));
        assert!(!read.verify("open sesam"));
        assert_ne!(PasswordHash::of("open sesame", CHEAP), hash);
    }

    #[test]
    fn other_hashes_are_refused() {
        let good = PasswordHash::of("x", CHEAP).to_string();
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=8", "m=1048577"),
            ("m=8", "m=7"),
            ("t=1", "t=65"),
            ("t=1", "t=0"),
            ("p=1", "p=17"),
            ("p=1", "p=0"),
            (",p=1", ""),
            ("p=1", "p=1,data=AAAA"),
            ("$v=19", ""),
        ] {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good);
            assert!(PasswordHash::parse(&text).is_none(), "{text}");
        }
        for text in ["", "$", "password", "{SHA}x", &good[..good.len() - 30]] {
            assert!(PasswordHash::parse(text).is_none(), "{text}");
        }
    }
}
