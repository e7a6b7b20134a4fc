//! What differs between platforms, under the same names in each file of this folder.

#[cfg(not(target_os = "linux"))]
mod copied_file;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_beneath;
#[cfg(target_os = "linux")]
mod linux_file;
#[cfg(all(unix, not(target_os = "linux")))]
mod unix;
#[cfg(unix)]
mod unix_account;
#[cfg(unix)]
mod unix_beneath;
#[cfg(unix)]
mod unix_child;
#[cfg(unix)]
mod unix_file;
#[cfg(unix)]
mod unix_folder;
#[cfg(all(unix, not(target_os = "linux")))]
mod unix_other_beneath;
#[cfg(unix)]
mod unix_service;
#[cfg(unix)]
mod unix_socket;
#[cfg(unix)]
mod unix_stream;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
mod windows_account;
#[cfg(windows)]
mod windows_beneath;
#[cfg(windows)]
mod windows_file;
#[cfg(windows)]
mod windows_folder;
#[cfg(windows)]
mod windows_service;

#[cfg(not(target_os = "linux"))]
pub(crate) use copied_file::*;
#[cfg(target_os = "linux")]
pub use linux::REUSE_PORT_BALANCES;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(target_os = "linux")]
pub(crate) use linux_beneath::{look_beneath, open_beneath};
#[cfg(target_os = "linux")]
pub(crate) use linux_file::*;
#[cfg(all(unix, not(target_os = "linux")))]
pub use unix::REUSE_PORT_BALANCES;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use unix::*;
#[cfg(unix)]
pub use unix_account::{file_owner, process_account};
#[cfg(unix)]
pub(crate) use unix_beneath::{
    FolderHandle, file_number, is_plain_name, open_folder, open_without_waiting, wait_for_disk,
};
#[cfg(unix)]
pub use unix_child::{ChildProcess, ChildSignal, Supervision, SupervisionError, Told};
#[cfg(unix)]
pub(crate) use unix_file::*;
#[cfg(unix)]
pub use unix_folder::{
    create_log_folder, create_private_folder, host_name, is_file_at, log_folder, open_log_file,
    state_folder,
};
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use unix_other_beneath::*;
#[cfg(unix)]
pub use unix_service::{Handover, Lifeline, Notifier, raise_open_files_max, service_watchdog};
#[cfg(unix)]
pub(crate) use unix_socket::*;
#[cfg(unix)]
pub(crate) use unix_stream::{receive, send};
#[cfg(windows)]
pub use windows::REUSE_PORT_BALANCES;
#[cfg(windows)]
pub(crate) use windows::*;
#[cfg(windows)]
pub use windows_account::{file_owner, process_account};
#[cfg(windows)]
pub(crate) use windows_beneath::*;
#[cfg(windows)]
pub(crate) use windows_file::*;
#[cfg(windows)]
pub use windows_folder::{
    create_log_folder, create_private_folder, host_name, is_file_at, log_folder, open_log_file,
    state_folder,
};
#[cfg(windows)]
pub use windows_service::{Handover, Lifeline, Notifier, raise_open_files_max, service_watchdog};
