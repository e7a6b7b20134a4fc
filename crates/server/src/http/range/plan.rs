//! Decides how much of a representation is sent, and writes the fields that go with it.
//!
//! Source: RFC 9110 §13.2, §14 and §15.3.7, §15.4.5, §15.5.13, §15.5.17.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use tidegate_httpapi::{FieldBlock, RequestHead, ResponseHead};
use tidegate_proto::conditional::{Answer, Outcome, Preconditions, Validators, parse_date};
use tidegate_proto::range::{ByteRange, Multipart, Selection, content_range, unsatisfied_range};

/// How much is sent.
#[derive(Debug)]
pub(crate) enum Plan {
    /// All.
    Whole,
    /// None: 304, 412 or 416.
    Nothing,
    /// One part.
    Part(ByteRange),
    /// Several parts.
    Parts(Multipart),
}

/// Answers the conditions and ranges of `request` for a response that would have status 200 and these
/// fields, among them the validators. `complete_length` is the content's, in bytes; `None` where it
/// cannot be cut.
pub(crate) fn plan(
    request: &RequestHead<'_>,
    head: &mut ResponseHead,
    complete_length: Option<u64>,
) -> Plan {
    let accepts = head.fields.value("Accept-Ranges");
    let (is_said, is_none) = (accepts.is_some(), accepts == Some(b"none"));
    let complete_length = complete_length.filter(|_| !is_none);
    if !is_said && complete_length.is_some() {
        set(&mut head.fields, "Accept-Ranges", b"bytes");
    }
    let preconditions = Preconditions::of(&request.fields);
    let method = request.method();
    // What another method was to do has been done by now, if its conditions held or not: that was for
    // whoever did it to ask.
    if preconditions.is_empty() || !matches!(method, "GET" | "HEAD") {
        return Plan::Whole;
    }
    let validators = match preconditions.need_validators() {
        true => Validators {
            etag: head.fields.value("ETag"),
            last_modified: head.fields.value("Last-Modified").and_then(parse_date),
            now: now(),
        },
        false => Validators::default(),
    };
    let answer = match complete_length {
        Some(length) => preconditions.select(method, &validators, length),
        None => match preconditions.evaluate(method, &validators) {
            Outcome::Proceed => Answer::Content(Selection::Whole),
            Outcome::NotModified => Answer::NotModified,
            Outcome::PreconditionFailed => Answer::PreconditionFailed,
        },
    };
    let length = complete_length.unwrap_or_default();
    match answer {
        Answer::NotModified => not_modified(head),
        Answer::PreconditionFailed => refused(head, 412),
        Answer::Content(Selection::Whole) => Plan::Whole,
        Answer::Content(Selection::Unsatisfiable) => {
            refused(head, 416);
            let value = unsatisfied_range(length);
            set(&mut head.fields, "Content-Range", value.as_bytes());
            Plan::Nothing
        }
        Answer::Content(Selection::Single(range)) => {
            head.status = 206;
            let value = content_range(range, length);
            set(&mut head.fields, "Content-Range", value.as_bytes());
            Plan::Part(range)
        }
        Answer::Content(Selection::Several(ranges)) => several(head, &ranges, length),
    }
}

fn several(head: &mut ResponseHead, ranges: &[ByteRange], complete_length: u64) -> Plan {
    let content_type = head.fields.value("Content-Type");
    let multipart = Multipart::new(ranges, complete_length, content_type, boundary());
    // Without a sum that can be told, the whole is what is left.
    let Some(multipart) = multipart else {
        return Plan::Whole;
    };
    head.status = 206;
    let content_type = multipart.content_type();
    set(&mut head.fields, "Content-Type", content_type.as_bytes());
    Plan::Parts(multipart)
}

/// RFC 9110 §15.4.5: what a cache needs to know stays, what describes content that is not sent goes.
fn not_modified(head: &mut ResponseHead) -> Plan {
    head.status = 304;
    let has_etag = head.fields.value("ETag").is_some();
    for name in DESCRIBES_CONTENT {
        head.fields.remove(name);
    }
    if has_etag {
        head.fields.remove("Last-Modified");
    }
    Plan::Nothing
}

/// Answers with an error: what was said of the content, and how long it may be kept, does not hold for
/// this answer.
fn refused(head: &mut ResponseHead, status: u16) -> Plan {
    head.status = status;
    head.reason = None;
    for name in DESCRIBES_CONTENT.iter().chain(&HOLDS_FOR_CONTENT) {
        head.fields.remove(name);
    }
    Plan::Nothing
}

fn set(fields: &mut FieldBlock, name: &'static str, value: &[u8]) {
    let result = fields.set_static(name, value);
    debug_assert!(result.is_ok(), "{name} is made of numbers and constants");
}

fn now() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs()
}

/// A boundary that nobody can know beforehand: keys of the hasher are random.
fn boundary() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(SystemTime::now()));
    half() << 64 | half()
}

const DESCRIBES_CONTENT: [&str; 6] = [
    "Content-Type",
    "Content-Encoding",
    "Content-Language",
    "Content-Disposition",
    "Content-Length",
    "Accept-Ranges",
];

const HOLDS_FOR_CONTENT: [&str; 4] = ["ETag", "Last-Modified", "Cache-Control", "Expires"];
