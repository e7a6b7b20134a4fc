//! Records: split anywhere, long, closed, with new keys, broken.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};

use super::peer::{Identity, Numbers, VERSIONS, Wire, client, only};
use crate::tls::session::{FailureKind, StepEvent};

#[test]
fn requests_and_answers_pass() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for version in VERSIONS {
        let client = Arc::new(client(&[&identity.certificate], &[version]));
        for is_resumed in [false, true] {
            let mut wire = Wire::new(&client, "h", &bindings);
            wire.client_says(b"first");
            wire.settle().unwrap();
            assert!(wire.session.is_established(), "{:?}", wire.events);
            assert_eq!(wire.received, b"first");
            let info = wire.session.info().unwrap();
            assert_eq!(info.resumed, is_resumed);
            assert_eq!(info.server_name.as_deref(), Some("h"));
            for round in 0..40u8 {
                wire.server_says(&[b"answer ", &[round]]);
                wire.client_says(&[round]);
                wire.settle().unwrap();
                assert_eq!(wire.client_hears(), [&b"answer "[..], &[round]].concat());
                assert_eq!(wire.received.last(), Some(&round));
            }
        }
    }
}

#[test]
fn bytes_may_be_split_anywhere() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for version in VERSIONS {
        let mut client = client(&[&identity.certificate], &[version]);
        client.resumption = Resumption::disabled();
        let client = Arc::new(client);
        let mut longest = 1;
        let mut at = 1;
        while at < longest + 1 {
            let mut wire = Wire::new(&client, "h", &bindings);
            wire.client_says(b"request");
            loop {
                let mut bytes = wire.take_from_client();
                if bytes.is_empty() && wire.out.is_empty() {
                    break;
                }
                longest = longest.max(bytes.len());
                let middle = at.min(bytes.len());
                let (front, back) = bytes.split_at_mut(middle);
                wire.give_server(front);
                wire.give_server(back);
                wire.give_client().unwrap();
            }
            assert_eq!(wire.received, b"request", "split at {at}");
            at += 1;
        }
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for version in VERSIONS {
        let client = Arc::new(client(&[&identity.certificate], &[version]));
        let mut wire = Wire::new(&client, "h", &bindings);
        wire.client_says(b"request");
        loop {
            let mut bytes = wire.take_from_client();
            if bytes.is_empty() && wire.out.is_empty() {
                break;
            }
            for byte in &mut bytes {
                wire.give_server(std::slice::from_mut(byte));
            }
            wire.give_client().unwrap();
        }
        assert_eq!(wire.received, b"request");
        assert!(matches!(wire.events[..], [StepEvent::Established]));
    }
}

#[test]
fn much_passes_both_ways_in_random_pieces() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    let content: Vec<u8> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
    for version in VERSIONS {
        let client = Arc::new(client(&[&identity.certificate], &[version]));
        let mut wire = Wire::established(&client, &bindings);
        wire.client.set_buffer_limit(None);
        let mut numbers = Numbers(7);

        wire.client_says(&content);
        let mut bytes = wire.take_from_client();
        let mut rest = &mut bytes[..];
        while !rest.is_empty() {
            let count = 1 + numbers.below(rest.len().min(40_000));
            let (piece, behind) = rest.split_at_mut(count);
            wire.give_server(piece);
            rest = behind;
        }
        assert!(
            wire.received == content,
            "what was received is not what was sent"
        );

        let mut pieces = Vec::new();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(numbers.below(rest.len().min(50_000) + 1));
            pieces.push(piece);
            rest = behind;
        }
        wire.server_says(&pieces);
        // Full records, whatever the pieces were.
        assert_eq!(records(&wire.out).len(), 64);
        let mut heard = Vec::new();
        let sent = std::mem::take(&mut wire.out);
        for piece in sent.chunks(10_000) {
            wire.out = piece.to_vec();
            wire.give_client().unwrap();
            heard.extend(wire.client_hears());
        }
        assert!(heard == content, "what was sent is not what was received");
    }
}

#[test]
fn small_pieces_share_a_record() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &[&TLS13]));
    let mut wire = Wire::established(&client, &only(identity.binding()));
    wire.server_says(&[b"head", b"", b"body"]);
    assert_eq!(records(&wire.out), [b"headbody".len() + 1 + 16]);
    wire.server_says(&[]);
    wire.server_says(&[b""]);
    assert_eq!(records(&wire.out).len(), 1);
}

#[test]
fn both_ends_close() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for version in VERSIONS {
        let client = Arc::new(client(&[&identity.certificate], &[version]));
        let mut wire = Wire::established(&client, &bindings);
        wire.client_says(b"last");
        wire.client.send_close_notify();
        let mut bytes = wire.take_from_client();
        // What comes behind is not looked at (RFC 8446 §6.1).
        bytes.extend_from_slice(&[23, 3, 3, 0, 1, 0]);
        wire.give_server(&mut bytes);
        assert_eq!(wire.received, b"last");
        let [.., StepEvent::PeerClosed] = wire.events[..] else {
            panic!("{:?}", wire.events);
        };
        // The other direction is open still.
        wire.server_says(&[b"answer"]);
        wire.session.close(&mut wire.out);
        let count = wire.out.len();
        wire.session.close(&mut wire.out);
        assert_eq!(wire.out.len(), count);
        assert!(wire.session.encrypt(&[b"more"], &mut wire.out).is_err());
        wire.give_client().unwrap();
        assert_eq!(wire.client_hears(), b"answer");
        assert!(wire.client.process_new_packets().unwrap().peer_has_closed());
    }
}

#[test]
fn the_peer_may_take_new_keys() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &[&TLS13]));
    let mut wire = Wire::established(&client, &only(identity.binding()));
    for round in 0..100u8 {
        wire.client.refresh_traffic_keys().unwrap();
        wire.client_says(&[round]);
        let mut bytes = wire.take_from_client();
        wire.give_server(&mut bytes);
        assert!(wire.out.is_empty(), "answered with what is sent next");
        wire.server_says(&[&[round]]);
        wire.settle().unwrap();
        assert_eq!(wire.received.last(), Some(&round), "{:?}", wire.events);
        assert_eq!(wire.client_hears(), [round]);
    }
}

#[test]
fn new_keys_over_and_over_are_refused() {
    let identity = Identity::self_signed("h");
    let client = Arc::new(client(&[&identity.certificate], &[&TLS13]));
    let mut wire = Wire::established(&client, &only(identity.binding()));
    for _ in 0..33 {
        wire.client.refresh_traffic_keys().unwrap();
    }
    let mut bytes = wire.take_from_client();
    wire.give_server(&mut bytes);
    assert!(matches!(wire.failure(), FailureKind::Tls(_)));
    let alert = wire.give_client().unwrap_err();
    assert_eq!(
        alert,
        rustls::Error::AlertReceived(rustls::AlertDescription::UnexpectedMessage)
    );
}

#[test]
fn keys_that_have_done_enough_are_renewed() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    let new = Arc::new(client(&[&identity.certificate], &[&TLS13]));
    let mut wire = Wire::established(&new, &bindings);
    wire.session.limit_keys(10);
    for round in 0..100u8 {
        wire.server_says(&[&[round]]);
        wire.settle().unwrap();
        assert_eq!(wire.client_hears(), [round]);
    }
    // TLS 1.2 has no way to.
    let old = Arc::new(client(&[&identity.certificate], &[&TLS12]));
    let mut wire = Wire::established(&old, &bindings);
    wire.session.limit_keys(10);
    let mut sent = 0;
    while wire.session.encrypt(&[b"x"], &mut wire.out).is_ok() {
        sent += 1;
    }
    assert!((1..10).contains(&sent), "{sent}");
    assert!(wire.give_client().is_err(), "an alert says why");
    assert_eq!(wire.client_hears().len(), sent);
}

#[test]
fn a_record_that_was_changed_ends_the_session() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for version in VERSIONS {
        let client = Arc::new(client(&[&identity.certificate], &[version]));
        let mut wire = Wire::established(&client, &bindings);
        wire.client_says(b"request");
        let mut bytes = wire.take_from_client();
        *bytes.last_mut().unwrap() ^= 1;
        wire.give_server(&mut bytes);
        assert!(matches!(
            wire.failure(),
            FailureKind::Tls(rustls::Error::DecryptError)
        ));
        assert_eq!(
            wire.give_client().unwrap_err(),
            rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac)
        );
        assert!(!wire.session.is_established());
    }
}

#[test]
fn a_record_out_of_place_ends_the_session() {
    let identity = Identity::self_signed("h");
    let bindings = only(identity.binding());
    for record in [
        &[20u8, 3, 3, 0, 1, 1][..],
        &[21, 3, 3, 0, 2, 1, 0],
        &[22, 3, 3, 0, 4, 1, 0, 0, 0],
        &[23, 3, 3, 0xff, 0xff],
        &[0, 0, 0, 0, 0],
        b"GET / HTTP/1.1\r\n",
    ] {
        let client = Arc::new(client(&[&identity.certificate], &[&TLS13]));
        let mut wire = Wire::established(&client, &bindings);
        wire.give_server(&mut record.to_vec());
        assert!(!wire.session.is_established(), "{record:?}");
        assert!(wire.give_client().is_err(), "an alert says why");
    }
}

/// The lengths of records.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut rest = bytes;
    while let [_, _, _, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        assert!(length <= (1 << 14) + 256);
        lengths.push(length);
        rest = &behind[length..];
    }
    lengths
}
