//! What goes out on a connection: responses, refusals, interim responses, and the end.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_engine::{Refusal, Unavailable};
use tidegate_httpapi::{
    Body, BodyError, FieldBlock, RequestLine, ResponseHead, Verbosity503, Version, reason_phrase,
};
use tidegate_os::{FileRange, Operations};
use tidegate_proto::http1::{
    ParsedHead, PartialLine, ResponseContext, SentFraming, encode_error_page, encode_head,
    encode_interim,
};

use crate::bandwidth::own_rate;
use crate::cache::Found;
use crate::clock::Clock;
use crate::connection::log::{ERROR_CONNECTION_ABORTED, log_answer};
use crate::connection::request::Refused;
use crate::connection::stream::{Files, Pumped, ResponseStream, StreamContent};
use crate::connection::{Asked, Connection, Receive, Respond};
use crate::core::{Core, Shared};
use crate::output::COPIED_MAX;
use crate::pieces::Pieces;

impl Core {
    /// Answers the present request.
    #[inline(always)]
    pub(crate) fn answer(&mut self, conn: &mut Connection, head: ResponseHead, body: Body) {
        // A peer that still waits for `100 Continue` may or may not send its content after a final
        // answer: nothing that follows could be told apart from it (RFC 9110 §10.1.1).
        if conn.asked.awaits_continue || self.is_draining() {
            conn.asked.close = true;
        }
        // Version 1.0 closes always.
        let is_usual = !conn.asked.close && !conn.asked.head_request && head.extras.is_none();
        if let Some(content) = short(&body)
            && is_usual
        {
            let Self {
                usual_end, pool, ..
            } = self;
            let encoded = conn.output.encode(pool, |out| {
                let encoded = usual_end.encode(out, &head, content.len() as u64);
                if encoded {
                    out.extend_from_slice(content);
                }
                encoded
            });
            if encoded {
                self.counters.count_response(head.status);
                self.log_answer(conn, &head);
                self.pool.put(head.fields.into_memory());
                match body {
                    Body::Owned(memory) => self.pool.put(memory),
                    other => other.discard(),
                }
                // One that is answered as it is read has nothing there to be dropped.
                if !matches!(conn.respond, Respond::Ready) {
                    conn.respond = Respond::Ready;
                }
                self.end_measure(conn);
                self.log_answered(conn);
                return;
            }
        }
        self.answer_unusually(conn, head, body);
    }

    /// Answers a request from the cache, before its application or queue have heard of it.
    pub(crate) fn answer_found(&mut self, conn: &mut Connection, found: Found) {
        conn.request = self.next_request();
        match found {
            Found::AsItIs(place) => self.answer_stored(conn, place),
            Found::Made(made) => {
                let (head, body) = *made;
                self.answer(conn, head, body);
            }
        }
    }

    /// Answers with a stored response as it is.
    fn answer_stored(&mut self, conn: &mut Connection, place: u32) {
        let is_draining = self.is_draining();
        let Self {
            cache,
            pool,
            clock,
            request_log,
            ..
        } = self;
        let stored = cache.stored(place);
        log_answer(request_log, conn, &stored.head);
        conn.asked.close |= stored.wire.closes() || is_draining;
        let out = conn.output.open_end(pool);
        stored.wire.append(out, clock.date(), conn.asked.close);
        let content = &stored.content;
        if content.len() < COPIED_MAX {
            out.extend_from_slice(content);
        } else {
            conn.output.append(pool, content.clone());
        }
        self.counters.count_response(stored.head.status);
        self.finish_response(conn);
    }

    #[inline(never)]
    fn answer_unusually(&mut self, conn: &mut Connection, head: ResponseHead, body: Body) {
        if let Some(rate) = own_rate(&head) {
            self.begin_flow(conn, rate);
        }
        let length = body.length();
        let Self {
            shared,
            clock,
            pool,
            ..
        } = self;
        let context = response_context(shared, clock, &conn.asked);
        let encoded = conn
            .output
            .encode(pool, |out| encode_head(out, &head, length, &context));
        self.log_answer(conn, &head);
        self.counters.count_response(head.status);
        self.pool.put(head.fields.into_memory());
        conn.asked.close |= encoded.close;
        if encoded.send_content {
            if let Some(content) = short(&body) {
                conn.output
                    .encode(&mut self.pool, |out| out.extend_from_slice(content));
            }
            match body {
                Body::Static(bytes) if bytes.len() >= COPIED_MAX => {
                    self.append(conn, Bytes::from_static(bytes));
                }
                Body::Owned(bytes) if bytes.len() >= COPIED_MAX => self.append(conn, bytes.into()),
                Body::Owned(bytes) => self.pool.put(bytes),
                Body::Shared(bytes) if bytes.len() >= COPIED_MAX => self.append(conn, bytes),
                Body::Pieces(pieces) => {
                    let mut pieces = Pieces::new(pieces);
                    if !pieces.append_short(&mut conn.output, &mut self.pool) {
                        let content = StreamContent::Pieces(Box::new(pieces));
                        self.stream(conn, content, encoded.framing);
                        return;
                    }
                }
                Body::Stream { source, .. } => {
                    self.stream(conn, StreamContent::Source(source), encoded.framing);
                    return;
                }
                _ => {}
            }
        }
        self.finish_response(conn);
    }

    fn append(&mut self, conn: &mut Connection, bytes: Bytes) {
        conn.output.append(&mut self.pool, bytes);
    }

    fn stream(&mut self, conn: &mut Connection, content: StreamContent, framing: SentFraming) {
        let request = conn.request_key();
        let mailbox = Arc::clone(&self.mailbox);
        conn.respond = Respond::Stream(Box::new(ResponseStream::new(
            content, framing, mailbox, request,
        )));
    }

    /// The present request's response is all in the output.
    fn finish_response(&mut self, conn: &mut Connection) {
        conn.respond = Respond::Ready;
        self.end_measure(conn);
        self.log_answered(conn);
        // A stop that began during the response could not be announced in its head: its client may ask again, and
        // is told with that answer.
        if conn.asked.close {
            self.close_after_output(conn);
        }
    }

    /// Takes no further request; ends the connection when all has been sent.
    pub(crate) fn close_after_output(&mut self, conn: &mut Connection) {
        conn.closing = true;
        conn.end_content(Err(BodyError::Disconnected));
        self.forget_input(conn);
    }

    /// Sends an interim response, unless the peer would not understand it.
    pub(crate) fn inform(&mut self, conn: &mut Connection, status: u16, fields: &FieldBlock) {
        // RFC 9110 §15.2: a server must not send a 1xx response to an HTTP/1.0 client.
        if conn.asked.version >= Version::Http11 && !matches!(conn.respond, Respond::Stream(_)) {
            conn.output
                .encode(&mut self.pool, |out| encode_interim(out, status, fields));
        }
    }

    /// Answers 500 for a request that the application dropped.
    pub(crate) fn abandon(&mut self, conn: &mut Connection) {
        self.counters.abandoned.add(1);
        self.answer(conn, ResponseHead::new(500), Body::Empty);
    }

    /// Refuses what was received: the driver's own answer, then the end. One HTTPERR line.
    #[cold]
    pub(crate) fn refuse<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        refused: Refused,
        seen: Seen<'_>,
    ) {
        conn.request = self.next_request();
        let (status, reason, detail) = match refused.page() {
            Ok(page) => page,
            Err(cause) => return self.unavailable(operations, conn, cause, seen),
        };
        self.counters.count_rejected(status);
        self.log(operations, conn, reason, Some(status), seen);
        self.error_page(conn, status, reason_phrase(status), detail);
    }

    /// Refuses a request because nobody can take it now. One HTTPERR line.
    pub(crate) fn unavailable<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        cause: Unavailable,
        seen: Seen<'_>,
    ) {
        self.counters.count_refused(conn.group.as_deref(), cause);
        let verbosity = conn
            .group
            .as_ref()
            .and_then(|group| group.queue.as_ref())
            .map_or(Verbosity503::Basic, |queue| queue.properties.verbosity_503);
        match cause.answer(verbosity) {
            Refusal::Reset => {
                self.log(operations, conn, cause.log_reason(), None, seen);
                self.reset(operations, conn);
            }
            Refusal::Page { reason_phrase } => {
                self.log(operations, conn, cause.log_reason(), Some(503), seen);
                let detail = "The service is unavailable.";
                self.error_page(conn, 503, reason_phrase, detail);
            }
        }
    }

    /// Appends the driver's own error answer and ends the connection after it.
    pub(crate) fn error_page(
        &mut self,
        conn: &mut Connection,
        status: u16,
        reason_phrase: &str,
        detail: &str,
    ) {
        // What the driver answers itself is in the HTTPERR log.
        self.drop_log(conn);
        conn.measured_since = None;
        self.counters.count_response(status);
        let Self {
            shared,
            clock,
            pool,
            ..
        } = self;
        let context = ResponseContext {
            keep_alive: false,
            from_driver: true,
            ..response_context(shared, clock, &conn.asked)
        };
        conn.output.encode(pool, |out| {
            encode_error_page(out, status, reason_phrase, detail, &context);
        });
        conn.respond = Respond::Ready;
        conn.asked.close = true;
        self.close_after_output(conn);
    }

    /// Gives the loop what there is to send, asks a stream for more, ends what is done.
    pub(crate) fn drive<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if conn.held.sends_later() {
            return;
        }
        let mut sends = 0;
        loop {
            let file_max = self.file_max(conn);
            if let Respond::Stream(stream) = &mut conn.respond {
                if sends == SENDS_MAX {
                    stream.go_on_later();
                    break;
                }
                let window = self.shared.settings.limits.send_window_bytes as usize;
                let files = match (&conn.tls, conn.sending) {
                    (Some(_), _) => Files::Read,
                    (None, _) if file_max == 0 => Files::Read,
                    (None, false) => Files::Send { max: file_max },
                    (None, true) => Files::SendLater,
                };
                let reader = &self.shared.file_reader;
                match stream.pump(&mut conn.output, &mut self.pool, window, files, reader) {
                    Pumped::Full | Pumped::Waiting => {}
                    Pumped::File(range) => return self.send_file(operations, conn, range),
                    Pumped::Finished => self.finish_response(conn),
                    Pumped::Broken => {
                        self.log(operations, conn, "Internal", None, Seen::Nothing);
                        self.reset(operations, conn);
                        return;
                    }
                }
            }
            if matches!(conn.receive, Receive::Http2(_)) {
                if sends == SENDS_MAX {
                    // Others get their turn first.
                    self.list(conn);
                    break;
                }
                if self.pump_streams(operations, conn) {
                    self.list(conn);
                }
            }
            if conn.sending || !conn.has_output() {
                break;
            }
            let max = self.claim(conn);
            if max == 0 {
                return;
            }
            conn.sends_large = conn.output.len() > LARGE_SEND;
            self.counters.sends.add(1);
            let buffer = self.next_send(conn, max);
            match operations.send(conn.key, buffer) {
                Some(buffer) => {
                    let bytes = buffer.len() as u64;
                    self.counters.bytes_sent.add(bytes);
                    self.counters.count_sent(conn, bytes);
                    self.pool.put_sent(buffer);
                    self.log_given(conn);
                    sends += 1;
                }
                None => {
                    conn.sending = true;
                    break;
                }
            }
        }
        if (conn.closing || conn.tells_sent)
            && !conn.sending
            && matches!(conn.respond, Respond::Ready)
        {
            self.meet_sent(operations, conn);
        }
    }

    /// Gives the loop what there is to send and what follows it of a file.
    #[inline(never)]
    fn send_file<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        range: FileRange,
    ) {
        self.counters.sends.add(1);
        self.counters.bytes_sent.add(range.length);
        self.counters.count_sent(conn, range.length);
        let buffer = conn.output.take(&mut self.pool);
        if self.shaper.is_some() {
            self.count_shaped(conn, buffer.len() as u64 + range.length);
        }
        conn.log_taken(buffer.len() as u64 + range.length);
        match operations.send_file(conn.key, buffer, range) {
            Some(buffer) => {
                self.pool.put_sent(buffer);
                self.log_given(conn);
            }
            None => conn.sending = true,
        }
    }

    /// All has been sent on a connection that ends then, or whose lane waits for it.
    #[inline(never)]
    fn meet_sent<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if conn.closing {
            self.end(operations, conn);
        } else {
            self.tell_sent(operations, conn);
        }
    }

    /// Ends a connection on which all has been sent.
    ///
    /// Closing at once could make the system reset it, and the reset could overtake the answer when
    /// the peer is still sending (RFC 9112 §9.6). So we end our side and wait a while for the peer's.
    fn end<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if self.say_closed(conn) {
            let buffer = self.next_send(conn, usize::MAX);
            match operations.send(conn.key, buffer) {
                Some(buffer) => self.pool.put_sent(buffer),
                None => {
                    conn.sending = true;
                    return;
                }
            }
        }
        if conn.peer_closed {
            self.close(operations, conn);
        } else if !conn.ended {
            conn.ended = true;
            if conn.lane().is_none() {
                conn.receive = Receive::Discard;
            }
            self.resume(operations, conn);
            operations.shutdown_send(conn.key);
        }
    }

    /// Closes with a reset.
    pub(crate) fn reset<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        operations.reset(conn.key);
        self.closed(conn);
    }

    /// Closes.
    pub(crate) fn close<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        operations.close(conn.key);
        self.closed(conn);
    }

    /// Tells everybody concerned that the connection is no more. The worker removes it.
    fn closed(&mut self, conn: &mut Connection) {
        conn.gone = true;
        self.break_log(conn, ERROR_CONNECTION_ABORTED);
        self.drop_streams(conn);
        conn.end_content(Err(BodyError::Disconnected));
        self.disown(conn);
        conn.group_slot = None;
    }

    /// Takes a request away from the application, or out of the queue: it will not be answered by it.
    pub(crate) fn disown(&mut self, conn: &mut Connection) {
        if let Respond::Application(closed) = std::mem::replace(&mut conn.respond, Respond::Ready) {
            closed.set();
            self.withdraw(conn);
        }
    }

    /// Takes a request out of the queue, if it still waits there. Says whether it did.
    pub(crate) fn withdraw(&mut self, conn: &mut Connection) -> bool {
        std::mem::take(&mut conn.queued)
            && conn
                .group
                .as_ref()
                .and_then(|group| group.queue.as_ref())
                .is_some_and(|queue| queue.queue.withdraw(conn.request_key()))
    }
}

/// What the head of a response to a request depends on.
#[inline(always)]
pub(crate) fn response_context<'a>(
    shared: &'a Shared,
    clock: &'a Clock,
    asked: &Asked,
) -> ResponseContext<'a> {
    ResponseContext {
        version: asked.version,
        head_request: asked.head_request,
        keep_alive: !asked.close,
        date: clock.date(),
        server_token: &shared.settings.server_token,
        server_mode: shared.settings.server_header,
        from_driver: false,
    }
}

/// Windows of a streamed response sent at a time to a peer that takes them at once.
const SENDS_MAX: u32 = 16;

/// Content so short that it is copied behind its head.
#[inline]
pub(crate) fn short(body: &Body) -> Option<&[u8]> {
    let content: &[u8] = match body {
        Body::Empty => &[],
        Body::Static(bytes) => bytes,
        Body::Owned(bytes) => bytes,
        Body::Shared(bytes) => bytes,
        _ => return None,
    };
    (content.len() < COPIED_MAX).then_some(content)
}

/// A send up to this length is taken by the system at once, unless the peer has not taken earlier ones.
const LARGE_SEND: usize = 64 * 1024;

/// What the error log can still say of a request.
#[derive(Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// No request.
    Nothing,
    /// What was read of its first line, and the bytes it was read from.
    Line(&'a PartialLine, &'a [u8]),
    /// A whole request line, and the bytes it was read from.
    Head(&'a RequestLine, &'a [u8]),
}

impl Asked {
    pub(crate) fn of(head: &ParsedHead) -> Self {
        Self {
            version: head.line.version,
            head_request: head.head_request,
            close: head.close,
            awaits_continue: head.expects_continue,
        }
    }

    /// What a stream's answer depends on, but for what its request says.
    pub(crate) const STREAM: Self = Self {
        version: Version::Http2,
        head_request: false,
        close: false,
        awaits_continue: false,
    };

    /// A GET of HTTP/1.1 on a connection that stays open.
    pub(crate) const PLAIN: Self = Self {
        version: Version::Http11,
        ..Self::STREAM
    };

    /// What is assumed of a peer before its request is understood.
    pub(crate) const UNKNOWN: Self = Self {
        version: Version::Http11,
        head_request: false,
        close: true,
        awaits_continue: false,
    };
}
