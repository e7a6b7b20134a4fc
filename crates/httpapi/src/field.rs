//! Field lines of requests and responses.
//!
//! A request's fields are spans over its received bytes; a response's fields are one block of bytes
//! that is already in wire form, so that answering copies it once. Both are checked where they are
//! made: the parser checks what a peer sent, [`FieldBlock`] what an application sets.
//! Source: RFC 9110 §5.

use std::borrow::Cow;
use std::fmt;

/// A field name that the driver or the component looks for; found once, while parsing.
///
/// `Other` is any name not listed. RFC 9110 §5.1: names compare without regard to case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
#[non_exhaustive]
pub enum KnownField {
    /// A name not listed here.
    Other = 0,
    /// `Host`
    Host,
    /// `Content-Length`
    ContentLength,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Connection`
    Connection,
    /// `Expect`
    Expect,
    /// `Upgrade`
    Upgrade,
    /// `Content-Type`
    ContentType,
    /// `Date`
    Date,
    /// `Server`
    Server,
    /// `Cookie`
    Cookie,
    /// `Authorization`
    Authorization,
    /// `Range`
    Range,
    /// `User-Agent`
    UserAgent,
    /// `Referer`
    Referer,
    /// `Trailer`
    Trailer,
    /// `TE`
    Te,
}

impl KnownField {
    /// Finds the known field of a name, whatever its letter case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        // The length alone tells most names apart, so one comparison is enough.
        let (candidate, spelling): (Self, &[u8]) = match name.len() {
            2 => (Self::Te, b"te"),
            4 => match name[0] | 0x20 {
                b'h' => (Self::Host, b"host"),
                _ => (Self::Date, b"date"),
            },
            5 => (Self::Range, b"range"),
            6 => match name[0] | 0x20 {
                b'c' => (Self::Cookie, b"cookie"),
                b'e' => (Self::Expect, b"expect"),
                _ => (Self::Server, b"server"),
            },
            7 => match name[0] | 0x20 {
                b'u' => (Self::Upgrade, b"upgrade"),
                b'r' => (Self::Referer, b"referer"),
                _ => (Self::Trailer, b"trailer"),
            },
            10 => match name[0] | 0x20 {
                b'u' => (Self::UserAgent, b"user-agent"),
                _ => (Self::Connection, b"connection"),
            },
            12 => (Self::ContentType, b"content-type"),
            13 => (Self::Authorization, b"authorization"),
            14 => (Self::ContentLength, b"content-length"),
            17 => (Self::TransferEncoding, b"transfer-encoding"),
            _ => return Self::Other,
        };
        if name.eq_ignore_ascii_case(spelling) {
            candidate
        } else {
            Self::Other
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Where one field line of a request stands in the bytes of its head.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpan {
    /// Offset of the name's first byte.
    pub name_start: u32,
    /// Offset of the value's first byte, after leading blanks.
    pub value_start: u32,
    /// Length of the value without blanks around it.
    pub value_len: u32,
    /// Length of the name.
    pub name_len: u16,
    /// Which field this is, if one that we look for.
    pub known: KnownField,
}

/// One field line: a name and its value without blanks around it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field<'a> {
    /// The name as the peer spelled it. Always a token (RFC 9110 §5.6.2), so always ASCII.
    pub name: &'a str,
    /// The value. Any bytes but controls; usually ASCII or UTF-8.
    pub value: &'a [u8],
}

/// The field lines of a request, in the order received.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    spans: &'a [FieldSpan],
}

impl<'a> Fields<'a> {
    /// Reads `spans` over `bytes`, the head they were found in.
    pub fn new(bytes: &'a [u8], spans: &'a [FieldSpan]) -> Self {
        Self { bytes, spans }
    }

    /// How many field lines there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field line.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// All field lines, in the order received.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| field_at(bytes, span))
    }

    /// The first value of a known field.
    pub fn known(&self, known: KnownField) -> Option<&'a [u8]> {
        let span = self.spans.iter().find(|span| span.known == known)?;
        Some(field_at(self.bytes, span).value)
    }

    /// The value of the field `name`, whatever its letter case.
    ///
    /// Several field lines of one name are joined with `, ` (RFC 9110 §5.3), as the HTTP Server API
    /// does; only then a new string is made.
    pub fn value(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let mut matching = self
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value);
        let first = matching.next()?;
        let Some(second) = matching.next() else {
            return Some(Cow::Borrowed(first));
        };
        let mut joined = first.to_vec();
        for value in std::iter::once(second).chain(matching) {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(Cow::Owned(joined))
    }

    pub(crate) fn spans(&self) -> &'a [FieldSpan] {
        self.spans
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_map()
            .entries(self.iter().map(|field| {
                let value = String::from_utf8_lossy(field.value);
                (field.name, value)
            }))
            .finish()
    }
}

fn field_at<'a>(bytes: &'a [u8], span: &FieldSpan) -> Field<'a> {
    let name_start = span.name_start as usize;
    let value_start = span.value_start as usize;
    let name = &bytes[name_start..name_start + usize::from(span.name_len)];
    Field {
        // The parser lets only tokens through, which are ASCII.
        name: std::str::from_utf8(name).unwrap_or_default(),
        value: &bytes[value_start..value_start + span.value_len as usize],
    }
}

/// The field lines of a response, checked and in wire form.
///
/// Each line is `name: value` and CR LF. Nothing can be put in that would end a line early, so a
/// response built from it cannot be split (RFC 9112 §11.1).
#[derive(Clone, Debug, Default)]
pub struct FieldBlock {
    bytes: Vec<u8>,
    known: u32,
}

impl FieldBlock {
    /// An empty block.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            known: 0,
        }
    }

    /// An empty block that reuses the memory of `bytes`.
    pub fn with_memory(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, known: 0 }
    }

    /// Gives the memory back, to be used for the next response.
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds a field line after the others.
    ///
    /// # Errors
    ///
    /// The name is not a token, or the value has a CR, LF, NUL or another control character; nothing
    /// is added then. The caller's fault.
    #[inline]
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), FieldError> {
        if !is_token(name.as_bytes()) {
            return Err(FieldError::Name { name: name.into() });
        }
        self.append_line(name, KnownField::of(name.as_bytes()), value.as_ref())
    }

    /// Sets a field whose name is known to be one, in place of all lines it had.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append), for the value; the old lines stay then.
    ///
    /// # Panics
    ///
    /// In debug builds, if `name` is not a token.
    #[inline]
    pub fn set_static(
        &mut self,
        name: &'static str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), FieldError> {
        debug_assert!(is_token(name.as_bytes()), "{name:?} is not a field name");
        if self.bytes.is_empty() {
            return self.append_line(name, KnownField::of(name.as_bytes()), value.as_ref());
        }
        self.set(name, value)
    }

    /// Sets `Content-Type` to one of the usual types. Says whether `value` is one.
    ///
    /// The same as [`set`](Self::set); these lines are ready to be copied.
    #[inline]
    pub fn set_usual_content_type(&mut self, value: &str) -> bool {
        let line: &[u8] = match value {
            "text/plain" => b"Content-Type: text/plain\r\n",
            "text/plain; charset=utf-8" => b"Content-Type: text/plain; charset=utf-8\r\n",
            "text/html; charset=utf-8" => b"Content-Type: text/html; charset=utf-8\r\n",
            "application/json" => b"Content-Type: application/json\r\n",
            "application/octet-stream" => b"Content-Type: application/octet-stream\r\n",
            _ => return false,
        };
        if self.contains(KnownField::ContentType) {
            self.remove("Content-Type");
        }
        self.known |= KnownField::ContentType.bit();
        self.bytes.extend_from_slice(line);
        true
    }

    #[inline]
    fn append_line(
        &mut self,
        name: &str,
        known: KnownField,
        value: &[u8],
    ) -> Result<(), FieldError> {
        if has_control(value) {
            return Err(FieldError::Value {
                name: name.into(),
                byte: value
                    .iter()
                    .copied()
                    .find(|&byte| is_forbidden_in_value(byte))
                    .unwrap_or_default(),
            });
        }
        // Blanks around a value are not part of it (RFC 9110 §5.5).
        let value = match value {
            [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => value.trim_ascii(),
            _ => value,
        };
        self.known |= known.bit();
        self.bytes.reserve(name.len() + value.len() + 4);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Sets the field `name` to one value, in place of all lines it had.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the old lines stay then.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), FieldError> {
        let known = KnownField::of(name.as_bytes());
        let may_be_there = known == KnownField::Other || self.contains(known);
        if may_be_there && !self.bytes.is_empty() {
            let mut replaced = Self::new();
            replaced.append(name, &value)?;
            self.remove(name);
        }
        self.append(name, value)
    }

    /// Takes out all lines of the field `name`. Says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let mut kept = Self::new();
        let mut removed = false;
        for field in self.iter() {
            if field.name.eq_ignore_ascii_case(name) {
                removed = true;
            } else {
                kept.known |= KnownField::of(field.name.as_bytes()).bit();
                kept.bytes.extend_from_slice(field.name.as_bytes());
                kept.bytes.extend_from_slice(b": ");
                kept.bytes.extend_from_slice(field.value);
                kept.bytes.extend_from_slice(b"\r\n");
            }
        }
        if removed {
            *self = kept;
        }
        removed
    }

    /// Whether a known field is among the lines.
    #[inline]
    pub fn contains(&self, known: KnownField) -> bool {
        self.known & known.bit() != 0
    }

    /// Whether one of these known fields is among the lines.
    #[inline]
    pub fn contains_any<const N: usize>(&self, known: [KnownField; N]) -> bool {
        let bits = known.iter().fold(0, |bits, known| bits | known.bit());
        self.known & bits != 0
    }

    /// The first value of the field `name`, whatever its letter case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// All field lines, in the order set.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.bytes
            .split_inclusive(|&byte| byte == b'\n')
            .filter_map(|line| {
                let line = line.strip_suffix(b"\r\n")?;
                let colon = line.iter().position(|&byte| byte == b':')?;
                Some(Field {
                    name: std::str::from_utf8(&line[..colon]).ok()?,
                    value: line[colon + 1..].strip_prefix(b" ")?,
                })
            })
    }

    /// The lines as they go on the wire, each with its CR LF.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes out all lines, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.known = 0;
    }
}

/// The trailer section of a request, complete once the content has ended. RFC 9110 §6.5.
#[derive(Clone, Debug, Default)]
pub struct Trailers {
    fields: Vec<(String, Vec<u8>)>,
}

impl Trailers {
    /// Keeps the field lines given.
    pub fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self { fields }
    }

    /// All trailer fields, in the order received.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields
            .iter()
            .map(|(name, value)| Field { name, value })
    }

    /// The first value of the trailer field `name`, whatever its letter case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.iter()
            .find(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }
}

/// Why a field line of a response was refused. The application is at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is empty or has a byte that no token may have. RFC 9110 §5.6.2.
    Name {
        /// The name refused.
        name: Box<str>,
    },
    /// The value has a control character. RFC 9110 §5.5.
    Value {
        /// The field's name.
        name: Box<str>,
        /// The byte refused.
        byte: u8,
    },
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => write!(formatter, "{name:?} is not a field name"),
            Self::Value { name, byte } => write!(
                formatter,
                "the value of field {name} has the control character 0x{byte:02X}"
            ),
        }
    }
}

impl std::error::Error for FieldError {}

/// Whether `bytes` are a token. RFC 9110 §5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// Whether a byte of `value` is one that no value may have.
#[inline]
fn has_control(value: &[u8]) -> bool {
    // Eight bytes at once: in each, whether it is below 0x20 or is 0x7F. A tab is found too, and then
    // each byte is looked at.
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let suspicious = |word: u64| {
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let deletes = word ^ (ONES * 0x7F);
        (below | (deletes.wrapping_sub(ONES) & !deletes)) & HIGHS != 0
    };
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let any = words
        .iter()
        .chain(std::iter::once(&last))
        .any(|word| suspicious(u64::from_le_bytes(*word)));
    any && value.iter().any(|&byte| is_forbidden_in_value(byte))
}

fn is_forbidden_in_value(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7F
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
            || matches!(
                byte as u8,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_would_split_the_response_is_refused() {
        for bad in ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\x7Fb"] {
            let mut block = FieldBlock::new();
            assert!(block.append("X", bad).is_err(), "{bad:?}");
            assert!(block.is_empty());
        }
    }

    #[test]
    fn each_byte_of_a_value_is_looked_at() {
        for byte in 0..=255u8 {
            for length in 1..20 {
                for index in 0..length {
                    let mut value = vec![b'a'; length];
                    value[index] = byte;
                    let is_bad = (byte < 0x20 && byte != b'\t') || byte == 0x7F;
                    assert_eq!(has_control(&value), is_bad, "{byte} at {index} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_is_no_token_is_refused() {
        for bad in ["", "a b", "a:", "a\r\n", "é"] {
            assert!(FieldBlock::new().append(bad, "x").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn set_replaces_every_line_of_the_name() {
        let mut block = FieldBlock::new();
        block.append("A", "1").unwrap();
        block.append("b", "2").unwrap();
        block.append("a", "3").unwrap();
        block.set("A", "4").unwrap();
        assert_eq!(block.as_bytes(), b"b: 2\r\nA: 4\r\n");
        assert!(block.set("A", "5\r\n").is_err());
        assert_eq!(block.value("a"), Some(&b"4"[..]));
    }

    #[test]
    fn a_usual_content_type_is_set_as_any_other() {
        for value in [
            "text/plain",
            "text/html; charset=utf-8",
            "application/json",
            "a/b",
        ] {
            let (mut usual, mut plain) = (FieldBlock::new(), FieldBlock::new());
            for block in [&mut usual, &mut plain] {
                block.append("content-type", "old/type").unwrap();
                block.append("X", "y").unwrap();
            }
            let is_usual = usual.set_usual_content_type(value);
            assert_eq!(is_usual, value != "a/b");
            if is_usual {
                plain.set("Content-Type", value).unwrap();
                assert_eq!(usual.as_bytes(), plain.as_bytes());
                assert!(usual.contains(KnownField::ContentType));
            }
        }
    }

    #[test]
    fn known_fields_are_found_in_any_case() {
        assert_eq!(KnownField::of(b"cOnTent-lEngth"), KnownField::ContentLength);
        assert_eq!(KnownField::of(b"content-lengtx"), KnownField::Other);
        assert_eq!(KnownField::of(b""), KnownField::Other);
        let mut block = FieldBlock::new();
        block.append("DATE", "x").unwrap();
        assert!(block.contains(KnownField::Date));
        assert!(!block.contains(KnownField::Server));
    }
}
