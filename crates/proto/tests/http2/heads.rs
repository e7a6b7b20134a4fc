//! Requests and trailer sections. RFC 9113 §4.3, §6.2, §6.10, §8.1; RFC 8441; RFC 9218 §5.

use tidegate_httpapi::{ContentFraming, Http2Limits, RequestLimits, Version};
use tidegate_proto::http1::Reject;
use tidegate_proto::http2::ErrorCode;

use crate::support::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GET, HAS_PRIORITY, HEADERS, PADDED, PING,
    POST, PRIORITY, Told, WINDOW, with,
};

#[test]
fn a_request_is_told() {
    let mut client = Client::new();
    let fields = with(
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/a?b"),
            (":authority", "example.com"),
        ],
        &[("accept", "*/*"), ("cookie", "a=1"), ("cookie", "b=2")],
    );
    client.request(1, END_STREAM, &fields);
    let head = client.connection.head();
    let line = &head.head.line;
    assert_eq!(line.method.of(&head.bytes), b"GET");
    assert_eq!(line.target.of(&head.bytes), b"/a?b");
    assert_eq!(line.version, Version::Http2);
    assert_eq!(head.head.framing, ContentFraming::None);
    assert_eq!(client.field("Host").as_deref(), Some("example.com"));
    assert_eq!(client.field("Accept").as_deref(), Some("*/*"));
    assert_eq!(client.field("Cookie").as_deref(), Some("a=1; b=2"));
}

#[test]
fn a_request_may_come_in_many_frames() {
    let mut client = Client::new();
    let block = client.block(&with(&GET, &[("x-long", "value ".repeat(10).trim())]));
    for cut in 0..=block.len() {
        let (first, second) = block.split_at(cut);
        let stream = 1 + 2 * cut as u32;
        assert_eq!(client.send_frame(HEADERS, END_STREAM, stream, first), []);
        assert!(client.connection.has_open_block());
        assert_eq!(client.send_frame(CONTINUATION, 0, stream, &[]), []);
        let told = client.send_frame(CONTINUATION, END_HEADERS, stream, second);
        let [Told::Request(key, true)] = told[..] else {
            panic!("{told:?}");
        };
        assert!(!client.connection.has_open_block());
        client.answer(key, Some(0));
        client.release(key);
    }
}

// §4.3: a header block is not interrupted by anything.
#[test]
fn a_header_block_is_not_interrupted() {
    let mut client = Client::new();
    let block = client.block(&GET);
    for (kind, stream, payload) in [
        (CONTINUATION, 3, &[][..]),
        (HEADERS, 1, &block),
        (HEADERS, 3, &block),
        (DATA, 1, b"x"),
        (PING, 0, &[0; 8]),
        (PRIORITY, 1, &[0; 5]),
        (0x77, 1, &[]),
    ] {
        let mut client = Client::new();
        assert_eq!(client.send_frame(HEADERS, END_STREAM, 1, &block), []);
        let told = client.send_frame(kind, END_HEADERS, stream, payload);
        client.check_failed(&told, ErrorCode::Protocol);
    }
}

// §6.10.
#[test]
fn continuation_needs_headers() {
    let mut client = Client::new();
    client.post(1);
    let told = client.send_frame(CONTINUATION, END_HEADERS, 1, &[]);
    client.check_failed(&told, ErrorCode::Protocol);
}

#[test]
fn headers_are_on_a_stream() {
    let mut client = Client::new();
    let told = client.send_fields(0, END_STREAM, &GET);
    client.check_failed(&told, ErrorCode::Protocol);
}

// §4.3: COMPRESSION_ERROR.
#[test]
fn a_block_that_cannot_be_decoded_fails_the_connection() {
    for block in [
        &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF][..],
        &[0x80],
        &[0xC0],
        &[0x40, 0x0A],
    ] {
        let mut client = Client::new();
        let told = client.send_frame(HEADERS, END_HEADERS | END_STREAM, 1, block);
        client.check_failed(&told, ErrorCode::Compression);
    }
}

// §6.2.
#[test]
fn padding_and_priority_are_taken_off() {
    let mut client = Client::new();
    let mut stream = 1;
    for flags in [0, PADDED, HAS_PRIORITY, PADDED | HAS_PRIORITY] {
        for padding in [0, 1, 255] {
            let mut payload = Vec::new();
            if flags & PADDED != 0 {
                payload.push(padding);
            }
            if flags & HAS_PRIORITY != 0 {
                payload.extend([0x80, 0, 0, 0, 200]);
            }
            payload.extend(client.block(&GET));
            if flags & PADDED != 0 {
                payload.extend(vec![0xAA; padding.into()]);
            }
            let flags = flags | END_HEADERS | END_STREAM;
            let told = client.send_frame(HEADERS, flags, stream, &payload);
            assert!(matches!(told[..], [Told::Request(_, true)]), "{told:?}");
            assert_eq!(client.field("host").as_deref(), Some("a"));
            stream += 2;
        }
    }
}

#[test]
fn padding_is_not_longer_than_the_frame() {
    let mut client = Client::new();
    let block = client.block(&GET);
    for (flags, front) in [
        (PADDED, vec![block.len() as u8 + 1]),
        (PADDED, vec![255]),
        (
            PADDED | HAS_PRIORITY,
            vec![block.len() as u8 + 1, 0, 0, 0, 0, 0],
        ),
    ] {
        let mut client = Client::new();
        let payload = [&front[..], &block].concat();
        let told = client.send_frame(HEADERS, flags | END_HEADERS, 1, &payload);
        client.check_failed(&told, ErrorCode::Protocol);
    }
}

#[test]
fn headers_have_room_for_what_their_flags_say() {
    for (flags, payload) in [
        (PADDED, &[][..]),
        (HAS_PRIORITY, &[0, 0, 0, 0]),
        (PADDED | HAS_PRIORITY, &[0, 0, 0, 0, 0]),
    ] {
        let mut client = Client::new();
        let told = client.send_frame(HEADERS, flags | END_HEADERS, 1, payload);
        client.check_failed(&told, ErrorCode::FrameSize);
    }
}

// RFC 7540 §5.3.1.
#[test]
fn a_stream_does_not_depend_on_itself() {
    let mut client = Client::new();
    let payload = [&[0, 0, 0, 1, 0][..], &client.block(&GET)].concat();
    let flags = HAS_PRIORITY | END_HEADERS | END_STREAM;
    let told = client.send_frame(HEADERS, flags, 1, &payload);
    client.check_refused(&told, 1, ErrorCode::Protocol);
    client.get(3);
}

// §8.1.1: malformed requests are stream errors, which nobody is told of.
#[test]
fn malformed_requests_are_refused() {
    let [method, scheme, path, authority] = GET;
    let cases: &[&[(&str, &str)]] = &[
        &[method, scheme, path, authority, ("Accept", "*/*")],
        &[method, scheme, path, authority, (":unknown", "x")],
        &[method, scheme, path, authority, (":status", "200")],
        &[method, scheme, authority, ("accept", "*/*"), path],
        &[method, scheme, path, authority, ("connection", "close")],
        &[method, scheme, path, authority, ("te", "gzip")],
        &[method, scheme, path, authority, ("host", "b")],
        &[method, scheme, (":path", ""), authority],
        &[scheme, path, authority],
        &[method, path, authority],
        &[method, scheme, authority],
        &[method, method, scheme, path, authority],
        &[method, scheme, scheme, path, authority],
        &[method, scheme, path, path, authority],
        &[method, (":scheme", "ftp"), path, authority],
        &[method, scheme, path, authority, ("x", "a\nb")],
        &[method, scheme, path, authority, (":protocol", "websocket")],
        &[],
    ];
    let mut client = Client::new();
    let mut stream = 1;
    for fields in cases {
        for flags in [0, END_STREAM] {
            let told = client.send_fields(stream, flags, fields);
            client.check_refused(&told, stream, ErrorCode::Protocol);
            if flags == 0 {
                let told = client.send_frame(DATA, END_STREAM, stream, b"content");
                client.check_ignored(&told);
            }
            stream += 2;
        }
    }
    assert_eq!(client.connection.streams(), 0);
    client.get(stream);
}

// §8.1: a second head, and trailers that do not end the stream.
#[test]
fn trailers_end_the_stream() {
    let mut client = Client::new();
    client.post(1);
    let told = client.send_fields(1, 0, &[("x", "y")]);
    client.check_broken(&told, 1, ErrorCode::Protocol);
}

#[test]
fn trailers_are_told() {
    let mut client = Client::new();
    let key = client.post(1);
    assert_eq!(
        client.send_frame(DATA, 0, 1, b"x"),
        [Told::Data(key, b"x".to_vec(), false)]
    );
    let told = client.send_fields(1, END_STREAM, &[("x-sum", "1"), ("content-length", "5")]);
    assert_eq!(
        told,
        [Told::Trailers(
            key,
            vec![("x-sum".to_owned(), b"1".to_vec())]
        )]
    );
    let told = client.send_frame(DATA, 0, 1, b"x");
    client.check_broken(&told, 1, ErrorCode::StreamClosed);
}

// §8.1: no pseudo-headers there, and nothing that is malformed.
#[test]
fn malformed_trailers_are_stream_errors() {
    for field in [
        (":path", "/"),
        (":status", "200"),
        ("X", "y"),
        ("connection", "close"),
        ("x", "\r"),
    ] {
        let mut client = Client::new();
        client.post(1);
        let told = client.send_fields(1, END_STREAM, &[field]);
        client.check_broken(&told, 1, ErrorCode::Protocol);
        client.get(3);
    }
}

#[test]
fn trailers_are_bounded() {
    let mut client = Client::new();
    client.post(1);
    let long = "x".repeat(9_000);
    let told = client.send_fields(1, END_STREAM, &[("a", &long), ("b", &long)]);
    client.check_broken(&told, 1, ErrorCode::EnhanceYourCalm);
}

// §8.1.1: content-length and the content.
#[test]
fn trailers_come_when_the_content_is_whole() {
    let post = with(&POST, &[("content-length", "2")]);
    let mut client = Client::new();
    client.request(1, 0, &post);
    assert_eq!(client.send_frame(DATA, 0, 1, b"x").len(), 1);
    let told = client.send_fields(1, END_STREAM, &[("x", "y")]);
    client.check_broken(&told, 1, ErrorCode::Protocol);
    let key = client.request(3, 0, &post);
    assert_eq!(client.send_frame(DATA, 0, 3, b"xy").len(), 1);
    let told = client.send_fields(3, END_STREAM, &[("x", "y")]);
    assert!(matches!(&told[..], [Told::Trailers(of, _)] if *of == key));
}

#[test]
fn a_length_without_content_is_malformed() {
    let mut client = Client::new();
    let told = client.send_fields(1, END_STREAM, &with(&POST, &[("content-length", "1")]));
    client.check_refused(&told, 1, ErrorCode::Protocol);
    client.request(3, END_STREAM, &with(&POST, &[("content-length", "0")]));
}

// Case T04.
#[test]
fn post_without_length_and_content_is_411() {
    let mut client = Client::new();
    let told = client.send_fields(1, END_STREAM, &POST);
    let [Told::Refused(key, true, Reject::LengthRequired)] = told[..] else {
        panic!("{told:?}");
    };
    assert!(client.answer(key, Some(0)).ended);
    client.release(key);
    assert_eq!(client.sent().len(), 1);
}

// Case T07.
#[test]
fn content_without_length_looks_chunked() {
    let mut client = Client::new();
    client.post(1);
    assert_eq!(
        client.field("transfer-encoding").as_deref(),
        Some("chunked")
    );
    assert_eq!(
        client.connection.head().head.framing,
        ContentFraming::Chunked
    );
    client.request(3, 0, &with(&POST, &[("content-length", "7")]));
    assert_eq!(client.field("transfer-encoding"), None);
    assert_eq!(
        client.connection.head().head.framing,
        ContentFraming::Length(7)
    );
}

#[test]
fn head_with_content_needs_http_1() {
    let head = with(&[(":method", "HEAD")], &GET[1..]);
    let mut client = Client::new();
    let told = client.send_fields(1, 0, &head);
    client.check_refused(&told, 1, ErrorCode::Http11Required);
    let told = client.send_frame(DATA, END_STREAM, 1, b"content");
    client.check_ignored(&told);
    client.request(3, END_STREAM, &head);
    assert!(client.connection.head().head.head_request);
}

#[test]
fn a_request_that_breaks_another_rule_is_told() {
    let mut client = Client::new();
    let fields = with(&[(":method", "get")], &GET[1..]);
    let told = client.send_fields(1, 0, &fields);
    assert!(matches!(
        told[..],
        [Told::Refused(_, false, Reject::MethodCase)]
    ));
    let told = client.send_frame(DATA, END_STREAM, 1, b"content");
    assert!(matches!(told[..], [Told::Data(_, _, true)]));
    let fields = [(":method", "CONNECT"), (":authority", "a:443")];
    let told = client.send_fields(3, 0, &fields);
    assert!(matches!(
        told[..],
        [Told::Refused(_, false, Reject::Connect)]
    ));
}

// RFC 8441.
#[test]
fn extended_connect_opens_a_tunnel() {
    let fields = with(
        &[(":method", "CONNECT"), (":protocol", "websocket")],
        &GET[1..],
    );
    let mut client = Client::new();
    let key = client.request(1, 0, &fields);
    let head = client.connection.head();
    assert_eq!(
        head.head.line.protocol.unwrap().of(&head.bytes),
        b"websocket"
    );
    let told = client.send_frame(DATA, 0, 1, b"bytes");
    assert_eq!(told, [Told::Data(key, b"bytes".to_vec(), false)]);
    // RFC 9113 §8.5: nothing but DATA.
    let told = client.send_fields(1, END_STREAM, &[("x", "y")]);
    client.check_broken(&told, 1, ErrorCode::Protocol);

    let mut limits = Http2Limits::default();
    limits.extended_connect = false;
    let mut client = Client::with(&limits);
    let told = client.send_fields(1, 0, &fields);
    client.check_refused(&told, 1, ErrorCode::Protocol);
}

fn small() -> Client {
    let mut request_limits = RequestLimits::default();
    request_limits.head_bytes_max = 1_000;
    Client::with_all(&Http2Limits::default(), &request_limits, WINDOW)
}

#[test]
fn a_head_that_is_too_long_is_refused_and_the_connection_lives() {
    let mut client = small();
    for len in [900, 1_100, 5_000, 16_000] {
        let stream = len as u32 * 2 + 1;
        let told = client.send_fields(stream, END_STREAM, &with(&GET, &[("x", &"y".repeat(len))]));
        match told[..] {
            [Told::Request(..)] => assert_eq!(len, 900),
            [Told::Refused(_, true, Reject::HeadTooLong)] => {}
            _ => panic!("{len}: {told:?}"),
        }
    }
}

// An HPACK bomb: few bytes that stand for many.
#[test]
fn a_header_list_that_is_too_long_is_refused() {
    let mut client = Client::new();
    let value = "z".repeat(3_000);
    let mut block = client.block(&GET);
    block.extend([0x40, 1, b'b', 0x7F, 0xB9, 0x16]);
    block.extend(value.as_bytes());
    block.extend(vec![0xBE; 10_000]);
    let told = client.send_frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
    assert!(
        matches!(told[..], [Told::Refused(_, true, Reject::HeadTooLong)]),
        "{told:?}"
    );
    assert!(client.connection.head().bytes.len() < 64 * 1024);
}

// CERT VU#421644: the sum of fragments is bounded.
#[test]
fn a_block_that_is_much_too_long_fails_the_connection() {
    let mut client = small();
    let block = vec![0; 16_384];
    assert_eq!(client.send_frame(HEADERS, 0, 1, &block), []);
    assert_eq!(client.send_frame(CONTINUATION, 0, 1, &block[..1_000]), []);
    let told = client.send_frame(CONTINUATION, 0, 1, &[0]);
    let failure = client.check_failed(&told, ErrorCode::EnhanceYourCalm);
    assert!(failure.is_flood);
}

#[test]
fn the_same_head_has_the_same_serial() {
    let mut client = Client::new();
    let mut serials = Vec::new();
    for stream in (1..20).step_by(2) {
        client.get(stream);
        serials.push(client.connection.head().serial);
        assert_eq!(client.field("host").as_deref(), Some("a"));
    }
    // The first puts its fields into the table.
    assert!(
        serials[1..].windows(2).all(|pair| pair[0] == pair[1]),
        "{serials:?}"
    );
    assert_ne!(serials[0], serials[1]);
    // Another head, also one that is refused, and one that goes on.
    let last = serials[9];
    let told = client.send_fields(21, END_STREAM, &with(&GET, &[("te", "x")]));
    client.check_refused(&told, 21, ErrorCode::Protocol);
    client.get(23);
    let serial = client.connection.head().serial;
    assert_ne!(serial, last);
    client.request(25, 0, &GET);
    assert_ne!(client.connection.head().serial, serial);
    assert_eq!(
        client.connection.head().head.framing,
        ContentFraming::Chunked
    );
    client.get(27);
    assert_eq!(client.connection.head().head.framing, ContentFraming::None);
}

#[test]
fn the_same_block_with_another_table_is_another_head() {
    let mut client = Client::new();
    let mut path_of = |stream, block: &[u8]| {
        let told = client.send_frame(HEADERS, END_HEADERS | END_STREAM, stream, block);
        assert!(matches!(told[..], [Told::Request(..)]), "{told:?}");
        let head = client.connection.head();
        String::from_utf8(head.head.line.target.of(&head.bytes).to_vec()).unwrap()
    };
    // The first field of the dynamic table is the path.
    let again = [0x82, 0x86, 0x01, 1, b'a', 0xBE];
    assert_eq!(
        path_of(1, &[0x82, 0x86, 0x01, 1, b'a', 0x44, 2, b'/', b'1']),
        "/1"
    );
    assert_eq!(path_of(3, &again), "/1");
    assert_eq!(path_of(5, &again), "/1");
    assert_eq!(
        path_of(7, &[0x82, 0x86, 0x01, 1, b'a', 0x44, 2, b'/', b'2']),
        "/2"
    );
    assert_eq!(path_of(9, &again), "/2");
    assert_eq!(path_of(11, &again), "/2");
}
