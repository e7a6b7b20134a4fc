//! What is made of a request that is right, and which rules have a status.

use tidegate_httpapi::{ContentFraming, Version};

use super::*;

fn post<'a>(fields: &[Pair<'a>]) -> Vec<Pair<'a>> {
    [&get_but(":method", "POST"), fields].concat()
}

#[test]
fn the_parts_are_those_of_http_1() {
    let head = accept(&get_but(":path", "/a/b?c=d"));
    let line = &head.head.line;
    assert_eq!(head.text(line.method), "GET");
    assert_eq!(head.text(line.target), "/a/b?c=d");
    assert_eq!(head.text(line.path), "/a/b");
    assert_eq!(head.text(line.query.unwrap()), "c=d");
    assert_eq!(head.text(line.authority.unwrap()), "h");
    assert_eq!(head.text(head.head.host.unwrap()), "h");
    assert_eq!(line.version, Version::Http2);
    assert_eq!(line.protocol, None);
    assert!(head.head.path_is_plain && !head.head.close && !head.head.upgrade);
    assert_eq!(head.pairs(), [("host".into(), "h".into())]);
}

#[test]
fn a_host_field_alone_is_enough() {
    let mut fields = get_without(":authority");
    fields.extend([("accept", "*/*"), ("host", "g:8")]);
    let head = accept(&fields);
    assert_eq!(head.text(head.head.host.unwrap()), "g:8");
    assert_eq!(head.head.line.authority, None);
    let wanted =
        [("accept", "*/*"), ("host", "g:8")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(head.pairs(), wanted);
}

#[test]
fn hosts_are_checked() {
    check_refused(&get_without(":authority"), Reject::HostMissing);
    check_refused(
        &get_with(&[("host", "h"), ("host", "h")]),
        Reject::HostRepeated,
    );
    for authority in ["", "u@h", "h:", "h:0", "a/b", "[::1"] {
        check_refused(&get_but(":authority", authority), Reject::HostMalformed);
    }
    check_refused(
        &get_but(":authority", "[::ffff:1.2.3.4]"),
        Reject::HostMappedAddress,
    );
}

// RFC 9113 §8.2.3.
#[test]
fn crumbs_of_cookies_are_joined() {
    let head = accept(&get_with(&[
        ("cookie", "a=1"),
        ("accept", "*/*"),
        ("cookie", "b=2"),
        ("cookie", ""),
        ("x", "y"),
        ("cookie", "c=3"),
    ]));
    let wanted = [
        ("host", "h"),
        ("cookie", "a=1; b=2; ; c=3"),
        ("accept", "*/*"),
        ("x", "y"),
    ];
    assert_eq!(
        head.pairs(),
        wanted.map(|(name, value)| (name.into(), value.into()))
    );
    let head = accept(&get_with(&[("cookie", "a=1")]));
    assert_eq!(head.field("cookie").as_deref(), Some("a=1"));
}

#[test]
fn joined_cookies_are_as_long_as_a_line_may_be() {
    let mut case = Case::default();
    case.limits.field_bytes_max = 100;
    let refused = |crumb: &str| {
        let first = "a".repeat(50);
        case.read(&get_with(&[("cookie", &first), ("cookie", crumb)]))
            .err()
    };
    // `cookie: `, fifty bytes, `; `, and these.
    assert_eq!(refused(&"b".repeat(40)), None);
    assert_eq!(refused(&"b".repeat(41)), Some(Reject::FieldTooLong.into()));
}

// Case T07.
#[test]
fn content_without_length_is_chunked() {
    let case = Case {
        ended: false,
        ..Case::default()
    };
    for method in ["POST", "GET", "X"] {
        let mut fields = get_but(":method", method);
        fields.push(("x", "y"));
        let head = case.read(&fields).unwrap();
        assert_eq!(head.head.framing, ContentFraming::Chunked);
        assert_eq!(head.field("transfer-encoding").as_deref(), Some("chunked"));
        assert_eq!(head.spans.len(), 3);
    }
    let head = case.read(&post(&[("content-length", "5")])).unwrap();
    assert_eq!(head.head.framing, ContentFraming::Length(5));
    assert_eq!(head.field("transfer-encoding"), None);
    let head = case.read(&post(&[("content-length", "0")])).unwrap();
    assert_eq!(head.head.framing, ContentFraming::None);
    assert_eq!(head.field("transfer-encoding"), None);
}

// Case T04.
#[test]
fn post_without_content_needs_a_length() {
    check_refused(&post(&[]), Reject::LengthRequired);
    check_refused(&get_but(":method", "PUT"), Reject::LengthRequired);
    let head = accept(&post(&[("content-length", "0")]));
    assert_eq!(head.head.framing, ContentFraming::None);
    assert_eq!(
        accept(&get_but(":method", "PATCH")).head.framing,
        ContentFraming::None
    );
}

#[test]
fn expectations_are_met_or_refused() {
    let case = Case {
        ended: false,
        ..Case::default()
    };
    let head = case.read(&post(&[("expect", "100-Continue")])).unwrap();
    assert!(head.head.expects_continue);
    assert!(
        !accept(&get_with(&[("expect", "100-continue")]))
            .head
            .expects_continue
    );
    check_refused(&get_with(&[("expect", "200-ok")]), Reject::Expectation);
}

#[test]
fn the_asterisk_is_for_options() {
    let mut fields = get_but(":method", "OPTIONS");
    fields[3].1 = "*";
    let head = accept(&fields);
    assert!(head.head.asterisk && head.head.path_is_plain);
    assert_eq!(head.text(head.head.line.path), "");
    check_refused(&get_but(":path", "*"), Reject::TargetForm);
    check_refused(&get_but(":path", "a"), Reject::TargetForm);
    check_refused(&get_but(":path", "https://h/"), Reject::TargetForm);
}

#[test]
fn limits_are_those_of_lines() {
    let mut case = Case::default();
    case.limits.field_bytes_max = 64;
    case.limits.method_bytes_max = 16;
    let reason = |fields: &[Pair<'_>]| match case.read(fields) {
        Ok(_) => None,
        Err(Bad::Reject(reason)) => Some(reason),
        Err(Bad::Malformed(why)) => panic!("{why}"),
    };
    let text = |len: usize| format!("/{}", "x".repeat(len - 1));
    assert_eq!(reason(&get_but(":path", &text(64))), None);
    assert_eq!(
        reason(&get_but(":path", &text(65))),
        Some(Reject::TargetTooLong)
    );
    assert_eq!(reason(&get_but(":method", &"X".repeat(16))), None);
    assert_eq!(
        reason(&get_but(":method", &"X".repeat(17))),
        Some(Reject::MethodTooLong)
    );
    // `x: ` is there in HTTP/1.
    assert_eq!(reason(&get_with(&[("x", &text(61))])), None);
    assert_eq!(
        reason(&get_with(&[("x", &text(62))])),
        Some(Reject::FieldTooLong)
    );
    assert_eq!(reason(&get_but(":authority", &"h".repeat(58))), None);
    assert_eq!(
        reason(&get_but(":authority", &"h".repeat(59))),
        Some(Reject::FieldTooLong)
    );
}

#[test]
fn a_head_is_as_long_as_in_http_1() {
    let mut case = Case::default();
    case.limits.head_bytes_max = 256;
    let line = b"GET / HTTP/1.1\r\nHost: h\r\nx: \r\n\r\n".len();
    let mut value = "v".repeat(256 - line);
    let head = case.read(&get_with(&[("x", &value)])).unwrap();
    assert_eq!(head.head.head_bytes, 256);
    value.push('v');
    let fields = get_with(&[("x", &value)]);
    assert_eq!(case.read(&fields).err(), Some(Reject::HeadTooLong.into()));
}

#[test]
fn a_list_that_is_too_large_still_shows_its_beginning() {
    let long = "v".repeat(16_384);
    let fields = get_with(&[("a", &long), ("b", &long), ("c", &long)]);
    let mut head = Head::default();
    let found = Case::default().read_into(&fields, &mut head);
    assert_eq!(found, Err(Reject::HeadTooLong.into()));
    assert_eq!(head.text(head.head.line.method), "GET");
    assert_eq!(head.text(head.head.line.target), "/");
}

#[test]
fn what_is_refused_shows_method_and_target() {
    let mut head = Head::default();
    let found = Case::default().read_into(&get_but(":method", "get"), &mut head);
    assert_eq!(found, Err(Reject::MethodCase.into()));
    assert_eq!(head.text(head.head.line.method), "get");
    assert_eq!(head.text(head.head.line.target), "/");
}

#[test]
fn a_head_is_read_in_place_of_another() {
    let mut head = Head::default();
    let case = Case::default();
    let first = [
        ("cookie", "a"),
        ("cookie", "b"),
        ("expect", "x"),
        ("host", "h"),
    ];
    case.read_into(&get_with(&first), &mut head).unwrap_err();
    head.serial = 7;
    case.read_into(&GET, &mut head).unwrap();
    assert_eq!(head.pairs(), [("host".into(), "h".into())]);
    assert_eq!(head.serial, 7);
    assert_eq!(head.head.line.query, None);
}
