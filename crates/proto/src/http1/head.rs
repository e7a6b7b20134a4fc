//! A request's head: request line and header section, read in one pass over borrowed bytes.
//!
//! Rules on one line are decided when that line is whole, rules on the section at its end, so the
//! same bytes get the same answer however they were split. What the fields say together, [`Seen`], is
//! asked by HTTP/2 as well. Source: RFC 9112 §2 to §6.

use memchr::{memchr, memmem, memrchr};
use tidegate_httpapi::{
    ContentFraming, FieldSpan, KnownField, RequestLimits, RequestLine, Span, Version,
};

use super::authority;
use super::field_line::{self, FieldLine};
use super::framing::{self, Connection, Lengths};
use super::reject::{PartialLine, Reject};
use super::request_line::{self, Verb};

/// What [`parse_head`] found.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// The head is not whole, and nothing is wrong so far.
    Incomplete,
    /// A whole head that obeys all rules.
    Head(ParsedHead),
    /// A rule is broken; no further bytes would change that.
    Reject {
        /// The rule.
        reason: Reject,
        /// What could be read of the request line.
        seen: PartialLine,
    },
}

/// A whole head. All spans count from the first byte that was given.
#[derive(Clone, Debug)]
pub struct ParsedHead {
    /// The parts of the request line.
    pub line: RequestLine,
    /// How many bytes the head takes: blank lines before it and the empty line after it count.
    pub head_bytes: usize,
    /// How the content is framed; never `Length(0)`.
    pub framing: ContentFraming,
    /// Whether the peer waits for `100 Continue` before it sends content.
    pub expects_continue: bool,
    /// Whether the connection closes after the answer: asked for, or HTTP/1.0.
    pub close: bool,
    /// Whether the peer offers to upgrade. Never for HTTP/1.0 nor with content.
    pub upgrade: bool,
    /// The host asked for, with its port: an absolute target's authority, else the `Host` field's
    /// value, both checked by [`parse_authority`](super::parse_authority). `None`: HTTP/1.0 without
    /// either.
    pub host: Option<Span>,
    /// Whether the path needs no [`cook_path`](super::cook_path): cooked it would be the same, and it
    /// breaks no limit on segments.
    pub path_is_plain: bool,
    /// Whether this is `HEAD`: the answer goes without content.
    pub head_request: bool,
    /// Whether this is `OPTIONS *`. The path is empty then, and plain.
    pub asterisk: bool,
}

/// Parses the head at the start of `bytes`.
///
/// Keeps no state: after `Incomplete`, call again with more bytes, but see [`worth_parsing`].
/// `spans` is cleared, then filled with the field lines.
pub fn parse_head(bytes: &[u8], limits: &RequestLimits, spans: &mut Vec<FieldSpan>) -> Parsed {
    spans.clear();
    let head_bytes_max = limits.head_bytes_max as usize;
    let view = &bytes[..bytes.len().min(head_bytes_max)];
    let mut head = ParsedHead::EMPTY;
    match parse(view, limits, spans, &mut head) {
        Ok(()) => Parsed::Head(head),
        Err(Stop::Incomplete) if view.len() < head_bytes_max => Parsed::Incomplete,
        Err(stop) => refused(view, stop),
    }
}

#[cold]
#[inline(never)]
fn refused(view: &[u8], stop: Stop) -> Parsed {
    let start = blank_lines_len(view);
    let reason = match stop {
        Stop::Reject(reason) => reason,
        Stop::Incomplete if request_line::ends_in_target(view, start) => Reject::TargetTooLong,
        Stop::Incomplete => Reject::HeadTooLong,
    };
    let seen = request_line::partial(view, start);
    Parsed::Reject { reason, seen }
}

/// Whether [`parse_head`], which found `bytes[..seen]` incomplete, could now find more.
///
/// True at the end of a request line, at an empty line, and when the head or a line of it is too long.
/// Keeps a peer that sends a head line by line from having it read anew for each line; a malformed
/// field line is then refused at the head's end.
pub fn worth_parsing(bytes: &[u8], seen: usize, limits: &RequestLimits) -> bool {
    let (old, new) = bytes.split_at(seen.min(bytes.len()));
    let line_start = memrchr(b'\n', bytes).map_or(0, |end| end + 1);
    if bytes.len() >= limits.head_bytes_max as usize
        || bytes.len() - line_start > field_bytes_max(limits)
    {
        return true;
    }
    // The line end of an empty line may have begun in the old bytes.
    let from = old.len().saturating_sub(2);
    memmem::find(&bytes[from..], b"\n\r\n").is_some()
        || (memchr(b'\n', new).is_some() && memchr(b'\n', &old[blank_lines_len(old)..]).is_none())
}

/// Why no head was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    Incomplete,
    Reject(Reject),
}

impl From<Reject> for Stop {
    fn from(reason: Reject) -> Self {
        Self::Reject(reason)
    }
}

/// What the fields say about the message as a whole.
#[derive(Default)]
pub(crate) struct Seen {
    /// The `Host` field's value.
    pub(crate) host: Option<Span>,
    /// Whether there was any of the following.
    others: bool,
    pub(crate) lengths: Lengths,
    transfer_encodings: u32,
    chunked: bool,
    connection: Connection,
    upgrade: bool,
    expects_continue: bool,
    other_expectation: bool,
}

#[inline(always)]
fn parse(
    view: &[u8],
    limits: &RequestLimits,
    spans: &mut Vec<FieldSpan>,
    head: &mut ParsedHead,
) -> Result<(), Stop> {
    // RFC 9112 §2.2: blank lines before a request line are skipped.
    let line = match view.first() {
        Some(b'\r') => &view[blank_lines_len(view)..],
        _ => view,
    };
    let (verb, rest) = request_line::parse(view, line, limits, head)?;
    head.head_request = verb == Verb::Head;
    let mut seen = Seen::default();
    let rest = seen.take_fields(view, rest, limits, spans)?;
    head.head_bytes = view.len() - rest.len();
    seen.finish(view, verb, head)?;
    Ok(())
}

impl ParsedHead {
    pub(crate) const EMPTY: Self = Self {
        line: RequestLine {
            method: Span { start: 0, len: 0 },
            target: Span { start: 0, len: 0 },
            authority: None,
            path: Span { start: 0, len: 0 },
            query: None,
            version: Version::Http11,
            protocol: None,
        },
        head_bytes: 0,
        framing: ContentFraming::None,
        expects_continue: false,
        close: false,
        upgrade: false,
        host: None,
        path_is_plain: false,
        head_request: false,
        asterisk: false,
    };
}

impl Seen {
    /// Takes the field lines that `rest` begins with. Returns what is behind the header section.
    #[inline(always)]
    fn take_fields<'a>(
        &mut self,
        view: &'a [u8],
        mut rest: &'a [u8],
        limits: &RequestLimits,
        spans: &mut Vec<FieldSpan>,
    ) -> Result<&'a [u8], Stop> {
        let line_bytes_max = field_bytes_max(limits);
        loop {
            if let Some((field, after)) = field_line::parse_usual(view, rest, line_bytes_max) {
                self.look_at(view, &field)?;
                spans.push(field);
                rest = after;
            } else if let Some((b"\r\n", after)) = rest.split_first_chunk() {
                return Ok(after);
            } else {
                rest = self.take_unusual(view, rest, limits, spans)?;
            }
        }
    }

    /// Takes note of a field.
    #[inline(always)]
    pub(crate) fn look_at(&mut self, view: &[u8], field: &FieldSpan) -> Result<(), Reject> {
        use KnownField::{Connection, ContentLength, Expect, Host, TransferEncoding, Upgrade};
        let span = Span {
            start: field.value_start,
            len: field.value_len,
        };
        match field.known {
            Host if self.host.is_some() => Err(Reject::HostRepeated),
            Host => {
                self.host = Some(span);
                authority::check(view, span)
            }
            ContentLength | TransferEncoding | Connection | Expect | Upgrade => {
                self.look_at_other(field.known, span.of(view))
            }
            _ => Ok(()),
        }
    }

    /// Takes a line that is not usual.
    #[cold]
    #[inline(never)]
    fn take_unusual<'a>(
        &mut self,
        view: &'a [u8],
        rest: &'a [u8],
        limits: &RequestLimits,
        spans: &mut Vec<FieldSpan>,
    ) -> Result<&'a [u8], Stop> {
        match field_line::parse(view, rest, limits)? {
            FieldLine::Field(field, after) => {
                self.look_at(view, &field)?;
                spans.push(field);
                Ok(after)
            }
            // The caller has looked for it.
            FieldLine::End(_) => Err(Stop::Incomplete),
        }
    }

    /// Takes note of what `Transfer-Encoding: chunked` says.
    pub(crate) fn add_chunked(&mut self) {
        self.others = true;
        self.transfer_encodings += 1;
        self.chunked = true;
    }

    #[inline(never)]
    fn look_at_other(&mut self, known: KnownField, value: &[u8]) -> Result<(), Reject> {
        self.others = true;
        match known {
            KnownField::ContentLength => self.lengths.add(value)?,
            KnownField::TransferEncoding => {
                self.transfer_encodings += 1;
                self.chunked = value.eq_ignore_ascii_case(b"chunked");
            }
            KnownField::Connection => self.connection.add(value),
            KnownField::Upgrade => self.upgrade |= framing::elements(value).next().is_some(),
            KnownField::Expect => {
                let continues = value.eq_ignore_ascii_case(b"100-continue");
                self.expects_continue |= continues;
                self.other_expectation |= !continues;
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks the section as a whole, and fills in what it says.
    #[inline(always)]
    pub(crate) fn finish(
        &self,
        view: &[u8],
        verb: Verb,
        head: &mut ParsedHead,
    ) -> Result<(), Reject> {
        let is_http_10 = head.line.version == Version::Http10;
        if self.host.is_none() && !is_http_10 {
            return Err(Reject::HostMissing);
        }
        head.host = self.host;
        // Nearly all that is asked with GET says no more.
        if self.others || is_http_10 || verb == Verb::WithContent || head.line.authority.is_some() {
            return self.finish_unusual(view, verb, head);
        }
        Ok(())
    }

    #[inline(never)]
    fn finish_unusual(&self, view: &[u8], verb: Verb, head: &mut ParsedHead) -> Result<(), Reject> {
        let is_http_10 = head.line.version == Version::Http10;
        if let Some(authority) = head.line.authority {
            // RFC 9112 §3.2.2: an absolute target's authority replaces the Host field.
            authority::check(view, authority)?;
            head.host = Some(authority);
        }
        head.framing = self.framing(verb, head.line.version)?;
        if self.other_expectation {
            return Err(Reject::Expectation);
        }
        let has_content = head.framing != ContentFraming::None;
        // RFC 9110 §10.1.1: an HTTP/1.0 peer does not know interim responses.
        head.expects_continue = self.expects_continue && has_content && !is_http_10;
        head.close = self.connection.close || is_http_10;
        head.upgrade = self.upgrade && self.connection.upgrade && !has_content && !is_http_10;
        Ok(())
    }

    /// How the content is framed. RFC 9112 §6.3, without its leniencies.
    fn framing(&self, verb: Verb, version: Version) -> Result<ContentFraming, Reject> {
        if self.transfer_encodings != 0 {
            return self.transfer_encoding(version);
        }
        match self.lengths.value() {
            None if verb == Verb::WithContent => Err(Reject::LengthRequired),
            None | Some(0) => Ok(ContentFraming::None),
            Some(length) => Ok(ContentFraming::Length(length)),
        }
    }

    fn transfer_encoding(&self, version: Version) -> Result<ContentFraming, Reject> {
        // RFC 9112 §6.1: both together may be an attempt at request smuggling. We refuse it, though
        // the standard would allow going by Transfer-Encoding.
        if self.lengths.value().is_some() {
            return Err(Reject::LengthAndTransferEncoding);
        }
        if version == Version::Http10 {
            return Err(Reject::TransferEncodingVersion);
        }
        if self.transfer_encodings > 1 || !self.chunked {
            return Err(Reject::TransferEncodingUnknown);
        }
        Ok(ContentFraming::Chunked)
    }
}

/// The length of the blank lines that `view` begins with.
#[inline(never)]
fn blank_lines_len(view: &[u8]) -> usize {
    let lines = view.chunks_exact(2).take_while(|line| *line == b"\r\n");
    2 * lines.count()
}

/// The longest field line. Names' lengths are kept in sixteen bits.
#[inline(always)]
pub(crate) fn field_bytes_max(limits: &RequestLimits) -> usize {
    limits.field_bytes_max.min(u16::MAX.into()) as usize
}

/// A span within a head, whose offsets are all below `head_bytes_max`.
#[inline(always)]
pub(super) fn span(start: usize, len: usize) -> Span {
    Span {
        start: start as u32,
        len: len as u32,
    }
}
