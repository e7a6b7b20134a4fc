//! The header fields of a handshake's request, read anew when asked for: a connection keeps their
//! bytes only.
//!
//! Of an upgrade of HTTP/1.1 these are the head as received, else the target and a line for each field.

use std::borrow::Cow;
use std::fmt;

use tidegate_httpapi::{FieldSpan, Fields, KnownField, RequestHead, RequestLimits, Span};
use tidegate_proto::http1::{Parsed, parse_head};

use super::transport::Transport;

/// What is kept of a handshake's request.
pub(super) struct KeptHead {
    bytes: Box<[u8]>,
    target: Span,
}

impl KeptHead {
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        if Transport::of(head.version()) == Transport::Rfc6455 {
            return Self {
                bytes: head.bytes.into(),
                target: head.line.target,
            };
        }
        Self::in_lines(head, head.target())
    }

    /// With this in place of its target.
    pub(super) fn in_lines(head: &RequestHead<'_>, target: &[u8]) -> Self {
        let mut bytes = target.to_vec();
        bytes.extend_from_slice(b"\r\n");
        for field in head.fields.iter() {
            // Neither name nor value has a line end: a backend gives no others.
            bytes.extend_from_slice(field.name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(field.value);
            bytes.extend_from_slice(b"\r\n");
        }
        Self {
            target: Span {
                start: 0,
                len: target.len() as u32,
            },
            bytes: bytes.into(),
        }
    }

    #[inline]
    pub(super) fn target(&self) -> &[u8] {
        self.target.of(&self.bytes)
    }
}

/// The header fields that a WebSocket handshake came with.
pub struct RequestHeaders {
    bytes: Box<[u8]>,
    spans: Vec<FieldSpan>,
}

impl RequestHeaders {
    pub(super) fn parse(head: &KeptHead, transport: Transport) -> Self {
        Self {
            spans: match transport {
                Transport::Rfc6455 => received_spans(&head.bytes),
                Transport::Rfc8441 | Transport::ServerSentEvents => line_spans(&head.bytes),
            },
            bytes: head.bytes.clone(),
        }
    }

    /// All field lines, in the order received.
    pub fn fields(&self) -> Fields<'_> {
        Fields::new(&self.bytes, &self.spans)
    }

    /// The value of the field `name`, whatever its letter case; several lines are joined with `, `.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(match self.fields().value(name)? {
            Cow::Borrowed(value) => String::from_utf8_lossy(value),
            Cow::Owned(value) => String::from_utf8_lossy(&value).into_owned().into(),
        })
    }
}

impl fmt::Debug for RequestHeaders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(formatter)
    }
}

/// The fields of a head as HTTP/1.1 has it.
fn received_spans(head: &[u8]) -> Vec<FieldSpan> {
    let mut limits = RequestLimits::default();
    // It was within the limits of its time, which may have been changed.
    limits.head_bytes_max = u32::MAX;
    limits.field_bytes_max = u32::MAX;
    let mut spans = Vec::new();
    if !matches!(parse_head(head, &limits, &mut spans), Parsed::Head(_)) {
        spans.clear();
    }
    spans
}

/// The fields of what [`KeptHead::of`] made: each a line, after the target's.
fn line_spans(bytes: &[u8]) -> Vec<FieldSpan> {
    let mut start = 0;
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').map(|line| {
        let line_start = start;
        start += line.len();
        (line_start, line.strip_suffix(b"\r\n").unwrap_or(line))
    });
    lines
        .skip(1)
        .filter_map(|(start, line)| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let value = line[colon..].strip_prefix(b": ")?;
            Some(FieldSpan {
                name_start: start as u32,
                name_len: colon as u16,
                value_start: (start + line.len() - value.len()) as u32,
                value_len: value.len() as u32,
                known: KnownField::of(&line[..colon]),
            })
        })
        .collect()
}
