//! Streams that carry what their lane says, since an extended CONNECT was answered with 200.
//!
//! To the lane they are upgraded connections as any other. What it gives is put into DATA frames as the
//! peer's windows have room; the end of either side is the end of the stream. Source: RFC 8441 §5.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_engine::Unavailable;
use tidegate_httpapi::{
    ConnectionId, OpaqueConnection, OpaqueEnd, OpaqueKey, OpaqueLane, Opening, PeerAddress,
    ResponseHead, StreamReset,
};
use tidegate_os::{ConnectionKey, Operations};
use tidegate_proto::http2::{ErrorCode, StreamKey};

use crate::connection::respond::Seen;
use crate::connection::{Asked, Connection};
use crate::core::Core;
use crate::http2::{Early, Http2, Stream, StreamReceive, StreamRespond};
use crate::output::Output;
use crate::queue::Queue;

/// What a stream has of its own as a tunnel.
pub(super) struct Tunnel {
    lane: u32,
    key: OpaqueKey,
    /// What its lane will be told when it is no more.
    end: OpaqueEnd,
    /// Given by the lane and not in frames yet.
    output: Output,
    /// Bytes put into frames.
    framed: u64,
    /// The lane receives no more for now.
    paused: bool,
    /// Bytes for which the peer has not got room back.
    held: usize,
    /// Its lane wants to be told when all it gave is in frames.
    tells_sent: bool,
    /// Its lane has ended it: the stream ends when all has been sent.
    closing: bool,
    /// Our side has ended.
    ended: bool,
    /// The peer's side has ended.
    peer_ended: bool,
    /// To be reset when its lane returns.
    resets: bool,
}

impl Tunnel {
    /// Whether nothing but the end of our side is to be sent.
    pub(super) fn is_to_be_ended(&self) -> bool {
        self.closing && !self.ended && self.output.is_empty()
    }
}

/// Where the streams are that lanes name by their keys.
#[derive(Default)]
pub(crate) struct Tunnels {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    connection: Option<ConnectionKey>,
    stream: StreamKey,
    generation: u32,
}

impl Tunnels {
    fn insert(&mut self, connection: ConnectionKey, stream: StreamKey) -> OpaqueKey {
        let place = Place {
            connection: Some(connection),
            stream,
            generation: 0,
        };
        let index = match self.free.pop() {
            Some(index) => {
                let free = &mut self.places[index as usize];
                *free = Place {
                    generation: free.generation.wrapping_add(1),
                    ..place
                };
                index
            }
            None => {
                self.places.push(place);
                self.places.len() as u32 - 1
            }
        };
        OpaqueKey {
            index: index * 2 + 1,
            generation: self.places[index as usize].generation,
        }
    }

    fn remove(&mut self, key: OpaqueKey) {
        let index = key.index / 2;
        if let Some(place) = self.places.get_mut(index as usize)
            && place.generation == key.generation
            && place.connection.take().is_some()
        {
            self.free.push(index);
        }
    }

    /// Which stream of which connection a key names.
    pub(crate) fn find(&self, key: OpaqueKey) -> Option<(ConnectionKey, StreamKey)> {
        let place = self.places.get(key.index as usize / 2)?;
        if place.generation != key.generation {
            return None;
        }
        Some((place.connection?, place.stream))
    }
}

/// Whether a key names a stream rather than a connection: those have even numbers, these odd ones, so
/// that both stay small.
pub(crate) fn names_stream(key: OpaqueKey) -> bool {
    key.index % 2 == 1
}

impl Core {
    /// A request asks to become a tunnel: what arrives before it is one waits.
    pub(super) fn expect_tunnel(
        &mut self,
        conn: &Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
    ) {
        let stream = self.wait(conn, http2, key, asked);
        stream.receive = StreamReceive::Tunnel(Early::default());
    }

    /// Answers a request with 200 and gives its stream to the queue's lane.
    #[expect(
        clippy::too_many_arguments,
        reason = "a connection's parts, borrowed one by one"
    )]
    pub(super) fn open_tunnel<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        queue: &Arc<Queue>,
        head: ResponseHead,
        opening: Opening,
    ) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        let asked = stream.asked;
        // A lane that has said its goodbyes takes no more connections.
        if self.is_draining() || queue.is_closed() {
            let cause = Unavailable::AppShutdown;
            self.unavailable_stream(operations, conn, http2, key, false, cause, Seen::Nothing);
            return;
        }
        let lane = self.lanes.find(queue);
        let Some(lane) = lane.or_else(|| self.lanes.open(queue, &self.mailbox)) else {
            self.abandon_stream(conn, http2, key, asked);
            return;
        };
        self.send_tunnel_head(conn, http2, key, asked, &head);
        self.counters.count_response(head.status);
        self.pool.put(head.fields.into_memory());
        self.counters.upgraded.add(1);
        let opaque_key = self.tunnels.insert(conn.key, key);
        let Some(stream) = http2.stream(key) else {
            return;
        };
        let early = match &mut stream.receive {
            StreamReceive::Tunnel(early) => std::mem::take(early),
            _ => Early::default(),
        };
        stream.respond = StreamRespond::Tunnel(Box::new(Tunnel {
            lane,
            key: opaque_key,
            end: OpaqueEnd::Failed,
            output: Output::default(),
            framed: 0,
            paused: false,
            held: 0,
            tells_sent: false,
            closing: false,
            ended: false,
            peer_ended: false,
            resets: false,
        }));
        stream.deadline.clear();
        self.lanes.count_opened(lane);
        self.call_tunnel(operations, conn, http2, key, |lane, io| {
            lane.opened(io, opening);
        });
        if early.ended || !early.bytes.is_empty() {
            let Early { mut bytes, ended } = early;
            self.tunnel_data(operations, conn, http2, key, &mut bytes, ended);
        }
    }

    /// Hands content of a stream to its lane.
    pub(super) fn tunnel_data<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        bytes: &mut [u8],
        ended: bool,
    ) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        let StreamRespond::Tunnel(tunnel) = &mut stream.respond else {
            if let StreamReceive::Tunnel(early) = &mut stream.receive {
                // Bounded by the stream's window, of which nothing is given back.
                early.bytes.extend_from_slice(bytes);
                early.ended |= ended;
            }
            return;
        };
        let is_told = !tunnel.closing && !tunnel.peer_ended;
        tunnel.peer_ended |= ended;
        if is_told && !bytes.is_empty() {
            self.call_tunnel(operations, conn, http2, key, |lane, io| {
                lane.received(io, bytes);
            });
        }
        let Some(tunnel) = http2.tunnel(key) else {
            return;
        };
        if tunnel.paused {
            tunnel.held += bytes.len();
        } else if !ended {
            let out = conn.output.open_end(&mut self.pool);
            http2.codec.consumed(key, bytes.len(), out);
        }
        if ended {
            // Unless it has ended it meanwhile.
            let goes_on = http2.tunnel(key).is_some_and(|tunnel| !tunnel.closing);
            if is_told && goes_on {
                self.call_tunnel(operations, conn, http2, key, |lane, io| lane.peer_ended(io));
            }
            if http2.tunnel(key).is_some_and(|tunnel| tunnel.ended) {
                self.end_stream(conn, http2, key);
            }
        }
    }

    /// Puts one frame of what a lane has given into the output.
    pub(super) fn pump_tunnel(&mut self, conn: &mut Connection, http2: &mut Http2, key: StreamKey) {
        let max = self.frame_max(conn);
        let Http2 { codec, streams, .. } = http2;
        let Some(Some(stream)) = streams.get_mut(key.slot as usize) else {
            return;
        };
        let StreamRespond::Tunnel(tunnel) = &mut stream.respond else {
            return;
        };
        if tunnel.ended || (tunnel.output.is_empty() && !tunnel.closing) {
            return;
        }
        let out = conn.output.open_end(&mut self.pool);
        let available = tunnel.output.len().min(max);
        let last = tunnel.closing && available == tunnel.output.len();
        let Some(count) = codec.send_data(key, available, last, out) else {
            codec.want_send(key);
            return;
        };
        let part = tunnel.output.take_exactly(&mut self.pool, count);
        out.extend_from_slice(&part.head);
        part.tail
            .iter()
            .for_each(|piece| out.extend_from_slice(piece));
        self.pool.put_sent(part);
        tunnel.framed += count as u64;
        if !tunnel.output.is_empty() {
            codec.want_send(key);
            return;
        }
        if tunnel.closing {
            tunnel.ended = true;
            if tunnel.peer_ended {
                self.end_stream(conn, http2, key);
            } else {
                self.set_stream_due(http2, key, Some(LINGER));
            }
        } else if tunnel.tells_sent {
            http2.tells_sent = true;
        }
    }

    /// Tells lanes that all they gave has been put into frames, as they had asked.
    pub(super) fn tell_streams_sent<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
    ) {
        http2.tells_sent = false;
        let told: Vec<StreamKey> = http2
            .streams
            .iter_mut()
            .flatten()
            .filter_map(|stream| match &mut stream.respond {
                StreamRespond::Tunnel(tunnel) if tunnel.output.is_empty() => {
                    std::mem::take(&mut tunnel.tells_sent).then_some(stream.key)
                }
                _ => None,
            })
            .collect();
        for key in told {
            self.call_tunnel(operations, conn, http2, key, |lane, io| lane.sent(io));
        }
    }

    /// A tunnel's time has come.
    pub(super) fn tunnel_due<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
    ) {
        let Some(tunnel) = http2.tunnel(key) else {
            return;
        };
        if tunnel.ended {
            // The peer had its time to end its side.
            let code = ErrorCode::NoError.value();
            self.reset_stream(conn, http2, key, code);
        } else if !tunnel.closing {
            self.call_tunnel(operations, conn, http2, key, |lane, io| lane.due(io));
        }
    }

    /// A stream is no more: its lane hears of it, if it was a tunnel.
    pub(super) fn close_tunnel(&mut self, stream: &mut Stream) {
        let StreamRespond::Tunnel(tunnel) = &mut stream.respond else {
            return;
        };
        tunnel.output.clear(&mut self.pool);
        self.tunnels.remove(tunnel.key);
        self.lanes.closed(tunnel.lane, tunnel.key, tunnel.end);
        stream.respond = StreamRespond::Done;
    }

    /// Calls the lane of a stream.
    fn call_tunnel<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        call: impl FnOnce(&mut dyn OpaqueLane, &mut dyn OpaqueConnection),
    ) {
        let Some(tunnel) = http2.take_tunnel(key) else {
            return;
        };
        let index = tunnel.lane;
        let mut called = Called {
            index,
            lane: self.lanes.take(index),
            io: StreamIo {
                core: self,
                operations,
                conn,
                http2,
                stream: key,
                tunnel: Some(tunnel),
            },
        };
        let Called { lane, io, .. } = &mut called;
        if let Some(lane) = lane {
            call(&mut **lane, io);
        }
        drop(called);
        self.after_call(http2, key);
    }

    /// Sees to it that what a lane has asked for is done.
    fn after_call(&mut self, http2: &mut Http2, key: StreamKey) {
        let Some(tunnel) = http2.tunnel(key) else {
            return;
        };
        tunnel.output.tidy(&mut self.pool);
        if tunnel.resets {
            http2.resets = true;
            return;
        }
        let has_output = !tunnel.output.is_empty() || (tunnel.closing && !tunnel.ended);
        let tells_sent = tunnel.tells_sent && tunnel.output.is_empty();
        http2.asks |= tunnel.closing && tunnel.output.is_empty();
        if has_output {
            http2.codec.want_send(key);
        }
        http2.tells_sent |= tells_sent;
    }

    /// Has a lane do something with one of its streams, while it is called for no particular one.
    pub(crate) fn with_tunnel<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        key: StreamKey,
        lane: u32,
        act: &mut dyn FnMut(&mut dyn OpaqueConnection),
    ) -> bool {
        let done = self.with_http2(conn, |core, conn, http2| {
            let is_its = |tunnel: &mut Tunnel| tunnel.lane == lane && !tunnel.closing;
            if !http2.tunnel(key).is_some_and(is_its) {
                return false;
            }
            let tunnel = http2.take_tunnel(key);
            let mut called = Called {
                index: lane,
                // The lane is being called already.
                lane: None,
                io: StreamIo {
                    core,
                    operations,
                    conn,
                    http2,
                    stream: key,
                    tunnel,
                },
            };
            act(&mut called.io);
            drop(called);
            core.after_call(http2, key);
            true
        });
        done == Some(true)
    }

    /// Resets what is left of a lane's streams.
    pub(crate) fn reset_tunnels(&mut self, conn: &mut Connection, lane: u32, end: OpaqueEnd) {
        self.with_http2(conn, |core, conn, http2| {
            for stream in http2.streams.iter_mut().flatten() {
                if let StreamRespond::Tunnel(tunnel) = &mut stream.respond
                    && tunnel.lane == lane
                {
                    tunnel.end = end;
                    tunnel.resets = true;
                }
            }
            core.reset_as_asked(conn, http2);
        });
    }

    /// Resets the streams that are to be reset: their lanes, which hear of it, are not being called now.
    pub(super) fn reset_as_asked(&mut self, conn: &mut Connection, http2: &mut Http2) {
        http2.resets = false;
        let keys: Vec<StreamKey> = http2
            .streams
            .iter()
            .flatten()
            .filter(
                |stream| matches!(&stream.respond, StreamRespond::Tunnel(tunnel) if tunnel.resets),
            )
            .map(|stream| stream.key)
            .collect();
        for key in keys {
            self.reset_stream(conn, http2, key, StreamReset::CANCEL.code);
        }
    }
}

impl Http2 {
    fn tunnel(&mut self, key: StreamKey) -> Option<&mut Tunnel> {
        match &mut self.stream(key)?.respond {
            StreamRespond::Tunnel(tunnel) => Some(tunnel),
            _ => None,
        }
    }

    /// Takes a tunnel out, to be called with.
    fn take_tunnel(&mut self, key: StreamKey) -> Option<Box<Tunnel>> {
        let respond = &mut self.stream(key)?.respond;
        match std::mem::replace(respond, StreamRespond::Done) {
            StreamRespond::Tunnel(tunnel) => Some(tunnel),
            other => {
                *respond = other;
                None
            }
        }
    }

    /// Says why the tunnels end whose lanes have not ended them.
    pub(crate) fn tunnels_end_by(&mut self, end: OpaqueEnd) {
        for stream in self.streams.iter_mut().flatten() {
            if let StreamRespond::Tunnel(tunnel) = &mut stream.respond
                && !tunnel.closing
            {
                tunnel.end = end;
            }
        }
    }
}

/// A lane while it is called for a stream. Dropped, also by a panic, it puts lane and tunnel back.
struct Called<'a, O> {
    index: u32,
    lane: Option<Box<dyn OpaqueLane>>,
    io: StreamIo<'a, O>,
}

impl<O> Drop for Called<'_, O> {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.io.core.lanes.put(self.index, Some(lane));
        }
        if let Some(tunnel) = self.io.tunnel.take()
            && let Some(stream) = self.io.http2.stream(self.io.stream)
        {
            stream.respond = StreamRespond::Tunnel(tunnel);
        }
    }
}

/// A stream as its lane sees it.
struct StreamIo<'a, O> {
    core: &'a mut Core,
    operations: &'a mut O,
    conn: &'a mut Connection,
    http2: &'a mut Http2,
    stream: StreamKey,
    /// Here for the length of a call.
    tunnel: Option<Box<Tunnel>>,
}

impl<O> StreamIo<'_, O> {
    fn tunnel(&self) -> &Tunnel {
        self.tunnel
            .as_deref()
            .expect("here for the length of a call")
    }

    fn tunnel_mut(&mut self) -> &mut Tunnel {
        self.tunnel
            .as_deref_mut()
            .expect("here for the length of a call")
    }
}

impl<O: Operations> OpaqueConnection for StreamIo<'_, O> {
    fn key(&self) -> OpaqueKey {
        self.tunnel().key
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

    fn now(&self) -> Instant {
        self.core.clock.now()
    }

    fn output(&mut self) -> &mut Vec<u8> {
        let tunnel = self
            .tunnel
            .as_deref_mut()
            .expect("here for the length of a call");
        tunnel.output.open_end(&mut self.core.pool)
    }

    fn append(&mut self, bytes: Bytes) {
        if let Some(tunnel) = self.tunnel.as_deref_mut() {
            tunnel.output.append(&mut self.core.pool, bytes);
        }
    }

    fn unsent(&self) -> usize {
        self.tunnel().output.len()
    }

    fn bytes_sent(&self) -> u64 {
        self.tunnel().framed
    }

    fn is_held_back(&self) -> bool {
        self.conn.held.sends_later()
    }

    fn is_receive_held_back(&self) -> bool {
        self.conn.held.receives_later()
    }

    fn notify_sent(&mut self) {
        self.tunnel_mut().tells_sent = true;
    }

    fn pause_receive(&mut self) {
        self.tunnel_mut().paused = true;
    }

    fn resume_receive(&mut self) {
        let tunnel = self.tunnel_mut();
        tunnel.paused = false;
        let held = std::mem::take(&mut tunnel.held);
        if held > 0 {
            let out = self.conn.output.open_end(&mut self.core.pool);
            self.http2.codec.consumed(self.stream, held, out);
        }
    }

    fn set_due(&mut self, after: Option<Duration>) {
        self.core.set_stream_due(self.http2, self.stream, after);
    }

    fn end(&mut self) {
        let tunnel = self.tunnel_mut();
        tunnel.end = OpaqueEnd::Ended;
        tunnel.closing = true;
    }

    fn reset(&mut self) {
        let tunnel = self.tunnel.as_deref_mut();
        if let Some(tunnel) = tunnel {
            // Done when the lane has returned: until then the stream keeps its name.
            tunnel.end = OpaqueEnd::Ended;
            tunnel.closing = true;
            tunnel.resets = true;
            tunnel.output.clear(&mut self.core.pool);
        }
    }
}

/// How long the peer may take to end its side of a stream after ours has ended.
const LINGER: Duration = Duration::from_secs(2);
