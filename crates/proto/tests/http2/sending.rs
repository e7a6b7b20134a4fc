//! What is sent on a stream, and how it ends. RFC 9113 §5.1, §8.1; http-server-api §11.

use tidegate_httpapi::ResponseHead;
use tidegate_proto::http2::{ErrorCode, StreamKey};

use crate::support::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, Frame, GET, HEADERS, RST_STREAM, Told,
    context, field_block, with,
};

fn reset(stream: StreamKey, code: u32) -> Frame {
    Frame {
        kind: RST_STREAM,
        flags: 0,
        stream: stream.id,
        payload: code.to_be_bytes().to_vec(),
    }
}

#[test]
fn an_answer_is_head_content_and_trailers() {
    let mut client = Client::new();
    let key = client.get(1);
    let fields = field_block(&[("Link", "</style.css>; rel=preload")]);
    client
        .connection
        .send_interim(key, 103, &fields, &mut client.out);
    let sent = client.answer(key, None);
    assert!(sent.send_content && !sent.ended);
    assert_eq!(client.write(key, 3, false), Some(3));
    let trailers = field_block(&[("X-Sum", "7")]);
    client
        .connection
        .send_trailers(key, &trailers, &mut client.out);
    client
        .connection
        .send_trailers(key, &trailers, &mut client.out);
    client.release(key);
    let sent = client.sent();
    let kinds: Vec<_> = sent.iter().map(|frame| (frame.kind, frame.flags)).collect();
    assert_eq!(
        kinds,
        [
            (HEADERS, END_HEADERS),
            (HEADERS, END_HEADERS),
            (DATA, 0),
            (HEADERS, END_HEADERS | END_STREAM)
        ]
    );
    let interim = client.decode(&sent[0].payload);
    assert_eq!(interim[0], (":status".to_owned(), "103".to_owned()));
    assert_eq!(interim[1].0, "link");
    assert_eq!(client.decode(&sent[1].payload)[0].1, "200");
    assert_eq!(
        client.decode(&sent[3].payload),
        [("x-sum".to_owned(), "7".to_owned())]
    );
}

#[test]
fn content_is_read_into_its_frames() {
    let mut client = Client::new();
    let key = client.get(1);
    client.answer(key, None);
    client.out.clear();
    let before = client.connection.send_window(key);
    let mut told = Vec::new();
    let mut send = |available: usize, last: bool, gives: Result<usize, &'static str>| {
        let Client {
            connection, out, ..
        } = &mut client;
        let read = |out: &mut Vec<u8>, max: usize| {
            told.push(max);
            let count = gives?.min(max);
            out.resize(out.len() + count, b'x');
            Ok(count)
        };
        connection.send_data_from(key, available, last, out, read)
    };
    assert_eq!(send(20_000, true, Ok(20_000)), Ok(Some(16_384)));
    // Fewer than there might be: the stream goes on.
    assert_eq!(send(3_616, true, Ok(100)), Ok(Some(100)));
    assert_eq!(send(3_516, true, Ok(0)), Ok(Some(0)));
    assert_eq!(send(3_516, true, Err("a fault")), Err("a fault"));
    assert_eq!(send(3_516, false, Ok(3_516)), Ok(Some(3_516)));
    assert_eq!(send(0, true, Ok(0)), Ok(None));
    assert_eq!(send(1, true, Ok(1)), Ok(Some(1)));
    assert_eq!(send(1, true, Ok(1)), Ok(None), "it has ended");
    assert_eq!(told, [16_384, 3_616, 3_516, 3_516, 3_516, 1]);
    let sent = client.sent();
    let frames: Vec<_> = sent
        .iter()
        .map(|frame| (frame.kind, frame.flags, frame.payload.len()))
        .collect();
    assert_eq!(
        frames,
        [
            (DATA, 0, 16_384),
            (DATA, 0, 100),
            (DATA, 0, 3_516),
            (DATA, END_STREAM, 1)
        ]
    );
    assert!(
        sent.iter()
            .all(|frame| frame.payload.iter().all(|byte| *byte == b'x'))
    );

    // Windows are kept to, and used up by what was sent alone.
    let other = client.get(3);
    client.answer(other, None);
    client.out.clear();
    assert_eq!(client.connection.send_window(other), before - 20_001);
    let Client {
        connection, out, ..
    } = &mut client;
    let mut left = before - 20_001;
    while left > 0 {
        let read = |out: &mut Vec<u8>, max: usize| {
            out.resize(out.len() + max, b'y');
            Ok::<_, ()>(max)
        };
        let sent = connection.send_data_from(other, usize::MAX, false, out, read);
        assert_eq!(sent, Ok(Some(left.min(16_384))));
        left -= left.min(16_384);
    }
    let read = |_: &mut Vec<u8>, _: usize| -> Result<usize, ()> { panic!("the window is shut") };
    assert_eq!(
        connection.send_data_from(other, 1, true, out, read),
        Ok(None)
    );
}

#[test]
fn an_answer_without_content_ends_with_its_head() {
    let mut client = Client::new();
    let key = client.get(1);
    assert!(client.answer(key, Some(0)).ended);
    assert!(!client.connection.is_open(key));
    assert!(client.answer(key, Some(0)).ended);
    let sent = client.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].flags, END_HEADERS | END_STREAM);
}

#[test]
fn long_heads_are_sent_in_many_frames() {
    let mut client = Client::new();
    let key = client.get(1);
    let mut head = ResponseHead::new(200);
    let value = "é~".repeat(10_000);
    head.fields.append("X-Long", &value).unwrap();
    client
        .connection
        .send_head(key, &head, Some(0), &context(), &mut client.out);
    let sent = client.sent();
    assert!(sent.len() > 1 && sent.iter().all(|frame| frame.payload.len() <= 16_384));
    assert_eq!((sent[0].kind, sent[0].flags), (HEADERS, END_STREAM));
    let last = sent.last().unwrap();
    assert_eq!((last.kind, last.flags), (CONTINUATION, END_HEADERS));
    let block: Vec<u8> = sent
        .iter()
        .flat_map(|frame| frame.payload.clone())
        .collect();
    assert!(
        client
            .decode(&block)
            .contains(&("x-long".to_owned(), value))
    );
}

#[test]
fn a_tunnel_stays_open_both_ways() {
    let mut client = Client::new();
    let fields = with(
        &[(":method", "CONNECT"), (":protocol", "websocket")],
        &GET[1..],
    );
    let key = client.request(1, 0, &fields);
    let head = ResponseHead::new(200);
    client
        .connection
        .send_tunnel_head(key, &head, &context(), &mut client.out);
    assert_eq!(client.sent()[0].flags, END_HEADERS);
    assert_eq!(client.write(key, 5, false), Some(5));
    assert_eq!(client.send_frame(DATA, END_STREAM, 1, b"bytes").len(), 1);
    assert_eq!(client.write(key, 5, true), Some(5));
    client.release(key);
    assert_eq!(client.sent().len(), 2);
}

// §11: exactly the application's code, at any time before both sides have ended.
#[test]
fn the_application_resets_with_its_code() {
    let mut client = Client::new();
    let before = client.get(1);
    let code = 0x1234_5678;
    client.connection.reset(before, code, &mut client.out);
    client.connection.reset(before, 1, &mut client.out);
    assert_eq!(client.sent(), [reset(before, code)]);

    let in_content = client.get(3);
    client.answer(in_content, None);
    client.write(in_content, 5, false);
    client.out.clear();
    client.connection.reset(in_content, code, &mut client.out);
    assert_eq!(client.sent(), [reset(in_content, code)]);
    assert_eq!(client.write(in_content, 5, false), None);

    let in_upload = client.post(5);
    client.answer(in_upload, Some(0));
    client.out.clear();
    client.connection.reset(in_upload, 0, &mut client.out);
    assert_eq!(client.sent(), [reset(in_upload, 0)]);

    let whole = client.get(7);
    client.answer(whole, Some(0));
    client.out.clear();
    client.connection.reset(whole, code, &mut client.out);
    assert_eq!(client.sent(), []);
    for key in [before, in_content, in_upload, whole] {
        client.release(key);
    }
    assert_eq!(client.sent(), []);
}

// RFC 9113 §8.1: the answer is whole, the content is not needed.
#[test]
fn content_that_nobody_needs_is_declined() {
    let mut client = Client::new();
    let key = client.post(1);
    client.answer(key, Some(0));
    client.out.clear();
    client.release(key);
    assert_eq!(client.sent(), [reset(key, ErrorCode::NoError.value())]);
    let told = client.send_frame(DATA, END_STREAM, 1, b"content");
    client.check_ignored(&told);
}

#[test]
fn a_stream_without_a_whole_answer_is_cancelled() {
    let mut client = Client::new();
    for (stream, answer) in [(1, None), (5, Some(None)), (9, Some(Some(10)))] {
        for key in [client.get(stream), client.post(stream + 2)] {
            if let Some(length) = answer {
                client.answer(key, length);
                client.write(key, 3, false);
            }
            client.out.clear();
            client.release(key);
            assert_eq!(client.sent(), [reset(key, ErrorCode::Cancel.value())]);
        }
    }
}

#[test]
fn nothing_is_sent_on_a_stream_that_the_peer_reset() {
    let mut client = Client::new();
    let key = client.post(1);
    assert_eq!(client.reset(1), [Told::Reset(key, 8)]);
    assert!(!client.connection.is_open(key));
    let fields = field_block(&[("X", "y")]);
    client
        .connection
        .send_interim(key, 103, &fields, &mut client.out);
    let sent = client.answer(key, Some(5));
    assert!(sent.ended && !sent.send_content);
    assert_eq!(client.write(key, 5, true), None);
    client
        .connection
        .send_trailers(key, &fields, &mut client.out);
    client.connection.reset(key, 5, &mut client.out);
    client.release(key);
    client.release(key);
    assert_eq!(client.sent(), []);
    // What was not sent did not change the encoder.
    let key = client.get(3);
    client.answer(key, Some(0));
    let sent = client.sent();
    assert_eq!(client.decode(&sent[0].payload)[0].1, "200");
}

#[test]
fn nothing_is_sent_after_a_failure() {
    let mut client = Client::new();
    let key = client.post(1);
    client.answer(key, None);
    client.connection.want_send(key);
    let told = client.send_frame(DATA, 0, 0, b"");
    client.check_failed(&told, ErrorCode::Protocol);
    assert!(!client.connection.is_open(key));
    assert_eq!(client.connection.next_to_send(), None);
    assert_eq!(client.write(key, 5, true), None);
    let Client {
        connection, out, ..
    } = &mut client;
    let read = |_: &mut Vec<u8>, _: usize| -> Result<usize, ()> { panic!("nobody wants it") };
    let sent = connection.send_data_from(key, 5, true, out, read);
    assert_eq!(sent, Ok(None));
    client.connection.reset(key, 5, &mut client.out);
    client.connection.consumed(key, 5, &mut client.out);
    client.connection.begin_go_away(&mut client.out);
    client
        .connection
        .go_away(ErrorCode::NoError, &mut client.out);
    client.release(key);
    assert_eq!(client.sent(), []);
    assert_eq!(client.connection.streams(), 0);
}

#[test]
fn a_connection_goes_on_after_it_was_idle() {
    let mut client = Client::new();
    for stream in (1..100).step_by(2) {
        let key = client.get(stream);
        client.connection.idle();
        client.answer(key, Some(0));
        client.release(key);
        let sent = client.sent();
        assert_eq!(client.decode(&sent[0].payload)[0].1, "200");
        client.connection.idle();
    }
}
