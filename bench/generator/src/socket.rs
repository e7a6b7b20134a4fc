//! Connections of the load: to 127.0.0.1, without delay, reset when closed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::error::GeneratorError;

/// A connection to the server.
pub(crate) struct Connection {
    socket: Socket,
}

impl Connection {
    /// Connects and waits until the connection stands.
    pub(crate) fn open(port: u16) -> Result<Self, GeneratorError> {
        let connection = Self::new()?;
        connection
            .socket
            .set_read_timeout(Some(ANSWER_WAIT_MAX))
            .map_err(|source| GeneratorError::System {
                call: "setsockopt(SO_RCVTIMEO)",
                source,
            })?;
        connection
            .socket
            .connect(&address(port).into())
            .map_err(|source| GeneratorError::System {
                call: "connect",
                source,
            })?;
        Ok(connection)
    }

    /// A socket that does not wait, to be connected later.
    pub(crate) fn prepare() -> Result<Self, GeneratorError> {
        let connection = Self::new()?;
        connection.do_not_wait()?;
        Ok(connection)
    }

    /// Begins to connect; the connection stands when it becomes writable.
    pub(crate) fn begin(&self, port: u16) -> Result<(), GeneratorError> {
        match self.socket.connect(&address(port).into()) {
            Ok(()) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            Err(source) => Err(GeneratorError::System {
                call: "connect",
                source,
            }),
        }
    }

    fn new() -> Result<Self, GeneratorError> {
        let system = |call| move |source| GeneratorError::System { call, source };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(system("socket"))?;
        socket
            .set_tcp_nodelay(true)
            .map_err(system("setsockopt(TCP_NODELAY)"))?;
        // A reset at the end leaves no TIME_WAIT behind to use up the ports.
        socket
            .set_linger(Some(Duration::ZERO))
            .map_err(system("setsockopt(SO_LINGER)"))?;
        Ok(Self { socket })
    }

    /// From now on reading and writing return `WouldBlock` rather than wait.
    pub(crate) fn do_not_wait(&self) -> Result<(), GeneratorError> {
        self.socket
            .set_nonblocking(true)
            .map_err(|source| GeneratorError::System {
                call: "fcntl(O_NONBLOCK)",
                source,
            })
    }

    /// Reads what is there.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }

    /// Writes as much as fits.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    /// Reads one whole answer; the connection must be one that waits.
    pub(crate) fn receive_answer(&mut self) -> Result<Vec<u8>, GeneratorError> {
        let mut answer = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let count = self
                .receive(&mut buffer)
                .map_err(|source| GeneratorError::System {
                    call: "recv",
                    source,
                })?;
            answer.extend_from_slice(&buffer[..count]);
            let whole = crate::response::Head::read(&answer).map(|head| head.answer_bytes());
            // An end of the stream is left to the answer's checker to name.
            if count == 0 || whole.is_some_and(|bytes| answer.len() >= bytes) {
                return Ok(answer);
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether an error only says that there is nothing to do now.
pub(crate) fn is_not_ready(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected
    )
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Longest wait for an answer on a connection that waits: a server may be slow under a tool.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
