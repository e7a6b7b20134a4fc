//! Windows: opening files, and files in a folder.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A folder's path without links.
pub(crate) type FolderHandle = PathBuf;

pub(crate) fn open_folder(path: &Path) -> io::Result<FolderHandle> {
    if path.metadata()?.is_dir() {
        Ok(path.to_path_buf())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

pub(crate) fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)
}

pub(crate) fn wait_for_disk(_: &File) -> io::Result<()> {
    Ok(())
}

pub(crate) fn file_number(_: &Metadata) -> u64 {
    0
}

/// Whether a name means itself: no stream of a file, no device, no short name, nothing that is cut off its
/// end.
///
/// Source: "Naming Files, Paths, and Namespaces", Windows documentation.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let is_forbidden = |character: char| character < ' ' || r#"<>:"/\|?*"#.contains(character);
    if name.chars().any(is_forbidden) || name.ends_with(['.', ' ']) {
        return false;
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    // Short names that the system gives to long ones: whoever looks at a path's names must see them all.
    if stem.contains('~') && stem.len() <= 8 {
        return false;
    }
    let stem = stem.to_ascii_uppercase();
    let is_numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|number| {
            matches!(
                number,
                "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
            )
        })
    };
    !matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        && !is_numbered("COM")
        && !is_numbered("LPT")
}

pub(crate) fn open_beneath(folder: &FolderHandle, path: &str) -> io::Result<File> {
    open_without_waiting(&resolve(folder, path)?)
}

pub(crate) fn look_beneath(folder: &FolderHandle, path: &str) -> io::Result<Metadata> {
    resolve(folder, path)?.metadata()
}

fn resolve(folder: &FolderHandle, path: &str) -> io::Result<PathBuf> {
    let path = folder.join(path).canonicalize()?;
    match path.starts_with(folder) {
        true => Ok(path),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Lets folders be opened, so that they are found to be ones.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
