//! How connections end. RFC 9112 §9.6; http-server-api §1, §9.

use std::task::{Context, Poll, Waker};

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, OperatingMode};
use tidegate_wire::{
    Server, answer, answering, echo, held, label, on_both_loops, on_both_loops_in_both_modes, until,
};

on_both_loops_in_both_modes!(
    a_half_closed_peer_gets_its_answer,
    a_half_close_is_no_disconnect,
    an_answer_is_not_lost_to_content_still_coming,
);

on_both_loops!(
    a_head_cut_short_is_not_answered,
    close_is_kept_to,
    connections_are_counted,
    a_peer_that_leaves_during_its_answer_is_logged,
);

fn a_half_closed_peer_gets_its_answer(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", echo());
    let mut client = server.client();
    let request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n";
    client.send(format!("{request}ping{request}pong"));
    client.finish();
    assert_eq!(client.response().text(), "ping");
    assert_eq!(client.response().text(), "pong");
    client.expect_orderly_close();
}

fn a_half_close_is_no_disconnect(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    server.serve_in(mode, "localhost/other/", label("other"));
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut request = requests.next();
    client.finish();
    // By the time that others were served the end has been seen.
    for _ in 0..8 {
        assert_eq!(server.route("localhost", "/other/"), "other");
    }
    let closed = request
        .responder
        .poll_closed(&mut Context::from_waker(Waker::noop()));
    assert_eq!(closed, Poll::Pending);
    request.responder.respond_bytes(200, "late".into());
    assert_eq!(client.response().text(), "late");
    client.expect_orderly_close();
}

fn a_head_cut_short_is_not_answered(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    for cut in ["", "\r\n", "GE", "GET / HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut client = server.client();
        client.send(cut);
        client.finish();
        client.expect_close();
    }
}

// RFC 9112 §9.6: closing at once would let a reset overtake the answer.
fn an_answer_is_not_lost_to_content_still_coming(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let refusing = answering(|exchange| {
        let mut head = tidegate_httpapi::ResponseHead::new(403);
        head.close = true;
        exchange.respond(head, tidegate_httpapi::Body::Static(b"no"));
    });
    server.serve_in(mode, "localhost/", refusing);
    for _ in 0..5 {
        let mut client = server.client();
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n");
        client.send(vec![b'x'; 4_000_000]);
        let response = client.response();
        assert_eq!((response.status, response.text()), (403, "no"));
    }
}

fn close_is_kept_to(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    for line in [
        "Connection: close",
        "Connection: x, CLOSE",
        "Connection: x\r\nConnection: close",
    ] {
        let mut client = server.client();
        let response = client.ask(format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n"
        ));
        assert_eq!((response.text(), response.closes()), ("1", true));
        client.expect_orderly_close();
    }
    // What only looks like it is not.
    let mut client = server.client();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: xclose\r\nX: close\r\n\r\n";
    for _ in 0..2 {
        assert!(!client.ask(request).closes());
    }
}

fn connections_are_counted(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let clients: Vec<_> = (0..5).map(|_| server.client()).collect();
    until("they are counted", || {
        server.backend.connection_count() == 5
    });
    drop(clients);
    until("they are gone", || server.backend.connection_count() == 0);
}

fn a_peer_that_leaves_during_its_answer_is_logged(io: Io) {
    let server = Server::start(io);
    let large = answering(|exchange| answer(exchange, 200, vec![b'x'; 32 << 20]));
    server.serve("localhost/", large);
    let mut client = server.client();
    client.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.take(1000);
    let port = client.port();
    client.reset();
    let line = server.errors.of_client(port);
    assert_eq!(
        (line.status.as_str(), line.reason.as_str()),
        ("-", "Connection_Dropped")
    );
}
