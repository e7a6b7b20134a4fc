//! Each rule on a request's head: what is accepted, what is refused and why.
//!
//! Names that begin with `p01` and so on are cases of the HTTP Server API's behaviour.

mod support;

use support::{
    accept, accept_within, check_refused, get, limits, post_with, refuse, refuse_within,
    with_fields,
};
use tidegate_httpapi::{ContentFraming, Version};
use tidegate_proto::http1::{Reject, cook_path};

#[test]
fn p01_a_line_that_is_no_request_line_is_refused() {
    for line in [
        "foo",
        "GET",
        "GET ",
        "GET /",
        "GET / ",
        "GET  HTTP/1.1",
        "GET / HTTP",
        "GET / HTTP/1",
        "GET / HTTP/1.",
        "GET / HTTP/1.10",
        "GET / HTTP/11.1",
        "GET / HTTP/x.1",
        "GET / http/1.1",
        "GET / HTTP/1.1 ",
        "GET / HTTP/1.1 x",
        " GET / HTTP/1.1",
        "/",
    ] {
        let head = format!("{line}\r\n");
        check_refused(&head, Reject::RequestLine, 400, "BadRequest");
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        check_refused(&head, Reject::RequestLine, 400, "BadRequest");
    }
}

#[test]
fn p02_an_unknown_method_is_accepted_and_a_value_is_trimmed() {
    let head = accept("xyzzy / HTTP/1.1\r\nHost: h\r\nQux: foo baz \r\n\r\n");
    assert_eq!(head.method(), "xyzzy");
    assert_eq!(head.field("qux").as_deref(), Some("foo baz"));
    assert_eq!(
        accept(get("/").replace("GET", "CUSTOMVERB")).method(),
        "CUSTOMVERB"
    );
    let odd = "!#$%&'*+-.^_`|~09azAZ";
    assert_eq!(accept(get("/").replace("GET", odd)).method(), odd);
}

#[test]
fn p03_a_known_method_in_the_wrong_case_is_refused() {
    for method in ["get", "Get", "GeT", "post", "Options", "pROPFIND", "unlock"] {
        let head = get("/").replace("GET", method);
        check_refused(head, Reject::MethodCase, 400, "Verb");
    }
}

#[test]
fn a_method_that_is_no_token_is_refused() {
    for method in [
        "G(T", "GET,", "G\"T", "GE/T", "G\u{e9}T", "GE\tT", "{}", "GET\0",
    ] {
        let head = get("/").replace("GET", method);
        check_refused(head, Reject::Method, 400, "Verb");
    }
}

#[test]
fn a_method_of_255_bytes_is_accepted_one_of_256_is_not() {
    let head = |len| get("/").replace("GET", &"M".repeat(len));
    assert_eq!(accept(head(255)).method().len(), 255);
    check_refused(head(256), Reject::MethodTooLong, 400, "Verb");
    // Known before the line's end, and before its blank.
    check_refused("M".repeat(256), Reject::MethodTooLong, 400, "Verb");
}

#[test]
fn connect_is_refused() {
    for target in ["/", "h:80", "*"] {
        let head = get(target).replace("GET", "CONNECT");
        check_refused(head, Reject::Connect, 400, "Verb");
    }
}

#[test]
fn methods_are_told_apart() {
    for (method, head_request) in [
        ("HEAD", true),
        ("GET", false),
        ("DELETE", false),
        ("HEADS", false),
    ] {
        let head = accept(get("/").replace("GET", method)).head;
        assert_eq!(head.head_request, head_request, "{method}");
    }
}

#[test]
fn p04_a_field_name_with_a_separator_is_refused() {
    for line in [
        "Fo?o: x",
        "Foo : x",
        "Foo\t: x",
        ": x",
        "Foo",
        "F\u{e9}: x",
        "F(o): x",
        "F\0: x",
        "\"F\": x",
    ] {
        let head = with_fields(&format!("{line}\r\n"));
        check_refused(head, Reject::FieldName, 400, "Header");
    }
}

#[test]
fn p05_a_blank_in_the_target_is_refused() {
    for target in ["/path with spaces", "/ ", "/a b", "/a?b c"] {
        check_refused(get(target), Reject::TargetByte, 400, "URL");
    }
}

#[test]
fn p05_a_malformed_escape_is_refused() {
    for path in [
        "/path%", "/path%XY", "/path%F", "/%", "/%u12", "/%u12G4", "/%4", "/%-1",
    ] {
        check_cooking_refused(path, Reject::Escape);
    }
    // A query is not decoded here, so its escapes are the application's matter.
    assert_eq!(accept(get("/a?b%XY%")).query(), Some("b%XY%"));
}

#[test]
fn p06_an_escaped_control_character_is_refused() {
    for byte in (0..0x20).chain([0x7F]) {
        check_cooking_refused(&format!("/a%{byte:02x}"), Reject::EscapeRestricted);
        check_cooking_refused(&format!("/a%u00{byte:02X}"), Reject::EscapeRestricted);
    }
    for byte in 0x80..0xA0 {
        check_cooking_refused(&format!("/a%C2%{byte:02X}"), Reject::EscapeRestricted);
    }
}

#[track_caller]
fn check_cooking_refused(path: &str, reason: Reject) {
    let head = accept(get(path));
    assert!(!head.head.path_is_plain, "{path}");
    let found = cook_path(path.as_bytes(), &limits(), &mut String::new());
    assert_eq!(found, Err(reason), "{path}");
    assert_eq!((reason.status(), reason.reason()), (400, "URL"));
}

#[test]
fn p07_a_control_character_in_the_target_is_refused() {
    for byte in (1..0x20_u8).chain([0x7F]) {
        for target in ["/a.b", "/a?.b"] {
            let head = get(&target.replace('.', &char::from(byte).to_string()));
            match byte {
                // It ends the line.
                b'\n' => check_refused(head, Reject::LineEnd, 400, "Invalid_CR/LF"),
                b'\r' => check_refused(head, Reject::LineEnd, 400, "Invalid_CR/LF"),
                _ => check_refused(head, Reject::TargetByte, 400, "URL"),
            }
        }
    }
    check_refused(get("/a\0"), Reject::TargetByte, 400, "URL");
}

#[test]
fn a_target_byte_beyond_ascii_and_a_fragment_are_refused() {
    for target in [
        "/caf\u{e9}",
        "/a?\u{e9}",
        "/a#b",
        "/a?b#c",
        "/#",
        "http://h/#",
    ] {
        check_refused(get(target), Reject::TargetByte, 400, "URL");
    }
}

#[test]
fn what_browsers_leave_unescaped_is_accepted() {
    let query = "a=|{}^`\"<>[]'()*,;:@!$\\";
    assert_eq!(accept(get(&format!("/?{query}"))).query(), Some(query));
}

#[test]
fn p08_a_segment_of_260_characters_is_accepted_one_of_261_is_not() {
    let check = |path: String| {
        let head = accept(get(&path));
        match head.head.path_is_plain {
            true => Ok(()),
            false => cook_path(path.as_bytes(), &limits(), &mut String::new()),
        }
    };
    assert_eq!(check(format!("/{}", "a".repeat(260))), Ok(()));
    assert_eq!(
        check(format!("/{}", "a".repeat(261))),
        Err(Reject::SegmentTooLong)
    );
    assert_eq!(check(format!("/b/{}/c", "a".repeat(260))), Ok(()));
    assert_eq!(
        check(format!("/b/{}/c", "a".repeat(261))),
        Err(Reject::SegmentTooLong)
    );
    // Characters of the cooked path, not bytes of the raw one.
    assert_eq!(check(format!("/{}", "%C3%A9".repeat(260))), Ok(()));
    assert_eq!(
        check(format!("/{}", "%C3%A9".repeat(261))),
        Err(Reject::SegmentTooLong)
    );
    assert_eq!(Reject::SegmentTooLong.reason(), "URL");
}

#[test]
fn p09_a_path_of_255_segments_is_accepted_one_of_256_is_not() {
    let check = |path: String| {
        let head = accept(get(&path));
        match head.head.path_is_plain {
            true => Ok(()),
            false => cook_path(path.as_bytes(), &limits(), &mut String::new()),
        }
    };
    assert_eq!(check("/a".repeat(255)), Ok(()));
    assert_eq!(check("/a".repeat(255) + "/"), Ok(()));
    assert_eq!(check("/a".repeat(256)), Err(Reject::SegmentsTooMany));
    // Segments of the cooked path.
    assert_eq!(check("/a".repeat(256) + "/.."), Ok(()));
    assert_eq!(check("/a".repeat(255) + "//./"), Ok(()));
    assert_eq!(Reject::SegmentsTooMany.reason(), "URL");
}

#[test]
fn limits_on_segments_can_be_lifted() {
    let mut limits = limits();
    limits.segment_chars_max = 0;
    limits.segments_max = 0;
    for path in ["/a".repeat(3000), format!("/{}", "a".repeat(5000))] {
        assert!(accept_within(get(&path), &limits).head.path_is_plain);
    }
    limits.segments_max = 3;
    assert!(accept_within(get("/ab"), &limits).head.path_is_plain);
    assert!(!accept_within(get("/abc"), &limits).head.path_is_plain);
}

#[test]
fn p10_a_target_that_does_not_fit_is_too_long() {
    let head = get(&"/abcdefg".repeat(17_000 / 8));
    check_refused(head, Reject::TargetTooLong, 414, "URL_Length");
}

#[test]
fn a_target_is_as_long_as_a_field_may_be_and_no_longer() {
    let mut limits = limits();
    limits.field_bytes_max = 100;
    let head = |len: usize| get(&format!("/{}", "a".repeat(len - 1)));
    assert_eq!(accept_within(head(100), &limits).target().len(), 100);
    assert_eq!(refuse_within(head(101), &limits).0, Reject::TargetTooLong);
    // Known before the line's end, and whatever comes after.
    let begun = format!("GET /{}", "a".repeat(100));
    assert_eq!(refuse_within(&begun, &limits).0, Reject::TargetTooLong);
    assert_eq!(
        refuse_within(begun + " junk\r\n", &limits).0,
        Reject::TargetTooLong
    );
    let other_forms = format!(
        "GET http://h/{} HTTP/1.1\r\nHost: h\r\n\r\n",
        "a".repeat(92)
    );
    assert_eq!(refuse_within(other_forms, &limits).0, Reject::TargetTooLong);
}

#[test]
fn p11_a_field_is_as_long_as_the_limit_and_no_longer() {
    let mut limits = limits();
    limits.head_bytes_max = 65_536;
    let head = |len: usize| with_fields(&format!("X: {}\r\n", "a".repeat(len - 3)));
    assert_eq!(
        accept_within(head(16_384), &limits)
            .field("x")
            .unwrap()
            .len(),
        16_381
    );
    assert_eq!(refuse_within(head(16_385), &limits).0, Reject::FieldTooLong);
    assert_eq!(Reject::FieldTooLong.reason(), "FieldLength");
    let begun = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(16_382));
    assert_eq!(refuse_within(begun, &limits).0, Reject::FieldTooLong);
    // A name, too: its length is kept in 16 bits.
    let name = format!("GET / HTTP/1.1\r\n{}: a\r\n", "a".repeat(16_382));
    assert_eq!(refuse_within(name, &limits).0, Reject::FieldTooLong);
    limits.field_bytes_max = u32::MAX;
    limits.head_bytes_max = 1 << 20;
    let name = |len| with_fields(&format!("{}:\r\n", "n".repeat(len)));
    assert_eq!(
        accept_within(name(65_534), &limits).spans[1].name_len,
        65_534
    );
    assert_eq!(refuse_within(name(65_535), &limits).0, Reject::FieldTooLong);
}

#[test]
fn p12_a_head_is_as_long_as_the_limit_and_no_longer() {
    let lines: String = (0..20)
        .map(|n| format!("X-{n}: {}\r\n", "a".repeat(860)))
        .collect();
    check_refused(
        with_fields(&lines),
        Reject::HeadTooLong,
        400,
        "RequestLength",
    );
    let head = with_fields(&"X-Y: z\r\n".repeat(50));
    let mut limits = limits();
    limits.head_bytes_max = head.len() as u32;
    assert_eq!(accept_within(&head, &limits).head.head_bytes, head.len());
    limits.head_bytes_max -= 1;
    assert_eq!(refuse_within(&head, &limits).0, Reject::HeadTooLong);
    // Known as soon as the limit is reached.
    let begun = &head[..head.len() - 1];
    assert_eq!(refuse_within(begun, &limits).0, Reject::HeadTooLong);
}

#[test]
fn heads_at_the_edge_of_sixteen_bits_are_read_right() {
    let mut limits = limits();
    limits.head_bytes_max = 16 << 20;
    for len in [65_534, 65_535, 65_536, 131_072] {
        let line = format!("X: {}\r\n", "a".repeat(995));
        let mut lines = line.repeat((len - 40) / 1000);
        let rest = len - with_fields(&lines).len() - "Last: \r\n".len();
        lines += &format!("Last: {}\r\n", "z".repeat(rest));
        let head = with_fields(&lines);
        assert_eq!(head.len(), len);
        let head = accept_within(head, &limits);
        assert_eq!(head.head.head_bytes, len);
        assert_eq!(head.field("last").unwrap(), "z".repeat(rest));
    }
}

#[test]
fn p13_post_and_put_must_tell_their_length() {
    check_refused(post_with(""), Reject::LengthRequired, 411, "LengthRequired");
    let put = post_with("").replace("POST", "PUT");
    check_refused(put, Reject::LengthRequired, 411, "LengthRequired");
    let old = "POST / HTTP/1.0\r\n\r\n";
    check_refused(old, Reject::LengthRequired, 411, "LengthRequired");
    assert_eq!(
        framing(post_with("Content-Length: 0\r\n")),
        ContentFraming::None
    );
    assert_eq!(
        framing(post_with("Content-Length: 7\r\n")),
        ContentFraming::Length(7)
    );
    assert_eq!(
        framing(post_with("Transfer-Encoding: chunked\r\n")),
        ContentFraming::Chunked
    );
    let patch = post_with("").replace("POST", "PATCH");
    assert_eq!(framing(patch), ContentFraming::None);
}

fn framing(head: impl AsRef<[u8]>) -> ContentFraming {
    accept(head).head.framing
}

#[test]
fn p14_any_transfer_coding_but_chunked_is_refused() {
    for value in [
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "x-chunked",
        "identity",
        "",
        "\"chunked\"",
        "chunked\u{b}",
    ] {
        let head = post_with(&format!("Transfer-Encoding: {value}\r\n"));
        match value.bytes().any(|byte| byte == 0xB) {
            true => check_refused(head, Reject::FieldValue, 400, "Header"),
            false => check_refused(head, Reject::TransferEncodingUnknown, 501, "N/I"),
        }
    }
    let twice = post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
    check_refused(twice, Reject::TransferEncodingUnknown, 501, "N/I");
    for value in ["chunked", "Chunked", "CHUNKED", "chunked  ", "\tchunked"] {
        let head = post_with(&format!("Transfer-Encoding:{value}\r\n"));
        assert_eq!(framing(head), ContentFraming::Chunked, "{value:?}");
    }
}

#[test]
fn p15_another_major_version_is_refused() {
    for version in ["2.0", "3.0", "0.9", "9.9", "2.1"] {
        let head = get("/").replace("1.1", version);
        check_refused(head, Reject::VersionNotSupported, 505, "Version_N/S");
    }
    // The preface of HTTP/2 begins so.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    check_refused(preface, Reject::VersionNotSupported, 505, "Version_N/S");
}

#[test]
fn a_later_minor_version_is_read_as_1_1() {
    for (version, read) in [
        ("1.0", Version::Http10),
        ("1.1", Version::Http11),
        ("1.2", Version::Http11),
        ("1.9", Version::Http11),
    ] {
        let head = accept(get("/").replace("1.1", version)).head;
        assert_eq!(head.line.version, read, "{version}");
    }
}

#[test]
fn p16_an_absolute_target_without_a_path_before_its_query_is_refused() {
    for target in ["http://h:80?query=value/1/2", "http://h?", "http://h?a"] {
        check_refused(get(target), Reject::TargetWithoutPath, 400, "URL");
    }
}

#[test]
fn p17_a_malformed_host_is_refused() {
    for host in [
        "h:0080",
        "h:0",
        "h:",
        "h:65536",
        "h:99999",
        "h:123456",
        "h:8o",
        "h:-1",
        "h:80:80",
        "",
        ":80",
        "h/",
        "http://1.2.3.4/v",
        "u@h",
        "h h",
        "h\\",
        "h?",
        "h#",
        "<h>",
        "caf\u{e9}",
        "%",
        "%4",
        "%zz",
        "[::1",
        "::1",
        "[]",
        "[1.2.3.4]",
        "[::1]x",
        "[::1]:",
        "[::1]:080",
        "[::1%25eth0]",
        "[v1.a]",
        "a, b",
        "h\th",
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        check_refused(head, Reject::HostMalformed, 400, "Hostname");
        // Behind a slash begins the path of an absolute target.
        if !host.contains('/') {
            let absolute = format!("GET http://{host}/ HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(refuse(absolute).status(), 400, "{host}");
        }
    }
    for host in ["[::ffff:7f00:1]", "[::ffff:7f00:1]:80", "[::FFFF:1.2.3.4]"] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        check_refused(head, Reject::HostMappedAddress, 400, "Hostname");
    }
}

#[test]
fn a_well_formed_host_is_accepted() {
    for host in [
        "h",
        "h:1",
        "h:80",
        "h:8080",
        "h:65535",
        "127.0.0.1",
        "127.0.0.1:8080",
        "www.example.com",
        "www.example.com:443",
        "a-b_c.d~e",
        "xn--caf-dma.example",
        "example.com.",
        "[::1]",
        "[::1]:80",
        "[2001:db8::1]:65535",
        "%C3%A9",
        "0123456789abcdef",
        "0123456789abcdef:80",
        "0123456789abcdef0123456789abcdef:80",
        "0123456789abcde:80",
    ] {
        let head = accept(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(head.host(), Some(host));
        let head = accept(format!("GET / HTTP/1.1\r\nHost:{host} \t\r\nA: b\r\n\r\n"));
        assert_eq!(head.host(), Some(host));
    }
}

#[test]
fn host_must_be_there_once() {
    check_refused(
        "GET / HTTP/1.1\r\n\r\n",
        Reject::HostMissing,
        400,
        "Hostname",
    );
    check_refused(
        "GET http://h/ HTTP/1.1\r\n\r\n",
        Reject::HostMissing,
        400,
        "Hostname",
    );
    for other in ["h", "i", ""] {
        let head = with_fields(&format!("hOST: {other}\r\n"));
        check_refused(head, Reject::HostRepeated, 400, "Hostname");
    }
    let head = accept("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(head.host(), None);
    check_refused(
        "GET / HTTP/1.0\r\nHost: a/\r\n\r\n",
        Reject::HostMalformed,
        400,
        "Hostname",
    );
}

#[test]
fn p18_lines_of_one_name_are_joined() {
    let head = accept(with_fields("C: 1\r\nA: x\r\nc: 2\r\nB: y\r\nC:\r\n"));
    assert_eq!(head.field("C").as_deref(), Some("1, 2, "));
    assert_eq!(head.spans.len(), 6);
}

#[test]
fn p22_length_and_transfer_encoding_exclude_each_other() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
    ] {
        let reason = Reject::LengthAndTransferEncoding;
        check_refused(post_with(lines), reason, 400, "BadRequest");
        check_refused(with_fields(lines), reason, 400, "BadRequest");
    }
}

#[test]
fn p23_http_1_0_always_closes() {
    let head = accept("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(head.head.close);
}

#[test]
fn http_1_0_has_no_transfer_encoding() {
    let head = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_refused(head, Reject::TransferEncodingVersion, 400, "BadRequest");
}

#[test]
fn a_length_is_digits_and_nothing_else() {
    for value in [
        "", "+5", "-5", "5 5", "0x5", "5a", "5.0", "5,", ",5", "5,,5", "5;5", "\u{665}", "5, +5",
        "5\t5",
    ] {
        let head = post_with(&format!("Content-Length: {value}\r\n"));
        check_refused(head, Reject::LengthMalformed, 400, "Number");
    }
    for (value, length) in [
        ("5", 5),
        ("005", 5),
        (" 5\t", 5),
        ("9223372036854775807", i64::MAX as u64),
    ] {
        let head = post_with(&format!("Content-Length: {value}\r\n"));
        assert_eq!(framing(head), ContentFraming::Length(length));
    }
}

#[test]
fn several_lengths_must_be_the_same() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: 5, 5, 6\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
    ] {
        check_refused(post_with(lines), Reject::LengthsDiffer, 400, "Number");
    }
    for lines in [
        "Content-Length: 5\r\ncontent-length: 5\r\n",
        "Content-Length: 5, 5,5\r\n",
    ] {
        assert_eq!(framing(post_with(lines)), ContentFraming::Length(5));
    }
}

#[test]
fn a_length_beyond_2_to_the_63_is_too_large() {
    for value in [
        "9223372036854775808",
        "18446744073709551616",
        &"9".repeat(100),
    ] {
        let head = post_with(&format!("Content-Length: {value}\r\n"));
        check_refused(head, Reject::LengthTooLarge, 413, "EntityTooLarge");
    }
}

#[test]
fn an_expectation_but_100_continue_is_refused() {
    for value in [
        "200-ok",
        "",
        "100-continue, x",
        "100-continue;a",
        "100-continues",
    ] {
        let head = with_fields(&format!("Expect: {value}\r\n"));
        check_refused(head, Reject::Expectation, 417, "Precondition");
    }
    let both = with_fields("Expect: 100-continue\r\nExpect: x\r\n");
    check_refused(both, Reject::Expectation, 417, "Precondition");
}

#[test]
fn the_peer_waits_for_100_only_with_content_and_http_1_1() {
    let waits = |head: String| accept(head).head.expects_continue;
    assert!(waits(post_with(
        "Expect: 100-continue\r\nContent-Length: 5\r\n"
    )));
    assert!(waits(post_with(
        "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n"
    )));
    assert!(!waits(post_with(
        "Expect: 100-continue\r\nContent-Length: 0\r\n"
    )));
    assert!(!waits(with_fields("Expect: 100-continue\r\n")));
    let old = post_with("Expect: 100-continue\r\nContent-Length: 5\r\n").replace("1.1", "1.0");
    assert!(!waits(old));
    assert!(!waits(post_with("Content-Length: 5\r\n")));
}

#[test]
fn the_connection_closes_when_asked() {
    for (value, close) in [
        ("close", true),
        ("Close", true),
        ("keep-alive, CLOSE", true),
        ("foo,close,", true),
        ("keep-alive", false),
        ("closed", false),
        ("", false),
    ] {
        let head = accept(with_fields(&format!("Connection: {value}\r\n"))).head;
        assert_eq!(head.close, close, "{value}");
    }
    let twice = accept(with_fields(
        "Connection: a\r\nConnection: close\r\nConnection: b\r\n",
    ));
    assert!(twice.head.close);
}

#[test]
fn an_upgrade_needs_both_fields_and_no_content() {
    let upgrade = |lines: &str| accept(with_fields(lines)).head.upgrade;
    assert!(upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    assert!(upgrade(
        "Upgrade: h2c, websocket\r\nConnection: keep-alive, UPGRADE\r\n"
    ));
    assert!(!upgrade("Connection: Upgrade\r\n"));
    assert!(!upgrade("Upgrade: websocket\r\n"));
    assert!(!upgrade("Connection: Upgrade\r\nUpgrade: ,\r\n"));
    assert!(!upgrade(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 10\r\n"
    ));
    assert!(!upgrade(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n"
    ));
    let old = with_fields("Connection: Upgrade\r\nUpgrade: websocket\r\n").replace("1.1", "1.0");
    assert!(!accept(old).head.upgrade);
}

#[test]
fn a_line_must_end_in_cr_lf() {
    for head in [
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "GET / HTTP/1.1\n",
        "\nGET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\r\n",
        "GET / HTTP/1.1\rHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\r\n",
        "GET / HTTP/1.1\r\nHo\rst: h\r\n\r\n",
        "\r\r\nGET / HTTP/1.1\r\n",
        "\rGET / HTTP/1.1\r\n",
    ] {
        check_refused(head, Reject::LineEnd, 400, "Invalid_CR/LF");
    }
}

#[test]
fn a_continued_line_is_refused() {
    for lines in [
        "X: a\r\n b\r\n",
        "X: a\r\n\tb\r\n",
        " X: a\r\n",
        "X: a\r\n \r\n",
    ] {
        let head = format!("GET / HTTP/1.1\r\n{lines}Host: h\r\n\r\n");
        check_refused(head, Reject::LineEnd, 400, "Invalid_CR/LF");
        check_refused(with_fields(lines), Reject::LineEnd, 400, "Invalid_CR/LF");
    }
}

#[test]
fn a_control_character_in_a_value_is_refused() {
    for byte in (0..0x20_u8).chain([0x7F]) {
        if matches!(byte, b'\t' | b'\r' | b'\n') {
            continue;
        }
        for value in [
            "a.b",
            ".",
            ".b",
            "b.",
            "0123456789abcdef.",
            "0123456789abcde.",
        ] {
            let value = value.replace('.', &char::from(byte).to_string());
            let head = with_fields(&format!("X: {value}\r\n"));
            check_refused(head, Reject::FieldValue, 400, "Header");
        }
    }
}

#[test]
fn values_keep_what_is_in_them_and_lose_blanks_around() {
    for (line, value) in [
        ("X:", ""),
        ("X: ", ""),
        ("X:  \t ", ""),
        ("X:a", "a"),
        ("X: a", "a"),
        ("X:\ta", "a"),
        ("X:   a", "a"),
        ("X: a ", "a"),
        ("X: a\t ", "a"),
        ("X: a b", "a b"),
        ("X: a\tb", "a\tb"),
        ("X: \u{e9}\u{4e2d}", "\u{e9}\u{4e2d}"),
        ("X: a:b", "a:b"),
        ("X: :", ":"),
        ("X: 0123456789abcdef", "0123456789abcdef"),
        ("X: 0123456789abcde", "0123456789abcde"),
        ("X: 0123456789abcdef0", "0123456789abcdef0"),
        ("X: 0123456789abcde ", "0123456789abcde"),
        ("X: 0123456789abcdef ", "0123456789abcdef"),
    ] {
        let in_the_middle = accept(with_fields(&format!(
            "{line}\r\nAccept-Something: else\r\n"
        )));
        assert_eq!(in_the_middle.field("x").as_deref(), Some(value), "{line:?}");
        let last = accept(with_fields(&format!("{line}\r\n")));
        assert_eq!(last.field("x").as_deref(), Some(value), "{line:?}");
    }
}

#[test]
fn a_name_may_be_any_token() {
    for name in [
        "a",
        "A_b",
        "!#$%&'*+-.^_`|~",
        "0",
        "Sixteen-Letters-",
        "Seventeen-Letters",
        &"x".repeat(300),
    ] {
        let head = accept(with_fields(&format!("{name}: v\r\nHust: x\r\n")));
        assert_eq!(head.field(name).as_deref(), Some("v"), "{name}");
    }
}

#[test]
fn blank_lines_before_the_request_line_are_skipped() {
    let head = accept(format!("\r\n\r\n\r\n{}GET", get("/a?b")));
    assert_eq!(head.method(), "GET");
    assert_eq!(head.path(), "/a");
    assert_eq!(head.query(), Some("b"));
    assert_eq!(head.host(), Some("h"));
    assert_eq!(head.head.head_bytes, 6 + get("/a?b").len());
    let mut limits = limits();
    limits.head_bytes_max = 256;
    let (reason, _) = refuse_within("\r\n".repeat(128), &limits);
    assert_eq!(reason, Reject::HeadTooLong);
}

#[test]
fn targets_are_divided() {
    for (target, path, query) in [
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("/a/b?c=d&e", "/a/b", Some("c=d&e")),
        ("/a?b?c", "/a", Some("b?c")),
        ("/a%3Fb", "/a%3Fb", None),
        ("/a;b=c/d", "/a;b=c/d", None),
        ("//a/b", "//a/b", None),
        ("http://h:80/p/q?r", "/p/q", Some("r")),
        ("HTTPS://h/", "/", None),
        ("http://h", "", None),
        ("http://h/?a", "/", Some("a")),
    ] {
        let head = accept(get(target));
        assert_eq!(head.target(), target);
        assert_eq!(head.path(), path, "{target}");
        assert_eq!(head.query(), query, "{target}");
    }
}

#[test]
fn an_absolute_target_overrides_host() {
    let head = accept("GET http://h:81/ HTTP/1.1\r\nHost: ignored\r\n\r\n");
    assert_eq!(head.host(), Some("h:81"));
    assert_eq!(head.field("host").as_deref(), Some("ignored"));
    let head = accept("GET http://h/ HTTP/1.0\r\n\r\n");
    assert_eq!(head.host(), Some("h"));
    let head = "GET http://h/ HTTP/1.1\r\nHost: a/b\r\n\r\n";
    check_refused(head, Reject::HostMalformed, 400, "Hostname");
    for target in ["http://", "http:///a", "http://u@h/", "http://h\\a/b"] {
        check_refused(get(target), Reject::HostMalformed, 400, "Hostname");
    }
}

#[test]
fn a_target_in_a_form_of_its_own_is_refused() {
    for target in [
        "a", "h:80", "http:/h/", "ftp://h/", "http", "**", "*", "?a", "\\a", "%2Fa",
    ] {
        check_refused(get(target), Reject::TargetForm, 400, "URL");
    }
    let head = get("*a").replace("GET", "OPTIONS");
    check_refused(head, Reject::TargetForm, 400, "URL");
}

#[test]
fn options_may_ask_about_the_whole_server() {
    let head = accept(get("*").replace("GET", "OPTIONS"));
    assert!(head.head.asterisk && head.head.path_is_plain);
    assert_eq!((head.target(), head.path(), head.query()), ("*", "", None));
    let head = accept(get("/*").replace("GET", "OPTIONS"));
    assert!(!head.head.asterisk);
    assert_eq!(head.path(), "/*");
}

#[test]
fn a_path_is_plain_only_if_cooking_keeps_it() {
    for target in [
        "/",
        "/a",
        "/a/b/c.html",
        "/a?b=%2e/../",
        "//",
        "/a//b",
        "/./a",
        "/a/..",
        "/%41",
        "/a\\b",
        "/.a",
        "http://h/a/b",
        "http://h",
        "http://h//",
    ] {
        let head = accept(get(target));
        if head.head.path_is_plain {
            let mut cooked = String::new();
            cook_path(head.path().as_bytes(), &limits(), &mut cooked).unwrap();
            assert_eq!(cooked, head.path(), "{target}");
        }
    }
    assert!(accept(get("/a/b.c?d//../%2e\\")).head.path_is_plain);
}

#[test]
fn a_refusal_tells_what_was_read() {
    let head = "\r\nGET /a b HTTP/1.1\r\n";
    let (_, seen) = refuse_within(head, &limits());
    let part = |span: Option<tidegate_httpapi::Span>| {
        span.map(|span| String::from_utf8_lossy(span.of(head.as_bytes())).into_owned())
    };
    assert_eq!(part(seen.method).as_deref(), Some("GET"));
    assert_eq!(part(seen.target).as_deref(), Some("/a"));
    assert_eq!(part(seen.version), None);
    let head = b"POST /upload HTTP/1.1\r\nHost: h\r\n\r\n";
    let (_, seen) = refuse_within(head, &limits());
    assert_eq!(seen.method.unwrap().of(head), b"POST");
    assert_eq!(seen.target.unwrap().of(head), b"/upload");
    assert_eq!(seen.version.unwrap().of(head), b"HTTP/1.1");
    let (_, seen) = refuse_within("foo\r\n", &limits());
    assert_eq!((seen.target, seen.version), (None, None));
    let (_, seen) = refuse_within("GET / HTTP/2.0\r\n", &limits());
    assert_eq!(
        seen.version.map(|span| (span.start, span.len)),
        Some((6, 8))
    );
}
