//! Windows.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use mio::net::TcpStream;
use socket2::{SockRef, Socket};

use crate::socket::{BindErrorKind, UnixListenerFile};

pub(crate) use crate::owner::ProcessName;

/// See the Linux file: Windows has no SO_REUSEPORT.
pub const REUSE_PORT_BALANCES: bool = false;

/// SO_REUSEADDR would let a second program take the port here.
pub(crate) const REUSE_ADDRESS: bool = false;

pub(crate) const NO_DELAY_IS_INHERITED: bool = false;

/// The next event comes only after a read that would block.
pub(crate) const READ_UNTIL_WOULD_BLOCK: bool = true;

pub(crate) const SEND_FLAGS: i32 = 0;

/// See the file of Unix. Here it is by these that the next event is asked for.
pub(crate) fn receive(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.read(buffer)
}

pub(crate) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    stream.write(bytes)
}

/// There is no such flag; the sockets of our loops do not block.
pub(crate) const DONT_WAIT: i32 = 0;

/// ERROR_HANDLE_EOF.
pub(crate) const FILE_ENDED: i32 = 38;

/// WSAEINTR, WSAECONNABORTED, WSAECONNRESET.
pub(crate) const ACCEPT_TRANSIENT: &[i32] = &[10004, 10053, 10054];

/// What there is too little of at the moment: WSAEMFILE, WSAENOBUFS.
pub(crate) const SHORTAGES: &[i32] = &[10024, 10055];

pub(crate) const PRIVILEGED_PORT_HELP: &str =
    "the port is in an excluded range (`netsh int ipv4 show excludedportrange tcp`)";

pub(crate) fn set_reuse_port(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// See the Linux file.
pub(crate) fn unacknowledged(_socket: &SockRef<'_>) -> u64 {
    0
}

pub(crate) fn tcp_owner(_address: SocketAddr) -> Option<ProcessName> {
    None
}

pub(crate) fn bind_unix(
    _path: &Path,
    _backlog: i32,
) -> Result<(Socket, UnixListenerFile), BindErrorKind> {
    Err(BindErrorKind::UnixSocketsUnsupported)
}

pub(crate) fn remove_if_same(_file: &UnixListenerFile) {}
