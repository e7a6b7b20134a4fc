//! The header fields of a handshake's request, read anew when asked for: a connection keeps their
//! bytes only.

use std::borrow::Cow;
use std::fmt;

use tidegate_httpapi::{FieldSpan, Fields, RequestLimits};
use tidegate_proto::http1::{Parsed, parse_head};

/// The header fields that a WebSocket handshake came with.
pub struct RequestHeaders {
    bytes: Box<[u8]>,
    spans: Vec<FieldSpan>,
}

impl RequestHeaders {
    pub(super) fn parse(head: &[u8]) -> Self {
        let mut limits = RequestLimits::default();
        // It was within the limits of its time, which may have been changed.
        limits.head_bytes_max = u32::MAX;
        limits.field_bytes_max = u32::MAX;
        let mut spans = Vec::new();
        if !matches!(parse_head(head, &limits, &mut spans), Parsed::Head(_)) {
            spans.clear();
        }
        Self {
            bytes: head.into(),
            spans,
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
