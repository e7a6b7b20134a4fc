//! The windows of the peer, which bound what is sent. RFC 9113 §5.2, §6.9.

use tidegate_proto::http2::ErrorCode;

use crate::support::{Client, DATA, END_STREAM, Told};

#[test]
fn no_more_is_sent_than_the_windows_allow() {
    let mut client = Client::new();
    client.settings(&[(4, 10)]);
    let key = client.get(1);
    client.answer(key, Some(25));
    assert_eq!(client.connection.send_window(key), 10);
    assert_eq!(client.write(key, 25, true), Some(10));
    assert_eq!(client.write(key, 15, true), None);
    assert_eq!(client.window_update(1, 14), [Told::Writable]);
    assert_eq!(client.write(key, 15, true), Some(14));
    assert_eq!(client.window_update(1, 1), [Told::Writable]);
    assert!(client.connection.is_open(key));
    assert_eq!(client.write(key, 1, true), Some(1));
    assert!(!client.connection.is_open(key));
    let flags: Vec<u8> = client.sent()[1..].iter().map(|frame| frame.flags).collect();
    assert_eq!(flags, [0, 0, END_STREAM]);
}

#[test]
fn frames_are_not_longer_than_any_peer_takes() {
    let mut client = Client::new();
    let key = client.get(1);
    client.answer(key, None);
    assert_eq!(client.write(key, 40_000, true), Some(16_384));
    assert_eq!(client.write(key, 23_616, true), Some(16_384));
    assert_eq!(client.write(key, 7_232, true), Some(7_232));
    let sent = client.sent();
    assert!(
        sent[1..]
            .iter()
            .all(|frame| frame.kind == DATA && frame.stream == 1)
    );
}

#[test]
fn an_end_without_content_needs_no_window() {
    let mut client = Client::new();
    client.settings(&[(4, 0)]);
    let key = client.get(1);
    client.answer(key, None);
    assert_eq!(client.write(key, 0, false), None);
    assert_eq!(client.write(key, 0, true), Some(0));
    let sent = client.sent();
    assert_eq!((sent[1].kind, sent[1].flags), (DATA, END_STREAM));
    assert_eq!(client.write(key, 0, true), None);
}

#[test]
fn the_connections_window_is_shared() {
    let mut client = Client::new();
    client.settings(&[(4, 1_000_000)]);
    let keys = [client.get(1), client.get(3)];
    for key in keys {
        client.answer(key, None);
    }
    let mut sent = 0;
    while let Some(len) = client.write(keys[sent % 2], 1_001, false) {
        sent += len;
    }
    assert_eq!(sent, 65_535);
    assert_eq!(client.write(keys[0], 1, false), None);
    assert_eq!(client.write(keys[1], 1, false), None);
    client.connection.want_send(keys[1]);
    assert_eq!(client.connection.next_to_send(), None);
    assert_eq!(client.window_update(0, 5), [Told::Writable]);
    assert_eq!(client.connection.next_to_send(), Some(keys[1]));
    assert_eq!(client.write(keys[1], 10, false), Some(5));
}

// §6.9.2.
#[test]
fn windows_may_be_below_zero() {
    let mut client = Client::new();
    let key = client.get(1);
    client.answer(key, None);
    for _ in 0..3 {
        assert_eq!(client.write(key, 20_000, false), Some(16_384));
    }
    client.out.clear();
    assert_eq!(client.settings(&[(4, 100)]), []);
    assert_eq!(client.connection.send_window(key), 0);
    client.connection.want_send(key);
    assert_eq!(client.window_update(1, 49_152 - 100), []);
    assert_eq!(client.connection.next_to_send(), None);
    assert_eq!(client.window_update(1, 7), [Told::Writable]);
    assert_eq!(client.connection.next_to_send(), Some(key));
    assert_eq!(client.write(key, 10, false), Some(7));
    // The other way.
    client.connection.want_send(key);
    client.out.clear();
    assert_eq!(client.settings(&[(4, 50), (4, 103)]), [Told::Writable]);
    assert_eq!(client.connection.next_to_send(), Some(key));
    assert_eq!(client.write(key, 10, false), Some(3));
}

#[test]
fn the_largest_change_is_survived() {
    let mut client = Client::new();
    client.settings(&[(4, 0x7FFF_FFFF)]);
    let key = client.get(1);
    client.answer(key, None);
    assert_eq!(client.write(key, 16_384, false), Some(16_384));
    client.out.clear();
    client.settings(&[(4, 0)]);
    assert_eq!(client.connection.send_window(key), 0);
    client.settings(&[(4, 0x7FFF_FFFF)]);
    assert_eq!(client.window_update(1, 16_384), []);
    let told = client.window_update(1, 1);
    client.check_broken(&told, 1, ErrorCode::FlowControl);
}

// §6.9.1: a window must not pass 2³¹−1.
#[test]
fn windows_do_not_pass_the_largest() {
    let mut client = Client::new();
    client.get(1);
    client.post(3);
    assert_eq!(client.window_update(3, 0x7FFF_FFFF - 65_535), []);
    let told = client.window_update(3, 1);
    client.check_broken(&told, 3, ErrorCode::FlowControl);
    let told = client.window_update(1, 0x7FFF_FFFF);
    client.check_broken(&told, 1, ErrorCode::FlowControl);
    assert_eq!(client.window_update(0, 0x7FFF_FFFF - 65_535), []);
    let told = client.window_update(0, 1);
    client.check_failed(&told, ErrorCode::FlowControl);
}

#[test]
fn an_initial_window_does_not_make_windows_pass_the_largest() {
    let mut client = Client::new();
    client.get(1);
    assert_eq!(client.window_update(1, 1), []);
    let told = client.settings(&[(4, 0x7FFF_FFFF)]);
    client.check_failed(&told, ErrorCode::FlowControl);
}
