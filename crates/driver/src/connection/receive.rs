//! What comes in on a connection: where bytes are kept, and who takes them next.
//!
//! Bytes are read where they lie in the loop's buffer; only what cannot be taken yet is kept.

use tidegate_httpapi::BodyError;
use tidegate_os::Operations;
use tidegate_proto::http1::worth_parsing;

use crate::connection::{Connection, Receive, Respond};
use crate::core::Core;
use crate::view::View;

impl Core {
    /// Takes bytes that were received. `position`: how many connections had bytes before this one in
    /// the same batch.
    #[inline(always)]
    pub(crate) fn received<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &mut [u8],
        position: u32,
    ) {
        if conn.awaits_proxy_header() {
            return self.received_proxy_header(view, operations, conn, bytes, position);
        }
        let received = bytes.len();
        conn.received_at = self.clock.millisecond();
        if conn.input.is_empty() {
            conn.began = conn.received_at;
        }
        if !conn.is_settled {
            self.settle_protocol(&view.snapshot, conn);
        }
        // The answer to an upgrade goes out at once: what its lane does next may be to reset.
        let was_opaque = conn.lane().is_some();
        if conn.tls.is_some() {
            self.received_secured(view, operations, conn, bytes, position);
        } else {
            self.take_or_keep(view, operations, conn, bytes, position);
        }
        if conn.gone {
            return;
        }
        if self.shaper.is_some() {
            self.charge_received(operations, conn, received);
        }
        if was_opaque && conn.input.is_empty() {
            // Sent at the end of the turn, with what further bytes of this turn lead to.
            self.list_if_needed(conn);
            return;
        }
        let held = !conn.input.is_empty() && self.holds_requests(conn);
        self.drive(operations, conn);
        if held && !conn.gone && !self.holds_requests(conn) {
            // What held them has been sent at once, and no event will tell of that.
            self.go_on(view, operations, conn);
        }
        let window = self.shared.settings.limits.receive_window_bytes as usize;
        if !conn.gone && conn.input.len() > window && !self.waits_for_rest(conn) {
            self.pause(operations, conn);
        }
    }

    /// Takes bytes as far as may be now, and keeps the rest.
    #[inline(always)]
    pub(super) fn take_or_keep<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &mut [u8],
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
            let waits_for_line = matches!(conn.receive, Receive::Head)
                && conn.is_between_requests()
                && conn.input_wanted == 0
                && !worth_parsing(&conn.input, before, &self.shared.settings.request_limits);
            if !waits_for_line {
                self.take_input(view, operations, conn, position);
            }
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
        // In opaque mode it is the lane that has paused it.
        if conn.receive_paused && !content_waits && has_room && conn.lane().is_none() {
            self.resume(operations, conn);
        }
        if conn.peer_closed && !conn.closing {
            self.meet_end(operations, conn);
            if !conn.gone {
                self.drive(operations, conn);
            }
        }
    }

    /// The peer has sent its last, and all that could be taken of it has been.
    fn meet_end<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        match (&conn.receive, &conn.respond) {
            (Receive::Content(_), respond) => {
                let is_answered = matches!(respond, Respond::Ready);
                // Case P20: work on a request whose content is incomplete can be given up.
                if let Respond::Application(closed) = respond {
                    closed.set();
                }
                // Whoever reads hears of it too; the answer can still be sent.
                conn.end_content(Err(BodyError::Disconnected));
                conn.asked.close = true;
                if is_answered {
                    self.close_after_output(conn);
                }
            }
            // Unless more requests wait for room in the output, it has been served.
            (Receive::Head, Respond::Ready) if self.has_output_room(conn) => {
                self.close_after_output(conn);
            }
            (Receive::Head, Respond::Stream(stream)) if stream.ends_with_peer() => {
                self.close(operations, conn);
            }
            (Receive::Opaque(_), _) => self.tell_peer_end(operations, conn),
            (Receive::Http2(_), _) => self.meet_http2_end(conn),
            _ => {}
        }
    }

    /// Whether requests that were received wait for what is answered before them.
    fn holds_requests(&self, conn: &Connection) -> bool {
        !matches!(conn.respond, Respond::Ready) || !self.has_output_room(conn)
    }

    /// Whether the next request may be taken before what is answered has been sent.
    pub(crate) fn has_output_room(&self, conn: &Connection) -> bool {
        conn.output.len() < self.shared.settings.limits.send_window_bytes as usize
    }

    /// Whether all input is the beginning of one request, whose limits bound it: without the rest
    /// nothing could go on.
    fn waits_for_rest(&self, conn: &Connection) -> bool {
        conn.is_between_requests() && self.has_output_room(conn)
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
        let consumed = start + self.take(view, operations, conn, &mut input[start..], position);
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
            if !conn.held.receives_later() {
                operations.pause_receive(conn.key);
            }
        }
    }

    pub(crate) fn resume<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        if conn.receive_paused {
            conn.receive_paused = false;
            if !conn.held.receives_later() {
                operations.resume_receive(conn.key);
            }
        }
    }

    /// Takes requests and content from `bytes` as far as may be now. Says how many it has taken.
    fn take<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &mut [u8],
        position: u32,
    ) -> usize {
        let mut at = 0;
        while at < bytes.len() && !conn.gone {
            let rest = &mut bytes[at..];
            let taken = match &mut conn.receive {
                Receive::Discard => rest.len(),
                Receive::Opaque(_) => {
                    self.hand_over(operations, conn, rest);
                    rest.len()
                }
                Receive::Content(_) => self.take_content(operations, conn, rest),
                Receive::Http2(_) if conn.closing => rest.len(),
                Receive::Http2(_) => self.take_frames(view, operations, conn, rest, position),
                Receive::Head => {
                    if !matches!(conn.respond, Respond::Ready)
                        || !self.has_output_room(conn)
                        || rest.len() < conn.input_wanted
                    {
                        break;
                    }
                    if conn.request == 0 {
                        match Self::begins_http2(conn, rest) {
                            None => break,
                            Some(true) => {
                                self.begin_http2(conn);
                                continue;
                            }
                            Some(false) => {}
                        }
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
}
