//! Content of files, read straight into the frames it is sent in.

use std::io::ErrorKind;

use tidegate_proto::http2::{ErrorCode, StreamKey};

use crate::connection::Connection;
use crate::core::Core;
use crate::http2::{Http2, StreamRespond};
use crate::output::COPIED_MAX;
use crate::pieces::{Next, Pieces};

impl Core {
    /// Puts one frame of a stream's file into the output, at most `max` bytes, read to where it is sent from.
    #[inline(never)]
    pub(super) fn pump_file(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        max: usize,
    ) {
        let Http2 { codec, streams, .. } = http2;
        let place = streams.get_mut(key.slot as usize);
        let Some(Some(stream)) = place else {
            return;
        };
        let StreamRespond::Content(outgoing) = &mut stream.respond else {
            return;
        };
        let has_trailers = outgoing.trailers.is_some();
        let Some((pieces, waker)) = outgoing.pieces() else {
            return;
        };
        let whole = usize::try_from(pieces.file_bytes()).unwrap_or(usize::MAX);
        let available = whole.min(max);
        let last = !has_trailers && available == whole && pieces.is_last_file();
        let out = conn.output.open_end(&mut self.pool);
        let before = out.len();
        let read = |out: &mut Vec<u8>, max: usize| pieces.read(out, max);
        let sent = codec.send_data_from(key, available, last, out, read);
        let bytes = out.len() - before;
        self.log_stream_sent(conn, key, bytes);
        match sent {
            Ok(count) => {
                let count = count.unwrap_or_default();
                if last && count == available {
                    return self.finish_stream(conn, http2, key);
                }
                outgoing.taken(count, self.clock.now(), &stream.group);
                outgoing.flow_taken(count, self.shaped_now());
                codec.want_send(key);
                self.settle_stream(http2, key);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                pieces.read_later(&self.shared.file_reader, waker);
                outgoing.thinks = true;
                // It may have been made ready for what is to be read.
                conn.output.tidy(&mut self.pool);
            }
            Err(error) => {
                tracing::debug!(%error, "a file of a response cannot be sent");
                self.reset_stream(conn, http2, key, ErrorCode::Internal.value());
            }
        }
    }

    /// Appends all content, if it is one file that is in memory and fits into a frame and the windows.
    ///
    /// If it does not, it may have appended the beginning.
    pub(super) fn send_short_file(
        &mut self,
        conn: &mut Connection,
        http2: &mut Http2,
        key: StreamKey,
        pieces: &mut Pieces,
    ) -> bool {
        if !matches!(pieces.next(), Next::File) || !pieces.is_last_file() {
            return false;
        }
        let length = usize::try_from(pieces.file_bytes()).unwrap_or(usize::MAX);
        if length >= COPIED_MAX || length > http2.codec.send_window(key) {
            return false;
        }
        let out = conn.output.open_end(&mut self.pool);
        let before = out.len();
        let read = |out: &mut Vec<u8>, max: usize| pieces.read(out, max);
        let sent = http2.codec.send_data_from(key, length, true, out, read);
        let bytes = out.len() - before;
        self.log_stream_sent(conn, key, bytes);
        // What went wrong is met again, by who can do something about it.
        sent.is_ok_and(|sent| sent == Some(length))
    }
}
