//! A field line: name, colon, value, CR LF.
//!
//! Used for header sections and trailer sections. As in the request line, [`refuse`] names the rule
//! that a line broke, by whole lines only. Source: RFC 9112 §5, RFC 9110 §5.

use memchr::memchr;
use tidegate_httpapi::{FieldSpan, KnownField, RequestLimits};

use super::block::{BLOCK, Block, first};
use super::head::{Stop, field_bytes_max};
use super::reject::Reject;

/// What stands where a field line may stand.
pub(super) enum FieldLine {
    /// A field line, and where the next line begins.
    Field(FieldSpan, usize),
    /// The empty line that ends the section, and where it ends.
    End(usize),
}

/// Parses the line at `start`.
#[inline(always)]
pub(super) fn parse(view: &[u8], start: usize, limits: &RequestLimits) -> Result<FieldLine, Stop> {
    let block = Block::at(view, start);
    let mut name_len = block.name_len();
    let known;
    if name_len < BLOCK && view.get(start + name_len) == Some(&b':') && name_len != 0 {
        known = known_field(block, name_len);
    } else if view.get(start..start + 2) == Some(b"\r\n") {
        return Ok(FieldLine::End(start + 2));
    } else {
        let Some(len) = unusual_name_len(view, start) else {
            return Err(refuse(view, start, limits));
        };
        name_len = len;
        known = KnownField::of(&view[start..start + len]);
    }
    let mut value_start = start + name_len + 1;
    if view.get(value_start) == Some(&b' ') {
        value_start += 1;
    }
    while matches!(view.get(value_start), Some(b' ' | b'\t')) {
        value_start += 1;
    }
    let end = value_end(view, value_start);
    if view.get(end..end + 2) != Some(b"\r\n") || end - start > field_bytes_max(limits) {
        return Err(refuse(view, start, limits));
    }
    let mut value_end = end;
    while value_end > value_start && matches!(view[value_end - 1], b' ' | b'\t') {
        value_end -= 1;
    }
    // All offsets are below `head_bytes_max`, and a name is no longer than `field_bytes_max`.
    let field = FieldSpan {
        name_start: start as u32,
        value_start: value_start as u32,
        value_len: (value_end - value_start) as u32,
        name_len: name_len as u16,
        known,
    };
    Ok(FieldLine::Field(field, end + 2))
}

/// The length of a name that has other characters than most, or is longer.
#[inline(never)]
fn unusual_name_len(view: &[u8], start: usize) -> Option<usize> {
    let rest = view.get(start..)?;
    let len = rest.iter().position(|&byte| !TOKEN[usize::from(byte)])?;
    (len > 0 && rest[len] == b':').then_some(len)
}

/// The index of the first control character but TAB from `start` on.
#[inline(always)]
fn value_end(view: &[u8], start: usize) -> usize {
    let mut at = start;
    loop {
        let controls = Block::at(view, at).controls();
        if controls == 0 {
            at += BLOCK;
            continue;
        }
        at += first(controls);
        if view.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
}

/// The field that a name of letters, digits and `-` stands for.
#[inline(always)]
fn known_field(block: Block, len: usize) -> KnownField {
    let (low, high) = block.lower_words();
    let (known, is_it) = match len {
        2 => (KnownField::Te, low as u16 == u16::from_le_bytes(*b"te")),
        4 => match low as u32 {
            HOST => (KnownField::Host, true),
            DATE => (KnownField::Date, true),
            _ => (KnownField::Other, true),
        },
        5 => (KnownField::Range, low & (u64::MAX >> 24) == word(b"range")),
        6 => match low & (u64::MAX >> 16) {
            COOKIE => (KnownField::Cookie, true),
            EXPECT => (KnownField::Expect, true),
            SERVER => (KnownField::Server, true),
            _ => (KnownField::Other, true),
        },
        7 => match low & (u64::MAX >> 8) {
            UPGRADE => (KnownField::Upgrade, true),
            REFERER => (KnownField::Referer, true),
            TRAILER => (KnownField::Trailer, true),
            _ => (KnownField::Other, true),
        },
        10 => match (low, high as u16) {
            (CONNECTI, ON) => (KnownField::Connection, true),
            (USER_AGE, NT) => (KnownField::UserAgent, true),
            _ => (KnownField::Other, true),
        },
        12 => (
            KnownField::ContentType,
            low == word(b"content-") && high as u32 == word(b"type") as u32,
        ),
        13 => (
            KnownField::Authorization,
            low == word(b"authoriz") && high & (u64::MAX >> 24) == word(b"ation"),
        ),
        14 => (
            KnownField::ContentLength,
            low == word(b"content-") && high & (u64::MAX >> 16) == word(b"length"),
        ),
        // `Transfer-Encoding` is longer than a block.
        _ => (KnownField::Other, true),
    };
    if is_it { known } else { KnownField::Other }
}

/// Up to eight bytes as a number, as a block's words are.
const fn word(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let mut index = 0;
    while index < text.len() {
        bytes[index] = text[index];
        index += 1;
    }
    u64::from_le_bytes(bytes)
}

const HOST: u32 = word(b"host") as u32;
const DATE: u32 = word(b"date") as u32;
const COOKIE: u64 = word(b"cookie");
const EXPECT: u64 = word(b"expect");
const SERVER: u64 = word(b"server");
const UPGRADE: u64 = word(b"upgrade");
const REFERER: u64 = word(b"referer");
const TRAILER: u64 = word(b"trailer");
const CONNECTI: u64 = word(b"connecti");
const ON: u16 = word(b"on") as u16;
const USER_AGE: u64 = word(b"user-age");
const NT: u16 = word(b"nt") as u16;

/// Names the rule that the line at `start` breaks, if that can be told yet.
#[cold]
#[inline(never)]
fn refuse(view: &[u8], start: usize, limits: &RequestLimits) -> Stop {
    let rest = view.get(start..).unwrap_or_default();
    let end = memchr(b'\n', rest);
    let line = &rest[..end.unwrap_or(rest.len())];
    let text = line.strip_suffix(b"\r").unwrap_or(line);
    if text.len() > field_bytes_max(limits) {
        return Reject::FieldTooLong.into();
    }
    if end.is_none() {
        return Stop::Incomplete;
    }
    let continues = matches!(text.first(), Some(b' ' | b'\t'));
    if !line.ends_with(b"\r") || memchr(b'\r', text).is_some() || continues {
        return Reject::LineEnd.into();
    }
    match memchr(b':', text) {
        Some(colon) if is_token(&text[..colon]) => Reject::FieldValue.into(),
        _ => Reject::FieldName.into(),
    }
}

/// Whether `bytes` are a token. RFC 9110 §5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[usize::from(byte)])
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};
