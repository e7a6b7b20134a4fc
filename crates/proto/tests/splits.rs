//! However a head is split on its way, the answer is the same, and comes no later than it is whole.

mod support;

use support::show;
use tidegate_httpapi::{FieldSpan, RequestLimits};
use tidegate_proto::http1::{Parsed, parse_head, worth_parsing};

#[test]
fn any_beginning_gets_no_answer_or_the_final_one() {
    let mut limits = RequestLimits::default();
    for (field_bytes_max, head_bytes_max) in [(16_384, 16_384), (64, 256), (64, 16_384)] {
        limits.field_bytes_max = field_bytes_max;
        limits.head_bytes_max = head_bytes_max;
        for head in heads() {
            check_every_beginning(&head, &limits);
        }
    }
}

#[test]
fn any_beginning_of_a_damaged_head_gets_no_answer_or_the_final_one() {
    let limits = RequestLimits::default();
    let head = b"\r\nPOST /a%20b?c HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\nX: y z\r\n\r\n";
    for index in 0..head.len() {
        for byte in [
            0, b'\t', b'\n', b'\r', b' ', b':', b'#', b'0', b'a', 0x7F, 0xC3,
        ] {
            let mut damaged = head.to_vec();
            damaged[index] = byte;
            check_every_beginning(&damaged, &limits);
            damaged[index] = head[index];
            damaged.insert(index, byte);
            check_every_beginning(&damaged, &limits);
        }
        let mut shortened = head.to_vec();
        shortened.remove(index);
        check_every_beginning(&shortened, &limits);
    }
}

/// Parses every beginning; after the first answer it must not change, also when more requests follow.
fn check_every_beginning(head: &[u8], limits: &RequestLimits) {
    let mut spans = Vec::new();
    let mut decided: Option<String> = None;
    let mut gated: Option<String> = None;
    let mut seen = 0;
    let mut bytes = head.to_vec();
    bytes.extend_from_slice(b"GET / HTTP/1.1\r\nHost: next\r\n\r\n");
    for end in 0..=bytes.len() {
        let view = &bytes[..end];
        let found = parse_head(view, limits, &mut spans);
        let answer = describe(&found, &spans);
        match &decided {
            Some(decided) => assert_eq!(answer.as_ref(), Some(decided), "{}", show(view)),
            None => decided = answer.clone(),
        }
        if end == head.len() && ends_whole(head) {
            assert!(decided.is_some(), "{}", show(head));
        }
        // As a connection does: only when it is worth it.
        if gated.is_none() && worth_parsing(view, seen, limits) {
            gated = answer;
            seen = end;
        }
        if end == head.len() && ends_whole(head) {
            assert_eq!(gated, decided, "{}", show(head));
        }
    }
}

fn ends_whole(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n")
}

fn describe(parsed: &Parsed, spans: &[FieldSpan]) -> Option<String> {
    match parsed {
        Parsed::Incomplete => None,
        Parsed::Head(head) => Some(format!("{head:?} {spans:?}")),
        Parsed::Reject { reason, seen: _ } => Some(format!("{reason:?}")),
    }
}

fn heads() -> Vec<Vec<u8>> {
    let mut heads: Vec<Vec<u8>> = [
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "\r\n\r\nGET /a/../b%20?c HTTP/1.1\r\nHost: www.example.com:8080\r\nA:b\r\n\r\n",
        "GET http://h/x HTTP/1.1\r\nHost: i\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost:h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\nConnection: close, x\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "foo\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n x: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: y\rz\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: y\0z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h/\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n",
        "GET /# HTTP/1.1\r\nHost: h\r\n\r\n",
        "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
    ]
    .map(|head| head.as_bytes().to_vec())
    .into();
    let long = "a".repeat(300);
    for head in [
        format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET /{long} junk\r\nHost: h\r\n\r\n"),
        format!("G@T /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("{long} / HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("{long}{long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\nY\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{long} {long}\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "X: yz\r\n".repeat(60)
        ),
        format!("{}GET / HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n".repeat(130)),
    ] {
        heads.push(head.into_bytes());
    }
    heads
}
