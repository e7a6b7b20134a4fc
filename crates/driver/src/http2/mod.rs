//! HTTP/2 on a connection: the codec, and what each stream's request has of its own.
//!
//! A stream takes the way of an HTTP/1 request (`connection/request.rs`): routed, let in, called or
//! queued. A request that is answered at once leaves nothing here but frames in the output; whatever
//! waits (for content, for the application, for the peer's window) has a [`Stream`]. What is received is
//! in `receive`, a request's way in `request`, answers in `respond`, content that is being sent in
//! `send`, what of it is of files in `files`; `messages` takes what other threads say, `deadline`
//! watches, `tunnel` carries WebSocket. Frames, windows and limits are `proto::http2`'s matter. Source: RFC 9113; http-server-api §11.

mod content;
mod deadline;
mod exchange;
mod files;
mod messages;
mod receive;
mod request;
mod respond;
mod send;
mod tunnel;

pub(crate) use tunnel::{Tunnels, names_stream};

use std::sync::Arc;

use tidegate_engine::GroupView;
use tidegate_httpapi::BodyError;
use tidegate_proto::http2::{Connection as Codec, StreamKey};

use crate::cache::KnownStored;
use crate::connection::log::Arrival;
use crate::connection::{Asked, Connection, Receive};
use crate::core::Core;
use crate::counting::Measured;
use crate::http2::content::StreamContent;
use crate::http2::deadline::{Progress, StreamDeadline};
use crate::http2::send::Outgoing;
use crate::http2::tunnel::Tunnel;
use crate::mailbox::RequestKey;
use crate::pending::Closed;
use crate::queue::Queue;
use crate::view::KnownRoute;

/// The HTTP/2 state of a connection.
pub(crate) struct Http2 {
    codec: Codec,
    /// Streams that wait for something, by slot.
    streams: Vec<Option<Box<Stream>>>,
    /// How many there are.
    waiting: usize,
    /// No stream's deadline is before this tick; 0: none has one.
    due: u32,
    /// What the peer takes while streams wait for their turn.
    progress: Option<Box<Progress>>,
    /// Where the last head was routed, which the next may be equal to.
    route: Option<KnownRoute>,
    /// What the cache had for it.
    stored: Option<KnownStored>,
    /// Streams of which it is measured how long their requests take, by slot.
    measured: Vec<Option<Measured>>,
    /// That head's number.
    serial: u64,
    /// Bytes of the present head's frames.
    head_bytes: u64,
    /// It is in the list of connections that the worker comes to.
    pub(crate) is_listed: bool,
    /// Some stream's lane wants it to be reset.
    resets: bool,
    /// It has given back the memory that busy connections need.
    rests: bool,
    /// Some lane wants to be told that all it gave for a stream has been taken.
    tells_sent: bool,
    /// Some stream is to be asked whether it ends, which it may do without a window.
    asks: bool,
}

/// A stream whose request waits for something.
pub(crate) struct Stream {
    key: StreamKey,
    /// The number of its request.
    request: u64,
    asked: Asked,
    /// Where it was routed.
    group: Option<Arc<GroupView<Queue>>>,
    /// Its request, until that goes to the application.
    arrival: Arrival,
    /// It was put into the queue and may still wait there.
    queued: bool,
    /// It was reset, by the peer or by us. The application may not know yet.
    reset: bool,
    receive: StreamReceive,
    respond: StreamRespond,
    deadline: StreamDeadline,
}

/// What becomes of content that arrives.
enum StreamReceive {
    /// It has ended.
    Ended,
    /// It is gathered, or passed on to who reads it.
    Content(StreamContent),
    /// It is a tunnel's.
    Tunnel(Early),
}

/// What has come on a tunnel before a lane has it.
#[derive(Default)]
struct Early {
    bytes: Vec<u8>,
    /// The peer's side has ended.
    ended: bool,
}

impl StreamReceive {
    /// Whether the peer's side has ended.
    fn has_ended(&self) -> bool {
        match self {
            Self::Ended => true,
            Self::Content(_) => false,
            Self::Tunnel(early) => early.ended,
        }
    }
}

/// Where a stream's answer stands.
enum StreamRespond {
    /// The application has not been called: content is being gathered.
    NotAsked,
    /// The request waits for the application or is with it.
    Application(Arc<Closed>),
    /// Its content is being sent.
    Content(Box<Outgoing>),
    /// The stream carries what its lane says.
    Tunnel(Box<Tunnel>),
    /// All has been said.
    Done,
}

impl Http2 {
    fn new(codec: Codec) -> Self {
        Self {
            codec,
            streams: Vec::new(),
            waiting: 0,
            due: 0,
            progress: None,
            route: None,
            stored: None,
            measured: Vec::new(),
            serial: 0,
            head_bytes: 0,
            is_listed: false,
            resets: false,
            rests: false,
            tells_sent: false,
            asks: false,
        }
    }

    /// How many requests are in progress.
    pub(crate) fn requests(&self) -> u32 {
        u32::try_from(self.waiting).unwrap_or(u32::MAX)
    }

    /// Whether no request is in progress.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Whether the peer waits for nothing any more. The application may still work on streams that were
    /// reset.
    fn is_done(&self) -> bool {
        self.is_idle() || self.streams.iter().flatten().all(|stream| stream.reset)
    }

    /// Whether a head has begun to come and is not whole.
    pub(crate) fn has_open_head(&self) -> bool {
        self.codec.has_open_block()
    }

    /// From now on it may come to rest.
    pub(crate) fn wake(&mut self) {
        self.rests = false;
    }

    /// Nothing has happened for a while: gives back memory that only a busy connection needs. Says whether
    /// it had not done so before.
    pub(crate) fn rest(&mut self) -> bool {
        if self.waiting == 0 {
            self.streams = Vec::new();
            self.measured = Vec::new();
            self.progress = None;
            self.codec.idle();
        }
        !std::mem::replace(&mut self.rests, true)
    }

    fn stream(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(key.slot as usize)?.as_deref_mut();
        stream.filter(|stream| stream.key == key)
    }

    /// The stream of a request, unless that has ended.
    fn stream_of(&mut self, request: RequestKey) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(request.slot as usize)?.as_deref_mut();
        stream.filter(|stream| stream.request == request.request)
    }

    fn insert(&mut self, stream: Stream) -> &mut Stream {
        let index = stream.key.slot as usize;
        if index >= self.streams.len() {
            self.streams.resize_with(index + 1, || None);
        }
        let place = &mut self.streams[index];
        if place.is_none() {
            self.waiting += 1;
        }
        place.insert(Box::new(stream))
    }

    fn remove(&mut self, key: StreamKey) -> Option<Box<Stream>> {
        let place = self.streams.get_mut(key.slot as usize)?;
        let removed = place.take_if(|stream| stream.key == key);
        if removed.is_some() {
            self.waiting -= 1;
            if self.waiting == 0 {
                self.due = 0;
            }
        }
        removed
    }
}

impl Stream {
    fn new(
        key: StreamKey,
        request: u64,
        asked: Asked,
        group: Option<Arc<GroupView<Queue>>>,
        began: u32,
    ) -> Self {
        Self {
            key,
            request,
            asked,
            group,
            arrival: Arrival { began, received: 0 },
            queued: false,
            reset: false,
            receive: StreamReceive::Ended,
            respond: StreamRespond::NotAsked,
            deadline: StreamDeadline::default(),
        }
    }

    /// Ends its content early, for whoever reads it.
    fn end_content(&mut self, error: BodyError) {
        if let StreamReceive::Content(content) = &self.receive {
            content.end(Err(error));
        }
        self.receive = StreamReceive::Ended;
    }

    /// Tells whoever works on it that nobody waits for the answer.
    fn tell_closed(&mut self) {
        if let StreamRespond::Application(closed) = &self.respond {
            closed.set();
        }
        if let StreamReceive::Content(content) = &self.receive {
            content.end(Err(BodyError::Disconnected));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.tell_closed();
    }
}

impl Connection {
    /// Its HTTP/2 state, if it speaks that.
    pub(crate) fn http2(&mut self) -> Option<&mut Http2> {
        match &mut self.receive {
            Receive::Http2(http2) => http2.as_deref_mut(),
            _ => None,
        }
    }
}

impl Core {
    /// Does something with a connection's HTTP/2 state beside the rest of it.
    ///
    /// Meanwhile it is not in its place: who closes the connection must not come in between. A panic
    /// drops it, and with it everybody who works on its streams hears of their end.
    fn with_http2<T>(
        &mut self,
        conn: &mut Connection,
        act: impl FnOnce(&mut Self, &mut Connection, &mut Http2) -> T,
    ) -> Option<T> {
        let Receive::Http2(place) = &mut conn.receive else {
            return None;
        };
        let mut http2 = place.take()?;
        let result = act(self, conn, &mut http2);
        if let Receive::Http2(place) = &mut conn.receive {
            *place = Some(http2);
        }
        Some(result)
    }

    /// The connection is no more: its streams are none either.
    pub(crate) fn drop_streams(&mut self, conn: &mut Connection) {
        self.break_streams_log(conn);
        self.with_http2(conn, |core, conn, http2| {
            for place in &mut http2.streams {
                if let Some(mut stream) = place.take() {
                    core.withdraw_stream(conn, &mut stream);
                    core.close_tunnel(&mut stream);
                }
            }
            http2.waiting = 0;
        });
    }

    /// Takes a stream's request out of the queue, if it still waits there.
    fn withdraw_stream(&mut self, conn: &Connection, stream: &mut Stream) -> bool {
        if !std::mem::take(&mut stream.queued) {
            return false;
        }
        let request = RequestKey {
            connection: conn.key,
            request: stream.request,
            slot: stream.key.slot,
        };
        let queue = stream.group.as_ref().and_then(|group| group.queue.as_ref());
        queue.is_some_and(|queue| queue.queue.withdraw(request))
    }
}
