//! The path that an upstream or a mounted service is asked for: what routing went by, spelled as a URL spells it.
//!
//! A peer can spell one path in many ways, and who decides by one spelling while who answers goes by
//! another can be deceived. So slashes and dots are spelled literally and dot segments resolved, just as
//! routing did; all other escapes stay as they came, and nothing is decoded twice.
//! Source: RFC 3986 §2.2, §5.2.4, §6.2.2.

/// Spells a raw path anew. `None` if it is no path that routing lets through.
///
/// `keeps_slashes`: escapes that spell a slash stay escapes.
pub(crate) fn respell(raw: &[u8], keeps_slashes: bool) -> Option<Vec<u8>> {
    let mut spelled = Spelled {
        out: Vec::with_capacity(raw.len() + 1),
        segment_start: 1,
    };
    spelled.out.push(b'/');
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' | b'\\' => spelled.slash(),
            b'%' if matches!(after.first(), Some(b'u' | b'U')) => {
                let (character, taken) = percent_u(after)?;
                rest = &after[taken..];
                spelled.character(character);
            }
            b'%' => {
                let (hex, after) = after.split_first_chunk::<2>()?;
                rest = after;
                match hex_byte(hex)? {
                    b'/' | b'\\' if !keeps_slashes => spelled.slash(),
                    b'.' => spelled.out.push(b'.'),
                    _ => spelled.out.extend_from_slice(&[b'%', hex[0], hex[1]]),
                }
            }
            0x21..=0x7E => spelled.out.push(byte),
            _ => return None,
        }
    }
    spelled.resolve();
    Some(spelled.out)
}

/// A path in the making.
struct Spelled {
    out: Vec<u8>,
    /// Where the last segment begins, behind its `/`.
    segment_start: usize,
}

impl Spelled {
    fn character(&mut self, character: char) {
        match character {
            '/' | '\\' => self.slash(),
            '.' => self.out.push(b'.'),
            _ => {
                let mut buffer = [0; 4];
                escape(character.encode_utf8(&mut buffer).as_bytes(), &mut self.out);
            }
        }
    }

    fn slash(&mut self) {
        self.resolve();
        if self.segment_start < self.out.len() {
            self.out.push(b'/');
            self.segment_start = self.out.len();
        }
    }

    fn resolve(&mut self) {
        match &self.out[self.segment_start..] {
            b"." => self.out.truncate(self.segment_start),
            b".." => {
                // The root has no parent.
                let before = &self.out[..self.segment_start - 1];
                let parent = before.iter().rposition(|&byte| byte == b'/');
                self.segment_start = parent.map_or(self.segment_start, |slash| slash + 1);
                self.out.truncate(self.segment_start);
            }
            _ => {}
        }
    }
}

/// Whether a path stays as it is when it is spelled anew.
pub(crate) fn is_plain(raw: &[u8]) -> bool {
    let mut previous = 0;
    let dull = raw.iter().all(|&byte| {
        let special = matches!(byte, b'%' | b'\\')
            || !matches!(byte, 0x21..=0x7E)
            || (previous == b'/' && matches!(byte, b'/' | b'.'));
        previous = byte;
        !special
    });
    dull && raw.first() == Some(&b'/')
}

/// What follows the first segments of a path, as many as `base` has. `base` begins with a slash and does
/// not end with one, or is empty.
pub(crate) fn without_base<'a>(path: &'a [u8], base: &str) -> &'a [u8] {
    let segments = base.matches('/').count();
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    match slashes.nth(segments) {
        Some((index, _)) => &path[index..],
        None => &[],
    }
}

/// Decoded text, escaped so that it is a path. RFC 3986 §3.3.
pub(crate) fn escaped(decoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(decoded.len() + 16);
    escape(decoded, &mut out);
    out
}

/// Appends decoded text, escaped so that it is a path, or part of one. RFC 3986 §3.3.
pub(crate) fn escape(decoded: &[u8], out: &mut Vec<u8>) {
    escape_unless(decoded, b"/-._~!$&'()*+,;=:@", out);
}

/// Appends a query in which what may not stand there is escaped; escapes in it stay. RFC 3986 §3.4.
pub(crate) fn escape_query(query: &[u8], out: &mut Vec<u8>) {
    escape_unless(query, b"/-._~!$&'()*+,;=:@?%[]", out);
}

fn escape_unless(bytes: &[u8], allowed: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || allowed.contains(&byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', hex_digit(byte >> 4), hex_digit(byte & 15)]);
        }
    }
}

fn hex_digit(value: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(value & 15)]
}

fn hex_byte(hex: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(hex[0])? << 4 | digit(hex[1])?) as u8)
}

/// The character of a `%uNNNN` escape, or of two that are a surrogate pair, and how many bytes after the
/// first `%` it takes.
fn percent_u(after: &[u8]) -> Option<(char, usize)> {
    let unit = |bytes: &[u8]| -> Option<u16> {
        let (high, low) = bytes.get(1..5)?.split_first_chunk::<2>()?;
        Some(u16::from_be_bytes([
            hex_byte(high)?,
            hex_byte(low.first_chunk()?)?,
        ]))
    };
    let first = unit(after)?;
    let (units, taken) = match first {
        0xD800..0xDC00 => ([first, unit(after.get(6..)?)?], 11),
        _ => ([first, 0], 5),
    };
    let count = if taken == 11 { 2 } else { 1 };
    let character = char::decode_utf16(units.into_iter().take(count)).next()?;
    Some((character.ok()?, taken))
}

#[cfg(test)]
mod tests {
    use tidegate_httpapi::RequestLimits;
    use tidegate_proto::http1::cook_path;

    use super::*;

    fn cooked(raw: &[u8]) -> Option<String> {
        let mut limits = RequestLimits::default();
        limits.allow_restricted_chars = true;
        let mut out = String::new();
        cook_path(raw, &limits, &mut out).ok()?;
        Some(out)
    }

    #[test]
    fn a_path_is_spelled_as_routing_read_it() {
        let cases = [
            ("/a/b", "/a/b"),
            ("/a%20b/%C3%A9", "/a%20b/%C3%A9"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a%2f..%2Fb", "/b"),
            ("/a\\..\\b", "/b"),
            ("/a//b///", "/a/b/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/a/..%5Cb", "/b"),
            ("/%u002e%u002e%u2044x", "/..%E2%81%84x"),
            ("/%uD83D%uDE00", "/%F0%9F%98%80"),
            ("/a%252fb", "/a%252fb"),
            ("/%E9", "/%E9"),
            ("/a;b=c/{d}", "/a;b=c/{d}"),
            ("", "/"),
        ];
        for (raw, wanted) in cases {
            let spelled = respell(raw.as_bytes(), false).unwrap();
            assert_eq!(String::from_utf8_lossy(&spelled), wanted, "{raw}");
        }
        assert_eq!(respell(b"/a%2Fb", true).unwrap(), b"/a%2Fb");
        for bad in ["/%", "/%4", "/%zz", "/%u12", "/\u{e9}"] {
            assert_eq!(respell(bad.as_bytes(), false), None, "{bad}");
        }
    }

    // Whoever decodes what was spelled anew comes to the path that routing went by.
    #[test]
    fn spelling_anew_changes_nothing_of_the_path() {
        let pieces: [&[u8]; 16] = [
            b"/",
            b"a",
            b".",
            b"..",
            b"\\",
            b"%2f",
            b"%2e",
            b"%5C",
            b"%41",
            b"%25",
            b"2f",
            b"%u002F",
            b"%uD83D%uDE00",
            b"%E9",
            b"%C3%A9",
            b"%",
        ];
        let mut seed = 1_u64;
        let mut compared = 0;
        for _ in 0..200_000 {
            let mut raw = b"/".to_vec();
            for _ in 0..seed % 9 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                raw.extend_from_slice(pieces[(seed >> 60) as usize]);
            }
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1442695);
            let Some(routed) = cooked(&raw) else {
                continue;
            };
            let spelled = respell(&raw, false).unwrap();
            compared += 1;
            let shown = String::from_utf8_lossy(&raw);
            assert_eq!(cooked(&spelled).as_ref(), Some(&routed), "{shown}");
            assert_eq!(respell(&spelled, false).as_ref(), Some(&spelled), "{shown}");
            if is_plain(&raw) {
                assert_eq!(spelled, raw, "{shown}");
            }
            assert!(spelled.iter().all(u8::is_ascii_graphic), "{shown}");
        }
        assert!(compared > 50_000, "{compared}");
    }

    #[test]
    fn a_base_is_taken_off_by_segments() {
        let cases = [
            ("/api/x/y", "/api", "/x/y"),
            ("/a%20b/x", "/a b", "/x"),
            ("/api", "/api", ""),
            ("/api/", "/api", "/"),
            ("/x", "", "/x"),
        ];
        for (path, base, rest) in cases {
            assert_eq!(without_base(path.as_bytes(), base), rest.as_bytes());
        }
    }
}
