//! Flow control: what is sent keeps to the windows, whatever they do, and never stands still beside an open
//! one. RFC 9113 §5.2, §6.9.
//!
//! That no more comes than a window allows is looked at with every frame, by the client.

use std::sync::Arc;

use tidegate_driver::Io;
use tidegate_httpapi::{Body, Exchange, OperatingMode, ResponseHead};
use tidegate_wire::{
    Http2, Pieces, Server, answering, frame, held, label, on_both_loops,
    on_both_loops_in_both_modes, setting,
};

use super::pattern;

on_both_loops_in_both_modes!(
    a_window_is_opened_in_odd_pieces,
    many_streams_share_a_connection_s_window,
    an_upload_read_slowly_holds_up_nobody,
);

on_both_loops!(
    windows_below_zero_are_waited_for,
    the_connection_s_window_holds_up_all,
    an_end_needs_no_window,
    a_source_is_asked_no_further_than_windows_reach,
    urgent_streams_go_first,
    an_upload_is_given_window_as_it_is_read,
);

const LENGTH: usize = 1 << 20;

/// Content as whole bytes, or piece by piece, as the path says.
fn large(exchange: Exchange<'_>) {
    let body = if exchange.head().cooked_path.ends_with("pieces") {
        let pieces = Pieces::default();
        for (at, piece) in pattern(LENGTH).chunks(30_011).enumerate() {
            pieces.give(piece.to_vec());
            if at % 3 == 0 {
                pieces.give("");
            }
        }
        pieces.end();
        pieces.body(None)
    } else {
        Body::Shared(pattern(LENGTH).into())
    };
    exchange.respond(ResponseHead::new(200), body);
}

fn a_window_is_opened_in_odd_pieces(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", answering(large));
    for path in ["/whole", "/pieces"] {
        let mut peer = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
        peer.widen(0, 2 * LENGTH as u32);
        let stream = peer.request("GET", path, &[], true);
        peer.head(stream);
        peer.settle();
        assert_eq!(peer.content_bytes(stream), 0);
        // One by one, and then by sizes around those of frames and buffers.
        let ones = std::iter::repeat_n(1, 300);
        let odd = [7, 1000, 16_383, 16_384, 16_385, 65_535, 65_537, 99_999];
        let mut expected = 0;
        for by in ones.chain(odd.into_iter().cycle()) {
            let by = by.min(LENGTH - expected);
            if by == 0 {
                break;
            }
            expected += by;
            peer.widen(stream, by as u32);
            peer.until(|peer| peer.content_bytes(stream) == expected);
        }
        let answer = peer.answer(stream);
        assert_eq!((answer.reset, answer.ended), (None, true));
        assert!(answer.content == pattern(LENGTH));
    }
}

fn windows_below_zero_are_waited_for(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", answering(large));
    for path in ["/whole", "/pieces"] {
        let mut peer = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 40_000)]);
        peer.widen(0, 2 * LENGTH as u32);
        let streams = [0; 3].map(|_| peer.request("GET", path, &[], true));
        for stream in streams {
            peer.until(|peer| peer.content_bytes(stream) == 40_000);
        }
        let [first, second, third] = streams;
        peer.send_settings(&[(setting::INITIAL_WINDOW_SIZE, 10_000)]);
        peer.until(|peer| peer.acknowledged == 2);
        assert_eq!(peer.left(first), -30_000);
        // Up to nothing is not enough.
        peer.widen(first, 30_000);
        peer.settle();
        assert_eq!(peer.content_bytes(first), 40_000);
        peer.widen(first, 1);
        peer.until(|peer| peer.content_bytes(first) == 40_001);
        // Several at once, of which the last holds.
        peer.send_settings(&[
            (setting::INITIAL_WINDOW_SIZE, 0),
            (setting::INITIAL_WINDOW_SIZE, 50_000),
        ]);
        peer.until(|peer| peer.content_bytes(second) == 50_000);
        peer.until(|peer| peer.content_bytes(third) == 50_000);
        // The first one's WINDOW_UPDATE frames stay added.
        peer.until(|peer| peer.content_bytes(first) == 80_001);
        peer.settle();
        assert_eq!(peer.content_bytes(second), 50_000);
        peer.send_settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
        peer.send_settings(&[(setting::INITIAL_WINDOW_SIZE, LENGTH as u32)]);
        peer.widen(0, 2 * LENGTH as u32);
        for stream in streams {
            assert!(peer.answer(stream).content == pattern(LENGTH));
        }
    }
}

fn the_connection_s_window_holds_up_all(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", answering(large));
    server.serve("localhost/small/", label("small"));
    let window = [(setting::INITIAL_WINDOW_SIZE, LENGTH as u32)];
    let mut peer = Http2::connect_with(&server, &window);
    let first = peer.request("GET", "/whole", &[], true);
    let second = peer.request("GET", "/pieces", &[], true);
    peer.until(|peer| peer.left(0) == 0);
    // Heads need no window.
    let small = peer.request("GET", "/small/", &[], true);
    assert_eq!(peer.head(small).text(), "");
    peer.settle();
    let received = peer.content_bytes(first) + peer.content_bytes(second);
    assert_eq!(received, 65_535);
    for _ in 0..5 {
        peer.widen(0, 3);
        peer.until(|peer| peer.left(0) == 0);
    }
    peer.widen(0, 3 * LENGTH as u32);
    assert!(peer.answer(first).content == pattern(LENGTH));
    assert!(peer.answer(second).content == pattern(LENGTH));
    assert_eq!(peer.answer(small).text(), "small");
}

fn many_streams_share_a_connection_s_window(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let own = answering(|exchange| {
        let number: usize = exchange.head().cooked_path[1..].parse().unwrap();
        let content = pattern(40_000 + number)[number..].to_vec();
        let body = if number.is_multiple_of(2) {
            Body::Owned(content)
        } else {
            let pieces = Pieces::default();
            content
                .chunks(7_001)
                .for_each(|piece| pieces.give(piece.to_vec()));
            pieces.end();
            pieces.body(Some(40_000))
        };
        exchange.respond(ResponseHead::new(200), body);
    });
    server.serve_in(mode, "localhost/", own);
    let mut peer = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 20_000)]);
    let incremental = [("priority", "i")];
    let streams: Vec<u32> = (0..50)
        .map(|number| peer.request("GET", &format!("/{number}"), &incremental, true))
        .collect();
    let mut given = 0;
    while !streams
        .iter()
        .all(|stream| peer.seen(*stream).is_complete())
    {
        if peer.left(0) <= 0 {
            peer.widen(0, 33_333);
        }
        // Each stream gets more as it uses up what it has.
        for stream in &streams {
            if peer.left(*stream) <= 0 && !peer.seen(*stream).is_complete() {
                peer.widen(*stream, 12_345);
                given += 1;
            }
        }
        peer.step();
    }
    assert!(given >= 100);
    for (number, stream) in streams.into_iter().enumerate() {
        let expected = &pattern(40_000 + number)[number..];
        assert!(peer.answer(stream).content == expected, "{number}");
    }
}

fn an_end_needs_no_window(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut peer = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 4)]);
    let stream = peer.request("GET", "/", &[], true);
    let pieces = Pieces::default();
    let responder = requests.next().responder;
    responder.respond(ResponseHead::new(200), pieces.body(None));
    pieces.give("full");
    peer.until(|peer| peer.content_bytes(stream) == 4);
    assert_eq!(peer.left(stream), 0);
    pieces.end();
    assert_eq!(peer.answer(stream).text(), "full");
    // Nor do trailers.
    let stream = peer.request("GET", "/", &[], true);
    let pieces = Pieces::default();
    let responder = requests.next().responder;
    responder.respond(ResponseHead::new(200), pieces.body(None));
    pieces.give("full");
    peer.until(|peer| peer.content_bytes(stream) == 4);
    pieces.end_with(super::block(&[("x-sum", "1")]));
    assert!(peer.answer(stream).trailers.is_some());
}

fn a_source_is_asked_no_further_than_windows_reach(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut peer = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let stream = peer.request("GET", "/", &[], true);
    let shared = Arc::new(());
    let source = Counted(Arc::clone(&shared), 0);
    let body = Body::Stream {
        length: None,
        source: Box::new(source),
    };
    requests
        .next()
        .responder
        .respond(ResponseHead::new(200), body);
    peer.head(stream);
    peer.settle();
    // Each piece that is held holds a count.
    assert!(
        Arc::strong_count(&shared) <= 3,
        "{}",
        Arc::strong_count(&shared)
    );
    peer.widen(stream, 10 * 16_384);
    peer.widen(0, 10 * 16_384);
    peer.until(|peer| peer.content_bytes(stream) == 10 * 16_384);
    peer.settle();
    assert!(
        Arc::strong_count(&shared) <= 3,
        "{}",
        Arc::strong_count(&shared)
    );
    peer.send(frame::reset(stream, 8));
    tidegate_wire::until("the source is dropped", || Arc::strong_count(&shared) == 1);
}

/// Content without end, in pieces that are counted as long as they live.
struct Counted(Arc<()>, usize);

struct Piece(
    Vec<u8>,
    #[allow(dead_code, reason = "held to be counted")] Arc<()>,
);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl tidegate_httpapi::BodySource for Counted {
    fn poll_chunk(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<bytes::Bytes>>> {
        self.1 += 1;
        let piece = Piece(vec![b'x'; 16_384], Arc::clone(&self.0));
        std::task::Poll::Ready(Some(Ok(bytes::Bytes::from_owner(piece))))
    }
}

// RFC 9218.
fn urgent_streams_go_first(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", answering(large));
    let window = [(setting::INITIAL_WINDOW_SIZE, LENGTH as u32)];
    let mut peer = Http2::connect_with(&server, &window);
    let last = peer.request("GET", "/whole", &[("priority", "u=6")], true);
    peer.until(|peer| peer.left(0) == 0);
    let later = peer.request("GET", "/whole", &[], true);
    let first = peer.request("GET", "/whole", &[("priority", "u=0")], true);
    for stream in [later, first] {
        peer.head(stream);
    }
    let before = peer.content_bytes(last);
    peer.widen(0, LENGTH as u32);
    peer.until(|peer| peer.left(0) == 0);
    assert!(peer.seen(first).ended);
    assert_eq!(
        (peer.content_bytes(last), peer.content_bytes(later)),
        (before, 0)
    );
    peer.widen(0, LENGTH as u32);
    peer.until(|peer| peer.left(0) == 0);
    assert!(peer.seen(later).ended);
    assert_eq!(peer.content_bytes(last), before);
    peer.widen(0, LENGTH as u32);
    assert!(peer.answer(last).content == pattern(LENGTH));
}

fn an_upload_read_slowly_holds_up_nobody(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(mode, "localhost/echo/", tidegate_wire::echo());
    let mut peer = Http2::connect(&server);
    let content = pattern(LENGTH);
    let slow = peer.request("POST", "/held/", &[("content-length", "1048576")], false);
    let mut request = requests.next();
    // Nothing is read: a window of it is taken and no more.
    let mut sent = 0;
    loop {
        let count = peer.window(slow).min(16_384);
        if count == 0 {
            break;
        }
        peer.data(slow, &content[sent..sent + count], false);
        sent += count;
        peer.settle();
    }
    assert!(
        (65_536..=131_072).contains(&sent),
        "{sent} bytes were taken"
    );
    // Others have windows of their own.
    for _ in 0..3 {
        let stream = peer.request("POST", "/echo/", &[], false);
        peer.upload(stream, &content[..200_000], true);
        assert!(peer.answer(stream).content == content[..200_000]);
    }
    let reading = std::thread::spawn(move || {
        let mut read = Vec::new();
        while let Some(chunk) = request.body.blocking_chunk().unwrap() {
            read.extend_from_slice(&chunk);
        }
        request.responder.respond_bytes(200, "whole".into());
        read
    });
    peer.upload(slow, &content[sent..], true);
    assert_eq!(peer.answer(slow).text(), "whole");
    assert!(reading.join().unwrap() == content);
}

fn an_upload_is_given_window_as_it_is_read(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.limits.receive_window_bytes = 16_384;
    });
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    assert_eq!(peer.settings[&setting::INITIAL_WINDOW_SIZE], 16_384);
    let stream = peer.request("POST", "/", &[], false);
    let mut request = requests.next();
    let content = pattern(100_000);
    let reading = std::thread::spawn(move || {
        let read = request.body.blocking_collect(u64::MAX).unwrap();
        request.responder.respond_bytes(200, "whole".into());
        read
    });
    peer.upload(stream, &content, true);
    assert_eq!(peer.answer(stream).text(), "whole");
    assert!(reading.join().unwrap() == content);
}
