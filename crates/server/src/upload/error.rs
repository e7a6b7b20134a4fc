//! What can go wrong with uploads on this side. What a peer does wrong is a
//! [`ContentError`](crate::ContentError).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why an upload that was in order could not be stored. The peer is answered with [`status`](Self::status),
/// and nothing of the upload stays.
#[derive(Debug)]
#[non_exhaustive]
pub enum UploadError {
    /// A file cannot be made, written or named. The system's fault, or the directory's.
    Storage {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The handler of [`on_http_upload_before_save_file`](crate::Events::on_http_upload_before_save_file)
    /// gave a name that is none, or a path. The application's fault.
    FileName {
        /// The name.
        name: String,
    },
}

impl UploadError {
    /// 507 where there is no room for the file, else 500. Source: RFC 4918 §11.5.
    pub fn status(&self) -> u16 {
        match self {
            Self::Storage { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => 507,
                _ => 500,
            },
            Self::FileName { .. } => 500,
        }
    }
}

impl fmt::Display for UploadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage { directory, source } => {
                let directory = directory.display();
                write!(
                    formatter,
                    "cannot store an uploaded file in {directory}: {source}"
                )
            }
            Self::FileName { name } => {
                write!(formatter, "{name:?} is no name for an uploaded file")
            }
        }
    }
}

impl std::error::Error for UploadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Its text is a part of ours.
            Self::Storage { source, .. } => std::error::Error::source(source),
            Self::FileName { .. } => None,
        }
    }
}

/// Why a server cannot take uploads in as its settings say. The caller's fault, or the system's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UploadSetupError {
    /// `http_upload_files.stream_type` is file, and there is no `save_directory`.
    NoSaveDirectory,
    /// Two uploads have this path.
    SamePath(Box<str>),
    /// The directory cannot be made, or cannot be written to.
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
}

impl UploadSetupError {
    pub(crate) fn way_out(&self) -> &'static str {
        match self {
            Self::NoSaveDirectory => "set `http_upload_files.save_directory`",
            Self::SamePath(_) => "give each `upload` a path of its own",
            Self::Directory { .. } => "make it, and let this process write to it",
        }
    }
}

impl fmt::Display for UploadSetupError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSaveDirectory => formatter.write_str("uploads have no directory to go to"),
            Self::SamePath(path) => write!(formatter, "two uploads have the path {path}/"),
            Self::Directory { path, .. } => {
                let path = path.display();
                write!(formatter, "cannot take uploads into the directory {path}")
            }
        }
    }
}

impl std::error::Error for UploadSetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Directory { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
