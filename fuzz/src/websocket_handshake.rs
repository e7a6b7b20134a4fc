//! The opening handshake, any bytes: no panic as server and as client; a beginning of an answer gets no
//! verdict or the final one; and two ends of ours understand each other.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::{
    ConnectionId, FieldBlock, Fields, Registration, RequestHead, RequestId, RequestLimits,
};
use tidegate_proto::http1::{Parsed, parse_head};
use tidegate_proto::websocket::{
    ClientHandshake, ExtensionList, Handshake, HandshakeError, HandshakeRules, OriginList,
    is_upgrade,
};

fuzz_target!(|bytes: &[u8]| {
    for rules in [
        HandshakeRules::default(),
        HandshakeRules {
            enforce_version: false,
            validate_key: false,
        },
    ] {
        with_head(bytes, |head| serve(head, &rules));
    }
    check_answer(bytes);
    check_both_ends(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(list) = text.parse::<OriginList>()
    {
        assert!(list.allows(None));
        assert!(!list.is_empty() || list.allows(Some("http://a")));
    }
});

/// Parses a request's head and looks at it, if it is one.
fn with_head<T>(bytes: &[u8], look: impl FnOnce(&RequestHead<'_>) -> T) -> Option<T> {
    static REGISTRATION: LazyLock<Arc<Registration>> = LazyLock::new(|| {
        Arc::new(Registration {
            prefix: "http://+:80/".parse().unwrap(),
            context: 0,
        })
    });
    let mut spans = Vec::new();
    let Parsed::Head(head) = parse_head(bytes, &RequestLimits::default(), &mut spans) else {
        return None;
    };
    Some(look(&RequestHead {
        bytes,
        line: &head.line,
        fields: Fields::new(bytes, &spans),
        cooked_path: "/",
        framing: head.framing,
        expects_continue: head.expects_continue,
        registration: &REGISTRATION,
        connection_id: ConnectionId(1),
        request_id: RequestId(1),
    }))
}

fn serve(head: &RequestHead<'_>, rules: &HandshakeRules) {
    match Handshake::parse(head, rules) {
        Ok(handshake) => {
            assert!(is_upgrade(head) && head.method() == "GET");
            let protocol = handshake.choose_protocol(|_| true);
            let extensions = text_of(handshake.extensions());
            assert!(ExtensionList::parse(extensions.as_bytes()).is_ok());
            let mut fields = FieldBlock::new();
            handshake
                .accept(&mut fields, protocol, Some(&extensions))
                .unwrap();
            assert!(fields.as_bytes().ends_with(b"\r\n"));
        }
        Err(error) => {
            assert!((400..500).contains(&error.status()));
            assert!(
                is_upgrade(head) || error == HandshakeError::NotAnUpgrade || head.method() != "GET"
            );
        }
    }
}

/// Writes a list anew, and checks that it is read as the same.
fn text_of(list: ExtensionList<'_>) -> String {
    let written: Vec<String> = list
        .iter()
        .map(|extension| {
            let mut text = extension.name.to_owned();
            for (name, value) in extension.params() {
                text.push_str("; ");
                text.push_str(name);
                if let Some(value) = value {
                    text.push('=');
                    text.push_str(&value);
                }
            }
            text
        })
        .collect();
    let written = written.join(", ");
    let again = ExtensionList::parse(written.as_bytes()).unwrap();
    assert!(again.iter().count() == list.iter().count());
    for (before, after) in list.iter().zip(again.iter()) {
        assert_eq!(before.name, after.name);
        assert!(before.params().eq(after.params()));
    }
    written
}

fn check_answer(bytes: &[u8]) {
    let client = ClientHandshake {
        protocols: vec!["chat".into(), "superchat".into()],
        extensions: Some("permessage-deflate".into()),
        ..ClientHandshake::new("h", "/", *b"the sample nonce")
    };
    let seen = |bytes| {
        let accepted = client.check(bytes).transpose()?;
        Some(accepted.map(|accepted| {
            assert!(accepted.head_bytes <= bytes.len());
            let extensions = text_of(accepted.extensions());
            (
                accepted.head_bytes,
                accepted.protocol.map(str::to_owned),
                extensions,
            )
        }))
    };
    let whole = seen(bytes);
    for end in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        let beginning = seen(&bytes[..end]);
        assert!(beginning.is_none() || beginning == whole, "at {end}");
    }
}

/// A client that asks with parts of the input is understood, and understands the answer.
fn check_both_ends(bytes: &[u8]) {
    let mut parts = bytes
        .split(|&byte| byte == b'\n')
        .map(String::from_utf8_lossy);
    let mut part = || parts.next().map(String::from);
    let (Some(protocol), Some(extensions)) = (part(), part()) else {
        return;
    };
    let client = ClientHandshake {
        protocols: vec![protocol],
        extensions: Some(extensions),
        origin: part(),
        ..ClientHandshake::new("h", part().unwrap_or("/".into()), [bytes.len() as u8; 16])
    };
    let mut request = Vec::new();
    if client.encode(&mut request).is_err() {
        return;
    }
    let answer = with_head(&request, |head| {
        let Ok(handshake) = Handshake::parse(head, &HandshakeRules::default()) else {
            panic!("{:?}", String::from_utf8_lossy(&request));
        };
        let mut fields = FieldBlock::new();
        let protocol = handshake.choose_protocol(|_| true);
        let extensions = text_of(handshake.extensions());
        handshake
            .accept(&mut fields, protocol, Some(&extensions))
            .unwrap();
        let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        answer.extend_from_slice(fields.as_bytes());
        answer.extend_from_slice(b"\r\n");
        answer
    });
    // The parser of requests refuses more targets than a client does.
    let Some(answer) = answer else {
        return;
    };
    let accepted = client.check(&answer).unwrap().unwrap();
    assert_eq!(accepted.head_bytes, answer.len());
    assert_eq!(accepted.protocol, Some(&client.protocols[0][..]));
}
