//! What makes a request malformed. RFC 9113 §8.1.1 to §8.3.

use super::*;
use crate::http2::request::trailers;

#[test]
fn the_usual_request_is_right() {
    accept(&GET);
    accept(&get_with(&[
        ("accept", "*/*"),
        ("te", "trailers"),
        ("te", "Trailers"),
    ]));
}

// RFC 9113 §8.2.1.
#[test]
fn names_and_values_are_checked() {
    for name in [
        "Accept", "a b", "", "a:", "x\u{7f}", "é", ":", ":accept", ":Path", " a",
    ] {
        check_malformed(&get_with(&[(name, "x")]));
    }
    for value in [
        "a\r\nb", "a\nb", "a\0", " a", "a ", "\ta", "a\t", "\u{7f}", "\u{1}",
    ] {
        check_malformed(&get_with(&[("x", value)]));
        check_malformed(&get_with(&[("cookie", value)]));
    }
    for name in [":method", ":scheme", ":authority", ":path"] {
        for value in [" a", "a ", "a\nb", "/\0"] {
            check_malformed(&get_but(name, value));
        }
    }
    for value in ["", "a\tb", "a b", "é", "\"a\""] {
        accept(&get_with(&[("x", value)]));
    }
}

// RFC 9113 §8.2.2.
#[test]
fn connection_specific_fields_are_malformed() {
    for (name, value) in [
        ("connection", "keep-alive"),
        ("connection", ""),
        ("keep-alive", "1"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("te", ""),
    ] {
        check_malformed(&get_with(&[(name, value)]));
    }
    // As long as those.
    accept(&get_with(&[("keep-alivf", "1"), ("proxy-connectiom", "1")]));
}

// RFC 9113 §8.3.
#[test]
fn pseudo_headers_are_first_once_and_known() {
    for name in [":method", ":scheme", ":authority", ":path"] {
        let (_, value) = *GET.iter().find(|pair| pair.0 == name).unwrap();
        check_malformed(&get_with(&[(name, value)]));
        let mut behind = get_without(name);
        behind.push(("accept", "*/*"));
        behind.push((name, value));
        check_malformed(&behind);
    }
    check_malformed(&get_with(&[(":status", "200")]));
    check_malformed(&[&[(":status", "200")], &GET[..]].concat());
    check_malformed(&get_with(&[(":foo", "bar")]));
    let mut reversed = GET;
    reversed.reverse();
    accept(&reversed);
}

// RFC 9113 §8.3.1.
#[test]
fn method_scheme_and_path_must_be_there() {
    for name in [":method", ":scheme", ":path"] {
        check_malformed(&get_without(name));
        check_malformed(&get_but(name, ""));
    }
    check_malformed(&[]);
    check_malformed(&[("host", "h")]);
    for scheme in ["ftp", "httpss", "ht", "ws"] {
        check_malformed(&get_but(":scheme", scheme));
    }
    for scheme in ["http", "https", "HTTP"] {
        accept(&get_but(":scheme", scheme));
    }
}

#[test]
fn host_and_authority_that_differ_are_malformed() {
    for (authority, host) in [
        ("h", "g"),
        ("h", "h:81"),
        ("h:1", "h:2"),
        ("[::1]", "[::2]"),
        ("h", "u@h"),
    ] {
        let mut fields = get_but(":authority", authority);
        fields.push(("host", host));
        check_malformed(&fields);
    }
    for (authority, host) in [
        ("h", "h"),
        ("h", "H"),
        ("h", "h:443"),
        ("h:443", "h"),
        ("[::1]:80", "[0:0::1]:80"),
    ] {
        let mut fields = get_but(":authority", authority);
        fields.push(("host", host));
        let head = accept(&fields);
        // The field stays as it is; who is asked is what `:authority` says.
        assert_eq!(head.pairs(), [("host".into(), host.into())]);
        assert_eq!(head.text(head.head.host.unwrap()), authority);
    }
}

#[test]
fn a_length_without_content_is_malformed() {
    check_malformed(&get_with(&[("content-length", "1")]));
    let head = accept(&get_with(&[("content-length", "0")]));
    assert_eq!(head.field("content-length").as_deref(), Some("0"));
}

// RFC 8441 §4.
#[test]
fn extended_connect_has_all_parts() {
    let connect = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat?room=1"),
        (":authority", "h"),
    ];
    let case = Case {
        ended: false,
        ..Case::default()
    };
    let head = case.read(&connect).unwrap();
    assert_eq!(head.text(head.head.line.protocol.unwrap()), "websocket");
    assert_eq!(head.text(head.head.line.path), "/chat");
    assert_eq!(head.head.framing, tidegate_httpapi::ContentFraming::None);
    assert_eq!(head.pairs(), [("host".into(), "h".into())]);
    for missing in 1..connect.len() {
        let mut fields = connect.to_vec();
        fields.remove(missing);
        let found = case.read(&fields);
        assert!(
            matches!(found, Err(Bad::Malformed(_))),
            "{fields:?}: {found:?}"
        );
    }
    for (name, value) in [
        (":protocol", ""),
        (":protocol", "a b"),
        (":method", "GET"),
        (":scheme", "wss"),
    ] {
        let fields = connect.map(|pair| if pair.0 == name { (name, value) } else { pair });
        let found = case.read(&fields);
        assert!(
            matches!(found, Err(Bad::Malformed(_))),
            "{fields:?}: {found:?}"
        );
    }
    let with_length = [&connect[..], &[("content-length", "3")]].concat();
    assert!(matches!(case.read(&with_length), Err(Bad::Malformed(_))));
    let not_told = Case {
        extended_connect: false,
        ..case
    };
    assert!(matches!(not_told.read(&connect), Err(Bad::Malformed(_))));
}

// RFC 9113 §8.5.
#[test]
fn connect_is_refused() {
    check_refused(
        &[(":method", "CONNECT"), (":authority", "h:443")],
        Reject::Connect,
    );
    check_malformed(&[(":method", "CONNECT")]);
    let mut fields = get_but(":method", "CONNECT");
    check_malformed(&fields);
    fields.retain(|pair| pair.0 != ":path");
    check_malformed(&fields);
}

#[test]
fn malformed_weighs_more_than_refused() {
    check_malformed(&get_with(&[("expect", "x"), ("connection", "close")]));
    let mut fields = get_but(":method", "get");
    fields.push(("connection", "close"));
    check_malformed(&fields);
}

#[test]
fn trailers_are_fields_only() {
    let limits = RequestLimits::default();
    let read = |fields: &[Pair<'_>]| trailers(&decode(fields, &limits), &limits);
    let kept = read(&[
        ("checksum", "1"),
        ("content-length", "3"),
        ("authorization", "x"),
        ("checksum", ""),
        ("te", "trailers"),
    ]);
    let kept = kept.unwrap();
    let kept: Vec<_> = kept.iter().map(|field| (field.name, field.value)).collect();
    assert_eq!(kept, [("checksum", &b"1"[..]), ("checksum", b"")]);
    for (name, value) in [
        (":path", "/"),
        (":status", "200"),
        (":x", ""),
        ("Upper", ""),
        ("x", "a\rb"),
        ("connection", "x"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
    ] {
        let found = read(&[("a", "b"), (name, value)]);
        assert!(matches!(found, Err(Bad::Malformed(_))), "{name}: {found:?}");
    }
    let refused = |fields: &[Pair<'_>]| read(fields).map(|_| ()).unwrap_err();
    let long = "x".repeat(16_384 - 3);
    assert_eq!(refused(&[("x", &long)]), Reject::HeadTooLong.into());
    let long = "x".repeat(16_384 - 2);
    assert_eq!(refused(&[("x", &long)]), Reject::FieldTooLong.into());
    let long = "x".repeat(40_000);
    assert_eq!(refused(&[("x", &long)]), Reject::HeadTooLong.into());
}
