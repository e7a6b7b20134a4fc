//! A field line: name, colon, value, CR LF.
//!
//! Used for header sections and trailer sections. [`parse_usual`] takes the usual line in
//! few instructions; [`parse`] takes every line that is right, and names the rule that a wrong one
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

/// Parses the line that `rest`, the end of `view`, begins with, if it is a usual one: a short name of
/// letters, digits and `-`, one blank, a value without TAB or blanks around it, and not empty.
///
/// Spans count from the start of `view`.
#[inline(always)]
pub(super) fn parse_usual<'a>(
    view: &[u8],
    rest: &'a [u8],
    line_bytes_max: usize,
) -> Option<(FieldSpan, &'a [u8])> {
    // With three bytes more than a block, a name as long as a block has colon, blank and value, too.
    let beginning: &[u8; BLOCK + 3] = rest.first_chunk()?;
    let block = beginning.first_chunk()?;
    let name_len = first_not(Block::new(block).name_bytes());
    let [colon, blank, first] = *beginning[name_len..].first_chunk()?;
    if colon != b':' || blank != b' ' || first == b' ' || name_len == 0 {
        return None;
    }
    let value = &rest[name_len + 2..];
    let mut left = value;
    let (len_in_left, after) = loop {
        let Some(next) = left.first_chunk::<{ BLOCK + 1 }>() else {
            break last_value_end(view, left)?;
        };
        let controls = Block::new(next.first_chunk()?).controls();
        if controls != 0 {
            let len = controls.trailing_zeros() as usize % BLOCK;
            if next[len..len + 2] != *b"\r\n" {
                return None;
            }
            break (len, &left[len + 2..]);
        }
        left = &left[BLOCK..];
    };
    let value_len = value.len() - left.len() + len_in_left;
    let value_start = view.len() - value.len();
    if name_len + 2 + value_len > line_bytes_max || view[value_start + value_len - 1] == b' ' {
        return None;
    }
    let field = FieldSpan {
        name_start: (view.len() - rest.len()) as u32,
        value_start: value_start as u32,
        value_len: value_len as u32,
        name_len: name_len as u16,
        known: known_field(block, name_len),
    };
    Some((field, after))
}

/// The length of a value, and what is behind its CR LF, where less than a block is left of `view`.
#[inline(never)]
fn last_value_end<'a>(view: &[u8], left: &'a [u8]) -> Option<(usize, &'a [u8])> {
    // The last block of the view reaches back to bytes that were seen already.
    let seen = BLOCK.checked_sub(left.len())?;
    let controls = Block::new(view.last_chunk()?).controls() >> seen;
    let (_, end) = left.split_at_checked(controls.trailing_zeros() as usize)?;
    let after = end.strip_prefix(b"\r\n")?;
    Some((left.len() - end.len(), after))
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
pub(super) fn parse<'a>(
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
pub(crate) fn is_token(bytes: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(view: &[u8]) -> Option<(FieldSpan, &[u8])> {
        match parse(view, view, &RequestLimits::default()) {
            Ok(FieldLine::Field(field, after)) => Some((field, after)),
            _ => None,
        }
    }

    fn parts(found: Option<(FieldSpan, &[u8])>) -> Option<(u32, u32, u32, u16, KnownField, usize)> {
        let (field, after) = found?;
        Some((
            field.name_start,
            field.value_start,
            field.value_len,
            field.name_len,
            field.known,
            after.len(),
        ))
    }

    // What the short way takes, the long way takes too, and finds the same.
    #[test]
    fn a_usual_line_is_read_as_any_line_is() {
        let lines: [&[u8]; 8] = [
            b"Host: 127.0.0.1:8080\r\n\r\nrest of the bytes",
            b"Content-Length: 10\r\nHost: a\r\n\r\nrest of the bytes",
            b"Sixteen-Letters-: x\r\n\r\nrest of the bytes",
            b"A: b\r\n0123456789abcdef0123456789",
            b"Accept: 0123456789abcdef0123456789abcdef\r\n\r\n",
            b"Accept: 0123456789abcdef\r\n\r\n",
            b"Cache-Control: max-age=0\r\n\r\n",
            b"User-Agent: x y\tz\r\nHost: a\r\n\r\nrest of the bytes",
        ];
        let mut usual = 0;
        for line in lines {
            for index in 0..line.len() {
                for byte in 0..=u8::MAX {
                    let mut changed = line.to_vec();
                    changed[index] = byte;
                    for end in [index + 1, changed.len()] {
                        let view = &changed[..end];
                        let found = parts(parse_usual(view, view, 16_384));
                        if found.is_some() {
                            usual += 1;
                            let text = String::from_utf8_lossy(view);
                            assert_eq!(found, parts(whole(view)), "{text:?}");
                        }
                    }
                }
            }
        }
        assert!(usual > 20_000, "{usual}");
    }

    #[test]
    fn known_names_are_found_in_any_case() {
        let names = [
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Expect",
            "Upgrade",
            "Content-Type",
            "Date",
            "Server",
            "Cookie",
            "Authorization",
            "Range",
            "User-Agent",
            "Referer",
            "Trailer",
            "TE",
            "Accept",
            "hosu",
            "Content-Lengtj",
            "Connectiom",
        ];
        for name in names {
            for name in [name.to_lowercase(), name.to_uppercase(), name.into()] {
                let line = format!("{name}: x\r\n0123456789abcdef");
                let (field, _) = whole(line.as_bytes()).unwrap();
                assert_eq!(field.known, KnownField::of(name.as_bytes()), "{name}");
                if name.len() <= BLOCK {
                    let (field, _) = parse_usual(line.as_bytes(), line.as_bytes(), 100).unwrap();
                    assert_eq!(field.known, KnownField::of(name.as_bytes()), "{name}");
                }
            }
        }
    }
}
