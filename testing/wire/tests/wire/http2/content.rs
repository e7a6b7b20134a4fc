//! Content of requests: how long it may be, and how it ends. RFC 9113 §8.1.1; http-server-api §11.

use tidegate_driver::Io;
use tidegate_httpapi::{Body, OperatingMode, ResponseHead};
use tidegate_wire::{
    Http2, Server, code, echo, flag, frame, held, kind, label, on_both_loops,
    on_both_loops_in_both_modes, seen,
};

use super::{lives, pattern};

on_both_loops_in_both_modes!(
    content_is_echoed_however_it_is_cut,
    content_that_is_not_as_long_as_announced_resets_the_stream,
    content_whose_length_is_wrong_ends_the_reading,
);

on_both_loops!(
    padding_is_no_content,
    content_of_nothing_is_none,
    unread_content_is_no_hindrance,
);

fn content_is_echoed_however_it_is_cut(io: Io, mode: OperatingMode) {
    for gathered in [0, 16 * 1024] {
        let server = Server::start(io);
        server.serve_with("localhost/", echo(), |queue| {
            queue.operating_mode = mode;
            queue.content_gathered_max = gathered;
        });
        let mut peer = Http2::connect(&server);
        let content = pattern(10_000);
        for cut in [1000, 3333, 9999, 10_000] {
            for with_length in [true, false] {
                let length: &[_] = match with_length {
                    true => &[("content-length", "10000")],
                    false => &[],
                };
                let stream = peer.request("POST", "/", length, false);
                for piece in content.chunks(cut) {
                    peer.data(stream, piece, false);
                }
                peer.data(stream, "", true);
                assert_eq!(peer.answer(stream).content, content);
            }
        }
    }
}

fn content_that_is_not_as_long_as_announced_resets_the_stream(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    for content in ["123", "12345"] {
        let stream = peer.request("POST", "/", &[("content-length", "4")], false);
        peer.data(stream, content, true);
        assert_eq!(peer.answer(stream).reset, Some(code::PROTOCOL_ERROR));
    }
    let stream = peer.request("POST", "/", &[("content-length", "4")], true);
    assert_eq!(peer.answer(stream).reset, Some(code::PROTOCOL_ERROR));
    // Trailers end it as well.
    let stream = peer.request("POST", "/", &[("content-length", "4")], false);
    peer.data(stream, "123", false);
    let trailers = peer.block(&[("x-sum", "1")]);
    peer.send(frame::headers(stream, trailers, true));
    assert_eq!(peer.answer(stream).reset, Some(code::PROTOCOL_ERROR));
    for lengths in [
        &[("content-length", "4"), ("content-length", "5")] as &[_],
        &[("content-length", "+4")],
        &[("content-length", "99999999999999999999")],
    ] {
        let stream = peer.request("POST", "/", lengths, false);
        let answer = peer.answer(stream);
        assert!(
            matches!(answer.status(), 400 | 413) || answer.reset == Some(code::PROTOCOL_ERROR),
            "{lengths:?}: {answer:?}"
        );
    }
    assert!(requests.try_recv().is_err());
    lives(&mut peer);
}

fn content_whose_length_is_wrong_ends_the_reading(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = mode;
        queue.content_gathered_max = 0;
    });
    let mut peer = Http2::connect(&server);
    let stream = peer.request("POST", "/", &[("content-length", "8")], false);
    peer.data(stream, "1234", false);
    let mut request = requests.next();
    assert_eq!(request.body.blocking_chunk().unwrap().unwrap(), "1234");
    peer.data(stream, "567", true);
    assert_eq!(peer.answer(stream).reset, Some(code::PROTOCOL_ERROR));
    assert!(request.body.blocking_chunk().is_err());
    let head = ResponseHead::new(200);
    request.responder.respond(head, Body::Static(b"too late"));
    peer.settle();
    assert_eq!(peer.goaways, []);
}

fn padding_is_no_content(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", echo());
    let mut peer = Http2::connect(&server);
    for padding in [0, 1, 255] {
        let stream = peer.request("POST", "/", &[("content-length", "8")], false);
        for (content, end) in [("half", 0), ("more", flag::END_STREAM)] {
            let mut payload = vec![padding];
            payload.extend(content.as_bytes());
            payload.extend(vec![0; padding.into()]);
            peer.send(frame::frame(
                kind::DATA,
                flag::PADDED | end,
                stream,
                payload,
            ));
        }
        assert_eq!(peer.answer(stream).text(), "halfmore");
    }
    // Of nothing but padding.
    let stream = peer.request("POST", "/", &[], false);
    peer.send(frame::frame(
        kind::DATA,
        flag::PADDED,
        stream,
        [5, 0, 0, 0, 0, 0],
    ));
    peer.data(stream, "", true);
    assert_eq!(peer.answer(stream).text(), "");
    lives(&mut peer);
}

fn content_of_nothing_is_none(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", echo());
    let mut peer = Http2::connect(&server);
    for length in [&[("content-length", "0")] as &[_], &[]] {
        let stream = peer.request("POST", "/", length, false);
        peer.data(stream, "", true);
        let answer = peer.answer(stream);
        assert_eq!((answer.status(), answer.text()), (200, ""));
    }
    lives(&mut peer);
}

fn unread_content_is_no_hindrance(io: Io) {
    let server = Server::start(io);
    server.serve_with("localhost/", label("early"), |queue| {
        queue.content_gathered_max = 0
    });
    let mut peer = Http2::connect(&server);
    for _ in 0..20 {
        let stream = peer.request("POST", "/", &[("content-length", "40000")], false);
        let content = pattern(40_000);
        for piece in content[..30_000].chunks(10_000) {
            peer.data(stream, piece, false);
        }
        // It is told that the rest is not needed, or the rest has come in time.
        assert_eq!(peer.answer(stream).text(), "early");
        peer.data(stream, &content[30_000..], true);
        peer.settle();
        assert!(matches!(
            peer.seen(stream).reset,
            None | Some(code::NO_ERROR)
        ));
    }
    lives(&mut peer);
}
