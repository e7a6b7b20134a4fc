//! The host of a request. RFC 9112 §3.2; http-server-api §7, case P17.

use tidegate_driver::Io;
use tidegate_wire::{Server, label, on_both_loops};

on_both_loops!(
    p17_a_port_with_leading_zeros_is_refused,
    malformed_hosts_are_refused,
    a_host_is_given_once,
);

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn start(io: Io) -> Server {
    let server = Server::start(io);
    server.serve("*/", label("1"));
    server
}

fn p17_a_port_with_leading_zeros_is_refused(io: Io) {
    let server = start(io);
    server.refuses(get("localhost:0080"), 400, "Hostname");
}

fn malformed_hosts_are_refused(io: Io) {
    let server = start(io);
    for host in [
        "localhost:",
        "localhost:x",
        "localhost:65536",
        "localhost:0",
        "a b",
        "a/b",
        "a@b",
        "a?b",
        "[::1",
        "::1",
        "[::1]x",
        "[1.2.3.4]",
        "a\\b",
        "",
        ":80",
    ] {
        // RFC 9112 §3.2 allows a port to be empty; the HTTP Server API does not.
        let mut client = server.client();
        let response = client.ask(get(host));
        assert_eq!(response.status, 400, "{host:?}");
        assert_eq!(
            server.errors.of_client(client.port()).reason,
            "Hostname",
            "{host:?}"
        );
    }
    for host in [
        "localhost",
        "LOCALHOST:80",
        "1.2.3.4",
        "[::1]",
        "[::1]:80",
        "a-b.c_d.example",
    ] {
        assert_eq!(server.route(host, "/"), "1", "{host:?}");
    }
}

fn a_host_is_given_once(io: Io) {
    let server = start(io);
    server.refuses("GET / HTTP/1.1\r\n\r\n", 400, "Hostname");
    server.refuses(
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        400,
        "Hostname",
    );
    server.refuses(
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        400,
        "Hostname",
    );
}
