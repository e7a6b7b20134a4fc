//! What differs between platforms, under the same names in each file of this folder.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod unix;
#[cfg(unix)]
mod unix_folder;
#[cfg(unix)]
mod unix_socket;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
mod windows_folder;

#[cfg(target_os = "linux")]
pub use linux::REUSE_PORT_BALANCES;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(all(unix, not(target_os = "linux")))]
pub use unix::REUSE_PORT_BALANCES;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use unix::*;
#[cfg(unix)]
pub use unix_folder::{create_private_folder, log_folder};
#[cfg(unix)]
pub(crate) use unix_socket::*;
#[cfg(windows)]
pub use windows::REUSE_PORT_BALANCES;
#[cfg(windows)]
pub(crate) use windows::*;
#[cfg(windows)]
pub use windows_folder::{create_private_folder, log_folder};
