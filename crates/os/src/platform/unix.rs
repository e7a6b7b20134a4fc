//! Unix systems other than Linux: macOS and the BSDs.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustix::net::RecvFlags;
use socket2::{SockRef, Socket};

use crate::owner::ProcessName;

/// See the Linux file: here the last listener gets all connections.
pub const REUSE_PORT_BALANCES: bool = false;

pub(crate) const REUSE_ADDRESS: bool = true;
pub(crate) const NO_DELAY_IS_INHERITED: bool = false;
pub(crate) const READ_UNTIL_WOULD_BLOCK: bool = false;

/// macOS knows no MSG_NOSIGNAL. Rust programs ignore SIGPIPE from their start.
pub(crate) const SEND_FLAGS: i32 = 0;

pub(crate) const DONT_WAIT: i32 = libc::MSG_DONTWAIT;

/// Not all of these systems have ENODATA.
pub(crate) const FILE_ENDED: i32 = libc::EIO;

pub(crate) const ACCEPT_TRANSIENT: &[i32] = &[libc::ECONNABORTED, libc::EINTR, libc::EPROTO];

/// What there is too little of at the moment.
pub(crate) const SHORTAGES: &[i32] = &[libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];

/// Descriptors that are received are no started program's.
pub(crate) const RECEIVES_CLOSED_ON_EXEC: RecvFlags = RecvFlags::empty();

pub(crate) const PRIVILEGED_PORT_HELP: &str =
    "use a port above 1023, or start the program with the right to bind low ports";

pub(crate) fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// See the Linux file.
pub(crate) fn unacknowledged(_socket: &SockRef<'_>) -> u64 {
    0
}

pub(crate) fn tcp_owner(_address: SocketAddr) -> Option<ProcessName> {
    None
}

pub(crate) fn unix_owner(_path: &Path) -> Option<ProcessName> {
    None
}
