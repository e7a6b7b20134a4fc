//! Content and its flow control. RFC 9113 §6.1, §6.9, §8.1.1.

use tidegate_httpapi::{Http2Limits, RequestLimits};
use tidegate_proto::http2::{CONNECTION_WINDOW_BYTES, ErrorCode, StreamKey};

use crate::support::{
    Client, DATA, END_STREAM, PADDED, POST, PREFACE, SETTINGS, Told, WINDOW, WINDOW_UPDATE, frame,
    with,
};

fn data(key: StreamKey, content: &[u8], ended: bool) -> Told {
    Told::Data(key, content.to_vec(), ended)
}

#[test]
fn content_is_told() {
    let mut client = Client::new();
    let key = client.post(1);
    assert_eq!(
        client.send_frame(DATA, 0, 1, b"one"),
        [data(key, b"one", false)]
    );
    assert_eq!(client.send_frame(DATA, 0, 1, b""), []);
    assert_eq!(
        client.send_frame(DATA, END_STREAM, 1, b"two"),
        [data(key, b"two", true)]
    );
    let key = client.post(3);
    assert_eq!(
        client.send_frame(DATA, END_STREAM, 3, b""),
        [data(key, b"", true)]
    );
}

#[test]
fn content_is_told_before_its_frame_is_whole() {
    let mut client = Client::new();
    let key = client.post(1);
    let bytes = frame(DATA, END_STREAM, 1, b"content");
    assert_eq!(client.send(&bytes[..9]), []);
    assert_eq!(client.send(&bytes[9..11]), [data(key, b"co", false)]);
    assert_eq!(client.send(&bytes[11..]), [data(key, b"ntent", true)]);
}

#[test]
fn padding_is_removed() {
    let mut client = Client::new();
    let key = client.post(1);
    let told = client.send_frame(DATA, PADDED, 1, b"\x03abc\0\0\0");
    assert_eq!(told, [data(key, b"abc", false)]);
    assert_eq!(
        client.send_frame(DATA, PADDED, 1, b"\0abc"),
        [data(key, b"abc", false)]
    );
    assert_eq!(client.send_frame(DATA, PADDED, 1, b"\x01\0"), []);
    let told = client.send_frame(DATA, PADDED | END_STREAM, 1, b"\x01\0");
    assert_eq!(told, [data(key, b"", true)]);
}

// §6.1: a connection error.
#[test]
fn padding_is_not_longer_than_the_frame() {
    for payload in [&b"\x01"[..], b"\x04abc", b"\xFFabc"] {
        let mut client = Client::new();
        client.post(1);
        let told = client.send_frame(DATA, PADDED, 1, payload);
        client.check_failed(&told, ErrorCode::Protocol);
    }
    // Whatever comes behind.
    for behind in [&b""[..], b"\0", b"\xFF"] {
        let mut client = Client::new();
        client.post(1);
        let told = client.send(&[&frame(DATA, PADDED, 1, b""), behind].concat());
        client.check_failed(&told, ErrorCode::FrameSize);
    }
}

#[test]
fn data_is_on_a_stream() {
    let mut client = Client::new();
    let told = client.send_frame(DATA, 0, 0, b"x");
    client.check_failed(&told, ErrorCode::Protocol);
}

// §8.1.1.
#[test]
fn content_is_as_long_as_was_said() {
    for (length, frames, right) in [
        ("5", &[(0, "abc"), (END_STREAM, "de")][..], true),
        ("5", &[(0, "abcde"), (END_STREAM, "")], true),
        ("5", &[(0, "abc"), (END_STREAM, "d")], false),
        ("5", &[(0, "abc"), (END_STREAM, "def")], false),
        ("5", &[(0, "abcdef")], false),
        ("5", &[(END_STREAM, "")], false),
        ("0", &[(END_STREAM, "")], true),
        ("0", &[(0, "a")], false),
        ("0", &[(END_STREAM, "a")], false),
    ] {
        let mut client = Client::new();
        let key = client.request(1, 0, &with(&POST, &[("content-length", length)]));
        let mut told = Vec::new();
        for (flags, content) in frames {
            told.extend(client.send_frame(DATA, *flags, 1, content.as_bytes()));
        }
        let last = told.pop();
        if right {
            assert!(
                matches!(last, Some(Told::Data(_, _, true))),
                "{length} {frames:?}"
            );
        } else {
            assert_eq!(last, Some(Told::Broken(key, ErrorCode::Protocol)));
            client.check_broken(&[last.unwrap()], 1, ErrorCode::Protocol);
        }
    }
}

// §5.2: nothing beyond the window of a stream.
#[test]
fn a_streams_window_is_kept_to() {
    let mut client = Client::new();
    client.post(1);
    for _ in 0..4 {
        client.send_frame(DATA, 0, 1, &[0; 16_383]);
    }
    assert_eq!(client.send_frame(DATA, 0, 1, &[0; 3]).len(), 1);
    let told = client.send_frame(DATA, 0, 1, &[0; 1]);
    client.check_broken(&told, 1, ErrorCode::FlowControl);
    let told = client.send_frame(DATA, 0, 1, &[0; 100]);
    client.check_ignored(&told);
}

#[test]
fn padding_counts_and_is_given_back() {
    let mut client = Client::new();
    client.post(1);
    let mut payload = vec![0; 256];
    payload[0] = 255;
    let mut given_back = 0;
    for _ in 0..2_000 {
        assert_eq!(
            client.send_frame(DATA, PADDED, 1, &payload),
            [],
            "{given_back}"
        );
        client.minute += 1;
        for frame in client.sent() {
            assert_eq!(frame.kind, WINDOW_UPDATE);
            if frame.stream == 1 {
                given_back += frame.number(0);
            }
        }
    }
    assert!(given_back > 2_000 * 256 - WINDOW && given_back <= 2_000 * 256);
}

#[test]
fn the_window_opens_when_content_was_read() {
    let mut client = Client::new();
    let key = client.post(1);
    for _ in 0..4 {
        client.send_frame(DATA, 0, 1, &[0; 16_000]);
    }
    client.connection.consumed(key, 32_767, &mut client.out);
    assert_eq!(client.sent(), []);
    client.connection.consumed(key, 1, &mut client.out);
    let sent = client.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].kind, sent[0].stream, sent[0].number(0)),
        (WINDOW_UPDATE, 1, 32_768)
    );
    // No more than came.
    client.connection.consumed(key, usize::MAX, &mut client.out);
    assert_eq!(client.sent(), []);
    for _ in 0..2 {
        client.send_frame(DATA, 0, 1, &[0; 16_000]);
    }
    client.connection.consumed(key, usize::MAX, &mut client.out);
    assert_eq!(client.sent()[0].number(0), 64_000 + 32_000 - 32_768);
}

#[test]
fn no_window_is_opened_for_content_that_has_ended() {
    let mut client = Client::new();
    let key = client.post(1);
    for _ in 0..3 {
        client.send_frame(DATA, 0, 1, &[0; 16_384]);
    }
    client.send_frame(DATA, END_STREAM, 1, &[0; 1]);
    client.connection.consumed(key, 49_153, &mut client.out);
    assert_eq!(client.sent(), []);
}

#[test]
fn the_connections_window_does_not_wait_for_readers() {
    let mut limits = Http2Limits::default();
    limits.concurrent_streams_max = 1_000;
    let mut client = Client::with(&limits);
    let mut window = CONNECTION_WINDOW_BYTES;
    for stream in (1..400).step_by(2) {
        client.post(stream);
        for _ in 0..3 {
            assert_eq!(client.send_frame(DATA, 0, stream, &[0; 16_384]).len(), 1);
            window -= 16_384;
            for frame in client.sent() {
                assert_eq!((frame.kind, frame.stream), (WINDOW_UPDATE, 0));
                window += frame.number(0);
            }
            assert!(window >= CONNECTION_WINDOW_BYTES / 2);
        }
    }
}

// §6.9.3: a smaller window holds when it is acknowledged.
#[test]
fn a_smaller_window_holds_when_it_is_acknowledged() {
    let limits = Http2Limits::default();
    let mut client = Client::silent(&limits, &RequestLimits::default(), 20_000);
    client.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    client.out.clear();
    let key = client.post(1);
    for _ in 0..3 {
        assert_eq!(client.send_frame(DATA, 0, 1, &[0; 16_384]).len(), 1);
    }
    client.send_frame(SETTINGS, 1, 0, &[]);
    client.post(3);
    assert_eq!(client.send_frame(DATA, 0, 3, &[0; 16_384]).len(), 1);
    assert_eq!(client.send_frame(DATA, 0, 3, &[0; 3_616]).len(), 1);
    let told = client.send_frame(DATA, 0, 3, &[0; 1]);
    client.check_broken(&told, 3, ErrorCode::FlowControl);
    // The first stream has its new window when all was read.
    client.connection.consumed(key, 49_152, &mut client.out);
    assert_eq!(client.sent()[0].number(0), 49_152);
    assert_eq!(client.send_frame(DATA, 0, 1, &[0; 16_384]).len(), 1);
    assert_eq!(client.send_frame(DATA, 0, 1, &[0; 3_616]).len(), 1);
    let told = client.send_frame(DATA, 0, 1, &[0; 1]);
    client.check_broken(&told, 1, ErrorCode::FlowControl);
}

#[test]
fn content_ends_in_mid_frame_when_its_stream_does() {
    for release in [false, true] {
        let mut client = Client::new();
        let key = client.post(1);
        let bytes = frame(DATA, END_STREAM, 1, b"content");
        assert_eq!(client.send(&bytes[..12]), [data(key, b"con", false)]);
        client.connection.reset(key, 8, &mut client.out);
        if release {
            client.release(key);
        }
        client.out.clear();
        assert_eq!(client.send(&bytes[12..]), []);
        client.check_alive();
        client.get(3);
    }
}
