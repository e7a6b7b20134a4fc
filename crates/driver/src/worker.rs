//! One worker thread: waits for events, and for each does what its connection needs.
//!
//! Owns its connections for their whole life. Other threads reach it through its mailbox only.

mod messages;
mod opaque;
mod outgoing;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidegate_engine::{PortKey, Snapshot};
use tidegate_httpapi::{BackendFailure, ConnectionId, OpaqueEnd};
use tidegate_os::{
    ConnectionKey, Event, EventLoop, Handler, ListenerKey, Operations, ReceiveOrder, SendBuffer,
    SystemError,
};

use crate::connection::log::ERROR_NETNAME_DELETED;
use crate::connection::proxy_header::Entrance;
use crate::connection::respond::Seen;
use crate::connection::{Connection, Respond};
use crate::core::{Core, Shared};
use crate::error_log::ErrorRecord;
use crate::listing::LOOKED_AT;
use crate::mailbox::{ListenerId, Mailbox, Message};
use crate::queue::Queue;
use crate::view::View;
pub(crate) use opaque::LANE_CLOSE_MAX;
use outgoing::OutgoingConnections;

/// A worker's state.
pub(crate) struct Worker {
    core: Core,
    view: View,
    connections: Connections,
    outgoing: OutgoingConnections,
    listeners: HashMap<ListenerKey, ListenerInfo>,
    receive_order: ReceiveOrder,
    /// Memory for the messages taken from the mailbox.
    messages: Vec<Message>,
    /// No event of this turn has been seen: the clock is to be read first.
    turn_begins: bool,
    /// When it was last told that connections cannot be accepted.
    shortage_told: Option<Instant>,
}

struct ListenerInfo {
    id: ListenerId,
    port: PortKey,
    local: Option<u16>,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        mailbox: Arc<Mailbox>,
        index: usize,
        snapshot: Arc<Snapshot<Queue>>,
    ) -> Self {
        Self {
            core: Core::new(shared, mailbox, index),
            view: View::new(snapshot),
            connections: Connections::default(),
            outgoing: OutgoingConnections::default(),
            listeners: HashMap::new(),
            receive_order: ReceiveOrder::AsTaken,
            messages: Vec::new(),
            turn_begins: true,
            shortage_told: None,
        }
    }

    /// The thread's life: until the driver has been stopped and all connections have ended.
    pub(crate) fn run<L: EventLoop>(mut self, event_loop: &mut L) -> Result<(), SystemError> {
        loop {
            self.turn_begins = true;
            let timeout = self.wait_max();
            event_loop.set_receive_order(self.receive_order);
            event_loop.turn(timeout, &mut self)?;
            let operations = event_loop.operations();
            self.begin_turn();
            self.fire_timers(operations);
            if !self.core.listed.is_empty() {
                self.come_to_listed(operations);
            }
            if self.core.shaper.is_some() {
                self.come_to_shaped(operations);
            }
            if !self.core.wakers.is_empty() {
                self.core.wake_readers();
            }
            if self.core.cache.has_work(self.core.clock.now()) {
                self.core.tend_cache();
            }
            if self.core.lanes.any_closing() {
                self.sweep_lanes(operations);
            }
            if self.core.request_log.has_row() {
                self.core.request_log.hand_over();
            }
            if let Some(deadline) = self.core.draining {
                if self.core.clock.now() >= deadline {
                    self.reset_all(operations);
                }
                let clients = operations.connection_count() - self.outgoing.count();
                if clients == 0 && operations.listener_count() == 0 {
                    return Ok(());
                }
            }
        }
    }

    fn wait_max(&mut self) -> Option<Duration> {
        let shaped_now = self.core.shaped_now();
        let Core {
            clock,
            wheel,
            draining,
            lanes,
            listed,
            cache,
            shaper,
            ..
        } = &mut self.core;
        if !listed.is_empty() {
            return Some(Duration::ZERO);
        }
        let timer = wheel.next_due().map(|tick| clock.duration_until(tick));
        let lanes_deadline = match lanes.any_closing() {
            true => lanes.deadline(),
            false => None,
        };
        let deadline = earlier(*draining, lanes_deadline);
        let deadline = earlier(deadline, cache.deadline());
        let ends = deadline.map(|deadline| deadline.saturating_duration_since(clock.now()));
        let shaped = shaper.as_mut().and_then(|shaper| shaper.due(shaped_now));
        let shaped = shaped.map(|due| due.saturating_sub(shaped_now));
        earlier(earlier(timer, ends), shaped)
    }

    #[inline]
    fn begin_turn(&mut self) {
        if self.turn_begins {
            self.turn_begins = false;
            self.core.begin_turn();
        }
    }

    /// Tells that the system has no descriptor or memory for another connection: each listener finds that out
    /// again after every pause, and whoever reads the log needs to know once.
    #[cold]
    fn tell_shortage(&mut self, error: &SystemError) {
        let now = self.core.clock.now();
        let told = self.shortage_told;
        if told.is_none_or(|told| now.saturating_duration_since(told) >= SHORTAGE_TOLD_AFTER) {
            self.shortage_told = Some(now);
            tracing::warn!(
                %error,
                worker = self.core.index,
                "cannot accept connections, those that come wait; raise the limit on open files (told once a \
                 minute)"
            );
        }
    }

    fn fire_timers<O: Operations>(&mut self, operations: &mut O) {
        for _ in 0..TIMERS_PER_TURN {
            let Some(key) = self.core.wheel.poll(self.core.clock.tick()) else {
                return;
            };
            self.with(operations, key, |core, view, operations, conn| {
                core.due(&view.snapshot, operations, conn);
            });
        }
    }

    /// Comes to the connections that a limit on bandwidth has held up and lets go on.
    fn come_to_shaped<O: Operations>(&mut self, operations: &mut O) {
        let now = self.core.shaped_now();
        for _ in 0..SHAPED_PER_TURN {
            let Some(shaper) = &mut self.core.shaper else {
                return;
            };
            if let Some((key, sleep)) = shaper.next_woken(now) {
                self.with(operations, key, |core, view, operations, conn| {
                    core.wake_shaped(view, operations, conn, sleep);
                });
            } else if let Some(key) = shaper.next_ready(now) {
                self.with(operations, key, |core, view, operations, conn| {
                    core.let_send(view, operations, conn);
                });
            } else {
                let is_limited = self.view.snapshot.limits_bandwidth() || self.core.paced.is_any();
                if shaper.is_idle() && !is_limited {
                    self.core.shaper = None;
                }
                return;
            }
        }
    }

    /// Does something with a connection that may have ended meanwhile; removes it if it ends by that.
    #[inline]
    fn with<O: Operations>(
        &mut self,
        operations: &mut O,
        key: ConnectionKey,
        act: impl FnOnce(&mut Core, &mut View, &mut O, &mut Connection),
    ) {
        let Some(conn) = self.connections.find(key) else {
            return;
        };
        let Self { core, view, .. } = self;
        // What an application gave us to poll, wake or drop may panic: that ends this connection only.
        let acted = catch_unwind(AssertUnwindSafe(|| act(core, view, operations, conn)));
        if acted.is_err() {
            tracing::error!("a panic while a connection was served; the connection is reset");
            if !conn.gone {
                core.break_off(operations, conn);
            }
        }
        if conn.gone {
            self.core.unwatch(conn);
            self.core.counters.connections_closed.add(1);
            self.core.tell_closed(conn);
            self.connections.remove(key);
        } else {
            self.core.settle(&self.view.snapshot, operations, conn);
        }
    }

    /// A change of the namespace holds for every connection and request that comes after the call that
    /// made it, also when the message about it still waits.
    #[inline]
    fn take_changes<O: Operations>(&mut self, operations: &mut O) {
        if self.core.shared.published.load(Ordering::Acquire) > self.view.snapshot.version() {
            self.take_messages(operations);
        }
    }

    fn accepted<O: Operations>(
        &mut self,
        operations: &mut O,
        listener: ListenerKey,
        key: ConnectionKey,
    ) {
        let core = &mut self.core;
        let max = core.shared.settings.limits.connections_max;
        let Some(slot) = core.shared.connections.enter(max) else {
            core.counters.connections_refused.add(1);
            log_refused(core, operations, key);
            operations.reset(key);
            return;
        };
        let Some(info) = self.listeners.get(&listener) else {
            operations.reset(key);
            return;
        };
        let id = ConnectionId(core.next_request());
        let mut conn = Connection::new(key, id, info.port, slot);
        conn.local = info.local;
        conn.since = core.clock.unix_second();
        core.settle_protocol(&self.view.snapshot, &mut conn);
        if core.enter_port(operations, &mut conn) == Entrance::Refused {
            core.counters.connections_refused.add(1);
            operations.reset(key);
            return;
        }
        core.counters.connections_accepted.add(1);
        self.connections.insert(conn);
        self.with(operations, key, |_, _, _, _| {});
    }

    fn peer_closed<O: Operations>(&mut self, operations: &mut O, key: ConnectionKey) {
        self.with(operations, key, |core, view, operations, conn| {
            conn.peer_closed = true;
            if conn.ended {
                core.close(operations, conn);
                return;
            }
            core.go_on(view, operations, conn);
        });
    }

    fn failed<O: Operations>(&mut self, operations: &mut O, key: ConnectionKey) {
        self.with(operations, key, |core, _, operations, conn| {
            conn.ends_by(OpaqueEnd::Failed);
            let serves_streams = conn.http2().is_some_and(|http2| !http2.is_idle());
            let was_waiting = core.withdraw(conn);
            let reason = match &conn.respond {
                // What its lane makes of it is the lane's matter.
                Respond::Ready if conn.lane().is_some() => None,
                Respond::Application(_) if was_waiting => Some("Client_Reset"),
                Respond::Application(_) | Respond::Stream(_) => Some("Connection_Dropped"),
                Respond::Ready if serves_streams || (conn.sending && !conn.ended) => {
                    Some("Connection_Dropped")
                }
                Respond::Ready => None,
            };
            if let Some(reason) = reason {
                core.log(operations, conn, reason, None, Seen::Nothing);
            }
            core.break_log(conn, ERROR_NETNAME_DELETED);
            core.close(operations, conn);
        });
    }

    fn sent<O: Operations>(
        &mut self,
        operations: &mut O,
        key: ConnectionKey,
        buffer: SendBuffer,
        result: Result<(), SystemError>,
    ) {
        let bytes = buffer.len() as u64;
        self.core.counters.bytes_sent.add(bytes);
        self.core.pool.put_sent(buffer);
        if let Err(error) = result {
            self.send_failed(operations, key, error);
            return;
        }
        self.with(operations, key, |core, view, operations, conn| {
            conn.sending = false;
            core.counters.count_sent(conn, bytes);
            core.log_given(conn);
            core.go_on(view, operations, conn);
        });
    }

    #[cold]
    fn send_failed<O: Operations>(
        &mut self,
        operations: &mut O,
        key: ConnectionKey,
        error: SystemError,
    ) {
        if !error.is_of_file() {
            return self.failed(operations, key);
        }
        tracing::debug!(%error, "a file of a response cannot be sent");
        self.with(operations, key, |core, _, operations, conn| {
            core.break_off(operations, conn);
        });
    }

    /// Accepts no more and ends what is idle; what is in progress has until `deadline`.
    fn stop<O: Operations>(&mut self, operations: &mut O, deadline: Instant) {
        self.core.draining = Some(deadline);
        for &key in self.listeners.keys() {
            operations.stop_listening(key);
        }
        self.stop_lanes(operations);
        for key in self.connections.keys() {
            self.with(operations, key, |core, _, operations, conn| {
                if conn.http2().is_some() {
                    core.begin_goodbye(conn);
                    core.drive(operations, conn);
                    return;
                }
                let is_idle = conn.is_between_requests() && conn.input.is_empty();
                if !is_idle || conn.closing {
                    return;
                }
                if core.may_be_asked(conn) {
                    // A request may be on its way, and its client cannot know that we stop: it is answered, and
                    // told so.
                    conn.deadline.begin_anew();
                    return;
                }
                core.end_idle(operations, conn);
            });
        }
    }

    fn reset_all<O: Operations>(&mut self, operations: &mut O) {
        for key in self.connections.keys() {
            self.with(operations, key, |core, _, operations, conn| {
                conn.ends_by(OpaqueEnd::Stopped);
                core.reset(operations, conn);
            });
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.abandon_opaque();
        self.abandon_outgoing();
        self.core.mailbox.close();
    }
}

fn earlier<T: Ord>(left: Option<T>, right: Option<T>) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}

impl<O: Operations> Handler<O> for Worker {
    #[inline]
    fn handle(&mut self, operations: &mut O, event: Event<'_>) {
        self.begin_turn();
        match event {
            Event::Received {
                connection,
                bytes,
                position,
            } => {
                if let Some(outgoing) = self.outgoing.find(connection) {
                    if outgoing.received(bytes) {
                        operations.pause_receive(connection);
                    }
                    return;
                }
                self.core.counters.bytes_received.add(bytes.len() as u64);
                self.take_changes(operations);
                self.with(operations, connection, |core, view, operations, conn| {
                    core.counters.count_received(conn, bytes.len());
                    core.received(view, operations, conn, bytes, position);
                });
            }
            Event::Sent {
                connection,
                buffer,
                result,
            } => match self.outgoing.find(connection) {
                Some(outgoing) => {
                    let outgoing = Arc::clone(outgoing);
                    self.outgoing_sent(operations, &outgoing, buffer, result);
                }
                None => self.sent(operations, connection, buffer, result),
            },
            Event::Accepted {
                listener,
                connection,
            } => {
                // Whether a port is secure is one of them.
                self.take_changes(operations);
                self.accepted(operations, listener, connection);
            }
            Event::PeerClosed { connection } => match self.outgoing.find(connection) {
                Some(outgoing) => outgoing.ended(),
                None => self.peer_closed(operations, connection),
            },
            Event::Failed { connection, error } => match self.outgoing.find(connection) {
                Some(outgoing) => outgoing.failed(error.kind()),
                None => self.failed(operations, connection),
            },
            Event::AcceptFailed { error, .. } => {
                if error.is_shortage() {
                    self.tell_shortage(&error);
                } else {
                    self.core.listener_failed(&error);
                }
            }
            Event::Woken => {
                self.take_messages(operations);
                self.wake_lanes(operations);
            }
        }
    }
}

impl Core {
    /// Tells that this worker cannot accept, and that waiting does not help.
    #[cold]
    pub(crate) fn listener_failed(&self, error: &SystemError) {
        self.shared.failed(BackendFailure::Listener {
            worker: self.index,
            cause: error.to_string().into(),
        });
    }

    /// Resets a connection that a panic or a file has left in the middle of something.
    #[cold]
    fn break_off<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        conn.ends_by(OpaqueEnd::Internal);
        self.log(operations, conn, "Internal", None, Seen::Nothing);
        self.reset(operations, conn);
    }
}

fn log_refused<O: Operations>(core: &Core, operations: &O, key: ConnectionKey) {
    let client = crate::core::address(operations.peer_address(key));
    let server = crate::core::address(operations.local_address(key));
    let record = ErrorRecord::of_connection(client, server, "Connections_Refused");
    core.shared.error_log.record(record);
}

/// A worker's connections, by the index in their keys.
#[derive(Default)]
struct Connections(Vec<Option<Connection>>);

impl Connections {
    #[inline]
    fn find(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        self.0
            .get_mut(key.index() as usize)?
            .as_mut()
            .filter(|conn| conn.key == key)
    }

    fn insert(&mut self, conn: Connection) {
        let index = conn.key.index() as usize;
        if index >= self.0.len() {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(conn);
    }

    fn remove(&mut self, key: ConnectionKey) {
        self.0[key.index() as usize] = None;
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.0.iter_mut().flatten()
    }

    /// How far places go.
    fn slots(&self) -> usize {
        self.0.len()
    }

    /// Those at some places from this one on.
    fn part(&self, from: usize) -> impl Iterator<Item = &Connection> {
        self.0.iter().skip(from).take(LOOKED_AT).flatten()
    }

    fn keys(&self) -> Vec<ConnectionKey> {
        self.0.iter().flatten().map(|conn| conn.key).collect()
    }
}

/// How long nothing more is said of a shortage that lasts.
const SHORTAGE_TOLD_AFTER: Duration = Duration::from_secs(60);

/// Connections that were held up looked after in one turn; the rest is left for the next.
const SHAPED_PER_TURN: usize = 1024;

/// Deadlines looked after in one turn; the rest is left for the next, so that many which end at once
/// do not keep the others waiting.
const TIMERS_PER_TURN: usize = 4096;
