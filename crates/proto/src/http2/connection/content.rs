//! DATA frames, which are taken piece by piece. Source: RFC 9113 §6.1, §6.9, §8.1.1.

use super::Connection;
use crate::http2::error::{ErrorCode, Fault};
use crate::http2::event::{Event, Step, StreamKey};
use crate::http2::frame::{FrameHead, flag, write_window_update};
use crate::http2::stream::{ANY_LENGTH, Remote, Reset};

/// A DATA frame whose payload is being taken. All its rules were looked at when its head came.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataFrame {
    stream: StreamKey,
    /// Content that is still to come.
    content: u32,
    /// What comes behind and is dropped.
    padding: u32,
    /// Whether the stream ends with it.
    ended: bool,
}

impl DataFrame {
    pub(super) const NONE: Self = Self {
        stream: StreamKey { slot: 0, id: 0 },
        content: 0,
        padding: 0,
        ended: false,
    };

    #[inline(always)]
    pub(super) fn is_in_progress(&self) -> bool {
        self.content | self.padding != 0
    }

    /// Takes what there is of the payload, which begins at `at`.
    #[inline]
    fn take(&mut self, bytes: &[u8], at: usize) -> Step {
        let content = self.content.min((bytes.len() - at) as u32) as usize;
        let end = at + content;
        self.content -= content as u32;
        let mut consumed = end;
        if self.content == 0 {
            let padding = self.padding.min((bytes.len() - end) as u32);
            self.padding -= padding;
            consumed += padding as usize;
        }
        let is_last = self.content == 0 && self.ended;
        if content == 0 && !is_last {
            let event = match self.is_in_progress() {
                true => Event::Incomplete,
                false => Event::Nothing,
            };
            return Step::new(consumed, event);
        }
        // The end is told once, though padding may still come.
        self.ended &= !is_last;
        let event = Event::Data {
            stream: self.stream,
            range: at..end,
            ended: is_last,
        };
        Step::new(consumed, event)
    }
}

impl Connection {
    /// Takes more of the DATA frame in progress.
    pub(super) fn go_on_with_data(&mut self, bytes: &[u8]) -> Step {
        // The stream may have been reset or released meanwhile.
        let stream = self.streams.of(self.data.stream);
        if stream.is_none_or(|stream| stream.reset != Reset::Nobody) {
            self.data.padding += std::mem::take(&mut self.data.content);
            self.data.ended = false;
        }
        self.data.take(bytes, 0)
    }

    /// Takes the head of a DATA frame, and what there is of its payload.
    #[inline]
    pub(super) fn begin_data(
        &mut self,
        head: &FrameHead,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step, Fault> {
        if head.stream == 0 {
            return Err(Fault::protocol("DATA on the connection"));
        }
        let mut at = FrameHead::LEN;
        let mut data = DataFrame {
            stream: StreamKey { slot: 0, id: 0 },
            content: head.len,
            padding: 0,
            ended: false,
        };
        if head.has(flag::PADDED) {
            if head.len == 0 {
                return Err(Fault::new(ErrorCode::FrameSize, "no room for padding"));
            }
            let Some(&padding) = bytes.get(at) else {
                return Ok(super::INCOMPLETE);
            };
            at += 1;
            data.padding = padding.into();
            data.content = head
                .len
                .checked_sub(1 + data.padding)
                .ok_or(PADDING_TOO_LONG)?;
        }
        if self.receive.take(head.len).is_err() {
            let reason = "DATA beyond the connection's window";
            return Err(Fault::new(ErrorCode::FlowControl, reason));
        }
        // The connection's window never waits for anybody: what is held is bounded by the streams'.
        let full = super::CONNECTION_WINDOW_BYTES;
        if let Some(increment) = self.receive.give_back(head.len as usize, full) {
            write_window_update(out, 0, increment);
        }
        let broken = self.begin_content(head, &mut data, out)?;
        self.data = data;
        let mut step = self.data.take(bytes, at);
        if let Some(event) = broken {
            // What was taken of the payload is dropped.
            step.event = event;
        }
        Ok(step)
    }

    /// Looks at what the content of this frame does to its stream. Content that nobody wants becomes padding.
    #[inline]
    fn begin_content(
        &mut self,
        head: &FrameHead,
        data: &mut DataFrame,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event>, Fault> {
        let ends = head.has(flag::END_STREAM);
        if data.content == 0 && !ends {
            self.counters.empty_frame(&self.limits)?;
        }
        let Some(slot) = self.streams.find(head.stream) else {
            self.late_data(head.stream, ends)?;
            data.drop_content();
            return Ok(None);
        };
        let stream = self.streams.at(slot);
        let code = match stream.remote() {
            Remote::Open => {
                let left = stream.content_left.checked_sub(data.content.into());
                if stream.receive.take(head.len).is_err() {
                    Some(ErrorCode::FlowControl)
                } else if stream.content_left == ANY_LENGTH {
                    None
                } else if let Some(left) = left.filter(|left| *left == 0 || !ends) {
                    stream.content_left = left;
                    None
                } else {
                    // RFC 9113 §8.1.1: the content is not as long as `content-length` said.
                    Some(ErrorCode::Protocol)
                }
            }
            Remote::Ended => Some(ErrorCode::StreamClosed),
            Remote::Unaware => {
                stream.remote_ended = ends;
                data.drop_content();
                return Ok(None);
            }
            Remote::Closed => return Err(DATA_ON_CLOSED),
        };
        if let Some(code) = code {
            data.drop_content();
            return self.break_stream(slot, code, ends, out).map(Some);
        }
        stream.remote_ended = ends;
        data.ended = ends;
        data.stream = StreamKey {
            slot,
            id: head.stream,
        };
        let padding = head.len - data.content;
        if padding != 0 {
            self.consumed(data.stream, padding as usize, out);
        }
        Ok(None)
    }

    /// DATA on a stream that has no slot.
    #[cold]
    fn late_data(&mut self, id: u32, ends: bool) -> Result<(), Fault> {
        if self.is_idle(id) {
            return Err(Fault::protocol("DATA on an idle stream"));
        }
        if self.leaving.is_ignored(id) || self.closed.is_late(id, ends) {
            return Ok(());
        }
        Err(DATA_ON_CLOSED)
    }

    /// The application has read so many bytes of content. Appends WINDOW_UPDATE when half a window has
    /// gathered and the peer may still send.
    #[inline]
    pub fn consumed(&mut self, stream: StreamKey, bytes: usize, out: &mut Vec<u8>) {
        let full = self.receive_initial;
        let Some(known) = self.streams.of_mut(stream) else {
            return;
        };
        if let Some(increment) = known.receive.give_back(bytes, full)
            && known.remote() == Remote::Open
            && self.phase != super::Phase::Failed
        {
            write_window_update(out, stream.id, increment);
        }
    }
}

impl Connection {
    /// Lets the peer send so many bytes more than the window announced, for good: for content that is read
    /// as fast as it comes. Appends WINDOW_UPDATE.
    pub fn widen(&mut self, stream: StreamKey, bytes: u32, out: &mut Vec<u8>) {
        let Some(known) = self.streams.of_mut(stream) else {
            return;
        };
        if bytes > 0 && known.remote() == Remote::Open && self.phase != super::Phase::Failed {
            known.receive.widen(bytes);
            write_window_update(out, stream.id, bytes);
        }
    }
}

impl DataFrame {
    fn drop_content(&mut self) {
        self.padding += std::mem::take(&mut self.content);
    }
}

/// RFC 9113 §6.1.
const PADDING_TOO_LONG: Fault = Fault::protocol("padding longer than the frame");

/// RFC 9113 §5.1.
const DATA_ON_CLOSED: Fault = Fault::new(ErrorCode::StreamClosed, "DATA on a closed stream");
