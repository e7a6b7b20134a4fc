//! The file of users: one line each, comments, and changes that a kill at any moment does not undo.

use std::collections::HashSet;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{fmt, mem};

use super::lines::{NameFault, User, UserFault};
use crate::replace::{lock, replace};

/// The users of a file, with its comments and empty lines.
///
/// One line is one user: `NAME:HASH`, where the hash is a PHC string of argon2id, then perhaps what Digest needs
/// (see [`DigestSecrets`](super::DigestSecrets)). Lines that begin with `#` are comments.
#[derive(Clone, Debug, Default)]
pub struct UsersFile {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    /// A comment or an empty line, as it is.
    Text(String),
    User(User),
}

impl UsersFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, is longer than 64 MiB, is not UTF-8, or has a line that is wrong.
    pub fn read(path: &Path) -> Result<Self, UsersFileError> {
        let fail = |fault| UsersFileError::File {
            path: path.to_owned(),
            fault,
        };
        let file = File::open(path).map_err(|error| fail(FileFault::Read(error)))?;
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(|error| fail(FileFault::Read(error)))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(fail(FileFault::TooLong));
        }
        let text = String::from_utf8(text).map_err(|_| fail(FileFault::NotUtf8))?;
        Self::parse(&text).map_err(|(line, fault)| UsersFileError::Line {
            path: path.to_owned(),
            line,
            fault,
        })
    }

    /// Changes a file, or makes it. Whoever else changes it at the same time, in this process or another, waits.
    ///
    /// When this returns, the change is on the disk; if the process is killed before, the file is as it was.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), or the file cannot be written.
    pub fn change<R>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> R,
    ) -> Result<R, UsersFileError> {
        let fail = |fault| UsersFileError::File {
            path: path.to_owned(),
            fault,
        };
        let _lock = lock(path).map_err(|error| fail(FileFault::Lock(error)))?;
        let mut file = match Self::read(path) {
            Err(UsersFileError::File {
                fault: FileFault::Read(error),
                ..
            }) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            read => read?,
        };
        let result = change(&mut file);
        replace(path, file.to_string().as_bytes())
            .map_err(|error| fail(FileFault::Write(error)))?;
        Ok(result)
    }

    /// The users, in the file's order.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.lines.iter().filter_map(|line| match line {
            Line::User(user) => Some(user),
            Line::Text(_) => None,
        })
    }

    /// Adds a user, or puts another in the place of the one of that name. Returns who was there.
    pub fn set(&mut self, user: User) -> Option<User> {
        for line in &mut self.lines {
            if let Line::User(known) = line
                && known.name == user.name
            {
                return Some(mem::replace(known, user));
            }
        }
        self.lines.push(Line::User(user));
        None
    }

    /// Removes a user. Returns whether there was one of that name.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.lines.len();
        self.lines
            .retain(|line| !matches!(line, Line::User(user) if user.name == name));
        self.lines.len() < before
    }

    pub(super) fn into_users(self) -> Vec<User> {
        let users = self.lines.into_iter().filter_map(|line| match line {
            Line::User(user) => Some(user),
            Line::Text(_) => None,
        });
        users.collect()
    }

    fn parse(text: &str) -> Result<Self, (usize, UserFault)> {
        let mut lines = Vec::new();
        let mut names = HashSet::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                lines.push(Line::Text(line.to_owned()));
                continue;
            }
            let user = User::parse(line).map_err(|fault| (index + 1, fault))?;
            if !names.insert(user.name.clone()) {
                return Err((index + 1, UserFault::Twice));
            }
            lines.push(Line::User(user));
        }
        Ok(Self { lines })
    }
}

impl fmt::Display for UsersFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Line::Text(text) => writeln!(formatter, "{text}")?,
                Line::User(user) => writeln!(formatter, "{user}")?,
            }
        }
        Ok(())
    }
}

/// Why there are no users.
#[derive(Debug)]
#[non_exhaustive]
pub enum UsersFileError {
    /// The file cannot be used. The system's fault.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: FileFault,
    },
    /// A line is wrong. The caller's fault.
    Line {
        /// Of which file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        fault: UserFault,
    },
    /// A user of the settings cannot be one. The caller's fault.
    Listed {
        /// The name.
        name: String,
        /// What is wrong with it.
        fault: NameFault,
    },
}

/// Why a file of users cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileFault {
    /// It cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(io::Error),
    /// Its lock cannot be had.
    Lock(io::Error),
    /// It is longer than 64 MiB.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
}

impl fmt::Display for UsersFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, fault } => {
                let what = match fault {
                    FileFault::Read(_) => "cannot be read",
                    FileFault::Write(_) => "cannot be written",
                    FileFault::Lock(_) => "cannot be locked",
                    FileFault::TooLong => "is longer than 64 MiB",
                    FileFault::NotUtf8 => "is not UTF-8",
                };
                write!(formatter, "users file {} {what}", path.display())
            }
            Self::Line { path, line, fault } => {
                write!(
                    formatter,
                    "users file {}, line {line}: {fault}",
                    path.display()
                )
            }
            Self::Listed { name, fault } => write!(formatter, "user {name:?}: {fault}"),
        }
    }
}

impl Error for UsersFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File {
                fault: FileFault::Read(error) | FileFault::Write(error) | FileFault::Lock(error),
                ..
            } => Some(error),
            _ => None,
        }
    }
}

/// Longest users file: some 400,000 users.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
