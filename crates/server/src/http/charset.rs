//! Character sets that text is read and written in: UTF-8, ISO-8859-1 and US-ASCII.

use std::borrow::Cow;

/// A character set, as a content type names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Charset {
    /// `utf-8`, and what is taken when none is named.
    Utf8,
    /// `iso-8859-1`, `latin1`
    Latin1,
    /// `us-ascii`
    Ascii,
    /// One that we cannot read or write.
    Unknown,
}

impl Charset {
    /// The character set that a content type names. RFC 9110 §8.3.
    pub(crate) fn of_content_type(content_type: &[u8]) -> Self {
        // Most types name none, and the usual spelling needs no search.
        if !content_type.contains(&b';')
            || ends_with_ignoring_case(content_type, b"; charset=utf-8")
        {
            return Self::Utf8;
        }
        content_type
            .split(|&byte| byte == b';')
            .skip(1)
            .find_map(charset_of_parameter)
            .unwrap_or(Self::Utf8)
    }

    fn of_name(name: &[u8]) -> Self {
        let is = |names: &[&str]| {
            names
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        if is(&["utf-8", "utf8"]) {
            Self::Utf8
        } else if is(&["iso-8859-1", "iso8859-1", "latin1", "l1"]) {
            Self::Latin1
        } else if is(&["us-ascii", "ascii"]) {
            Self::Ascii
        } else {
            Self::Unknown
        }
    }

    /// The text in this character set; a character it does not have becomes `?`. `None` when it is
    /// unknown.
    pub(crate) fn encode(self, text: &str) -> Option<Vec<u8>> {
        let last = match self {
            Self::Utf8 => return Some(text.as_bytes().to_vec()),
            Self::Latin1 => 0xFF,
            Self::Ascii => 0x7F,
            Self::Unknown => return None,
        };
        let encode = |character: char| match u8::try_from(u32::from(character)) {
            Ok(byte) if byte <= last => byte,
            _ => b'?',
        };
        Some(text.chars().map(encode).collect())
    }

    /// The bytes as text; `None` when they are none in this character set.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Ascii if bytes.is_ascii() => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Latin1 => Some(bytes.iter().map(|&byte| char::from(byte)).collect()),
            Self::Ascii | Self::Unknown => None,
        }
    }
}

fn charset_of_parameter(parameter: &[u8]) -> Option<Charset> {
    let equals = parameter.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (parameter[..equals].trim_ascii(), &parameter[equals + 1..]);
    if !name.eq_ignore_ascii_case(b"charset") {
        return None;
    }
    let value = value.trim_ascii();
    let quoted = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    Some(Charset::of_name(quoted.unwrap_or(value)))
}

fn ends_with_ignoring_case(bytes: &[u8], end: &[u8]) -> bool {
    bytes.len() >= end.len() && bytes[bytes.len() - end.len()..].eq_ignore_ascii_case(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_names_its_charset() {
        let cases: [(&str, Charset); 8] = [
            ("text/html; charset=UTF-8", Charset::Utf8),
            ("text/html", Charset::Utf8),
            ("text/html;charset=\"iso-8859-1\"; a=b", Charset::Latin1),
            ("text/html; a=b; Charset = latin1", Charset::Latin1),
            ("text/html; charset=us-ascii", Charset::Ascii),
            ("text/html; charset=utf-16", Charset::Unknown),
            ("text/html; charset=", Charset::Unknown),
            ("", Charset::Utf8),
        ];
        for (content_type, charset) in cases {
            let found = Charset::of_content_type(content_type.as_bytes());
            assert_eq!(found, charset, "{content_type}");
        }
    }

    #[test]
    fn what_a_charset_lacks_becomes_a_question_mark() {
        assert_eq!(Charset::Latin1.encode("é€").unwrap(), b"\xE9?");
        assert_eq!(Charset::Ascii.encode("aé").unwrap(), b"a?");
        assert_eq!(Charset::Unknown.encode("a"), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_not_read_as_text() {
        assert_eq!(Charset::Utf8.decode(b"\xFF"), None);
        assert_eq!(Charset::Ascii.decode(b"\xE9"), None);
        assert_eq!(Charset::Latin1.decode(b"\xE9").unwrap(), "é");
    }
}
