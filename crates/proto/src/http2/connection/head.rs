//! HEADERS and CONTINUATION: requests and trailer sections. Source: RFC 9113 §4.3, §5.1.1, §6.2, §6.10, §8.1.

use tidegate_httpapi::ContentFraming;

use super::Connection;
use super::go_away::Leaving;
use crate::http2::error::{ErrorCode, Fault};
use crate::http2::event::{Event, StreamKey};
use crate::http2::flow::{ReceiveWindow, SendWindow};
use crate::http2::frame::{FrameHead, PAYLOAD_BYTES_MAX, flag, read_u31};
use crate::http2::priority::Priority;
use crate::http2::request::{self, Bad, Head};
use crate::http2::stream::{ANY_LENGTH, Remote, Stream};

/// A header block of which CONTINUATION frames are to come.
#[derive(Debug)]
pub(super) struct OpenBlock {
    pub(super) stream: u32,
    ended: bool,
    is_self_dependent: bool,
    fragments: Vec<u8>,
    continuations: u32,
}

/// The block that the last head came of, if decoding it again would have the same outcome.
#[derive(Debug, Default)]
pub(super) struct HeadMemo {
    block: Vec<u8>,
    /// The decoder's. `None`: nothing is remembered.
    generation: Option<u64>,
    ended: bool,
    /// The head itself is not here.
    pub(super) is_lent: bool,
    /// The priority that the head's field asks for.
    priority: Priority,
}

impl HeadMemo {
    pub(super) fn forget(&mut self) {
        self.generation = None;
    }

    #[inline(always)]
    fn is_of(&self, block: &[u8], ended: bool, generation: u64) -> bool {
        self.generation == Some(generation)
            && !self.is_lent
            && self.ended == ended
            && self.block == block
    }
}

/// A header block that is whole.
#[derive(Clone, Copy)]
struct Block<'a> {
    stream: u32,
    ended: bool,
    is_self_dependent: bool,
    bytes: &'a [u8],
}

impl Connection {
    #[inline]
    pub(super) fn take_headers(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        if head.stream == 0 {
            return Err(Fault::protocol("HEADERS on the connection"));
        }
        let mut block = Block {
            stream: head.stream,
            ended: head.has(flag::END_STREAM),
            is_self_dependent: false,
            bytes: payload,
        };
        if head.has(flag::PADDED | flag::PRIORITY) {
            block.strip(head)?;
        }
        if block.bytes.is_empty() {
            self.counters.empty_frame(&self.limits)?;
        }
        if !head.has(flag::END_HEADERS) {
            return self.open_block(&block);
        }
        self.check_block_bytes(block.bytes.len())?;
        self.take_block(&block, out)
    }

    #[cold]
    fn open_block(&mut self, block: &Block<'_>) -> Result<Event, Fault> {
        self.check_block_bytes(block.bytes.len())?;
        self.open_block = Some(Box::new(OpenBlock {
            stream: block.stream,
            ended: block.ended,
            is_self_dependent: block.is_self_dependent,
            fragments: block.bytes.to_vec(),
            continuations: 0,
        }));
        Ok(Event::Nothing)
    }

    /// CERT VU#421644.
    pub(super) fn take_continuation(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        let Some(open) = &mut self.open_block else {
            return Err(Fault::protocol("CONTINUATION without HEADERS"));
        };
        open.continuations += 1;
        if open.continuations > self.limits.continuations_max {
            return Err(Fault::flood("too many CONTINUATION"));
        }
        if payload.is_empty() {
            self.counters.empty_frame(&self.limits)?;
        }
        let block_bytes = open.fragments.len() + payload.len();
        open.fragments.extend_from_slice(payload);
        self.check_block_bytes(block_bytes)?;
        if !head.has(flag::END_HEADERS) {
            return Ok(Event::Nothing);
        }
        let Some(open) = self.open_block.take() else {
            return Ok(Event::Nothing);
        };
        let block = Block {
            stream: open.stream,
            ended: open.ended,
            is_self_dependent: open.is_self_dependent,
            bytes: &open.fragments,
        };
        self.take_block(&block, out)
    }

    /// Blocks that are a little too long are decoded and refused politely.
    #[inline(always)]
    fn check_block_bytes(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.request_limits.head_bytes_max as usize + PAYLOAD_BYTES_MAX {
            return Err(Fault::flood("header block too long"));
        }
        Ok(())
    }

    #[inline]
    fn take_block(&mut self, block: &Block<'_>, out: &mut Vec<u8>) -> Result<Event, Fault> {
        let id = block.stream;
        if self.is_idle(id) {
            return self.take_new_stream(block, out);
        }
        self.take_block_of_old_stream(block, out)
    }

    #[inline]
    fn take_new_stream(&mut self, block: &Block<'_>, out: &mut Vec<u8>) -> Result<Event, Fault> {
        let id = block.stream;
        if id.is_multiple_of(2) {
            return Err(Fault::protocol(
                "request on a stream that is not the client's",
            ));
        }
        self.closed.begin(id);
        if self.leaving != Leaving::No {
            if self.leaving.is_ignored(id) {
                return self.drop_block(block);
            }
            self.stream_after_go_away(out);
        }
        if self.streams.len() >= self.limits.concurrent_streams_max as usize {
            self.drop_block(block)?;
            return self.refuse_stream(id, ErrorCode::RefusedStream, block.ended, out);
        }
        let generation = self.decoder.generation();
        if !self.memo.is_of(block.bytes, block.ended, generation)
            && let Err(bad) = self.read_head(block, generation)?
        {
            return self.take_bad_head(block, bad, out);
        }
        if block.is_self_dependent {
            return self.refuse_stream(id, ErrorCode::Protocol, block.ended, out);
        }
        let head = &self.head.head;
        let content_left = match head.framing {
            _ if head.line.protocol.is_some() => ANY_LENGTH,
            ContentFraming::None => 0,
            ContentFraming::Length(length) => length,
            ContentFraming::Chunked => ANY_LENGTH,
        };
        // RFC 9113 §8.1.1, and what the HTTP Server API does: no content for HEAD.
        if head.head_request && !block.ended {
            return self.refuse_stream(id, ErrorCode::Http11Required, false, out);
        }
        let is_tunnel = head.line.protocol.is_some();
        let priority = self.memo.priority;
        let stream = self.add_stream(id, |stream| {
            stream.remote_ended = block.ended;
            stream.content_left = content_left;
            stream.is_tunnel = is_tunnel;
            stream.priority = priority;
        });
        Ok(Event::Request {
            stream,
            ended: block.ended,
        })
    }

    /// A head that is malformed is answered by a reset, one that breaks another rule by a status.
    #[cold]
    #[inline(never)]
    fn take_bad_head(
        &mut self,
        block: &Block<'_>,
        bad: Bad,
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        match bad {
            Bad::Malformed(_) => {
                self.refuse_stream(block.stream, ErrorCode::Protocol, block.ended, out)
            }
            Bad::Reject(reason) => {
                let stream = self.add_stream(block.stream, |stream| {
                    stream.remote_ended = block.ended;
                });
                Ok(Event::Refused {
                    stream,
                    ended: block.ended,
                    reason,
                })
            }
        }
    }

    #[inline]
    fn add_stream(&mut self, id: u32, fill: impl FnOnce(&mut Stream)) -> StreamKey {
        let send = SendWindow::new(self.send_initial);
        let receive = ReceiveWindow::new(self.receive_initial);
        let mut stream = Stream::new(id, send, receive);
        fill(&mut stream);
        if let Some(priority) = self.early_priorities.take(id) {
            // RFC 9218 §7: a frame weighs more than a field.
            stream.priority = priority;
        }
        self.streams.insert(stream)
    }

    /// Decodes a block, and reads a request's head from it. The memo is its memo afterwards, if it can be.
    #[inline]
    fn read_head(&mut self, block: &Block<'_>, before: u64) -> Result<Result<(), Bad>, Fault> {
        self.memo.forget();
        self.memo.is_lent = false;
        self.decode(block)?;
        self.head.serial += 1;
        let built = request::build(
            &self.list,
            block.ended,
            self.limits.extended_connect,
            &self.request_limits,
            &mut self.head,
        );
        if built.is_ok() {
            self.memo.priority = priority_of(&self.head);
            let generation = self.decoder.generation();
            if generation == before && block.bytes.len() <= MEMO_BYTES_MAX {
                self.memo.block.clear();
                self.memo.block.extend_from_slice(block.bytes);
                self.memo.ended = block.ended;
                self.memo.generation = Some(generation);
            }
        }
        Ok(built)
    }

    #[inline]
    fn decode(&mut self, block: &Block<'_>) -> Result<(), Fault> {
        self.decoder
            .decode(block.bytes, &mut self.list)
            .map_err(|_| Fault::new(ErrorCode::Compression, "malformed header block"))
    }

    /// Decodes a block only for what it does to the dynamic table. RFC 9113 §4.3.
    #[cold]
    fn drop_block(&mut self, block: &Block<'_>) -> Result<Event, Fault> {
        self.decode(block).map(|()| Event::Nothing)
    }

    /// A block on a stream that is not idle: a trailer section, or nothing that may come.
    #[cold]
    #[inline(never)]
    fn take_block_of_old_stream(
        &mut self,
        block: &Block<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        let id = block.stream;
        let Some(slot) = self.streams.find(id) else {
            if self.leaving.is_ignored(id) || self.closed.is_late(id, block.ended) {
                return self.drop_block(block);
            }
            // RFC 9113 §5.1.1: identifiers that were passed over must not be used any more.
            return Err(if self.closed.was_used(id) {
                Fault::new(ErrorCode::StreamClosed, "HEADERS on a closed stream")
            } else {
                Fault::protocol("stream identifiers do not increase")
            });
        };
        let stream = self.streams.at(slot);
        let is_tunnel = stream.is_tunnel;
        let is_content_whole = matches!(stream.content_left, 0 | ANY_LENGTH);
        match stream.remote() {
            Remote::Open => {}
            Remote::Ended => {
                self.decode(block)?;
                return self.break_stream(slot, ErrorCode::StreamClosed, true, out);
            }
            Remote::Unaware => {
                stream.remote_ended = block.ended;
                return self.drop_block(block);
            }
            Remote::Closed => {
                let reason = "HEADERS on a closed stream";
                return Err(Fault::new(ErrorCode::StreamClosed, reason));
            }
        }
        self.decode(block)?;
        let code = match request::trailers(&self.list, &self.request_limits) {
            // RFC 9113 §8.1: trailers end the stream; §8.5: a tunnel has none.
            _ if !block.ended || is_tunnel || !is_content_whole || block.is_self_dependent => {
                ErrorCode::Protocol
            }
            Ok(trailers) => {
                self.trailers = trailers;
                let stream = self.streams.at(slot);
                stream.remote_ended = true;
                return Ok(Event::Trailers {
                    stream: StreamKey { slot, id },
                });
            }
            Err(Bad::Malformed(_)) => ErrorCode::Protocol,
            Err(Bad::Reject(_)) => ErrorCode::EnhanceYourCalm,
        };
        self.break_stream(slot, code, block.ended, out)
    }
}

impl Block<'_> {
    /// Takes padding and a priority off. RFC 9113 §6.2.
    #[inline(never)]
    fn strip(&mut self, head: &FrameHead) -> Result<(), Fault> {
        let too_short = Fault::new(ErrorCode::FrameSize, "HEADERS too short");
        let mut padding = 0;
        if head.has(flag::PADDED) {
            let (&len, rest) = self.bytes.split_first().ok_or(too_short)?;
            padding = usize::from(len);
            self.bytes = rest;
        }
        if head.has(flag::PRIORITY) {
            let (priority, rest) = self.bytes.split_at_checked(5).ok_or(too_short)?;
            self.is_self_dependent = read_u31(priority) == Some(head.stream);
            self.bytes = rest;
        }
        let len = self.bytes.len().checked_sub(padding);
        let len = len.ok_or(Fault::protocol("padding longer than the frame"))?;
        self.bytes = &self.bytes[..len];
        Ok(())
    }
}

/// What a request's `Priority` field asks for. RFC 9218 §5.
#[inline]
fn priority_of(head: &Head) -> Priority {
    let mut priority = Priority::default();
    for span in &head.spans {
        if usize::from(span.name_len) == PRIORITY.len() {
            let start = span.name_start as usize;
            let name = head.bytes.get(start..start + PRIORITY.len());
            if name == Some(PRIORITY) {
                let start = span.value_start as usize;
                let value = head.bytes.get(start..start + span.value_len as usize);
                priority.apply(value.unwrap_or_default());
            }
        }
    }
    priority
}

const PRIORITY: &[u8] = b"priority";

/// The longest block that is remembered.
const MEMO_BYTES_MAX: usize = 1_024;
