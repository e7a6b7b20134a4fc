//! A request's head out of a decoded header list, as HTTP/1 gives it.
//!
//! What only HTTP/2 knows is decided here: pseudo-headers, the fields it forbids, crumbs of cookies. What
//! a method, a target, a host and a `Content-Length` may be is decided by the functions of `http1`, so
//! that an application sees no difference. Not here: how a header list is decoded, streams, the content.
//! Source: RFC 9113 §8.1 to §8.3, RFC 8441 §4.

mod pseudo;
mod reading;
#[cfg(test)]
mod tests;

use tidegate_httpapi::{FieldSpan, KnownField, RequestLimits, Trailers, Version};

use self::pseudo::Pseudo;
use self::reading::Reading;
use super::hpack::{HeaderField, HeaderList, HeaderListLimits, Token};
use crate::http1::{ParsedHead, Reject, field_bytes_max, is_forbidden_in_trailers};

/// A request's head.
#[derive(Clone, Debug)]
pub struct Head {
    /// What the spans are of: names and values without anything between them.
    pub bytes: Vec<u8>,
    /// What the head says. [`head_bytes`](ParsedHead::head_bytes) is how long it would be in HTTP/1.
    ///
    /// The framing of a request whose stream goes on is `None` in two cases: its `Content-Length` is 0, or
    /// it is an extended CONNECT, whose DATA is not content.
    pub head: ParsedHead,
    /// The fields. A `host` made of `:authority` is the first, a `transfer-encoding` made of the stream's
    /// going on is the last.
    pub spans: Vec<FieldSpan>,
    /// Equal for heads that are byte for byte the same; the connection's matter.
    pub serial: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            head: ParsedHead::EMPTY,
            spans: Vec::new(),
            serial: 0,
        }
    }
}

/// Why a header list is no request. The peer is at fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bad {
    /// It is malformed: a stream error, `PROTOCOL_ERROR`. RFC 9113 §8.1.1.
    Malformed(&'static str),
    /// It is a request that breaks a rule which has a status. The head has what was understood.
    Reject(Reject),
}

impl From<Reject> for Bad {
    fn from(reason: Reject) -> Self {
        Self::Reject(reason)
    }
}

/// How large a header list is decoded for these limits.
///
/// Large enough that [`build`] can tell what is too long. RFC 9113 §6.5.2 counts 32 bytes for each field,
/// which bounds their number too; HTTP/1 has far less around a field.
pub(crate) fn list_limits(limits: &RequestLimits) -> HeaderListLimits {
    HeaderListLimits {
        decoded_bytes_max: limits.head_bytes_max.saturating_mul(2),
        fields_max: limits.head_bytes_max / 16,
    }
}

/// Reads a request's head from `list` into `head`, of which only the serial number stays.
///
/// `ended`: the stream ends with this head. `extended_connect`: the peer was told that it may use it.
///
/// # Errors
///
/// The list is malformed, whatever else is wrong with it; else the first rule that is broken.
pub(crate) fn build(
    list: &HeaderList,
    ended: bool,
    extended_connect: bool,
    limits: &RequestLimits,
    head: &mut Head,
) -> Result<(), Bad> {
    head.bytes.clear();
    head.bytes.extend_from_slice(list.bytes());
    head.spans.clear();
    head.head = ParsedHead::EMPTY;
    head.head.line.version = Version::Http2;
    if list.is_malformed() {
        return Err(Bad::Malformed("malformed field name or value"));
    }
    let (pseudo, fields) = Pseudo::take(list.fields())?;
    pseudo.fill(&mut head.head.line);
    if list.is_too_large() {
        // What is missing may be among the fields that were not kept.
        return Err(Reject::HeadTooLong.into());
    }
    pseudo.check(&head.bytes, extended_connect)?;
    let mut reading = Reading::new(limits, head, &pseudo);
    if let Some(authority) = pseudo.authority {
        reading.add_host(authority);
    }
    reading.take_fields(fields, &pseudo)?;
    reading.check_length(&pseudo, ended)?;
    reading.finish(&pseudo, ended)?;
    Ok(())
}

/// Reads a trailer section. Fields that may not stand there are left out, as in HTTP/1.
///
/// # Errors
///
/// As those of [`build`].
pub(crate) fn trailers(list: &HeaderList, limits: &RequestLimits) -> Result<Trailers, Bad> {
    if list.is_malformed() {
        return Err(Bad::Malformed("malformed field name or value"));
    }
    let bytes = list.bytes();
    let mut kept = Vec::new();
    let mut section_bytes = LINE_END_BYTES;
    let mut refused = list.is_too_large().then_some(Reject::HeadTooLong);
    for field in list.fields() {
        let Token::Field(known) = field.token else {
            return Err(Bad::Malformed("pseudo-header in a trailer section"));
        };
        check_connection_specific(bytes, field, known)?;
        let (name, value) = (field.name(bytes), field.value(bytes));
        section_bytes += line_bytes(name.len(), value.len());
        if is_too_long(name.len(), value.len(), limits) {
            refused.get_or_insert(Reject::FieldTooLong);
        }
        if !is_forbidden_in_trailers(name) {
            let name = name.iter().copied().map(char::from).collect();
            kept.push((name, value.to_vec()));
        }
    }
    if section_bytes > limits.head_bytes_max as usize {
        refused.get_or_insert(Reject::HeadTooLong);
    }
    match refused {
        Some(reason) => Err(reason.into()),
        None => Ok(Trailers::new(kept)),
    }
}

/// Whether a field is about a connection of HTTP/1: HTTP/2 has no such field. RFC 9113 §8.2.2.
///
/// `TE` is one that requests may have, see there.
#[inline(always)]
pub(super) fn is_connection_specific(name: &[u8], known: KnownField) -> bool {
    match known {
        KnownField::Connection | KnownField::TransferEncoding | KnownField::Upgrade => true,
        KnownField::Other => match name.len() {
            10 => name.eq_ignore_ascii_case(b"keep-alive"),
            16 => name.eq_ignore_ascii_case(b"proxy-connection"),
            _ => false,
        },
        _ => false,
    }
}

/// Refuses fields that are about a connection of HTTP/1.
#[inline(always)]
fn check_connection_specific(
    bytes: &[u8],
    field: &HeaderField,
    known: KnownField,
) -> Result<(), Bad> {
    if is_connection_specific(field.name(bytes), known) {
        return Err(Bad::Malformed("connection-specific field"));
    }
    if known == KnownField::Te && !field.value(bytes).eq_ignore_ascii_case(b"trailers") {
        return Err(Bad::Malformed("te other than trailers"));
    }
    Ok(())
}

/// How long a field is as a line of HTTP/1, with its line end.
#[inline(always)]
fn line_bytes(name_len: usize, value_len: usize) -> usize {
    name_len + COLON_BYTES + value_len + LINE_END_BYTES
}

/// Whether a field would be too long a line in HTTP/1.
#[inline(always)]
fn is_too_long(name_len: usize, value_len: usize, limits: &RequestLimits) -> bool {
    name_len + COLON_BYTES + value_len > field_bytes_max(limits)
}

/// A colon and a blank.
const COLON_BYTES: usize = 2;
const LINE_END_BYTES: usize = 2;
