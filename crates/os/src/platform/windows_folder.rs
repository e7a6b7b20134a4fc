//! Windows: where programs keep their logs, and folders that only their owner reads.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where this program's logs belong: the user's local application data. `None` when there is none.
pub fn log_folder() -> Option<PathBuf> {
    let local = PathBuf::from(env::var_os("LOCALAPPDATA")?);
    local.is_absolute().then(|| local.join("Tidegate"))
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
