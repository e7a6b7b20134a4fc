//! How connections end. RFC 9112 §9.6; http-server-api §1, §9.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{Backend, Body, BodySource, OperatingMode, ResponseHead};
use tidegate_wire::{
    Server, answer, answering, echo, held, label, on_both_loops, on_both_loops_in_both_modes, until,
};

on_both_loops_in_both_modes!(
    a_half_closed_peer_gets_its_answer,
    a_half_close_is_no_disconnect,
    content_cut_off_behind_an_answer_comes_to_an_end,
    an_answer_is_not_lost_to_content_still_coming,
    a_source_is_dropped_with_its_connection,
    content_that_is_for_nobody_then_ends_with_its_peer,
);

on_both_loops!(
    a_head_cut_short_is_not_answered,
    a_request_cut_anywhere_comes_to_an_end,
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

// The peer's end was seen while the first request was with the application; nothing will tell of it
// again when the second begins.
fn content_cut_off_behind_an_answer_comes_to_an_end(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    server.serve_in(mode, "localhost/", echo());
    let mut client = server.client();
    client.send("GET /held/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let first = requests.next();
    for framing in ["Content-Length: 30000", "Transfer-Encoding: chunked"] {
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n"
        ));
    }
    client.finish();
    for _ in 0..8 {
        assert_eq!(server.get("localhost", "/").status, 200);
    }
    first.responder.respond_bytes(200, "first".into());
    assert_eq!(client.response().text(), "first");
    client.end();
    until("the connection has ended", || {
        server.backend.connection_count() == 0
    });
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

// http-server-api §15, CVE-2013-1305: each step of the parser consumes something or ends.
fn a_request_cut_anywhere_comes_to_an_end(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", echo());
    let request = "\r\nPOST http://localhost/%20/../a?b HTTP/1.1\r\nHost: localhost\r\nX:\r\n\
                   Transfer-Encoding: chunked\r\n\r\n4;a=\"b\"\r\nping\r\n0\r\nY: z\r\n\r\n";
    for cut in 0..request.len() {
        let mut client = server.client();
        client.send(&request[..cut]);
        client.finish();
        let end = client.end();
        // A head cut off is not answered; content cut off may be, by the application.
        let answer = String::from_utf8(end.rest).unwrap();
        let is_refusal = answer.starts_with("HTTP/1.1 400 ");
        assert!(answer.is_empty() || is_refusal, "cut at {cut}: {answer}");
    }
    assert_eq!(server.client().ask(request).text(), "ping");
}

/// Content that never comes, and tells when it is dropped.
struct Endless(#[allow(dead_code, reason = "it is dropped")] Arc<()>);

impl BodySource for Endless {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        Poll::Pending
    }
}

fn a_source_is_dropped_with_its_connection(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let alive = Arc::new(());
    let kept = Arc::clone(&alive);
    let application = answering(move |exchange| {
        let body = Body::Stream {
            length: None,
            source: Box::new(Endless(Arc::clone(&kept))),
        };
        exchange.respond(ResponseHead::new(200), body);
    });
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    assert_eq!(Arc::strong_count(&alive), 3);
    client.reset();
    until("it is dropped", || Arc::strong_count(&alive) == 2);
    // As well for a request that needs no content.
    let mut client = server.client();
    client.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    until("it is dropped", || Arc::strong_count(&alive) == 2);
}

/// Content that never comes, of which nothing is left when the peer has ended its side.
struct WithPeer(Endless);

impl BodySource for WithPeer {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        self.0.poll_chunk(context)
    }

    fn ends_with_peer(&self) -> bool {
        true
    }
}

fn content_that_is_for_nobody_then_ends_with_its_peer(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let alive = Arc::new(());
    let kept = Arc::clone(&alive);
    let application = answering(move |exchange| {
        let endless = Endless(Arc::clone(&kept));
        let source: Box<dyn BodySource> = match exchange.head().target() {
            b"/events" => Box::new(WithPeer(endless)),
            _ => Box::new(endless),
        };
        let length = None;
        exchange.respond(ResponseHead::new(200), Body::Stream { length, source });
    });
    server.serve_in(mode, "localhost/", application);
    let mut other = server.client();
    other.send("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(other.response_head().status, 200);
    other.finish();
    let mut client = server.client();
    client.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    assert_eq!(Arc::strong_count(&alive), 4);
    client.finish();
    client.expect_close();
    until("it is dropped", || Arc::strong_count(&alive) == 3);
    // Both sides may have been there before the answer.
    let mut client = server.client();
    client.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.finish();
    client.end();
    until("it is dropped", || Arc::strong_count(&alive) == 3);
}

// RFC 9112 §9.6: closing at once would let a reset overtake the answer.
fn an_answer_is_not_lost_to_content_still_coming(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let refusing = answering(|exchange| {
        let mut head = ResponseHead::new(403);
        head.close = true;
        exchange.respond(head, Body::Static(b"no"));
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
