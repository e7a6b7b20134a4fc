//! The pseudo-headers of a request: which there must be, which there may be, and what they may say.
//!
//! Source: RFC 9113 §8.3, RFC 8441 §4.

use tidegate_httpapi::{RequestLine, Span};

use super::Bad;
use crate::http1::{Authority, HostKind, is_token, parse_authority};
use crate::http2::hpack::{HeaderField, Token};

/// Where the values of the pseudo-headers are.
#[derive(Default)]
pub(super) struct Pseudo {
    method: Option<Span>,
    scheme: Option<Span>,
    pub(super) authority: Option<Span>,
    pub(super) path: Option<Span>,
    pub(super) protocol: Option<Span>,
}

impl Pseudo {
    /// Takes the pseudo-headers that `fields` begin with. Returns the others, too.
    #[inline]
    pub(super) fn take(fields: &[HeaderField]) -> Result<(Self, &[HeaderField]), Bad> {
        let mut pseudo = Self::default();
        let mut rest = fields;
        while let Some((field, after)) = rest.split_first() {
            let part = match field.token {
                Token::Field(_) => break,
                Token::Method => &mut pseudo.method,
                Token::Scheme => &mut pseudo.scheme,
                Token::Authority => &mut pseudo.authority,
                Token::Path => &mut pseudo.path,
                Token::Protocol => &mut pseudo.protocol,
                Token::Status => return Err(Bad::Malformed(":status in a request")),
            };
            let value = Span {
                start: field.value_start,
                len: field.value_len,
            };
            if part.replace(value).is_some() {
                return Err(Bad::Malformed("repeated pseudo-header"));
            }
            rest = after;
        }
        Ok((pseudo, rest))
    }

    /// Fills in where the parts of the request line are; of the target, only the whole.
    #[inline]
    pub(super) fn fill(&self, line: &mut RequestLine) {
        line.method = self.method.unwrap_or_default();
        line.target = self.path.or(self.authority).unwrap_or_default();
        line.authority = self.authority;
        line.protocol = self.protocol;
    }

    /// Checks that those are there that must be, and no others.
    #[inline]
    pub(super) fn check(&self, bytes: &[u8], extended_connect: bool) -> Result<(), Bad> {
        let has_text = |part: Option<Span>| part.is_some_and(|span| span.len != 0);
        let Some(method) = self.method.filter(|method| method.len != 0) else {
            return Err(Bad::Malformed("no :method"));
        };
        let is_connect = method.of(bytes) == b"CONNECT";
        if is_connect || self.protocol.is_some() {
            self.check_connect(bytes, is_connect, extended_connect)?;
            if self.protocol.is_none() {
                return Ok(());
            }
        }
        if !has_text(self.path) {
            return Err(Bad::Malformed("no :path"));
        }
        match self.default_port(bytes) {
            Some(_) => Ok(()),
            None => Err(Bad::Malformed("no :scheme, or none of HTTP")),
        }
    }

    /// RFC 9113 §8.5, RFC 8441 §4.
    #[cold]
    #[inline(never)]
    fn check_connect(
        &self,
        bytes: &[u8],
        is_connect: bool,
        extended_connect: bool,
    ) -> Result<(), Bad> {
        if let Some(protocol) = self.protocol
            && !(is_connect && extended_connect && is_token(protocol.of(bytes)))
        {
            return Err(Bad::Malformed("unexpected or malformed :protocol"));
        }
        if self.authority.is_none() {
            return Err(Bad::Malformed("CONNECT without :authority"));
        }
        if self.protocol.is_none() && (self.scheme.is_some() || self.path.is_some()) {
            return Err(Bad::Malformed("CONNECT with :scheme or :path"));
        }
        Ok(())
    }

    /// Checks that a `Host` field names the same as `:authority`, if there is one. RFC 9113 §8.3.1.
    pub(super) fn check_host(&self, bytes: &[u8], host: Span) -> Result<(), Bad> {
        let Some(authority) = self.authority else {
            return Ok(());
        };
        let (authority, host) = (authority.of(bytes), host.of(bytes));
        if authority == host || self.is_same(bytes, authority, host) {
            return Ok(());
        }
        Err(Bad::Malformed("host and :authority differ"))
    }

    fn is_same(&self, bytes: &[u8], authority: &[u8], host: &[u8]) -> bool {
        let (Ok(authority), Ok(host)) = (parse_authority(authority), parse_authority(host)) else {
            return false;
        };
        let port = |of: &Authority<'_>| of.port.or(self.default_port(bytes));
        let is_same_host = match (authority.kind, host.kind) {
            (HostKind::Name, HostKind::Name) => authority.host.eq_ignore_ascii_case(host.host),
            (authority, host) => authority == host,
        };
        is_same_host && port(&authority) == port(&host)
    }

    /// The port of a URL that names none; `None`: the scheme is none of HTTP's.
    #[inline]
    fn default_port(&self, bytes: &[u8]) -> Option<u16> {
        match self.scheme?.of(bytes) {
            b"https" => Some(443),
            b"http" => Some(80),
            // RFC 3986 §3.1: in any letter case.
            other if other.eq_ignore_ascii_case(b"https") => Some(443),
            other if other.eq_ignore_ascii_case(b"http") => Some(80),
            _ => None,
        }
    }

    /// How long the request line would be in HTTP/1, and the empty line behind the fields.
    #[inline]
    pub(super) fn line_bytes(&self) -> usize {
        let len = |part: Option<Span>| part.map_or(0, |span| span.len as usize);
        len(self.method) + len(self.path) + b"  HTTP/1.1\r\n\r\n".len()
    }
}
