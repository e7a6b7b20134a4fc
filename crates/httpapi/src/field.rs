//! Field lines of requests, and the fields we look for.
//!
//! A request's fields are spans over its received bytes, which the parser has checked. A response's are
//! in `field_block`. Source: RFC 9110 §5.

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

    pub(crate) const fn bit(self) -> u32 {
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

    /// The name and the value of each field line as bytes, in the order received.
    #[inline]
    pub fn lines(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| parts_at(bytes, span))
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
    let (name, value) = parts_at(bytes, span);
    Field {
        // The parser lets only tokens through, which are ASCII.
        name: std::str::from_utf8(name).unwrap_or_default(),
        value,
    }
}

#[inline]
fn parts_at<'a>(bytes: &'a [u8], span: &FieldSpan) -> (&'a [u8], &'a [u8]) {
    let name_start = span.name_start as usize;
    let value_start = span.value_start as usize;
    (
        &bytes[name_start..name_start + usize::from(span.name_len)],
        &bytes[value_start..value_start + span.value_len as usize],
    )
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
