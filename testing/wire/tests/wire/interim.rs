//! Interim responses: 100 and 103. RFC 9110 §10.1.1, §15.2; http-server-api §11.

use std::thread;

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode;
use tidegate_httpapi::{Body, FieldBlock, ResponseHead};
use tidegate_wire::{Server, answering, echo, held, on_both_loops, on_both_loops_in_both_modes};

on_both_loops_in_both_modes!(
    continue_is_sent_when_the_content_is_first_read,
    continue_is_not_sent_when_nothing_is_read,
    early_hints_come_before_the_answer,
);

on_both_loops!(
    continue_is_not_sent_to_who_does_not_wait,
    http_1_0_gets_no_interim_response,
    other_expectations_are_refused,
);

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

fn continue_is_sent_when_the_content_is_first_read(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    for _ in 0..2 {
        client.send(EXPECTING);
        let mut request = requests.next();
        assert!(request.head.as_head().expects_continue);
        assert!(client.has_received_nothing());
        thread::scope(|scope| {
            let body = &mut request.body;
            let reader = scope.spawn(|| body.blocking_collect(10));
            let interim = client.response_head();
            assert_eq!(interim.head, "HTTP/1.1 100 Continue\r\n\r\n");
            client.send("ping");
            assert_eq!(reader.join().unwrap().unwrap(), "ping");
        });
        request
            .responder
            .respond(ResponseHead::new(200), Body::Empty);
        let response = client.response();
        assert_eq!((response.status, response.closes()), (200, false));
    }
}

// RFC 9110 §10.1.1: what follows a final answer could be content or a request, so nothing may.
fn continue_is_not_sent_when_nothing_is_read(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let refusing = answering(|exchange| tidegate_wire::answer(exchange, 403, ""));
    server.serve_in(mode, "localhost/", refusing);
    let mut client = server.client();
    client.send(EXPECTING);
    let response = client.response();
    assert_eq!((response.status, response.closes()), (403, true));
    client.expect_orderly_close();
}

fn continue_is_not_sent_to_who_does_not_wait(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", echo());
    let mut client = server.client();
    let response = client.ask(EXPECTING.to_owned() + "ping");
    assert_eq!((response.status, response.text()), (200, "ping"));
    assert!(!response.closes());
    let chunked = EXPECTING.replace("Content-Length: 4", "Transfer-Encoding: chunked");
    let response = client.ask(chunked + "4\r\npong\r\n0\r\n\r\n");
    // Whether the chunks were there before the first read is not ours to decide.
    let response = if response.status == 100 {
        client.response()
    } else {
        response
    };
    assert_eq!((response.status, response.text()), (200, "pong"));
}

fn http_1_0_gets_no_interim_response(io: Io) {
    let server = Server::start(io);
    let application = answering(|mut exchange| {
        exchange.inform(103, &hints());
        let content = exchange.take_body().blocking_collect(10).unwrap();
        tidegate_wire::answer(exchange, 200, content);
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(EXPECTING.replace("HTTP/1.1", "HTTP/1.0"));
    client.send("ping");
    let response = client.response();
    assert_eq!((response.status, response.text()), (200, "ping"));
}

fn hints() -> FieldBlock {
    let mut fields = FieldBlock::new();
    fields.append("Link", "</style.css>; rel=preload").unwrap();
    fields
}

fn early_hints_come_before_the_answer(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/later/", application);
    let now = answering(|mut exchange| {
        exchange.inform(103, &hints());
        // Not one of those that may be sent.
        exchange.inform(200, &hints());
        tidegate_wire::answer(exchange, 200, "now");
    });
    server.serve_in(mode, "localhost/", now);
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response().head, HINTS);
    assert_eq!(client.response().text(), "now");

    client.send("GET /later/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut request = requests.next();
    for _ in 0..2 {
        request.responder.inform(103, &hints());
        // It is there before the answer is given.
        assert_eq!(client.response().head, HINTS);
    }
    request.responder.respond_bytes(200, "later".into());
    assert_eq!(client.response().text(), "later");
}

fn other_expectations_are_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", echo());
    for value in ["200-ok", "100-continue, x"] {
        server.refuses(
            EXPECTING.replace("100-continue", value),
            417,
            "Precondition",
        );
    }
}
