//! Responses: the lines written, the framing chosen, and what an application cannot do.
#![allow(clippy::unwrap_used, reason = "the helper functions are tests, too")]

use tidegate_httpapi::{FieldBlock, ResponseHead, ServerHeaderMode, Transfer, Version};
use tidegate_proto::http1::{
    EncodedHead, ResponseContext, SentFraming, encode_chunk_header, encode_error_page, encode_head,
    encode_interim, format_date,
};

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn context() -> ResponseContext<'static> {
    ResponseContext {
        version: Version::Http11,
        head_request: false,
        keep_alive: true,
        date: DATE,
        server_token: "Tidegate/0.1",
        server_mode: ServerHeaderMode::Full,
        from_driver: false,
    }
}

fn head(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    for (name, value) in fields {
        head.fields.append(name, value).unwrap();
    }
    head
}

fn encode(
    head: &ResponseHead,
    length: Option<u64>,
    context: &ResponseContext<'_>,
) -> (String, EncodedHead) {
    let mut out = b"before".to_vec();
    let encoded = encode_head(&mut out, head, length, context);
    let text = String::from_utf8(out).unwrap();
    (text.strip_prefix("before").unwrap().into(), encoded)
}

fn lines(text: &str) -> Vec<&str> {
    assert!(text.ends_with("\r\n\r\n"), "{text:?}");
    text.trim_end().split("\r\n").collect()
}

// Case C01.
#[test]
fn a_response_has_length_date_and_server() {
    let (text, encoded) = encode(
        &head(200, &[("Content-Type", "text/plain")]),
        Some(8),
        &context(),
    );
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\
         Server: Tidegate/0.1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    );
    let expected = EncodedHead {
        framing: SentFraming::Length(8),
        close: false,
        send_content: true,
    };
    assert_eq!(encoded, expected);
}

#[test]
fn lengths_are_written_in_full() {
    let numbers = [
        0,
        1,
        9,
        10,
        99,
        100,
        999,
        1000,
        1024,
        9999,
        10_000,
        123_456_789,
        u64::MAX,
    ];
    for number in numbers {
        let (text, _) = encode(&head(200, &[]), Some(number), &context());
        assert_eq!(lines(&text)[1], format!("Content-Length: {number}"));
        assert!(lines(&text)[2].starts_with("Server: "), "{text}");
    }
}

// Case C02.
#[test]
fn the_applications_length_is_kept_and_its_date_is_not() {
    let fields = [("Content-Length", "6"), ("Date", "yesteryear")];
    let (text, encoded) = encode(&head(200, &fields), Some(8), &context());
    assert_eq!(
        lines(&text),
        [
            "HTTP/1.1 200 OK",
            "Content-Length: 6",
            "Server: Tidegate/0.1",
            "Date: Sun, 06 Nov 1994 08:49:37 GMT",
            "Connection: close",
        ]
    );
    assert_eq!(encoded.framing, SentFraming::Length(8));
    assert!(encoded.close);
    let (_, encoded) = encode(&head(200, &fields), Some(6), &context());
    assert!(!encoded.close);
    let (_, encoded) = encode(&head(200, &fields), None, &context());
    assert_eq!(encoded.framing, SentFraming::Length(6));
    assert!(!encoded.close);
}

#[test]
fn a_length_that_would_break_the_framing_is_replaced() {
    for fields in [
        &[("Content-Length", "x")][..],
        &[("Content-Length", "-1")],
        &[("Content-Length", "6, 6")],
        &[("Content-Length", "6"), ("Content-Length", "7")],
        &[("Content-Length", "6"), ("content-length", "6")],
        &[("Content-Length", "99999999999999999999")],
    ] {
        let (text, encoded) = encode(&head(200, fields), Some(8), &context());
        let lengths: Vec<_> = lines(&text)
            .into_iter()
            .filter(|line| line.to_lowercase().contains("length"))
            .collect();
        assert_eq!(lengths, ["Content-Length: 8"]);
        assert!(!encoded.close);
    }
}

// Case C03.
#[test]
fn unknown_length_until_close_has_neither_length_nor_coding() {
    let mut given = head(200, &[]);
    given.transfer = Transfer::UntilClose;
    let (text, encoded) = encode(&given, None, &context());
    let lower = text.to_lowercase();
    assert!(!lower.contains("content-length") && !lower.contains("transfer-encoding"));
    assert!(lower.contains("connection: close"));
    assert_eq!(encoded.framing, SentFraming::UntilClose);
    assert!(encoded.close && encoded.send_content);
}

#[test]
fn unknown_length_is_chunked_for_1_1_and_until_close_for_1_0() {
    let (text, encoded) = encode(&head(200, &[]), None, &context());
    assert!(text.contains("\r\nTransfer-Encoding: chunked\r\n"));
    assert_eq!(encoded.framing, SentFraming::Chunked);
    assert!(!encoded.close);
    let old = ResponseContext {
        version: Version::Http10,
        ..context()
    };
    let (text, encoded) = encode(&head(200, &[]), None, &old);
    assert!(!text.contains("Transfer-Encoding") && text.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(encoded.framing, SentFraming::UntilClose);
    assert!(encoded.close);
}

#[test]
fn http_1_0_is_answered_with_1_1_and_closed() {
    let old = ResponseContext {
        version: Version::Http10,
        ..context()
    };
    let (text, encoded) = encode(&head(200, &[]), Some(2), &old);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("Connection: close\r\n\r\n"));
    assert!(encoded.close);
}

#[test]
fn some_statuses_have_no_content_and_no_length() {
    for (status, fields) in [
        (204, &[][..]),
        (304, &[]),
        (101, &[("Connection", "Upgrade"), ("Upgrade", "websocket")]),
        (
            204,
            &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
        ),
    ] {
        for length in [Some(5), Some(0), None] {
            let (text, encoded) = encode(&head(status, fields), length, &context());
            assert!(
                !text.contains("Content-Length") && !text.contains("Transfer-Encoding"),
                "{text}"
            );
            assert_eq!(encoded.framing, SentFraming::None);
            assert!(!encoded.send_content && !encoded.close);
        }
    }
    // What 200 would have had.
    let (text, encoded) = encode(&head(304, &[("Content-Length", "5")]), Some(0), &context());
    assert!(text.contains("\r\nContent-Length: 5\r\n"));
    assert_eq!(encoded.framing, SentFraming::None);
}

#[test]
fn head_keeps_the_length_and_sends_no_content() {
    let asked = ResponseContext {
        head_request: true,
        ..context()
    };
    for (fields, length, line) in [
        (&[][..], Some(5), Some("Content-Length: 5")),
        (
            &[("Content-Length", "7")],
            Some(0),
            Some("Content-Length: 7"),
        ),
        (&[("Content-Length", "7")], None, Some("Content-Length: 7")),
        (&[], Some(0), None),
        (&[], None, None),
    ] {
        let (text, encoded) = encode(&head(200, fields), length, &asked);
        let found = lines(&text)
            .into_iter()
            .find(|line| line.starts_with("Content-Length"));
        assert_eq!(found, line);
        assert!(!text.contains("Transfer-Encoding"));
        assert_eq!(encoded.framing, SentFraming::None);
        assert!(!encoded.send_content && !encoded.close);
    }
}

#[test]
fn an_application_cannot_choose_the_transfer_coding() {
    for value in ["chunked", "gzip", "identity"] {
        let (text, encoded) = encode(
            &head(200, &[("transfer-encoding", value)]),
            Some(5),
            &context(),
        );
        assert!(!text.to_lowercase().contains("transfer-encoding"));
        assert_eq!(encoded.framing, SentFraming::Length(5));
        let (text, _) = encode(
            &head(200, &[("Transfer-Encoding", value)]),
            None,
            &context(),
        );
        assert_eq!(text.matches("Transfer-Encoding: chunked").count(), 1);
    }
}

#[test]
fn the_applications_connection_is_obeyed_not_copied() {
    for (value, close, line) in [
        ("close", true, None),
        ("Close, X,, y", true, Some("Connection: X, y")),
        ("keep-alive", false, None),
        ("Keep-Alive, Upgrade", false, Some("Connection: Upgrade")),
    ] {
        let (text, encoded) = encode(&head(200, &[("Connection", value)]), Some(0), &context());
        assert_eq!(encoded.close, close, "{value}");
        assert_eq!(text.contains("Connection: close\r\n"), close);
        let other = lines(&text)
            .into_iter()
            .find(|line| line.starts_with("Connection") && !line.ends_with("close"));
        assert_eq!(other, line);
        assert!(!text.to_lowercase().contains("keep-alive"));
    }
}

#[test]
fn every_reason_to_close_is_told() {
    let closes = |head: &ResponseHead, context: &ResponseContext<'_>| {
        let (text, encoded) = encode(head, Some(0), context);
        assert_eq!(text.ends_with("Connection: close\r\n\r\n"), encoded.close);
        encoded.close
    };
    assert!(!closes(&head(200, &[]), &context()));
    assert!(closes(
        &head(200, &[]),
        &ResponseContext {
            keep_alive: false,
            ..context()
        }
    ));
    let mut disconnect = head(200, &[]);
    disconnect.close = true;
    assert!(closes(&disconnect, &context()));
    assert!(closes(
        &disconnect,
        &ResponseContext {
            head_request: true,
            ..context()
        }
    ));
}

#[test]
fn the_servers_name_follows_the_applications() {
    use ServerHeaderMode::{Full, Never, NotOnErrors};
    let own = [("Server", "Mine/1")];
    for (mode, from_driver, fields, server) in [
        (Full, false, &[][..], Some("Server: Tidegate/0.1")),
        (Full, true, &[], Some("Server: Tidegate/0.1")),
        (Full, false, &own, Some("Server: Mine/1 Tidegate/0.1")),
        (NotOnErrors, false, &[], Some("Server: Tidegate/0.1")),
        (NotOnErrors, true, &[], None),
        (
            NotOnErrors,
            false,
            &own,
            Some("Server: Mine/1 Tidegate/0.1"),
        ),
        (Never, false, &[], None),
        (Never, true, &[], None),
        (Never, false, &own, Some("Server: Mine/1")),
    ] {
        let context = ResponseContext {
            server_mode: mode,
            from_driver,
            ..context()
        };
        let (text, _) = encode(&head(200, fields), Some(0), &context);
        let found: Vec<_> = lines(&text)
            .into_iter()
            .filter(|line| line.starts_with("Server"))
            .collect();
        assert_eq!(found, server.into_iter().collect::<Vec<_>>(), "{mode:?}");
    }
    let nameless = ResponseContext {
        server_token: "",
        ..context()
    };
    assert!(
        !encode(&head(200, &[]), Some(0), &nameless)
            .0
            .contains("Server")
    );
    assert!(
        encode(&head(200, &own), Some(0), &nameless)
            .0
            .contains("Server: Mine/1\r\n")
    );
}

#[test]
fn status_lines_are_well_formed() {
    for (status, line) in [
        (200, "HTTP/1.1 200 OK"),
        (404, "HTTP/1.1 404 Not Found"),
        (299, "HTTP/1.1 299 "),
        (999, "HTTP/1.1 999 "),
        (0, "HTTP/1.1 500 Internal Server Error"),
        (99, "HTTP/1.1 500 Internal Server Error"),
        (1000, "HTTP/1.1 500 Internal Server Error"),
    ] {
        assert_eq!(
            lines(&encode(&head(status, &[]), Some(0), &context()).0)[0],
            line
        );
    }
    let mut own = head(200, &[]);
    own.reason = Some("Fine".into());
    assert_eq!(
        lines(&encode(&own, Some(0), &context()).0)[0],
        "HTTP/1.1 200 Fine"
    );
    own.reason = Some("".into());
    assert_eq!(
        lines(&encode(&own, Some(0), &context()).0)[0],
        "HTTP/1.1 200 "
    );
    for split in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "a\x7Fb"] {
        own.reason = Some(split.into());
        assert_eq!(
            lines(&encode(&own, Some(0), &context()).0)[0],
            "HTTP/1.1 200 OK"
        );
    }
}

#[test]
fn interim_responses_carry_no_framing() {
    let mut out = Vec::new();
    encode_interim(&mut out, 100, &FieldBlock::new());
    assert_eq!(out, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut fields = FieldBlock::new();
    fields.append("Link", "</a.css>; rel=preload").unwrap();
    fields.append("Content-Length", "5").unwrap();
    fields.append("Transfer-Encoding", "chunked").unwrap();
    out.clear();
    encode_interim(&mut out, 103, &fields);
    assert_eq!(
        out,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    );
}

#[test]
fn chunk_sizes_are_hexadecimal() {
    for (len, line) in [
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (0xABCDEF, "abcdef\r\n"),
        (usize::MAX, "ffffffffffffffff\r\n"),
    ] {
        let mut out = Vec::new();
        encode_chunk_header(&mut out, len);
        assert_eq!(out, line.as_bytes());
    }
}

#[test]
fn an_error_page_names_the_code_and_closes() {
    let mut out = Vec::new();
    let encoded = encode_error_page(
        &mut out,
        400,
        "",
        "The <Host> is \"wrong\" & \u{e9}.",
        &context(),
    );
    assert!(encoded.close);
    let text = String::from_utf8(out).unwrap();
    let (head, page) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    assert!(head.contains("\r\nContent-Type: text/html; charset=us-ascii\r\n"));
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", page.len())));
    assert!(head.ends_with("\r\nConnection: close"));
    assert!(page.is_ascii());
    assert!(page.contains("<title>Bad Request</title>") && page.contains("<h2>Bad Request</h2>"));
    assert!(
        page.contains("<hr>")
            && page.contains("HTTP error 400. The &lt;Host&gt; is &quot;wrong&quot; &amp; ?.")
    );
}

#[test]
fn an_error_page_may_have_a_specific_reason_phrase() {
    let mut out = Vec::new();
    encode_error_page(
        &mut out,
        503,
        "Request Queue Full",
        "Try again.",
        &context(),
    );
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 Request Queue Full\r\n"));
    assert!(text.contains("<h2>Request Queue Full</h2>"));
}

#[test]
fn an_error_page_for_head_is_its_head() {
    let mut out = Vec::new();
    let asked = ResponseContext {
        head_request: true,
        ..context()
    };
    let encoded = encode_error_page(&mut out, 404, "", "No such URL.", &asked);
    assert!(encoded.close && !encoded.send_content);
    assert!(out.ends_with(b"Connection: close\r\n\r\n"));
    assert!(String::from_utf8(out).unwrap().contains("Content-Length: "));
    let quiet = ResponseContext {
        server_mode: ServerHeaderMode::NotOnErrors,
        ..context()
    };
    let mut out = Vec::new();
    encode_error_page(&mut out, 404, "", "No such URL.", &quiet);
    assert!(!String::from_utf8(out).unwrap().contains("Server"));
}

#[test]
fn dates_are_imf_fixdates() {
    for (seconds, date) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (1_735_689_600, "Wed, 01 Jan 2025 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        assert_eq!(std::str::from_utf8(&format_date(seconds)).unwrap(), date);
    }
}
