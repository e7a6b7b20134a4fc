//! Content that is sent on streams: which goes next, how much of it, and where it comes from.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_engine::{ResponseFlow, SendRate, Sleep};
use tidegate_httpapi::{BodySource, FieldBlock, FlowRate, StreamReset};
use tidegate_os::Operations;
use tidegate_proto::http2::{ErrorCode, StreamKey};

use crate::bandwidth::Paced;
use crate::connection::Connection;
use crate::connection::stream::Signal;
use crate::core::Core;
use crate::http2::{Http2, Stream, StreamRespond};
use crate::mailbox::{Mailbox, RequestKey};
use crate::pieces::{self, Pieces};

/// A response's content, while it is being sent.
pub(super) struct Outgoing {
    /// What is there of it and has not been sent.
    ready: Bytes,
    /// Where more comes from.
    source: Option<Source>,
    /// What the application has yet to give to the length that was announced.
    left: Option<u64>,
    pub(super) trailers: Option<Box<FieldBlock>>,
    /// Whether the peer takes it fast enough.
    pub(super) rate: SendRate,
    /// Keeps it to its flow rate.
    flow: Option<Box<ResponseFlow>>,
    /// The rate is its own.
    paced: Option<Paced>,
    /// Waits until its flow rate lets it go on.
    is_paced: bool,
    /// Waits for the source, which may think as long as an application.
    pub(super) thinks: bool,
    /// Since something was last sent it has waited for other than the peer: its source, or its turn.
    has_been_held_up: bool,
}

struct Source {
    source: SourceKind,
    signal: Arc<Signal>,
    waker: Waker,
}

pub(super) enum SourceKind {
    /// The application.
    Application(Box<dyn BodySource>),
    /// It is there, and known to have the length that was announced.
    Pieces(Pieces),
}

/// What there is to send now.
enum Next {
    /// This, and whether it is the last.
    Content { last: bool },
    /// Some of a file.
    File,
    /// All has been sent but the end.
    End(Option<Box<FieldBlock>>),
    /// The source will say when it has more.
    Wait,
    /// It cannot go on.
    Broken(u32),
}

impl Outgoing {
    pub(super) fn new(
        content: Bytes,
        left: Option<u64>,
        trailers: Option<Box<FieldBlock>>,
        now: Instant,
    ) -> Self {
        Self {
            left,
            ready: content,
            source: None,
            trailers,
            rate: SendRate::begin(now),
            flow: None,
            paced: None,
            is_paced: false,
            thinks: false,
            has_been_held_up: true,
        }
    }

    /// It has a rate of its own.
    pub(super) fn begin_flow(&mut self, rate: FlowRate, now: Duration, paced: Paced) {
        self.flow = Some(Box::new(ResponseFlow::begin(rate, now)));
        self.paced = Some(paced);
    }

    /// Whether nothing of it is there.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    pub(super) fn set_source(
        &mut self,
        source: SourceKind,
        mailbox: &Arc<Mailbox>,
        request: RequestKey,
    ) {
        let signal = Signal::new(Arc::clone(mailbox), request);
        self.source = Some(Source {
            source,
            waker: Waker::from(Arc::clone(&signal)),
            signal,
        });
    }

    /// Its source has more. Its peer is judged by what it takes from now on.
    pub(super) fn wake(&mut self, now: Instant) {
        if std::mem::take(&mut self.thinks) {
            self.rate = SendRate::begin(now);
        }
    }

    /// Asks the source for more if nothing is there.
    fn next(&mut self) -> Next {
        for _ in 0..POLLS_MAX {
            if !self.ready.is_empty() {
                return Next::Content {
                    last: self.source.is_none() && self.trailers.is_none(),
                };
            }
            let Some(source) = &mut self.source else {
                // What an application announced and did not give cannot be made up.
                return match self.left {
                    Some(left) if left != 0 => Next::Broken(ErrorCode::Internal.value()),
                    _ => Next::End(self.trailers.take()),
                };
            };
            source.signal.listen();
            let given = match &mut source.source {
                SourceKind::Application(given) => given,
                SourceKind::Pieces(pieces) => match pieces.next() {
                    pieces::Next::Bytes => {
                        self.ready = pieces.take_bytes();
                        if matches!(pieces.next(), pieces::Next::End) {
                            self.source = None;
                        }
                        continue;
                    }
                    pieces::Next::File => return Next::File,
                    pieces::Next::Waiting => return Next::Wait,
                    pieces::Next::End => {
                        self.source = None;
                        continue;
                    }
                    pieces::Next::Broken(error) => return broken_file(&error),
                },
            };
            let mut context = Context::from_waker(&source.waker);
            match given.poll_chunk(&mut context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    if let Some(left) = &mut self.left {
                        match left.checked_sub(bytes.len() as u64) {
                            Some(rest) => *left = rest,
                            None => return Next::Broken(ErrorCode::Internal.value()),
                        }
                    }
                    self.ready = bytes;
                    if self.left == Some(0) {
                        self.end_source();
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "the source of a response failed");
                    let reset = error.get_ref().and_then(|error| error.downcast_ref());
                    let code = reset.map_or(ErrorCode::Internal.value(), |reset: &StreamReset| {
                        reset.code
                    });
                    return Next::Broken(code);
                }
                Poll::Ready(None) => self.end_source(),
                Poll::Pending => return Next::Wait,
            }
        }
        // Others get their turn first.
        if let Some(source) = &self.source {
            source.waker.wake_by_ref();
        }
        Next::Wait
    }

    fn end_source(&mut self) {
        if let Some(source) = self.source.take()
            && let SourceKind::Application(mut source) = source.source
            && let Some(trailers) = source.trailers()
        {
            self.trailers = Some(Box::new(trailers));
        }
    }

    /// Whether more of it is there: then it goes on when windows have room, and not before.
    fn has_pieces(&self) -> bool {
        let source = self.source.as_ref().map(|source| &source.source);
        matches!(source, Some(SourceKind::Pieces(_)))
    }

    /// The pieces that it is made of, if it is.
    pub(super) fn pieces(&mut self) -> Option<(&mut Pieces, &Waker)> {
        match &mut self.source {
            Some(Source {
                source: SourceKind::Pieces(pieces),
                waker,
                ..
            }) => Some((pieces, waker)),
            _ => None,
        }
    }
}

fn broken_file(error: &io::Error) -> Next {
    tracing::debug!(%error, "a file of a response cannot be sent");
    Next::Broken(ErrorCode::Internal.value())
}

impl Core {
    /// Puts frames into the output, of whom it is the turn, as far as windows and output have room.
    ///
    /// Says whether there is more to be done that no event will tell of.
    pub(crate) fn pump_streams<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
    ) -> bool {
        let more = self.with_http2(conn, |core, conn, http2| {
            if http2.waiting == 0 {
                return false;
            }
            for _ in 0..ROUNDS_MAX {
                if http2.resets {
                    core.reset_as_asked(conn, http2);
                }
                core.pump(conn, http2);
                if !http2.tells_sent {
                    break;
                }
                core.tell_streams_sent(operations, conn, http2);
            }
            http2.resets || http2.tells_sent
        });
        more == Some(true)
    }

    fn pump(&mut self, conn: &mut Connection, http2: &mut Http2) {
        let room = self.frame_max(conn);
        while self.has_output_room(conn)
            && conn.output.len() < room
            && let Some(key) = http2.codec.next_to_send()
        {
            self.pump_stream(conn, http2, key);
        }
        if http2.asks && self.has_output_room(conn) {
            self.ask_streams(conn, http2);
        }
    }

    /// Has the streams go on that a flow rate has held up.
    pub(crate) fn wake_flows(&mut self, conn: &mut Connection) {
        let now = self.clock.now();
        self.with_http2(conn, |_, _, http2| {
            let Http2 { codec, streams, .. } = http2;
            for stream in streams.iter_mut().flatten() {
                if let StreamRespond::Content(outgoing) = &mut stream.respond
                    && std::mem::take(&mut outgoing.is_paced)
                {
                    outgoing.wake(now);
                    codec.want_send(stream.key);
                }
            }
        });
    }

    /// Asks the streams that have nothing to send for more: an end needs no window, nor does a reset.
    ///
    /// Those whose windows are open have been asked when it was their turn.
    fn ask_streams(&mut self, conn: &mut Connection, http2: &mut Http2) {
        http2.asks = false;
        let asked: Vec<StreamKey> = http2
            .streams
            .iter()
            .flatten()
            .filter(|stream| stream.respond.is_to_be_asked())
            .map(|stream| stream.key)
            .collect();
        for key in asked {
            self.pump_stream(conn, http2, key);
        }
    }

    /// Puts one frame of a stream into the output.
    fn pump_stream(&mut self, conn: &mut Connection, http2: &mut Http2, key: StreamKey) {
        let Http2 {
            codec,
            streams,
            asks,
            ..
        } = http2;
        let place = streams.get_mut(key.slot as usize);
        let Some(Some(stream)) = place else {
            return;
        };
        if stream.key != key {
            return;
        }
        let outgoing = match &mut stream.respond {
            StreamRespond::Content(outgoing) => outgoing,
            StreamRespond::Tunnel(_) => return self.pump_tunnel(conn, http2, key),
            _ => return,
        };
        outgoing.thinks = false;
        let next = outgoing.next();
        let mut max = usize::MAX;
        if self.shaper.is_some() && matches!(next, Next::Content { .. } | Next::File) {
            max = self.frame_max(conn);
            let rate = stream.group.as_ref().and_then(|group| group.flow_rate);
            let now = self.shaped_now();
            match outgoing.flow_available(rate, now) {
                Ok(available) => max = max.min(available),
                Err(until) => {
                    outgoing.is_paced = true;
                    outgoing.thinks = true;
                    outgoing.has_been_held_up = true;
                    if let Some(shaper) = &mut self.shaper {
                        shaper.sleep(conn.key, until, Sleep::Send);
                    }
                    return;
                }
            }
        }
        if matches!(next, Next::Content { .. } | Next::File)
            && std::mem::take(&mut outgoing.has_been_held_up)
        {
            // Nothing waited for the peer meanwhile, so that it is not behind.
            outgoing.rate = SendRate::begin(self.clock.now());
        }
        let before = conn.output.len();
        match next {
            Next::Content { last } => {
                let out = conn.output.open_end(&mut self.pool);
                let available = outgoing.ready.len().min(max);
                let last = last && available == outgoing.ready.len();
                let Some(count) = codec.send_data(key, available, last, out) else {
                    codec.want_send(key);
                    self.settle_stream(http2, key);
                    return;
                };
                let piece = outgoing.ready.split_to(count);
                conn.output.append(&mut self.pool, piece);
                outgoing.taken(count, self.clock.now(), &stream.group);
                if outgoing.flow.is_some() {
                    outgoing.flow_taken(count, self.shaped_now());
                }
                self.log_stream_sent(conn, key, conn.output.len() - before);
                if last && outgoing.ready.is_empty() {
                    self.finish_stream(conn, http2, key);
                } else {
                    *asks |= outgoing.ready.is_empty() && !outgoing.has_pieces();
                    codec.want_send(key);
                    self.settle_stream(http2, key);
                }
            }
            Next::End(trailers) => {
                let out = conn.output.open_end(&mut self.pool);
                match trailers {
                    Some(trailers) => codec.send_trailers(key, &trailers, out),
                    None => {
                        codec.send_data(key, 0, true, out);
                    }
                }
                self.log_stream_sent(conn, key, conn.output.len() - before);
                self.finish_stream(conn, http2, key);
            }
            Next::Wait => {
                outgoing.thinks = true;
                outgoing.has_been_held_up = true;
            }
            Next::File => self.pump_file(conn, http2, key, max),
            Next::Broken(code) => self.reset_stream(conn, http2, key, code),
        }
    }
}

impl StreamRespond {
    /// Whether its content is for nobody once the peer has ended its side.
    pub(super) fn ends_with_peer(&self) -> bool {
        match self {
            Self::Content(outgoing) => {
                let source = outgoing.source.as_ref();
                source.is_some_and(|source| {
                    matches!(&source.source, SourceKind::Application(source) if source.ends_with_peer())
                })
            }
            _ => false,
        }
    }

    /// Whether it has nothing to send and may have come to its end.
    fn is_to_be_asked(&self) -> bool {
        match self {
            Self::Content(outgoing) => {
                outgoing.ready.is_empty() && !outgoing.thinks && !outgoing.has_pieces()
            }
            Self::Tunnel(tunnel) => tunnel.is_to_be_ended(),
            _ => false,
        }
    }
}

impl Outgoing {
    /// Until now, it was not the peer of this stream that was waited for.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.rate = SendRate::begin(now);
        self.has_been_held_up = true;
    }

    /// How many bytes its flow rate lets be sent now.
    fn flow_available(&mut self, rate: Option<FlowRate>, now: Duration) -> Result<usize, Duration> {
        let flow = match (&mut self.flow, rate) {
            (Some(flow), _) => flow,
            (None, None) => return Ok(usize::MAX),
            (place, Some(rate)) => place.insert(Box::new(ResponseFlow::begin(rate, now))),
        };
        let available = flow.available(u64::MAX, now)?;
        Ok(usize::try_from(available).unwrap_or(usize::MAX))
    }

    pub(super) fn flow_taken(&mut self, count: usize, now: Duration) {
        if let Some(flow) = &mut self.flow {
            flow.take(count as u64, now);
        }
    }

    pub(super) fn taken(
        &mut self,
        count: usize,
        now: Instant,
        group: &Option<Arc<tidegate_engine::GroupView<crate::queue::Queue>>>,
    ) {
        let rate = group
            .as_ref()
            .and_then(|group| group.timeouts.min_send_rate);
        if let Some(rate) = rate {
            self.rate.taken(count as u64, now, rate);
        }
    }
}

impl Stream {
    pub(super) fn request_key(&self, connection: tidegate_os::ConnectionKey) -> RequestKey {
        RequestKey {
            connection,
            request: self.request,
            slot: self.key.slot,
        }
    }
}

/// How often in a row lanes may be told that all they gave was taken.
const ROUNDS_MAX: usize = 16;

/// Pieces asked for at a time. A source of ever so many empty ones must not hold up the others.
const POLLS_MAX: usize = 1024;
