//! The end in order. RFC 9113 §6.8; case T06.

use tidegate_proto::http2::{ErrorCode, STREAMS_AFTER_GO_AWAY_MAX};

use crate::support::{
    Client, DATA, END_STREAM, Frame, GET, GOAWAY, PING, RST_STREAM, Told, WINDOW_UPDATE,
};

fn go_away(last_stream: u32, code: ErrorCode) -> Frame {
    Frame {
        kind: GOAWAY,
        flags: 0,
        stream: 0,
        payload: [last_stream.to_be_bytes(), code.value().to_be_bytes()].concat(),
    }
}

#[test]
fn streams_are_served_after_the_first_go_away() {
    let mut client = Client::new();
    client.get(1);
    assert!(!client.connection.is_going_away());
    client.connection.begin_go_away(&mut client.out);
    assert!(client.connection.is_going_away());
    client.connection.begin_go_away(&mut client.out);
    assert_eq!(client.sent(), [go_away(0x7FFF_FFFF, ErrorCode::NoError)]);
    let key = client.get(3);
    assert!(client.answer(key, Some(0)).ended);
}

#[test]
fn the_final_go_away_comes_when_the_client_goes_on() {
    let mut client = Client::new();
    client.connection.begin_go_away(&mut client.out);
    client.sent();
    let mut stream = 1;
    for number in 1..=STREAMS_AFTER_GO_AWAY_MAX {
        let key = client.get(stream);
        if number < STREAMS_AFTER_GO_AWAY_MAX {
            assert_eq!(client.sent(), []);
        } else {
            assert_eq!(client.sent(), [go_away(stream, ErrorCode::NoError)]);
        }
        client.answer(key, Some(0));
        client.release(key);
        client.out.clear();
        stream += 2;
    }
    let told = client.send_fields(stream, END_STREAM, &GET);
    client.check_ignored(&told);
}

// §6.8: streams above the last one are ignored, though header blocks are decoded and content is counted.
#[test]
fn later_streams_are_ignored() {
    let mut client = Client::new();
    let key = client.post(1);
    client.connection.begin_go_away(&mut client.out);
    client
        .connection
        .go_away(ErrorCode::NoError, &mut client.out);
    client
        .connection
        .go_away(ErrorCode::NoError, &mut client.out);
    assert_eq!(
        client.sent(),
        [
            go_away(0x7FFF_FFFF, ErrorCode::NoError),
            go_away(1, ErrorCode::NoError)
        ]
    );
    for fields in [&GET[..], &[("x-new", "field"), ("x-new", "field")]] {
        for stream in [3, 7] {
            let told = client.send_fields(stream, 0, fields);
            client.check_ignored(&told);
        }
    }
    for (kind, payload) in [
        (DATA, &b"content"[..]),
        (WINDOW_UPDATE, &[0, 0, 0, 0]),
        (RST_STREAM, &[0; 4]),
    ] {
        let told = client.send_frame(kind, 0, 3, payload);
        client.check_ignored(&told);
    }
    assert_eq!(client.connection.streams(), 1);
    let told = client.send_frame(DATA, END_STREAM, 1, b"content");
    assert_eq!(told, [Told::Data(key, b"content".to_vec(), true)]);
    assert!(client.answer(key, Some(0)).ended);
    // A failure names the last stream that was served.
    client.out.clear();
    let told = client.send_frame(PING, 0, 1, &[0; 8]);
    assert_eq!(client.out, go_away_bytes(1, ErrorCode::Protocol));
    client.check_failed(&told, ErrorCode::Protocol);
}

fn go_away_bytes(last_stream: u32, code: ErrorCode) -> Vec<u8> {
    crate::support::frame(GOAWAY, 0, 0, &go_away(last_stream, code).payload)
}

#[test]
fn an_error_is_told_though_the_end_was() {
    let mut client = Client::new();
    client.get(1);
    client
        .connection
        .go_away(ErrorCode::NoError, &mut client.out);
    client
        .connection
        .go_away(ErrorCode::EnhanceYourCalm, &mut client.out);
    assert_eq!(
        client.sent(),
        [
            go_away(1, ErrorCode::NoError),
            go_away(1, ErrorCode::EnhanceYourCalm)
        ]
    );
    client.connection.begin_go_away(&mut client.out);
    assert_eq!(client.sent(), []);
}
