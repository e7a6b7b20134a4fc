//! Unix: where programs keep their logs and what they have to know again, who may read them, and whether they are still there.

use std::env;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where this program's logs belong: `/var/log/tidegate` for the superuser, else the user's state
/// folder. `None` when the user has no home.
///
/// Source: Filesystem Hierarchy Standard 3.0 §5.10, XDG Base Directory Specification.
pub fn log_folder() -> Option<PathBuf> {
    match is_superuser() {
        true => Some(PathBuf::from("/var/log/tidegate")),
        false => user_state_folder(),
    }
}

/// Where this program keeps what it has to know again: `/var/lib/tidegate` for the superuser, else the user's
/// state folder. `None` when the user has no home.
///
/// Source: Filesystem Hierarchy Standard 3.0 §5.8, XDG Base Directory Specification.
pub fn state_folder() -> Option<PathBuf> {
    match is_superuser() {
        true => Some(PathBuf::from("/var/lib/tidegate")),
        false => user_state_folder(),
    }
}

fn user_state_folder() -> Option<PathBuf> {
    // The specification has relative paths ignored.
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("tidegate"))
}

/// Makes a folder, and those above it, that only the user may enter. One that exists stays as it is.
///
/// # Errors
///
/// What the system says.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a folder, and those above it, that the user and his group may enter. One that exists stays as it is.
///
/// # Errors
///
/// What the system says.
pub fn create_log_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(path)
}

/// Opens a log file to be added to, which is made if there is none: then the user may write it, and his group
/// read it. With `new` it must not be there.
///
/// # Errors
///
/// What the system says.
pub fn open_log_file(path: &Path, new: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .create_new(new)
        .mode(0o640)
        // Neither a pipe that nobody reads nor a line that is not up holds up who opens it.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// Whether a file is still what is found at `path`: it may have been moved, or removed.
pub fn is_file_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), path.metadata()) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

/// This machine's name; `None` if it has none.
pub fn host_name() -> Option<String> {
    let mut bytes = [0_u8; 256];
    // SAFETY: the call writes at most as many bytes as it is told of, which the array has.
    let code = unsafe { libc::gethostname(bytes.as_mut_ptr().cast(), bytes.len()) };
    if code != 0 {
        return None;
    }
    // A name that is too long may come without an end.
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&bytes[..end]).ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_superuser() -> bool {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
