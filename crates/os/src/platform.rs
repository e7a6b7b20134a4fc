//! What differs between platforms, under the same names in each file of this folder.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod unix;
#[cfg(unix)]
mod unix_socket;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::REUSE_PORT_BALANCES;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(all(unix, not(target_os = "linux")))]
pub use unix::REUSE_PORT_BALANCES;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use unix::*;
#[cfg(unix)]
pub(crate) use unix_socket::*;
#[cfg(windows)]
pub use windows::REUSE_PORT_BALANCES;
#[cfg(windows)]
pub(crate) use windows::*;
