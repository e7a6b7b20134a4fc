//! A stream's content while it arrives: gathered, or passed on to who reads it.
//!
//! The peer may send a window of it; it gets room for more as content is read. What nobody reads is
//! dropped, and nothing is said of room: the stream ends soon.

use std::sync::Arc;

use tidegate_httpapi::{BodyError, Trailers};
use tidegate_os::Operations;
use tidegate_proto::http1::Reject;
use tidegate_proto::http2::{Head, StreamKey};

use crate::connection::respond::Seen;
use crate::connection::{Asked, Connection};
use crate::content::{ContentChannel, ContentReader, Pushed, Window};
use crate::core::Core;
use crate::http2::{Http2, StreamReceive, StreamRespond};
use crate::mailbox::RequestKey;
use crate::view::View;

/// By how many windows a stream's window becomes larger that is read as fast as it comes: the peer of a long
/// upload then waits less often for room. As much may be held for it if its reader stops after all.
const WIDENED_BY: u32 = 3;

/// Content that is arriving.
pub(super) enum StreamContent {
    /// It is short: the application is called when it is whole.
    Gather {
        head: Box<Head>,
        content: Vec<u8>,
        length: usize,
    },
    /// It is passed on.
    PassOn(PassOn),
}

pub(super) struct PassOn {
    /// Who reads it; `None` when nobody will.
    channel: Option<Arc<ContentChannel>>,
    received: u64,
    /// The most accepted.
    limit: Option<u64>,
    /// Bytes for which the peer has not got room back.
    held: usize,
    /// The reader has enough for now.
    paused: bool,
    /// The peer has got a larger window.
    is_widened: bool,
}

impl StreamContent {
    pub(super) fn gather(head: Box<Head>, content: Vec<u8>, length: usize) -> Self {
        Self::Gather {
            head,
            content,
            length,
        }
    }

    pub(super) fn into_gathered(self) -> Option<(Box<Head>, Vec<u8>)> {
        match self {
            Self::Gather { head, content, .. } => Some((head, content)),
            Self::PassOn(_) => None,
        }
    }

    /// Whether somebody reads it, or will.
    pub(super) fn is_read(&self) -> bool {
        match self {
            Self::Gather { .. } => true,
            Self::PassOn(content) => content.channel.is_some(),
        }
    }

    /// Whether more of it may come now.
    pub(super) fn is_awaited(&self) -> bool {
        match self {
            Self::Gather { .. } => true,
            Self::PassOn(content) => !content.paused,
        }
    }

    /// Says that no more comes.
    pub(super) fn end(&self, end: Result<Trailers, BodyError>) {
        if let Self::PassOn(PassOn {
            channel: Some(channel),
            ..
        }) = self
        {
            channel.end(end);
        }
    }
}

impl Core {
    /// Has a stream's content passed on as it arrives.
    pub(super) fn expect_stream_content(
        &mut self,
        conn: &Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
        limit: Option<u64>,
    ) -> ContentReader {
        let request = RequestKey {
            connection: conn.key,
            request: conn.request,
            slot: key.slot,
        };
        // Half the peer's window: while the reader keeps up, it never has to wait for room.
        let window = self.shared.settings.limits.receive_window_bytes as usize / 2;
        // What grows is the peer's window.
        let window = Window::new(window, window);
        let channel = ContentChannel::new(
            Arc::clone(&self.mailbox),
            Arc::clone(&self.pieces),
            request,
            window,
        );
        let stream = self.wait(conn, http2, key, asked);
        stream.receive = StreamReceive::Content(StreamContent::PassOn(PassOn {
            channel: Some(Arc::clone(&channel)),
            received: 0,
            limit,
            held: 0,
            paused: false,
            is_widened: false,
        }));
        ContentReader(channel)
    }

    /// Passes on, whole, content that was gathered, and what came after it.
    pub(super) fn fill_stream_content(
        &mut self,
        http2: &mut Http2,
        key: StreamKey,
        content: &[u8],
        trailers: Trailers,
    ) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        if let StreamReceive::Content(StreamContent::PassOn(PassOn {
            channel: Some(channel),
            ..
        })) = &stream.receive
        {
            channel.push(content, &mut self.wakers);
            channel.end(Ok(trailers));
        }
        stream.receive = StreamReceive::Ended;
    }

    /// Takes content of a stream.
    #[expect(
        clippy::too_many_arguments,
        reason = "a connection's parts, borrowed one by one"
    )]
    pub(super) fn take_data<O: Operations>(
        &mut self,
        view: &mut View,
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
        // Whoever sends without waiting for `100 Continue` needs none.
        stream.asked.awaits_continue = false;
        match &mut stream.receive {
            StreamReceive::Ended => {}
            StreamReceive::Tunnel(_) => {
                self.tunnel_data(operations, conn, http2, key, bytes, ended);
                return;
            }
            StreamReceive::Content(StreamContent::Gather {
                content, length, ..
            }) => {
                // The codec has held it to its length.
                debug_assert!(content.len() + bytes.len() <= *length);
                content.extend_from_slice(bytes);
                if !ended {
                    let out = conn.output.open_end(&mut self.pool);
                    http2.codec.consumed(key, bytes.len(), out);
                }
            }
            StreamReceive::Content(StreamContent::PassOn(content)) => {
                content.received += bytes.len() as u64;
                if content.limit.is_some_and(|limit| content.received > limit) {
                    let limit = content.limit.unwrap_or(u64::MAX);
                    self.break_stream_content(operations, conn, http2, key, limit);
                    return;
                }
                content.held += bytes.len();
                let pushed = match &content.channel {
                    Some(channel) => channel.push(bytes, &mut self.wakers),
                    None => Pushed::NobodyReads,
                };
                match pushed {
                    Pushed::Room => {
                        let held = std::mem::take(&mut content.held);
                        if !ended {
                            let out = conn.output.open_end(&mut self.pool);
                            let window = self.shared.settings.limits.receive_window_bytes;
                            let is_long = content.received >= u64::from(window);
                            let widens =
                                is_long && !std::mem::replace(&mut content.is_widened, is_long);
                            http2.codec.consumed(key, held, out);
                            if widens {
                                let more = window.saturating_mul(WIDENED_BY);
                                http2.codec.widen(key, more, out);
                            }
                        }
                    }
                    Pushed::Full => content.paused = true,
                    Pushed::NobodyReads => {
                        content.channel = None;
                        if matches!(stream.respond, StreamRespond::Done) {
                            self.end_stream(conn, http2, key);
                            return;
                        }
                        // The answer may take its time: the peer is not held up meanwhile.
                        let held = std::mem::take(&mut content.held);
                        let out = conn.output.open_end(&mut self.pool);
                        http2.codec.consumed(key, held, out);
                    }
                }
            }
        }
        if ended {
            self.end_data(view, operations, conn, http2, key, Trailers::default());
        } else {
            self.settle_stream(http2, key);
        }
    }

    /// A stream's content has ended.
    pub(super) fn end_data<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        trailers: Trailers,
    ) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        match &stream.receive {
            StreamReceive::Ended => return,
            StreamReceive::Tunnel(_) => {
                self.tunnel_data(operations, conn, http2, key, &mut [], true);
                return;
            }
            StreamReceive::Content(StreamContent::Gather { .. }) => {
                self.serve_gathered(view, operations, conn, http2, key, trailers);
                return;
            }
            StreamReceive::Content(content) => content.end(Ok(trailers)),
        }
        stream.receive = StreamReceive::Ended;
        if matches!(stream.respond, StreamRespond::Done) {
            self.end_stream(conn, http2, key);
        } else {
            self.settle_stream(http2, key);
        }
    }

    /// Content of unknown length has become longer than the queue accepts.
    #[cold]
    fn break_stream_content<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        limit: u64,
    ) {
        let broken = Reject::ContentTooLarge;
        self.log(
            operations,
            conn,
            broken.reason(),
            Some(broken.status()),
            Seen::Nothing,
        );
        let Some(stream) = http2.stream(key) else {
            return;
        };
        let is_read =
            matches!(&stream.receive, StreamReceive::Content(content) if content.is_read());
        stream.end_content(BodyError::TooLarge { limit });
        let head_request = stream.asked.head_request;
        match &stream.respond {
            // The application hears of it from its reader and answers.
            StreamRespond::Application(_) if is_read && !stream.queued => {}
            StreamRespond::Application(closed) => {
                closed.set();
                self.withdraw_waiting(conn, http2, key);
                let detail = broken.detail();
                self.stream_page(conn, http2, key, head_request, broken.status(), "", detail);
            }
            _ => {}
        }
    }

    fn withdraw_waiting(&mut self, conn: &Connection, http2: &mut Http2, key: StreamKey) {
        if let Some(stream) = http2.stream(key) {
            self.withdraw_stream(conn, stream);
        }
    }

    /// The application reads content: it may come, and the peer that waits for it is told so.
    pub(super) fn stream_content_wanted(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
    ) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        // Who reads it has taken it out of the queue.
        stream.queued = false;
        let unanswered = matches!(stream.respond, StreamRespond::Application(_));
        let continues = std::mem::take(&mut stream.asked.awaits_continue) && unanswered;
        let StreamReceive::Content(StreamContent::PassOn(content)) = &mut stream.receive else {
            return;
        };
        content.paused = false;
        let held = std::mem::take(&mut content.held);
        let out = conn.output.open_end(&mut self.pool);
        if held > 0 {
            http2.codec.consumed(key, held, out);
        }
        if continues {
            // RFC 9110 §10.1.1.
            let fields = tidegate_httpapi::FieldBlock::new();
            http2.codec.send_interim(key, 100, &fields, out);
        }
        self.settle_stream(http2, key);
    }

    /// The application will not read the rest.
    pub(super) fn stream_content_unwanted(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
    ) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        let StreamReceive::Content(StreamContent::PassOn(content)) = &mut stream.receive else {
            return;
        };
        content.channel = None;
        content.paused = false;
        if matches!(stream.respond, StreamRespond::Done) {
            self.end_stream(conn, http2, key);
            return;
        }
        let held = std::mem::take(&mut content.held);
        if held > 0 {
            let out = conn.output.open_end(&mut self.pool);
            http2.codec.consumed(key, held, out);
        }
    }
}
