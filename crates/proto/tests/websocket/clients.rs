//! The client's side of the opening handshake.

use tidegate_proto::websocket::{ClientHandshake, UpgradeError, UpgradeRequestError};

fn request() -> ClientHandshake {
    ClientHandshake {
        protocols: vec!["chat".into(), "superchat".into()],
        extensions: Some("permessage-deflate; client_max_window_bits".into()),
        ..ClientHandshake::new("server.example.com", "/chat?a=b", *b"the sample nonce")
    }
}

const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// The usual answer with these lines more.
fn answer_with(lines: &str) -> String {
    let head = ANSWER
        .strip_suffix("\r\n")
        .expect("it ends in an empty line");
    format!("{head}{lines}\r\n")
}

#[track_caller]
fn check_refused(answer: &str, error: UpgradeError) {
    let found = request().check(answer.as_bytes());
    assert_eq!(found.map(|_| ()), Err(error), "{answer}");
}

// RFC 6455 §1.2.
#[test]
fn the_request_is_as_the_standard_shows() {
    let mut request = request();
    request.origin = Some("http://example.com".into());
    request.fields.append("Cookie", "a=b").unwrap();
    let mut bytes = Vec::new();
    request.encode(&mut bytes).unwrap();
    let expected = "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com\r\n\
        Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
        Cookie: a=b\r\n\r\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn what_would_not_be_one_request_is_not_sent() {
    let refused = |change: fn(&mut ClientHandshake)| {
        let mut request = request();
        change(&mut request);
        let mut bytes = Vec::new();
        let error = request.encode(&mut bytes).unwrap_err();
        assert!(bytes.is_empty());
        error
    };
    for target in ["", "chat", "/a b", "/a\r\nX: y", "/a#b", "/é"] {
        let request = ClientHandshake::new("h", target, [0; 16]);
        let error = request.encode(&mut Vec::new());
        assert_eq!(error, Err(UpgradeRequestError::Target(target.into())));
    }
    let field = |error| matches!(error, UpgradeRequestError::Field(_));
    assert!(field(refused(|request| request.host = "h\r\nX: y".into())));
    assert!(field(refused(|request| request.origin = Some("\n".into()))));
    assert_eq!(
        refused(|request| request.protocols.push("a, b".into())),
        UpgradeRequestError::Protocol("a, b".into())
    );
    assert!(matches!(
        refused(|request| request.extensions = Some("a b".into())),
        UpgradeRequestError::Extensions(_)
    ));
}

#[test]
fn an_answer_is_accepted_when_it_is_whole() {
    let answer = answer_with("Sec-WebSocket-Protocol: superchat\r\n");
    for end in 0..answer.len() {
        assert!(
            request()
                .check(&answer.as_bytes()[..end])
                .unwrap()
                .is_none()
        );
    }
    let with_frame = format!("{answer}\u{1}");
    let request = request();
    let accepted = request.check(with_frame.as_bytes()).unwrap().unwrap();
    assert_eq!(accepted.head_bytes, answer.len());
    assert_eq!(accepted.protocol, Some("superchat"));
    assert_eq!(accepted.extensions().iter().count(), 0);
}

#[test]
fn interim_responses_are_skipped() {
    let answer =
        format!("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100\r\n\r\n{ANSWER}");
    let request = request();
    let accepted = request.check(answer.as_bytes()).unwrap().unwrap();
    assert_eq!(accepted.head_bytes, answer.len());
}

#[test]
fn fields_are_lists_in_any_letter_case() {
    let answer = "HTTP/1.1 101\r\nUPGRADE: foo, WebSocket\r\nconnection: keep-alive\r\n\
        Connection:upgrade\r\nsec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; x=y\r\n\r\n";
    let request = request();
    let accepted = request.check(answer.as_bytes()).unwrap().unwrap();
    assert_eq!(accepted.extensions().iter().count(), 2);
}

#[test]
fn what_is_wrong_with_an_answer_is_said() {
    for (status, code) in [("200 OK", 200), ("403 Forbidden", 403), ("302", 302)] {
        let answer = format!("HTTP/1.1 {status}\r\n\r\n");
        check_refused(&answer, UpgradeError::Status(code));
    }
    let without = |line: &str| {
        let answer = ANSWER.replace(line, "");
        assert_ne!(answer, ANSWER);
        answer
    };
    check_refused(&without("Upgrade: websocket\r\n"), UpgradeError::Upgrade);
    check_refused(
        &without("Connection: Upgrade\r\n"),
        UpgradeError::Connection,
    );
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    check_refused(&without(accept), UpgradeError::Accept);
    check_refused(&answer_with(accept), UpgradeError::Accept);
    check_refused(&ANSWER.replace("s3p", "S3p"), UpgradeError::Accept);
    check_refused(
        &answer_with("Sec-WebSocket-Protocol: CHAT\r\n"),
        UpgradeError::Protocol("CHAT".into()),
    );
    check_refused(
        &answer_with("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat\r\n"),
        UpgradeError::ProtocolMalformed,
    );
    check_refused(
        &answer_with("Sec-WebSocket-Extensions: x-other\r\n"),
        UpgradeError::Extension("x-other".into()),
    );
    check_refused(
        &answer_with("Sec-WebSocket-Extensions: permessage-deflate;\r\n"),
        UpgradeError::ExtensionsMalformed,
    );
}

#[test]
fn what_is_no_response_is_refused() {
    for bad in [
        "SSH-2.0-OpenSSH",
        "HTTP/1.0 101 a\r\n\r\n",
        "HTTP/1.1 101a\r\n\r\n",
        "HTTP/1.1 1O1 a\r\n\r\n",
        "HTTP/1.1 099 a\r\n\r\n",
        "HTTP/1.1 600 a\r\n\r\n",
        "HTTP/1.1  101 a\r\n\r\n",
        "HTTP/1.1 101 a\nb\r\n\r\n",
        "HTTP/1.1 101 a\r\nA\r\n\r\n",
        "HTTP/1.1 101 a\r\nA : b\r\n\r\n",
        "HTTP/1.1 101 a\r\n: b\r\n\r\n",
        "HTTP/1.1 101 a\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 101 a\r\nA: b\nB: c\r\n\r\n",
        "HTTP/1.1 101 a\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 101 a\r\nA: \0\r\n\r\n",
    ] {
        check_refused(bad, UpgradeError::Malformed);
    }
    let long = format!("HTTP/1.1 101 a\r\nA: {}", "a".repeat(70_000));
    check_refused(&long, UpgradeError::Malformed);
    assert!(
        request()
            .check(&long.as_bytes()[..60_000])
            .unwrap()
            .is_none()
    );
}
