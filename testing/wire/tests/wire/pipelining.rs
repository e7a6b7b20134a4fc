//! Requests sent before the last one was answered. RFC 9112 §9.3.2; http-server-api case Q08.

use std::thread;

use tidegate_driver::Io;
use tidegate_httpapi::{OperatingMode, ResponseHead};
use tidegate_wire::{Pieces, Server, answer, answering, echo, held, on_both_loops_in_both_modes};

on_both_loops_in_both_modes!(
    q08_the_second_is_delivered_after_the_first_is_answered,
    answers_come_in_the_order_of_the_requests,
    answers_from_other_threads_keep_each_connection_in_order,
    content_is_told_apart_from_the_next_request,
    the_end_is_after_the_last_answer,
    answers_larger_than_the_window_hold_nobody_up,
    answers_in_pieces_hold_nobody_up,
);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn q08_the_second_is_delivered_after_the_first_is_answered(io: Io, mode: OperatingMode) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    client.send(get("/1") + &get("/2"));
    let first = requests.next();
    // Another connection's request passes by: there was time to deliver the second.
    let mut other = server.client();
    other.send(get("/other"));
    let other_request = requests.next();
    assert_eq!(other_request.head.as_head().target(), b"/other");
    assert!(requests.is_empty());
    let ids = |request: &tidegate_httpapi::Deferred| {
        let head = request.head.as_head();
        (head.connection_id, head.request_id)
    };
    let (connection, request) = ids(&first);
    assert_ne!(ids(&other_request).0, connection);
    first.responder.respond_bytes(200, "one".into());
    let second = requests.next();
    assert_eq!(ids(&second).0, connection);
    assert_ne!(ids(&second).1, request);
    assert_eq!(second.head.as_head().target(), b"/2");
    second.responder.respond_bytes(200, "two".into());
    assert_eq!(client.response().text(), "one");
    assert_eq!(client.response().text(), "two");
    other_request.responder.respond_bytes(200, "other".into());
    assert_eq!(other.response().text(), "other");
}

fn answers_come_in_the_order_of_the_requests(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let target = exchange.head().target().to_vec();
        // Some at once, some from elsewhere.
        if target.ends_with(b"3") {
            let deferred = exchange.defer();
            thread::spawn(move || deferred.responder.respond_bytes(200, target.into()));
        } else {
            answer(exchange, 200, target);
        }
    });
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    let all: String = (0..500).map(|index| get(&format!("/{index}"))).collect();
    let mut sending = client.try_clone();
    thread::scope(|scope| {
        scope.spawn(|| sending.send(all));
        for index in 0..500 {
            assert_eq!(client.response().text(), format!("/{index}"));
        }
    });
}

fn answers_from_other_threads_keep_each_connection_in_order(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(get(&format!("/{index}/first")) + &get(&format!("/{index}/second")));
    }
    // The last come first.
    let mut first: Vec<_> = (0..8).map(|_| requests.next()).collect();
    first.reverse();
    for request in first {
        let target = request.head.as_head().target().to_vec();
        thread::spawn(move || request.responder.respond_bytes(200, target.into()));
    }
    for _ in 0..8 {
        let request = requests.next();
        let target = request.head.as_head().target().to_vec();
        request.responder.respond_bytes(200, target.into());
    }
    for (index, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/{index}/first"));
        assert_eq!(client.response().text(), format!("/{index}/second"));
    }
}

fn content_is_told_apart_from_the_next_request(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", echo());
    let content = get("/content");
    let with_length = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    );
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{content}\r\n0\r\n\r\n",
        content.len()
    );
    let mut client = server.client();
    client.send(
        [
            with_length.as_str(),
            &chunked,
            &with_length,
            &chunked,
            &get("/"),
        ]
        .concat(),
    );
    for _ in 0..4 {
        assert_eq!(client.response().text(), content);
    }
    assert_eq!(client.response().text(), "");
}

fn the_end_is_after_the_last_answer(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    let last = "GET /3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.send(get("/1") + &get("/2") + last + &get("/never"));
    for text in ["one", "two", "three"] {
        requests.next().responder.respond_bytes(200, text.into());
        let response = client.response();
        assert_eq!(
            (response.text(), response.closes()),
            (text, text == "three")
        );
    }
    client.expect_orderly_close();
    assert!(requests.is_empty());
}

/// The system takes each answer at once, so that nothing is heard of it afterwards.
fn answers_larger_than_the_window_hold_nobody_up(io: Io, mode: OperatingMode) {
    let server = Server::start_with(io, |settings| settings.limits.send_window_bytes = 4_096);
    let application = answering(|exchange| answer(exchange, 200, [b'x'; 10_000]));
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    client.send(get("/").repeat(5));
    for _ in 0..5 {
        assert_eq!(client.response().text().len(), 10_000);
    }
}

fn answers_in_pieces_hold_nobody_up(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let pieces = Pieces::default();
        pieces.give("ready");
        pieces.end();
        exchange.respond(ResponseHead::new(200), pieces.body(None));
    });
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    client.send(get("/").repeat(5));
    for _ in 0..5 {
        assert_eq!(client.response().text(), "ready");
    }
}
