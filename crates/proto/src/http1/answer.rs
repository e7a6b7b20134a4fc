//! Heads of responses that another server sends: parsed as strictly as requests are.
//!
//! What a server answers with is passed on to others, so whatever could be read in two ways is refused
//! here as well: both framings, lengths that differ, line ends that are none. Its content, where it comes in
//! chunks, is what [`ChunkedDecoder`](super::ChunkedDecoder) decodes. Source: RFC 9112 §4, §6.3.

use std::fmt;

use memchr::memmem;
use tidegate_httpapi::{FieldSpan, KnownField, RequestLimits, Span};

use super::field_line::{self, FieldLine};
use super::framing::{Connection, Lengths};
use super::head::{Stop, field_bytes_max};
use super::reject::Reject;

/// The head of a response. All spans count from the first byte that was given.
#[derive(Clone, Debug)]
pub struct ParsedAnswer {
    /// Status code, 100 to 599.
    pub status: u16,
    /// The reason phrase; may be empty.
    pub reason: Span,
    /// How many bytes the head takes.
    pub head_bytes: usize,
    /// How the end of the content is found.
    pub framing: AnswerFraming,
    /// Whether the connection cannot be used again: the server says so, or speaks HTTP/1.0.
    pub close: bool,
}

/// How the end of a response's content is found. RFC 9112 §6.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswerFraming {
    /// There is none, whatever the fields say: the answer to `HEAD`, 1xx, 204, 304.
    None,
    /// After this many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// By the connection's close.
    UntilClose,
}

/// Why what a server sent is no response. The server is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AnswerFault {
    /// The first line is not `HTTP/1.x SP status SP reason`. RFC 9112 §4.
    StatusLine,
    /// A rule that requests have to obey as well.
    Rule(Reject),
}

impl From<Reject> for AnswerFault {
    fn from(rule: Reject) -> Self {
        Self::Rule(rule)
    }
}

impl fmt::Display for AnswerFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::StatusLine => "The first line is no status line.",
            Self::Rule(rule) => rule.detail(),
        })
    }
}

impl std::error::Error for AnswerFault {}

/// Parses the head of a response at the start of `bytes`; `None` if it is not whole. `seen` bytes of them
/// were there the last time it was not.
///
/// `to_head`: it answers a `HEAD`. `spans` is cleared, then filled with the field lines.
///
/// # Errors
///
/// A rule is broken; no further bytes would change that.
pub fn parse_answer(
    bytes: &[u8],
    seen: usize,
    to_head: bool,
    limits: &RequestLimits,
    spans: &mut Vec<FieldSpan>,
) -> Result<Option<ParsedAnswer>, AnswerFault> {
    // Whatever else speaks on that port is found out by its first bytes.
    let start = &bytes[..bytes.len().min(VERSION.len())];
    if start != &VERSION[..start.len()] {
        return Err(AnswerFault::StatusLine);
    }
    let view = &bytes[..bytes.len().min(limits.head_bytes_max as usize)];
    // Read only once it ends, lest a server that sends it line by line have it read anew for each.
    if memmem::find(&view[seen.saturating_sub(3).min(view.len())..], b"\n\r\n").is_none() {
        return match view.len() < limits.head_bytes_max as usize {
            true => Ok(None),
            false => Err(Reject::HeadTooLong.into()),
        };
    }
    spans.clear();
    match parse(view, to_head, limits, spans) {
        Ok(answer) => Ok(Some(answer)),
        Err(Failed::Incomplete) => Err(Reject::LineEnd.into()),
        Err(Failed::Fault(fault)) => Err(fault),
    }
}

enum Failed {
    Incomplete,
    Fault(AnswerFault),
}

impl From<Stop> for Failed {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Incomplete => Self::Incomplete,
            Stop::Reject(rule) => Self::Fault(rule.into()),
        }
    }
}

impl From<AnswerFault> for Failed {
    fn from(fault: AnswerFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Reject> for Failed {
    fn from(rule: Reject) -> Self {
        Self::Fault(rule.into())
    }
}

fn parse(
    view: &[u8],
    to_head: bool,
    limits: &RequestLimits,
    spans: &mut Vec<FieldSpan>,
) -> Result<ParsedAnswer, Failed> {
    let end = memchr::memchr(b'\n', view).ok_or(Failed::Incomplete)?;
    let line = view[..end]
        .strip_suffix(b"\r")
        .ok_or(AnswerFault::StatusLine)?;
    let (is_http_10, status, reason) = parse_status_line(line).ok_or(AnswerFault::StatusLine)?;
    let mut seen = Seen::default();
    let mut rest = &view[end + 1..];
    let line_bytes_max = field_bytes_max(limits);
    loop {
        if let Some((field, after)) = field_line::parse_usual(view, rest, line_bytes_max) {
            seen.look_at(view, &field)?;
            spans.push(field);
            rest = after;
            continue;
        }
        match field_line::parse(view, rest, limits)? {
            FieldLine::Field(field, after) => {
                seen.look_at(view, &field)?;
                spans.push(field);
                rest = after;
            }
            FieldLine::End(after) => {
                rest = after;
                break;
            }
        }
    }
    Ok(ParsedAnswer {
        status,
        reason: Span {
            start: (line.len() - reason.len()) as u32,
            len: reason.len() as u32,
        },
        head_bytes: view.len() - rest.len(),
        framing: seen.framing(status, to_head, is_http_10)?,
        close: seen.connection.close || is_http_10,
    })
}

/// Whether the version is 1.0, the status, the reason phrase. Many leave out the blank before an empty one.
fn parse_status_line(line: &[u8]) -> Option<(bool, u16, &[u8])> {
    let rest = line.strip_prefix(VERSION)?;
    let (&[minor, b' ', hundreds, tens, ones], reason) = rest.split_first_chunk()? else {
        return None;
    };
    let digits = [minor, hundreds, tens, ones];
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = [hundreds, tens, ones]
        .iter()
        .fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    let reason = match reason {
        [] => reason,
        [b' ', reason @ ..] => reason,
        _ => return None,
    };
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if !(100..600).contains(&status) || reason.iter().any(is_control) {
        return None;
    }
    Some((minor == b'0', status, reason))
}

/// What the fields say about the message as a whole.
#[derive(Default)]
struct Seen {
    lengths: Lengths,
    transfer_encodings: u32,
    chunked: bool,
    connection: Connection,
}

impl Seen {
    #[inline]
    fn look_at(&mut self, view: &[u8], field: &FieldSpan) -> Result<(), Reject> {
        let value = || {
            let start = field.value_start as usize;
            &view[start..start + field.value_len as usize]
        };
        match field.known {
            KnownField::ContentLength => self.lengths.add(value())?,
            KnownField::TransferEncoding => {
                self.transfer_encodings += 1;
                self.chunked = value().eq_ignore_ascii_case(b"chunked");
            }
            KnownField::Connection => self.connection.add(value()),
            _ => {}
        }
        Ok(())
    }

    fn framing(
        &self,
        status: u16,
        to_head: bool,
        is_http_10: bool,
    ) -> Result<AnswerFraming, Reject> {
        let length = self.lengths.value();
        if self.transfer_encodings != 0 {
            // RFC 9112 §6.1: both together may be an attempt at response splitting. We refuse it, though
            // the standard would allow going by Transfer-Encoding.
            if length.is_some() {
                return Err(Reject::LengthAndTransferEncoding);
            }
            if is_http_10 {
                return Err(Reject::TransferEncodingVersion);
            }
            if self.transfer_encodings > 1 || !self.chunked {
                return Err(Reject::TransferEncodingUnknown);
            }
        }
        if to_head || status < 200 || matches!(status, 204 | 304) {
            return Ok(AnswerFraming::None);
        }
        Ok(match (self.transfer_encodings, length) {
            (1.., _) => AnswerFraming::Chunked,
            (0, Some(length)) => AnswerFraming::Length(length),
            (0, None) => AnswerFraming::UntilClose,
        })
    }
}

const VERSION: &[u8] = b"HTTP/1.";
