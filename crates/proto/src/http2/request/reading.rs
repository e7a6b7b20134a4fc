//! The fields of a request, one by one, and then the head as a whole.
//!
//! Which fields there may not be in HTTP/2 is said in `request`.

use tidegate_httpapi::{FieldSpan, KnownField, RequestLimits, Span};

use super::pseudo::Pseudo;
use super::{Bad, Head, check_connection_specific, is_too_long, line_bytes};
use crate::http1::{
    Reject, Seen, Verb, field_bytes_max, parse_authority, parse_method, parse_path,
};
use crate::http2::hpack::{HeaderField, Token};

/// A head that is being read.
pub(super) struct Reading<'a> {
    limits: &'a RequestLimits,
    head: &'a mut Head,
    seen: Seen,
    /// The first rule that a field broke. A malformed field behind it weighs more.
    refused: Option<Reject>,
    cookies: Cookies,
    /// How long the head would be in HTTP/1.
    head_bytes: usize,
}

/// The crumbs of cookies.
#[derive(Default)]
struct Cookies {
    count: usize,
    /// Which of the spans is the first one's.
    index: usize,
    value_bytes: usize,
}

impl<'a> Reading<'a> {
    /// Begins with the request line that HTTP/1 would have.
    #[inline]
    pub(super) fn new(limits: &'a RequestLimits, head: &'a mut Head, pseudo: &Pseudo) -> Self {
        Self {
            limits,
            head,
            seen: Seen::default(),
            refused: None,
            cookies: Cookies::default(),
            head_bytes: pseudo.line_bytes(),
        }
    }

    /// Adds the `Host` field that HTTP/1 would have. RFC 9113 §8.3.1.
    #[inline]
    pub(super) fn add_host(&mut self, authority: Span) {
        let name_start = self.head.bytes.len() as u32;
        self.head.bytes.extend_from_slice(HOST);
        self.add(&FieldSpan {
            name_start,
            value_start: authority.start,
            value_len: authority.len,
            name_len: HOST.len() as u16,
            known: KnownField::Host,
        });
    }

    /// Takes the fields, which are all that is behind the pseudo-headers.
    #[inline]
    pub(super) fn take_fields(
        &mut self,
        fields: &[HeaderField],
        pseudo: &Pseudo,
    ) -> Result<(), Bad> {
        self.head.spans.reserve(fields.len() + 1);
        for field in fields {
            let Token::Field(known) = field.token else {
                return Err(Bad::Malformed("pseudo-header behind a field"));
            };
            check_connection_specific(&self.head.bytes, field, known)?;
            let span = FieldSpan {
                name_start: field.name_start,
                value_start: field.value_start,
                value_len: field.value_len,
                name_len: field.name_len,
                known,
            };
            match known {
                KnownField::Host => self.take_host(&span, pseudo)?,
                KnownField::Cookie => self.take_cookie(&span),
                KnownField::ContentLength | KnownField::Expect => {
                    self.look_at(&span);
                    self.add(&span);
                }
                _ => self.add(&span),
            }
        }
        Ok(())
    }

    /// Adds a field.
    #[inline(always)]
    fn add(&mut self, field: &FieldSpan) {
        let (name_len, value_len) = (field.name_len.into(), field.value_len as usize);
        if is_too_long(name_len, value_len, self.limits) {
            self.refuse_too_long();
        }
        self.head_bytes += line_bytes(name_len, value_len);
        self.head.spans.push(*field);
    }

    #[inline]
    fn look_at(&mut self, field: &FieldSpan) {
        if let Err(reason) = self.seen.look_at(&self.head.bytes, field) {
            self.refuse(reason);
        }
    }

    /// Refuses a field for its length: by the limit that HTTP/1 would come to first.
    #[cold]
    fn refuse_too_long(&mut self) {
        let end = self.head_bytes + field_bytes_max(self.limits);
        self.refuse(if end < self.limits.head_bytes_max as usize {
            Reject::FieldTooLong
        } else {
            Reject::HeadTooLong
        });
    }

    #[cold]
    fn refuse(&mut self, reason: Reject) {
        self.refused.get_or_insert(reason);
    }

    /// Takes a `Host` field: in place of the one that was made of `:authority`.
    #[inline(never)]
    fn take_host(&mut self, field: &FieldSpan, pseudo: &Pseudo) -> Result<(), Bad> {
        self.look_at(field);
        pseudo.check_host(&self.head.bytes, value_of(field))?;
        match self.head.spans.first_mut() {
            Some(made) if pseudo.authority.is_some() => *made = *field,
            _ => self.add(field),
        }
        Ok(())
    }

    /// Takes a `Cookie` field, which may be one of several crumbs. RFC 9113 §8.2.3.
    #[inline]
    fn take_cookie(&mut self, field: &FieldSpan) {
        self.cookies.count += 1;
        if self.cookies.count == 1 {
            self.cookies.index = self.head.spans.len();
            self.cookies.value_bytes = field.value_len as usize;
            self.add(field);
        } else {
            let crumb_bytes = CRUMB_SEPARATOR.len() + field.value_len as usize;
            self.cookies.value_bytes += crumb_bytes;
            self.head_bytes += crumb_bytes;
            self.head.spans.push(*field);
        }
    }

    /// Checks that a `Content-Length` and the stream do not contradict each other.
    #[inline]
    pub(super) fn check_length(&self, pseudo: &Pseudo, ended: bool) -> Result<(), Bad> {
        match self.seen.lengths.value() {
            Some(1..) if ended => Err(Bad::Malformed("content-length without content")),
            // RFC 9110 §9.3.6: CONNECT has no content.
            Some(1..) if pseudo.protocol.is_some() => {
                Err(Bad::Malformed("content-length of a tunnel"))
            }
            _ => Ok(()),
        }
    }

    /// Checks what is about the head as a whole, and completes it.
    #[inline]
    pub(super) fn finish(mut self, pseudo: &Pseudo, ended: bool) -> Result<(), Reject> {
        if self.cookies.count > 1 {
            self.join_cookies();
        }
        let line = &self.head.head.line;
        let verb = parse_method(line.method.of(&self.head.bytes), self.limits)?;
        self.head.head.head_request = verb == Verb::Head;
        let Some(path) = pseudo.path else {
            // Only CONNECT has none.
            return Err(Reject::Connect);
        };
        let head = &mut self.head.head;
        parse_path(&self.head.bytes, path, verb, self.limits, head)?;
        if self.refused.is_some() || self.head_bytes > self.limits.head_bytes_max as usize {
            return self.refused(pseudo);
        }
        head.head_bytes = self.head_bytes;
        if !ended && verb != Verb::Connect && self.seen.lengths.value().is_none() {
            self.add_transfer_encoding();
        }
        self.seen.host = self.seen.host.or(pseudo.authority);
        let head = &mut self.head.head;
        self.seen.finish(&self.head.bytes, verb, head)
    }

    /// Refuses a head for one of its fields, or for its length.
    #[cold]
    fn refused(&self, pseudo: &Pseudo) -> Result<(), Reject> {
        if let Some(authority) = pseudo.authority {
            // HTTP/1 comes to the host first.
            parse_authority(authority.of(&self.head.bytes))?;
        }
        Err(self.refused.unwrap_or(Reject::HeadTooLong))
    }

    /// Puts one field in place of all crumbs. RFC 9113 §8.2.3.
    #[inline(never)]
    fn join_cookies(&mut self) {
        let Head { bytes, spans, .. } = &mut *self.head;
        let (value_start, value_len) = (bytes.len(), self.cookies.value_bytes);
        bytes.reserve(value_len);
        let mut at = 0;
        spans.retain(|span| {
            let is_first = at == self.cookies.index;
            at += 1;
            if span.known != KnownField::Cookie {
                return true;
            }
            if !is_first {
                bytes.extend_from_slice(CRUMB_SEPARATOR);
            }
            let value = span.value_start as usize..(span.value_start + span.value_len) as usize;
            bytes.extend_from_within(value);
            is_first
        });
        let joined = &mut spans[self.cookies.index];
        joined.value_start = value_start as u32;
        joined.value_len = value_len as u32;
        if is_too_long(joined.name_len.into(), value_len, self.limits) {
            self.refuse(Reject::FieldTooLong);
        }
    }

    /// Adds the `Transfer-Encoding` field that HTTP/1 would have (case T07).
    #[inline(never)]
    fn add_transfer_encoding(&mut self) {
        let bytes = &mut self.head.bytes;
        let name_start = bytes.len();
        bytes.extend_from_slice(TRANSFER_ENCODING);
        bytes.extend_from_slice(CHUNKED);
        self.head.spans.push(FieldSpan {
            name_start: name_start as u32,
            value_start: (name_start + TRANSFER_ENCODING.len()) as u32,
            value_len: CHUNKED.len() as u32,
            name_len: TRANSFER_ENCODING.len() as u16,
            known: KnownField::TransferEncoding,
        });
        self.seen.add_chunked();
    }
}

#[inline(always)]
fn value_of(field: &FieldSpan) -> Span {
    Span {
        start: field.value_start,
        len: field.value_len,
    }
}

const CRUMB_SEPARATOR: &[u8] = b"; ";

// Fields that are added are spelled as those that are received.
const HOST: &[u8] = b"host";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";
const CHUNKED: &[u8] = b"chunked";
