//! Whether this system lets us use io_uring as `UringLoop` needs it.
//!
//! Asked once at the start, for the setting that chooses the loop by itself.

use std::error::Error;
use std::fmt;

use crate::error::SystemError;

/// Makes an io_uring as [`UringLoop`](crate::UringLoop) does, and drops it.
///
/// # Errors
///
/// Why this system has none: use [`PollLoop`](crate::PollLoop) then.
pub fn uring_available() -> Result<(), UringUnavailable> {
    platform_probe()
}

#[cfg(target_os = "linux")]
use crate::uring::probe as platform_probe;

#[cfg(not(target_os = "linux"))]
fn platform_probe() -> Result<(), UringUnavailable> {
    Err(UringUnavailable::NotLinux)
}

/// Why io_uring cannot be used here.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UringUnavailable {
    /// Only Linux has it.
    NotLinux,
    /// The kernel has no io_uring (before Linux 5.1, or built without it), or a system call filter
    /// pretends so, as container engines' default profiles do.
    Missing,
    /// `EPERM`: forbidden by a system call filter or by the `kernel.io_uring_disabled` setting.
    Forbidden,
    /// The kernel's io_uring is too old.
    TooOld {
        /// What it lacks, in words, with the version that brought it.
        feature: &'static str,
    },
    /// Something else, such as the limit on locked memory.
    System(SystemError),
}

impl fmt::Display for UringUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinux => f.write_str("io_uring exists on Linux only"),
            Self::Missing => f.write_str(
                "this kernel has no io_uring, or a container's system call filter hides it",
            ),
            Self::Forbidden => f.write_str(
                "io_uring is forbidden by a system call filter or by the setting \
                 `kernel.io_uring_disabled`",
            ),
            Self::TooOld { feature } => write!(f, "this kernel's io_uring lacks {feature}"),
            Self::System(error) => write!(f, "io_uring cannot be used: {error}"),
        }
    }
}

impl Error for UringUnavailable {}
