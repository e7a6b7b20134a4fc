//! What a key looks like: a prefix, random characters, a checksum.
//!
//! `tg_` and 43 characters of 62 and 6 of checksum: the prefix lets people and scanners of leaked secrets know it
//! for what it is, the checksum tells a slip of the hand from a guess, without the store.

use std::error::Error;
use std::fmt;

use super::record::ApiKeyId;
use crate::random;

/// What keys are made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyFormat {
    /// What they begin with. Up to 32 of letters, digits, `_`, `-`. Default `tg_`.
    pub prefix: String,
    /// How many random characters follow. Default 43, range 22 to 128; never less than 128 bits.
    pub length: usize,
    /// Of which characters. Default letters and digits: 43 are 256 bits.
    pub charset: Charset,
    /// Whether a checksum of six characters follows. Default true.
    pub checksum: bool,
}

/// Characters of keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Charset {
    /// `A`–`Z`, `a`–`z`, `0`–`9`: 5.95 bits each.
    #[default]
    Alphanumeric,
    /// `0`–`9`, `a`–`f`: 4 bits each.
    Hex,
    /// Letters and digits but those that look like others (`0`, `O`, `1`, `l`, `I`): 5.83 bits each.
    Unambiguous,
    /// Base64 for URLs: 6 bits each.
    Base64Url,
}

impl Charset {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::Alphanumeric,
        Self::Hex,
        Self::Unambiguous,
        Self::Base64Url,
    ];

    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alphanumeric => "alphanumeric",
            Self::Hex => "hex",
            Self::Unambiguous => "unambiguous",
            Self::Base64Url => "base64url",
        }
    }

    fn characters(self) -> &'static [u8] {
        match self {
            Self::Alphanumeric => BASE62,
            Self::Hex => b"0123456789abcdef",
            Self::Unambiguous => b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789",
            Self::Base64Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        }
    }
}

impl Default for KeyFormat {
    fn default() -> Self {
        Self {
            prefix: "tg_".to_owned(),
            length: 43,
            charset: Charset::default(),
            checksum: true,
        }
    }
}

impl KeyFormat {
    /// Whether keys of this format may be issued.
    ///
    /// # Errors
    ///
    /// What is out of its range.
    pub fn check(&self) -> Result<(), KeyFormatError> {
        let is_prefix = self.prefix.len() <= 32
            && self
                .prefix
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_prefix {
            return Err(KeyFormatError::Prefix);
        }
        let bits = (self.charset.characters().len() as f64).log2() * self.length as f64;
        if !(22..=128).contains(&self.length) || bits < 128.0 {
            return Err(KeyFormatError::Length);
        }
        Ok(())
    }

    /// A key that nobody has had before, with its name in it if it is found by that.
    pub(super) fn generate(&self, name: Option<ApiKeyId>) -> String {
        let characters = self.charset.characters();
        let bound = u32::try_from(characters.len()).expect("no charset is so long");
        let mut key = self.prefix.clone();
        if let Some(name) = name {
            key.push_str(&format!("{name}."));
        }
        for _ in 0..self.length {
            key.push(char::from(characters[random::below(bound) as usize]));
        }
        if self.checksum {
            let checksum = checksum(key.as_bytes());
            key.push_str(&checksum);
        }
        key
    }

    /// Whether a text can be a key of this format, as far as it tells by itself.
    pub fn fits(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(&self.prefix) else {
            return false;
        };
        let rest = match rest.split_once('.') {
            None => rest,
            Some((name, rest)) if name.parse::<ApiKeyId>().is_ok() => rest,
            Some(_) => return false,
        };
        let checksum_bytes = if self.checksum { CHECKSUM_BYTES } else { 0 };
        if rest.len() != self.length + checksum_bytes || !rest.is_ascii() {
            return false;
        }
        let characters = self.charset.characters();
        let random = &rest.as_bytes()[..self.length];
        let (stem, sum) = text.split_at(text.len() - checksum_bytes);
        random.iter().all(|byte| characters.contains(byte))
            && (!self.checksum || checksum(stem.as_bytes()) == sum)
    }
}

/// The name that stands in a key, if one does: 16 digits before a dot, which is in no charset and no prefix.
pub(super) fn name_in(key: &str) -> Option<ApiKeyId> {
    let (before, _) = key.split_once('.')?;
    let digits = before.get(before.len().checked_sub(NAME_BYTES)?..)?;
    digits.parse().ok()
}

/// CRC-32 in six digits of base 62: against slips, not against anybody.
fn checksum(bytes: &[u8]) -> String {
    let mut register = u32::MAX;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = if register & 1 == 1 { 0xedb8_8320 } else { 0 };
            register = (register >> 1) ^ carry;
        }
    }
    let mut rest = !register;
    let mut digits = [0; CHECKSUM_BYTES];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// Why keys of a format are not issued. The caller's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyFormatError {
    /// The prefix is too long or has a character that it may not have.
    Prefix,
    /// The length is out of its range, or too short for its characters.
    Length,
}

impl fmt::Display for KeyFormatError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Prefix => "a prefix is up to 32 letters, digits, _ and -",
            Self::Length => {
                "a key has 22 to 128 random characters and at least 128 random bits (32 of hex)"
            }
        })
    }
}

impl Error for KeyFormatError {}

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const CHECKSUM_BYTES: usize = 6;

const NAME_BYTES: usize = 16;

/// The longest key there can be.
pub(super) const KEY_BYTES_MAX: usize = 32 + NAME_BYTES + 1 + 128 + CHECKSUM_BYTES;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_of_their_format_and_each_is_another() {
        for charset in Charset::ALL {
            for (length, checksum) in [(43, true), (64, false)] {
                let format = KeyFormat {
                    length,
                    charset,
                    checksum,
                    ..KeyFormat::default()
                };
                assert_eq!(format.check(), Ok(()));
                let keys: HashSet<_> = (0..50).map(|_| format.generate(None)).collect();
                assert_eq!(keys.len(), 50);
                assert!(
                    keys.iter()
                        .all(|key| format.fits(key) && key.len() <= KEY_BYTES_MAX)
                );
            }
        }
    }

    #[test]
    fn a_name_in_a_key_is_found() {
        let format = KeyFormat::default();
        let name: ApiKeyId = "0123456789abcdef".parse().unwrap();
        let key = format.generate(Some(name));
        assert!(key.starts_with("tg_0123456789abcdef.") && format.fits(&key));
        assert_eq!(name_in(&key), Some(name));
        for text in [
            "",
            ".",
            "a.b",
            "123456789abcdef.x",
            "tg_0123456789abcdeg.x",
            "ä123456789abcde.x",
        ] {
            assert_eq!(name_in(text), None, "{text}");
        }
        assert_eq!(name_in(&format.generate(None)), None);
    }

    // The check value of CRC-32 (ITU-T V.42) is 0xCBF43926, which is 3,421,780,262.
    #[test]
    fn the_checksum_is_that_of_v42() {
        let digit = |byte: u8| BASE62.iter().position(|known| *known == byte).unwrap() as u64;
        let sum = checksum(b"123456789");
        let value = sum.bytes().fold(0, |value, byte| value * 62 + digit(byte));
        assert_eq!(value, 0xcbf4_3926);
    }

    #[test]
    fn a_slip_is_seen() {
        let format = KeyFormat::default();
        let key = format.generate(None);
        for index in 0..key.len() {
            let mut slip = key.clone().into_bytes();
            slip[index] = if slip[index] == b'x' { b'y' } else { b'x' };
            assert!(!format.fits(&String::from_utf8(slip).unwrap()));
        }
        for text in [
            "",
            "tg_",
            &key[1..],
            &key[..key.len() - 1],
            &format!("{key}x"),
        ] {
            assert!(!format.fits(text));
        }
    }

    #[test]
    fn what_could_be_guessed_is_not_issued() {
        for (prefix, length, charset, error) in [
            ("a b", 43, Charset::Hex, KeyFormatError::Prefix),
            (&*"x".repeat(33), 43, Charset::Hex, KeyFormatError::Prefix),
            ("", 21, Charset::Base64Url, KeyFormatError::Length),
            ("", 31, Charset::Hex, KeyFormatError::Length),
            ("", 129, Charset::Hex, KeyFormatError::Length),
        ] {
            let format = KeyFormat {
                prefix: prefix.to_owned(),
                length,
                charset,
                checksum: true,
            };
            assert_eq!(format.check(), Err(error));
        }
    }
}
