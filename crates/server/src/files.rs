//! Static sites: files of a folder, served by their paths in place of the application's events.
//!
//! Here is how a path becomes a file; how a file becomes an answer is in `answer`. The path is the one
//! that routing went by: decoded once, without dot segments. The folder is opened through
//! [`tidegate_os::Folder`], which lets no path lead out of it, whatever it is.

mod answer;
mod choose;
mod coding;
mod compress;
mod listing;
mod long_contents;
mod memory;
mod open_files;
mod resource;
mod settings;

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use tidegate_os::{EntryKind, Folder, Opened};

use self::compress::Slots;
use self::long_contents::LongContents;
use self::memory::Memory;
use self::open_files::OpenFiles;
use self::resource::{Resource, SHORT_BYTES_MAX};

pub use self::coding::ContentCoding;
#[cfg(test)]
pub(crate) use self::compress::tests::decode;
pub(crate) use self::settings::check;
pub use self::settings::{FilesError, FilesSettings};

/// A static site that is served.
pub(crate) struct Site {
    settings: FilesSettings,
    /// Without a slash at its end; empty is all paths.
    path: Box<str>,
    /// Guards which folder it is; held for reading and replacing that only.
    folder: RwLock<Arc<Folder>>,
    /// When the folder was last compared with what is at its path.
    folder_checked: AtomicU64,
    memory: Memory,
    long_contents: LongContents,
    open_files: OpenFiles,
    /// Files that are compressed while they are sent.
    slots: Slots,
    /// What times are counted from.
    started: Instant,
}

/// What a path leads to.
enum Found {
    /// A file, open already if it had to be opened to find it.
    File(Arc<Resource>, Option<File>),
    /// A folder, asked for without the slash that names in its files are relative to.
    Folder,
    /// A folder that is to be answered with a list.
    Listing,
    /// Nothing that is served.
    Missing,
    /// A file that may not be read.
    Forbidden,
}

impl Site {
    /// Opens the site's folder.
    pub(crate) fn open(settings: &FilesSettings) -> Result<Self, FilesError> {
        let folder = Folder::open(&settings.root).map_err(|error| FilesError::Root {
            root: settings.root.clone(),
            source: Arc::new(error),
        })?;
        // Half of the memory is for long contents, if there is room for one.
        let bytes_max = settings.memory_bytes_max as usize;
        let long_bytes_max = match bytes_max / 2 {
            0..=SHORT_BYTES_MAX => 0,
            half => half,
        };
        Ok(Self {
            path: crate::place::path(&settings.path),
            folder: RwLock::new(Arc::new(folder)),
            folder_checked: AtomicU64::new(0),
            memory: Memory::new(bytes_max - long_bytes_max),
            long_contents: LongContents::new(long_bytes_max),
            open_files: OpenFiles::new(),
            slots: Slots::default(),
            started: Instant::now(),
            settings: settings.clone(),
        })
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Finds what is at a path of this site: what follows the site's own path in the request's.
    fn find(&self, rest: &str) -> io::Result<Found> {
        let Some(relative) = rest.strip_prefix('/') else {
            return Ok(Found::Folder);
        };
        let now = self.now();
        self.open_files.close_old(now);
        if let Some(resource) = self.memory.get(relative) {
            if !resource.is_due(now) || self.is_unchanged(&resource, now) {
                return Ok(Found::File(resource, None));
            }
            self.memory.remove(relative, &resource);
        }
        self.load(relative, now)
    }

    /// Finds what is at a path on the disk, and keeps it if it is a file.
    #[cold]
    fn load(&self, relative: &str, now: u64) -> io::Result<Found> {
        if !self.settings.hidden && is_hidden(relative) {
            return Ok(Found::Missing);
        }
        let folder = self.folder(now);
        let found = match relative.strip_suffix('/') {
            Some(within) => self.load_folder(&folder, within, now),
            None if relative.is_empty() => self.load_folder(&folder, "", now),
            None => self.load_file(&folder, relative, now),
        };
        let found = match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(Found::Forbidden);
            }
            found => found?,
        };
        if let Found::File(resource, _) = &found {
            self.memory.put(relative, resource);
        }
        Ok(found)
    }

    /// The file that stands for a folder, or its list.
    fn load_folder(&self, folder: &Folder, within: &str, now: u64) -> io::Result<Found> {
        let mut passed = Vec::new();
        for name in &self.settings.index {
            let path = match within {
                "" => name.clone(),
                within => format!("{within}/{name}"),
            };
            match folder.open_file(&path) {
                Ok(Opened::File(file, state)) => {
                    let found = (&*path, file, state);
                    let resource = Resource::load(found, passed, folder, &self.settings, now);
                    return Ok(into_found(resource));
                }
                Ok(_) => passed.push((path, None)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => passed.push((path, None)),
                Err(error) => return Err(error),
            }
        }
        match folder.look(within)? {
            EntryKind::Folder if self.settings.listing => Ok(Found::Listing),
            _ => Ok(Found::Missing),
        }
    }

    fn load_file(&self, folder: &Folder, path: &str, now: u64) -> io::Result<Found> {
        Ok(match folder.open_file(path)? {
            Opened::File(file, state) => {
                let found = (path, file, state);
                let resource = Resource::load(found, Vec::new(), folder, &self.settings, now);
                into_found(resource)
            }
            Opened::Folder => Found::Folder,
            Opened::Other => Found::Missing,
        })
    }

    /// Whether all that was found when the resource was made would be found now.
    #[cold]
    fn is_unchanged(&self, resource: &Resource, now: u64) -> bool {
        let folder = self.folder(now);
        resource.is_settled()
            && resource.seen().iter().all(|(path, seen)| {
                let state = match folder.look(path) {
                    Ok(EntryKind::File(state)) => Some(state),
                    _ => None,
                };
                state == *seen
            })
    }

    /// The folder that is at the site's path.
    fn folder(&self, now: u64) -> Arc<Folder> {
        let folder = Arc::clone(&self.folder.read().unwrap_or_else(PoisonError::into_inner));
        let checked = self.folder_checked.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(checked) >= CHECK_EVERY_MS;
        // One of those who come at the same time checks; the others take what there is.
        let is_ours = || {
            let swap = self.folder_checked.compare_exchange(
                checked,
                now,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            swap.is_ok()
        };
        if !is_due || !is_ours() || folder.is_current() {
            return folder;
        }
        // While nothing is there, as between two versions of the site, the old folder is served.
        let Ok(new) = Folder::open(&self.settings.root) else {
            return folder;
        };
        let new = Arc::new(new);
        *self.folder.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        self.memory.clear();
        new
    }

    /// In milliseconds since the site was opened.
    fn now(&self) -> u64 {
        // So many milliseconds no machine runs.
        self.started.elapsed().as_millis() as u64
    }
}

fn into_found((resource, file): (Resource, Option<File>)) -> Found {
    Found::File(Arc::new(resource), file)
}

/// Whether one of the names begins with a dot. RFC 8615 gives the folder `.well-known` to be served.
fn is_hidden(relative: &str) -> bool {
    let public = relative.strip_prefix(".well-known/").unwrap_or(relative);
    public.split('/').any(|name| name.starts_with('.'))
}

/// How often what is kept is compared with what is there. Tests need not wait so long.
const CHECK_EVERY_MS: u64 = if cfg!(test) { 20 } else { 1000 };

#[cfg(test)]
mod tests;
