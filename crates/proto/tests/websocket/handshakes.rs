//! The server's side of the opening handshake.

use std::sync::Arc;

use tidegate_httpapi::{
    ConnectionId, ContentFraming, FieldBlock, FieldSpan, Fields, KnownField, Registration,
    RequestHead, RequestId, RequestLimits, RequestLine, Span, Version,
};
use tidegate_proto::http1::{Parsed, parse_head};
use tidegate_proto::websocket::{
    Handshake, HandshakeError, HandshakeRules, accept_key, is_extended_connect, is_upgrade,
};

const RULES: HandshakeRules = HandshakeRules {
    enforce_version: true,
    validate_key: true,
};

/// RFC 6455 §1.2, without what the cases vary.
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";

/// Parses a request with this line and these fields, and hands it over.
fn with_head<T>(line: &str, fields: &str, look: impl FnOnce(&RequestHead<'_>) -> T) -> T {
    let bytes = format!("{line}\r\nHost: h\r\n{fields}\r\n");
    let mut spans = Vec::new();
    let parsed = parse_head(bytes.as_bytes(), &RequestLimits::default(), &mut spans);
    let Parsed::Head(head) = parsed else {
        panic!("{bytes}: {parsed:?}");
    };
    let registration = Arc::new(Registration {
        prefix: "http://h:80/".parse().expect("a prefix"),
        context: 0,
    });
    look(&RequestHead {
        bytes: bytes.as_bytes(),
        line: &head.line,
        fields: Fields::new(bytes.as_bytes(), &spans),
        cooked_path: "/",
        framing: head.framing,
        expects_continue: head.expects_continue,
        registration: &registration,
        connection_id: ConnectionId(1),
        request_id: RequestId(1),
    })
}

#[track_caller]
fn check(fields: &str, rules: &HandshakeRules, expected: Result<(), HandshakeError>) {
    let parsed = with_head("GET / HTTP/1.1", fields, |head| {
        Handshake::parse(head, rules).map(|_| ())
    });
    assert_eq!(parsed, expected, "{fields}");
}

#[track_caller]
fn check_refused(fields: &str, error: HandshakeError, status: u16) {
    check(fields, &RULES, Err(error));
    assert_eq!(error.status(), status);
}

// RFC 6455 §1.2 and §1.3.
#[test]
fn the_standard_s_handshake_is_answered_as_shown() {
    let fields = format!(
        "{UPGRADE}{KEY}Origin: http://example.com\r\n\
         Sec-WebSocket-Protocol: chat, superchat\r\n{VERSION}"
    );
    with_head("GET /chat HTTP/1.1", &fields, |head| {
        assert!(is_upgrade(head));
        let handshake = Handshake::parse(head, &RULES).unwrap();
        assert_eq!(handshake.origin(), Some("http://example.com"));
        assert!(handshake.protocols().eq(["chat", "superchat"]));
        assert_eq!(handshake.extensions().iter().count(), 0);
        let protocol = handshake.choose_protocol(|name| *name == "chat");
        let mut fields = FieldBlock::new();
        handshake.accept(&mut fields, protocol, None).unwrap();
        assert_eq!(
            fields.as_bytes(),
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
              Sec-WebSocket-Protocol: chat\r\n"
        );
    });
}

#[test]
fn upgrade_and_connection_are_lists_in_any_letter_case() {
    let asks = |line, fields: &str| with_head(line, fields, is_upgrade);
    for fields in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "upgrade: WebSocket\r\nCONNECTION: keep-alive, Upgrade\r\n",
        "Upgrade: foo, WEBSOCKET\r\nConnection: upgrade,keep-alive\r\n",
        "Upgrade: foo\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n",
        "Upgrade: ,websocket ,\r\nConnection: ,\tupgrade\r\n",
    ] {
        assert!(asks("GET / HTTP/1.1", fields), "{fields}");
        assert!(!asks("GET / HTTP/1.0", fields), "{fields}");
    }
    for fields in [
        "",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: keep-alive\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "Upgrade: websockets\r\nConnection: Upgrade\r\n",
        "Upgrade: web socket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgraded\r\n",
    ] {
        assert!(!asks("GET / HTTP/1.1", fields), "{fields}");
        check_refused(
            &format!("{fields}{KEY}{VERSION}"),
            HandshakeError::NotAnUpgrade,
            400,
        );
    }
}

#[test]
fn only_get_without_content_upgrades() {
    let valid = format!("{UPGRADE}{KEY}{VERSION}");
    let parse = |line: &str, fields: &str| {
        with_head(line, fields, |head| {
            Handshake::parse(head, &RULES).map(|_| ())
        })
    };
    for method in ["POST", "HEAD", "DELETE"] {
        let fields = format!("{valid}Content-Length: 0\r\n");
        let error = parse(&format!("{method} / HTTP/1.1"), &fields);
        assert_eq!(error, Err(HandshakeError::Method));
    }
    assert_eq!(HandshakeError::Method.status(), 405);
    assert_eq!(HandshakeError::Method.fields(), [("Allow", "GET")]);
    let old = parse("GET / HTTP/1.0", &valid);
    assert_eq!(old, Err(HandshakeError::NotAnUpgrade));
    assert_eq!(
        parse("GET / HTTP/1.1", &format!("{valid}Content-Length: 0\r\n")),
        Ok(())
    );
    for content in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
        check_refused(&format!("{valid}{content}"), HandshakeError::Content, 400);
    }
}

#[test]
fn the_version_is_13() {
    for version in [
        "",
        "Sec-WebSocket-Version: 8\r\n",
        "Sec-WebSocket-Version: 13, 8\r\n",
    ] {
        let fields = format!("{UPGRADE}{KEY}{version}");
        check_refused(&fields, HandshakeError::Version, 426);
        let lenient = HandshakeRules {
            enforce_version: false,
            ..RULES
        };
        check(&fields, &lenient, Ok(()));
    }
    let twice = format!("{UPGRADE}{KEY}{VERSION}{VERSION}");
    check_refused(&twice, HandshakeError::VersionRepeated, 400);
    assert!(
        HandshakeError::Version
            .fields()
            .contains(&("Sec-WebSocket-Version", "13"))
    );
}

#[test]
fn the_key_is_16_bytes_in_base64() {
    for key in [
        "",
        "Sec-WebSocket-Key:\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub-5jZQ==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSAhISEh\r\n",
    ] {
        let fields = format!("{UPGRADE}{VERSION}{key}");
        check_refused(&fields, HandshakeError::Key, 400);
        let lenient = HandshakeRules {
            validate_key: false,
            ..RULES
        };
        check(&fields, &lenient, Ok(()));
    }
    let twice = format!("{UPGRADE}{VERSION}{KEY}{KEY}");
    check_refused(&twice, HandshakeError::KeyRepeated, 400);
}

#[test]
fn sub_protocols_are_tokens_and_the_client_s_order_decides() {
    let valid = format!("{UPGRADE}{KEY}{VERSION}");
    let fields = format!("{valid}Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: ,c ,\r\n");
    with_head("GET / HTTP/1.1", &fields, |head| {
        let handshake = Handshake::parse(head, &RULES).unwrap();
        assert!(handshake.protocols().eq(["a", "b", "c"]));
        let choose =
            |supported: &[&str]| handshake.choose_protocol(|name| supported.contains(name));
        assert_eq!(choose(&["c", "b"]), Some("b"));
        assert_eq!(choose(&["A", "d"]), None);
    });
    for bad in ["a b", "a;b", "\"a\"", "a, b/c", "é"] {
        let fields = format!("{valid}Sec-WebSocket-Protocol: {bad}\r\n");
        check_refused(&fields, HandshakeError::Protocol, 400);
    }
}

#[test]
fn extensions_follow_their_grammar() {
    let valid = format!("{UPGRADE}{KEY}{VERSION}");
    let fields = format!(
        "{valid}Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
         Sec-WebSocket-Extensions: x-other\r\n"
    );
    with_head("GET / HTTP/1.1", &fields, |head| {
        let handshake = Handshake::parse(head, &RULES).unwrap();
        let extensions = handshake.extensions();
        let names = extensions.iter().map(|extension| extension.name);
        assert!(names.eq(["permessage-deflate", "x-other"]));
    });
    for bad in ["a;", "a b", "a;b=\"c"] {
        let fields = format!("{valid}Sec-WebSocket-Extensions: {bad}\r\n");
        check_refused(&fields, HandshakeError::Extensions, 400);
    }
}

#[test]
fn there_is_one_origin() {
    let valid = format!("{UPGRADE}{KEY}{VERSION}");
    let twice = format!("{valid}Origin: http://a\r\nOrigin: http://b\r\n");
    check_refused(&twice, HandshakeError::Origin, 400);
}

#[test]
fn the_accept_key_is_the_hash_of_key_and_guid() {
    // RFC 6455 §1.3 and §4.1's key.
    for (key, accept) in [
        (
            &b"dGhlIHNhbXBsZSBub25jZQ=="[..],
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ),
        (b"x3JJHMbDL1EzLkh9GBhXDw==", b"HSmrc0sMlYUkAGmm5OPpG2HaGWk="),
    ] {
        assert_eq!(&accept_key(key), accept);
    }
}

/// A request as an HTTP/2 stream brings it, with these pseudo-header fields and these fields.
fn on_stream<T>(
    (method, protocol): (&str, Option<&str>),
    fields: &[(&str, &str)],
    framing: ContentFraming,
    look: impl FnOnce(&RequestHead<'_>) -> T,
) -> T {
    let mut bytes = Vec::new();
    let mut put = |text: &str| {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(text.as_bytes());
        Span {
            start,
            len: text.len() as u32,
        }
    };
    let line = RequestLine {
        method: put(method),
        target: put("/chat"),
        authority: None,
        path: Span { start: 0, len: 0 },
        query: None,
        version: Version::Http2,
        protocol: protocol.map(&mut put),
    };
    let spans: Vec<_> = fields
        .iter()
        .map(|(name, value)| (put(name), put(value)))
        .map(|(name, value)| FieldSpan {
            name_start: name.start,
            name_len: name.len as u16,
            value_start: value.start,
            value_len: value.len,
            known: KnownField::Other,
        })
        .collect();
    let registration = Arc::new(Registration {
        prefix: "http://h:80/".parse().expect("a prefix"),
        context: 0,
    });
    look(&RequestHead {
        bytes: &bytes,
        line: &line,
        fields: Fields::new(&bytes, &spans),
        cooked_path: "/chat",
        framing,
        expects_continue: false,
        registration: &registration,
        connection_id: ConnectionId(1),
        request_id: RequestId(2),
    })
}

const CONNECT: (&str, Option<&str>) = ("CONNECT", Some("websocket"));

#[track_caller]
fn check_stream(fields: &[(&str, &str)], rules: &HandshakeRules, expected: Option<HandshakeError>) {
    let error = on_stream(CONNECT, fields, ContentFraming::None, |head| {
        Handshake::parse(head, rules).err()
    });
    assert_eq!(error, expected, "{fields:?}");
}

// RFC 8441 §5.1.
#[test]
fn the_standard_s_handshake_on_a_stream_is_answered_as_shown() {
    let fields = [
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-version", "13"),
        ("origin", "http://www.example.com"),
    ];
    // A stream that is open both ways may look as if it had content of unknown length.
    for framing in [ContentFraming::None, ContentFraming::Chunked] {
        on_stream(CONNECT, &fields, framing, |head| {
            assert!(is_extended_connect(head) && !is_upgrade(head));
            let handshake = Handshake::parse(head, &RULES).unwrap();
            assert_eq!(handshake.status(), 200);
            assert_eq!(handshake.origin(), Some("http://www.example.com"));
            assert_eq!(handshake.extensions().iter().count(), 1);
            let protocol = handshake.choose_protocol(|name| *name == "chat");
            let mut fields = FieldBlock::new();
            let extensions = Some("permessage-deflate");
            handshake.accept(&mut fields, protocol, extensions).unwrap();
            assert_eq!(
                fields.as_bytes(),
                b"Sec-WebSocket-Protocol: chat\r\n\
                  Sec-WebSocket-Extensions: permessage-deflate\r\n"
            );
        });
    }
}

#[test]
fn only_an_extended_connect_for_websocket_asks_for_a_stream() {
    let upgrade = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    for (line, asks) in [
        (("CONNECT", Some("websocket")), true),
        (("CONNECT", Some("WebSocket")), true),
        (("CONNECT", Some("websockets")), false),
        (("CONNECT", Some("connect-udp")), false),
        (("CONNECT", None), false),
        (("GET", Some("websocket")), false),
        // RFC 9113 §8.6: no upgrades.
        (("GET", None), false),
    ] {
        on_stream(line, &upgrade, ContentFraming::None, |head| {
            assert_eq!(is_extended_connect(head), asks, "{line:?}");
            assert!(!is_upgrade(head), "{line:?}");
            assert_eq!(Handshake::parse(head, &RULES).is_ok(), asks, "{line:?}");
        });
    }
}

// RFC 8441 §5: all but the key is as in RFC 6455.
#[test]
fn the_rules_of_a_stream_s_handshake_are_those_of_an_upgrade_but_for_the_key() {
    let version = ("sec-websocket-version", "13");
    check_stream(&[version], &RULES, None);
    check_stream(&[version, ("sec-websocket-key", "odd")], &RULES, None);
    let key = ("sec-websocket-key", "odd");
    check_stream(&[version, key, key], &RULES, None);
    for fields in [&[][..], &[("sec-websocket-version", "8")]] {
        check_stream(fields, &RULES, Some(HandshakeError::StreamVersion));
        let lenient = HandshakeRules {
            enforce_version: false,
            ..RULES
        };
        check_stream(fields, &lenient, None);
    }
    // RFC 9113 §8.2.2: 426 with its Upgrade cannot be said.
    assert_eq!(HandshakeError::StreamVersion.status(), 400);
    assert_eq!(
        HandshakeError::StreamVersion.fields(),
        [("Sec-WebSocket-Version", "13")]
    );
    for (fields, error) in [
        ([version, version], HandshakeError::VersionRepeated),
        (
            [version, ("sec-websocket-protocol", "a b")],
            HandshakeError::Protocol,
        ),
        (
            [version, ("sec-websocket-extensions", ";")],
            HandshakeError::Extensions,
        ),
    ] {
        check_stream(&fields, &RULES, Some(error));
    }
    let origin = ("origin", "http://a");
    check_stream(
        &[version, origin, origin],
        &RULES,
        Some(HandshakeError::Origin),
    );
    let error = on_stream(CONNECT, &[version], ContentFraming::Length(1), |head| {
        Handshake::parse(head, &RULES).err()
    });
    assert_eq!(error, Some(HandshakeError::Content));
}
