//! One request and its response on a stream of an HTTP/2 connection.
//!
//! Frames, flow control and what else connections need is the `h2` crate's matter. Source: RFC 9113 §8.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tidegate_httpapi::{BodyError, ContentFraming, FieldBlock, RequestLimits, Trailers};

use super::{AnswerHead, BoxIo};
use crate::forward::error::ForwardFailure;
use crate::forward::fields::is_hop_by_hop;
use crate::forward::head::Outgoing;
use crate::forward::upload::{Piece, Upload};

/// Begins HTTP/2 on a connection, and has it looked after for as long as anybody uses it.
pub(super) async fn connect(
    io: BoxIo,
    limits: &RequestLimits,
) -> Result<SendRequest<Bytes>, ForwardFailure> {
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(limits.head_bytes_max)
        .enable_push(false)
        .handshake(io)
        .await
        .map_err(ForwardFailure::Http2)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an HTTP/2 connection to an upstream has ended");
        }
    });
    Ok(requests)
}

/// A request on its way, and the response that comes back.
pub(crate) struct Http2 {
    upload: Upload,
    stream: SendStream<Bytes>,
    /// To be sent next.
    piece: Bytes,
    /// The upstream takes no more of the request.
    is_refused: bool,
    sent: u64,
    has_received: bool,
    response: ResponseFuture,
    content: Option<RecvStream>,
    trailers: Option<HeaderMap>,
    is_ended: bool,
}

impl Http2 {
    pub(crate) fn new(
        mut requests: SendRequest<Bytes>,
        outgoing: &Outgoing,
        (scheme, host, base): (&str, &str, &str),
        mut upload: Upload,
    ) -> Result<Self, ForwardFailure> {
        let request = request(outgoing, (scheme, host, base), upload.framing())
            .ok_or(ForwardFailure::Target)?;
        if outgoing.expects_continue {
            upload.wait();
        }
        let (response, stream) = requests
            .send_request(request, upload.is_done())
            .map_err(ForwardFailure::Http2)?;
        Ok(Self {
            upload,
            stream,
            piece: Bytes::new(),
            is_refused: false,
            sent: 0,
            has_received: false,
            response,
            content: None,
            trailers: None,
            is_ended: false,
        })
    }

    pub(crate) fn upload(&mut self) -> &mut Upload {
        &mut self.upload
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the client has to send more before anything can go on.
    pub(crate) fn waits_for_client(&self) -> bool {
        !self.upload.is_done() && !self.upload.waits() && self.piece.is_empty()
    }

    pub(crate) fn has_received(&self) -> bool {
        self.has_received
    }

    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, ForwardFailure>> {
        if let Poll::Ready(Err(error)) = self.poll_upload(context) {
            self.stream.send_reset(Reason::CANCEL);
            return Poll::Ready(Err(ForwardFailure::Content(error)));
        }
        if let Poll::Ready(Some(Ok(interim))) = self.response.poll_informational(context) {
            self.has_received = true;
            let (parts, ()) = interim.into_parts();
            return Poll::Ready(answer_head(&parts, false));
        }
        let response = match ready!(Pin::new(&mut self.response).poll(context)) {
            Ok(response) => response,
            Err(error) => return Poll::Ready(Err(ForwardFailure::Http2(error))),
        };
        self.has_received = true;
        let (parts, content) = response.into_parts();
        let is_empty = content.is_end_stream();
        self.content = Some(content);
        if self.upload.waits() {
            self.upload.give_up();
            self.is_refused = true;
        }
        Poll::Ready(answer_head(&parts, is_empty))
    }

    /// All content, if it is there already.
    pub(crate) fn whole_content(&mut self) -> Option<Bytes> {
        let content = self.content.as_ref()?;
        if content.is_end_stream() && self.upload.is_done() {
            self.is_ended = true;
            return Some(Bytes::new());
        }
        None
    }

    pub(crate) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        if let Poll::Ready(Err(error)) = self.poll_upload(context) {
            self.stream.send_reset(Reason::CANCEL);
            return Poll::Ready(Some(Err(error.into())));
        }
        let Some(content) = &mut self.content else {
            return Poll::Ready(None);
        };
        match ready!(content.poll_data(context)) {
            Some(Ok(piece)) => {
                // The driver asks for more when the client has taken this: that holds the upstream up.
                let released = content.flow_control().release_capacity(piece.len());
                Poll::Ready(Some(released.map(|()| piece).map_err(io::Error::other)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(io::Error::other(error)))),
            None => match ready!(content.poll_trailers(context)) {
                Ok(trailers) => {
                    self.trailers = trailers;
                    self.is_ended = true;
                    Poll::Ready(None)
                }
                Err(error) => Poll::Ready(Some(Err(io::Error::other(error)))),
            },
        }
    }

    pub(crate) fn take_trailers(&mut self) -> Option<Trailers> {
        let trailers = self.trailers.take()?;
        let fields = trailers.iter();
        Some(Trailers::new(
            fields
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                .collect(),
        ))
    }

    /// Sends as much of the request as can be. An error is the client's.
    fn poll_upload(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if self.is_refused || (self.upload.is_done() && self.piece.is_empty()) {
                return Poll::Ready(Ok(()));
            }
            if !self.piece.is_empty() {
                self.stream.reserve_capacity(self.piece.len());
                match ready!(self.stream.poll_capacity(context)) {
                    Some(Ok(0)) => {}
                    Some(Ok(room)) => {
                        let part = self.piece.split_to(room.min(self.piece.len()));
                        self.sent += part.len() as u64;
                        self.is_refused = self.stream.send_data(part, false).is_err();
                    }
                    // What it said before is still to be read.
                    Some(Err(_)) | None => self.is_refused = true,
                }
                if self.is_refused {
                    self.upload.give_up();
                }
                continue;
            }
            if self.upload.waits() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.upload.poll(context)) {
                Ok(Piece::Data(piece)) => self.piece = piece,
                Ok(Piece::End(trailers)) => {
                    let map = header_map(&trailers);
                    let sent = match map.is_empty() {
                        true => self.stream.send_data(Bytes::new(), true),
                        false => self.stream.send_trailers(map),
                    };
                    self.is_refused |= sent.is_err();
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        if !self.is_ended {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}

fn request(
    outgoing: &Outgoing,
    (scheme, host, base): (&str, &str, &str),
    framing: ContentFraming,
) -> Option<http::Request<()>> {
    let mut request = http::Request::new(());
    *request.version_mut() = http::Version::HTTP_2;
    *request.method_mut() = Method::from_bytes(outgoing.method.as_bytes()).ok()?;
    let authority = match &outgoing.host {
        Some(host) => std::str::from_utf8(host).ok()?,
        None => host,
    };
    let target = outgoing.target(base);
    let target = std::str::from_utf8(&target).ok()?;
    *request.uri_mut() = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(target)
        .build()
        .ok()?;
    let headers = request.headers_mut();
    for field in outgoing.fields.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    match framing {
        ContentFraming::Length(length) => {
            headers.insert(http::header::CONTENT_LENGTH, length.into());
        }
        // RFC 9110 §8.6: where content could be expected, that there is none is said.
        ContentFraming::None if outgoing.may_have_content() => {
            headers.insert(http::header::CONTENT_LENGTH, 0.into());
        }
        ContentFraming::None | ContentFraming::Chunked => {}
    }
    if outgoing.expects_continue {
        let value = HeaderValue::from_static("100-continue");
        headers.insert(http::header::EXPECT, value);
    }
    if outgoing.takes_trailers {
        headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
    }
    Some(request)
}

fn answer_head(
    parts: &http::response::Parts,
    is_empty: bool,
) -> Result<AnswerHead, ForwardFailure> {
    let mut fields = FieldBlock::new();
    for (name, value) in &parts.headers {
        if !is_hop_by_hop(name.as_str()) {
            fields
                .append(name.as_str(), value)
                .map_err(ForwardFailure::Field)?;
        }
    }
    let told_length = parts.headers.get(http::header::CONTENT_LENGTH);
    let told_length = told_length.and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(AnswerHead {
        status: parts.status.as_u16(),
        reason: None,
        fields,
        length: match is_empty {
            true => Some(0),
            false => told_length,
        },
        told_length,
        upgrade: None,
    })
}

fn header_map(trailers: &Trailers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for field in trailers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) {
            map.append(name, value);
        }
    }
    map
}

/// What a stream may send before the client has taken anything.
const WINDOW: u32 = 256 * 1024;

/// What all streams of a connection may.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
