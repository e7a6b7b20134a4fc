//! Faults of the application: its request gets 500, and nobody else is harmed.

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode;
use tidegate_wire::{Server, answer, answering, on_both_loops_in_both_modes};

on_both_loops_in_both_modes!(
    a_panic_costs_its_request_only,
    a_dropped_exchange_is_answered_500,
    a_dropped_responder_is_answered_500,
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
