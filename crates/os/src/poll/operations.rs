//! What the owner asks of the readiness loop, and the state of each connection.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{SockAddr, SockRef};

use super::accept::Listeners;
use crate::error::SystemError;
use crate::event::{EndpointAddress, Operations, SendBuffer};
use crate::file::FileRange;
use crate::file_send::{FileSends, send_pieces};
use crate::key::{ConnectionKey, ListenerKey};
use crate::platform::{self, SEND_FLAGS, send};
use crate::socket::{Listener, endpoint};
use crate::table::Table;
use crate::waker::{Sleep, Waker};

/// The operations of [`PollLoop`](crate::PollLoop).
pub struct PollOperations {
    pub(super) registry: Registry,
    pub(super) connections: Table<Connection>,
    pub(super) listeners: Listeners,
    pub(super) sleep: Sleep,
    /// Connections to be read in this turn or the next.
    pub(super) ready: Vec<ConnectionKey>,
    /// Sends that failed at once. Their buffers are in the connections.
    pub(super) failed_sends: Vec<(ConnectionKey, SystemError)>,
    pub(super) files: FileSends,
}

/// One connection. Small: it is all that an idle connection costs in this crate.
pub(super) struct Connection {
    /// Any stream socket: what is asked of it is the same for Unix domain sockets.
    pub(super) stream: TcpStream,
    /// A read may find something.
    pub(super) readable: bool,
    /// The system told of the peer's FIN, so that a short read is not the last.
    pub(super) read_closed: bool,
    pub(super) paused: bool,
    /// The FIN or an error was handed over.
    pub(super) receive_ended: bool,
    /// It is in `ready`.
    pub(super) is_queued: bool,
    pub(super) send: SendState,
    shutdown_follows: bool,
    pub(super) sent_total: u64,
    pub(super) sent: usize,
    pub(super) buffer: SendBuffer,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SendState {
    Idle,
    /// Until the socket takes bytes again.
    Waiting,
    /// A send of a file, until the socket takes bytes again.
    FileWaiting,
    /// A send of a file, until its turn comes.
    FileQueued,
    /// It failed when it was asked for, and is to be handed over.
    Failed,
}

impl SendState {
    #[inline]
    pub(super) fn waits_for_room(self) -> bool {
        matches!(self, Self::Waiting | Self::FileWaiting)
    }

    fn is_of_file(self) -> bool {
        matches!(self, Self::FileWaiting | Self::FileQueued)
    }
}

impl Connection {
    #[inline]
    pub(super) fn wants_read(&self) -> bool {
        self.readable && !self.paused && !self.receive_ended
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.stream)
    }

    fn shutdown(&mut self) {
        self.shutdown_follows = false;
        // It fails if the connection is broken, which the owner hears of by other events.
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Writes what is left of the buffer. `Ok(true)`: all of it is out.
    #[inline]
    fn write(&mut self, buffer: &SendBuffer) -> io::Result<bool> {
        let length = buffer.len();
        while self.sent < length {
            let outcome = if buffer.tail.is_empty() {
                send(&self.stream, &buffer.head[self.sent..])
            } else {
                self.write_vectored(buffer)
            };
            match outcome {
                // The system has no reason to take nothing; trying again could go on for ever.
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    self.sent_total += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write_vectored(&self, buffer: &SendBuffer) -> io::Result<usize> {
        self.stream
            .try_io(|| send_pieces(&self.socket(), buffer, self.sent, SEND_FLAGS))
    }
}

impl PollOperations {
    pub(super) fn new(registry: Registry, sleep: Sleep) -> Self {
        Self {
            registry,
            connections: Table::new(),
            listeners: Listeners::default(),
            sleep,
            ready: Vec::new(),
            failed_sends: Vec::new(),
            files: FileSends::default(),
        }
    }

    /// Takes a connection in and begins to watch it.
    pub(super) fn accepted(&mut self, stream: TcpStream) -> Result<ConnectionKey, SystemError> {
        let key = self.connections.insert(Connection {
            stream,
            readable: false,
            read_closed: false,
            paused: false,
            receive_ended: false,
            is_queued: false,
            send: SendState::Idle,
            shutdown_follows: false,
            sent_total: 0,
            sent: 0,
            buffer: SendBuffer::default(),
        });
        let connection = self.connections.get_mut(key).expect("inserted just now");
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(key.index() as usize);
        let outcome = self
            .registry
            .register(&mut connection.stream, token, interest);
        outcome.map_err(|error| {
            self.connections.retire(key);
            self.connections.release(key.index());
            SystemError::new("register", &error)
        })?;
        Ok(key)
    }

    /// Has the connection read in this turn or the next.
    #[inline]
    pub(super) fn queue(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.is_queued
        {
            connection.is_queued = true;
            self.ready.push(key);
        }
    }

    /// The socket takes bytes again. `Some` when that ended the send.
    pub(super) fn continue_send(
        &mut self,
        key: ConnectionKey,
    ) -> Option<(SendBuffer, Result<(), SystemError>)> {
        let connection = self.connections.get_mut(key)?;
        if connection.send == SendState::FileWaiting {
            connection.send = SendState::FileQueued;
            self.files.queue(key);
            return None;
        }
        let buffer = std::mem::take(&mut connection.buffer);
        match connection.write(&buffer) {
            Ok(true) => self.end_send(key, buffer, Ok(())),
            Ok(false) => {
                connection.buffer = buffer;
                None
            }
            Err(error) => self.end_send(key, buffer, Err(send_error(&error))),
        }
    }

    /// Ends a send that failed when it was asked for.
    pub(super) fn fail_send(
        &mut self,
        key: ConnectionKey,
        error: SystemError,
    ) -> Option<(SendBuffer, Result<(), SystemError>)> {
        let connection = self.connections.get_mut(key)?;
        let buffer = std::mem::take(&mut connection.buffer);
        self.end_send(key, buffer, Err(error))
    }

    pub(super) fn end_send(
        &mut self,
        key: ConnectionKey,
        buffer: SendBuffer,
        result: Result<(), SystemError>,
    ) -> Option<(SendBuffer, Result<(), SystemError>)> {
        let connection = self.connections.get_mut(key)?;
        connection.send = SendState::Idle;
        if connection.shutdown_follows {
            connection.shutdown();
        }
        Some((buffer, result))
    }

    fn address(
        &self,
        key: ConnectionKey,
        of: impl Fn(&SockRef<'_>) -> io::Result<SockAddr>,
    ) -> Option<EndpointAddress> {
        let connection = self.connections.get(key)?;
        endpoint(&of(&connection.socket()).ok()?)
    }
}

impl Operations for PollOperations {
    fn listen(&mut self, listener: Listener) -> Result<ListenerKey, SystemError> {
        self.listeners.add(listener, &self.registry)
    }

    fn stop_listening(&mut self, key: ListenerKey) {
        self.listeners.stop(key);
    }

    fn listener_count(&self) -> usize {
        self.listeners.count()
    }

    fn adopt(&mut self, stream: std::net::TcpStream) -> Result<ConnectionKey, SystemError> {
        let waits = stream.set_nonblocking(true);
        waits.map_err(|error| SystemError::new("ioctl", &error))?;
        self.accepted(TcpStream::from_std(stream))
    }

    fn pause_receive(&mut self, connection: ConnectionKey) {
        if let Some(state) = self.connections.get_mut(connection) {
            state.paused = true;
        }
    }

    fn resume_receive(&mut self, connection: ConnectionKey) {
        if let Some(state) = self.connections.get_mut(connection) {
            state.paused = false;
            if state.wants_read() {
                self.queue(connection);
            }
        }
    }

    #[inline]
    fn send(&mut self, connection: ConnectionKey, buffer: SendBuffer) -> Option<SendBuffer> {
        let Some(state) = self.connections.get_mut(connection) else {
            return Some(buffer);
        };
        assert!(
            state.send == SendState::Idle,
            "a send of this connection is pending"
        );
        state.sent = 0;
        match state.write(&buffer) {
            Ok(true) => return Some(buffer),
            Ok(false) => state.send = SendState::Waiting,
            Err(error) => {
                state.send = SendState::Failed;
                self.failed_sends.push((connection, send_error(&error)));
            }
        }
        state.buffer = buffer;
        None
    }

    fn send_file(
        &mut self,
        connection: ConnectionKey,
        buffer: SendBuffer,
        range: FileRange,
    ) -> Option<SendBuffer> {
        let Some(state) = self.connections.get_mut(connection) else {
            return Some(buffer);
        };
        assert!(
            state.send == SendState::Idle,
            "a send of this connection is pending"
        );
        state.send = SendState::FileQueued;
        state.sent = 0;
        state.buffer = buffer;
        self.files.begin(connection, range);
        None
    }

    fn bytes_sent(&self, connection: ConnectionKey) -> u64 {
        self.connections
            .get(connection)
            .map_or(0, |state| state.sent_total)
    }

    fn bytes_taken(&self, connection: ConnectionKey) -> u64 {
        self.connections.get(connection).map_or(0, |state| {
            let held = platform::unacknowledged(&state.socket());
            state.sent_total.saturating_sub(held)
        })
    }

    fn unsent(&self, connection: ConnectionKey) -> usize {
        self.connections
            .get(connection)
            .filter(|state| state.send != SendState::Idle)
            .map_or(0, |state| {
                let of_buffer = state.buffer.len() - state.sent;
                if state.send.is_of_file() {
                    return of_buffer.saturating_add(self.files.left(connection));
                }
                of_buffer
            })
    }

    fn shutdown_send(&mut self, connection: ConnectionKey) {
        if let Some(state) = self.connections.get_mut(connection) {
            state.shutdown_follows = true;
            if state.send == SendState::Idle {
                state.shutdown();
            }
        }
    }

    fn close(&mut self, connection: ConnectionKey) {
        if let Some(state) = self.connections.get(connection) {
            if state.send.is_of_file() {
                self.files.end(connection);
            }
            self.connections.retire(connection);
            // An event of this turn that is still to be looked at may then be taken for one of the
            // next connection at this index. That makes it read once in vain.
            self.connections.release(connection.index());
            self.listeners.descriptor_freed();
        }
    }

    fn reset(&mut self, connection: ConnectionKey) {
        if let Some(state) = self.connections.get(connection) {
            // A failure leaves an ordinary close, which the peer notices as well.
            let _ = state.socket().set_linger(Some(Duration::ZERO));
            self.close(connection);
        }
    }

    fn peer_address(&self, connection: ConnectionKey) -> Option<EndpointAddress> {
        self.address(connection, |socket| socket.peer_addr())
    }

    fn local_address(&self, connection: ConnectionKey) -> Option<EndpointAddress> {
        self.address(connection, |socket| socket.local_addr())
    }

    fn connection_count(&self) -> usize {
        self.connections.live()
    }

    fn waker(&self) -> Waker {
        self.sleep.waker()
    }
}

fn send_error(error: &io::Error) -> SystemError {
    SystemError::new("send", error)
}
