//! Answering with a file. Source: the component's FileName; RFC 9110 §8.8, RFC 6266.

mod disposition;

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_httpapi::{Body, FilePart, KnownField};
use tidegate_os::{FileState, Opened};

use super::media_type;
use super::response::Response;

impl Response {
    /// Answers with a file: the component's FileName.
    ///
    /// It goes out as the peer takes it, and is not read into memory. What has not been set before is set
    /// from the file: `Content-Type` by the extension of its name, `ETag` from its state, `Last-Modified`.
    /// Conditions and ranges of the request are answered as by
    /// [`process_ranges`](Self::process_ranges), so that downloads can be resumed.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) -> Result<(), tidegate::HandlerError> {
    /// response
    ///     .cache_control("max-age=3600")
    ///     .download("Übersicht 2026.pdf")
    ///     .file("reports/overview-2026.pdf")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The path is the application's: one that a peer had a say in may lead anywhere.
    ///
    /// The file is opened before this returns, which may wait for a slow disk: a handler that must not
    /// block can use [`answer_blocking`](Self::answer_blocking). A file that is changed while it is sent
    /// is sent as it is by then; one that becomes shorter breaks the connection off.
    ///
    /// # Errors
    ///
    /// There is no such file, or none that can be read. The response has the
    /// [status](FileError::status) that says so, without content, and may be changed; a handler that
    /// returns the error has the same sent, and nobody but the log hears of a missing file.
    pub fn file(&mut self, path: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        self.open_file(path).map_err(|fault| {
            self.status(fault.status()).empty();
            FileError::new(path, fault)
        })
    }

    /// Has the content kept in a file of this name, instead of being shown: sets `Content-Disposition`.
    ///
    /// The name may have any characters; separators of folders and control characters become `_`. A
    /// receiver that knows no other than ASCII gets `_` for the rest, too.
    pub fn download(&mut self, name: &str) -> &mut Self {
        self.header("Content-Disposition", disposition::attachment(name))
    }

    fn open_file(&mut self, path: &Path) -> Result<(), FileFault> {
        let (file, state) = match tidegate_os::open_file(path)? {
            Opened::File(file, state) => (file, state),
            Opened::Folder => return Err(FileFault::Folder),
            Opened::Other => return Err(FileFault::NotAFile),
        };
        if !self.head.fields.contains(KnownField::ContentType) {
            let name = path.file_name().unwrap_or_default();
            self.content_type(media_type::of_name(&name.to_string_lossy()));
        }
        if self.head.fields.value("ETag").is_none() {
            self.header("ETag", etag(&state, ""));
        }
        if self.head.fields.value("Last-Modified").is_none() {
            self.last_modified(last_modified(&state));
        }
        self.process_ranges();
        let part = FilePart::new(Arc::new(file), 0, state.length);
        self.set_content(Body::Pieces(vec![part.into()]));
        Ok(())
    }
}

/// The entity tag of a file in this state, strong: a file whose content was changed has another length,
/// another time or, when it was put in the place of the old one, another number. `variant` tells
/// representations of one state from one another.
pub(crate) fn etag(state: &FileState, variant: &str) -> String {
    let since_epoch = state.modified.duration_since(UNIX_EPOCH);
    let nanos = since_epoch.unwrap_or_default().as_nanos();
    let FileState { length, number, .. } = state;
    // The same after a restart, so that clients need not fetch anew what has not changed. Hashed, since
    // what the volume knows a file by is nobody's business.
    let mut hasher = DefaultHasher::new();
    (nanos, number).hash(&mut hasher);
    format!("\"{length:x}-{:x}{variant}\"", hasher.finish())
}

/// When a file was last modified, as it may be said now. RFC 9110 §8.8.2.1: not later than now.
pub(crate) fn last_modified(state: &FileState) -> SystemTime {
    state.modified.min(SystemTime::now())
}

/// Why a response cannot be a file.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    fault: FileFault,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileFault {
    /// There is none at this path.
    Missing,
    /// The path is a folder's.
    Folder,
    /// It is a pipe, a device or a socket.
    NotAFile,
    /// The user that the server runs as may not read it.
    Forbidden,
    /// The system cannot open it.
    System(io::Error),
}

impl FileError {
    pub(crate) fn new(path: &Path, fault: FileFault) -> Self {
        Self {
            path: path.to_path_buf(),
            fault,
        }
    }

    /// The path that was to be answered with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong.
    pub fn fault(&self) -> &FileFault {
        &self.fault
    }

    /// The status that says so to the peer: 404 when there is no file, 403 when it may not be read, else
    /// 500.
    pub fn status(&self) -> u16 {
        self.fault.status()
    }
}

impl FileFault {
    fn status(&self) -> u16 {
        match self {
            Self::Missing | Self::Folder | Self::NotAFile => 404,
            Self::Forbidden => 403,
            Self::System(_) => 500,
        }
    }
}

impl From<io::Error> for FileFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename
            // The path has NUL in it.
            | io::ErrorKind::InvalidInput => Self::Missing,
            io::ErrorKind::PermissionDenied => Self::Forbidden,
            _ => Self::System(error),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            FileFault::Missing => write!(formatter, "there is no file {path}"),
            FileFault::Folder => write!(formatter, "{path} is a folder"),
            FileFault::NotAFile => write!(formatter, "{path} is no regular file"),
            FileFault::Forbidden => write!(formatter, "reading {path} is not permitted"),
            FileFault::System(_) => write!(formatter, "cannot open {path}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            FileFault::System(error) => Some(error),
            _ => None,
        }
    }
}
