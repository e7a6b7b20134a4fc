//! One user as a line of a users file.
//!
//! ```text
//! alice:$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH
//! bob:$argon2id$…:digest-sha-256=64 DIGITS:realm=members only
//! ```
//!
//! After the name and the hash may stand what Digest needs, which no hash of argon2 gives: the hash of name,
//! realm and password (RFC 7616 §3.4.2, A1). Within its realm it is as good as the password, so it is there for
//! those users only who were given it. The realm is last, since it may hold any character.

use std::error::Error;
use std::fmt;

use super::password::PasswordHash;
use crate::authorization::DigestAlgorithm;

/// A user of a users file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The hash of the password.
    pub password: PasswordHash,
    /// What Digest needs; empty for who cannot use it.
    pub digests: DigestSecrets,
}

impl User {
    pub(super) fn parse(line: &str) -> Result<Self, UserFault> {
        let (name, rest) = line.split_once(':').ok_or(UserFault::NoPassword)?;
        check_name(name).map_err(UserFault::Name)?;
        let (hash, columns) = match rest.split_once(':') {
            Some((hash, columns)) => (hash, Some(columns)),
            None => (rest, None),
        };
        let password = PasswordHash::parse(hash).ok_or(UserFault::Hash)?;
        let digests = columns.map(DigestSecrets::parse).transpose()?;
        Ok(Self {
            name: name.to_owned(),
            password,
            digests: digests.unwrap_or_default(),
        })
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, self.password)?;
        let DigestSecrets {
            sha_256,
            md5,
            realm,
        } = &self.digests;
        if let Some(digits) = sha_256 {
            write!(formatter, ":{SHA_256}{digits}")?;
        }
        if let Some(digits) = md5 {
            write!(formatter, ":{MD5}{digits}")?;
        }
        if !self.digests.is_empty() {
            write!(formatter, ":{REALM}{realm}")?;
        }
        Ok(())
    }
}

/// What Digest compares: hashes of name, realm and password, as hexadecimal digits.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct DigestSecrets {
    sha_256: Option<String>,
    md5: Option<String>,
    realm: String,
}

impl DigestSecrets {
    /// Of a user's password. That of MD5 is for old clients alone.
    pub fn compute(name: &str, realm: &str, password: &str, with_md5: bool) -> Self {
        let parts: [&[u8]; 5] = [
            name.as_bytes(),
            b":",
            realm.as_bytes(),
            b":",
            password.as_bytes(),
        ];
        Self {
            sha_256: Some(DigestAlgorithm::Sha256.hash(&parts)),
            md5: with_md5.then(|| DigestAlgorithm::Md5.hash(&parts)),
            realm: realm.to_owned(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sha_256.is_none() && self.md5.is_none()
    }

    /// That for an algorithm; `None` also if it was made for another realm.
    pub fn of(&self, algorithm: DigestAlgorithm, realm: &str) -> Option<&str> {
        if self.realm != realm {
            return None;
        }
        match algorithm {
            DigestAlgorithm::Sha256 => self.sha_256.as_deref(),
            DigestAlgorithm::Md5 => self.md5.as_deref(),
        }
    }

    fn parse(columns: &str) -> Result<Self, UserFault> {
        let mut secrets = Self::default();
        let mut rest = columns;
        loop {
            if let Some(realm) = rest.strip_prefix(REALM) {
                if secrets.is_empty() {
                    return Err(UserFault::Column);
                }
                secrets.realm = realm.to_owned();
                return Ok(secrets);
            }
            // The realm is there, or the line ends too soon.
            let (column, next) = rest.split_once(':').ok_or(UserFault::Column)?;
            let (place, digits, count) = if let Some(digits) = column.strip_prefix(SHA_256) {
                (&mut secrets.sha_256, digits, 64)
            } else if let Some(digits) = column.strip_prefix(MD5) {
                (&mut secrets.md5, digits, 32)
            } else {
                return Err(UserFault::Column);
            };
            let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if place.is_some() || digits.len() != count || !are_digits {
                return Err(UserFault::Column);
            }
            *place = Some(digits.to_ascii_lowercase());
            rest = next;
        }
    }
}

impl fmt::Debug for DigestSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DigestSecrets")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Whether a name can be a user's: 1 to 255 bytes, no colon, no control character, no blank at either end, no
/// `#` at the beginning.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        Err(NameFault::Empty)
    } else if name.len() > 255 {
        Err(NameFault::TooLong)
    } else if name.contains(':') {
        Err(NameFault::Colon)
    } else if name.chars().any(char::is_control) {
        Err(NameFault::Control)
    } else if name.trim() != name || name.starts_with('#') {
        Err(NameFault::Edge)
    } else {
        Ok(())
    }
}

/// Why a text cannot be a user's name. The caller's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NameFault {
    /// There is nothing.
    Empty,
    /// More than 255 bytes.
    TooLong,
    /// A colon, which ends the name in a request (RFC 7617 §2).
    Colon,
    /// A control character (RFC 7617 §2).
    Control,
    /// A blank at an end, or a `#` at the beginning, which begins a comment.
    Edge,
}

impl fmt::Display for NameFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "a user's name must not be empty",
            Self::TooLong => "a user's name has at most 255 bytes",
            Self::Colon => "a user's name must not have a colon",
            Self::Control => "a user's name must not have control characters",
            Self::Edge => "a user's name must not begin with # or begin or end with a blank",
        })
    }
}

impl Error for NameFault {}

/// What is wrong with a line of a users file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UserFault {
    /// No colon after the name.
    NoPassword,
    /// The name cannot be one.
    Name(NameFault),
    /// What follows the name is no argon2id hash.
    Hash,
    /// What follows the hash is not what Digest needs.
    Column,
    /// There is a line for this user already.
    Twice,
}

impl fmt::Display for UserFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoPassword => "a line is NAME:HASH, and there is no colon",
            Self::Name(fault) => return fault.fmt(formatter),
            Self::Hash => {
                "after the name comes an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$SALT$HASH); \
                 `tidegate user add` makes one"
            }
            Self::Column => {
                "after the hash may come digest-sha-256=DIGITS and digest-md5=DIGITS, once each, \
                 and then realm=REALM"
            }
            Self::Twice => "there is another line for this user",
        })
    }
}

impl Error for UserFault {}

const SHA_256: &str = "digest-sha-256=";
const MD5: &str = "digest-md5=";
const REALM: &str = "realm=";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::HashingCost;

    fn hash() -> PasswordHash {
        let cost = HashingCost {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        };
        PasswordHash::of("x", cost)
    }

    #[test]
    fn what_is_written_is_read() {
        for digests in [
            DigestSecrets::default(),
            DigestSecrets::compute("Jäsøn", "a:realm=b", "x", false),
            DigestSecrets::compute("Jäsøn", "", "x", true),
        ] {
            let user = User {
                name: "Jäsøn Doe".to_owned(),
                password: hash(),
                digests,
            };
            assert_eq!(User::parse(&user.to_string()), Ok(user));
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_told() {
        let hash = hash();
        let digits = "a".repeat(64);
        for (line, fault) in [
            ("alice".to_owned(), UserFault::NoPassword),
            (format!(":{hash}"), UserFault::Name(NameFault::Empty)),
            (
                format!("a\u{7}:{hash}"),
                UserFault::Name(NameFault::Control),
            ),
            (format!(" a:{hash}"), UserFault::Name(NameFault::Edge)),
            (
                format!("{}:{hash}", "a".repeat(256)),
                UserFault::Name(NameFault::TooLong),
            ),
            ("a:".to_owned(), UserFault::Hash),
            ("a:secret".to_owned(), UserFault::Hash),
            (format!("a:{hash}:"), UserFault::Column),
            (format!("a:{hash}:realm=x"), UserFault::Column),
            (format!("a:{hash}:{SHA_256}{digits}"), UserFault::Column),
            (format!("a:{hash}:{SHA_256}abc:realm=x"), UserFault::Column),
            (
                format!("a:{hash}:{SHA_256}{digits}:{SHA_256}{digits}:realm=x"),
                UserFault::Column,
            ),
            (format!("a:{hash}:{MD5}{digits}:realm=x"), UserFault::Column),
            (format!("a:{hash}:admin=yes:realm=x"), UserFault::Column),
        ] {
            assert_eq!(User::parse(&line), Err(fault), "{line}");
        }
    }

    #[test]
    fn a_secret_is_for_its_realm_alone() {
        let secrets = DigestSecrets::compute("a", "here", "x", false);
        assert!(secrets.of(DigestAlgorithm::Sha256, "here").is_some());
        assert!(secrets.of(DigestAlgorithm::Sha256, "there").is_none());
        assert!(secrets.of(DigestAlgorithm::Md5, "here").is_none());
        assert!(!format!("{secrets:?}").contains(secrets.sha_256.as_ref().unwrap()));
    }
}
