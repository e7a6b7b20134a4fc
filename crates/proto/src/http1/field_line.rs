//! A field line: name, colon, value, CR LF.
//!
//! Used for header sections and trailer sections. [`parse`] takes the usual line in few
//! instructions; [`parse_whole`] takes every line that is right, and names the rule that a wrong one
//! breaks. It decides by whole lines only, so the answer does not depend on how the bytes came in.
//! Source: RFC 9112 §5, RFC 9110 §5.

use memchr::memchr;
use tidegate_httpapi::{FieldSpan, KnownField, RequestLimits};

use super::block::{BLOCK, Block, first_not};
use super::head::{Stop, field_bytes_max};
use super::reject::Reject;

/// What stands where a field line may stand, and what is behind it.
pub(super) enum FieldLine<'a> {
    /// A field line.
    Field(FieldSpan, &'a [u8]),
    /// The empty line that ends the section.
    End(&'a [u8]),
}

/// Parses the line that `rest`, the end of `view`, begins with. Spans count from the start of `view`.
#[inline(always)]
pub(super) fn parse<'a>(
    view: &'a [u8],
    rest: &'a [u8],
    limits: &RequestLimits,
) -> Result<FieldLine<'a>, Stop> {
    if let Some((field, after)) = parse_usual(view, rest, field_bytes_max(limits)) {
        return Ok(FieldLine::Field(field, after));
    }
    match rest.split_first_chunk() {
        Some((b"\r\n", after)) => Ok(FieldLine::End(after)),
        _ => parse_whole(view, rest, limits),
    }
}

/// Parses a usual line: a short name of letters, digits and `-`, one blank, a value without TAB or
/// blanks around it.
#[inline(always)]
fn parse_usual<'a>(
    view: &[u8],
    rest: &'a [u8],
    line_bytes_max: usize,
) -> Option<(FieldSpan, &'a [u8])> {
    let block: &[u8; BLOCK] = rest.first_chunk()?;
    let name_len = first_not(Block::new(block).name_bytes());
    let (colon, after_name) = rest.get(name_len..)?.split_first_chunk()?;
    if colon != b": " || name_len == 0 {
        return None;
    }
    let value_len = value_len(view, after_name)?;
    let (value, after_value) = after_name.split_at_checked(value_len)?;
    let (line_end, after) = after_value.split_first_chunk()?;
    if line_end != b"\r\n"
        || name_len + 2 + value_len > line_bytes_max
        || value.first() == Some(&b' ')
        || value.last() == Some(&b' ')
    {
        return None;
    }
    let start = view.len() - rest.len();
    let field = FieldSpan {
        name_start: start as u32,
        value_start: (start + name_len + 2) as u32,
        value_len: value_len as u32,
        name_len: name_len as u16,
        known: known_field(block, name_len),
    };
    Some((field, after))
}

/// How many of the bytes of `rest`, the end of `view`, come before the first control character.
#[inline(always)]
fn value_len(view: &[u8], rest: &[u8]) -> Option<usize> {
    let mut left = rest;
    while let Some((block, after)) = left.split_first_chunk() {
        let controls = Block::new(block).controls();
        if controls != 0 {
            return Some(rest.len() - left.len() + controls.trailing_zeros() as usize);
        }
        left = after;
    }
    // Fewer than a block are left: take the last block, without the bytes seen already.
    let controls = Block::new(view.last_chunk()?).controls() >> (BLOCK - left.len());
    (controls != 0).then(|| rest.len() - left.len() + controls.trailing_zeros() as usize)
}

/// The field that a short name of letters, digits and `-` stands for. `block` begins with it.
#[inline(always)]
fn known_field(block: &[u8; BLOCK], len: usize) -> KnownField {
    let number = u128::from_le_bytes(*block) | u128::from_le_bytes([0x20; BLOCK]);
    let (low, high) = (number as u64, (number >> 64) as u64);
    let if_equal = |is_equal, known| if is_equal { known } else { KnownField::Other };
    match len {
        2 => if_equal(low as u16 == word(b"te") as u16, KnownField::Te),
        4 => match low as u32 {
            HOST => KnownField::Host,
            DATE => KnownField::Date,
            _ => KnownField::Other,
        },
        5 => if_equal(low << 24 == word(b"range") << 24, KnownField::Range),
        6 => match low << 16 {
            COOKIE => KnownField::Cookie,
            EXPECT => KnownField::Expect,
            SERVER => KnownField::Server,
            _ => KnownField::Other,
        },
        7 => match low << 8 {
            UPGRADE => KnownField::Upgrade,
            REFERER => KnownField::Referer,
            TRAILER => KnownField::Trailer,
            _ => KnownField::Other,
        },
        10 => match (low, high as u16) {
            (CONNECTI, ON) => KnownField::Connection,
            (USER_AGE, NT) => KnownField::UserAgent,
            _ => KnownField::Other,
        },
        12 => if_equal(
            low == word(b"content-") && high as u32 == word(b"type") as u32,
            KnownField::ContentType,
        ),
        13 => if_equal(
            low == word(b"authoriz") && high << 24 == word(b"ation") << 24,
            KnownField::Authorization,
        ),
        14 => if_equal(
            low == word(b"content-") && high << 16 == word(b"length") << 16,
            KnownField::ContentLength,
        ),
        // `Transfer-Encoding` is longer than a block.
        _ => KnownField::Other,
    }
}

/// Up to eight bytes as a number, as they stand in a block.
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
const COOKIE: u64 = word(b"cookie") << 16;
const EXPECT: u64 = word(b"expect") << 16;
const SERVER: u64 = word(b"server") << 16;
const UPGRADE: u64 = word(b"upgrade") << 8;
const REFERER: u64 = word(b"referer") << 8;
const TRAILER: u64 = word(b"trailer") << 8;
const CONNECTI: u64 = word(b"connecti");
const ON: u16 = word(b"on") as u16;
const USER_AGE: u64 = word(b"user-age");
const NT: u16 = word(b"nt") as u16;

/// Parses the line that `rest` begins with, whatever it is; the rules are all here.
///
/// The line's length comes first, as it may be known before the line's end.
#[inline(never)]
fn parse_whole<'a>(
    view: &'a [u8],
    rest: &'a [u8],
    limits: &RequestLimits,
) -> Result<FieldLine<'a>, Stop> {
    let end = memchr(b'\n', rest);
    let line = &rest[..end.unwrap_or(rest.len())];
    let text = line.strip_suffix(b"\r").unwrap_or(line);
    if text.len() > field_bytes_max(limits) {
        return Err(Reject::FieldTooLong.into());
    }
    let Some(end) = end else {
        return Err(Stop::Incomplete);
    };
    let continues = matches!(text.first(), Some(b' ' | b'\t'));
    if !line.ends_with(b"\r") || memchr(b'\r', text).is_some() || continues {
        return Err(Reject::LineEnd.into());
    }
    let after = &rest[end + 1..];
    if text.is_empty() {
        return Ok(FieldLine::End(after));
    }
    let colon = memchr(b':', text).ok_or(Reject::FieldName)?;
    let (name, value) = (&text[..colon], &text[colon + 1..]);
    if !is_token(name) {
        return Err(Reject::FieldName.into());
    }
    if value.iter().any(|&byte| is_control(byte)) {
        return Err(Reject::FieldValue.into());
    }
    let start = view.len() - rest.len();
    let value_start = start + text.len() - value.trim_ascii_start().len();
    let field = FieldSpan {
        name_start: start as u32,
        value_start: value_start as u32,
        value_len: value.trim_ascii().len() as u32,
        name_len: name.len() as u16,
        known: KnownField::of(name),
    };
    Ok(FieldLine::Field(field, after))
}

/// Whether no field value may have this byte. TAB is allowed. RFC 9110 §5.5.
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7F
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
