use tidegate_httpapi::{FieldSpan, KnownField};

use super::Outcome::{NotModified, PreconditionFailed, Proceed};
use super::*;
use crate::range::ByteRange;

/// A second after `LAST`, and the dates around it.
const LAST: u64 = 784_111_777;
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const SAME_OLD: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
const SAME_OLDER: &str = "Sun Nov  6 08:49:37 1994";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

const BOTH: Validators<'_> = Validators {
    etag: Some(b"\"a\""),
    last_modified: Some(LAST),
    now: LAST + 1,
};
const WEAK: Validators<'_> = Validators {
    etag: Some(b"W/\"a\""),
    ..BOTH
};
const NEITHER: Validators<'_> = Validators {
    etag: None,
    last_modified: None,
    now: LAST + 1,
};

/// Calls `look` with what a request with these fields has.
fn with<T>(fields: &[(&str, &str)], look: impl FnOnce(Preconditions<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    let mut spans = Vec::new();
    for (name, value) in fields {
        spans.push(FieldSpan {
            name_start: bytes.len() as u32,
            value_start: (bytes.len() + name.len()) as u32,
            value_len: value.len() as u32,
            name_len: name.len() as u16,
            known: KnownField::of(name.as_bytes()),
        });
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    look(Preconditions::of(&Fields::new(&bytes, &spans)))
}

fn check(method: &str, validators: &Validators<'_>, fields: &[(&str, &str)], expected: Outcome) {
    let outcome = with(fields, |preconditions| {
        preconditions.evaluate(method, validators)
    });
    assert_eq!(outcome, expected, "{method} {fields:?} {validators:?}");
}

fn applies(method: &str, validators: &Validators<'_>, fields: &[(&str, &str)]) -> bool {
    with(fields, |preconditions| {
        preconditions.range(method, validators).is_some()
    })
}

#[test]
fn without_conditions_all_goes_on() {
    for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
        check(method, &BOTH, &[("Host", "a"), ("If", "b")], Proceed);
    }
    with(&[("Host", "a"), ("If-Range", "\"a\"")], |preconditions| {
        assert!(preconditions.is_empty());
    });
    for name in [
        "if-match",
        "IF-NONE-MATCH",
        "If-Modified-Since",
        "If-Unmodified-Since",
        "Range",
    ] {
        with(&[(name, "x")], |preconditions| {
            assert!(!preconditions.is_empty(), "{name}");
        });
    }
}

// RFC 9110 §13.1.2.
#[test]
fn if_none_match_compares_weakly() {
    for (value, validators, is_same) in [
        ("\"a\"", &BOTH, true),
        ("W/\"a\"", &BOTH, true),
        ("\"a\"", &WEAK, true),
        ("W/\"a\"", &WEAK, true),
        ("\"x\", \"a\"", &BOTH, true),
        (", \"x\",, W/\"a\"", &BOTH, true),
        ("*", &BOTH, true),
        ("*", &NEITHER, true),
        ("\"*\"", &BOTH, false),
        ("*, \"b\"", &BOTH, false),
        ("\"b\"", &BOTH, false),
        ("\"A\"", &BOTH, false),
        ("a", &BOTH, false),
        ("", &BOTH, false),
        ("\"a\"", &NEITHER, false),
    ] {
        let fields = [("If-None-Match", value)];
        for method in ["GET", "HEAD"] {
            let expected = if is_same { NotModified } else { Proceed };
            check(method, validators, &fields, expected);
        }
        for method in ["POST", "PUT", "DELETE", "get"] {
            let expected = if is_same { PreconditionFailed } else { Proceed };
            check(method, validators, &fields, expected);
        }
    }
    let lines = [("If-None-Match", "\"x\""), ("if-none-match", "\"a\"")];
    check("GET", &BOTH, &lines, NotModified);
}

// RFC 9110 §13.1.1.
#[test]
fn if_match_compares_strongly() {
    for (value, validators, expected) in [
        ("\"a\"", &BOTH, Proceed),
        ("\"x\",\"a\"", &BOTH, Proceed),
        ("*", &BOTH, Proceed),
        ("*", &NEITHER, Proceed),
        ("W/\"a\"", &BOTH, PreconditionFailed),
        ("\"a\"", &WEAK, PreconditionFailed),
        ("W/\"a\"", &WEAK, PreconditionFailed),
        ("\"b\"", &BOTH, PreconditionFailed),
        ("a", &BOTH, PreconditionFailed),
        ("", &BOTH, PreconditionFailed),
        ("\"a\"", &NEITHER, PreconditionFailed),
    ] {
        for method in ["GET", "HEAD", "PUT"] {
            check(method, validators, &[("If-Match", value)], expected);
        }
    }
}

// RFC 9110 §13.1.3 and §13.1.4.
#[test]
fn dates_compare_by_the_second() {
    for (date, since, unmodified) in [
        (BEFORE, Proceed, PreconditionFailed),
        (SAME, NotModified, Proceed),
        (SAME_OLD, NotModified, Proceed),
        (SAME_OLDER, NotModified, Proceed),
        (AFTER, NotModified, Proceed),
        ("a day", Proceed, Proceed),
        ("", Proceed, Proceed),
    ] {
        for method in ["GET", "HEAD"] {
            check(method, &BOTH, &[("If-Modified-Since", date)], since);
        }
        check("POST", &BOTH, &[("If-Modified-Since", date)], Proceed);
        for method in ["GET", "POST"] {
            check(method, &BOTH, &[("If-Unmodified-Since", date)], unmodified);
            check(method, &NEITHER, &[("If-Unmodified-Since", date)], Proceed);
        }
        check("GET", &NEITHER, &[("If-Modified-Since", date)], Proceed);
    }
    let since = ("If-Modified-Since", SAME);
    check("GET", &BOTH, &[since, since], Proceed);
    let unmodified = ("If-Unmodified-Since", BEFORE);
    check("GET", &BOTH, &[unmodified, unmodified], Proceed);
}

// RFC 9110 §13.2.2.
#[test]
fn entity_tags_come_before_dates_and_failures_before_304() {
    for (fields, expected) in [
        (
            [("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)],
            Proceed,
        ),
        (
            [("If-Match", "\"b\""), ("If-Unmodified-Since", AFTER)],
            PreconditionFailed,
        ),
        (
            [("If-None-Match", "\"b\""), ("If-Modified-Since", AFTER)],
            Proceed,
        ),
        (
            [("If-None-Match", "\"a\""), ("If-Modified-Since", BEFORE)],
            NotModified,
        ),
        (
            [("If-None-Match", "\"a\""), ("If-Match", "\"b\"")],
            PreconditionFailed,
        ),
        (
            [("If-None-Match", "\"a\""), ("If-Match", "\"a\"")],
            NotModified,
        ),
        (
            [("If-Modified-Since", AFTER), ("If-Unmodified-Since", AFTER)],
            NotModified,
        ),
    ] {
        check("GET", &BOTH, &fields, expected);
    }
    let all = [("If-Match", "\"b\""), ("If-None-Match", "*")];
    for method in ["OPTIONS", "CONNECT", "TRACE"] {
        check(method, &BOTH, &all, Proceed);
    }
}

// RFC 9110 §13.1.5.
#[test]
fn a_range_applies_when_its_condition_is_strong() {
    let range = ("Range", "bytes=0-0");
    assert!(applies("GET", &BOTH, &[range]));
    for method in ["HEAD", "POST", "get"] {
        assert!(!applies(method, &BOTH, &[range]), "{method}");
    }
    assert!(!applies("GET", &BOTH, &[range, range]));
    assert!(!applies("GET", &BOTH, &[("If-Range", "\"a\"")]));
    let this_second = Validators { now: LAST, ..BOTH };
    for (value, validators, expected) in [
        ("\"a\"", &BOTH, true),
        ("W/\"a\"", &BOTH, false),
        ("\"a\"", &WEAK, false),
        ("\"b\"", &BOTH, false),
        ("\"a\", \"b\"", &BOTH, false),
        ("*", &BOTH, false),
        ("a", &BOTH, false),
        ("", &BOTH, false),
        (SAME, &BOTH, true),
        (SAME_OLD, &BOTH, true),
        (SAME_OLDER, &BOTH, true),
        (SAME, &this_second, false),
        (BEFORE, &BOTH, false),
        (AFTER, &BOTH, false),
        (SAME, &NEITHER, false),
        ("\"a\"", &NEITHER, false),
    ] {
        let fields = [range, ("If-Range", value)];
        assert_eq!(applies("GET", validators, &fields), expected, "{value}");
    }
    let twice = [range, ("If-Range", "\"a\""), ("If-Range", "\"a\"")];
    assert!(!applies("GET", &BOTH, &twice));
}

#[test]
fn conditions_come_before_ranges() {
    let select = |fields: &[(&str, &str)]| {
        with(fields, |preconditions| {
            preconditions.select("GET", &BOTH, 10)
        })
    };
    let range = ("Range", "bytes=2-3");
    let part = Selection::Single(ByteRange { first: 2, last: 3 });
    for (fields, expected) in [
        (vec![], Answer::Content(Selection::Whole)),
        (vec![range], Answer::Content(part.clone())),
        (vec![range, ("If-None-Match", "\"a\"")], Answer::NotModified),
        (
            vec![range, ("If-Match", "\"b\"")],
            Answer::PreconditionFailed,
        ),
        (
            vec![range, ("If-Match", "\"a\""), ("If-Range", "\"a\"")],
            Answer::Content(part),
        ),
        (
            vec![("Range", "bytes=10-"), ("If-Range", "\"b\"")],
            Answer::Content(Selection::Whole),
        ),
        (
            vec![("Range", "bytes=10-"), ("If-Range", "\"a\"")],
            Answer::Content(Selection::Unsatisfiable),
        ),
    ] {
        assert_eq!(select(&fields), expected, "{fields:?}");
    }
}
