//! One connection, the server's side: frames in, events out, and frames out again.
//!
//! This file holds the state and finds frames in the bytes; what they mean is in the files below, by frame.
//! Source: RFC 9113 §3.4, §4, §5.4, §6.

mod content;
mod control;
mod go_away;
mod head;
mod send;
mod turns;

use tidegate_httpapi::{FloodAnswer, Http2Limits, RequestLimits, Trailers};

use self::content::DataFrame;
use self::go_away::Leaving;
pub use self::go_away::STREAMS_AFTER_GO_AWAY_MAX;
use self::head::{HeadMemo, OpenBlock};
use super::error::{ErrorCode, Failure, Fault};
use super::event::{Event, Step, StreamKey};
use super::flood::Counters;
use super::flow::{ReceiveWindow, SendWindow};
use super::frame::{
    FrameHead, PAYLOAD_BYTES_MAX, PREFACE, flag, kind, write_go_away, write_reset,
    write_window_update,
};
use super::hpack::{DEFAULT_TABLE_BYTES_MAX, Decoder, Encoder, HeaderList};
use super::priority::{EarlyPriorities, SendQueue};
use super::request::{Head, list_limits};
use super::response::Memo;
use super::settings::{self, DEFAULT_WINDOW_BYTES};
use super::stream::{Closed, Reset, Streams};

/// The server's side of one HTTP/2 connection.
///
/// Takes what the peer sent by [`receive`](Self::receive) and tells what it means; appends what is to be sent
/// to an output that the caller has. Knows no sockets and no clock.
#[derive(Debug)]
pub struct Connection {
    limits: Http2Limits,
    request_limits: RequestLimits,
    phase: Phase,
    /// The frame whose content is being taken.
    data: DataFrame,
    /// The header block that is not whole.
    open_block: Option<Box<OpenBlock>>,
    decoder: Decoder,
    list: HeaderList,
    head: Head,
    memo: HeadMemo,
    trailers: Trailers,
    encoder: Encoder,
    response_memo: Memo,
    streams: Streams,
    closed: Closed,
    queue: SendQueue,
    early_priorities: EarlyPriorities,
    send: SendWindow,
    /// The initial window of streams that we send on.
    send_initial: u32,
    receive: ReceiveWindow,
    /// The window of streams that we receive on, as far as the peer knows.
    receive_initial: u32,
    /// The one that we announced.
    stream_window: u32,
    settings_acknowledged: bool,
    counters: Counters,
    leaving: Leaving,
    peer_is_leaving: bool,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The client preface is awaited.
    Preface,
    /// The first frame is awaited.
    Settings,
    Open,
    Failed,
}

impl Connection {
    /// A connection that begins. Appends what a server says first: its settings, and a window for the
    /// connection of [`CONNECTION_WINDOW_BYTES`].
    ///
    /// `stream_window` is how many bytes of content a stream may hold that nobody has read; at most 2³¹−1.
    pub fn new(
        limits: &Http2Limits,
        request_limits: &RequestLimits,
        stream_window: u32,
        out: &mut Vec<u8>,
    ) -> Self {
        settings::write_ours(out, limits, request_limits, stream_window);
        write_window_update(out, 0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
        let table_bytes_max = limits.header_table_bytes_max;
        Self {
            limits: limits.clone(),
            request_limits: request_limits.clone(),
            phase: Phase::Preface,
            data: DataFrame::NONE,
            open_block: None,
            // Less holds only when the peer has acknowledged it.
            decoder: Decoder::new(table_bytes_max.max(DEFAULT_TABLE_BYTES_MAX)),
            list: HeaderList::new(list_limits(request_limits)),
            head: Head::default(),
            memo: HeadMemo::default(),
            trailers: Trailers::default(),
            encoder: Encoder::new(DEFAULT_TABLE_BYTES_MAX),
            response_memo: Memo::default(),
            streams: Streams::default(),
            closed: Closed::default(),
            queue: SendQueue::default(),
            early_priorities: EarlyPriorities::default(),
            send: SendWindow::new(DEFAULT_WINDOW_BYTES),
            send_initial: DEFAULT_WINDOW_BYTES,
            receive: ReceiveWindow::new(CONNECTION_WINDOW_BYTES),
            // RFC 9113 §6.9.3: so does a smaller window.
            receive_initial: stream_window.max(DEFAULT_WINDOW_BYTES),
            stream_window,
            settings_acknowledged: false,
            counters: Counters::default(),
            leaving: Leaving::default(),
            peer_is_leaving: false,
        }
    }

    /// Takes from the front of `bytes`: the next frame, or a part of a DATA frame; first of all the client
    /// preface. Call it with the rest until it gives [`Event::Incomplete`].
    ///
    /// What has to be said at once is appended to `out`. `minute` is a number that changes each minute; the
    /// counters of [`Http2Limits`] begin anew with it.
    #[inline]
    pub fn receive(&mut self, bytes: &mut [u8], minute: u32, out: &mut Vec<u8>) -> Step {
        self.counters.begin(minute);
        match self.take(bytes, out) {
            Ok(step) => step,
            Err(fault) => self.fail(bytes.len(), fault, out),
        }
    }

    /// The head of the request told of last.
    #[inline]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Takes that head out, so that it can be read while answers are written. Give it back by
    /// [`put_head`](Self::put_head): the next request may be equal to it.
    #[inline]
    pub fn take_head(&mut self) -> Head {
        self.memo.is_lent = true;
        let serial = self.head.serial;
        std::mem::replace(
            &mut self.head,
            Head {
                serial,
                ..Head::default()
            },
        )
    }

    /// Gives back the head that was taken out.
    #[inline]
    pub fn put_head(&mut self, head: Head) {
        if head.serial == self.head.serial {
            self.memo.is_lent = false;
            self.head = head;
        }
    }

    /// The trailer section told of last.
    pub fn take_trailers(&mut self) -> Trailers {
        std::mem::take(&mut self.trailers)
    }

    /// How many streams there are that were not released.
    #[inline]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether a header block has begun and is not whole: the peer has to go on with it before anything else.
    #[inline]
    pub fn has_open_block(&self) -> bool {
        self.open_block.is_some()
    }

    /// Gives back the memory that requests needed. Call it when there has been no stream for a while; nothing
    /// happens if there is one.
    pub fn idle(&mut self) {
        if self.streams.len() != 0 || self.open_block.is_some() {
            return;
        }
        self.streams.clear();
        self.closed.clear();
        self.queue.clear();
        self.early_priorities.clear();
        self.list = HeaderList::new(list_limits(&self.request_limits));
        let serial = self.head.serial;
        self.head = Head {
            serial,
            ..Head::default()
        };
        self.memo = HeadMemo::default();
        self.response_memo = Memo::default();
        self.trailers = Trailers::default();
    }

    #[inline(always)]
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Step, Fault> {
        if self.phase != Phase::Open
            && let Some(step) = self.begin(bytes)?
        {
            return Ok(step);
        }
        if self.data.is_in_progress() {
            return Ok(self.go_on_with_data(bytes));
        }
        let Some(head) = FrameHead::parse(bytes) else {
            return Ok(INCOMPLETE);
        };
        let len = head.len as usize;
        if len > PAYLOAD_BYTES_MAX {
            let reason = "frame longer than SETTINGS_MAX_FRAME_SIZE";
            return Err(Fault::new(ErrorCode::FrameSize, reason));
        }
        if let Some(open) = &self.open_block
            && (head.kind != kind::CONTINUATION || head.stream != open.stream)
        {
            return Err(Fault::protocol("header block interrupted"));
        }
        if head.kind == kind::DATA {
            return self.begin_data(&head, bytes, out);
        }
        let Some(payload) = bytes.get(FrameHead::LEN..FrameHead::LEN + len) else {
            return Ok(INCOMPLETE);
        };
        let event = match head.kind {
            kind::HEADERS => self.take_headers(&head, payload, out)?,
            kind::WINDOW_UPDATE => self.take_window_update(&head, payload, out)?,
            _ => self.take_other(&head, payload, out)?,
        };
        Ok(Step::new(FrameHead::LEN + len, event))
    }

    /// The frames that come seldom.
    #[inline(never)]
    fn take_other(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        match head.kind {
            kind::CONTINUATION => self.take_continuation(head, payload, out),
            kind::RST_STREAM => self.take_reset(head, payload),
            kind::SETTINGS => self.take_settings(head, payload, out),
            kind::PING => self.take_ping(head, payload, out),
            kind::GOAWAY => self.take_go_away(head, payload),
            kind::PRIORITY => self.take_priority(head, payload, out),
            kind::PRIORITY_UPDATE => self.take_priority_update(head, payload),
            // RFC 9113 §8.4: a client cannot push.
            kind::PUSH_PROMISE => Err(Fault::protocol("PUSH_PROMISE from a client")),
            // RFC 9113 §5.5.
            _ => Ok(Event::Nothing),
        }
    }

    /// Takes the preface, sees to it that SETTINGS follow, and ignores what comes after a failure.
    #[cold]
    #[inline(never)]
    fn begin(&mut self, bytes: &[u8]) -> Result<Option<Step>, Fault> {
        match self.phase {
            Phase::Preface => {
                let len = bytes.len().min(PREFACE.len());
                if bytes[..len] != PREFACE[..len] {
                    return Err(Fault::protocol("no client preface"));
                }
                if len < PREFACE.len() {
                    return Ok(Some(INCOMPLETE));
                }
                self.phase = Phase::Settings;
                Ok(Some(Step::new(len, Event::Nothing)))
            }
            Phase::Settings => match FrameHead::parse(bytes) {
                None => Ok(Some(INCOMPLETE)),
                Some(head) if head.kind == kind::SETTINGS && !head.has(flag::ACK) => Ok(None),
                Some(_) => Err(Fault::protocol("the first frame is not SETTINGS")),
            },
            Phase::Open => Ok(None),
            Phase::Failed => Ok(Some(Step::new(bytes.len(), Event::Incomplete))),
        }
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, consumed: usize, fault: Fault, out: &mut Vec<u8>) -> Step {
        self.phase = Phase::Failed;
        self.open_block = None;
        self.data = DataFrame::NONE;
        let abrupt = fault.is_flood && self.limits.on_flood == FloodAnswer::Close;
        if !abrupt {
            write_go_away(
                out,
                self.leaving.last_stream(self.closed.last()),
                fault.code,
            );
        }
        let failure = Failure {
            code: fault.code,
            reason: fault.reason,
            is_flood: fault.is_flood,
            abrupt,
        };
        Step::new(consumed, Event::Failed(failure))
    }

    /// Resets a stream because of what the peer did. RFC 9113 §5.4.2.
    ///
    /// `ended`: the peer's side has ended with what it did.
    #[cold]
    #[inline(never)]
    fn break_stream(
        &mut self,
        slot: u32,
        code: ErrorCode,
        ended: bool,
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        let stream = self.streams.at(slot);
        stream.reset = Reset::Us;
        stream.remote_ended |= ended;
        let id = stream.id;
        write_reset(out, id, code.value());
        self.counters.server_reset(&self.limits)?;
        let stream = StreamKey { slot, id };
        Ok(Event::Broken { stream, code })
    }

    /// Resets a stream that nobody was told of.
    #[cold]
    #[inline(never)]
    fn refuse_stream(
        &mut self,
        id: u32,
        code: ErrorCode,
        ended: bool,
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        if !ended {
            self.closed.expect_late_frames(id);
        }
        write_reset(out, id, code.value());
        self.counters.server_reset(&self.limits)?;
        Ok(Event::Nothing)
    }

    /// Whether the client has never used this identifier: the stream is idle. RFC 9113 §5.1.
    #[inline]
    fn is_idle(&self, id: u32) -> bool {
        // Streams with even identifiers would be ours; we open none.
        id > self.closed.last() || id.is_multiple_of(2)
    }
}

/// The window of a connection: how much content may come before we say more.
///
/// Content is bounded by the windows of streams; this one is only as large as needed for that.
pub const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

const INCOMPLETE: Step = Step::new(0, Event::Incomplete);
