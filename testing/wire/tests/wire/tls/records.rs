//! Records: cut anywhere, with several messages in one, with what is no TLS in them. RFC 8446 §5.

use std::thread;

use rustls::version::{TLS12, TLS13};
use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode;
use tidegate_wire::{
    Client, Http2, Offer, Pieces, Secure, Told, Upgrade, echo, echo_bytes, frame, held, label,
    on_both_loops, on_both_loops_in_both_modes, upgrading,
};

use super::{GET, connect, secure};

on_both_loops_in_both_modes!(
    a_mebibyte_passes_both_ways,
    an_upgraded_connection_is_as_secure,
    pipelined_requests_come_in_one_record,
);

on_both_loops!(
    records_are_cut_anywhere,
    a_handshake_comes_byte_by_byte,
    records_of_http_2_are_cut_anywhere,
    many_small_records_come_at_once,
    empty_records_say_nothing,
    a_request_may_come_with_the_handshake_s_end,
    a_mebibyte_passes_both_ways_in_http_2,
    responses_come_piece_by_piece,
);

fn records_are_cut_anywhere(io: Io) {
    let server = secure(io);
    server.serve("localhost/", echo());
    for version in [&TLS12, &TLS13] {
        let offer = Offer {
            version: Some(version),
            ..Offer::of(&[])
        };
        let mut client = Client::connect_secure(server.port, &offer).unwrap();
        let post = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nping";
        let length = client.secure().encrypt(post.as_bytes()).len();
        // That one was not sent, so the next would be out of order.
        let mut client = Client::connect_secure(server.port, &offer).unwrap();
        for at in 1..length {
            let record = client.secure().encrypt(post.as_bytes());
            assert_eq!(record.len(), length);
            let (first, second) = record.split_at(at);
            client.send_raw(first);
            thread::yield_now();
            client.send_raw(second);
            assert_eq!(client.response().text(), "ping", "cut at {at}");
        }
        // All of it in pieces of one.
        for byte in client.secure().encrypt(post.as_bytes()) {
            client.send_raw([byte]);
        }
        assert_eq!(client.response().text(), "ping");
    }
}

fn a_handshake_comes_byte_by_byte(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    for version in [&TLS12, &TLS13] {
        let offer = Offer {
            version: Some(version),
            ..Offer::of(&["h2"])
        };
        let mut client = server.client();
        let mut secure = Secure::new(&offer);
        loop {
            client.send_pieces(secure.flight().chunks(1));
            if !secure.shakes_hands() {
                break;
            }
            let bytes = client.receive().expect("hands are shaken");
            // In TLS 1.3 the server may say something already.
            secure.decrypt(&bytes).unwrap();
        }
        assert_eq!(secure.protocol(), Some("h2"));
    }
}

fn records_of_http_2_are_cut_anywhere(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    let client = Client::connect_secure(server.port, &Offer::of(&["h2"])).unwrap();
    let mut peer = Http2::begin(client, &[]);
    let block = frame::literals(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/"),
    ]);
    for at in 1..60 {
        let stream = peer.new_stream();
        let frames = frame::headers(stream, &block, true);
        // The frame is cut into two records, and the second of them once more.
        let (first, second) = frames.split_at(at);
        peer.send(first);
        let record = peer.wire.secure().encrypt(second);
        let (first, second) = record.split_at(record.len() / 2);
        peer.wire.send_raw(first);
        thread::yield_now();
        peer.wire.send_raw(second);
        assert_eq!(peer.answer(stream).text(), "1");
    }
}

fn pipelined_requests_come_in_one_record(io: Io, mode: OperatingMode) {
    let server = secure(io);
    server.serve_in(mode, "localhost/", label("1"));
    let mut client = connect(&server);
    client.send(GET.repeat(50));
    for _ in 0..50 {
        assert_eq!(client.response().text(), "1");
    }
    assert_eq!(client.ask(GET).text(), "1");
}

fn many_small_records_come_at_once(io: Io) {
    let server = secure(io);
    server.serve("localhost/", echo());
    let mut client = connect(&server);
    let mut bytes = Vec::new();
    let post = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nping".repeat(20);
    for piece in post.as_bytes().chunks(3) {
        bytes.extend(client.secure().encrypt(piece));
    }
    client.send_raw(&bytes);
    for _ in 0..20 {
        assert_eq!(client.response().text(), "ping");
    }
}

fn empty_records_say_nothing(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    let mut client = connect(&server);
    for _ in 0..10 {
        client.send("");
        let (first, second) = GET.split_at(9);
        client.send(first);
        client.send("");
        client.send(second);
        assert_eq!(client.response().text(), "1");
    }
}

fn a_request_may_come_with_the_handshake_s_end(io: Io) {
    let server = secure(io);
    server.serve("localhost/", label("1"));
    // In TLS 1.3 the client says its last word and the request in one flight.
    for version in [&TLS12, &TLS13] {
        let offer = Offer {
            version: Some(version),
            ..Offer::of(&[])
        };
        let mut client = server.client();
        let mut secure = Secure::new(&offer);
        // Kept by the session until it may be sent.
        let mut flight = secure.encrypt(GET.as_bytes());
        let mut plain = Vec::new();
        while !plain.ends_with(b"\r\n\r\n1") {
            client.send_raw(&flight);
            let bytes = client.receive().expect("hands are shaken");
            plain.extend(secure.decrypt(&bytes).unwrap());
            flight = secure.flight();
        }
        assert!(plain.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

fn a_mebibyte_passes_both_ways(io: Io, mode: OperatingMode) {
    let server = secure(io);
    server.serve_in(mode, "localhost/", echo());
    let mut client = connect(&server);
    let content: Vec<u8> = (0..1 << 20).map(|at| (at % 251) as u8).collect();
    for _ in 0..2 {
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n";
        client.send(head);
        client.send(&content);
        let response = client.response();
        assert!(response.content == content);
        assert!(!response.closes());
    }
}

fn a_mebibyte_passes_both_ways_in_http_2(io: Io) {
    let server = secure(io);
    server.serve("localhost/", echo());
    let client = Client::connect_secure(server.port, &Offer::of(&["h2"])).unwrap();
    let window = [(tidegate_wire::setting::INITIAL_WINDOW_SIZE, 1 << 21)];
    let mut peer = Http2::begin(client, &window).wide();
    let content: Vec<u8> = (0..1 << 20).map(|at| (at % 251) as u8).collect();
    let streams = [0; 2].map(|_| {
        let stream = peer.request("POST", "/", &[], false);
        peer.upload(stream, &content, true);
        stream
    });
    for stream in streams {
        assert!(peer.answer(stream).content == content);
    }
}

fn responses_come_piece_by_piece(io: Io) {
    let server = secure(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut client = connect(&server);
    client.send(GET);
    let pieces = Pieces::default();
    let responder = requests.next().responder;
    responder.respond(tidegate_httpapi::ResponseHead::new(200), pieces.body(None));
    assert_eq!(client.response_head().status, 200);
    for text in ["first", "", "second"] {
        pieces.give(text);
        if !text.is_empty() {
            let chunk = format!("{:x}\r\n{text}\r\n", text.len());
            let taken = client.take(chunk.len());
            assert_eq!(String::from_utf8(taken).unwrap(), chunk);
        }
    }
    pieces.end();
    assert_eq!(client.take(5), b"0\r\n\r\n");
}

fn an_upgraded_connection_is_as_secure(io: Io, mode: OperatingMode) {
    let server = secure(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    server.serve_in(mode, "localhost/", application);
    let mut client = connect(&server);
    assert_eq!(client.ask(tidegate_wire::UPGRADE).status, 101);
    let key = lanes.opened();
    client.send("ping");
    assert_eq!(client.take(4), b"ping");
    let content: Vec<u8> = (0..1 << 20).map(|at| (at % 251) as u8).collect();
    for piece in content.chunks(100_000) {
        client.send(piece);
        assert!(client.take(piece.len()) == piece);
    }
    lanes.with(key, |connection| {
        connection.output().extend(b"wo");
        connection.append("ken".into());
    });
    assert_eq!(client.take(5), b"woken");
    lanes.with(key, |connection| connection.end());
    client.expect_orderly_close();
    let is_closed = |told: &Told| matches!(told, Told::Closed(..));
    drop(client);
    while !is_closed(&lanes.next()) {}
}
