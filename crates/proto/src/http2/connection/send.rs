//! What is sent on a stream: heads, content, trailers, resets. Source: RFC 9113 §5.1, §6.1, §6.4, §8.1.

use tidegate_httpapi::{FieldBlock, ResponseHead};

use super::{Connection, Phase};
use crate::http1::ResponseContext;
use crate::http2::error::ErrorCode;
use crate::http2::event::StreamKey;
use crate::http2::frame::{
    FrameHead, PAYLOAD_BYTES_MAX, begin_headers, end_headers, flag, kind, write_reset,
};
use crate::http2::response::{self, SentHead};
use crate::http2::stream::{Remote, Reset};

/// All of these append to an output what is sent. A stream may have been reset by the peer meanwhile, or have
/// ended: nothing is appended then.
impl Connection {
    /// Sends an interim response: 100, 103.
    pub fn send_interim(
        &mut self,
        stream: StreamKey,
        status: u16,
        fields: &FieldBlock,
        out: &mut Vec<u8>,
    ) {
        if self.is_open(stream) {
            let start = begin_headers(out);
            self.encoder.encode_status(out, status);
            response::encode_fields(&mut self.encoder, fields, out);
            end_headers(out, start, stream.id, 0);
        }
    }

    /// Sends a response's head. `length` is the content's, when known.
    #[inline]
    pub fn send_head(
        &mut self,
        stream: StreamKey,
        head: &ResponseHead,
        length: Option<u64>,
        context: &ResponseContext<'_>,
        out: &mut Vec<u8>,
    ) -> SentHead {
        if !self.is_open(stream) {
            return GONE;
        }
        let start = begin_headers(out);
        let encoder = &mut self.encoder;
        let memo = &mut self.response_memo;
        let sent = response::encode(encoder, memo, head, length, context, false, out);
        end_headers(out, start, stream.id, end_stream(sent.ended));
        if sent.ended {
            self.end_local(stream);
        }
        sent
    }

    /// Sends the head of the answer that accepts an extended CONNECT. The stream stays open both ways.
    pub fn send_tunnel_head(
        &mut self,
        stream: StreamKey,
        head: &ResponseHead,
        context: &ResponseContext<'_>,
        out: &mut Vec<u8>,
    ) {
        if self.is_open(stream) {
            let start = begin_headers(out);
            let encoder = &mut self.encoder;
            let memo = &mut self.response_memo;
            response::encode(encoder, memo, head, None, context, true, out);
            end_headers(out, start, stream.id, 0);
        }
    }

    /// Sends the head of one DATA frame. The caller appends as many bytes of content as this says.
    ///
    /// Those are at most `available` and what windows allow; the stream ends with them if they are all that is
    /// `available` and `last`. `None`: no window allows any, or the stream has ended; nothing is appended.
    #[inline]
    pub fn send_data(
        &mut self,
        stream: StreamKey,
        available: usize,
        last: bool,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        if self.phase == Phase::Failed {
            return None;
        }
        let known = self
            .streams
            .of_mut(stream)
            .filter(|known| known.is_open())?;
        let window = known.send.available().min(self.send.available());
        let len = available.min(window).min(PAYLOAD_BYTES_MAX);
        let ends = last && len == available;
        if len == 0 && !ends {
            return None;
        }
        known.send.take(len);
        known.local_ended = ends;
        self.send.take(len);
        let is_cut = len < available.min(PAYLOAD_BYTES_MAX);
        self.counters.sent(len, is_cut);
        let head = FrameHead {
            len: len as u32,
            kind: kind::DATA,
            flags: end_stream(ends),
            stream: stream.id,
        };
        out.extend_from_slice(&head.to_bytes());
        Some(len)
    }

    /// Sends one DATA frame whose content `read` appends to the output: at most as many bytes as it is told.
    ///
    /// As [`send_data`](Self::send_data), for content that is elsewhere. `Ok(None)`: `read` was not called. If
    /// it appends less than it might, the frame is shorter; if nothing or with an error, there is none.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn send_data_from<E>(
        &mut self,
        stream: StreamKey,
        available: usize,
        last: bool,
        out: &mut Vec<u8>,
        read: impl FnOnce(&mut Vec<u8>, usize) -> Result<usize, E>,
    ) -> Result<Option<usize>, E> {
        let room = match self.phase {
            Phase::Failed => 0,
            _ => self.send_window(stream).min(available),
        };
        let len = room.min(PAYLOAD_BYTES_MAX);
        if len == 0 {
            return Ok(None);
        }
        let start = out.len();
        out.extend_from_slice(&[0; FrameHead::LEN]);
        let outcome = read(out, len);
        // What was appended counts, whatever is said of it.
        let count = out.len() - start - FrameHead::LEN;
        if outcome.is_err() || count == 0 || count > len {
            debug_assert!(count <= len);
            out.truncate(start);
            return outcome.map(|_| Some(0));
        }
        let is_cut = len < available.min(PAYLOAD_BYTES_MAX);
        let ends = last && count == available;
        if let Some(known) = self.streams.of_mut(stream) {
            known.send.take(count);
            known.local_ended = ends;
        }
        self.send.take(count);
        self.counters.sent(count, is_cut);
        let head = FrameHead {
            len: count as u32,
            kind: kind::DATA,
            flags: end_stream(ends),
            stream: stream.id,
        };
        out[start..start + FrameHead::LEN].copy_from_slice(&head.to_bytes());
        Ok(Some(count))
    }

    /// Sends a trailer section, with which the stream ends.
    pub fn send_trailers(&mut self, stream: StreamKey, fields: &FieldBlock, out: &mut Vec<u8>) {
        if self.is_open(stream) {
            let start = begin_headers(out);
            response::encode_fields(&mut self.encoder, fields, out);
            end_headers(out, start, stream.id, flag::END_STREAM);
            self.end_local(stream);
        }
    }

    /// Resets a stream with the application's code, unless both sides have ended.
    pub fn reset(&mut self, stream: StreamKey, code: u32, out: &mut Vec<u8>) {
        let is_failed = self.phase == Phase::Failed;
        let Some(known) = self.streams.of_mut(stream) else {
            return;
        };
        if known.reset == Reset::Nobody && known.remote() != Remote::Closed && !is_failed {
            known.reset = Reset::Us;
            write_reset(out, stream.id, code);
        }
    }

    /// The application has ended its work on a stream, whose slot may be used again.
    ///
    /// If the stream has not ended it is reset: with `NO_ERROR` when only the peer's content is not whole
    /// (RFC 9113 §8.1), with `CANCEL` when the response is not.
    #[inline]
    pub fn release(&mut self, stream: StreamKey, out: &mut Vec<u8>) {
        let Some(known) = self.streams.remove(stream) else {
            return;
        };
        // Nearly all have ended on both sides.
        if !(known.remote_ended && known.local_ended) {
            self.release_early(stream.id, known.local_ended, known.remote(), out);
        }
    }

    #[inline(never)]
    fn release_early(&mut self, id: u32, was_answered: bool, remote: Remote, out: &mut Vec<u8>) {
        if matches!(remote, Remote::Open | Remote::Unaware) {
            self.closed.expect_late_frames(id);
        }
        if matches!(remote, Remote::Open | Remote::Ended) && self.phase != Phase::Failed {
            let code = match was_answered {
                true => ErrorCode::NoError,
                false => ErrorCode::Cancel,
            };
            write_reset(out, id, code.value());
        }
    }

    /// Whether something can still be sent on a stream: nobody has reset it, and our side has not ended.
    #[inline]
    pub fn is_open(&self, stream: StreamKey) -> bool {
        self.phase != Phase::Failed && self.streams.of(stream).is_some_and(|known| known.is_open())
    }

    #[inline]
    fn end_local(&mut self, stream: StreamKey) {
        if let Some(known) = self.streams.of_mut(stream) {
            known.local_ended = true;
        }
    }
}

#[inline(always)]
const fn end_stream(ends: bool) -> u8 {
    if ends { flag::END_STREAM } else { 0 }
}

/// What is said of a head that is not sent.
const GONE: SentHead = SentHead {
    send_content: false,
    ended: true,
    length: None,
};
