//! What other threads ask for a stream's request.

use std::sync::Arc;

use tidegate_os::Operations;
use tidegate_proto::http2::StreamKey;

use crate::connection::respond::Seen;
use crate::connection::{Asked, Connection};
use crate::core::Core;
use crate::http2::{Http2, StreamRespond};
use crate::mailbox::{Message, RequestKey};

impl Core {
    /// Does what was asked for a request that came on a stream, unless it has ended.
    pub(crate) fn take_stream_message<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        request: RequestKey,
        message: Message,
    ) {
        self.with_http2(conn, |core, conn, http2| {
            let Some(stream) = http2.stream_of(request) else {
                return;
            };
            let key = stream.key;
            match message {
                Message::ContentWanted(_) => {
                    core.stream_content_wanted(conn, http2, key);
                }
                Message::ContentUnwanted(_) => core.stream_content_unwanted(conn, http2, key),
                Message::StreamReady(_) => {
                    if let StreamRespond::Content(outgoing) = &mut stream.respond {
                        outgoing.wake(core.clock.now());
                        http2.asks = true;
                    }
                    http2.codec.want_send(key);
                    core.settle_stream(http2, key);
                }
                Message::Inform(_, status, fields) => {
                    core.inform_stream(conn, http2, key, status, &fields);
                }
                answer => {
                    let Some(asked) = take_back(core, conn, http2, key) else {
                        return;
                    };
                    core.take_answer(operations, conn, http2, key, asked, answer);
                    core.settle_stream(http2, key);
                }
            }
        });
    }

    fn take_answer<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        asked: Asked,
        answer: Message,
    ) {
        match answer {
            Message::Respond(_, head, body) => {
                self.answer_stream(conn, http2, key, asked, head, body);
            }
            Message::Abandon(_) => self.abandon_stream(conn, http2, key, asked),
            Message::Reset(_, reset) => self.reset_stream(conn, http2, key, reset.code),
            Message::Refuse(_, cause) => {
                let head_request = asked.head_request;
                let seen = Seen::Nothing;
                self.unavailable_stream(operations, conn, http2, key, head_request, cause, seen);
            }
            Message::Upgrade(_, head, opening) => {
                let group = http2.stream(key).and_then(|stream| stream.group.as_ref());
                let queue = group.and_then(|group| group.queue.as_ref());
                match queue.map(|queue| Arc::clone(&queue.queue)) {
                    Some(queue) => {
                        self.open_tunnel(operations, conn, http2, key, &queue, head, opening);
                    }
                    None => self.abandon_stream(conn, http2, key, asked),
                }
            }
            _ => {}
        }
    }

    /// Whether a stream's request still waits to be called with; it does no longer then.
    pub(crate) fn begins_stream(&mut self, conn: &mut Connection, request: RequestKey) -> bool {
        self.with_http2(conn, |_, _, http2| match http2.stream_of(request) {
            Some(stream) => {
                stream.queued = false;
                !stream.reset
            }
            None => false,
        })
        .unwrap_or(false)
    }
}

/// The application has done its work on a stream. `None` if nobody wants the answer any more.
fn take_back(
    core: &mut Core,
    conn: &mut Connection,
    http2: &mut Http2,
    key: StreamKey,
) -> Option<Asked> {
    let stream = http2.stream(key)?;
    if !matches!(stream.respond, StreamRespond::Application(_)) {
        return None;
    }
    stream.queued = false;
    if stream.reset {
        core.end_stream(conn, http2, key);
        return None;
    }
    Some(stream.asked)
}
