//! How a stream with a file ends when it cannot go on; its connection goes on.

use std::sync::Arc;

use tidegate_driver::Io;
use tidegate_wire::{
    Http2, code, content, file, frame, label, let_go, on_both_loops, parts_of, setting,
    sparse_file, until,
};

use super::Reached;

on_both_loops!(
    a_file_that_is_too_short_resets_its_stream,
    a_file_cut_while_it_is_sent_resets_its_stream,
    a_stream_whose_window_stays_shut_is_given_up,
    a_stream_that_is_reset_has_its_file_let_go,
    a_client_that_leaves_has_its_files_let_go,
);

const LARGE: usize = 64 << 20;

fn lives(peer: &mut Http2) {
    peer.settle();
    assert_eq!(peer.goaways, []);
    assert_eq!(peer.get("/small/").text(), "small");
}

fn a_file_that_is_too_short_resets_its_stream(io: Io) {
    let content = content(200_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        reached.server.serve("localhost/small/", label("small"));
        let mut peer = reached.http2();
        for (offset, length) in [
            (200_000, 1),
            (1 << 40, 50_000),
            (0, 200_001),
            (199_000, 1_001),
        ] {
            let answer = peer.get(&format!("/{offset}/{length}"));
            assert_eq!(
                (answer.reset, answer.ended),
                (Some(code::INTERNAL_ERROR), false)
            );
            let rest = content.get(offset..).unwrap_or_default();
            assert!(answer.content == rest, "{offset}, {length}");
        }
        lives(&mut peer);
        let_go(&file, 2);
    }
}

fn a_file_cut_while_it_is_sent_resets_its_stream(io: Io) {
    let content = content(1 << 20);
    for reached in Reached::both(io) {
        let file = file(&content);
        reached.server.serve("localhost/", parts_of(&file));
        reached.server.serve("localhost/small/", label("small"));
        let window = [(setting::INITIAL_WINDOW_SIZE, 100_000)];
        let mut peer = Http2::begin(reached.wire(), &window).wide();
        let stream = peer.request("GET", "/0/1048576", &[], true);
        peer.until(|peer| peer.content_bytes(stream) == 100_000);
        file.set_len(300_001).unwrap();
        peer.widen(stream, 1 << 20);
        let answer = peer.answer(stream);
        assert_eq!(answer.reset, Some(code::INTERNAL_ERROR));
        assert!(answer.content == content[..300_001]);
        lives(&mut peer);
        let_go(&file, 2);
    }
}

fn a_stream_whose_window_stays_shut_is_given_up(io: Io) {
    let file = sparse_file(LARGE as u64);
    for reached in Reached::both(io) {
        let place = reached.server.serve("localhost/", parts_of(&file));
        reached.server.serve("localhost/small/", label("small"));
        reached.server.set_group(&place, |group| {
            group.timeouts.min_send_rate = Some(Some(1_000_000));
        });
        let mut peer = Http2::begin(reached.wire(), &[(setting::INITIAL_WINDOW_SIZE, 10)]);
        let stream = peer.request("GET", &format!("/0/{LARGE}"), &[], true);
        let shut = peer.request("GET", "/7/65536", &[], true);
        for stream in [stream, shut] {
            let answer = peer.answer(stream);
            assert_eq!(answer.content, [0; 10]);
            assert_eq!(answer.reset, Some(code::CANCEL));
        }
        let line = reached.server.errors.of_client(peer.wire.port());
        assert_eq!(line.reason, "Timer_MinBytesPerSecond");
        lives(&mut peer);
        let_go(&file, 2);
    }
}

fn a_stream_that_is_reset_has_its_file_let_go(io: Io) {
    let file = sparse_file(LARGE as u64);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        reached.server.serve("localhost/small/", label("small"));
        let window = [(setting::INITIAL_WINDOW_SIZE, 100_000)];
        let mut peer = Http2::begin(reached.wire(), &window);
        let stream = peer.request("GET", &format!("/0/{LARGE}"), &[], true);
        peer.until(|peer| peer.content_bytes(stream) >= 60_000);
        assert!(Arc::strong_count(&file) > 2);
        peer.send(frame::reset(stream, code::CANCEL));
        let_go(&file, 2);
        peer.widen(0, 100_000);
        lives(&mut peer);
    }
}

fn a_client_that_leaves_has_its_files_let_go(io: Io) {
    let file = sparse_file(LARGE as u64);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        let mut peer = reached.http2();
        for _ in 0..3 {
            peer.request("GET", &format!("/0/{LARGE}"), &[], true);
        }
        until("the file is sent", || Arc::strong_count(&file) == 5);
        drop(peer);
        let_go(&file, 2);
    }
}
