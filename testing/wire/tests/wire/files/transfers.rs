//! Bytes on HTTP/1: exact, whole and in order.

use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{Body, FieldBlock, FilePart, OperatingMode, Piece, ResponseHead};
use tidegate_wire::{
    answering, content, file, label, let_go, on_both_loops, on_both_loops_in_both_modes, parts_of,
    pieces_of,
};

use super::{LENGTH, PARTS, Reached, get, mixed, path, strange_file};

on_both_loops_in_both_modes!(
    parts_of_a_file_are_exact,
    pieces_are_joined_in_order,
    requests_behind_a_file_are_answered_in_order,
);

on_both_loops!(
    a_head_of_a_file_has_no_content,
    an_old_client_gets_a_file_and_the_end,
    an_answer_with_a_file_may_close,
    a_length_of_the_application_s_own_stays,
    a_file_the_system_cannot_tell_of_is_sent_alike,
    many_files_are_sent_beside_small_answers,
    head_and_file_share_a_segment,
);

fn parts_of_a_file_are_exact(io: Io, mode: OperatingMode) {
    let content = content(LENGTH);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve_in(mode, "localhost/", parts_of(&file));
        let mut client = reached.client();
        for (offset, length) in PARTS {
            let response = client.ask(get(&path(offset, length)));
            assert_eq!(response.status, 200);
            let announced = response.field("Content-Length");
            assert_eq!(announced, Some(length.to_string().as_str()));
            assert!(
                response.content == content[offset..offset + length],
                "{offset}, {length}"
            );
        }
        // One for the application.
        let_go(&file, 2);
        drop(reached);
        let_go(&file, 1);
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
        let mut client = reached.client();
        for _ in 0..3 {
            assert!(client.ask(get("/")).content == whole);
        }
    }
}

fn requests_behind_a_file_are_answered_in_order(io: Io, mode: OperatingMode) {
    let content = content(LENGTH);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve_in(mode, "localhost/", parts_of(&file));
        reached
            .server
            .serve_in(mode, "localhost/small/", label("small"));
        let asked = [
            Some((3, 20_000)),
            None,
            Some((0, LENGTH)),
            None,
            None,
            Some((5, 100)),
            Some((0, 600_000)),
            None,
        ];
        let requests = asked.map(|part| match part {
            Some((offset, length)) => get(&path(offset, length)),
            None => get("/small/"),
        });
        let mut client = reached.client();
        client.send(requests.concat());
        for part in asked {
            let response = client.response();
            match part {
                Some((offset, length)) => {
                    assert!(response.content == content[offset..offset + length]);
                }
                None => assert_eq!(response.text(), "small"),
            }
        }
    }
}

fn a_head_of_a_file_has_no_content(io: Io) {
    let content = content(200_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        let mut client = reached.client();
        for length in [0, 1, 16_384, 200_000] {
            client.send(format!(
                "HEAD /0/{length} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            ));
            let response = client.response_head();
            // An empty answer to HEAD says nothing about what GET would have.
            let announced = (length > 0).then(|| length.to_string());
            assert_eq!(response.field("Content-Length"), announced.as_deref());
            assert!(!response.closes());
            let_go(&file, 2);
        }
        assert!(client.ask(get("/0/200000")).content == content);
    }
}

fn an_old_client_gets_a_file_and_the_end(io: Io) {
    let content = content(300_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        for length in [100, 300_000] {
            let mut client = reached.client();
            client.send(format!(
                "GET /0/{length} HTTP/1.0\r\nHost: localhost\r\n\r\n"
            ));
            let response = client.response();
            assert!(response.closes());
            assert!(response.content == content[..length]);
            client.expect_orderly_close();
        }
    }
}

fn an_answer_with_a_file_may_close(io: Io) {
    let content = content(300_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        let file = Arc::clone(&file);
        let application = answering(move |exchange| {
            let mut head = ResponseHead::new(200);
            head.close = true;
            let part = FilePart::new(Arc::clone(&file), 0, 300_000);
            exchange.respond(head, Body::Pieces(vec![part.into()]));
        });
        reached.server.serve("localhost/", application);
        let mut client = reached.client();
        client.send(get("/").repeat(3));
        assert!(client.response().content == content);
        client.expect_orderly_close();
    }
}

// Case C02: the length said stays, what was given is sent, and the connection ends.
fn a_length_of_the_application_s_own_stays(io: Io) {
    let content = content(300_000);
    let file = file(&content);
    for reached in Reached::both(io) {
        let file = Arc::clone(&file);
        let application = answering(move |exchange| {
            let mut fields = FieldBlock::new();
            fields.append("Content-Length", "300001").unwrap();
            let mut head = ResponseHead::new(200);
            head.fields = fields;
            let part = FilePart::new(Arc::clone(&file), 0, 300_000);
            exchange.respond(head, Body::Pieces(vec![part.into()]));
        });
        reached.server.serve("localhost/", application);
        let mut client = reached.client();
        client.send(get("/"));
        let head = client.response_head();
        assert_eq!(head.field("Content-Length"), Some("300001"));
        assert!(head.closes());
        assert!(client.end().rest == content);
    }
}

fn a_file_the_system_cannot_tell_of_is_sent_alike(io: Io) {
    let Some((file, content)) = strange_file() else {
        println!("skipped: there is none");
        return;
    };
    for reached in Reached::both(io) {
        let bytes = Bytes::from_static(b"between");
        let pieces = vec![
            FilePart::new(Arc::clone(&file), 0, 200_000).into(),
            Piece::Bytes(bytes),
            FilePart::new(Arc::clone(&file), 1_000, 99).into(),
        ];
        let application = pieces_of(move || pieces.clone());
        reached.server.serve("localhost/", application);
        let mut client = reached.client();
        let whole = [&content[..], b"between", &content[1_000..1_099]].concat();
        client.send(get("/").repeat(2));
        for _ in 0..2 {
            assert!(client.response().content == whole);
        }
    }
}

fn many_files_are_sent_beside_small_answers(io: Io) {
    let content = content(LENGTH);
    let file = file(&content);
    for reached in Reached::both(io) {
        reached.server.serve("localhost/", parts_of(&file));
        reached.server.serve("localhost/small/", label("small"));
        thread::scope(|scope| {
            let downloads: Vec<_> = (0..8)
                .map(|at| {
                    let mut client = reached.client();
                    let content = &content;
                    scope.spawn(move || {
                        let (offset, length) = (at * 1_001, LENGTH / 2 + at);
                        let response = client.ask(get(&path(offset, length)));
                        assert!(response.content == content[offset..offset + length]);
                    })
                })
                .collect();
            let mut client = reached.client();
            while !downloads.iter().all(|download| download.is_finished()) {
                assert_eq!(client.ask(get("/small/")).text(), "small");
            }
        });
        let_go(&file, 2);
    }
}

fn head_and_file_share_a_segment(io: Io) {
    let content = content(100_000);
    let file = file(&content);
    let [reached, _] = Reached::both(io);
    reached.server.serve("localhost/", parts_of(&file));
    // A receive takes what has come together, so that the first brings more than the head. Not on a machine
    // so busy that the system gives up waiting for the rest of a segment.
    let share = |_| {
        let mut client = reached.client();
        client.send(get("/0/100000"));
        let first = client.receive().unwrap();
        let head = first.windows(4).position(|end| end == b"\r\n\r\n");
        first.len() > head.unwrap() + 4
    };
    assert!(cfg!(not(target_os = "linux")) || (0..20).any(share));
}
