//! Why the settings of the whole service cannot be read or changed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use tidegate_httpapi::{ApiError, ErrorCode, LimitError};

use super::format::Fault;

/// Why a store cannot be read or changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be used. The system's fault.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: StoreFault,
    },
    /// What is in it may not be. The fault of who wrote it.
    Line {
        /// Of which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key on it; empty when there is none.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// The change is refused, as the HTTP Server API refuses it. The caller's fault.
    Refused(ApiError),
}

/// Why a store's file cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreFault {
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(io::Error),
    /// Its lock cannot be had.
    Lock(io::Error),
    /// It is longer than 16 MiB.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
}

impl StoreError {
    pub(super) fn line(path: &Path, text: &str, fault: Fault) -> Self {
        let at = fault.at.unwrap_or(0).min(text.len());
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count();
        let shown = text.lines().nth(line).unwrap_or_default();
        let key = shown.split_once('=').map_or(shown, |(key, _)| key).trim();
        Self::Line {
            path: path.to_owned(),
            line: line + 1,
            key: key.to_owned(),
            message: fault.message,
        }
    }

    /// What to do about it, where that does not go without saying.
    pub(crate) fn way_out(&self) -> Option<&'static str> {
        match self {
            Self::File {
                fault: StoreFault::Read(error),
                ..
            } if error.kind() == io::ErrorKind::PermissionDenied => Some(
                "let the server's user read it, or name another store, or `none` (--store, TIDEGATE_STORE)",
            ),
            _ => None,
        }
    }

    /// The code that the HTTP Server API returns in this case.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(error) => error.code(),
            Self::File {
                fault: StoreFault::Read(error) | StoreFault::Write(error) | StoreFault::Lock(error),
                ..
            } => match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    ErrorCode::AccessDenied
                }
                io::ErrorKind::NotFound => ErrorCode::FileNotFound,
                _ => ErrorCode::SharingViolation,
            },
            Self::File { .. } | Self::Line { .. } => ErrorCode::InvalidParameter,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, fault } => {
                let what = match fault {
                    StoreFault::Read(_) => "cannot be read",
                    StoreFault::Write(_) => "cannot be written",
                    StoreFault::Lock(_) => "cannot be locked",
                    StoreFault::TooLong => "is longer than 16 MiB",
                    StoreFault::NotUtf8 => "is not UTF-8",
                };
                write!(formatter, "the store {} {what}", path.display())
            }
            Self::Line {
                path,
                line,
                key,
                message,
            } => {
                write!(formatter, "the store {}, line {line}", path.display())?;
                match key.is_empty() {
                    true => write!(formatter, ": {message}"),
                    false => write!(formatter, ", `{key}`: {message}"),
                }
            }
            Self::Refused(error) => error.fmt(formatter),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File {
                fault: StoreFault::Read(error) | StoreFault::Write(error) | StoreFault::Lock(error),
                ..
            } => Some(error),
            Self::Refused(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ApiError> for StoreError {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl From<LimitError> for StoreError {
    fn from(error: LimitError) -> Self {
        Self::Refused(error.into())
    }
}
