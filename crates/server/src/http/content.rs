//! A request's content: whole, as text, or piece by piece.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tidegate_httpapi::{BodyError, BodyReader, ContentFraming, Exchange, Trailers};
use tidegate_proto::form_data::FormDataError;

use super::charset::Charset;
use crate::upload::UploadLimits;

/// Why a request's content cannot be had as asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ContentError {
    /// It ended early. The peer's fault.
    Body(BodyError),
    /// It is no text in the character set that its content type names. The peer's fault.
    NotText,
    /// Its content type names a character set that we cannot read. The peer's fault.
    UnknownCharset,
    /// It is no form, though its content type says so. The peer's fault.
    Form(FormDataError),
    /// It is a form that holds more than [`UploadLimits`](crate::UploadLimits) allow. The peer's fault.
    FormLimit {
        /// Of what there is more.
        what: FormLimit,
        /// The most allowed.
        limit: u64,
    },
    /// [`Request::body`](super::Request::body) has taken it out, or it has gone to disk as an upload. The
    /// application's fault.
    Taken,
    /// It has yet to arrive, and this thread must not wait for it. The application's fault: see
    /// [`Events::waits_for_content`](crate::Events::waits_for_content).
    WouldBlock,
}

impl ContentError {
    /// The status to answer with.
    pub fn status(&self) -> u16 {
        match self {
            Self::Body(BodyError::TooLarge { .. })
            | Self::FormLimit { .. }
            | Self::Form(FormDataError::HeadTooLong { .. }) => 413,
            Self::Body(BodyError::TimedOut) => 408,
            Self::Body(BodyError::Forbidden) => 403,
            Self::Body(BodyError::Disconnected | BodyError::Malformed)
            | Self::NotText
            | Self::Form(_) => 400,
            Self::UnknownCharset => 415,
            Self::Body(_) | Self::Taken | Self::WouldBlock => 500,
        }
    }

    pub(crate) fn is_peer_fault(&self) -> bool {
        self.status() != 500
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Body(error) => return error.fmt(formatter),
            Self::Form(error) => return error.fmt(formatter),
            Self::FormLimit { what, limit } => {
                let what = what.what();
                return write!(formatter, "{what}: more than {limit}");
            }
            Self::NotText => "the content is no text in its charset",
            Self::UnknownCharset => "the content's charset is not known",
            Self::Taken => "the content has been taken out already",
            Self::WouldBlock => "the content has yet to arrive, and this thread must not wait",
        })
    }
}

impl std::error::Error for ContentError {}

impl From<FormDataError> for ContentError {
    fn from(error: FormDataError) -> Self {
        Self::Form(error)
    }
}

/// What a form has too much of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FormLimit {
    /// Files.
    Files,
    /// Fields that are no files.
    Fields,
    /// Bytes in the name of a field.
    FieldName,
    /// Bytes in the value of a field.
    FieldValue,
    /// Bytes in all names and values together.
    AllFields,
    /// Bytes in a file.
    File,
}

impl FormLimit {
    fn what(self) -> &'static str {
        match self {
            Self::Files => "files in the form",
            Self::Fields => "fields in the form",
            Self::FieldName => "bytes in the name of a field of the form",
            Self::FieldValue => "bytes in the value of a field of the form",
            Self::AllFields => "bytes in all names and values of the form",
            Self::File => "bytes in a file of the form",
        }
    }
}

impl From<BodyError> for ContentError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

/// How much content a request may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContentLimits {
    /// All of it, in bytes.
    pub(crate) bytes_max: u64,
    /// What it may hold when it is a form.
    pub(crate) uploads: UploadLimits,
}

impl ContentLimits {
    /// For a request without content.
    pub(crate) const NONE: Self = Self {
        bytes_max: 0,
        uploads: UploadLimits::DEFAULT,
    };

    /// Whether a request has more content, as far as its length is known.
    pub(crate) fn are_exceeded(&self, exchange: &Exchange<'_>) -> bool {
        let length = match (exchange.head().framing, exchange.content()) {
            (ContentFraming::Length(length), _) => length,
            (ContentFraming::Chunked, Some(content)) => content.len() as u64,
            (ContentFraming::Chunked, None) | (ContentFraming::None, _) => 0,
        };
        length > self.bytes_max
    }
}

/// A request's content, wherever it is.
#[derive(Debug)]
pub(super) enum RequestContent<'a> {
    /// In the receive buffer, whole.
    Arrived(&'a [u8], &'a ContentLimits),
    /// Behind a reader.
    Pending(Box<Pending>),
}

/// What is left of a request's content once its handler has returned.
#[derive(Debug)]
pub(crate) enum LeftContent {
    /// All of it, where it was.
    WithExchange,
    /// What this reader gives.
    Reader(BodyReader),
    /// Nothing: it has been taken out.
    Nothing,
}

/// Content behind a reader, and the whole of it once somebody has asked for that.
#[derive(Debug)]
pub(super) struct Pending {
    /// Guards nothing but who takes the reader; never held while content is waited for.
    reader: Mutex<Option<BodyReader>>,
    whole: OnceLock<Bytes>,
    may_block: bool,
    limits: ContentLimits,
}

impl RequestContent<'_> {
    /// Content behind `reader`; `None` when it is not to be had here.
    pub(super) fn pending(
        reader: Option<BodyReader>,
        may_block: bool,
        limits: &ContentLimits,
    ) -> Self {
        Self::Pending(Box::new(Pending {
            reader: Mutex::new(reader),
            whole: OnceLock::new(),
            may_block,
            limits: *limits,
        }))
    }

    /// What it may hold when it is a form.
    pub(super) fn upload_limits(&self) -> &UploadLimits {
        match self {
            Self::Arrived(_, limits) => &limits.uploads,
            Self::Pending(pending) => &pending.limits.uploads,
        }
    }

    /// All of it, waited for.
    pub(super) fn whole(&self) -> Result<&[u8], ContentError> {
        match self {
            Self::Arrived(content, _) => Ok(content),
            Self::Pending(pending) => pending.whole(),
        }
    }

    /// All of it, waited for without holding a thread.
    pub(super) async fn whole_async(&self) -> Result<&[u8], ContentError> {
        match self {
            Self::Arrived(content, _) => Ok(content),
            Self::Pending(pending) => pending.whole_async().await,
        }
    }

    /// All of it, if it is here.
    pub(super) fn arrived(&self) -> Option<&[u8]> {
        match self {
            Self::Arrived(content, _) => Some(content),
            Self::Pending(pending) => pending.whole.get().map(|whole| &whole[..]),
        }
    }

    /// A reader of it; of nothing when it has been taken out already.
    pub(super) fn take(&self) -> BodyReader {
        match self {
            Self::Arrived(content, _) => BodyReader::whole(Bytes::copy_from_slice(content)),
            Self::Pending(pending) => match pending.whole.get() {
                Some(whole) => BodyReader::whole(whole.clone()),
                None => pending.take_reader().unwrap_or_default(),
            },
        }
    }

    /// What a handler has left of it.
    #[inline(always)]
    pub(super) fn into_left(self) -> LeftContent {
        match self {
            Self::Arrived(..) => LeftContent::WithExchange,
            Self::Pending(pending) => match pending.whole.into_inner() {
                Some(whole) => LeftContent::Reader(BodyReader::whole(whole)),
                None => pending
                    .reader
                    .into_inner()
                    .unwrap_or_else(PoisonError::into_inner)
                    .map_or(LeftContent::Nothing, LeftContent::Reader),
            },
        }
    }
}

impl Pending {
    fn whole(&self) -> Result<&[u8], ContentError> {
        if let Some(whole) = self.whole.get() {
            return Ok(whole);
        }
        if !self.may_block {
            return Err(ContentError::WouldBlock);
        }
        let mut reader = self.take_reader().ok_or(ContentError::Taken)?;
        let whole = reader.blocking_collect(self.limits.bytes_max)?;
        Ok(self.whole.get_or_init(|| whole))
    }

    async fn whole_async(&self) -> Result<&[u8], ContentError> {
        if let Some(whole) = self.whole.get() {
            return Ok(whole);
        }
        let mut reader = self.take_reader().ok_or(ContentError::Taken)?;
        let whole = reader.collect(self.limits.bytes_max).await?;
        Ok(self.whole.get_or_init(|| whole))
    }

    fn take_reader(&self) -> Option<BodyReader> {
        self.reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Content as text, in the character set that its content type names.
pub(super) fn as_text<'a>(
    content: &'a [u8],
    content_type: Option<&[u8]>,
) -> Result<Cow<'a, str>, ContentError> {
    let charset = content_type.map_or(Charset::Utf8, Charset::of_content_type);
    if charset == Charset::Unknown {
        return Err(ContentError::UnknownCharset);
    }
    charset.decode(content).ok_or(ContentError::NotText)
}

/// A request's content as a mounted `tower` service reads it, trailers at its end.
#[derive(Debug)]
pub struct Body {
    reader: BodyReader,
    /// What is left, when the length is known.
    remaining: Option<u64>,
    trailers_given: bool,
}

impl Body {
    pub(crate) fn new(reader: BodyReader, framing: ContentFraming) -> Self {
        let remaining = match framing {
            ContentFraming::None => Some(0),
            ContentFraming::Length(length) => Some(length),
            ContentFraming::Chunked => None,
        };
        Self {
            reader,
            remaining,
            trailers_given: false,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = self.get_mut();
        Poll::Ready(match ready!(body.reader.poll_chunk(context)) {
            Ok(Some(chunk)) => {
                if let Some(remaining) = &mut body.remaining {
                    *remaining = remaining.saturating_sub(chunk.len() as u64);
                }
                Some(Ok(Frame::data(chunk)))
            }
            Ok(None) if body.trailers_given => None,
            Ok(None) => {
                body.trailers_given = true;
                let trailers = header_map(body.reader.trailers());
                (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.reader.is_end() && (self.trailers_given || self.remaining == Some(0))
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn header_map(trailers: &Trailers) -> ::http::HeaderMap {
    let mut map = ::http::HeaderMap::new();
    for field in trailers.iter() {
        let name = ::http::HeaderName::from_bytes(field.name.as_bytes());
        let value = ::http::HeaderValue::from_bytes(field.value);
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}
