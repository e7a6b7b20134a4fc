//! Faults of the application: its request gets 500, and nobody else is harmed.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{Body, BodySource, OperatingMode, ResponseHead};
use tidegate_wire::{Server, answer, answering, on_both_loops_in_both_modes};

on_both_loops_in_both_modes!(
    a_panic_costs_its_request_only,
    a_dropped_exchange_is_answered_500,
    a_dropped_responder_is_answered_500,
    a_panic_in_a_body_costs_its_connection_only,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const BAD: &str = "GET /bad HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Bad requests in between good ones, on the same connection and on others; more of them than there
/// are threads.
fn only_bad_ones_fail(server: &Server) {
    let mut other = server.client();
    assert_eq!(other.ask(GET).text(), "good");
    let mut client = server.client();
    for _ in 0..6 {
        let response = client.ask(BAD);
        assert_eq!(response.status, 500);
        if response.closes() {
            client = server.client();
        }
        assert_eq!(client.ask(GET).text(), "good");
        assert_eq!(other.ask(GET).text(), "good");
    }
}

fn a_panic_costs_its_request_only(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        assert!(
            exchange.head().cooked_path != "/bad",
            "expected in this test"
        );
        answer(exchange, 200, "good");
    });
    server.serve_in(mode, "localhost/", application);
    only_bad_ones_fail(&server);
}

fn a_dropped_exchange_is_answered_500(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        if exchange.head().cooked_path != "/bad" {
            answer(exchange, 200, "good");
        }
    });
    server.serve_in(mode, "localhost/", application);
    only_bad_ones_fail(&server);
}

fn a_dropped_responder_is_answered_500(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        if exchange.head().cooked_path == "/bad" {
            let deferred = exchange.defer();
            std::thread::spawn(move || drop(deferred));
        } else {
            answer(exchange, 200, "good");
        }
    });
    server.serve_in(mode, "localhost/", application);
    only_bad_ones_fail(&server);
}

/// Content that gives one piece and then panics.
struct Panicking(bool);

impl BodySource for Panicking {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        assert!(!self.0, "expected in this test");
        self.0 = true;
        Poll::Ready(Some(Ok("piece".into())))
    }
}

fn a_panic_in_a_body_costs_its_connection_only(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let application = answering(|exchange| match exchange.head().cooked_path {
        "/bad" => {
            let body = Body::Stream {
                length: None,
                source: Box::new(Panicking(false)),
            };
            exchange.respond(ResponseHead::new(200), body);
        }
        _ => answer(exchange, 200, "good"),
    });
    server.serve_in(mode, "localhost/", application);
    let mut other = server.client();
    for _ in 0..6 {
        assert_eq!(other.ask(GET).text(), "good");
        let mut client = server.client();
        client.send(BAD);
        let end = client.end();
        assert!(!end.rest.ends_with(b"0\r\n\r\n"));
        assert_eq!(server.errors.of_client(client.port()).reason, "Internal");
    }
    assert_eq!(other.ask(GET).text(), "good");
}
