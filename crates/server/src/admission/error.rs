use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use tidegate_admission::api_keys::ApiKeyError;
use tidegate_admission::jwt::JwtKeyError;
use tidegate_admission::users::UsersFileError;

/// Why nobody can be let in as the settings say.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The users cannot be had.
    Users(UsersFileError),
    /// The API keys cannot be had.
    ApiKeys(ApiKeyError),
    /// A file of keys for tokens cannot be read.
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file of keys for tokens has none that can be used.
    Keys {
        /// Which.
        path: PathBuf,
        /// Why.
        error: JwtKeyError,
    },
    /// A JWK set cannot be asked for at this URL. The caller's fault.
    JwkSetUrl {
        /// Which.
        url: String,
        /// What is wrong with it, or with the authorities that are trusted.
        why: String,
    },
    /// A setting cannot be what it is. The caller's fault.
    Setting {
        /// Its name.
        name: &'static str,
        /// What it has to be.
        what: &'static str,
    },
    /// A thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for AdmissionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(error) => error.fmt(formatter),
            Self::ApiKeys(error) => error.fmt(formatter),
            Self::KeyFile { path, .. } => {
                write!(
                    formatter,
                    "keys for tokens in {} cannot be read",
                    path.display()
                )
            }
            Self::Keys { path, error } => {
                write!(formatter, "keys for tokens in {}: {error}", path.display())
            }
            Self::JwkSetUrl { url, why } => {
                write!(formatter, "`authentication.jwt.jwk_set_url` {url}: {why}")
            }
            Self::Setting { name, what } => write!(formatter, "`{name}` {what}"),
            Self::Thread(_) => formatter.write_str("a thread could not be started"),
        }
    }
}

impl Error for AdmissionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Users(error) => error.source(),
            Self::ApiKeys(error) => error.source(),
            Self::Keys { error, .. } => error.source(),
            Self::KeyFile { error, .. } | Self::Thread(error) => Some(error),
            Self::JwkSetUrl { .. } | Self::Setting { .. } => None,
        }
    }
}
