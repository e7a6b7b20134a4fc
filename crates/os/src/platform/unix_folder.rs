//! Unix: where programs keep their logs, and folders that only their owner reads.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Where this program's logs belong: `/var/log/tidegate` for the superuser, else the user's state
/// folder. `None` when the user has no home.
///
/// Source: Filesystem Hierarchy Standard 3.0 §5.10, XDG Base Directory Specification.
pub fn log_folder() -> Option<PathBuf> {
    if is_superuser() {
        return Some(PathBuf::from("/var/log/tidegate"));
    }
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

fn is_superuser() -> bool {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
