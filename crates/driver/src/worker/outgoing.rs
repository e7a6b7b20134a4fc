//! What a worker does for connections to other servers.

use std::io;
use std::sync::Arc;

use tidegate_os::{ConnectionKey, Operations, SendBuffer, SystemError};

use super::Worker;
use crate::outgoing::Outgoing;

/// A worker's connections to other servers, by the index in their keys.
#[derive(Default)]
pub(super) struct OutgoingConnections {
    all: Vec<Option<(ConnectionKey, Arc<Outgoing>)>>,
    count: usize,
}

impl OutgoingConnections {
    #[inline]
    pub(super) fn find(&self, key: ConnectionKey) -> Option<&Arc<Outgoing>> {
        let (own, outgoing) = self.all.get(key.index() as usize)?.as_ref()?;
        (*own == key).then_some(outgoing)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn insert(&mut self, key: ConnectionKey, outgoing: Arc<Outgoing>) {
        let index = key.index() as usize;
        if index >= self.all.len() {
            self.all.resize_with(index + 1, || None);
        }
        self.all[index] = Some((key, outgoing));
        self.count += 1;
    }

    fn remove(&mut self, key: ConnectionKey) {
        if self.find(key).is_some() {
            self.all[key.index() as usize] = None;
            self.count -= 1;
        }
    }
}

impl Worker {
    /// Does what a connection's user has asked for.
    pub(super) fn look_after<O: Operations>(
        &mut self,
        operations: &mut O,
        outgoing: &Arc<Outgoing>,
    ) {
        let mut state = outgoing.look();
        if let Some(socket) = state.socket.take() {
            match operations.adopt(socket) {
                Ok(key) => {
                    state.key = Some(key);
                    self.outgoing.insert(key, Arc::clone(outgoing));
                }
                Err(error) => {
                    drop(state);
                    return outgoing.failed(error.kind());
                }
            }
        }
        let Some(key) = state.key else {
            return;
        };
        while let Some(output) = state.take_output() {
            let Some(buffer) = operations.send(key, output.into()) else {
                break;
            };
            // A user on another thread may write in between, and leaves it to us.
            drop(state);
            outgoing.sent(buffer.head, Ok(()));
            state = outgoing.lock();
        }
        if state.is_dropped {
            drop(state);
            self.outgoing.remove(key);
            return operations.close(key);
        }
        if state.is_paused && state.has_room() {
            state.is_paused = false;
            operations.resume_receive(key);
        }
        if state.ends && !state.has_ended && state.is_all_sent() {
            state.has_ended = true;
            operations.shutdown_send(key);
        }
    }

    /// A send to another server has ended.
    pub(super) fn outgoing_sent<O: Operations>(
        &mut self,
        operations: &mut O,
        outgoing: &Arc<Outgoing>,
        buffer: SendBuffer,
        result: Result<(), SystemError>,
    ) {
        outgoing.sent(buffer.head, result);
        self.look_after(operations, outgoing);
    }

    /// The worker ends: nobody looks after its connections any more.
    pub(super) fn abandon_outgoing(&mut self) {
        for (_, outgoing) in self.outgoing.all.drain(..).flatten() {
            outgoing.failed(io::ErrorKind::ConnectionAborted);
        }
    }
}
