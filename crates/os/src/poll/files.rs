//! Sends of files: each goes on when its socket takes bytes and its turn comes.

use std::io::ErrorKind;

use socket2::SockRef;

use super::operations::{Connection, PollOperations, SendState};
use super::turn::hand_over_sent;
use crate::error::SystemError;
use crate::event::{Handler, SendBuffer};
use crate::file_send::{FileSends, FileTurn, Step, StepState};
use crate::key::ConnectionKey;

impl Connection {
    /// Sends of its file what its share of the turn is.
    fn step_file(
        &mut self,
        key: ConnectionKey,
        files: &mut FileSends,
        turn: &mut FileTurn,
    ) -> Option<StepState> {
        let (buffer, socket) = (&self.buffer, SockRef::from(&self.stream));
        let mut step = None;
        // On some platforms mio has to see that the socket takes no more.
        let _ = self.stream.try_io(|| {
            step = files.step(turn, key, &socket, buffer, &mut self.sent);
            match &step {
                Some(step) if matches!(step.state, StepState::Blocked) => {
                    Err(ErrorKind::WouldBlock.into())
                }
                _ => Ok(()),
            }
        });
        let Step { bytes, state } = step?;
        self.sent_total += bytes as u64;
        Some(state)
    }
}

impl PollOperations {
    /// Sends some of each file whose turn it is. Returns the number of events.
    pub(super) fn send_files(&mut self, handler: &mut impl Handler<Self>) -> usize {
        let mut count = 0;
        let mut turn = self.files.begin_turn();
        while let Some(key) = self.files.next(&mut turn) {
            let ended = self.step_file(key, &mut turn);
            count += hand_over_sent(key, ended, self, handler);
        }
        count
    }

    /// Sends of a file what its share of the turn is. `Some` when that ended the send.
    fn step_file(
        &mut self,
        key: ConnectionKey,
        turn: &mut FileTurn,
    ) -> Option<(SendBuffer, Result<(), SystemError>)> {
        let connection = self.connections.get_mut(key)?;
        match connection.step_file(key, &mut self.files, turn)? {
            StepState::Again => {
                self.files.queue(key);
                None
            }
            StepState::Blocked => {
                connection.send = SendState::FileWaiting;
                None
            }
            StepState::Ended(result) => {
                self.files.end(key);
                let buffer = std::mem::take(&mut connection.buffer);
                self.end_send(key, buffer, result)
            }
        }
    }
}
