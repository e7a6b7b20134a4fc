//! A connection in opaque mode: from the 101 on, its bytes are its lane's matter, both ways.
//!
//! What arrives is handed over where it lies in the loop's buffer; what the lane gives is sent when it
//! returns. Of HTTP nothing is left but the end: from [`end`](OpaqueConnection::end) on the connection
//! goes the way of one whose last response is being sent, timers included.
//! Source: http-server-api §11.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_engine::Unavailable;
use tidegate_httpapi::{
    ConnectionId, OpaqueConnection, OpaqueEnd, OpaqueKey, OpaqueLane, Opening, PeerAddress,
    ResponseHead,
};
use tidegate_os::{ConnectionKey, Operations};
use tidegate_proto::http1::{ResponseContext, encode_head};

use crate::connection::respond::{Seen, response_context};
use crate::connection::{Connection, Receive, Respond};
use crate::core::Core;
use crate::queue::Queue;

/// What a connection has of its own in opaque mode.
pub(crate) struct Opaque {
    /// Index of its lane.
    pub(crate) lane: u32,
    /// What its lane will be told when it is no more.
    pub(crate) end: OpaqueEnd,
    /// To be reset when its lane returns.
    pub(crate) resets: bool,
    /// It is in the list of those that have something to be done when the worker comes to it.
    pub(crate) is_listed: bool,
    /// Its lane knows that the peer will send no more.
    peer_end_told: bool,
}

impl Core {
    /// Answers the present request with 101 and gives the connection to its queue's lane.
    pub(crate) fn upgrade<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        queue: &Arc<Queue>,
        head: ResponseHead,
        opening: Opening,
    ) {
        // A lane that has said its goodbyes takes no more connections.
        if self.is_draining() || queue.is_closed() {
            self.unavailable(operations, conn, Unavailable::AppShutdown, Seen::Nothing);
            return;
        }
        let lane = self.lanes.find(queue);
        let Some(lane) = lane.or_else(|| self.lanes.open(queue, &self.mailbox)) else {
            self.abandon(conn);
            return;
        };
        self.log_answer(conn, &head);
        self.switch_protocols(conn, head);
        self.end_measure(conn);
        self.log_answered(conn);
        self.counters.upgraded.add(1);
        conn.respond = Respond::Ready;
        conn.receive = Receive::Opaque(Opaque {
            lane,
            end: OpaqueEnd::Failed,
            resets: false,
            is_listed: false,
            peer_end_told: false,
        });
        conn.deadline.give_to_lane();
        // HTTP's window is no longer a reason to pause.
        self.resume(operations, conn);
        self.lanes.count_opened(lane);
        self.call_lane(operations, conn, |lane, io| lane.opened(io, opening));
        conn.ends = None;
    }

    /// As [`upgrade`](Self::upgrade), for a request that was answered away from this thread.
    pub(crate) fn upgrade_later<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        head: ResponseHead,
        opening: Opening,
    ) {
        let queue = conn.group.as_ref().and_then(|group| group.queue.as_ref());
        match queue.map(|queue| Arc::clone(&queue.queue)) {
            Some(queue) => self.upgrade(operations, conn, &queue, head, opening),
            None => self.abandon(conn),
        }
    }

    /// Appends the 101.
    fn switch_protocols(&mut self, conn: &mut Connection, mut head: ResponseHead) {
        head.fields
            .set("Connection", "Upgrade")
            .expect("a valid field line");
        let Self {
            shared,
            clock,
            pool,
            ..
        } = self;
        let context = ResponseContext {
            keep_alive: true,
            ..response_context(shared, clock, &conn.asked)
        };
        conn.output
            .encode(pool, |out| encode_head(out, &head, Some(0), &context));
        self.counters.count_response(head.status);
        self.pool.put(head.fields.into_memory());
    }

    /// Hands bytes to the lane.
    #[inline]
    pub(super) fn hand_over<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &mut [u8],
    ) {
        if !conn.closing {
            self.call_lane(operations, conn, |lane, io| lane.received(io, bytes));
        }
    }

    /// Tells the lane, once, that the peer will send no more.
    pub(super) fn tell_peer_end<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
    ) {
        if let Receive::Opaque(opaque) = &mut conn.receive
            && !std::mem::replace(&mut opaque.peer_end_told, true)
        {
            self.call_lane(operations, conn, |lane, io| lane.peer_ended(io));
        }
    }

    /// Tells the lane that its time has come.
    pub(super) fn tell_due<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if conn.closing {
            return;
        }
        self.call_lane(operations, conn, |lane, io| lane.due(io));
        if !conn.gone {
            self.drive(operations, conn);
        }
    }

    /// Tells the lane that all has been sent, as it had asked, and sends what it gives then.
    pub(super) fn tell_sent<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        for _ in 0..SENDS_MAX {
            conn.tells_sent = false;
            self.call_lane(operations, conn, |lane, io| lane.sent(io));
            if conn.gone {
                return;
            }
            // Not to be told by `drive`, which would end up here again.
            let tells_again = std::mem::take(&mut conn.tells_sent);
            self.drive(operations, conn);
            if !tells_again || conn.gone || conn.closing {
                return;
            }
            if conn.sending || conn.held.sends_later() {
                conn.tells_sent = true;
                return;
            }
        }
        // Others get their turn first.
        conn.tells_sent = true;
        self.list(conn);
    }

    /// Does for a listed connection what there is to be done.
    pub(crate) fn take_from_list<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
    ) {
        let opaque = match &mut conn.receive {
            Receive::Opaque(opaque) => opaque,
            Receive::Http2(Some(http2)) => {
                http2.is_listed = false;
                return self.drive(operations, conn);
            }
            _ => return,
        };
        opaque.is_listed = false;
        if opaque.resets {
            self.reset(operations, conn);
        } else {
            self.drive(operations, conn);
        }
    }

    /// Puts a connection into the list if its lane has left something to be done for it.
    #[inline]
    pub(crate) fn list_if_needed(&mut self, conn: &mut Connection) {
        conn.output.tidy(&mut self.pool);
        let resets = matches!(&conn.receive, Receive::Opaque(opaque) if opaque.resets);
        let has_news = conn.has_output() || conn.closing || conn.tells_sent;
        // What a send in progress keeps waiting goes out when that has ended.
        if resets || (has_news && !conn.sending && !conn.held.sends_later()) {
            self.list(conn);
        }
    }

    /// Puts a connection into the list of those that the worker comes to at the end of the turn.
    pub(crate) fn list(&mut self, conn: &mut Connection) {
        let is_listed = match &mut conn.receive {
            Receive::Opaque(opaque) => &mut opaque.is_listed,
            Receive::Http2(Some(http2)) => &mut http2.is_listed,
            _ => return,
        };
        if !std::mem::replace(is_listed, true) {
            self.listed.push_back(conn.key);
        }
    }

    /// The connection is no more: tells its lane, if it has one.
    pub(crate) fn tell_closed(&mut self, conn: &Connection) {
        if let Receive::Opaque(opaque) = &conn.receive {
            self.lanes
                .closed(opaque.lane, opaque_key(conn.key), opaque.end);
        }
    }

    /// Calls the connection's lane.
    #[inline]
    fn call_lane<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        call: impl FnOnce(&mut dyn OpaqueLane, &mut dyn OpaqueConnection),
    ) {
        let Receive::Opaque(Opaque { lane: index, .. }) = conn.receive else {
            return;
        };
        let mut called = Called {
            index,
            lane: self.lanes.take(index),
            io: Io {
                core: self,
                operations,
                conn,
            },
        };
        let Called { lane, io, .. } = &mut called;
        if let Some(lane) = lane {
            call(&mut **lane, io);
        }
        drop(called);
        conn.output.tidy(&mut self.pool);
        if let Receive::Opaque(Opaque { resets: true, .. }) = conn.receive {
            self.reset(operations, conn);
        }
    }
}

impl Connection {
    /// Says why it ends, if it is in opaque mode and its lane has not ended it already; and its streams.
    pub(crate) fn ends_by(&mut self, end: OpaqueEnd) {
        if let Some(http2) = self.http2() {
            http2.tunnels_end_by(end);
        }
        if let Receive::Opaque(opaque) = &mut self.receive
            && !self.ended
        {
            opaque.end = end;
        }
    }

    /// The index of its lane, if it is in opaque mode.
    pub(crate) fn lane(&self) -> Option<u32> {
        match &self.receive {
            Receive::Opaque(opaque) => Some(opaque.lane),
            _ => None,
        }
    }
}

/// A lane while it is called. Dropped, also by a panic, it puts the lane back.
struct Called<'a, O> {
    index: u32,
    lane: Option<Box<dyn OpaqueLane>>,
    io: Io<'a, O>,
}

impl<O> Drop for Called<'_, O> {
    #[inline]
    fn drop(&mut self) {
        self.io.core.lanes.put(self.index, self.lane.take());
    }
}

/// A connection as its lane sees it.
pub(crate) struct Io<'a, O> {
    pub(crate) core: &'a mut Core,
    pub(crate) operations: &'a mut O,
    pub(crate) conn: &'a mut Connection,
}

impl<O: Operations> OpaqueConnection for Io<'_, O> {
    #[inline]
    fn key(&self) -> OpaqueKey {
        opaque_key(self.conn.key)
    }

    fn id(&self) -> ConnectionId {
        self.conn.id
    }

    fn peer(&self) -> PeerAddress {
        self.core.peer(self.operations, self.conn)
    }

    fn local(&self) -> PeerAddress {
        self.core.local(self.operations, self.conn)
    }

    #[inline]
    fn now(&self) -> Instant {
        self.core.clock.now()
    }

    #[inline]
    fn output(&mut self) -> &mut Vec<u8> {
        self.conn.output.open_end(&mut self.core.pool)
    }

    fn append(&mut self, bytes: Bytes) {
        self.conn.output.append(&mut self.core.pool, bytes);
    }

    fn unsent(&self) -> usize {
        let pending = match self.conn.sending {
            true => self.operations.unsent(self.conn.key),
            false => 0,
        };
        self.conn.output.len() + pending
    }

    fn bytes_sent(&self) -> u64 {
        self.operations.bytes_sent(self.conn.key)
    }

    fn is_held_back(&self) -> bool {
        self.conn.held.sends_later()
    }

    fn is_receive_held_back(&self) -> bool {
        self.conn.held.receives_later()
    }

    fn notify_sent(&mut self) {
        self.conn.tells_sent = true;
    }

    fn pause_receive(&mut self) {
        self.core.pause(self.operations, self.conn);
    }

    fn resume_receive(&mut self) {
        self.core.resume(self.operations, self.conn);
    }

    fn set_due(&mut self, after: Option<Duration>) {
        self.core.set_due(self.conn, after);
    }

    fn end(&mut self) {
        if let Receive::Opaque(opaque) = &mut self.conn.receive {
            opaque.end = OpaqueEnd::Ended;
            self.core.close_after_output(self.conn);
        }
    }

    fn reset(&mut self) {
        if let Receive::Opaque(opaque) = &mut self.conn.receive {
            // Done when the lane has returned: until then the connection keeps its name.
            opaque.end = OpaqueEnd::Ended;
            opaque.resets = true;
            self.core.close_after_output(self.conn);
            self.conn.output.clear(&mut self.core.pool);
        }
    }
}

pub(crate) fn opaque_key(key: ConnectionKey) -> OpaqueKey {
    OpaqueKey {
        // Odd ones are of streams.
        index: key.index() * 2,
        generation: key.generation(),
    }
}

pub(crate) fn connection_key(key: OpaqueKey) -> ConnectionKey {
    ConnectionKey::from_bits(u64::from(key.generation) << 32 | u64::from(key.index / 2))
}

/// Sends in a row that a lane may have told of before others get their turn.
const SENDS_MAX: u32 = 16;
