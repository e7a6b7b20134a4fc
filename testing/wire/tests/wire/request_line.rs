//! The first line of a request. RFC 9112 §3; http-server-api §7, cases P01–P03, P15, P23.

use tidegate_driver::Io;
use tidegate_wire::{Server, label, on_both_loops, seen};

on_both_loops!(
    p01_a_line_that_is_no_request_line_is_refused,
    p02_an_unknown_method_is_delivered,
    p03_a_known_method_in_another_case_is_refused,
    p15_another_major_version_is_refused,
    p23_http_1_0_is_answered_and_closed,
    methods_that_are_no_tokens_are_refused,
    connect_is_refused,
    blank_lines_before_a_request_are_passed_over,
    http_1_0_without_host_is_routed_by_address,
);

fn p01_a_line_that_is_no_request_line_is_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    for line in [
        "foo",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
    ] {
        let mut client = server.client();
        let response = client.ask(format!("{line}\r\nHost: localhost\r\n\r\n"));
        assert_eq!(response.status, 400, "{line:?}");
        assert!(response.closes());
        client.expect_orderly_close();
    }
    server.refuses("foo\r\n\r\n", 400, "BadRequest");
}

fn p02_an_unknown_method_is_delivered(io: Io) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve("localhost/", application);
    let request = "xyzzy / HTTP/1.1\r\nHost: localhost\r\nQux: foo baz \t\r\n\r\n";
    assert_eq!(server.client().ask(request).status, 200);
    let request = requests.recv().unwrap();
    assert_eq!(request.method, "xyzzy");
    assert!(
        request
            .fields
            .contains(&("Qux".to_owned(), "foo baz".to_owned()))
    );
}

fn p03_a_known_method_in_another_case_is_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    for method in ["get", "Post", "oPTIONS"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        server.refuses(request, 400, "Verb");
    }
    assert_eq!(server.errors.with_reason("Verb").method, "get");
}

fn p15_another_major_version_is_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    for version in ["2.0", "3.0", "0.9"] {
        let request = format!("GET / HTTP/{version}\r\nHost: localhost\r\n\r\n");
        server.refuses(request, 505, "Version_N/S");
    }
    // A later minor version is understood as the highest we know (RFC 9110 §2.5).
    let response = server
        .client()
        .ask("GET / HTTP/1.9\r\nHost: localhost\r\n\r\n");
    assert_eq!((response.status, response.closes()), (200, false));
}

fn p23_http_1_0_is_answered_and_closed(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut client = server.client();
    client.send("GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert!(response.head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(response.closes());
    client.expect_orderly_close();
}

fn methods_that_are_no_tokens_are_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    for method in ["GE(T", "G\u{1}T", "G\"T", "GET\u{e9}"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        server.refuses(request, 400, "Verb");
    }
    let longest = "M".repeat(255);
    let request = |method: &str| format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(server.client().ask(request(&longest)).status, 200);
    server.refuses(request(&format!("{longest}M")), 400, "Verb");
}

fn connect_is_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let request = "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n";
    server.refuses(request, 400, "Verb");
}

fn blank_lines_before_a_request_are_passed_over(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut client = server.client();
    let request = "\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(client.ask(request).text(), "1");
    assert_eq!(client.ask(request).text(), "1");
}

fn http_1_0_without_host_is_routed_by_address(io: Io) {
    let server = Server::start(io);
    server.serve("127.0.0.1/", label("1"));
    assert_eq!(server.client().ask("GET / HTTP/1.0\r\n\r\n").text(), "1");
}
