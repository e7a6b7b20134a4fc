//! The conditional fields of a request, any bytes, and any validators: no panic; only outcomes that the
//! method can have; a strong match is a weak one; a range only where nothing speaks against it.
//!
//! The input: a line with the method's first letter and the number of the second, a line with the
//! representation's entity tag, then field lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::{FieldSpan, Fields, KnownField};
use tidegate_proto::conditional::{
    Answer, EntityTag, Outcome, Preconditions, Validators, parse_date,
};
use tidegate_proto::http1::format_date;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let (Some(first), Some(etag)) = (lines.next(), lines.next()) else {
        return;
    };
    let method = match first.first() {
        Some(b'G') => "GET",
        Some(b'H') => "HEAD",
        Some(b'O') => "OPTIONS",
        _ => "PUT",
    };
    let last_modified = parse_date(first.get(1..).unwrap_or_default());
    if let Some(seconds) = last_modified {
        assert_eq!(parse_date(&format_date(seconds)), Some(seconds));
    }
    let (memory, spans) = spans(lines);
    let fields = Fields::new(&memory, &spans);
    let found = Preconditions::of(&fields);
    for etag in [Some(etag), None] {
        for last_modified in [last_modified, None] {
            for now in [0, u64::MAX] {
                let validators = Validators {
                    etag,
                    last_modified,
                    now,
                };
                check(&found, method, &validators, &fields);
            }
        }
    }
    check_tags(etag, &fields);
});

fn check(
    found: &Preconditions<'_>,
    method: &str,
    validators: &Validators<'_>,
    fields: &Fields<'_>,
) {
    let outcome = found.evaluate(method, validators);
    match outcome {
        Outcome::NotModified => assert!(matches!(method, "GET" | "HEAD")),
        Outcome::PreconditionFailed => assert_ne!(method, "OPTIONS"),
        Outcome::Proceed => {}
    }
    if outcome != Outcome::Proceed {
        assert!(!found.is_empty());
    }
    if found.is_empty() {
        assert_eq!(outcome, Outcome::Proceed);
        assert_eq!(fields.value("range"), None);
    }
    let range = found.range(method, validators);
    if let Some(range) = range {
        assert_eq!(method, "GET");
        assert_eq!(fields.value("Range").as_deref(), Some(range));
        if let Some(condition) = fields.value("If-Range") {
            let is_tag = validators.etag == Some(&condition[..]);
            let date = parse_date(&condition);
            let is_date = date.is_some() && date == validators.last_modified;
            assert!(is_tag || (is_date && validators.now > 0));
        }
    }
    match found.select(method, validators, 1000) {
        Answer::NotModified => assert_eq!(outcome, Outcome::NotModified),
        Answer::PreconditionFailed => assert_eq!(outcome, Outcome::PreconditionFailed),
        Answer::Content(_) => assert_eq!(outcome, Outcome::Proceed),
    }
}

/// What is read of a list of tags is read the same when it is written anew.
fn check_tags(etag: &[u8], fields: &Fields<'_>) {
    let current = EntityTag::parse(etag);
    for field in fields.iter() {
        let tags: Vec<_> = EntityTag::list(field.value).collect();
        let mut written = Vec::new();
        for tag in &tags {
            written.extend_from_slice(if tag.is_weak { b", W/\"" } else { b", \"" });
            written.extend_from_slice(tag.opaque);
            written.push(b'"');
            if let Some(current) = current {
                assert!(!tag.matches_strongly(current) || tag.matches_weakly(current));
            }
        }
        assert!(EntityTag::list(&written).eq(tags.iter().copied()));
    }
}

/// Field lines, each divided at its colon.
fn spans<'a>(lines: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<FieldSpan>) {
    let (mut memory, mut spans) = (Vec::new(), Vec::new());
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let start = memory.len() as u32;
        let Ok(name_len) = u16::try_from(name.len()) else {
            continue;
        };
        spans.push(FieldSpan {
            name_start: start,
            value_start: start + u32::from(name_len),
            value_len: value.len() as u32,
            name_len,
            known: KnownField::of(name),
        });
        memory.extend_from_slice(name);
        memory.extend_from_slice(value);
    }
    (memory, spans)
}
