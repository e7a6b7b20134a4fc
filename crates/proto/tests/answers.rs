//! Heads of responses that another server sends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tidegate_httpapi::{Fields, RequestLimits};
use tidegate_proto::http1::{AnswerFault, AnswerFraming, ParsedAnswer, Reject, parse_answer};

fn parse(bytes: &[u8], to_head: bool) -> Result<Option<ParsedAnswer>, AnswerFault> {
    parse_answer(
        bytes,
        0,
        to_head,
        &RequestLimits::default(),
        &mut Vec::new(),
    )
}

fn whole(text: &str) -> ParsedAnswer {
    parse(text.as_bytes(), false).unwrap().unwrap()
}

fn fault(text: &str) -> AnswerFault {
    parse(text.as_bytes(), false).unwrap_err()
}

#[test]
fn a_usual_head_is_read() {
    let text = "HTTP/1.1 404 Nothing Here\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nabcde";
    let mut spans = Vec::new();
    let limits = RequestLimits::default();
    let answer = parse_answer(text.as_bytes(), 0, false, &limits, &mut spans);
    let answer = answer.unwrap().unwrap();
    assert_eq!((answer.status, answer.close), (404, false));
    assert_eq!(answer.reason.of(text.as_bytes()), b"Nothing Here");
    assert_eq!(&text[answer.head_bytes..], "abcde");
    assert_eq!(answer.framing, AnswerFraming::Length(5));
    let fields = Fields::new(text.as_bytes(), &spans);
    assert_eq!(fields.value("x-a").as_deref(), Some(&b"b"[..]));
}

// RFC 9112 §6.3.
#[test]
fn the_framing_is_that_of_the_standard() {
    let cases = [
        ("200 OK\r\nContent-Length: 0\r\n", AnswerFraming::Length(0)),
        (
            "200 OK\r\nContent-Length: 7, 7\r\n",
            AnswerFraming::Length(7),
        ),
        (
            "200 OK\r\nTransfer-Encoding: Chunked\r\n",
            AnswerFraming::Chunked,
        ),
        ("200 OK\r\n", AnswerFraming::UntilClose),
        (
            "204 No Content\r\nContent-Length: 9\r\n",
            AnswerFraming::None,
        ),
        ("304 \r\nContent-Length: 9\r\n", AnswerFraming::None),
        ("103 Early Hints\r\n", AnswerFraming::None),
    ];
    for (text, framing) in cases {
        assert_eq!(
            whole(&format!("HTTP/1.1 {text}\r\n")).framing,
            framing,
            "{text}"
        );
    }
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(
        parse(text, true).unwrap().unwrap().framing,
        AnswerFraming::None
    );
}

#[test]
fn what_ends_the_connection_is_seen() {
    assert!(whole("HTTP/1.0 200 OK\r\n\r\n").close);
    assert!(whole("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n").close);
    assert!(!whole("HTTP/1.1 200\r\nConnection: keep-alive\r\n\r\n").close);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let cases = [
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            Reject::LengthAndTransferEncoding,
        ),
        (
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            Reject::LengthsDiffer,
        ),
        ("Content-Length: +1\r\n", Reject::LengthMalformed),
        (
            "Content-Length: 99999999999999999999\r\n",
            Reject::LengthTooLarge,
        ),
        (
            "Transfer-Encoding: gzip, chunked\r\n",
            Reject::TransferEncodingUnknown,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            Reject::TransferEncodingUnknown,
        ),
        ("Content-Length : 1\r\n", Reject::FieldName),
        (" Content-Length: 1\r\n", Reject::LineEnd),
        ("X: a\nContent-Length: 1\r\n", Reject::LineEnd),
        ("X: a\rb\r\n", Reject::LineEnd),
        ("X: a\0b\r\n", Reject::FieldValue),
    ];
    for (fields, rule) in cases {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert_eq!(fault(&text), AnswerFault::Rule(rule), "{fields:?}");
    }
    let text = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        fault(text),
        AnswerFault::Rule(Reject::TransferEncodingVersion)
    );
}

#[test]
fn what_is_no_status_line_is_refused() {
    for text in [
        "SSH-2.0-x\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 200 OK\n\r\n",
        "H\r\n",
    ] {
        assert_eq!(fault(text), AnswerFault::StatusLine, "{text:?}");
    }
}

#[test]
fn a_head_that_is_cut_is_incomplete_wherever_it_is_cut() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";
    for end in 0..text.len() {
        for seen in 0..=end {
            let limits = RequestLimits::default();
            let parsed = parse_answer(&text[..end], seen, false, &limits, &mut Vec::new());
            assert!(parsed.unwrap().is_none(), "{end} {seen}");
        }
        let limits = RequestLimits::default();
        let parsed = parse_answer(text, end, false, &limits, &mut Vec::new());
        assert!(parsed.unwrap().is_some(), "{end}");
    }
}

#[test]
fn a_head_without_end_is_refused_at_the_limit() {
    let mut text = b"HTTP/1.1 200 OK\r\n".to_vec();
    let limits = RequestLimits::default();
    while text.len() < limits.head_bytes_max as usize {
        assert!(parse(&text, false).unwrap().is_none());
        text.extend_from_slice(b"X-Field: of some length\r\n");
    }
    assert_eq!(
        parse(&text, false).unwrap_err(),
        AnswerFault::Rule(Reject::HeadTooLong)
    );
}
