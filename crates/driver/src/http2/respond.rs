//! What goes out on a stream: answers, refusals, interim responses, resets.

use bytes::Bytes;
use tidegate_engine::{Refusal, Unavailable};
use tidegate_httpapi::{Body, FieldBlock, FlowRate, ResponseHead, Verbosity503, reason_phrase};
use tidegate_os::Operations;
use tidegate_proto::http1::error_page;
use tidegate_proto::http2::{ErrorCode, SentHead, StreamKey, wants_close};

use crate::bandwidth::own_rate;
use crate::cache::Found;
use crate::connection::log::log_stream_answer;
use crate::connection::respond::{Seen, response_context, short};
use crate::connection::{Asked, Connection};
use crate::core::Core;
use crate::counting::forget_measure;
use crate::http2::send::{Outgoing, SourceKind};
use crate::http2::{Http2, StreamReceive, StreamRespond};
use crate::output::COPIED_MAX;
use crate::pieces::{Next, Pieces};

impl Core {
    /// Answers a stream's request.
    #[inline]
    pub(super) fn answer_stream(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
        head: ResponseHead,
        body: Body,
    ) {
        self.give_answer(conn, http2, key, asked, head, body);
    }

    /// Answers a stream's request from the cache, before its application or queue have heard of it.
    pub(super) fn answer_stream_found(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        found: Found,
    ) {
        conn.request = self.next_request();
        let place = match found {
            Found::AsItIs(place) => place,
            Found::Made(made) => {
                let (head, body) = *made;
                return self.answer_stream(conn, http2, key, Asked::STREAM, head, body);
            }
        };
        let Self {
            cache,
            counters,
            shared,
            clock,
            pool,
            request_log,
            ..
        } = self;
        let stored = cache.stored(place);
        counters.count_response(stored.head.status);
        let context = response_context(shared, clock, &Asked::STREAM);
        let out = conn.output.open_end(pool);
        if stored.wire.closes() {
            http2.codec.begin_go_away(out);
        }
        let length = Some(stored.content.len() as u64);
        let before = out.len();
        let sent = http2
            .codec
            .send_head(key, &stored.head, length, &context, out);
        let content = &stored.content;
        if sent.ended || !http2.codec.is_open(key) {
            let bytes = out.len() - before;
            log_stream_answer(request_log, conn, key, &stored.head, bytes);
            return self.finish_stream(conn, http2, key);
        }
        if content.len() < COPIED_MAX
            && http2.codec.send_window(key) >= content.len()
            && http2.codec.send_data(key, content.len(), true, out) == Some(content.len())
        {
            out.extend_from_slice(content);
            let bytes = out.len() - before;
            log_stream_answer(request_log, conn, key, &stored.head, bytes);
            return self.finish_stream(conn, http2, key);
        }
        let bytes = out.len() - before;
        log_stream_answer(request_log, conn, key, &stored.head, bytes);
        let content = Body::Shared(content.clone());
        self.answer_in_pieces(conn, http2, key, Asked::STREAM, (sent, None, None), content);
    }

    #[inline]
    fn give_answer(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
        mut head: ResponseHead,
        body: Body,
    ) {
        self.counters.count_response(head.status);
        let trailers = head.trailers.take();
        let rate = own_rate(&head);
        let length = match &trailers {
            // A head that ends its stream could have none.
            Some(_) => body.length().filter(|&length| length > 0),
            None => body.length(),
        };
        let sent = self.send_stream_head(conn, http2, key, asked, &head, length);
        self.pool.put(head.fields.into_memory());
        if sent.ended || !http2.codec.is_open(key) {
            self.finish_stream(conn, http2, key);
            return;
        }
        if let Some(content) = short(&body)
            && trailers.is_none()
            && rate.is_none()
            && sent
                .length
                .is_none_or(|length| length == content.len() as u64)
            && http2.codec.send_window(key) >= content.len()
        {
            let out = conn.output.open_end(&mut self.pool);
            let before = out.len();
            if http2.codec.send_data(key, content.len(), true, out) == Some(content.len()) {
                out.extend_from_slice(content);
                let bytes = out.len() - before;
                self.log_stream_sent(conn, key, bytes);
                if let Body::Owned(memory) = body {
                    self.pool.put(memory);
                }
                self.finish_stream(conn, http2, key);
                return;
            }
        }
        self.answer_in_pieces(conn, http2, key, asked, (sent, trailers, rate), body);
    }

    /// Has content sent as the peer's windows and the socket have room.
    #[inline(never)]
    fn answer_in_pieces(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
        (sent, trailers, rate): (SentHead, Option<Box<FieldBlock>>, Option<FlowRate>),
        body: Body,
    ) {
        let given = match &body {
            Body::Stream { .. } => None,
            body => body.length(),
        };
        if let (Some(given), Some(announced)) = (given, sent.length)
            && given != announced
        {
            // The application announced another length: a message that is malformed must not end well.
            self.reset_stream(conn, http2, key, ErrorCode::Internal.value());
            return;
        }
        let mut left = None;
        let (content, source) = match body {
            Body::Static(bytes) => (Bytes::from_static(bytes), None),
            Body::Owned(bytes) => (bytes.into(), None),
            Body::Shared(bytes) => (bytes, None),
            Body::Pieces(pieces) => {
                let mut pieces = Pieces::new(pieces);
                if trailers.is_none()
                    && rate.is_none()
                    && self.send_short_file(conn, http2, key, &mut pieces)
                {
                    self.finish_stream(conn, http2, key);
                    return;
                }
                let is_empty = matches!(pieces.next(), Next::End);
                let source = (!is_empty).then_some(SourceKind::Pieces(pieces));
                (Bytes::new(), source)
            }
            Body::Stream { source, .. } => {
                left = sent.length;
                (Bytes::new(), Some(SourceKind::Application(source)))
            }
            _ => (Bytes::new(), None),
        };
        let now = self.clock.now();
        let mut outgoing = Outgoing::new(content, left, trailers, now);
        if let Some(rate) = rate {
            outgoing.begin_flow(rate, self.shaped_now(), self.begin_paced());
        }
        // What has only an end left needs no window.
        http2.asks |= outgoing.is_empty();
        let stream = self.wait(conn, http2, key, asked);
        if let Some(source) = source {
            outgoing.set_source(source, &self.mailbox, stream.request_key(conn.key));
        }
        stream.respond = StreamRespond::Content(Box::new(outgoing));
        http2.codec.want_send(key);
    }

    /// Appends a response's head.
    #[inline]
    pub(super) fn send_stream_head(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
        head: &ResponseHead,
        length: Option<u64>,
    ) -> SentHead {
        let Self {
            shared,
            clock,
            pool,
            ..
        } = self;
        let context = response_context(shared, clock, &asked);
        let out = conn.output.open_end(pool);
        // Case T06: the peer is asked to open no more streams, then gets its answer.
        if wants_close(head) {
            http2.codec.begin_go_away(out);
        }
        let before = out.len();
        let sent = http2.codec.send_head(key, head, length, &context, out);
        let bytes = out.len() - before;
        self.log_stream_answer(conn, key, head, bytes);
        sent
    }

    /// Appends the head of an extended CONNECT's acceptance.
    pub(super) fn send_tunnel_head(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
        head: &ResponseHead,
    ) {
        let Self {
            shared,
            clock,
            pool,
            ..
        } = self;
        let context = response_context(shared, clock, &asked);
        let out = conn.output.open_end(pool);
        let before = out.len();
        http2.codec.send_tunnel_head(key, head, &context, out);
        let bytes = out.len() - before;
        self.log_stream_answer(conn, key, head, bytes);
        // What follows is its lane's.
        self.end_stream_measure(&mut http2.measured, key);
        self.log_stream_answered(conn, key);
    }

    /// A stream's response is all in the output.
    #[inline]
    pub(super) fn finish_stream(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
    ) {
        self.end_stream_measure(&mut http2.measured, key);
        self.log_stream_answered(conn, key);
        if http2.waiting > 0
            && let Some(stream) = http2.stream(key)
        {
            stream.respond = StreamRespond::Done;
            let is_read = match &stream.receive {
                StreamReceive::Content(content) => content.is_read(),
                StreamReceive::Ended | StreamReceive::Tunnel(_) => false,
            };
            if is_read && !stream.reset {
                // Whoever reads the content goes on to do so.
                return;
            }
        }
        self.end_stream(conn, http2, key);
    }

    /// Sends an interim response.
    pub(super) fn inform_stream(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        status: u16,
        fields: &FieldBlock,
    ) {
        let out = conn.output.open_end(&mut self.pool);
        http2.codec.send_interim(key, status, fields, out);
    }

    /// Ends a stream with a code of the application's (case T05), or of ours.
    pub(super) fn reset_stream(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        code: u32,
    ) {
        let out = conn.output.open_end(&mut self.pool);
        http2.codec.reset(key, code, out);
        if let Some(stream) = http2.stream(key) {
            stream.reset = true;
        }
        self.end_stream(conn, http2, key);
    }

    /// Answers 500 for a request that the application dropped.
    pub(super) fn abandon_stream(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
    ) {
        self.counters.abandoned.add(1);
        self.answer_stream(conn, http2, key, asked, ResponseHead::new(500), Body::Empty);
    }

    /// Refuses a request because nobody can take it now. One HTTPERR line.
    ///
    /// Where HTTP/1 resets the connection, the stream is refused: its request was not begun, so the
    /// client may send it again (RFC 9113 §8.7), and others on the connection go on.
    #[cold]
    #[expect(
        clippy::too_many_arguments,
        reason = "a connection's parts, borrowed one by one"
    )]
    pub(super) fn unavailable_stream<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        head_request: bool,
        cause: Unavailable,
        seen: Seen<'_>,
    ) {
        let group = match http2.stream(key) {
            Some(stream) => stream.group.as_ref(),
            None => conn.group.as_ref(),
        };
        self.counters
            .count_refused(group.map(|group| &**group), cause);
        let verbosity = group
            .and_then(|group| group.queue.as_ref())
            .map_or(Verbosity503::Basic, |queue| queue.properties.verbosity_503);
        match cause.answer(verbosity) {
            Refusal::Reset => {
                self.log(operations, conn, cause.log_reason(), None, seen);
                self.reset_stream(conn, http2, key, ErrorCode::RefusedStream.value());
            }
            Refusal::Page { reason_phrase } => {
                self.log(operations, conn, cause.log_reason(), Some(503), seen);
                let detail = "The service is unavailable.";
                self.stream_page(conn, http2, key, head_request, 503, reason_phrase, detail);
            }
        }
    }

    /// Answers with the driver's own page, as on HTTP/1; the connection goes on (case T04).
    #[expect(
        clippy::too_many_arguments,
        reason = "a connection's parts, borrowed one by one"
    )]
    pub(super) fn stream_page(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        head_request: bool,
        status: u16,
        phrase: &str,
        detail: &str,
    ) {
        // What the driver answers itself is in the HTTPERR log.
        self.drop_stream_log(conn, key);
        forget_measure(&mut http2.measured, key);
        let phrase = match phrase {
            "" => reason_phrase(status),
            given => given,
        };
        let (mut head, page) = error_page(status, phrase, detail);
        head.close = false;
        let asked = Asked {
            head_request,
            ..Asked::STREAM
        };
        if let Some(stream) = http2.stream(key) {
            stream.end_content(tidegate_httpapi::BodyError::Disconnected);
        }
        self.give_answer(conn, http2, key, asked, head, Body::Owned(page));
    }
}
