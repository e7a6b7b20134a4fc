//! Requests: what is malformed, what is refused, and what HTTP/1 makes of the same.

mod malformed;
mod same_as_http1;
mod whole;

use tidegate_httpapi::{FieldSpan, Fields, RequestLimits};

use super::{Bad, Head, build, list_limits};
use crate::http1::Reject;
use crate::http2::hpack::{Decoder, HeaderList};

/// A name and a value.
type Pair<'a> = (&'a str, &'a str);

/// What most requests begin with.
const GET: [Pair<'_>; 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "h"),
    (":path", "/"),
];

/// How a request is read.
#[derive(Clone)]
struct Case {
    ended: bool,
    extended_connect: bool,
    limits: RequestLimits,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            ended: true,
            extended_connect: true,
            limits: RequestLimits::default(),
        }
    }
}

impl Case {
    fn read(&self, fields: &[Pair<'_>]) -> Result<Head, Bad> {
        let mut head = Head::default();
        self.read_into(fields, &mut head).map(|()| head)
    }

    fn read_into(&self, fields: &[Pair<'_>], head: &mut Head) -> Result<(), Bad> {
        build(
            &decode(fields, &self.limits),
            self.ended,
            self.extended_connect,
            &self.limits,
            head,
        )
    }
}

/// Reads a request without content that must be right.
#[track_caller]
fn accept(fields: &[Pair<'_>]) -> Head {
    Case::default().read(fields).unwrap()
}

#[track_caller]
fn check_malformed(fields: &[Pair<'_>]) {
    let found = Case::default().read(fields);
    assert!(
        matches!(found, Err(Bad::Malformed(_))),
        "{fields:?}: {found:?}"
    );
}

#[track_caller]
fn check_refused(fields: &[Pair<'_>], reason: Reject) {
    let found = Case::default().read(fields);
    assert_eq!(found.map(|_| ()), Err(Bad::Reject(reason)), "{fields:?}");
}

/// The usual request with these fields.
fn get_with<'a>(fields: &[Pair<'a>]) -> Vec<Pair<'a>> {
    [&GET, fields].concat()
}

/// The usual request, but for one pseudo-header.
fn get_but<'a>(name: &str, value: &'a str) -> Vec<Pair<'a>> {
    let changed = GET.map(|pair| {
        if pair.0 == name {
            (pair.0, value)
        } else {
            pair
        }
    });
    changed.to_vec()
}

/// The usual request without one pseudo-header.
fn get_without(name: &str) -> Vec<Pair<'static>> {
    let mut fields = GET.to_vec();
    fields.retain(|pair| pair.0 != name);
    fields
}

fn decode(fields: &[Pair<'_>], limits: &RequestLimits) -> HeaderList {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        literal(&mut block, name.as_bytes());
        literal(&mut block, value.as_bytes());
    }
    let mut list = HeaderList::new(list_limits(limits));
    Decoder::new(4096).decode(&block, &mut list).unwrap();
    list
}

/// A string without the Huffman code. RFC 7541 §5.2.
fn literal(block: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        block.push(rest as u8);
    } else {
        block.push(127);
        rest -= 127;
        while rest >= 128 {
            block.push(rest as u8 | 128);
            rest >>= 7;
        }
        block.push(rest as u8);
    }
    block.extend_from_slice(text);
}

fn pairs(bytes: &[u8], spans: &[FieldSpan]) -> Vec<(String, String)> {
    Fields::new(bytes, spans)
        .iter()
        .map(|field| {
            let value = String::from_utf8_lossy(field.value).into_owned();
            (field.name.to_lowercase(), value)
        })
        .collect()
}

impl Head {
    fn pairs(&self) -> Vec<(String, String)> {
        pairs(&self.bytes, &self.spans)
    }

    fn field(&self, name: &str) -> Option<String> {
        let value = Fields::new(&self.bytes, &self.spans).value(name)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    fn text(&self, span: tidegate_httpapi::Span) -> &str {
        std::str::from_utf8(span.of(&self.bytes)).unwrap()
    }
}
