//! What the tests of heads share: one place that touches the parser.
#![allow(dead_code, reason = "each test file uses a part")]

use tidegate_httpapi::{FieldSpan, Fields, RequestLimits};
use tidegate_proto::http1::{Parsed, ParsedHead, PartialLine, Reject, parse_head};

/// A head that was accepted, with its fields.
pub(crate) struct Accepted {
    pub(crate) bytes: Vec<u8>,
    pub(crate) head: ParsedHead,
    pub(crate) spans: Vec<FieldSpan>,
}

impl Accepted {
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let value = Fields::new(&self.bytes, &self.spans).value(name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    pub(crate) fn host(&self) -> Option<&str> {
        self.head.host.map(|host| text(host.of(&self.bytes)))
    }

    pub(crate) fn path(&self) -> &str {
        text(self.head.line.path.of(&self.bytes))
    }

    pub(crate) fn query(&self) -> Option<&str> {
        let query = self.head.line.query?;
        Some(text(query.of(&self.bytes)))
    }

    pub(crate) fn target(&self) -> &str {
        text(self.head.line.target.of(&self.bytes))
    }

    pub(crate) fn method(&self) -> &str {
        text(self.head.line.method.of(&self.bytes))
    }
}

pub(crate) fn limits() -> RequestLimits {
    RequestLimits::default()
}

/// Parses a head that must be accepted under these limits.
pub(crate) fn accept_within(bytes: impl AsRef<[u8]>, limits: &RequestLimits) -> Accepted {
    let bytes = bytes.as_ref();
    let mut spans = Vec::new();
    match parse_head(bytes, limits, &mut spans) {
        Parsed::Head(head) => Accepted {
            bytes: bytes.to_vec(),
            head,
            spans,
        },
        other => panic!("{}: {other:?}", show(bytes)),
    }
}

/// Parses a head that must be accepted.
pub(crate) fn accept(bytes: impl AsRef<[u8]>) -> Accepted {
    accept_within(bytes, &limits())
}

/// Parses a head that must be refused under these limits, whole, and says why.
pub(crate) fn refuse_within(
    bytes: impl AsRef<[u8]>,
    limits: &RequestLimits,
) -> (Reject, PartialLine) {
    match parse_head(bytes.as_ref(), limits, &mut Vec::new()) {
        Parsed::Reject { reason, seen } => (reason, seen),
        other => panic!("{}: {other:?}", show(bytes.as_ref())),
    }
}

/// Parses a head that must be refused, and says why.
pub(crate) fn refuse(bytes: impl AsRef<[u8]>) -> Reject {
    refuse_within(bytes, &limits()).0
}

/// Checks that a head is refused for this rule, with this status and this reason in the error log.
#[track_caller]
pub(crate) fn check_refused(bytes: impl AsRef<[u8]>, reason: Reject, status: u16, log: &str) {
    let found = refuse(bytes.as_ref());
    assert_eq!(found, reason, "{}", show(bytes.as_ref()));
    assert_eq!((found.status(), found.reason()), (status, log));
}

/// `GET` of this target.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// `GET` with these field lines besides `Host`.
pub(crate) fn with_fields(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
}

/// `POST` with these field lines besides `Host`.
pub(crate) fn post_with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
}

pub(crate) fn show(bytes: &[u8]) -> String {
    let end = bytes.len().min(300);
    format!("{:?}", String::from_utf8_lossy(&bytes[..end]))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("parts of a head are ASCII, or the test gave UTF-8")
}
