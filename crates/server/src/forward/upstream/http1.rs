//! One request and its response over a connection of HTTP/1.1.
//!
//! Request and response go at the same time: an upstream may answer before it has all content. The
//! connection is kept for the next request only if both have ended as they must, and nothing more came.
//! Source: RFC 9112.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tidegate_httpapi::{
    BodyError, ContentFraming, FieldBlock, FieldSpan, Fields, KnownField, RequestLimits, Trailers,
    reason_phrase,
};
use tidegate_proto::http1::{AnswerFraming, ChunkStep, ChunkedDecoder, ParsedAnswer, parse_answer};
use tokio::io::AsyncWrite;

use super::{AnswerHead, BoxIo, poll_read};
use crate::forward::error::ForwardFailure;
use crate::forward::fields::passed_on;
use crate::forward::head::Outgoing;
use crate::forward::upload::{Piece, Upload};

/// A connection between requests, with memory that they use one after the other.
pub(crate) struct Http1Connection {
    pub(super) io: BoxIo,
    out: Vec<u8>,
    received: BytesMut,
}

impl Http1Connection {
    pub(super) fn new(io: BoxIo) -> Self {
        Self {
            io,
            out: Vec::new(),
            received: BytesMut::new(),
        }
    }
}

/// A request on its way, and the response that comes back.
pub(crate) struct Http1 {
    /// `None` once the connection is of no more use, or has been given away.
    io: Option<BoxIo>,
    upload: Upload,
    /// To be written next; begins with what is at `written`.
    out: Vec<u8>,
    written: usize,
    /// To be written behind it, without being copied.
    piece: Bytes,
    /// What was written has not been flushed.
    is_dirty: bool,
    /// The chunk being written has to be ended.
    ends_chunk: bool,
    /// The upstream takes no more of the request.
    is_refused: bool,
    /// Bytes of the request given to the connection.
    sent: u64,
    received: BytesMut,
    /// `received` may have more memory than is to be kept.
    has_read_much: bool,
    /// Bytes of a head that were looked at.
    seen: usize,
    has_received: bool,
    to_head: bool,
    asks_upgrade: bool,
    limits: RequestLimits,
    content: Incoming,
    may_be_kept: bool,
    trailers: Option<Trailers>,
}

/// What comes next of a response.
enum Incoming {
    Head,
    Length(u64),
    Chunked(Box<ChunkedDecoder>),
    UntilClose,
    Ended,
}

impl Http1 {
    pub(crate) fn new(
        connection: Http1Connection,
        outgoing: &Outgoing,
        (host, base): (&str, &str),
        mut upload: Upload,
        limits: &RequestLimits,
    ) -> Self {
        let Http1Connection {
            io,
            mut out,
            received,
        } = connection;
        out.reserve(outgoing.fields.as_bytes().len() + 256);
        encode_head(outgoing, (host, base), upload.framing(), &mut out);
        if outgoing.expects_continue {
            upload.wait();
        }
        Self {
            io: Some(io),
            upload,
            out,
            written: 0,
            piece: Bytes::new(),
            is_dirty: false,
            ends_chunk: false,
            is_refused: false,
            sent: 0,
            received,
            has_read_much: false,
            seen: 0,
            has_received: false,
            to_head: &*outgoing.method == "HEAD",
            asks_upgrade: outgoing.websocket.is_some(),
            limits: limits.clone(),
            content: Incoming::Head,
            may_be_kept: true,
            trailers: None,
        }
    }

    pub(crate) fn upload(&mut self) -> &mut Upload {
        &mut self.upload
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the client has to send more before anything can go on.
    pub(crate) fn waits_for_client(&self) -> bool {
        !self.upload.is_done()
            && !self.upload.waits()
            && self.out.is_empty()
            && self.piece.is_empty()
    }

    /// Whether the upstream has said anything.
    pub(crate) fn has_received(&self) -> bool {
        self.has_received
    }

    /// The next head: of an interim response, or of the final one.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, ForwardFailure>> {
        loop {
            if let Poll::Ready(Err(error)) = self.poll_upload(context) {
                return Poll::Ready(Err(ForwardFailure::Content(error)));
            }
            if !self.received.is_empty() {
                let mut spans = Vec::with_capacity(16);
                let parsed = parse_answer(
                    &self.received,
                    self.seen,
                    self.to_head,
                    &self.limits,
                    &mut spans,
                );
                match parsed {
                    Ok(Some(answer)) => return Poll::Ready(self.take_head(&answer, &spans)),
                    Ok(None) => self.seen = self.received.len(),
                    Err(fault) => return Poll::Ready(Err(ForwardFailure::Response(fault))),
                }
            }
            match ready!(self.poll_more(context, HEAD_READ)) {
                Ok(0) => return Poll::Ready(Err(ForwardFailure::Closed)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(ForwardFailure::Broken(error))),
            }
        }
    }

    fn take_head(
        &mut self,
        answer: &ParsedAnswer,
        spans: &[FieldSpan],
    ) -> Result<AnswerHead, ForwardFailure> {
        let bytes = self.received.split_to(answer.head_bytes);
        self.seen = 0;
        let head = answer_head(answer, &bytes, spans)?;
        if answer.status == 101 {
            if !self.asks_upgrade {
                return Err(ForwardFailure::Upgrade);
            }
            return Ok(head);
        }
        if answer.status < 200 {
            return Ok(head);
        }
        self.may_be_kept = !answer.close;
        self.content = match answer.framing {
            AnswerFraming::None | AnswerFraming::Length(0) => Incoming::Ended,
            AnswerFraming::Length(length) => Incoming::Length(length),
            AnswerFraming::Chunked => Incoming::Chunked(Box::default()),
            AnswerFraming::UntilClose => {
                self.may_be_kept = false;
                Incoming::UntilClose
            }
        };
        if self.upload.waits() {
            // The client will not be asked for it; the upstream may or may not wait for it still.
            self.upload.give_up();
            self.may_be_kept = false;
        }
        Ok(head)
    }

    /// All content, if it is there already. To be asked before anything else.
    pub(crate) fn whole_content(&mut self) -> Option<Bytes> {
        match self.content {
            Incoming::Ended => Some(Bytes::new()),
            Incoming::Length(length) if self.received.len() as u64 >= length => {
                self.content = Incoming::Ended;
                Some(self.received.split_to(length as usize).freeze())
            }
            _ => None,
        }
    }

    /// The next piece of the response's content.
    pub(crate) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        if let Poll::Ready(Err(error)) = self.poll_upload(context) {
            return Poll::Ready(Some(Err(error.into())));
        }
        loop {
            match &mut self.content {
                Incoming::Head | Incoming::Ended => return Poll::Ready(None),
                Incoming::Length(left) if !self.received.is_empty() => {
                    let count = (*left).min(self.received.len() as u64);
                    *left -= count;
                    if *left == 0 {
                        self.content = Incoming::Ended;
                    }
                    let piece = self.received.split_to(count as usize).freeze();
                    return Poll::Ready(Some(Ok(piece)));
                }
                Incoming::UntilClose if !self.received.is_empty() => {
                    return Poll::Ready(Some(Ok(self.received.split().freeze())));
                }
                Incoming::Chunked(decoder) if !self.received.is_empty() => {
                    match decoder.decode(&self.received, &self.limits) {
                        Ok(ChunkStep::NeedMore { consumed }) => self.received.advance(consumed),
                        Ok(ChunkStep::Data { range, consumed }) => {
                            let mut piece = self.received.split_to(consumed);
                            piece.advance(range.start);
                            return Poll::Ready(Some(Ok(piece.freeze())));
                        }
                        Ok(ChunkStep::End { consumed }) => {
                            self.received.advance(consumed);
                            self.trailers = Some(decoder.take_trailers());
                            self.content = Incoming::Ended;
                        }
                        Err(fault) => {
                            let error = io::Error::new(io::ErrorKind::InvalidData, fault.detail());
                            return Poll::Ready(Some(Err(error)));
                        }
                    }
                    continue;
                }
                Incoming::Length(_) | Incoming::UntilClose | Incoming::Chunked(_) => {}
            }
            let count = match ready!(self.poll_more(context, CONTENT_READ)) {
                Ok(count) => count,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            if count == 0 {
                if matches!(self.content, Incoming::UntilClose) {
                    self.content = Incoming::Ended;
                    return Poll::Ready(None);
                }
                // Never a part for the whole.
                let error = "the upstream closed the connection within the content";
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, error);
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// Whether all content has been given.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.content, Incoming::Ended)
    }

    /// The trailer section of the response.
    pub(crate) fn take_trailers(&mut self) -> Option<Trailers> {
        self.trailers.take()
    }

    /// The connection, if it can carry another request: all has been sent and received, and nothing more.
    pub(crate) fn into_reusable(mut self) -> Option<Http1Connection> {
        let is_sent = self.upload.is_done()
            && !self.is_refused
            && !self.is_dirty
            && self.written >= self.out.len()
            && self.piece.is_empty();
        let is_received = matches!(self.content, Incoming::Ended) && self.received.is_empty();
        if !(self.may_be_kept && is_sent && is_received) {
            return None;
        }
        // Memory that few requests need is given back.
        if self.out.capacity() > KEPT_MAX {
            self.out = Vec::new();
        }
        if self.has_read_much {
            self.received = BytesMut::new();
        }
        self.out.clear();
        Some(Http1Connection {
            io: self.io.take()?,
            out: self.out,
            received: self.received,
        })
    }

    /// The connection, and what came behind the head.
    pub(crate) fn into_tunnel(mut self) -> Option<(BoxIo, Bytes)> {
        Some((self.io.take()?, self.received.split().freeze()))
    }

    fn poll_more(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(0));
        };
        if self.received.capacity() - self.received.len() < room / 4 {
            self.has_read_much |= room > KEPT_MAX;
            self.received.reserve(room);
        }
        let count = ready!(poll_read(io, context, &mut self.received))?;
        self.has_received |= count > 0;
        Poll::Ready(Ok(count))
    }

    /// Sends as much of the request as can be. An error is the client's.
    fn poll_upload(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if self.is_refused {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_write(context)) {
                Ok(()) => {}
                Err(_) => {
                    // What it said before is still to be read; if that is nothing, reading says so.
                    self.is_refused = true;
                    self.upload.give_up();
                    return Poll::Ready(Ok(()));
                }
            }
            if self.upload.is_done() || self.upload.waits() {
                return Poll::Ready(Ok(()));
            }
            let piece = match ready!(self.upload.poll(context)) {
                Ok(piece) => piece,
                Err(error) => return Poll::Ready(Err(error)),
            };
            self.stage(piece);
        }
    }

    /// Puts a piece where it is written next.
    fn stage(&mut self, piece: Piece) {
        let is_chunked = self.upload.framing() == ContentFraming::Chunked;
        match piece {
            Piece::Data(data) => {
                if is_chunked {
                    self.out
                        .extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                }
                if data.len() <= COPIED_MAX {
                    self.out.extend_from_slice(&data);
                    if is_chunked {
                        self.out.extend_from_slice(b"\r\n");
                    }
                } else {
                    self.piece = data;
                    self.ends_chunk = is_chunked;
                }
            }
            Piece::End(trailers) if is_chunked => {
                self.out.extend_from_slice(b"0\r\n");
                for field in trailers.iter() {
                    line(&mut self.out, field.name, field.value);
                }
                self.out.extend_from_slice(b"\r\n");
            }
            Piece::End(_) => {}
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let mut io = Pin::new(io);
        loop {
            let rest = &self.out[self.written..];
            let count = if !rest.is_empty() {
                let count = ready!(io.as_mut().poll_write(context, rest))?;
                self.written += count;
                if self.written == self.out.len() {
                    self.out.clear();
                    self.written = 0;
                }
                count
            } else if !self.piece.is_empty() {
                let count = ready!(io.as_mut().poll_write(context, &self.piece))?;
                self.piece.advance(count);
                if self.piece.is_empty() && std::mem::take(&mut self.ends_chunk) {
                    self.out.extend_from_slice(b"\r\n");
                }
                count
            } else if self.is_dirty {
                ready!(io.as_mut().poll_flush(context))?;
                self.is_dirty = false;
                return Poll::Ready(Ok(()));
            } else {
                return Poll::Ready(Ok(()));
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count as u64;
            self.is_dirty = true;
        }
    }
}

/// Writes the request's head.
fn encode_head(
    outgoing: &Outgoing,
    (host, base): (&str, &str),
    framing: ContentFraming,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(outgoing.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(&outgoing.target(base));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line(
        out,
        "Host",
        outgoing.host.as_deref().unwrap_or(host.as_bytes()),
    );
    out.extend_from_slice(outgoing.fields.as_bytes());
    match framing {
        ContentFraming::Length(length) => {
            line(out, "Content-Length", length.to_string().as_bytes());
        }
        ContentFraming::Chunked => line(out, "Transfer-Encoding", b"chunked"),
        // RFC 9110 §8.6: where content could be expected, that there is none is said.
        ContentFraming::None if outgoing.may_have_content() => {
            line(out, "Content-Length", b"0");
        }
        ContentFraming::None => {}
    }
    if outgoing.expects_continue {
        line(out, "Expect", b"100-continue");
    }
    if outgoing.websocket.is_some() {
        line(out, "Connection", b"Upgrade");
        line(out, "Upgrade", b"websocket");
    } else if outgoing.takes_trailers {
        line(out, "Connection", b"TE");
        line(out, "TE", b"trailers");
    }
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn answer_head(
    answer: &ParsedAnswer,
    bytes: &[u8],
    spans: &[FieldSpan],
) -> Result<AnswerHead, ForwardFailure> {
    let all = Fields::new(bytes, spans);
    let mut fields = FieldBlock::with_memory(Vec::with_capacity(bytes.len()));
    for field in passed_on(all) {
        // The parser lets nothing through that a field must not have.
        fields
            .append(field.name, field.value)
            .map_err(ForwardFailure::Field)?;
    }
    let reason = std::str::from_utf8(answer.reason.of(bytes)).ok();
    let usual = reason_phrase(answer.status);
    let told_length = all.known(KnownField::ContentLength).and_then(|value| {
        let first = value.split(|&byte| byte == b',').next()?;
        std::str::from_utf8(first.trim_ascii()).ok()?.parse().ok()
    });
    Ok(AnswerHead {
        status: answer.status,
        reason: reason
            .filter(|reason| *reason != usual && !reason.is_empty())
            .map(Box::from),
        fields,
        length: match answer.framing {
            AnswerFraming::None => Some(0),
            AnswerFraming::Length(length) => Some(length),
            AnswerFraming::Chunked | AnswerFraming::UntilClose => None,
        },
        told_length,
        upgrade: match answer.status {
            101 => all.known(KnownField::Upgrade).map(Box::from),
            _ => None,
        },
    })
}

/// A usual head of a response, and its content if that is short.
const HEAD_READ: usize = 4 * 1024;

/// As much as the driver has in memory for a client that is reading, by default.
const CONTENT_READ: usize = 64 * 1024;

/// Memory that a connection keeps between requests, for each direction, in bytes.
const KEPT_MAX: usize = 8 * 1024;

/// Content so short that it is copied behind what goes before it.
const COPIED_MAX: usize = 16 * 1024;
