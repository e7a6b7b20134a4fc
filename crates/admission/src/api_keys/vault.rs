//! Keys that are kept encrypted, by a passphrase.
//!
//! Each value is encrypted for itself, with XChaCha20-Poly1305 and a random nonce, and bound to its place: none can
//! be read, made, or put in another's place without the passphrase. How many there are, how long they are, and when
//! they change can be seen; and who may write the file can put an old one in its place.

use std::fmt;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::error::{ApiKeyError, DatabaseFault};
use super::storage::KeyTable;
use crate::random;

/// What encrypts a store: any text, or the bytes of a file.
#[derive(Clone, Eq, PartialEq)]
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// Of at least 16 bytes.
    ///
    /// # Errors
    ///
    /// It has fewer. The caller's fault.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, ApiKeyError> {
        let bytes = bytes.into();
        match bytes.len() {
            0..16 => Err(ApiKeyError::ShortPassphrase),
            _ => Ok(Self(bytes)),
        }
    }

    /// What a file holds, without an end of line.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has fewer than 16 bytes.
    pub fn of_file(path: &Path) -> Result<Self, ApiKeyError> {
        let mut bytes = std::fs::read(path).map_err(|error| ApiKeyError::PassphraseFile {
            path: path.to_owned(),
            error,
        })?;
        while bytes.last().is_some_and(|last| b"\r\n".contains(last)) {
            bytes.pop();
        }
        Self::new(bytes)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Passphrase").finish_non_exhaustive()
    }
}

/// What encrypts and decrypts the values of one store.
pub(super) struct Vault {
    salt: Salt,
    cipher: XChaCha20Poly1305,
}

pub(super) type Salt = [u8; 16];

impl Vault {
    pub(super) fn new(passphrase: &Passphrase, salt: Salt) -> Self {
        // A passphrase may be one that people remember: so that trying many takes long.
        let params =
            Params::new(19 * 1024, 2, 1, Some(32)).expect("these are within argon2's ranges");
        let mut key = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&passphrase.0, &salt, &mut key)
            .expect("parameters, salt and output are within argon2's ranges");
        Self {
            salt,
            cipher: XChaCha20Poly1305::new(&key.into()),
        }
    }

    pub(super) fn salt(&self) -> &Salt {
        &self.salt
    }

    pub(super) fn seal(&self, table: KeyTable, number: u64, value: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random::bytes();
        let place = place(table, number);
        let payload = Payload {
            msg: value,
            aad: &place,
        };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let mut whole = nonce.to_vec();
        whole.extend(sealed.expect("no value is as long as the cipher's limit"));
        whole
    }

    pub(super) fn open(
        &self,
        table: KeyTable,
        number: u64,
        sealed: &[u8],
    ) -> Result<Vec<u8>, DatabaseFault> {
        let (nonce, rest) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(DatabaseFault::Sealed)?;
        let place = place(table, number);
        let payload = Payload {
            msg: rest,
            aad: &place,
        };
        let opened = self.cipher.decrypt(&XNonce::from(*nonce), payload);
        opened.map_err(|_| DatabaseFault::Sealed)
    }
}

/// What a value is bound to.
fn place(table: KeyTable, number: u64) -> [u8; 9] {
    let mut place = [0; 9];
    place[0] = match table {
        KeyTable::Records => 1,
        KeyTable::Usage => 2,
        KeyTable::Audit => 3,
        KeyTable::State => 4,
    };
    place[1..].copy_from_slice(&number.to_be_bytes());
    place
}

const NONCE_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_in_its_place_by_who_has_the_passphrase() {
        let passphrase = Passphrase::new("correct horse battery").unwrap();
        let vault = Vault::new(&passphrase, [1; 16]);
        let sealed = vault.seal(KeyTable::Records, 7, b"value");
        assert_ne!(sealed, vault.seal(KeyTable::Records, 7, b"value"));
        let opened = vault.open(KeyTable::Records, 7, &sealed);
        assert_eq!(opened.unwrap(), b"value");
        assert!(vault.open(KeyTable::Records, 8, &sealed).is_err());
        assert!(vault.open(KeyTable::Usage, 7, &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open(KeyTable::Records, 7, &changed).is_err(), "{at}");
            assert!(
                vault.open(KeyTable::Records, 7, &sealed[..at]).is_err(),
                "{at}"
            );
        }
        let other = Passphrase::new("correct horse batteries").unwrap();
        for vault in [
            Vault::new(&other, [1; 16]),
            Vault::new(&passphrase, [2; 16]),
        ] {
            assert!(vault.open(KeyTable::Records, 7, &sealed).is_err());
        }
        assert!(Passphrase::new("short").is_err());
    }
}
