//! A file in the place of another, all of it or nothing, and one writer at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Puts content into a file. When this returns it is on the disk; whoever reads the file, before, meanwhile or
/// after a kill, has all of the old or all of the new. A new file is for its owner alone; an old one's mode is kept.
///
/// # Errors
///
/// The file cannot be written; it is as it was then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // What a symbolic link names is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut fresh = NamedTempFile::new_in(folder)?;
    fresh.write_all(content)?;
    if let Ok(metadata) = fs::metadata(path) {
        fresh.as_file().set_permissions(metadata.permissions())?;
    }
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|error| error.error)?;
    // The name is on the disk when the folder is. Windows opens no folder as a file.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Waits until nobody else changes a file, in this process or another, and keeps others waiting until the lock is
/// dropped.
///
/// # Errors
///
/// The file `NAME.lock` beside it cannot be opened or locked.
pub fn lock(path: &Path) -> io::Result<File> {
    // The file itself is replaced, so it cannot be what is locked.
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(name)?;
    lock.lock()?;
    Ok(lock)
}
