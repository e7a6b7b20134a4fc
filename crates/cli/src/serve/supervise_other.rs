//! `tidegate serve --supervise` where no process can hand its sockets to another.

use std::process::ExitCode;

use super::fail;

/// Says that it cannot be.
pub(super) fn run() -> ExitCode {
    fail("--supervise: sockets cannot be kept for another process on this platform".to_owned())
}
