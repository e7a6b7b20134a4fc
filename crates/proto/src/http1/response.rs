//! Heads of responses, and the framing of their content.
//!
//! What an application set is written as it is, but for what would break the message's framing:
//! `Date`, `Transfer-Encoding` and `Connection` are ours, `Content-Length` is the application's if it
//! is a number. What holds in any version, [`plan_content`] and its like, is HTTP/2's as well. Source: RFC 9112 §4, §6; the HTTP Server API's rules for responses.

use tidegate_httpapi::{
    Field, FieldBlock, KnownField, ResponseHead, ServerHeaderMode, Transfer, Version, reason_phrase,
};

use super::framing::{Connection, elements, parse_length};

/// What a response's head depends on besides what the application gave.
#[derive(Clone, Copy, Debug)]
pub struct ResponseContext<'a> {
    /// The request's version.
    pub version: Version,
    /// Whether the request was `HEAD`.
    pub head_request: bool,
    /// Whether the connection could stay open.
    pub keep_alive: bool,
    /// The time, see [`format_date`](super::format_date).
    pub date: &'a [u8; 29],
    /// The server's own name; a field value without control characters. Empty: none.
    pub server_token: &'a str,
    /// When that name is written.
    pub server_mode: ServerHeaderMode,
    /// Whether the answer is the driver's own.
    pub from_driver: bool,
}

/// How the peer finds the end of a response's content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SentFraming {
    /// There is none.
    None,
    /// After this many bytes.
    Length(u64),
    /// In chunks, the last one empty.
    Chunked,
    /// By the connection's close.
    UntilClose,
}

/// What was decided while a head was encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EncodedHead {
    /// How the content that follows is framed.
    pub framing: SentFraming,
    /// Whether the connection closes after this response.
    pub close: bool,
    /// Whether content follows: not for `HEAD`, 1xx, 204, 304.
    pub send_content: bool,
}

/// Ends a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk, and an empty trailer section.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends a response's status line and header section.
///
/// `length` is the content's, when known. A `Content-Length` of the application is kept even if it
/// differs (case C02); the connection closes then, because the peer would lose its place.
pub fn encode_head(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    length: Option<u64>,
    context: &ResponseContext<'_>,
) -> EncodedHead {
    let lines = head.fields.as_bytes();
    out.reserve(lines.len() + context.server_token.len() + ROOM);
    status_line(out, head.status, head.reason.as_deref());
    let application = if OURS.iter().any(|known| head.fields.contains(*known)) {
        copy_fields(out, head, context)
    } else {
        out.extend_from_slice(lines);
        ApplicationFields::default()
    };
    let mut encoded = frame(out, head, length, &application, context);
    if !application.server && shows_token(context) {
        out.extend_from_slice(b"Server: ");
        out.extend_from_slice(context.server_token.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    encoded.close |= !context.keep_alive
        || head.close
        || application.close
        || context.version == Version::Http10;
    let closes = encoded.close && head.status != SWITCHING_PROTOCOLS;
    end_lines(out, context.date, closes);
    encoded
}

/// Appends an interim response: 100, 103. Fields that frame content are left out.
pub fn encode_interim(out: &mut Vec<u8>, status: u16, fields: &FieldBlock) {
    status_line(out, status, None);
    for field in fields.iter() {
        let known = KnownField::of(field.name.as_bytes());
        if !matches!(
            known,
            KnownField::ContentLength | KnownField::TransferEncoding
        ) {
            field_line(out, field.name, &[field.value]);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a chunk's size line; its data and [`CHUNK_END`] follow. A chunk of length 0 would end the
/// content: that is [`LAST_CHUNK`].
pub fn encode_chunk_header(out: &mut Vec<u8>, len: usize) {
    let mut digits = [0; 16];
    let mut start = digits.len();
    let mut rest = len;
    loop {
        start -= 1;
        digits[start] = b"0123456789abcdef"[rest & 0xF];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
    out.extend_from_slice(b"\r\n");
}

/// What the application's own fields decide.
#[derive(Default)]
struct ApplicationFields {
    /// Its `Content-Length`, which is already written.
    length: Option<u64>,
    /// Whether `Server` is already written.
    server: bool,
    close: bool,
}

/// What becomes of a response's content, in any version of HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    /// None is sent.
    None,
    /// As long as the `Content-Length` says.
    Known {
        /// That length.
        length: u64,
        /// Whether the content given has another.
        contradicted: bool,
    },
    /// Its length is not known.
    Unknown,
}

/// Decides what becomes of the content, and which `Content-Length` is written besides the application's.
#[inline(always)]
pub(crate) fn plan_content(
    status: u16,
    head_request: bool,
    application: Option<u64>,
    length: Option<u64>,
) -> (Content, Option<u64>) {
    if !may_have_content(status) {
        return (Content::None, None);
    }
    if head_request {
        // What GET would have had; an empty answer to HEAD says nothing about that.
        let would_have = length.filter(|length| *length != 0 && application.is_none());
        return (Content::None, would_have);
    }
    let known = |length, contradicted| Content::Known {
        length,
        contradicted,
    };
    match (application, length) {
        (None, Some(length)) => (known(length, false), Some(length)),
        (Some(said), Some(length)) => (known(said, said != length), None),
        (Some(said), None) => (known(said, false), None),
        (None, None) => (Content::Unknown, None),
    }
}

/// Writes the lines that frame the content.
#[inline(always)]
fn frame(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    length: Option<u64>,
    application: &ApplicationFields,
    context: &ResponseContext<'_>,
) -> EncodedHead {
    let (content, length_to_write) = plan_content(
        head.status,
        context.head_request,
        application.length,
        length,
    );
    if let Some(length) = length_to_write {
        length_line(out, length);
    }
    let (framing, close) = match content {
        Content::None => (SentFraming::None, false),
        // The content given is what is sent, whatever was said of it.
        Content::Known {
            length: said,
            contradicted,
        } => (SentFraming::Length(length.unwrap_or(said)), contradicted),
        Content::Unknown
            if context.version == Version::Http10 || head.transfer == Transfer::UntilClose =>
        {
            (SentFraming::UntilClose, true)
        }
        Content::Unknown => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            (SentFraming::Chunked, false)
        }
    };
    EncodedHead {
        framing,
        close,
        send_content: content != Content::None,
    }
}

/// Writes the application's fields one by one, and puts ours in place of some.
#[cold]
#[inline(never)]
fn copy_fields(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    context: &ResponseContext<'_>,
) -> ApplicationFields {
    let mut application = ApplicationFields {
        length: application_length(head),
        ..ApplicationFields::default()
    };
    let mut length_written = false;
    for Field { name, value } in head.fields.iter() {
        match KnownField::of(name.as_bytes()) {
            KnownField::Date | KnownField::TransferEncoding => {}
            KnownField::ContentLength => {
                if application.length.is_some() && !length_written {
                    field_line(out, name, &[value]);
                    length_written = true;
                }
            }
            KnownField::Server => {
                if shows_token(context) && !application.server {
                    let token = context.server_token.as_bytes();
                    field_line(out, name, &[value, b" ", token]);
                } else {
                    field_line(out, name, &[value]);
                }
                application.server = true;
            }
            KnownField::Connection => application.close |= connection_line(out, head.status, value),
            _ => field_line(out, name, &[value]),
        }
    }
    application
}

/// Writes what the application's `Connection` says besides `close`. Says whether it says `close`.
fn connection_line(out: &mut Vec<u8>, status: u16, value: &[u8]) -> bool {
    let is_ours = |option: &&[u8]| {
        option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive")
    };
    let kept: Vec<&[u8]> = elements(value).filter(|option| !is_ours(option)).collect();
    if !kept.is_empty() {
        field_line(out, "Connection", &[&kept.join(&b", "[..])]);
    }
    let mut connection = Connection::default();
    connection.add(value);
    connection.close && status != SWITCHING_PROTOCOLS
}

/// The application's `Content-Length`: one number, in a response that may have one.
///
/// RFC 9110 §8.6: 1xx and 204 have none; 304 may say what 200 would have had.
pub fn application_length(head: &ResponseHead) -> Option<u64> {
    if head.status < 200 || head.status == NO_CONTENT {
        return None;
    }
    let mut values = head
        .fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("Content-Length"));
    let length = parse_length(values.next()?.value).ok()?;
    values.next().is_none().then_some(length)
}

fn may_have_content(status: u16) -> bool {
    status >= 200 && status != NO_CONTENT && status != NOT_MODIFIED
}

pub(crate) fn shows_token(context: &ResponseContext<'_>) -> bool {
    let shown = match context.server_mode {
        ServerHeaderMode::Full => true,
        ServerHeaderMode::NotOnErrors => !context.from_driver,
        ServerHeaderMode::Never => false,
    };
    shown && !context.server_token.is_empty()
}

/// Appends the status line. Always HTTP/1.1: RFC 9110 §2.5, a server speaks its own version.
#[inline(always)]
pub(super) fn status_line(out: &mut Vec<u8>, status: u16, reason: Option<&str>) {
    if status == 200 && reason.is_none() {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        other_status_line(out, status, reason);
    }
}

#[inline(never)]
fn other_status_line(out: &mut Vec<u8>, status: u16, reason: Option<&str>) {
    // Three digits, or the peer could not read the line.
    let status = if (100..1000).contains(&status) {
        status
    } else {
        500
    };
    let reason = reason
        .filter(|reason| !reason.bytes().any(|byte| byte.is_ascii_control()))
        .unwrap_or(reason_phrase(status));
    let digit = |divisor: u16| b'0' + (status / divisor % 10) as u8;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a field line whose value is `parts` joined.
pub(super) fn field_line(out: &mut Vec<u8>, name: &str, parts: &[&[u8]]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for part in parts {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
}

#[inline(always)]
fn length_line(out: &mut Vec<u8>, length: u64) {
    let Ok(small @ 0..10_000) = u32::try_from(length) else {
        return long_length_line(out, length);
    };
    // The digits are written with leading zeros, which are shifted out.
    let digit = |divisor: u32| u64::from(small / divisor % 10 + u32::from(b'0'));
    let digits = digit(1000) | digit(100) << 8 | digit(10) << 16 | digit(1) << 24;
    let zeros = u32::from(small < 1000) + u32::from(small < 100) + u32::from(small < 10);
    let line_end = u64::from_le_bytes(*b"\0\0\0\0\r\n\0\0");
    let mut line = *b"Content-Length: ........";
    line[16..].copy_from_slice(&((digits | line_end) >> (8 * zeros)).to_le_bytes());
    out.extend_from_slice(&line);
    out.truncate(out.len() - 2 - zeros as usize);
}

#[inline(never)]
fn long_length_line(out: &mut Vec<u8>, length: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = length;
    while rest != 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    field_line(out, "Content-Length", &[&digits[start..]]);
}

/// Appends the last lines: `Date`, perhaps `Connection: close`, and the empty one.
#[inline(always)]
fn end_lines(out: &mut Vec<u8>, date: &[u8; 29], closes: bool) {
    // All in one piece, the end of which is taken off.
    let mut lines = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
    lines[6..35].copy_from_slice(date);
    out.extend_from_slice(&lines);
    if closes {
        out.truncate(out.len() - 2);
        out.extend_from_slice(b"Connection: close\r\n\r\n");
    }
}

/// The fields that are not copied as they are.
const OURS: [KnownField; 5] = [
    KnownField::Date,
    KnownField::Server,
    KnownField::Connection,
    KnownField::TransferEncoding,
    KnownField::ContentLength,
];

/// Room for all lines but the application's and the server's name.
const ROOM: usize = 192;

const SWITCHING_PROTOCOLS: u16 = 101;
const NO_CONTENT: u16 = 204;
const NOT_MODIFIED: u16 = 304;
