//! The files that a binding was read from, and whether they have changed since.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::{CertificateError, CertificateErrorKind as Kind};

/// Files and directories, as they were when they were read.
#[derive(Debug, Default)]
pub(super) struct Files {
    seen: BTreeMap<PathBuf, Seen>,
}

/// What tells one state of a file from another; for a directory, of its entries. `None`: there was none.
#[derive(Debug, Eq, PartialEq)]
struct Identity {
    /// Where links lead to: renewed certificates often come by a link that is changed.
    path: PathBuf,
    modified: Option<SystemTime>,
    bytes: u64,
    /// A directory's entries, in order.
    entries: Vec<PathBuf>,
}

#[derive(Debug, Eq, PartialEq)]
struct Seen {
    identity: Option<Identity>,
    digest: Option<[u8; 20]>,
}

impl Files {
    /// Reads a file, and remembers what it was.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, CertificateError> {
        // Before the content: what is changed in between is read again.
        let identity = Identity::of(path);
        let content = read(path);
        let digest = content.as_ref().ok().map(|content| digest(content));
        self.seen
            .insert(path.to_path_buf(), Seen { identity, digest });
        content.map_err(|kind| CertificateError::new(Some(path), kind))
    }

    /// The entries of a directory, in the order of their names.
    pub(super) fn entries(&mut self, path: &Path) -> Result<Vec<PathBuf>, CertificateError> {
        let identity = Identity::of(path);
        let entries = entries(path);
        let seen = Seen {
            identity,
            digest: None,
        };
        self.seen.insert(path.to_path_buf(), seen);
        entries.map_err(|error| CertificateError::new(Some(path), Kind::Read(error)))
    }

    /// Whether one is not what it was.
    pub(super) fn have_changed(&self) -> bool {
        self.seen
            .iter()
            .any(|(path, seen)| Identity::of(path) != seen.identity)
    }

    /// Whether one was changed so shortly before `now` that it may be in the middle of being written.
    ///
    /// Times of files are coarse, too: what changes twice in a moment looks as if it had changed once.
    pub(super) fn are_fresh(&self, now: SystemTime, age: Duration) -> bool {
        let is_fresh = |seen: &Seen| {
            let modified = seen.identity.as_ref().and_then(|it| it.modified);
            modified.is_some_and(|modified| match now.duration_since(modified) {
                Ok(since) => since < age,
                // In the future by less than that: clocks of file systems may go before ours.
                Err(ahead) => ahead.duration() < age,
            })
        };
        self.seen.values().any(is_fresh)
    }

    /// Whether the same was read, in content, as `other` holds.
    pub(super) fn same_content(&self, other: &Self) -> bool {
        let contents = |files: &Self| -> Vec<(PathBuf, Option<[u8; 20]>)> {
            let of = |(path, seen): (&PathBuf, &Seen)| (path.clone(), seen.digest);
            files.seen.iter().map(of).collect()
        };
        contents(self) == contents(other)
    }

    /// The digest of what was read of a file.
    pub(super) fn digest(&self, path: &Path) -> Option<[u8; 20]> {
        self.seen.get(path)?.digest
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let entries = match metadata.is_dir() {
            true => entries(path).unwrap_or_default(),
            false => Vec::new(),
        };
        Some(Self {
            path: fs::canonicalize(path).ok()?,
            modified: metadata.modified().ok(),
            bytes: metadata.len(),
            entries,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Kind> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(Kind::Read)?;
    // A file that is given by mistake must not fill the memory.
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(Kind::Read)?;
    match content.len() as u64 > FILE_BYTES_MAX {
        true => Err(Kind::TooLong {
            bytes_max: FILE_BYTES_MAX,
        }),
        false => Ok(content),
    }
}

fn entries(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    Ok(entries)
}

fn digest(content: &[u8]) -> [u8; 20] {
    sha1_smol::Sha1::from(content).digest().bytes()
}

/// Longest file that is read. A list of revoked certificates may be long.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
