//! Windows: where programs keep their logs, who may read them, and whether they are still there.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Where this program's logs belong: the user's local application data. `None` when there is none.
pub fn log_folder() -> Option<PathBuf> {
    let local = PathBuf::from(env::var_os("LOCALAPPDATA")?);
    local.is_absolute().then(|| local.join("Tidegate"))
}

/// Where this program keeps what it has to know again: where its logs are, too.
pub fn state_folder() -> Option<PathBuf> {
    log_folder()
}

/// Makes a folder, and those above it. In the user's local application data it inherits that only the
/// user and administrators may enter. One that exists stays as it is.
///
/// # Errors
///
/// What the system says.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Makes a folder, and those above it. Who may enter is inherited. One that exists stays as it is.
///
/// # Errors
///
/// What the system says.
pub fn create_log_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Opens a log file to be added to, which is made if there is none. With `new` it must not be there.
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
        .open(path)
}

/// Whether there is a file at `path`. Which one it is cannot be told.
pub fn is_file_at(_: &File, path: &Path) -> bool {
    path.is_file()
}

/// This machine's name; `None` if it has none.
pub fn host_name() -> Option<String> {
    env::var("COMPUTERNAME")
        .ok()
        .filter(|name| !name.is_empty())
}
