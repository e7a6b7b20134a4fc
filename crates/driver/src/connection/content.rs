//! A request's content: what is known of it beforehand, and what is done with it as it arrives.

use std::sync::Arc;
use std::task::Waker;

use tidegate_engine::QueueView;
use tidegate_httpapi::{
    BodyError, ContentFraming, QueueProperties, RequestHead, RequestLimits, Trailers, reason_phrase,
};
use tidegate_os::Operations;
use tidegate_proto::http1::{ChunkStep, ChunkedDecoder, Reject};

use crate::connection::request::{ReceivedRequest, Refused};
use crate::connection::respond::Seen;
use crate::connection::{Connection, Receive, Respond};
use crate::content::{ContentChannel, ContentReader, Pushed, Window};
use crate::core::Core;
use crate::queue::Queue;

/// How many windows of content may lie before a reader that keeps up.
const WIDEST_WINDOWS: usize = 4;

/// A request's content while it arrives.
pub(crate) struct Content {
    pub(crate) framing: Framing,
    /// Who reads it; `None` when nobody will.
    pub(crate) channel: Option<Arc<ContentChannel>>,
    pub(crate) received: u64,
    /// The most accepted.
    pub(crate) limit: Option<u64>,
    /// The reader has enough for now.
    pub(crate) paused: bool,
}

/// How the end of arriving content is found.
pub(crate) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// In chunks.
    Chunked(ChunkedDecoder),
}

impl Core {
    /// What is known of a request's content before the application is called.
    pub(super) fn content<'b>(
        &self,
        conn: &mut Connection,
        request: &ReceivedRequest<'b>,
        properties: &QueueProperties,
    ) -> Result<Expected<'b>, Refused> {
        let ReceivedRequest { bytes, head, .. } = *request;
        let length = match head.framing {
            ContentFraming::None => return Ok(Expected::Whole(&[])),
            ContentFraming::Chunked => return Ok(Expected::Arriving),
            ContentFraming::Length(length) => length,
        };
        if properties.content_bytes_max.is_some_and(|max| length > max) {
            return Err(Refused::Reject(Reject::ContentTooLarge));
        }
        let rest = &bytes[head.head_bytes..];
        if rest.len() as u64 >= length {
            conn.asked.awaits_continue = false;
            return Ok(Expected::Whole(&rest[..length as usize]));
        }
        if !head.expects_continue && length <= u64::from(properties.content_gathered_max) {
            return Ok(Expected::Gather(head.head_bytes + length as usize));
        }
        Ok(Expected::Arriving)
    }

    pub(super) fn expect_content(
        &mut self,
        conn: &mut Connection,
        head: &RequestHead<'_>,
        queue: &QueueView<Queue>,
    ) -> ContentReader {
        let usual = self.shared.settings.limits.receive_window_bytes as usize;
        let window = Window::new(usual, usual.saturating_mul(WIDEST_WINDOWS));
        let channel = ContentChannel::new(
            Arc::clone(&self.mailbox),
            Arc::clone(&self.pieces),
            conn.request_key(),
            window,
        );
        conn.receive = Receive::Content(Box::new(Content {
            framing: match head.framing {
                ContentFraming::Length(length) => Framing::Length(length),
                _ => Framing::Chunked(ChunkedDecoder::new()),
            },
            channel: Some(Arc::clone(&channel)),
            received: 0,
            limit: queue.properties.content_bytes_max,
            paused: false,
        }));
        ContentReader(channel)
    }

    /// Takes content of the present request.
    pub(super) fn take_content<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &[u8],
    ) -> usize {
        let Receive::Content(content) = &mut conn.receive else {
            return 0;
        };
        // Whoever sends without waiting for `100 Continue` needs none.
        conn.asked.awaits_continue = false;
        let limits = &self.shared.settings.request_limits;
        match content.take(bytes, limits, &mut self.wakers) {
            Ok(Progress { taken, whole, full }) => {
                self.log_received(conn, taken);
                if whole {
                    conn.receive = Receive::Head;
                    conn.deadline.restart();
                } else if full {
                    self.pause(operations, conn);
                }
                taken
            }
            Err(broken) => {
                self.break_content(operations, conn, broken);
                bytes.len()
            }
        }
    }

    /// Ends a request whose content breaks a rule.
    fn break_content<O: Operations>(
        &mut self,
        operations: &mut O,
        conn: &mut Connection,
        broken: Reject,
    ) {
        let error = match broken {
            Reject::ContentTooLarge => BodyError::TooLarge {
                limit: conn.content_limit().unwrap_or(u64::MAX),
            },
            _ => BodyError::Malformed,
        };
        let nobody_reads = conn.end_content(Err(error));
        conn.asked.close = true;
        self.log(
            operations,
            conn,
            broken.reason(),
            Some(broken.status()),
            Seen::Nothing,
        );
        match conn.respond {
            // It was answered already: what follows cannot be understood.
            Respond::Ready => self.close_after_output(conn),
            // The application hears of it from its reader and answers; if it does not read, or waits
            // in the queue, nothing it says could be trusted to be about what was sent.
            Respond::Application(_) if nobody_reads => {
                self.disown(conn);
                let phrase = reason_phrase(broken.status());
                self.error_page(conn, broken.status(), phrase, broken.detail());
            }
            Respond::Application(_) | Respond::Stream(_) => conn.receive = Receive::Discard,
        }
    }
}

/// How a request's content will be had.
pub(super) enum Expected<'a> {
    /// It is all there.
    Whole(&'a [u8]),
    /// It is short: worth waiting until so many bytes, from the head's first, are there.
    Gather(usize),
    /// It is passed on as it arrives.
    Arriving,
}

/// What was done with received content.
struct Progress {
    taken: usize,
    whole: bool,
    full: bool,
}

impl Content {
    /// Passes content on, up to its end.
    fn take(
        &mut self,
        bytes: &[u8],
        limits: &RequestLimits,
        wakers: &mut Vec<Waker>,
    ) -> Result<Progress, Reject> {
        let mut at = 0;
        let mut full = false;
        loop {
            let rest = &bytes[at..];
            let (piece, taken, whole) = match &mut self.framing {
                Framing::Length(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= count as u64;
                    (&rest[..count], count, *left == 0)
                }
                Framing::Chunked(decoder) => match decoder.decode(rest, limits)? {
                    ChunkStep::NeedMore { consumed } => (&rest[..0], consumed, false),
                    ChunkStep::Data { range, consumed } => (&rest[range], consumed, false),
                    ChunkStep::End { consumed } => (&rest[..0], consumed, true),
                },
            };
            at += taken;
            self.received += piece.len() as u64;
            if self.limit.is_some_and(|limit| self.received > limit) {
                return Err(Reject::ContentTooLarge);
            }
            if !piece.is_empty() {
                full |= self.pass_on(piece, wakers);
            }
            if whole {
                let trailers = self.trailers();
                if let Some(channel) = &self.channel {
                    channel.end(Ok(trailers));
                }
            }
            if whole || at >= bytes.len() || taken == 0 {
                self.paused = full && !whole;
                return Ok(Progress {
                    taken: at,
                    whole,
                    full: self.paused,
                });
            }
        }
    }

    /// Gives a piece to the reader. Says whether it has enough for now.
    fn pass_on(&mut self, piece: &[u8], wakers: &mut Vec<Waker>) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        match channel.push(piece, wakers) {
            Pushed::Room => false,
            Pushed::Full => true,
            Pushed::NobodyReads => {
                self.channel = None;
                false
            }
        }
    }

    fn trailers(&mut self) -> Trailers {
        match &mut self.framing {
            Framing::Length(_) => Trailers::default(),
            Framing::Chunked(decoder) => decoder.take_trailers(),
        }
    }
}
