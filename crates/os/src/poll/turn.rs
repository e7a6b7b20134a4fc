//! One turn of the readiness loop: wait, then do what the ready sockets allow and hand it over.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::accept::WAKE;
use super::operations::PollOperations;
use crate::error::SystemError;
use crate::event::{
    Event, EventLoop, Handler, LoopSettings, RECEIVE_BUFFER_BYTES, ReceiveOrder, WOKEN_MAX,
};
use crate::key::ConnectionKey;
use crate::platform::{READ_UNTIL_WOULD_BLOCK, receive};
use crate::waker::{Signal, Sleep};

/// The event loop on readiness.
pub struct PollLoop {
    operations: PollOperations,
    poll: Poll,
    events: Events,
    receive: Receive,
    order: ReceiveOrder,
    /// Connections that are being read; swapped with the operations' list.
    ready: Vec<ConnectionKey>,
}

/// The receiving half of a turn.
struct Receive {
    /// One for all connections: bytes are handed over as soon as they are read.
    buffer: Box<[u8]>,
    /// `Received` events handed over in this turn.
    position: u32,
}

impl EventLoop for PollLoop {
    type Operations = PollOperations;

    fn new(settings: &LoopSettings) -> Result<Self, SystemError> {
        let poll = Poll::new().map_err(|error| SystemError::new("poll", &error))?;
        let registry = poll
            .registry()
            .try_clone()
            .map_err(|error| SystemError::new("dup", &error))?;
        let waker =
            mio::Waker::new(&registry, WAKE).map_err(|error| SystemError::new("waker", &error))?;
        let bytes = settings
            .receive_buffer_bytes
            .clamp(*RECEIVE_BUFFER_BYTES.start(), *RECEIVE_BUFFER_BYTES.end());
        Ok(Self {
            operations: PollOperations::new(registry, Sleep::new(Signal::Mio(waker))),
            poll,
            events: Events::with_capacity(settings.completions_max.max(1) as usize),
            receive: Receive {
                buffer: vec![0; bytes as usize].into_boxed_slice(),
                position: 0,
            },
            order: settings.receive_order,
            ready: Vec::new(),
        })
    }

    fn operations(&mut self) -> &mut PollOperations {
        &mut self.operations
    }

    fn set_receive_order(&mut self, order: ReceiveOrder) {
        self.order = order;
    }

    fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut impl Handler<PollOperations>,
    ) -> Result<usize, SystemError> {
        self.wait(timeout)?;
        let mut woken = self.operations.sleep.end();
        self.receive.position = 0;
        let mut count = self.take_events(handler);
        if self.operations.listeners.any_ready() {
            count += self.operations.accept_ready(handler);
        }
        count += self.receive_ready(handler);
        while let Some((connection, error)) = self.operations.failed_sends.pop() {
            let ended = self.operations.fail_send(connection, error);
            count += hand_over_sent(connection, ended, &mut self.operations, handler);
        }
        if self.operations.files.any_queued() {
            count += self.operations.send_files(handler);
        }
        // A wake during the turn is handed over with it.
        woken |= self.operations.sleep.end();
        for left in (0..WOKEN_MAX).rev() {
            if !woken {
                break;
            }
            count += 1;
            handler.handle(&mut self.operations, Event::Woken);
            // Not asked after the last, so that the next turn does not sleep.
            woken = left > 0 && self.operations.sleep.end();
        }
        Ok(count)
    }
}

impl PollLoop {
    #[inline]
    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), SystemError> {
        let operations = &mut self.operations;
        operations.listeners.resume();
        let is_busy = !operations.ready.is_empty()
            || !operations.failed_sends.is_empty()
            || operations.files.any_queued()
            || operations.listeners.any_ready();
        let timeout = if is_busy {
            Some(Duration::ZERO)
        } else {
            match operations.listeners.paused_until() {
                None => timeout,
                Some(until) => {
                    let pause = until.saturating_duration_since(Instant::now());
                    Some(timeout.map_or(pause, |timeout| timeout.min(pause)))
                }
            }
        };
        let may_sleep = timeout != Some(Duration::ZERO) && operations.sleep.begin();
        let timeout = if may_sleep {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            outcome => outcome.map_err(|error| SystemError::new("poll", &error)),
        }
    }

    #[inline]
    fn take_events(&mut self, handler: &mut impl Handler<PollOperations>) -> usize {
        let operations = &mut self.operations;
        let mut count = 0;
        for event in &self.events {
            let token = event.token();
            if token == WAKE || operations.listeners.mark_ready(token) {
                continue;
            }
            let index = u32::try_from(token.0).expect("made from a connection's index");
            let Some((connection, Some(key))) = operations.connections.at(index) else {
                continue;
            };
            let read_closed = event.is_read_closed();
            if event.is_readable() || read_closed || event.is_error() {
                connection.readable = true;
                connection.read_closed |= read_closed;
            }
            let wants_read = connection.wants_read();
            if connection.send.waits_for_room() && event.is_writable() {
                let ended = operations.continue_send(key);
                count += hand_over_sent(key, ended, operations, handler);
            }
            if wants_read {
                if self.order == ReceiveOrder::AsTaken {
                    count += self.receive.take(key, operations, handler);
                } else {
                    operations.queue(key);
                }
            }
        }
        count
    }

    fn receive_ready(&mut self, handler: &mut impl Handler<PollOperations>) -> usize {
        if self.operations.ready.is_empty() {
            return 0;
        }
        std::mem::swap(&mut self.ready, &mut self.operations.ready);
        let mut count = 0;
        for key in self.ready.drain(..) {
            if let Some(connection) = self.operations.connections.get_mut(key) {
                connection.is_queued = false;
                count += self.receive.take(key, &mut self.operations, handler);
            }
        }
        count
    }
}

impl Receive {
    /// Reads from a connection and hands over what there is, up to a fair share.
    #[inline]
    fn take(
        &mut self,
        key: ConnectionKey,
        operations: &mut PollOperations,
        handler: &mut impl Handler<PollOperations>,
    ) -> usize {
        let mut count = 0;
        while count < READS_MAX {
            let Some(connection) = operations.connections.get_mut(key) else {
                return count;
            };
            if !connection.wants_read() {
                return count;
            }
            let event = match receive(&connection.stream, &mut self.buffer) {
                Ok(0) => {
                    connection.receive_ended = true;
                    Event::PeerClosed { connection: key }
                }
                Ok(length) => {
                    if length < self.buffer.len()
                        && !connection.read_closed
                        && !READ_UNTIL_WOULD_BLOCK
                    {
                        connection.readable = false;
                    }
                    let position = self.position;
                    self.position += 1;
                    Event::Received {
                        connection: key,
                        bytes: &mut self.buffer[..length],
                        position,
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    connection.receive_ended = true;
                    Event::Failed {
                        connection: key,
                        error: SystemError::new("recv", &error),
                    }
                }
            };
            count += 1;
            handler.handle(operations, event);
        }
        if operations
            .connections
            .get(key)
            .is_some_and(|connection| connection.wants_read())
        {
            operations.queue(key);
        }
        count
    }
}

#[inline]
pub(super) fn hand_over_sent(
    connection: ConnectionKey,
    ended: Option<(crate::event::SendBuffer, Result<(), SystemError>)>,
    operations: &mut PollOperations,
    handler: &mut impl Handler<PollOperations>,
) -> usize {
    let Some((buffer, result)) = ended else {
        return 0;
    };
    let event = Event::Sent {
        connection,
        buffer,
        result,
    };
    handler.handle(operations, event);
    1
}

/// Reads from one connection before others get their turn.
const READS_MAX: usize = 4;
