//! The states of streams and what may come in each. RFC 9113 §5.1.

use tidegate_httpapi::Http2Limits;
use tidegate_proto::http2::{ErrorCode, StreamKey};

use crate::support::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GET, HEADERS, POST, PRIORITY, RST_STREAM,
    Told, WINDOW_UPDATE,
};

const NUMBER: [u8; 4] = [0, 0, 0, 1];
const NO_PRIORITY: [u8; 5] = [0, 0, 0, 0, 15];

// §5.1 idle: anything but HEADERS and PRIORITY is a connection error.
#[test]
fn nothing_but_a_request_may_come_on_an_idle_stream() {
    for (kind, payload) in [
        (DATA, &b"content"[..]),
        (RST_STREAM, &NUMBER),
        (WINDOW_UPDATE, &NUMBER),
        (CONTINUATION, b""),
    ] {
        for stream in [1, 2, 0x7FFF_FFFF] {
            let mut client = Client::new();
            let told = client.send_frame(kind, 0, stream, payload);
            client.check_failed(&told, ErrorCode::Protocol);
        }
    }
    let mut client = Client::new();
    let told = client.send_frame(PRIORITY, 0, 1, &NO_PRIORITY);
    client.check_ignored(&told);
    client.get(1);
}

// §5.1 half-closed (remote): a stream error STREAM_CLOSED.
#[test]
fn content_after_the_end_is_a_stream_error() {
    let mut client = Client::new();
    client.get(1);
    let told = client.send_frame(DATA, END_STREAM, 1, b"late");
    client.check_broken(&told, 1, ErrorCode::StreamClosed);
}

#[test]
fn a_head_after_the_end_is_a_stream_error() {
    let mut client = Client::new();
    client.get(1);
    let told = client.send_fields(1, END_STREAM, &GET);
    client.check_broken(&told, 1, ErrorCode::StreamClosed);
    // Its block was decoded.
    client.get(3);
}

#[test]
fn window_updates_and_priorities_may_come_after_the_end() {
    let mut client = Client::new();
    client.get(1);
    let told = client.window_update(1, 1);
    client.check_ignored(&told);
    let told = client.send_frame(PRIORITY, 0, 1, &NO_PRIORITY);
    client.check_ignored(&told);
    assert!(matches!(client.reset(1)[..], [Told::Reset(_, 8)]));
}

/// Brings a stream to its end on both sides.
fn close(client: &mut Client, stream: u32) -> StreamKey {
    let key = client.get(stream);
    assert!(client.answer(key, Some(0)).ended);
    client.out.clear();
    key
}

// §5.1 closed: DATA and HEADERS are connection errors, everything else is ignored.
#[test]
fn nothing_comes_on_a_stream_that_both_sides_ended() {
    for release in [false, true] {
        for kind in [DATA, HEADERS] {
            let mut client = Client::new();
            let key = close(&mut client, 1);
            if release {
                client.release(key);
                assert_eq!(client.sent(), []);
            }
            let told = match kind {
                DATA => client.send_frame(DATA, 0, 1, b"x"),
                _ => client.send_fields(1, END_STREAM, &GET),
            };
            client.check_failed(&told, ErrorCode::StreamClosed);
        }
        let mut client = Client::new();
        let key = close(&mut client, 1);
        if release {
            client.release(key);
        }
        // aspnetcore#63903; also what would be wrong on an open stream.
        for increment in [1, 0, 0x7FFF_FFFF, 0x7FFF_FFFF] {
            let told = client.window_update(1, increment);
            client.check_ignored(&told);
        }
        for payload in [&NO_PRIORITY[..], &[0, 0, 0, 1, 0], &[1, 2]] {
            let told = client.send_frame(PRIORITY, 0, 1, payload);
            client.check_ignored(&told);
        }
        let told = client.reset(1);
        client.check_ignored(&told);
    }
}

// §5.1 closed: after RST_STREAM of the peer nothing may come but PRIORITY.
#[test]
fn nothing_comes_on_a_stream_that_the_peer_reset() {
    for release in [false, true] {
        for kind in [DATA, HEADERS] {
            let mut client = Client::new();
            let key = client.post(1);
            assert_eq!(client.reset(1), [Told::Reset(key, 8)]);
            if release {
                client.release(key);
            }
            assert_eq!(client.sent(), []);
            let told = client.window_update(1, 0);
            client.check_ignored(&told);
            let told = client.reset(1);
            client.check_ignored(&told);
            let told = match kind {
                DATA => client.send_frame(DATA, 0, 1, b"x"),
                _ => client.send_fields(1, END_STREAM, &[("x", "y")]),
            };
            client.check_failed(&told, ErrorCode::StreamClosed);
        }
    }
}

// §5.1 closed: what was on its way when we reset a stream is ignored, but decoded and counted.
#[test]
fn what_comes_late_is_ignored() {
    for release in [false, true] {
        let mut client = Client::new();
        let key = client.post(1);
        client.connection.reset(key, 0x8, &mut client.out);
        assert_eq!(client.sent().len(), 1);
        if release {
            client.release(key);
        }
        for _ in 0..3 {
            let told = client.send_frame(DATA, 0, 1, b"late");
            client.check_ignored(&told);
            let told = client.window_update(1, 0);
            client.check_ignored(&told);
        }
        let told = client.send_fields(
            1,
            END_STREAM,
            &[("x-late", "trailer"), ("x-late", "trailer")],
        );
        client.check_ignored(&told);
        client.get(3);
        // It has ended now.
        let told = client.send_frame(DATA, 0, 1, b"x");
        client.check_failed(&told, ErrorCode::StreamClosed);
    }
}

#[test]
fn late_content_widens_the_connections_window() {
    let mut client = Client::new();
    let key = client.post(1);
    client.connection.reset(key, 0x8, &mut client.out);
    client.release(key);
    client.out.clear();
    let mut given_back = 0;
    for _ in 0..256 {
        assert_eq!(client.send_frame(DATA, 0, 1, &[0; 16_384]), []);
        let sent = client.sent();
        assert!(
            sent.iter()
                .all(|frame| frame.kind == WINDOW_UPDATE && frame.stream == 0)
        );
        given_back += sent.iter().map(|frame| frame.number(0)).sum::<u32>();
    }
    assert_eq!(given_back, 256 * 16_384);
}

// §5.1.1.
#[test]
fn identifiers_are_odd() {
    for stream in [2, 0x7FFF_FFFE] {
        let mut client = Client::new();
        let told = client.send_fields(stream, END_STREAM, &GET);
        client.check_failed(&told, ErrorCode::Protocol);
    }
}

#[test]
fn identifiers_increase() {
    let mut client = Client::new();
    client.get(5);
    let told = client.send_fields(3, END_STREAM, &GET);
    client.check_failed(&told, ErrorCode::Protocol);
}

#[test]
fn the_highest_identifier_may_be_used() {
    let mut client = Client::new();
    client.get(0x7FFF_FFFF);
    let told = client.send_fields(0x7FFF_FFFD, END_STREAM, &GET);
    client.check_failed(&told, ErrorCode::Protocol);
}

// §5.1.2: one stream too many is refused, and can be tried again later.
#[test]
fn streams_are_bounded() {
    let mut limits = Http2Limits::default();
    limits.concurrent_streams_max = 3;
    let mut client = Client::with(&limits);
    let first = client.get(1);
    client.post(3);
    client.get(5);
    let told = client.send_fields(7, 0, &POST);
    client.check_refused(&told, 7, ErrorCode::RefusedStream);
    // Content on its way is ignored.
    let told = client.send_frame(DATA, END_STREAM, 7, b"content");
    client.check_ignored(&told);
    assert_eq!(client.connection.streams(), 3);
    client.answer(first, Some(0));
    // Until its work has ended, a stream counts.
    client.out.clear();
    let told = client.send_fields(9, END_STREAM, &GET);
    client.check_refused(&told, 9, ErrorCode::RefusedStream);
    client.release(first);
    assert_eq!(client.connection.streams(), 2);
    client.get(11);
}

// CVE-2023-44487: a stream that was reset counts until its work has ended.
#[test]
fn reset_streams_count() {
    let mut limits = Http2Limits::default();
    limits.concurrent_streams_max = 1;
    let mut client = Client::with(&limits);
    let key = client.get(1);
    assert_eq!(client.reset(1), [Told::Reset(key, 8)]);
    let told = client.send_fields(3, END_STREAM, &GET);
    client.check_refused(&told, 3, ErrorCode::RefusedStream);
    client.release(key);
    client.get(5);
}

#[test]
fn slots_are_small_numbers() {
    let mut client = Client::new();
    for stream in (1..2_000).step_by(2) {
        let key = client.get(stream);
        assert!(key.slot < 8);
        client.answer(key, Some(0));
        client.release(key);
        client.out.clear();
    }
}

#[test]
fn a_released_key_is_not_known() {
    let mut client = Client::new();
    let key = close(&mut client, 1);
    client.release(key);
    let other = client.post(3);
    assert_eq!(other.slot, key.slot);
    client.release(key);
    client.connection.reset(key, 1, &mut client.out);
    client.connection.want_send(key);
    client.connection.consumed(key, 1_000_000, &mut client.out);
    assert!(client.answer(key, Some(5)).ended);
    assert_eq!(client.write(key, 5, true), None);
    assert_eq!(client.connection.send_window(key), 0);
    assert!(!client.connection.is_open(key));
    assert_eq!(client.connection.next_to_send(), None);
    assert_eq!(client.sent(), []);
    assert!(client.connection.is_open(other));
    assert!(client.send_frame(DATA, END_HEADERS, 3, b"x").len() == 1);
}
