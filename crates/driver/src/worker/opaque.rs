//! What a worker does for its lanes as a whole: wakes and stops them, and afterwards comes to the
//! connections that they had something for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tidegate_httpapi::{OpaqueConnection, OpaqueConnections, OpaqueEnd, OpaqueKey, OpaqueLane};
use tidegate_os::{ConnectionKey, Operations};

use super::{Connections, Worker};
use crate::connection::Receive;
use crate::connection::opaque::{Io, connection_key};
use crate::core::Core;
use crate::http2::names_stream;
use crate::queue::Queue;

impl Worker {
    /// Calls the lanes that were woken.
    pub(super) fn wake_lanes<O: Operations>(&mut self, operations: &mut O) {
        if !self.core.mailbox.take_lanes_woken() {
            return;
        }
        for index in self.core.lanes.indexes() {
            if self.core.lanes.take_woken(index) {
                self.call_lane(operations, index, |lane, connections| {
                    lane.woken(connections);
                });
            }
        }
    }

    /// Has every lane say its goodbyes: the driver stops.
    pub(super) fn stop_lanes<O: Operations>(&mut self, operations: &mut O) {
        for index in self.core.lanes.indexes() {
            self.stop_lane(operations, index);
        }
    }

    fn stop_lane<O: Operations>(&mut self, operations: &mut O, index: u32) {
        if self.core.lanes.begin_stop(index) {
            self.call_lane(operations, index, |lane, connections| {
                lane.stop(connections);
            });
        }
    }

    /// Has a queue's lane say its goodbyes: the queue is closed. `done` is dropped with the lane.
    pub(super) fn close_lane<O: Operations>(
        &mut self,
        operations: &mut O,
        queue: &Arc<Queue>,
        done: Sender<()>,
    ) {
        let Some(index) = self.core.lanes.find(queue) else {
            return;
        };
        let deadline = self.core.clock.now() + LANE_CLOSE_MAX;
        self.core.lanes.begin_close(index, deadline, done);
        self.stop_lane(operations, index);
    }

    /// Drops lanes that are closed and empty, and resets the connections of those whose time is over.
    pub(super) fn sweep_lanes<O: Operations>(&mut self, operations: &mut O) {
        for index in self.core.lanes.sweep(self.core.clock.now()) {
            for key in self.connections.keys() {
                self.with(operations, key, |core, _, operations, conn| {
                    core.reset_tunnels(conn, index, OpaqueEnd::Stopped);
                    if conn.lane() == Some(index) {
                        conn.ends_by(OpaqueEnd::Stopped);
                        core.reset(operations, conn);
                    }
                });
            }
        }
        // Those that have just become empty.
        self.core.lanes.sweep(self.core.clock.now());
    }

    /// Comes to the connections that a lane had something for, as many as may be in one turn.
    pub(super) fn come_to_listed<O: Operations>(&mut self, operations: &mut O) {
        for _ in 0..LISTED_PER_TURN {
            let Some(key) = self.core.listed.pop_front() else {
                return;
            };
            self.with(operations, key, |core, _, operations, conn| {
                core.take_from_list(operations, conn);
            });
        }
    }

    /// The worker ends: tells the lanes of connections that are left.
    pub(super) fn abandon_opaque(&mut self) {
        for conn in self.connections.iter_mut() {
            conn.ends_by(OpaqueEnd::Internal);
            self.core.tell_closed(conn);
            self.core.drop_streams(conn);
        }
    }

    /// Calls a lane that may then do something with any of its connections.
    fn call_lane<O: Operations>(
        &mut self,
        operations: &mut O,
        index: u32,
        call: impl FnOnce(&mut dyn OpaqueLane, &mut dyn OpaqueConnections),
    ) {
        let Some(mut lane) = self.core.lanes.take(index) else {
            return;
        };
        let mut connections = LaneConnections {
            core: &mut self.core,
            connections: &mut self.connections,
            operations,
            lane: index,
            current: None,
        };
        let called = catch_unwind(AssertUnwindSafe(|| call(&mut *lane, &mut connections)));
        let current = connections.current;
        self.core.lanes.put(index, Some(lane));
        if called.is_err() {
            tracing::error!("a lane panicked; the connection it was at, if any, is reset");
        }
        if let Some(key) = current {
            self.with(operations, key, |core, _, operations, conn| {
                core.break_off(operations, conn);
            });
        }
    }
}

/// A lane's connections, while it is called for no particular one.
struct LaneConnections<'a, O> {
    core: &'a mut Core,
    connections: &'a mut Connections,
    operations: &'a mut O,
    lane: u32,
    /// The one it is at.
    current: Option<ConnectionKey>,
}

impl<O: Operations> LaneConnections<'_, O> {
    fn with_stream(
        &mut self,
        key: OpaqueKey,
        act: &mut dyn FnMut(&mut dyn OpaqueConnection),
    ) -> bool {
        let Some((connection, stream)) = self.core.tunnels.find(key) else {
            return false;
        };
        let Some(conn) = self.connections.find(connection) else {
            return false;
        };
        self.current = Some(connection);
        let (core, operations, lane) = (&mut *self.core, &mut *self.operations, self.lane);
        let done = core.with_tunnel(operations, conn, stream, lane, act);
        self.current = None;
        self.core.list(conn);
        done
    }
}

impl<O: Operations> OpaqueConnections for LaneConnections<'_, O> {
    fn with(&mut self, key: OpaqueKey, act: &mut dyn FnMut(&mut dyn OpaqueConnection)) -> bool {
        if names_stream(key) {
            return self.with_stream(key, act);
        }
        let key = connection_key(key);
        let Some(conn) = self.connections.find(key) else {
            return false;
        };
        let is_its = matches!(&conn.receive, Receive::Opaque(opaque) if opaque.lane == self.lane);
        if !is_its || conn.closing {
            return false;
        }
        self.current = Some(key);
        act(&mut Io {
            core: self.core,
            operations: self.operations,
            conn,
        });
        self.current = None;
        self.core.list_if_needed(conn);
        true
    }
}

/// How long the connections of a closed queue's lane may take to end.
pub(crate) const LANE_CLOSE_MAX: Duration = Duration::from_secs(5);

/// Connections come to in one turn; the rest is left for the next, so that a message for all does not
/// keep the others waiting.
const LISTED_PER_TURN: usize = 1024;
