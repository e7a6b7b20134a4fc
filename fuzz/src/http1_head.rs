//! A request's head, any bytes: no panic, every part inside the head, the same answer for every split,
//! and an accepted head written again in the plainest form is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::{FieldSpan, Fields, KnownField, RequestLimits, Span};
use tidegate_proto::http1::{
    Parsed, ParsedHead, cook_path, parse_authority, parse_head, worth_parsing,
};

fuzz_target!(|bytes: &[u8]| {
    let mut tight = RequestLimits::default();
    tight.field_bytes_max = 64;
    tight.head_bytes_max = 256;
    tight.segment_chars_max = 8;
    tight.segments_max = 4;
    tight.allow_non_utf8 = false;
    tight.percent_u_allowed = false;
    for limits in [RequestLimits::default(), tight] {
        check(bytes, &limits);
    }
});

fn check(bytes: &[u8], limits: &RequestLimits) {
    let mut spans = Vec::new();
    let whole = parse_head(bytes, limits, &mut spans);
    check_beginnings(bytes, limits, &describe(&whole, &spans));
    match &whole {
        Parsed::Incomplete => assert!(bytes.len() < limits.head_bytes_max as usize),
        Parsed::Reject { reason, seen } => {
            assert!((400..=505).contains(&reason.status()));
            assert!(!reason.reason().is_empty() && !reason.detail().is_empty());
            for span in [seen.method, seen.target, seen.version] {
                let _ = span.map(|span| span.of(bytes));
            }
        }
        Parsed::Head(head) => check_accepted(&bytes[..head.head_bytes], head, &spans, limits),
    }
}

/// A beginning gets no answer or the final one; a connection that asks only when it is worth it gets
/// the final one, too.
fn check_beginnings(bytes: &[u8], limits: &RequestLimits, whole: &Option<String>) {
    let mut spans = Vec::new();
    let mut seen = 0;
    let mut gated = None;
    let step = 1 + bytes.len() / 64;
    for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
        let view = &bytes[..end];
        let answer = describe(&parse_head(view, limits, &mut spans), &spans);
        assert!(answer.is_none() || answer == *whole, "at {end}");
        if gated.is_none() && worth_parsing(view, seen, limits) {
            gated = answer;
            seen = end;
        }
    }
    let is_head = whole
        .as_ref()
        .is_some_and(|whole| whole.starts_with("Head"));
    assert!(gated == *whole || (gated.is_none() && !is_head));
}

fn describe(parsed: &Parsed, spans: &[FieldSpan]) -> Option<String> {
    match parsed {
        Parsed::Incomplete => None,
        Parsed::Head(head) => Some(format!("Head {head:?} {spans:?}")),
        Parsed::Reject { reason, .. } => Some(format!("{reason:?}")),
    }
}

fn check_accepted(bytes: &[u8], head: &ParsedHead, spans: &[FieldSpan], limits: &RequestLimits) {
    assert!(bytes.ends_with(b"\r\n\r\n") && bytes.len() <= limits.head_bytes_max as usize);
    let line = &head.line;
    let parts = [
        Some(line.method),
        Some(line.target),
        Some(line.path),
        line.authority,
        line.query,
        head.host,
    ];
    for span in parts.into_iter().flatten() {
        assert!(
            !span
                .of(bytes)
                .iter()
                .any(|byte| byte.is_ascii_control() || *byte == b' ')
        );
    }
    let fields = Fields::new(bytes, spans);
    for field in fields.iter() {
        assert!(!field.name.is_empty());
        assert_eq!(field.value, field.value.trim_ascii());
        assert!(
            !field
                .value
                .iter()
                .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        );
    }
    let hosts = spans
        .iter()
        .filter(|span| span.known == KnownField::Host)
        .count();
    assert!(hosts <= 1);
    if let Some(host) = head.host {
        assert!(parse_authority(host.of(bytes)).is_ok());
    }
    check_path(line.path.of(bytes), head, limits);
    check_written_again(bytes, head, spans, limits);
}

fn check_path(path: &[u8], head: &ParsedHead, limits: &RequestLimits) {
    let mut cooked = String::new();
    let result = cook_path(path, limits, &mut cooked);
    if head.path_is_plain && !head.asterisk {
        assert_eq!((result, cooked.as_bytes()), (Ok(()), path));
    }
    if result.is_ok() {
        assert!(cooked.starts_with('/') && !cooked.contains("//") && !cooked.contains('\\'));
        assert!(
            !cooked
                .split('/')
                .any(|segment| matches!(segment, "." | ".."))
        );
    }
}

/// Writes the head anew from its parts, and reads that.
fn check_written_again(
    bytes: &[u8],
    head: &ParsedHead,
    spans: &[FieldSpan],
    limits: &RequestLimits,
) {
    let mut again = Vec::new();
    again.extend_from_slice(head.line.method.of(bytes));
    again.push(b' ');
    again.extend_from_slice(head.line.target.of(bytes));
    again.push(b' ');
    again.extend_from_slice(head.line.version.as_str().as_bytes());
    again.extend_from_slice(b"\r\n");
    for field in Fields::new(bytes, spans).iter() {
        again.extend_from_slice(field.name.as_bytes());
        again.extend_from_slice(b": ");
        again.extend_from_slice(field.value);
        again.extend_from_slice(b"\r\n");
    }
    again.extend_from_slice(b"\r\n");
    let mut roomy = limits.clone();
    // A blank more for each field.
    roomy.field_bytes_max += 1;
    roomy.head_bytes_max += spans.len() as u32;
    let mut spans_again = Vec::new();
    let Parsed::Head(read) = parse_head(&again, &roomy, &mut spans_again) else {
        panic!("{:?}", String::from_utf8_lossy(&again));
    };
    assert_eq!(read.head_bytes, again.len());
    let part = |bytes: &[u8], span: Option<Span>| span.map(|span| span.of(bytes).to_vec());
    for (before, after) in [
        (Some(head.line.path), Some(read.line.path)),
        (head.line.query, read.line.query),
        (head.line.authority, read.line.authority),
        (head.host, read.host),
    ] {
        assert_eq!(part(bytes, before), part(&again, after));
    }
    let facts = |head: &ParsedHead| {
        let flags = [
            head.expects_continue,
            head.close,
            head.upgrade,
            head.head_request,
            head.asterisk,
        ];
        (head.line.version, head.framing, flags, head.path_is_plain)
    };
    assert_eq!(facts(&read), facts(head));
    let known = |spans: &[FieldSpan]| spans.iter().map(|span| span.known).collect::<Vec<_>>();
    assert_eq!(known(&spans_again), known(spans));
}
