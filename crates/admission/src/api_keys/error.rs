use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::format::KeyFormatError;
use super::record::ApiKeyId;
use super::storage::CustomFault;

/// Why something was not done with API keys. Nothing was changed then.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// The database cannot be used. The system's fault.
    Database {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: DatabaseFault,
    },
    /// The format is not one. The caller's fault, as all that follow.
    Format(KeyFormatError),
    /// There is no key of this name.
    NoSuchKey(ApiKeyId),
    /// The key was revoked, and cannot be brought back.
    Revoked(ApiKeyId),
    /// The key has a successor already.
    HasSuccessor(ApiKeyId, ApiKeyId),
    /// A key to be taken in is known already, or too short.
    Adopted,
    /// Not the name of a key, which has 16 hexadecimal digits.
    Id(String),
    /// Not an owner: 1 to 255 bytes without control characters.
    Owner(String),
    /// Not a scope: 1 to 128 printable ASCII characters but blank, comma, `"` and `\`.
    Scope(String),
    /// A note of more than 1,024 bytes.
    Note,
    /// More than 64 scopes or ranges of addresses.
    TooMany,
    /// A rate that is none: 1 to 1,000,000,000.
    Rate,
    /// What is to be imported has a hash that is none.
    Secret(ApiKeyId),
    /// A passphrase of less than 16 bytes.
    ShortPassphrase,
    /// A file with a passphrase cannot be read.
    PassphraseFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file of refused checks cannot be written.
    RefusedFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is to be imported is no export.
    Import(serde_json::Error),
    /// What is to be imported was made with another salt, and there are keys here.
    OtherSalt,
}

/// Why a database cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum DatabaseFault {
    /// The system, or the file's content.
    Redb(redb::Error),
    /// Its permissions cannot be set.
    Io(io::Error),
    /// Another process had it open for more than ten seconds.
    InUse,
    /// It was written by a newer version.
    Version(u64),
    /// A record cannot be read.
    Record(serde_json::Error),
    /// A number of the store is not there, or is none.
    Counts,
    /// It is encrypted, and no passphrase was given.
    Encrypted,
    /// It is not encrypted, and a passphrase was given.
    NotEncrypted,
    /// The passphrase is not its own.
    Passphrase,
    /// A value was changed by somebody without the passphrase.
    Sealed,
    /// A storage of the application's own cannot be used.
    Custom(CustomFault),
    /// A storage of the application's own has asked for the same change twice. Its defect.
    AskedTwice,
    /// A storage of the application's own says that it has made a change that it never asked for. Its defect.
    NotAsked,
}

impl fmt::Display for ApiKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { path, fault } => {
                write!(formatter, "API keys in {}: ", path.display())?;
                match fault {
                    DatabaseFault::Redb(_) | DatabaseFault::Io(_) => {
                        formatter.write_str("the database cannot be used")
                    }
                    DatabaseFault::InUse => {
                        formatter.write_str("another process holds the database open")
                    }
                    DatabaseFault::Version(version) => {
                        write!(formatter, "version {version} of the database is not known")
                    }
                    DatabaseFault::Record(_) | DatabaseFault::Counts => {
                        formatter.write_str("a record cannot be read")
                    }
                    DatabaseFault::Encrypted => {
                        formatter.write_str("they are encrypted; name the file with the passphrase")
                    }
                    DatabaseFault::NotEncrypted => formatter.write_str(
                        "they are not encrypted, but a passphrase is given; \
                         export them, and import them into a new store that is",
                    ),
                    DatabaseFault::Passphrase => {
                        formatter.write_str("they are encrypted by another passphrase")
                    }
                    DatabaseFault::Sealed => formatter.write_str(
                        "a record was changed by somebody who does not have the passphrase",
                    ),
                    DatabaseFault::Custom(_) => formatter.write_str("the storage cannot be used"),
                    DatabaseFault::AskedTwice => {
                        formatter.write_str("the storage has asked twice for one change")
                    }
                    DatabaseFault::NotAsked => {
                        formatter.write_str("the storage has not asked for the change")
                    }
                }
            }
            Self::Format(error) => error.fmt(formatter),
            Self::NoSuchKey(id) => write!(formatter, "there is no key {id}"),
            Self::Revoked(id) => write!(formatter, "key {id} was revoked; issue another"),
            Self::HasSuccessor(id, successor) => {
                write!(
                    formatter,
                    "key {id} was rotated already; its successor is {successor}"
                )
            }
            Self::Adopted => formatter.write_str(
                "a key that is taken in must be new, of 22 to 183 printable ASCII characters",
            ),
            Self::Id(text) => {
                write!(
                    formatter,
                    "{text:?} is no key's name, which has 16 hexadecimal digits"
                )
            }
            Self::Owner(text) => write!(
                formatter,
                "{text:?} is no owner: 1 to 255 bytes without control characters"
            ),
            Self::Scope(text) => write!(
                formatter,
                "{text:?} is no scope: 1 to 128 printable ASCII characters but blank, comma, \" and \\"
            ),
            Self::Note => formatter.write_str("a note has at most 1,024 bytes"),
            Self::TooMany => formatter.write_str("a key has at most 64 scopes and 64 ranges"),
            Self::Rate => formatter.write_str("a key's rate is 1 to 1,000,000,000"),
            Self::Secret(id) => write!(formatter, "the hash of key {id} is none"),
            Self::ShortPassphrase => {
                formatter.write_str("a passphrase for API keys has at least 16 bytes")
            }
            Self::PassphraseFile { path, .. } => {
                let path = path.display();
                write!(formatter, "the passphrase in {path} cannot be read")
            }
            Self::RefusedFile { path, .. } => {
                let path = path.display();
                write!(formatter, "refused API keys cannot be written to {path}")
            }
            Self::Import(_) => formatter.write_str("not an export of API keys"),
            Self::OtherSalt => formatter.write_str(
                "the export is of another store, and hashes are bound to their store; \
                 import it into a new one",
            ),
        }
    }
}

impl Error for ApiKeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Database { fault, .. } => match fault {
                DatabaseFault::Redb(error) => Some(error),
                DatabaseFault::Io(error) => Some(error),
                DatabaseFault::Record(error) => Some(error),
                DatabaseFault::Custom(CustomFault(error)) => Some(&**error),
                _ => None,
            },
            Self::Import(error) => Some(error),
            Self::PassphraseFile { error, .. } | Self::RefusedFile { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<redb::Error> for DatabaseFault {
    fn from(error: redb::Error) -> Self {
        Self::Redb(error)
    }
}

macro_rules! from_redb {
    ($($error:ident)*) => { $(
        impl From<redb::$error> for DatabaseFault {
            fn from(error: redb::$error) -> Self {
                Self::Redb(error.into())
            }
        }
    )* };
}

from_redb!(DatabaseError TransactionError TableError StorageError CommitError);

impl From<serde_json::Error> for DatabaseFault {
    fn from(error: serde_json::Error) -> Self {
        Self::Record(error)
    }
}

impl From<io::Error> for DatabaseFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
