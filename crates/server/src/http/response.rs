//! A response as an application fills it.
//!
//! Setters may be chained; the first thing that cannot be sent is kept, and 500 goes out in place of
//! such a response. Fields are in `head` and `trailers`, sources of content in `stream`, answering later
//! in `deferred`, not at all in `reset`. Source: the component's response object.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use futures_core::Stream;
use tidegate_httpapi::{
    BodySource, CachePolicy, FieldBlock, FieldError, FlowRate, KnownField, LimitError,
    ResponseHead, StreamReset, Transfer,
};

use super::charset::Charset;
use super::deferred::{Deferral, Reply};
use super::range::HandMadeRange;
use super::stream::{BodySender, Source};

/// One response, to be filled. Left as it is, it says 200 without content.
///
/// ```
/// # fn handler(response: &mut tidegate::Response) {
/// response
///     .status(201)
///     .location("/notes/7")
///     .header("X-Robots-Tag", "none")
///     .text("Noted.");
/// # }
/// ```
///
/// Of several contents set, the last counts.
#[derive(Debug)]
pub struct Response {
    pub(super) head: ResponseHead,
    pub(super) content: tidegate_httpapi::Body,
    /// The character set that the content type names.
    pub(super) charset: Charset,
    /// What few responses have.
    pub(super) rare: Option<Box<Rare>>,
    /// Whom it goes to, once the request has left its handler.
    pub(super) reply: Option<Box<Reply>>,
}

/// What few responses have.
#[derive(Default)]
pub(super) struct Rare {
    /// The first thing that cannot be sent.
    pub(super) fault: Option<ResponseError>,
    pub(super) source: Option<Source>,
    pub(super) content_length: Option<u64>,
    /// Whether conditions and ranges of the request are answered for the application.
    pub(super) processes_ranges: bool,
    /// `Content-Range` as its parts are set.
    pub(super) content_range: Option<HandMadeRange>,
    /// Interim responses to be sent before this one.
    pub(super) interim: Vec<(u16, FieldBlock)>,
    pub(super) deferral: Option<Deferral>,
    /// The request is given up instead.
    pub(super) reset: Option<StreamReset>,
}

impl Response {
    /// A response that says 200, whose fields are built in `memory`.
    #[inline]
    pub(crate) fn with_memory(memory: Vec<u8>) -> Self {
        let mut head = ResponseHead::new(200);
        head.fields = FieldBlock::with_memory(memory);
        Self {
            head,
            content: tidegate_httpapi::Body::Empty,
            charset: Charset::Utf8,
            rare: None,
            reply: None,
        }
    }

    /// A response that is there already.
    pub(crate) fn prefilled(head: ResponseHead, content: tidegate_httpapi::Body) -> Self {
        let content_type = head.fields.value("Content-Type");
        let charset = content_type.map_or(Charset::Utf8, Charset::of_content_type);
        Self {
            charset,
            head,
            content,
            rare: None,
            reply: None,
        }
    }

    /// Takes out all that was set: it says 200 without content again, without fields of its own.
    pub fn clear(&mut self) -> &mut Self {
        let interim = self.rare.take().map(|rare| rare.interim);
        if let Some(interim) = interim.filter(|interim| !interim.is_empty()) {
            self.rare().interim = interim;
        }
        self.head = ResponseHead::new(200);
        self.content = tidegate_httpapi::Body::Empty;
        self.charset = Charset::Utf8;
        self
    }

    /// Sets the status code, 200 to 599. Its standard reason phrase is sent with it.
    #[inline]
    pub fn status(&mut self, status: u16) -> &mut Self {
        if !(200..600).contains(&status) {
            self.keep_fault(ResponseError::Status(status));
        }
        self.head.status = status;
        self
    }

    /// The status code.
    pub fn status_code(&self) -> u16 {
        self.head.status
    }

    /// Sets a reason phrase in place of the standard one.
    pub fn reason(&mut self, reason: &str) -> &mut Self {
        if reason
            .bytes()
            .any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7F)
        {
            self.keep_fault(ResponseError::Reason(reason.into()));
        } else {
            self.head.reason = Some(reason.into());
        }
        self
    }

    /// Says who the client is, for `cs-username` in the log of requests. What is longer than 4,096 bytes is
    /// cut.
    pub fn log_user_name(&mut self, name: impl Into<Box<str>>) -> &mut Self {
        self.head.extras.get_or_insert_default().log.user_name = Some(name.into());
        self
    }

    /// Says what the status does not tell, for `sc-substatus` in the log of requests. Default 0.
    pub fn log_substatus(&mut self, substatus: u16) -> &mut Self {
        self.head.extras.get_or_insert_default().log.substatus = substatus;
        self
    }

    /// Has the response go at this rate, in place of that of [`FlowRateSettings`](crate::FlowRateSettings):
    /// something long that need not come faster than it is used, say a film. What is limited for all
    /// ([`max_bandwidth`](crate::Settings::max_bandwidth)) holds beside it. Default none.
    ///
    /// Both rates are at least 1,024 bytes per second, the peak is not below the other; else 500 goes out, as with
    /// whatever cannot be sent. A copy from the response cache goes without it. Source: the HTTP Server API's flow
    /// rate.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// // A second's worth at once, then 2 MB in each second; 4 MB where the client has fallen behind.
    /// response.flow_rate(tidegate::FlowRate {
    ///     max_bandwidth: 2_000_000,
    ///     max_peak_bandwidth: 4_000_000,
    ///     burst_size: 4_000_000,
    /// });
    /// # }
    /// ```
    pub fn flow_rate(&mut self, rate: FlowRate) -> &mut Self {
        match rate.check() {
            Ok(()) => self.head.extras.get_or_insert_default().flow_rate = Some(rate),
            Err(error) => self.keep_fault(ResponseError::FlowRate(error)),
        }
        self
    }

    /// Has the connection closed after this response. In HTTP/2 it begins to close: what is in progress
    /// on it goes on, and the client is asked to open no more streams.
    pub fn close(&mut self) -> &mut Self {
        self.head.close = true;
        self
    }

    /// Has the driver keep the response, and serve it to whoever asks for the same URL with GET, without the
    /// application. Default [`CachePolicy::None`].
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) {
    /// use std::time::Duration;
    /// use tidegate::CachePolicy;
    ///
    /// response
    ///     .cache(CachePolicy::TimeToLive(Duration::from_secs(10)))
    ///     .content_type("text/plain")
    ///     .text("Fair and warmer.");
    /// # }
    /// ```
    ///
    /// What is made for one user must not have a policy: the copy goes to all. It is kept only if the
    /// request was a GET without content, `Authorization`, `Translate: f`, ranges and a client certificate,
    /// and the response has a content type, its content at once and not too long (see
    /// [`CacheSettings`](crate::CacheSettings)), no `Set-Cookie`, and another status than 206. `Vary` does
    /// not count: what differs by a request's fields must not have a policy either, but for
    /// `Content-Encoding`, whose copies go to those who accept it. Else it is sent and not kept, as is what
    /// [`CorsSettings`](crate::CorsSettings) let some origins read and not others.
    ///
    /// [`Server::flush_cache`](crate::Server::flush_cache) takes it back. Ranges and conditions
    /// (`If-None-Match` and its like) are met from the copy.
    pub fn cache(&mut self, policy: CachePolicy) -> &mut Self {
        self.head.cache = policy.into();
        self
    }

    /// Sends content of unknown length without chunks: the connection's close ends it.
    pub fn until_close(&mut self) -> &mut Self {
        self.head.transfer = Transfer::UntilClose;
        self
    }

    /// Answers without content.
    #[inline]
    pub fn empty(&mut self) {
        self.set_content(tidegate_httpapi::Body::Empty);
    }

    /// Answers with text, in the character set that the content type names: UTF-8, ISO-8859-1 or
    /// US-ASCII, of which the latter two get `?` for characters they lack. Without a content type the
    /// text is `text/plain; charset=utf-8`.
    #[inline]
    pub fn text(&mut self, text: impl Into<Cow<'static, str>>) {
        let text = text.into();
        if !self.head.fields.contains(KnownField::ContentType) {
            self.content_type("text/plain; charset=utf-8");
        }
        // Nearly all text is already as it has to be sent.
        if self.charset != Charset::Utf8 {
            return self.encoded_text(&text);
        }
        self.set_content(Content::from(text).0);
    }

    /// Answers with bytes.
    #[inline]
    pub fn bytes(&mut self, content: impl Into<Content>) {
        self.set_content(content.into().0);
    }

    /// Answers with what the stream gives, as the peer takes it. Where its length is known, set
    /// [`content_length`](Self::content_length) too.
    ///
    /// The stream is polled on the driver's thread: it must not block. An error ends the connection, or
    /// its HTTP/2 stream: with the code of a [`StreamReset`] where that is the error or its cause.
    pub fn stream<S, B, E>(&mut self, stream: S)
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.set_source(Source::stream(stream));
    }

    /// Answers with what is sent through the channel, which holds up to `pieces`.
    ///
    /// The sender goes to another thread or task: the response has to leave the handler first.
    #[must_use = "content comes through the sender"]
    pub fn channel(&mut self, pieces: usize) -> BodySender {
        let (sender, source) = Source::channel(pieces);
        self.set_source(source);
        sender
    }

    /// Answers with what the reader gives, as the peer takes it. It is read on a thread that may be
    /// blocked; a slow peer holds none.
    pub fn reader(&mut self, reader: impl Read + Send + 'static) {
        self.set_source(Source::Read(Box::new(reader)));
    }

    /// Answers with all that the reader reads from its beginning to its end, or with the parts of it that
    /// are asked for: as if [`process_ranges`](Self::process_ranges) had been called. It is read as a
    /// [`reader`](Self::reader) is; only what is sent.
    ///
    /// ```
    /// # fn handler(response: &mut tidegate::Response) -> std::io::Result<()> {
    /// let recording = std::io::Cursor::new(vec![0; 1_000_000]);
    /// response.content_type("audio/wav").seekable(recording)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The reader cannot tell where its end is.
    pub fn seekable(&mut self, mut reader: impl Read + Seek + Send + 'static) -> io::Result<()> {
        let length = reader.seek(SeekFrom::End(0))?;
        self.set_source(Source::Seek(Box::new(reader), length));
        self.process_ranges();
        Ok(())
    }

    /// Answers with what the source gives, as the peer takes it, and with its trailer section behind that.
    ///
    /// What [`stream`](Self::stream) says holds for it too.
    pub fn source(&mut self, source: impl BodySource + 'static) {
        self.set_source(Source::Pulled(Box::new(source)));
    }

    /// Sends an interim response, such as 103 Early Hints, before this one. RFC 9110 §15.2.
    ///
    /// A handler that was called with a borrowed request sends it as it returns; an async or deferred
    /// one sends it at once, which is what makes hints early.
    ///
    /// # Errors
    ///
    /// `status` is not in 102 to 199. The caller's fault.
    pub fn inform(&mut self, status: u16, fields: FieldBlock) -> Result<(), ResponseError> {
        if !(102..200).contains(&status) {
            return Err(ResponseError::InterimStatus(status));
        }
        match &mut self.reply {
            Some(reply) => reply.inform(status, &fields),
            None => self.rare().interim.push((status, fields)),
        }
        Ok(())
    }

    fn encoded_text(&mut self, text: &str) {
        match self.charset.encode(text) {
            Some(bytes) => self.set_content(tidegate_httpapi::Body::Owned(bytes)),
            None => self.keep_fault(ResponseError::Charset),
        }
    }

    #[inline]
    pub(super) fn set_content(&mut self, content: tidegate_httpapi::Body) {
        if let Some(rare) = &mut self.rare {
            rare.source = None;
        }
        std::mem::replace(&mut self.content, content).discard();
    }

    pub(super) fn set_source(&mut self, source: Source) {
        self.rare().source = Some(source);
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Keeps the first thing that cannot be sent.
    #[cold]
    pub(super) fn keep_fault(&mut self, fault: ResponseError) {
        self.rare().fault.get_or_insert(fault);
    }
}

impl fmt::Debug for Rare {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rare")
            .field("fault", &self.fault)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

/// Bytes to answer with: static ones are not copied, shared ones are shared.
#[derive(Debug)]
pub struct Content(tidegate_httpapi::Body);

impl From<&'static [u8]> for Content {
    #[inline]
    fn from(content: &'static [u8]) -> Self {
        Self(tidegate_httpapi::Body::Static(content))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Content {
    #[inline]
    fn from(content: &'static [u8; N]) -> Self {
        Self(tidegate_httpapi::Body::Static(content))
    }
}

impl From<&'static str> for Content {
    #[inline]
    fn from(content: &'static str) -> Self {
        content.as_bytes().into()
    }
}

impl From<Vec<u8>> for Content {
    #[inline]
    fn from(content: Vec<u8>) -> Self {
        Self(tidegate_httpapi::Body::Owned(content))
    }
}

impl From<String> for Content {
    #[inline]
    fn from(content: String) -> Self {
        content.into_bytes().into()
    }
}

impl From<Cow<'static, str>> for Content {
    #[inline]
    fn from(content: Cow<'static, str>) -> Self {
        match content {
            Cow::Borrowed(content) => content.into(),
            Cow::Owned(content) => content.into(),
        }
    }
}

impl From<Bytes> for Content {
    #[inline]
    fn from(content: Bytes) -> Self {
        Self(tidegate_httpapi::Body::Shared(content))
    }
}

/// Why a response cannot be sent as it was given. The application's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ResponseError {
    /// A field's name or value may not be sent.
    Field(FieldError),
    /// The status code is none of a final response.
    Status(u16),
    /// The status code is none of an interim response, or 101.
    InterimStatus(u16),
    /// The reason phrase has a control character.
    Reason(Box<str>),
    /// A number of the flow rate is out of its range.
    FlowRate(LimitError),
    /// The field is the driver's to write.
    Reserved {
        /// The field's name.
        name: Box<str>,
    },
    /// A part of a field's value that cannot be spelled in it.
    Malformed {
        /// The field's name.
        field: &'static str,
        /// The part.
        part: Box<str>,
    },
    /// A line that is no field line.
    Line(Box<str>),
    /// The field may not stand in a trailer section. RFC 9110 §6.5.1.
    Trailer {
        /// The field's name.
        name: Box<str>,
    },
    /// A `Content-Length` that is no number.
    ContentLength(Box<str>),
    /// The content's length is not the one that was set.
    Length {
        /// The length set.
        set: u64,
        /// The content's length.
        content: u64,
    },
    /// The parts of `Content-Range` that were set are none of a range: it ends before it begins or behind
    /// the end of the whole, or no end is known.
    ContentRange {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte, if one is known.
        last: Option<u64>,
        /// Length of the whole, if it was set.
        instance_length: Option<u64>,
    },
    /// The text cannot be written in the character set that the content type names.
    Charset,
    /// It was deferred again, after its request had left the handler.
    DeferredTwice,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(error) => error.fmt(formatter),
            Self::Status(status) => write!(formatter, "status is {status}, allowed are 200 to 599"),
            Self::FlowRate(error) => error.fmt(formatter),
            Self::InterimStatus(status) => {
                write!(
                    formatter,
                    "interim status is {status}, allowed are 102 to 199"
                )
            }
            Self::Reason(reason) => {
                write!(
                    formatter,
                    "the reason phrase {reason:?} has a control character"
                )
            }
            Self::Reserved { name } => write!(formatter, "field {name} is the driver's to write"),
            Self::Malformed { field, part } => {
                write!(
                    formatter,
                    "{part:?} cannot stand in the value of field {field}"
                )
            }
            Self::Line(line) => write!(formatter, "{line:?} is no field line"),
            Self::Trailer { name } => {
                write!(formatter, "field {name} may not stand in a trailer section")
            }
            Self::ContentLength(value) => write!(formatter, "Content-Length is {value:?}"),
            Self::Length { set, content } => write!(
                formatter,
                "Content-Length is set to {set}, the content has {content} bytes"
            ),
            Self::ContentRange {
                first,
                last,
                instance_length,
            } => {
                let shown = |number: &Option<u64>| {
                    number.map_or("not known".to_owned(), |number| number.to_string())
                };
                write!(
                    formatter,
                    "Content-Range is set to begin at {first}, its end is {}, the length is {}",
                    shown(last),
                    shown(instance_length)
                )
            }
            Self::Charset => formatter.write_str(
                "text cannot be written in the content type's charset: encode it and use bytes()",
            ),
            Self::DeferredTwice => formatter.write_str("a deferred response was deferred again"),
        }
    }
}

impl std::error::Error for ResponseError {}

impl From<FieldError> for ResponseError {
    fn from(error: FieldError) -> Self {
        Self::Field(error)
    }
}
