//! What comes in on a connection: heads, content, and what is done with each.
//!
//! A request takes this way: parsed, its path cooked, routed, let into its group, then either answered
//! on the spot (HighPerf) or put into its queue (Classic).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidegate_engine::{ConnectionSlot, GroupView, Outcome, QueueView, Snapshot, Unavailable};
use tidegate_httpapi::{
    BodyError, ContentFraming, Exchange, Fields, OperatingMode, QueueProperties, RequestHead,
    RequestId, RequestLimits, Trailers, reason_phrase,
};
use tidegate_os::Operations;
use tidegate_proto::http1::{
    ChunkStep, ChunkedDecoder, Parsed, ParsedHead, Reject, cook_path, parse_head, worth_parsing,
};

use crate::connection::respond::Seen;
use crate::connection::{Asked, Connection, Content, Framing, Receive, Respond};
use crate::content::{ContentChannel, ContentReader, Pushed};
use crate::core::Core;
use crate::inline::{InlineContent, InlineExchange};
use crate::mailbox::RequestKey;
use crate::pending::{Closed, OwnedExchange, Pending};
use crate::queue::{Admission, Queue};
use crate::view::{KnownRoute, View};

impl Core {
    /// Takes bytes that were received. `position`: how many connections had bytes before this one in
    /// the same batch.
    #[inline]
    pub(crate) fn received<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &[u8],
        position: u32,
    ) {
        if conn.input.is_empty() {
            let consumed = self.take(view, operations, conn, bytes, position);
            if consumed < bytes.len() && !conn.gone {
                self.keep(conn, &bytes[consumed..]);
            }
        } else {
            let before = conn.input.len();
            conn.input.extend_from_slice(bytes);
            let waits_for_line = conn.is_between_requests()
                && conn.input_wanted == 0
                && !worth_parsing(&conn.input, before, &self.shared.settings.request_limits);
            if !waits_for_line {
                self.take_input(view, operations, conn, position);
            }
        }
        if conn.gone {
            return;
        }
        self.drive(operations, conn);
        let window = self.shared.settings.limits.receive_window_bytes as usize;
        if conn.input.len() > window && !self.waits_for_rest(conn) {
            self.pause(operations, conn);
        }
    }

    /// Goes on with what was received earlier, after something else has changed.
    pub(crate) fn go_on<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
    ) {
        loop {
            self.drive(operations, conn);
            if conn.gone || conn.input.is_empty() {
                break;
            }
            let before = (conn.input.len(), conn.request);
            self.take_input(view, operations, conn, 0);
            if conn.gone || (conn.input.len(), conn.request) == before {
                break;
            }
        }
        if conn.gone {
            return;
        }
        let window = self.shared.settings.limits.receive_window_bytes as usize;
        let content_waits = matches!(&conn.receive, Receive::Content(content) if content.paused);
        let has_room = conn.input.len() <= window / 2 || self.waits_for_rest(conn);
        if conn.receive_paused && !content_waits && has_room {
            self.resume(operations, conn);
        }
        // A peer that has sent its last and has no answer to wait for has been served.
        if conn.peer_closed && conn.is_between_requests() && !conn.closing {
            self.forget_input(conn);
            self.close_after_output(conn);
            self.drive(operations, conn);
        }
    }

    /// Whether all input is the beginning of one request, whose limits bound it: without the rest
    /// nothing could go on.
    fn waits_for_rest(&self, conn: &Connection) -> bool {
        let window = self.shared.settings.limits.send_window_bytes as usize;
        conn.is_between_requests() && conn.output.len() < window
    }

    fn take_input<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        position: u32,
    ) {
        let mut input = std::mem::take(&mut conn.input);
        let start = std::mem::take(&mut conn.input_start);
        let consumed = start + self.take(view, operations, conn, &input[start..], position);
        if conn.gone || consumed >= input.len() {
            self.pool.put(input);
            return;
        }
        // What is consumed is cut off when it is the larger part, so that a long row of small requests
        // is not moved once for each.
        if consumed * 2 > input.len() {
            input.drain(..consumed);
        } else {
            conn.input_start = consumed;
        }
        conn.input = input;
    }

    fn keep(&mut self, conn: &mut Connection, bytes: &[u8]) {
        if conn.input.capacity() == 0 {
            conn.input = self.pool.take();
        }
        conn.input.extend_from_slice(bytes);
    }

    pub(crate) fn forget_input(&mut self, conn: &mut Connection) {
        conn.input_start = 0;
        conn.input_wanted = 0;
        self.pool.put(std::mem::take(&mut conn.input));
    }

    pub(crate) fn pause<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if !conn.receive_paused {
            conn.receive_paused = true;
            operations.pause_receive(conn.key);
        }
    }

    pub(crate) fn resume<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if conn.receive_paused {
            conn.receive_paused = false;
            operations.resume_receive(conn.key);
        }
    }

    /// Takes requests and content from `bytes` as far as may be now. Says how many it has taken.
    fn take<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &[u8],
        position: u32,
    ) -> usize {
        let mut at = 0;
        while at < bytes.len() && !conn.gone {
            let rest = &bytes[at..];
            let taken = match &mut conn.receive {
                Receive::Discard => rest.len(),
                Receive::Content(_) => self.take_content(operations, conn, rest),
                Receive::Head => {
                    let window = self.shared.settings.limits.send_window_bytes as usize;
                    if !matches!(conn.respond, Respond::Ready)
                        || conn.output.len() >= window
                        || rest.len() < conn.input_wanted
                    {
                        break;
                    }
                    self.take_head(view, operations, conn, rest, position)
                }
            };
            if taken == 0 {
                break;
            }
            at += taken;
        }
        at
    }

    /// Takes one request's head and, if it is there, its content.
    #[inline]
    fn take_head<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &[u8],
        position: u32,
    ) -> usize {
        conn.input_wanted = 0;
        let View {
            snapshot,
            heads,
            spans,
            cooked,
        } = view;
        let parsed;
        let request = match heads.find(bytes) {
            Some(known) => ReceivedRequest {
                bytes,
                head: &known.head,
                fields: Fields::new(bytes, &known.spans),
                cooked_path: &known.cooked_path,
                route: Some(&known.route),
                position,
            },
            None => {
                parsed = match parse_head(bytes, &self.shared.settings.request_limits, spans) {
                    Parsed::Incomplete => return 0,
                    Parsed::Head(head) => head,
                    Parsed::Reject { reason, seen } => {
                        conn.asked = Asked::UNKNOWN;
                        let seen = Seen::Line(&seen, bytes);
                        self.refuse(operations, conn, Refused::Reject(reason), seen);
                        return bytes.len();
                    }
                };
                let raw_path = parsed.line.path.of(bytes);
                let cooked_path = if parsed.path_is_plain {
                    std::str::from_utf8(raw_path).unwrap_or_default()
                } else {
                    cooked.clear();
                    let limits = &self.shared.settings.request_limits;
                    if let Err(reason) = cook_path(raw_path, limits, cooked) {
                        conn.asked = Asked::of(&parsed);
                        let seen = Seen::Head(&parsed.line, bytes);
                        self.refuse(operations, conn, Refused::Reject(reason), seen);
                        return bytes.len();
                    }
                    cooked
                };
                heads.learn(&bytes[..parsed.head_bytes], &parsed, spans, cooked_path);
                ReceivedRequest {
                    bytes,
                    head: &parsed,
                    fields: Fields::new(bytes, spans),
                    cooked_path,
                    route: None,
                    position,
                }
            }
        };
        conn.asked = Asked::of(request.head);
        match self.serve(snapshot, operations, conn, &request) {
            Ok(taken) => taken,
            Err(refused) => {
                let seen = Seen::Head(&request.head.line, bytes);
                self.refuse(operations, conn, refused, seen);
                bytes.len()
            }
        }
    }

    /// Brings a parsed request to its application. Says how many bytes it took; 0: more are needed.
    #[inline]
    fn serve<O: Operations>(
        &mut self,
        snapshot: &Snapshot<Queue>,
        operations: &mut O,
        conn: &mut Connection,
        request: &ReceivedRequest<'_>,
    ) -> Result<usize, Refused> {
        let ReceivedRequest { bytes, head, .. } = *request;
        let hosts = self.hosts(snapshot, operations, conn, request)?;
        let entry = match snapshot.route(hosts, request.cooked_path) {
            Outcome::Registered(entry) => entry,
            Outcome::ReservedOnly => return Err(Refused::Unavailable(Unavailable::ReservedOnly)),
            Outcome::UnknownPath => return Err(Refused::NotFound),
            Outcome::UnknownHost => return Err(Refused::Reject(Reject::HostUnknown)),
        };
        self.enter(conn, &entry.group)?;
        let queue = entry.group.queue()?;
        let content = self.content(conn, request, &queue.properties)?;
        let (whole, taken) = match content {
            Expected::Whole(whole) => (Some(whole), head.head_bytes + whole.len()),
            Expected::Gather(bytes_wanted) => {
                conn.input_wanted = bytes_wanted;
                return Ok(0);
            }
            Expected::Arriving => (None, head.head_bytes),
        };
        conn.request = self.next_request();
        self.counters.requests += 1;
        let head = RequestHead {
            bytes: &bytes[..head.head_bytes],
            line: &head.line,
            fields: request.fields,
            cooked_path: request.cooked_path,
            framing: head.framing,
            expects_continue: head.expects_continue,
            registration: &entry.registration,
            connection_id: conn.id,
            request_id: RequestId(conn.request),
        };
        let content = match whole {
            Some(whole) => InlineContent::Whole(whole),
            None => InlineContent::Arriving(self.expect_content(conn, &head, queue)),
        };
        let properties = &queue.properties;
        if properties.operating_mode == OperatingMode::Classic {
            self.enqueue(operations, conn, &head, content, &queue.queue)?;
        } else {
            if !properties.skip_completion_on_success && request.position >= properties.queue_length
            {
                return Err(Refused::Unavailable(Unavailable::QueueFull));
            }
            self.call(operations, conn, &head, content, &queue.queue)?;
        }
        Ok(taken)
    }

    /// What is known of a request's content before the application is called.
    fn content<'b>(
        &self,
        conn: &mut Connection,
        request: &ReceivedRequest<'b>,
        properties: &QueueProperties,
    ) -> Result<Expected<'b>, Refused> {
        let ReceivedRequest { bytes, head, .. } = *request;
        let length = match head.framing {
            ContentFraming::None => return Ok(Expected::Whole(&[])),
            ContentFraming::Chunked => return Ok(Expected::Arriving),
            ContentFraming::Length(length) => length,
        };
        if properties.content_bytes_max.is_some_and(|max| length > max) {
            return Err(Refused::Reject(Reject::ContentTooLarge));
        }
        let rest = &bytes[head.head_bytes..];
        if rest.len() as u64 >= length {
            conn.asked.awaits_continue = false;
            return Ok(Expected::Whole(&rest[..length as usize]));
        }
        if !head.expects_continue && length <= u64::from(properties.content_gathered_max) {
            return Ok(Expected::Gather(head.head_bytes + length as usize));
        }
        Ok(Expected::Arriving)
    }

    fn expect_content(
        &mut self,
        conn: &mut Connection,
        head: &RequestHead<'_>,
        queue: &QueueView<Queue>,
    ) -> ContentReader {
        let channel = ContentChannel::new(
            Arc::clone(&self.mailbox),
            RequestKey {
                connection: conn.key,
                request: conn.request,
            },
            self.shared.settings.limits.receive_window_bytes as usize,
        );
        conn.receive = Receive::Content(Box::new(Content {
            framing: match head.framing {
                ContentFraming::Length(length) => Framing::Length(length),
                _ => Framing::Chunked(ChunkedDecoder::new()),
            },
            channel: Some(Arc::clone(&channel)),
            received: 0,
            limit: queue.properties.content_bytes_max,
            paused: false,
        }));
        ContentReader(channel)
    }

    /// Calls the application on this thread.
    #[inline]
    fn call<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        head: &RequestHead<'_>,
        content: InlineContent<'_>,
        queue: &Arc<Queue>,
    ) -> Result<(), Refused> {
        let slot = match Queue::admit(queue) {
            Admission::Call(slot) => slot,
            Admission::Wait => return self.enqueue(operations, conn, head, content, queue),
        };
        let mut exchange = InlineExchange {
            core: self,
            operations,
            conn,
            head,
            content,
            queue,
            slot,
        };
        let called = catch_unwind(AssertUnwindSafe(|| {
            queue.application().request(Exchange::new(&mut exchange));
        }));
        if called.is_err() {
            // The exchange was dropped while unwinding: the peer has got its 500.
            tracing::error!("an application panicked while it was given a request");
        }
        Ok(())
    }

    /// Puts a request into its queue.
    fn enqueue<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        head: &RequestHead<'_>,
        mut content: InlineContent<'_>,
        queue: &Arc<Queue>,
    ) -> Result<(), Refused> {
        // Looked at before anything is copied: under overload most requests end here.
        queue.has_room()?;
        let closed = Arc::new(Closed::default());
        let pending = Pending::new(
            Arc::clone(&self.mailbox),
            RequestKey {
                connection: conn.key,
                request: conn.request,
            },
            Arc::clone(&closed),
            None,
        );
        let exchange = OwnedExchange::new(
            head.to_owned(),
            content.take(),
            self.ends(operations, conn),
            Arc::clone(queue),
            pending,
        );
        Queue::push(queue, Box::new(exchange), self.clock.now())?;
        conn.respond = Respond::Application(closed);
        conn.queued = true;
        Ok(())
    }

    /// Counts a connection to the group its request was routed to.
    #[inline]
    fn enter(
        &mut self,
        conn: &mut Connection,
        group: &Arc<GroupView<Queue>>,
    ) -> Result<(), Refused> {
        if let Some(last) = &conn.group
            && Arc::ptr_eq(last, group)
        {
            return Ok(());
        }
        conn.group = Some(Arc::clone(group));
        let is_in = |slot: &ConnectionSlot| slot.is_of(&group.connections);
        if !conn.group_slot.as_ref().is_some_and(is_in) {
            conn.group_slot = group.connections.enter(group.connections_max);
            if conn.group_slot.is_none() {
                return Err(Refused::Unavailable(Unavailable::ConnectionLimit));
            }
        }
        Ok(())
    }

    /// Takes content of the present request.
    fn take_content<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &[u8],
    ) -> usize {
        let Receive::Content(content) = &mut conn.receive else {
            return 0;
        };
        // Whoever sends without waiting for `100 Continue` needs none.
        conn.asked.awaits_continue = false;
        match content.take(bytes, &self.shared.settings.request_limits) {
            Ok(Progress { taken, whole, full }) => {
                if whole {
                    conn.receive = Receive::Head;
                    conn.deadline.restart();
                } else if full {
                    self.pause(operations, conn);
                }
                taken
            }
            Err(broken) => {
                self.break_content(operations, conn, broken);
                bytes.len()
            }
        }
    }

    /// Ends a request whose content breaks a rule.
    fn break_content<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        broken: Reject,
    ) {
        let error = match broken {
            Reject::ContentTooLarge => BodyError::TooLarge {
                limit: conn.content_limit().unwrap_or(u64::MAX),
            },
            _ => BodyError::Malformed,
        };
        let nobody_reads = conn.end_content(Err(error));
        conn.asked.close = true;
        self.log(
            operations,
            conn,
            broken.reason(),
            Some(broken.status()),
            Seen::Nothing,
        );
        match conn.respond {
            // It was answered already: what follows cannot be understood.
            Respond::Ready => self.close_after_output(conn),
            // The application hears of it from its reader and answers; if it does not read, or waits
            // in the queue, nothing it says could be trusted to be about what was sent.
            Respond::Application(_) if nobody_reads => {
                self.disown(conn);
                let phrase = reason_phrase(broken.status());
                self.error_page(conn, broken.status(), phrase, broken.detail());
            }
            Respond::Application(_) | Respond::Stream(_) => conn.receive = Receive::Discard,
        }
    }
}

/// A request as the parser found it.
#[derive(Clone, Copy)]
pub(crate) struct ReceivedRequest<'a> {
    /// All bytes there are, from its first.
    pub(crate) bytes: &'a [u8],
    pub(crate) head: &'a ParsedHead,
    fields: Fields<'a>,
    cooked_path: &'a str,
    /// Where the same head was routed last, when it came before.
    pub(crate) route: Option<&'a Cell<Option<KnownRoute>>>,
    position: u32,
}

/// How a request's content will be had.
enum Expected<'a> {
    /// It is all there.
    Whole(&'a [u8]),
    /// It is short: worth waiting until so many bytes, from the head's first, are there.
    Gather(usize),
    /// It is passed on as it arrives.
    Arriving,
}

/// What was done with received content.
struct Progress {
    taken: usize,
    whole: bool,
    full: bool,
}

impl Content {
    /// Passes content on, up to its end.
    fn take(&mut self, bytes: &[u8], limits: &RequestLimits) -> Result<Progress, Reject> {
        let mut at = 0;
        let mut full = false;
        loop {
            let rest = &bytes[at..];
            let (piece, taken, whole) = match &mut self.framing {
                Framing::Length(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= count as u64;
                    (&rest[..count], count, *left == 0)
                }
                Framing::Chunked(decoder) => match decoder.decode(rest, limits)? {
                    ChunkStep::NeedMore { consumed } => (&rest[..0], consumed, false),
                    ChunkStep::Data { range, consumed } => (&rest[range], consumed, false),
                    ChunkStep::End { consumed } => (&rest[..0], consumed, true),
                },
            };
            at += taken;
            self.received += piece.len() as u64;
            if self.limit.is_some_and(|limit| self.received > limit) {
                return Err(Reject::ContentTooLarge);
            }
            if !piece.is_empty() {
                full |= self.pass_on(piece);
            }
            if whole {
                let trailers = self.trailers();
                if let Some(channel) = &self.channel {
                    channel.end(Ok(trailers));
                }
            }
            if whole || at >= bytes.len() || taken == 0 {
                self.paused = full && !whole;
                return Ok(Progress {
                    taken: at,
                    whole,
                    full: self.paused,
                });
            }
        }
    }

    /// Gives a piece to the reader. Says whether it has enough for now.
    fn pass_on(&mut self, piece: &[u8]) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        match channel.push(piece) {
            Pushed::Room => false,
            Pushed::Full => true,
            Pushed::NobodyReads => {
                self.channel = None;
                false
            }
        }
    }

    fn trailers(&mut self) -> Trailers {
        match &mut self.framing {
            Framing::Length(_) => Trailers::default(),
            Framing::Chunked(decoder) => decoder.take_trailers(),
        }
    }
}

/// Why a request does not reach its application.
pub(crate) enum Refused {
    /// It breaks a rule.
    Reject(Reject),
    /// Nothing is registered for its path.
    NotFound,
    /// Nobody can take it now.
    Unavailable(Unavailable),
}

impl From<Reject> for Refused {
    fn from(reason: Reject) -> Self {
        Self::Reject(reason)
    }
}

impl From<Unavailable> for Refused {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}
