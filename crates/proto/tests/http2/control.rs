//! Frames of the connection, and the sizes of frames. RFC 9113 §4.1, §4.2, §5.5, §6.3 to §6.9.

use tidegate_httpapi::{Http2Limits, RequestLimits};
use tidegate_proto::http2::ErrorCode;

use crate::support::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, PREFACE,
    PRIORITY, PRIORITY_UPDATE, PUSH_PROMISE, RST_STREAM, SETTINGS, Told, WINDOW, WINDOW_UPDATE,
    frame, settings_frame,
};

// §4.1, §5.5: unknown types and flags are ignored.
#[test]
fn unknown_frames_are_ignored() {
    let mut client = Client::new();
    for kind in [0xB, 0x11, 0x77, 0xFF] {
        for stream in [0, 1, 2, 0x7FFF_FFFF] {
            let told = client.send_frame(kind, 0xFF, stream, &[0; 100]);
            client.check_ignored(&told);
        }
    }
    let told = client.send_frame(PING, 0xFE, 0x8000_0000, &[1; 8]);
    assert_eq!(told, []);
    assert_eq!(client.sent()[0].payload, [1; 8]);
    let block = client.block(&GET);
    let told = client.send_frame(
        HEADERS,
        0xD2 | END_HEADERS | END_STREAM,
        0x8000_0001,
        &block,
    );
    assert!(matches!(told[..], [Told::Request(..)]));
}

// §4.2.
#[test]
fn frames_are_not_longer_than_was_allowed() {
    for kind in [DATA, HEADERS, SETTINGS, PING, CONTINUATION, 0x77] {
        let mut client = Client::new();
        client.post(1);
        // Only the head has come.
        let told = client.send(&frame(kind, 0, 1, &[0; 16_385])[..9]);
        client.check_failed(&told, ErrorCode::FrameSize);
    }
    let mut client = Client::new();
    let told = client.send_frame(0x77, 0, 0, &[0; 16_384]);
    client.check_ignored(&told);
}

#[test]
fn frames_have_the_length_of_their_type() {
    for (kind, flags, stream, lens) in [
        (RST_STREAM, 0, 1, &[0, 3, 5][..]),
        (SETTINGS, 0, 0, &[1, 5, 7]),
        (SETTINGS, ACK, 0, &[6, 1]),
        (PING, 0, 0, &[0, 7, 9]),
        (GOAWAY, 0, 0, &[0, 7]),
        (WINDOW_UPDATE, 0, 0, &[0, 3, 5]),
        (WINDOW_UPDATE, 0, 1, &[0, 3, 5]),
        (PRIORITY_UPDATE, 0, 0, &[0, 3]),
    ] {
        for &len in lens {
            let mut client = Client::new();
            client.post(1);
            let told = client.send_frame(kind, flags, stream, &vec![1; len]);
            client.check_failed(&told, ErrorCode::FrameSize);
        }
    }
}

#[test]
fn frames_are_where_they_belong() {
    for (kind, stream, payload) in [
        (SETTINGS, 1, &[][..]),
        (PING, 1, &[0; 8]),
        (GOAWAY, 1, &[0; 8]),
        (PRIORITY_UPDATE, 1, &[0, 0, 0, 1]),
        (RST_STREAM, 0, &[0; 4]),
        (PRIORITY, 0, &[0; 5]),
        // §8.4: clients do not push.
        (PUSH_PROMISE, 1, &[0; 8]),
        (PUSH_PROMISE, 0, &[0; 8]),
    ] {
        let mut client = Client::new();
        client.post(1);
        let told = client.send_frame(kind, 0, stream, payload);
        client.check_failed(&told, ErrorCode::Protocol);
    }
}

// §6.7.
#[test]
fn pings_are_answered() {
    let mut client = Client::new();
    assert_eq!(client.send_frame(PING, 0, 0, b"whatever"), []);
    let sent = client.sent();
    assert_eq!(
        (sent[0].kind, sent[0].flags, &sent[0].payload[..]),
        (PING, ACK, &b"whatever"[..])
    );
    let told = client.send_frame(PING, ACK, 0, b"whatever");
    client.check_ignored(&told);
}

// §6.5.2.
#[test]
fn settings_have_their_ranges() {
    for (parameter, value, code) in [
        (2, 2, ErrorCode::Protocol),
        (4, 0x8000_0000, ErrorCode::FlowControl),
        (5, 16_383, ErrorCode::Protocol),
        (5, 0x0100_0000, ErrorCode::Protocol),
        (8, 2, ErrorCode::Protocol),
        (9, 2, ErrorCode::Protocol),
    ] {
        let mut client = Client::new();
        let told = client.settings(&[(parameter, value)]);
        client.check_failed(&told, code);
    }
    let mut client = Client::new();
    for settings in [
        &[(1, 0), (1, u32::MAX), (2, 0), (2, 1)][..],
        &[(3, 0), (3, u32::MAX), (4, 0), (4, 0x7FFF_FFFF)],
        &[(5, 16_384), (5, 0xFF_FFFF), (6, 0), (8, 1), (9, 1)],
        &[(0, 1), (7, 1), (0xFFFF, u32::MAX)],
        &[],
    ] {
        client.settings(settings);
    }
    client.get(1);
}

// §6.5.3: an acknowledgement that was not asked for does no harm.
#[test]
fn acknowledgements_are_ignored() {
    let mut client = Client::new();
    for _ in 0..3 {
        let told = client.send_frame(SETTINGS, ACK, 0, &[]);
        client.check_ignored(&told);
    }
}

// RFC 7541 §4.2: what the peer does not want is not used.
#[test]
fn the_peers_header_table_is_kept_to() {
    let mut client = Client::new();
    client.settings(&[(1, 0)]);
    let key = client.get(1);
    client.answer(key, Some(0));
    let sent = client.sent();
    // It begins with a size update to 0, and puts nothing into the table.
    assert_eq!(sent[0].payload[0], 0x20);
    assert!(
        client
            .decode(&sent[0].payload)
            .contains(&(":status".to_owned(), "200".to_owned()))
    );
    let key = client.get(3);
    client.answer(key, Some(0));
    assert_eq!(client.sent()[0].payload, &sent[0].payload[1..]);
}

// §6.8.
#[test]
fn go_away_is_told() {
    let mut client = Client::new();
    assert!(!client.connection.peer_is_going_away());
    let told = client.send_frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\x02debug data");
    assert_eq!(told, [Told::GoAway(2)]);
    assert!(client.connection.peer_is_going_away());
    client.get(1);
}

// §6.9.
#[test]
fn a_window_is_not_widened_by_nothing() {
    let mut client = Client::new();
    client.post(1);
    let told = client.window_update(1, 0);
    client.check_broken(&told, 1, ErrorCode::Protocol);
    let told = client.window_update(0, 0);
    client.check_failed(&told, ErrorCode::Protocol);
}

// §6.3, and RFC 7540 §5.3.1.
#[test]
fn malformed_priorities_are_stream_errors() {
    for (payload, code) in [
        (&[0, 0, 0, 0][..], ErrorCode::FrameSize),
        (&[0; 6], ErrorCode::FrameSize),
        (&[0x80, 0, 0, 1, 7], ErrorCode::Protocol),
    ] {
        for idle in [false, true] {
            let mut client = Client::new();
            if idle {
                let told = client.send_frame(PRIORITY, 0, 1, payload);
                client.check_failed(&told, code);
            } else {
                client.post(1);
                let told = client.send_frame(PRIORITY, 0, 1, payload);
                client.check_broken(&told, 1, code);
            }
        }
    }
}

// RFC 9218 §7.1.
#[test]
fn priority_updates_are_of_requests() {
    for id in [0_u32, 2] {
        let mut client = Client::new();
        let told = client.send_frame(
            PRIORITY_UPDATE,
            0,
            0,
            &[&id.to_be_bytes()[..], b"u=1"].concat(),
        );
        client.check_failed(&told, ErrorCode::Protocol);
    }
}

// RFC 7541 §4.2: a smaller table holds when it is acknowledged; the next block says so.
#[test]
fn a_smaller_header_table_holds_when_it_is_acknowledged() {
    let mut limits = Http2Limits::default();
    limits.header_table_bytes_max = 100;
    let mut client = Client::silent(&limits, &RequestLimits::default(), WINDOW);
    client.send(&[PREFACE, &settings_frame(&[])].concat());
    client.out.clear();
    client.get(1);
    client.get(3);
    client.send_frame(SETTINGS, ACK, 0, &[]);
    let told = client.send_fields(5, END_STREAM, &GET);
    client.check_failed(&told, ErrorCode::Compression);
}
