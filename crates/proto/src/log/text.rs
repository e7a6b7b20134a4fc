//! What stands in lines of logs: text made safe, numbers, addresses, dates.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use tidegate_httpapi::LogTime;

/// Appends text of a peer: whatever could end the value or the line, or cannot be printed, becomes `+`, and
/// so does each byte of a character beyond ASCII, unless `utf8`. http-server-api §9.
pub fn append_text(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    append_escaped(out, text, utf8, &[]);
}

/// As [`append_text`]; the bytes in `escapes`, which are printable ASCII, become what is beside them.
pub(super) fn append_escaped(out: &mut Vec<u8>, text: &[u8], utf8: bool, escapes: &[(u8, &[u8])]) {
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !escapes.iter().any(|(escaped, _)| *escaped == byte);
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let plain = rest.iter().take_while(|byte| is_plain(**byte)).count();
        if plain > 0 {
            out.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
            continue;
        }
        let (character, length) = first_character(rest);
        match character {
            Some(character) if character.is_ascii() => {
                let escape = escapes.iter().find(|(escaped, _)| *escaped == byte);
                out.extend_from_slice(escape.map_or(b"+", |(_, escape)| escape));
            }
            Some(character) if utf8 && is_printable(character) => {
                out.extend_from_slice(&rest[..length]);
            }
            // One for a character that cannot be seen, as many as it has bytes for one that is not written.
            Some(_) if utf8 => out.push(b'+'),
            _ => out.resize(out.len() + length, b'+'),
        }
        rest = &rest[length..];
    }
}

/// The first character and how many bytes it has; `None` where there is none.
pub(super) fn first_character(bytes: &[u8]) -> (Option<char>, usize) {
    // A character has four bytes at most.
    let chunk = bytes[..bytes.len().min(4)].utf8_chunks().next();
    let valid = chunk
        .as_ref()
        .and_then(|chunk| chunk.valid().chars().next());
    match (valid, chunk) {
        (Some(character), _) => (Some(character), character.len_utf8()),
        (None, Some(chunk)) => (None, chunk.invalid().len().max(1)),
        (None, None) => (None, 1),
    }
}

/// Whether a character shows itself and nothing but that. Some change the order or the look of the text
/// around them: a line with them can be made to show something else than it says.
pub(super) fn is_printable(character: char) -> bool {
    let is_invisible = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    !is_invisible && !character.is_whitespace() && !character.is_control()
}

/// Appends a date as W3C writes it, `2026-07-05`.
pub fn append_date(out: &mut Vec<u8>, time: &LogTime) {
    let _ = write!(out, "{:04}-{:02}-{:02}", time.year, time.month, time.day);
}

/// Appends a time of day, `18:45:09`.
pub fn append_time(out: &mut Vec<u8>, time: &LogTime) {
    let (hour, minute, second) = (time.hour, time.minute, time.second);
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
}

/// Appends a number in decimal.
pub(super) fn append_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends an IP address; an IPv4 one as such, also when it came in the clothes of IPv6, a link-local one
/// with its scope.
pub(super) fn append_address(out: &mut Vec<u8>, address: Option<SocketAddr>) {
    let Some(address) = address else {
        return;
    };
    let _ = match (address.ip().to_canonical(), address) {
        (IpAddr::V6(ip), SocketAddr::V6(address)) if address.scope_id() != 0 => {
            write!(out, "{ip}%{}", address.scope_id())
        }
        (ip, _) => write!(out, "{ip}"),
    };
}

/// Appends what `append` appends, or a hyphen where that is nothing.
pub(super) fn append_value(out: &mut Vec<u8>, append: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    append(out);
    if out.len() == before {
        out.push(b'-');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &[u8], utf8: bool) -> String {
        let mut out = Vec::new();
        append_text(&mut out, text, utf8);
        String::from_utf8(out).unwrap()
    }

    // Case T14.
    #[test]
    fn what_could_end_a_value_or_a_line_is_a_plus() {
        assert_eq!(escaped(b"a b\r\nc\td\x00\x7f", true), "a+b++c+d++");
        assert_eq!(
            escaped("é\u{2028}\u{202e}\u{85}ü".as_bytes(), true),
            "é+++ü"
        );
        assert_eq!(escaped(b"\xff\xfe\xc3", true), "+++");
        assert_eq!(escaped("é😀x".as_bytes(), false), "++++++x");
    }

    #[test]
    fn a_number_is_written_whole() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            append_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn addresses_are_plain() {
        let told = |address: &str| {
            let mut out = Vec::new();
            append_address(&mut out, Some(address.parse().unwrap()));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(told("10.1.2.3:80"), "10.1.2.3");
        assert_eq!(told("[::ffff:10.1.2.3]:80"), "10.1.2.3");
        assert_eq!(told("[::1]:80"), "::1");
        assert_eq!(told("[fe80::1%3]:80"), "fe80::1%3");
    }
}
