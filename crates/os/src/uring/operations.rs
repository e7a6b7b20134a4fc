//! What the owner asks of the io_uring loop, and the state of each connection.
//!
//! A connection holds at most two operations of the kernel: its standing receive and one send, or
//! in place of a send the wait for room for more of a file.
//! Closing a descriptor does not end them, so a closed connection keeps its place and its send
//! buffer until their last completions were taken.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use socket2::{SockAddr, SockRef};

use super::accept::Listeners;
use super::ring::Ring;
use super::submission::{self, Operation};
use super::vectored::Vectored;
use crate::error::SystemError;
use crate::event::{EndpointAddress, Operations, SendBuffer};
use crate::file::FileRange;
use crate::file_send::FileSends;
use crate::key::{ConnectionKey, ListenerKey};
use crate::platform;
use crate::socket::{Listener, endpoint};
use crate::table::Table;
use crate::waker::{Sleep, Waker};

/// The operations of [`UringLoop`](crate::UringLoop).
pub struct UringOperations {
    pub(super) ring: Rc<Ring>,
    pub(super) connections: Table<Connection>,
    pub(super) listeners: Listeners,
    pub(super) sleep: Sleep,
    /// Piece lists not in use.
    #[expect(
        clippy::vec_box,
        reason = "they move in and out of connections, never themselves"
    )]
    spare_vectored: Vec<Box<Vectored>>,
    /// Connections closed whose descriptors wait for operations of the kernel.
    pub(super) closing: usize,
    pub(super) files: FileSends,
}

/// One connection. Small: it is all that an idle connection costs in this crate.
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    /// The standing receive is with the kernel.
    pub(super) receiving: bool,
    /// It was told to end.
    receive_cancelled: bool,
    /// The owner wants nothing for now.
    paused: bool,
    /// The peer's FIN or an error was taken: there is nothing to receive any more.
    pub(super) receive_ended: bool,
    /// A send is with the kernel, or it is one of a file.
    pub(super) sending: bool,
    /// The send is one of a file.
    pub(super) sends_file: bool,
    /// The kernel is to say when the socket takes bytes again.
    pub(super) waits_for_room: bool,
    /// A FIN is to follow the send.
    pub(super) shutdown_follows: bool,
    /// Bytes given to the system since the connection began.
    pub(super) sent_total: u64,
    /// Bytes of `buffer` given to the system.
    pub(super) sent: usize,
    /// What is being sent.
    pub(super) buffer: SendBuffer,
    vectored: Option<Box<Vectored>>,
}

impl Connection {
    fn is_idle(&self) -> bool {
        !self.receiving && !self.sending
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.socket)
    }

    /// Not by the ring, which would hand it to a thread of the kernel.
    pub(super) fn shutdown(&mut self) {
        self.shutdown_follows = false;
        // It fails if the connection is broken, which the owner hears of by other events.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl UringOperations {
    pub(super) fn new(ring: Rc<Ring>, sleep: Sleep) -> Self {
        Self {
            ring,
            connections: Table::new(),
            listeners: Listeners::default(),
            sleep,
            spare_vectored: Vec::new(),
            closing: 0,
            files: FileSends::default(),
        }
    }

    pub(super) fn accepted(&mut self, socket: OwnedFd) -> ConnectionKey {
        self.connections.insert(Connection {
            socket,
            receiving: false,
            receive_cancelled: false,
            paused: false,
            receive_ended: false,
            sending: false,
            sends_file: false,
            waits_for_room: false,
            shutdown_follows: false,
            sent_total: 0,
            sent: 0,
            buffer: SendBuffer::default(),
            vectored: None,
        })
    }

    /// Submits the standing receive if the connection lives, wants bytes and has none.
    #[inline]
    pub(super) fn receive(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if connection.receiving || connection.paused || connection.receive_ended {
            return;
        }
        connection.receiving = true;
        connection.receive_cancelled = false;
        let entry = submission::receive(connection.socket.as_raw_fd(), key.index());
        // SAFETY: the entry points to no memory; the buffers it receives into outlive the ring.
        unsafe { self.ring.push(&entry) };
    }

    /// Takes the completion of a send. `Some` when the send is over and somebody wants to know.
    #[inline]
    pub(super) fn send_completed(
        &mut self,
        index: u32,
        result: i32,
    ) -> Option<(ConnectionKey, SendBuffer, Result<(), SystemError>)> {
        let (connection, key) = self.connections.at(index)?;
        let given = usize::try_from(result).unwrap_or(0);
        connection.sent += given;
        connection.sent_total += given as u64;
        let Some(key) = key else {
            connection.sending = false;
            self.finish_close(index);
            return None;
        };
        let outcome = match result {
            1.. | INTERRUPTED if connection.sent < connection.buffer.len() => {
                self.submit_send(key);
                return None;
            }
            1.. => Ok(()),
            // The system has no reason to take nothing; sending again could go on for ever.
            0 => Err(SystemError {
                call: "send",
                code: libc::EPIPE,
            }),
            _ => Err(SystemError {
                call: "send",
                code: -result,
            }),
        };
        connection.sending = false;
        if let Some(vectored) = connection.vectored.take() {
            self.spare_vectored.push(vectored);
        }
        if connection.shutdown_follows {
            connection.shutdown();
        }
        Some((key, std::mem::take(&mut connection.buffer), outcome))
    }

    /// Gives a closed connection's descriptor and place back if no operation of it is left.
    pub(super) fn finish_close(&mut self, index: u32) {
        let idle = self
            .connections
            .at(index)
            .is_some_and(|(connection, _)| connection.is_idle());
        if !idle {
            return;
        }
        if let Some(connection) = self.connections.release(index) {
            self.closing -= 1;
            self.close_socket(connection);
        }
    }

    fn close_socket(&mut self, connection: Connection) {
        let entry = submission::close(connection.socket.into_raw_fd());
        // SAFETY: the entry points to no memory, and the descriptor was ours alone.
        unsafe { self.ring.push(&entry) };
        self.listeners.descriptor_freed();
    }

    /// Submits what is left of the connection's buffer.
    #[inline]
    fn submit_send(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let fd = connection.socket.as_raw_fd();
        let entry = if connection.buffer.tail.is_empty() {
            let rest = &connection.buffer.head[connection.sent..];
            let length = u32::try_from(rest.len()).unwrap_or(SEND_MAX).min(SEND_MAX);
            // SAFETY: the buffer is not touched before the completion was taken: it leaves the
            // connection in `send_completed` and `finish_close` only. Its heap memory does not
            // move with the connection.
            unsafe { submission::send(fd, key.index(), rest.as_ptr(), length) }
        } else {
            let vectored = connection
                .vectored
                .get_or_insert_with(|| self.spare_vectored.pop().unwrap_or_else(Vectored::boxed));
            let message = vectored.fill(&connection.buffer, connection.sent);
            // SAFETY: as above, and the list is boxed and leaves the connection with the buffer.
            unsafe { submission::send_message(fd, key.index(), message) }
        };
        // SAFETY: argued for each kind above.
        unsafe { self.ring.push(&entry) };
    }

    fn begin_close(&mut self, key: ConnectionKey, reset: bool) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if reset {
            // A failure leaves an ordinary close, which the peer notices as well.
            let _ = connection.socket().set_linger(Some(Duration::ZERO));
        }
        let receive = connection.receiving && !connection.receive_cancelled;
        let mut send = (connection.sending, Operation::Send);
        if connection.sends_file {
            self.files.end(key);
            connection.buffer.clear();
            connection.sending = connection.waits_for_room;
            send = (connection.waits_for_room, Operation::Room);
        }
        for (pending, operation) in [(receive, Operation::Receive), send] {
            if pending {
                // SAFETY: the entry points to no memory.
                unsafe { self.ring.push(&submission::cancel(operation, key.index())) };
            }
        }
        self.connections.retire(key);
        self.closing += 1;
        self.finish_close(key.index());
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

impl Operations for UringOperations {
    fn listen(&mut self, listener: Listener) -> Result<ListenerKey, SystemError> {
        let key = self.listeners.add(listener);
        self.accept(key);
        Ok(key)
    }

    fn stop_listening(&mut self, key: ListenerKey) {
        self.stop_accepting(key);
    }

    fn listener_count(&self) -> usize {
        self.listeners.count()
    }

    fn adopt(&mut self, stream: TcpStream) -> Result<ConnectionKey, SystemError> {
        // The ring would give up on a socket that is not to block, in place of waiting for it.
        let blocks = stream.set_nonblocking(false);
        blocks.map_err(|error| SystemError::new("ioctl", &error))?;
        let key = self.accepted(stream.into());
        self.receive(key);
        Ok(key)
    }

    fn pause_receive(&mut self, connection: ConnectionKey) {
        let Some(state) = self.connections.get_mut(connection) else {
            return;
        };
        state.paused = true;
        if state.receiving && !state.receive_cancelled {
            state.receive_cancelled = true;
            let entry = submission::cancel(Operation::Receive, connection.index());
            // SAFETY: the entry points to no memory.
            unsafe { self.ring.push(&entry) };
        }
    }

    fn resume_receive(&mut self, connection: ConnectionKey) {
        if let Some(state) = self.connections.get_mut(connection) {
            state.paused = false;
            // If the receive is still there, cancelled, its last completion begins a new one.
            self.receive(connection);
        }
    }

    #[inline]
    fn send(&mut self, connection: ConnectionKey, buffer: SendBuffer) -> Option<SendBuffer> {
        let Some(state) = self.connections.get_mut(connection) else {
            return Some(buffer);
        };
        assert!(!state.sending, "a send of this connection is pending");
        if buffer.is_empty() {
            return Some(buffer);
        }
        state.sending = true;
        state.sent = 0;
        state.buffer = buffer;
        self.submit_send(connection);
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
        assert!(!state.sending, "a send of this connection is pending");
        state.sending = true;
        state.sends_file = true;
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
            .filter(|state| state.sending)
            .map_or(0, |state| {
                let of_buffer = state.buffer.len() - state.sent;
                if state.sends_file {
                    return of_buffer.saturating_add(self.files.left(connection));
                }
                of_buffer
            })
    }

    fn shutdown_send(&mut self, connection: ConnectionKey) {
        if let Some(state) = self.connections.get_mut(connection) {
            state.shutdown_follows = true;
            if !state.sending {
                state.shutdown();
            }
        }
    }

    fn close(&mut self, connection: ConnectionKey) {
        self.begin_close(connection, false);
    }

    fn reset(&mut self, connection: ConnectionKey) {
        self.begin_close(connection, true);
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

/// The most one send is told, far from the limits of the kernel's types.
const SEND_MAX: u32 = 1 << 30;

const INTERRUPTED: i32 = -libc::EINTR;
