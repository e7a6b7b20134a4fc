//! The cooked path: what routing, and nothing else, goes by.
//!
//! Escapes are decoded once, `\` becomes `/`, runs of `/` become one, dot segments are resolved. The
//! application gets the raw target beside it. Source: RFC 3986 §5.2.4 and §6.2.2, the HTTP Server
//! API's cooked URL.

use memchr::memrchr;
use tidegate_httpapi::RequestLimits;

use super::reject::Reject;

/// Cooks the raw path into `out`, whose former content is dropped.
///
/// An empty path (`OPTIONS *`, or an absolute target without one) becomes `/`. Escapes that are not
/// UTF-8 stay as they are where the limits allow them. `..` at the root stays at the root.
///
/// # Errors
///
/// A malformed or forbidden escape, a byte no target has, a segment too long or too many of them;
/// `out` is empty, or holds nothing useful, then. The peer is at fault.
pub fn cook_path(raw: &[u8], limits: &RequestLimits, out: &mut String) -> Result<(), Reject> {
    let mut memory = std::mem::take(out).into_bytes();
    memory.clear();
    memory.push(b'/');
    let mut cooked = Cooked {
        segment_start: memory.len(),
        out: memory,
        limits,
    };
    cooked.take(raw)?;
    // All that was put in is UTF-8: checked once here, which is cheaper than piece by piece.
    *out = String::from_utf8(cooked.out).unwrap_or_default();
    check_segments(out, limits)
}

/// Whether a path's byte stands for itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7E) && !matches!(byte, b'%' | b'/' | b'\\')
}

/// A path in the making: whole segments, and the beginning of one.
struct Cooked<'a> {
    /// Always begins with `/`, and is UTF-8.
    out: Vec<u8>,
    /// Where the last segment begins, behind its `/`.
    segment_start: usize,
    limits: &'a RequestLimits,
}

impl Cooked<'_> {
    /// Takes the raw path.
    fn take(&mut self, raw: &[u8]) -> Result<(), Reject> {
        let mut rest = raw;
        loop {
            let plain_len = rest.iter().position(|&byte| !is_plain(byte));
            let (plain, special) = rest.split_at(plain_len.unwrap_or(rest.len()));
            self.out.extend_from_slice(plain);
            let Some((&byte, after)) = special.split_first() else {
                break;
            };
            rest = match byte {
                b'%' => self.escape(after)?,
                b'/' | b'\\' => {
                    self.slash();
                    after
                }
                _ => return Err(Reject::TargetByte),
            };
        }
        self.resolve();
        Ok(())
    }

    /// Takes one escape; `after` is what follows its `%`.
    fn escape<'b>(&mut self, after: &'b [u8]) -> Result<&'b [u8], Reject> {
        if let Some(hex) = after.strip_prefix(b"u").or(after.strip_prefix(b"U")) {
            return self.percent_u(hex);
        }
        let first = hex_byte(after).ok_or(Reject::Escape)?;
        if first < 0x80 {
            self.character(char::from(first))?;
            return Ok(&after[2..]);
        }
        let Some((character, escapes)) = utf8_escapes(first, after) else {
            if !self.limits.allow_non_utf8 {
                return Err(Reject::EscapeNotUtf8);
            }
            // Stays escaped: the application may know what encoding it is in.
            self.out.extend_from_slice(&[b'%', after[0], after[1]]);
            return Ok(&after[2..]);
        };
        self.character(character)?;
        Ok(&after[3 * escapes - 1..])
    }

    /// Takes a `%uNNNN` escape, or two that are a surrogate pair.
    fn percent_u<'b>(&mut self, hex: &'b [u8]) -> Result<&'b [u8], Reject> {
        if !self.limits.percent_u_allowed {
            return Err(Reject::EscapePercentU);
        }
        let first = hex_unit(hex).ok_or(Reject::Escape)?;
        let mut rest = &hex[4..];
        let mut units = [first, 0];
        let mut count = 1;
        if (0xD800..0xDC00).contains(&first) {
            let hex = rest
                .strip_prefix(b"%u")
                .or(rest.strip_prefix(b"%U"))
                .ok_or(Reject::Escape)?;
            units[1] = hex_unit(hex).ok_or(Reject::Escape)?;
            rest = &hex[4..];
            count = 2;
        }
        let character = char::decode_utf16(units.into_iter().take(count))
            .next()
            .and_then(Result::ok)
            .ok_or(Reject::Escape)?;
        self.character(character)?;
        Ok(rest)
    }

    /// Takes a character that was escaped.
    fn character(&mut self, character: char) -> Result<(), Reject> {
        if character == '/' || character == '\\' {
            self.slash();
            return Ok(());
        }
        if character.is_control() && !self.limits.allow_restricted_chars {
            return Err(Reject::EscapeRestricted);
        }
        let mut buffer = [0; 4];
        let encoded = character.encode_utf8(&mut buffer);
        self.out.extend_from_slice(encoded.as_bytes());
        Ok(())
    }

    /// Ends the segment and begins the next.
    fn slash(&mut self) {
        self.resolve();
        if self.segment_start < self.out.len() {
            self.out.push(b'/');
            self.segment_start = self.out.len();
        }
    }

    /// Resolves the last segment if it is a dot segment.
    fn resolve(&mut self) {
        match &self.out[self.segment_start..] {
            b"." => self.out.truncate(self.segment_start),
            b".." => {
                // The root has no parent.
                let parent = memrchr(b'/', &self.out[..self.segment_start - 1]);
                self.segment_start = parent.map_or(self.segment_start, |slash| slash + 1);
                self.out.truncate(self.segment_start);
            }
            _ => {}
        }
    }
}

fn check_segments(cooked: &str, limits: &RequestLimits) -> Result<(), Reject> {
    let unless_unlimited = |limit: u32| if limit == 0 { u32::MAX } else { limit } as usize;
    let chars_max = unless_unlimited(limits.segment_chars_max);
    let segments_max = unless_unlimited(limits.segments_max);
    // There are no more characters, and no more segments, than bytes.
    if cooked.len() <= chars_max.min(segments_max) {
        return Ok(());
    }
    let segments = cooked.split('/').filter(|segment| !segment.is_empty());
    for (index, segment) in segments.enumerate() {
        if index == segments_max {
            return Err(Reject::SegmentsTooMany);
        }
        if segment.len() > chars_max && segment.chars().count() > chars_max {
            return Err(Reject::SegmentTooLong);
        }
    }
    Ok(())
}

/// The character whose UTF-8 form begins with the escape of `first`, and how many escapes it takes.
fn utf8_escapes(first: u8, after: &[u8]) -> Option<(char, usize)> {
    let count = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return None,
    };
    let mut bytes = [first, 0, 0, 0];
    for (index, byte) in bytes.iter_mut().enumerate().take(count).skip(1) {
        let escape = after.get(3 * index - 1..)?;
        *byte = hex_byte(escape.strip_prefix(b"%")?)?;
    }
    let text = std::str::from_utf8(&bytes[..count]).ok()?;
    Some((text.chars().next()?, count))
}

/// The byte that two hexadecimal digits stand for.
fn hex_byte(hex: &[u8]) -> Option<u8> {
    let [high, low] = hex.first_chunk()?;
    Some(hex_digit(*high)? << 4 | hex_digit(*low)?)
}

/// The UTF-16 unit that four hexadecimal digits stand for.
fn hex_unit(hex: &[u8]) -> Option<u16> {
    let high = hex_byte(hex)?;
    let low = hex_byte(&hex[2..])?;
    Some(u16::from_be_bytes([high, low]))
}

pub(super) fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
