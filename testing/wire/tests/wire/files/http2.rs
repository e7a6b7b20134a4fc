//! Bytes on HTTP/2: exact, whole and in order, in frames that keep to the windows.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{Body, FieldBlock, FilePart, OperatingMode, Piece, ResponseHead};
use tidegate_wire::{
    Http2, answering, content, file, label, let_go, on_both_loops, on_both_loops_in_both_modes,
    parts_of, pieces_of, setting,
};

use super::{LENGTH, PARTS, Reached, mixed, path, strange_file};

on_both_loops_in_both_modes!(
    parts_of_a_file_are_exact,
    pieces_are_joined_in_order,
    streams_share_a_file,
);

on_both_loops!(
    a_window_is_opened_in_odd_pieces,
    a_head_of_a_file_has_no_content,
    trailers_follow_a_file,
    a_file_the_system_cannot_tell_of_is_sent_alike,
);

fn parts_of_a_file_are_exact(io: Io, mode: OperatingMode) {
    let content = content(LENGTH);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve_in(mode, "localhost/", parts_of(&file));
        let mut peer = reached.http2();
        for (offset, length) in PARTS {
            let answer = peer.get(&path(offset, length));
            assert_eq!((answer.status(), answer.reset), (200, None));
            let announced = answer.field("content-length");
            assert_eq!(announced, Some(length.to_string().as_str()));
            assert!(
                answer.content == content[offset..offset + length],
                "{offset}, {length}"
            );
            // Full frames, and no empty one for the end.
            assert_eq!(answer.data_frames, length.div_ceil(16_384));
        }
        let_go(&file, 2);
    }
}

fn pieces_are_joined_in_order(io: Io, mode: OperatingMode) {
    let content = content(2 << 20);
    let file = file(&content);
    let (pieces, whole) = mixed(&file, &content);
    for reached in Reached::both(io) {
        let pieces = pieces.clone();
        let application = pieces_of(move || pieces.clone());
        reached.server.serve_in(mode, "localhost/", application);
        let mut peer = reached.http2();
        for _ in 0..3 {
            let answer = peer.get("/");
            assert_eq!((answer.ended, answer.reset), (true, None));
            assert!(answer.content == whole);
        }
    }
}

fn streams_share_a_file(io: Io, mode: OperatingMode) {
    let content = content(LENGTH);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve_in(mode, "localhost/", parts_of(&file));
        reached
            .server
            .serve_in(mode, "localhost/small/", label("small"));
        let mut peer = reached.http2();
        let streams: Vec<_> = (0..10)
            .map(|at| {
                let (offset, length) = (at * 1_001, LENGTH / 4 + at);
                let stream = peer.request("GET", &path(offset, length), &[], true);
                (stream, offset, length)
            })
            .collect();
        assert_eq!(peer.get("/small/").text(), "small");
        for (stream, offset, length) in streams {
            assert!(peer.answer(stream).content == content[offset..offset + length]);
        }
        let_go(&file, 2);
    }
}

fn a_window_is_opened_in_odd_pieces(io: Io) {
    const LENGTH: usize = 300_000;
    let content = content(LENGTH);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        let mut peer = Http2::begin(reached.wire(), &[(setting::INITIAL_WINDOW_SIZE, 0)]).wide();
        let stream = peer.request("GET", &path(0, LENGTH), &[], true);
        peer.head(stream);
        peer.settle();
        assert_eq!(peer.content_bytes(stream), 0);
        let ones = std::iter::repeat_n(1, 300);
        let odd = [7, 1000, 16_383, 16_384, 16_385, 65_535, 65_537];
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
        assert!(answer.content == content);
    }
}

fn a_head_of_a_file_has_no_content(io: Io) {
    let content = content(200_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        let mut peer = reached.http2();
        let stream = peer.request("HEAD", "/0/200000", &[], true);
        let answer = peer.answer(stream);
        assert_eq!(answer.field("content-length"), Some("200000"));
        assert_eq!((answer.data_frames, answer.ended), (0, true));
        let_go(&file, 2);
        assert!(peer.get("/0/200000").content == content);
    }
}

fn trailers_follow_a_file(io: Io) {
    let content = content(200_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        let file = Arc::clone(&file);
        let application = answering(move |exchange| {
            let target = exchange.head().target().to_vec();
            let mut fields = FieldBlock::new();
            fields.append("X-Sum", "7").unwrap();
            let mut head = ResponseHead::new(200);
            head.trailers = Some(Box::new(fields));
            let length = if target == b"/empty" { 0 } else { 200_000 };
            let part = FilePart::new(Arc::clone(&file), 0, length);
            exchange.respond(head, Body::Pieces(vec![part.into()]));
        });
        reached.server.serve("localhost/", application);
        let mut peer = reached.http2();
        let trailers = Some(crate::http2::fields(&[("x-sum", "7")]));
        let answer = peer.get("/");
        assert!(answer.content == content);
        assert_eq!((answer.trailers, answer.ended), (trailers.clone(), true));
        // An end needs no window, also when there is nothing before it.
        let mut peer = Http2::begin(reached.wire(), &[(setting::INITIAL_WINDOW_SIZE, 0)]);
        let answer = peer.get("/empty");
        assert_eq!((answer.trailers, answer.ended), (trailers, true));
    }
}

fn a_file_the_system_cannot_tell_of_is_sent_alike(io: Io) {
    let Some((file, content)) = strange_file() else {
        println!("skipped: there is none");
        return;
    };
    for reached in Reached::both(io) {
        let pieces = vec![
            FilePart::new(Arc::clone(&file), 0, 200_000).into(),
            Piece::Bytes(Bytes::from_static(b"between")),
            FilePart::new(Arc::clone(&file), 1_000, 99).into(),
        ];
        let application = pieces_of(move || pieces.clone());
        reached.server.serve("localhost/", application);
        let mut peer = reached.http2();
        let whole = [&content[..], b"between", &content[1_000..1_099]].concat();
        let streams = [0; 3].map(|_| peer.request("GET", "/", &[], true));
        for stream in streams {
            assert!(peer.answer(stream).content == whole);
        }
    }
}
