//! Connections of the load: to 127.0.0.1, without delay, reset when closed; with TLS where wanted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::error::GeneratorError;
use crate::tls::{self, Session};

/// A connection to the server.
pub(crate) struct Connection {
    socket: Socket,
    session: Option<Box<Session>>,
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

    /// The same, and makes the handshake of TLS if it is to be had.
    pub(crate) fn open_with(port: u16, tls: Option<&tls::Client>) -> Result<Self, GeneratorError> {
        let mut connection = Self::open(port)?;
        if let Some(tls) = tls {
            let mut session = tls.begin()?;
            session
                .shake_hands(&mut connection.socket)
                .map_err(|source| GeneratorError::System {
                    call: "the handshake of TLS",
                    source,
                })?;
            connection.session = Some(Box::new(session));
        }
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
        Ok(Self {
            socket,
            session: None,
        })
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
        match &mut self.session {
            None => self.socket.read(buffer),
            Some(session) => session.receive(&mut self.socket, buffer),
        }
    }

    /// Writes as much as fits.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.socket.write(bytes),
            Some(session) => session.send(&mut self.socket, bytes),
        }
    }

    /// Whether bytes that count as sent wait for the socket; tries once more to write them.
    pub(crate) fn is_pending(&mut self) -> io::Result<bool> {
        let Some(session) = &mut self.session else {
            return Ok(false);
        };
        session.flush(&mut self.socket)?;
        Ok(session.is_pending())
    }

    /// The protocol that ALPN agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.session.as_ref()?.protocol()
    }

    /// Writes all; the connection must be one that waits.
    pub(crate) fn send_all(&mut self, mut bytes: &[u8]) -> Result<(), GeneratorError> {
        while !bytes.is_empty() {
            let count = self.send(bytes).map_err(|source| GeneratorError::System {
                call: "send",
                source,
            })?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// The socket, for a session that is kept elsewhere.
    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Ends our side.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Reads one whole answer; the connection must be one that waits.
    pub(crate) fn receive_answer(&mut self) -> Result<Vec<u8>, GeneratorError> {
        let mut answer = Vec::new();
        let mut buffer = vec![0; tls::PLAINTEXT_BYTES];
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
