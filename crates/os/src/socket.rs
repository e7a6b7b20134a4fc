//! Listeners: binding an address, and saying in a person's words why that failed.
//!
//! Accepting is the event loops' matter.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::SystemError;
use crate::event::EndpointAddress;
use crate::owner::ProcessName;
use crate::platform;

/// Where to listen.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ListenAddress {
    /// TCP. An IPv6 address takes no IPv4 connections. Port 0: one that is free.
    Tcp(SocketAddr),
    /// A Unix domain socket at a path.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a listener is bound.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Connections the system keeps for us until they are accepted; more are refused or must try
    /// again. The system has a limit of its own (`net.core.somaxconn`). Default 4,096.
    pub backlog: u32,
    /// Several listeners of ours may have the same address, one for each worker. Default off.
    ///
    /// Of use where [`REUSE_PORT_BALANCES`](crate::REUSE_PORT_BALANCES). For TCP only.
    pub reuse_port: bool,
    /// With `reuse_port`: we hold the address already, so do not look whether somebody does.
    ///
    /// Without this a second program of the same user could share the port unnoticed. Default off.
    pub address_is_ours: bool,
    /// Send small segments at once (TCP_NODELAY) on every connection accepted. Default on.
    pub no_delay: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 4_096,
            reuse_port: false,
            address_is_ours: false,
            no_delay: true,
        }
    }
}

/// A socket that listens. Closed when dropped; a Unix domain socket's file is removed by then.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: ListenAddress,
    no_delay: bool,
    file: Option<Arc<UnixListenerFile>>,
}

impl Listener {
    /// Binds the address and listens.
    ///
    /// # Errors
    ///
    /// See [`BindErrorKind`].
    pub fn bind(address: &ListenAddress, options: &ListenOptions) -> Result<Self, BindError> {
        let bound = match address {
            ListenAddress::Tcp(tcp) => Self::bind_tcp(*tcp, options),
            ListenAddress::Unix(path) => Self::bind_unix(path, options),
        };
        bound.map_err(|kind| BindError {
            address: address.clone(),
            kind,
        })
    }

    /// The address bound: with the port that the system chose if 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> &ListenAddress {
        &self.address
    }

    /// The same socket once more, for another event loop: whichever is free accepts.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn try_clone(&self) -> Result<Self, SystemError> {
        Ok(Self {
            socket: self
                .socket
                .try_clone()
                .map_err(|error| SystemError::new("dup", &error))?,
            address: self.address.clone(),
            no_delay: self.no_delay,
            file: self.file.clone(),
        })
    }

    fn bind_tcp(address: SocketAddr, options: &ListenOptions) -> Result<Self, BindErrorKind> {
        let share = options.reuse_port && platform::REUSE_PORT_BALANCES;
        if share && !options.address_is_ours && address.port() != 0 {
            // The system lets every program of the same user join a shared port. One that does not
            // share is refused if anybody holds it.
            bound_tcp_socket(address, false)?;
        }
        let socket = bound_tcp_socket(address, share)?;
        if options.no_delay {
            socket
                .set_tcp_nodelay(true)
                .map_err(system("setsockopt TCP_NODELAY"))?;
        }
        socket
            .listen(backlog(options))
            .map_err(|error| tcp_error("listen", address, &error))?;
        let actual = socket.local_addr().map_err(system("getsockname"))?;
        Ok(Self {
            address: ListenAddress::Tcp(actual.as_socket().unwrap_or(address)),
            socket,
            no_delay: options.no_delay,
            file: None,
        })
    }

    fn bind_unix(path: &Path, options: &ListenOptions) -> Result<Self, BindErrorKind> {
        let (socket, file) = platform::bind_unix(path, backlog(options))?;
        Ok(Self {
            socket,
            address: ListenAddress::Unix(path.to_owned()),
            no_delay: false,
            file: Some(Arc::new(file)),
        })
    }

    /// A socket of somebody else's that listens at this address. The file of a Unix domain socket is left
    /// where it is.
    #[allow(
        dead_code,
        reason = "there are platforms where nobody hands sockets over"
    )]
    pub(crate) fn adopt(
        socket: Socket,
        address: ListenAddress,
        file: Option<UnixListenerFile>,
    ) -> io::Result<Self> {
        let is_tcp = matches!(address, ListenAddress::Tcp(_));
        if is_tcp {
            socket.set_tcp_nodelay(true)?;
        }
        let file = file.map(Arc::new);
        let listener = Self {
            socket,
            address,
            no_delay: is_tcp,
            file,
        };
        listener.leave_file();
        Ok(listener)
    }

    /// Has the system refuse new connections, whoever else has the socket; what waits to be accepted is reset.
    pub fn refuse_connections(&self) {
        // It does not listen then, for whatever reason.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Leaves the file of a Unix domain socket where it is when the listener is dropped: it is another's.
    pub fn leave_file(&self) {
        if let Some(file) = &self.file {
            file.is_left.store(true, Ordering::Relaxed);
        }
    }

    /// Has the file of a Unix domain socket removed when the listener is dropped: it is nobody else's.
    pub fn take_file(&self) {
        if let Some(file) = &self.file {
            file.is_left.store(false, Ordering::Relaxed);
        }
    }

    #[allow(
        dead_code,
        reason = "there are platforms where nobody hands sockets over"
    )]
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether each connection must be told not to delay small segments.
    pub(crate) fn sets_no_delay(&self) -> bool {
        self.no_delay && !platform::NO_DELAY_IS_INHERITED
    }

    /// The socket, and what keeps its file; the second is to be kept as long as the first.
    pub(crate) fn into_parts(self) -> (Socket, ListenerFile) {
        (self.socket, ListenerFile(self.file))
    }
}

/// Keeps the file of a Unix domain socket.
#[derive(Debug)]
pub(crate) struct ListenerFile(
    #[expect(dead_code, reason = "held for its drop")] Option<Arc<UnixListenerFile>>,
);

/// The file of a Unix domain socket that we made. Removes it when dropped.
#[derive(Debug)]
pub(crate) struct UnixListenerFile {
    pub(crate) path: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Somebody else looks after it.
    pub(crate) is_left: AtomicBool,
}

impl Drop for UnixListenerFile {
    fn drop(&mut self) {
        if !*self.is_left.get_mut() {
            platform::remove_if_same(self);
        }
    }
}

/// An address that could not be bound.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BindError {
    /// The address.
    pub address: ListenAddress,
    /// Why.
    pub kind: BindErrorKind,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.kind)
    }
}

impl Error for BindError {}

/// Why an address could not be bound.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BindErrorKind {
    /// Somebody listens there already.
    InUse {
        /// Who, if the system tells.
        owner: Option<ProcessName>,
    },
    /// A TCP port that only privileged programs may bind.
    PrivilegedPort,
    /// The directory, or the file in the way, does not let us.
    PermissionDenied,
    /// No interface of this machine has the address.
    NotAvailable,
    /// The path does not fit into a socket address (about 100 bytes).
    UnixPathTooLong,
    /// There is a file at the path, and it is not a socket.
    NotASocket,
    /// This platform's event loop has no Unix domain sockets.
    UnixSocketsUnsupported,
    /// Something else.
    System(SystemError),
}

impl fmt::Display for BindErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { owner: Some(owner) } => {
                write!(
                    f,
                    "the address is in use by {owner}; stop it or choose another address"
                )
            }
            Self::InUse { owner: None } => {
                f.write_str("the address is in use by another program; choose another address")
            }
            Self::PrivilegedPort => {
                write!(
                    f,
                    "no permission for this port; {}",
                    platform::PRIVILEGED_PORT_HELP
                )
            }
            Self::PermissionDenied => {
                f.write_str("no permission; check the owner and mode of the file and its directory")
            }
            Self::NotAvailable => f.write_str("no interface of this machine has this address"),
            Self::UnixPathTooLong => f.write_str("the path is too long for a socket"),
            Self::NotASocket => f.write_str("there is a file that is not a socket"),
            Self::UnixSocketsUnsupported => {
                f.write_str("Unix domain sockets are not supported on this platform")
            }
            Self::System(error) => error.fmt(f),
        }
    }
}

impl Error for BindErrorKind {}

/// The end of a connection that a socket address names.
pub(crate) fn endpoint(address: &SockAddr) -> Option<EndpointAddress> {
    match address.as_socket() {
        Some(tcp) => Some(EndpointAddress::Tcp(tcp)),
        None => address.is_unix().then_some(EndpointAddress::Unix),
    }
}

fn bound_tcp_socket(address: SocketAddr, share: bool) -> Result<Socket, BindErrorKind> {
    let domain = Domain::for_address(address);
    let socket =
        Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(system("socket"))?;
    if address.is_ipv6() {
        // One meaning on every platform: an IPv6 address is not an IPv4 address too.
        socket
            .set_only_v6(true)
            .map_err(system("setsockopt IPV6_V6ONLY"))?;
    }
    if platform::REUSE_ADDRESS {
        socket
            .set_reuse_address(true)
            .map_err(system("setsockopt SO_REUSEADDR"))?;
    }
    if share {
        platform::set_reuse_port(&socket).map_err(system("setsockopt SO_REUSEPORT"))?;
    }
    socket
        .bind(&address.into())
        .map_err(|error| tcp_error("bind", address, &error))?;
    Ok(socket)
}

fn tcp_error(call: &'static str, address: SocketAddr, error: &io::Error) -> BindErrorKind {
    match error.kind() {
        ErrorKind::AddrInUse => BindErrorKind::InUse {
            owner: platform::tcp_owner(address),
        },
        ErrorKind::PermissionDenied => BindErrorKind::PrivilegedPort,
        ErrorKind::AddrNotAvailable => BindErrorKind::NotAvailable,
        _ => BindErrorKind::System(SystemError::new(call, error)),
    }
}

fn system(call: &'static str) -> impl Fn(io::Error) -> BindErrorKind {
    move |error| BindErrorKind::System(SystemError::new(call, &error))
}

fn backlog(options: &ListenOptions) -> i32 {
    i32::try_from(options.backlog).unwrap_or(i32::MAX)
}
