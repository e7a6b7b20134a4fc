//! What comes in on an HTTP/2 connection: frames, and what they say of streams.

use tidegate_httpapi::{BodyError, HttpProtocols, StreamReset};
use tidegate_os::Operations;
use tidegate_proto::http2::{Connection as Codec, ErrorCode, Event, Failure, PREFACE, StreamKey};

use crate::connection::respond::Seen;
use crate::connection::{Connection, Receive};
use crate::core::Core;
use crate::counting::forget_measure;
use crate::http2::{Http2, StreamRespond};
use crate::view::View;

impl Core {
    /// Whether the first bytes of a connection without TLS are those of HTTP/2, by prior knowledge.
    /// `None`: there are too few to say. RFC 9113 §3.3.
    #[cold]
    pub(crate) fn begins_http2(conn: &Connection, bytes: &[u8]) -> Option<bool> {
        let may_be = conn.protocols.http2 && conn.tls.is_none();
        if !may_be || !bytes.starts_with(&PREFACE[..bytes.len().min(4)]) {
            return Some(may_be && conn.protocols == HttpProtocols::HTTP2);
        }
        let known = bytes.len().min(PREFACE.len());
        if bytes[..known] != PREFACE[..known] {
            return Some(false);
        }
        (bytes.len() >= PREFACE.len()).then_some(true)
    }

    /// From now on the connection speaks HTTP/2.
    pub(crate) fn begin_http2(&mut self, conn: &mut Connection) {
        self.counters.connections_http2.add(1);
        let settings = &self.shared.settings;
        let codec = Codec::new(
            &settings.http2_limits,
            &settings.request_limits,
            settings.limits.receive_window_bytes,
            conn.output.open_end(&mut self.pool),
        );
        conn.receive = Receive::Http2(Some(Box::new(Http2::new(codec))));
    }

    /// Takes frames from `bytes` as far as may be now. Says how many bytes it has taken.
    pub(crate) fn take_frames<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &mut [u8],
        position: u32,
    ) -> usize {
        let mut at = 0;
        let failed = self.with_http2(conn, |core, conn, http2| {
            // What is answered and not taken by the peer holds up what it asks further.
            while at < bytes.len() && core.has_output_room(conn) {
                if !http2.codec.has_open_block() {
                    http2.head_bytes = 0;
                }
                let out = conn.output.open_end(&mut core.pool);
                let step = http2
                    .codec
                    .receive(&mut bytes[at..], core.clock.minute(), out);
                let rest = &mut bytes[at..];
                at += step.consumed;
                http2.head_bytes += step.consumed as u64;
                match step.event {
                    Event::Incomplete => break,
                    Event::Nothing | Event::Writable => {}
                    Event::GoAway { .. } => core.say_goodbye_if_done(conn, http2),
                    Event::Request { stream, ended } => {
                        core.take_request(view, operations, conn, http2, stream, ended, position);
                    }
                    Event::Refused { stream, reason, .. } => {
                        core.refuse_head(operations, conn, http2, stream, reason);
                    }
                    Event::Data {
                        stream,
                        range,
                        ended,
                    } => {
                        let is_logged = core.log_stream_received(conn, stream, step.consumed);
                        if let (false, Some(stream)) = (is_logged, http2.stream(stream)) {
                            stream.arrival.received += step.consumed as u64;
                        }
                        let content = &mut rest[range];
                        core.take_data(view, operations, conn, http2, stream, content, ended);
                    }
                    Event::Trailers { stream } => {
                        let trailers = http2.codec.take_trailers();
                        core.end_data(view, operations, conn, http2, stream, trailers);
                    }
                    Event::Reset { stream, .. } | Event::Broken { stream, .. } => {
                        core.stream_reset(conn, http2, stream);
                    }
                    Event::Failed(failure) => return Some(failure),
                    _ => {}
                }
            }
            None
        });
        conn.output.tidy(&mut self.pool);
        if let Some(Some(failure)) = failed {
            self.fail_http2(operations, conn, &failure);
            return bytes.len();
        }
        at
    }

    /// A rule of the connection as a whole was broken: it ends when the GOAWAY has been sent.
    #[cold]
    fn fail_http2<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        failure: &Failure,
    ) {
        tracing::debug!(code = ?failure.code, reason = failure.reason, "an HTTP/2 connection fails");
        if failure.code != ErrorCode::NoError {
            self.counters.count_rejected(400);
            self.log(operations, conn, "BadRequest", None, Seen::Nothing);
        }
        if failure.abrupt {
            self.reset(operations, conn);
            return;
        }
        self.drop_streams(conn);
        conn.receive = Receive::Discard;
        self.close_after_output(conn);
    }

    /// A stream was reset.
    fn stream_reset(&mut self, conn: &mut Connection, http2: &mut Http2, key: StreamKey) {
        let Some(stream) = http2.stream(key) else {
            return;
        };
        stream.reset = true;
        stream.end_content(BodyError::Disconnected);
        let still_waited = self.withdraw_stream(conn, stream);
        let is_with_application = match &stream.respond {
            StreamRespond::Application(closed) => {
                closed.set();
                !still_waited
            }
            _ => false,
        };
        // Work on it counts against the streams that may be open until it has ended: nobody is served
        // more by resetting what he asked for (CVE-2023-44487).
        if is_with_application {
            self.say_goodbye_if_done(conn, http2);
        } else {
            self.end_stream(conn, http2, key);
        }
    }

    /// Nothing more is to be done for a stream.
    pub(super) fn end_stream(&mut self, conn: &mut Connection, http2: &mut Http2, key: StreamKey) {
        self.log_stream_ended(conn, key);
        forget_measure(&mut http2.measured, key);
        if let Some(mut stream) = http2.remove(key) {
            self.close_tunnel(&mut stream);
        }
        let out = conn.output.open_end(&mut self.pool);
        http2.codec.release(key, out);
        self.say_goodbye_if_done(conn, http2);
    }

    /// While the connection is to end: it does when nobody waits for an answer any more.
    pub(super) fn say_goodbye_if_done(&mut self, conn: &mut Connection, http2: &mut Http2) {
        let codec = &http2.codec;
        let ends = self.is_draining()
            || conn.peer_closed
            || codec.has_gone_away()
            || codec.peer_is_going_away();
        if ends && http2.is_done() && !conn.closing {
            self.say_goodbye(conn, http2);
        }
    }

    /// Serves no more streams, and ends when all has been sent.
    pub(super) fn say_goodbye(&mut self, conn: &mut Connection, http2: &mut Http2) {
        let out = conn.output.open_end(&mut self.pool);
        http2.codec.go_away(ErrorCode::NoError, out);
        conn.closing = true;
        self.forget_input(conn);
    }

    /// Begins to end a connection: asks the peer to open no more streams, ends it if it has none.
    pub(crate) fn begin_goodbye(&mut self, conn: &mut Connection) {
        self.with_http2(conn, |core, conn, http2| {
            let out = conn.output.open_end(&mut core.pool);
            http2.codec.begin_go_away(out);
            if http2.is_done() {
                core.say_goodbye(conn, http2);
            }
        });
    }

    /// The peer sends no more, and all it has sent has been taken.
    pub(crate) fn meet_http2_end(&mut self, conn: &mut Connection) {
        self.with_http2(conn, |core, conn, http2| {
            let unfinished: Vec<StreamKey> = http2
                .streams
                .iter()
                .flatten()
                .filter(|stream| !stream.receive.has_ended())
                .map(|stream| stream.key)
                .collect();
            for key in unfinished {
                core.stream_reset(conn, http2, key);
            }
            let endless: Vec<StreamKey> = http2
                .streams
                .iter()
                .flatten()
                .filter(|stream| stream.respond.ends_with_peer())
                .map(|stream| stream.key)
                .collect();
            for key in endless {
                core.reset_stream(conn, http2, key, StreamReset::CANCEL.code);
            }
            core.say_goodbye_if_done(conn, http2);
        });
    }
}
