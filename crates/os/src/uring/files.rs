//! Sends of files: by the loop itself, which the ring tells when a socket takes bytes again.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use socket2::SockRef;

use super::operations::{Connection, UringOperations};
use super::submission;
use crate::error::SystemError;
use crate::event::{Event, Handler, SendBuffer};
use crate::file_send::{FileSends, FileTurn, Step, StepState};
use crate::key::ConnectionKey;

impl Connection {
    /// Sends of its file what its share of the turn is.
    ///
    /// The socket blocks, which the ring needs to wait for it (it fails operations on others at once),
    /// but for the time of the step, in which nothing else is done with it.
    fn step_file(
        &mut self,
        key: ConnectionKey,
        files: &mut FileSends,
        turn: &mut FileTurn,
    ) -> Option<Step> {
        let fd = self.socket.as_raw_fd();
        if let Err(error) = set_nonblocking(fd, true) {
            return Some(Step {
                bytes: 0,
                state: StepState::Ended(Err(SystemError::new("ioctl", &error))),
            });
        }
        let socket = SockRef::from(&self.socket);
        let step = files.step(turn, key, &socket, &self.buffer, &mut self.sent);
        let _ = set_nonblocking(fd, false);
        step
    }
}

impl UringOperations {
    /// Sends some of each file whose turn it is. Returns the number of events.
    pub(super) fn send_files(&mut self, handler: &mut impl Handler<UringOperations>) -> usize {
        let mut count = 0;
        let mut turn = self.files.begin_turn();
        while let Some(key) = self.files.next(&mut turn) {
            if let Some((buffer, result)) = self.step_file(key, &mut turn) {
                count += 1;
                let event = Event::Sent {
                    connection: key,
                    buffer,
                    result,
                };
                handler.handle(self, event);
            }
        }
        count
    }

    /// Takes the completion of a wait for room: the file's turn comes.
    pub(super) fn room_completed(&mut self, index: u32) {
        let Some((connection, key)) = self.connections.at(index) else {
            debug_assert!(false, "a place is kept while a wait is pending");
            return;
        };
        connection.waits_for_room = false;
        match key {
            // Whatever the socket's state is, the step finds it.
            Some(key) => self.files.queue(key),
            None => {
                connection.sending = false;
                self.finish_close(index);
            }
        }
    }

    /// Sends of a file what its share of the turn is. `Some` when that ended the send.
    fn step_file(
        &mut self,
        key: ConnectionKey,
        turn: &mut FileTurn,
    ) -> Option<(SendBuffer, Result<(), SystemError>)> {
        let connection = self.connections.get_mut(key)?;
        let Step { bytes, state } = connection.step_file(key, &mut self.files, turn)?;
        connection.sent_total += bytes as u64;
        match state {
            StepState::Again => self.files.queue(key),
            StepState::Blocked => {
                connection.waits_for_room = true;
                let entry = submission::room(connection.socket.as_raw_fd(), key.index());
                // SAFETY: the entry points to no memory.
                unsafe { self.ring.push(&entry) };
            }
            StepState::Ended(result) => {
                self.files.end(key);
                connection.sends_file = false;
                connection.sending = false;
                if connection.shutdown_follows {
                    connection.shutdown();
                }
                return Some((std::mem::take(&mut connection.buffer), result));
            }
        }
        None
    }
}

/// One call, where fcntl(2) would take two.
fn set_nonblocking(fd: RawFd, nonblocking: bool) -> io::Result<()> {
    let mut value = libc::c_int::from(nonblocking);
    // SAFETY: the system reads one number during the call.
    match unsafe { libc::ioctl(fd, libc::FIONBIO, &raw mut value) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
