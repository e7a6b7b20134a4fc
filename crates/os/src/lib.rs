//! System calls: sockets, two event loops with one contract, files and folders.
//!
//! The contract is in `event`: [`EventLoop`], [`Operations`], [`Event`]. [`UringLoop`] keeps it
//! with Linux' io_uring, [`PollLoop`] with what `mio` has on each platform (epoll, kqueue, AFD), for
//! every other platform and where io_uring is forbidden. [`uring_available`] tells which to take.
//!
//! Not here: what the bytes mean, when a connection has waited too long, threads. This is the only
//! crate with unsafe code; `cfg` of platforms is in this file, in `platform.rs` and at the root of
//! `uring` only.

mod account;
mod error;
mod event;
mod file;
mod file_send;
mod folder;
mod kept;
mod key;
mod owner;
mod platform;
mod poll;
mod probe;
mod socket;
mod table;
#[cfg(target_os = "linux")]
mod uring;
mod waker;

pub use account::ProcessAccount;
pub use error::SystemError;
pub use event::{
    ACCEPT_PAUSE, EndpointAddress, Event, EventLoop, Handler, LoopSettings, Operations,
    ReceiveOrder, SendBuffer,
};
pub use file::{FileRange, append_at, append_now, is_in_memory, read_ahead};
pub use folder::{EntryKind, FileState, Folder, Opened, file_state, look, open_file};
pub use kept::{HandoverError, KeptListeners};
pub use key::{ConnectionKey, ListenerKey};
pub use owner::ProcessName;
#[cfg(unix)]
pub use platform::{ChildProcess, ChildSignal, Supervision, SupervisionError, Told};
pub use platform::{
    Handover, Lifeline, Notifier, REUSE_PORT_BALANCES, create_log_folder, create_private_folder,
    file_owner, host_name, is_file_at, log_folder, open_log_file, process_account,
    raise_open_files_max, service_watchdog, state_folder,
};
pub use poll::{PollLoop, PollOperations};
pub use probe::{UringUnavailable, uring_available};
pub use socket::{BindError, BindErrorKind, ListenAddress, ListenOptions, Listener};
#[cfg(target_os = "linux")]
pub use uring::{UringLoop, UringOperations};
pub use waker::Waker;
