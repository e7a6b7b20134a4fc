//! How the end of a request's content is found, and requests that two readers could understand in two
//! ways. RFC 9112 §6; http-server-api §7, §15, cases P13, P14, P22.

use tidegate_driver::Io;
use tidegate_wire::{Server, echo, on_both_loops, seen};

on_both_loops!(
    p13_post_needs_a_length,
    p14_other_codings_are_not_implemented,
    p22_two_framings_are_refused,
    smuggled_requests_are_never_seen,
    lengths_are_digits,
    a_length_has_a_largest,
    broken_chunks_are_refused,
    chunks_are_read_in_all_their_forms,
);

fn post(lines: &str, content: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n\r\n{content}")
}

fn start(io: Io) -> Server {
    let server = Server::start(io);
    server.serve("localhost/", echo());
    server
}

fn p13_post_needs_a_length(io: Io) {
    let server = start(io);
    for method in ["POST", "PUT"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        server.refuses(request, 411, "LengthRequired");
    }
    assert_eq!(
        server.client().ask(post("Content-Length: 0", "")).status,
        200
    );
    for method in ["GET", "DELETE", "OPTIONS", "PATCH", "xyzzy"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(server.client().ask(request).status, 200, "{method}");
    }
}

fn p14_other_codings_are_not_implemented(io: Io) {
    let server = start(io);
    for coding in ["gzip", "gzip, chunked", "identity", "chunked, gzip", "x"] {
        let request = post(&format!("Transfer-Encoding: {coding}"), "0\r\n\r\n");
        server.refuses(request, 501, "N/I");
    }
}

fn p22_two_framings_are_refused(io: Io) {
    let server = start(io);
    let lines = "Content-Length: 5\r\nTransfer-Encoding: chunked";
    server.refuses(post(lines, "0\r\n\r\n"), 400, "BadRequest");
}

// One answer, the end, and the application sees none of it.
fn smuggled_requests_are_never_seen(io: Io) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve("localhost/", application);
    let heads = [
        "Content-Length: 44\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-encoding: x",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding:\u{b}chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding:\r\n chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 44",
        "Content-Length: 4, 44",
        "Content-Length: 4\r\ncontent-length: 5",
        "Content-Length : 4",
        "Content-Length: +4",
        "Content-Length: 4 4",
        "Content-Length: 0x4",
        "Content-Length: 4\u{b}",
        "Content-Length\r\n: 4",
    ];
    for head in heads {
        let mut client = server.client();
        client.send(post(
            head,
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ));
        let response = client.response();
        assert!(
            matches!(response.status, 400 | 501),
            "{head:?}: {}",
            response.status
        );
        assert!(response.closes(), "{head:?}");
        client.expect_orderly_close();
    }
    // RFC 9112 §6.1: HTTP/1.0 knows no chunks.
    let old = "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    server.refuses(old, 400, "BadRequest");
    assert!(requests.try_recv().is_err());
}

fn lengths_are_digits(io: Io) {
    let server = start(io);
    for length in [
        "", "-1", "+1", "1.0", "1 2", "0x1", "a", "1,", ",1", "\u{663}",
    ] {
        let request = post(&format!("Content-Length: {length}"), "1");
        server.refuses(request, 400, "Number");
    }
    // RFC 9112 §6.3: identical values may be taken as one.
    for lines in [
        "Content-Length: 2, 2",
        "Content-Length: 2\r\nContent-Length: 2",
    ] {
        assert_eq!(
            server.client().ask(post(lines, "ab")).text(),
            "ab",
            "{lines:?}"
        );
    }
}

fn a_length_has_a_largest(io: Io) {
    let server = Server::start(io);
    server.serve_with("localhost/", echo(), |queue| {
        queue.content_bytes_max = Some(10)
    });
    for length in [
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "11",
    ] {
        let request = post(&format!("Content-Length: {length}"), "");
        server.refuses(request, 413, "EntityTooLarge");
    }
    assert_eq!(
        server
            .client()
            .ask(post("Content-Length: 10", "0123456789"))
            .text(),
        "0123456789"
    );
    // Chunks tell only as they come.
    let mut client = server.client();
    client.send(post(
        "Transfer-Encoding: chunked",
        "b\r\n01234567890\r\n0\r\n\r\n",
    ));
    let response = client.response();
    assert!(response.closes(), "{}", response.head);
    assert_eq!(
        server.errors.of_client(client.port()).reason,
        "EntityTooLarge"
    );
}

fn broken_chunks_are_refused(io: Io) {
    let server = start(io);
    for content in [
        "x\r\n",
        "\r\n",
        " 1\r\na\r\n",
        "-1\r\na\r\n",
        "0x1\r\na\r\n",
        "1 \nab",
        "1\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\r\r",
        "8000000000000000\r\n",
        "10000000000000000\r\n",
        "1;a\u{1}\r\na\r\n",
        "1\r\na\r\n0\r\nBad Name: x\r\n\r\n",
        "0\r\n\nX: y\r\n\r\n",
    ] {
        let mut client = server.client();
        client.send(post("Transfer-Encoding: chunked", content));
        let response = client.response();
        assert_eq!(response.status, 400, "{content:?}");
        assert!(response.closes(), "{content:?}");
        client.expect_orderly_close();
        assert_eq!(
            server.errors.of_client(client.port()).status,
            "400",
            "{content:?}"
        );
    }
}

fn chunks_are_read_in_all_their_forms(io: Io) {
    let server = start(io);
    for (content, whole) in [
        ("0\r\n\r\n", ""),
        ("4\r\nping\r\n0\r\n\r\n", "ping"),
        ("2\r\npi\r\n2\r\nng\r\n00\r\n\r\n", "ping"),
        ("0004\r\nping\r\n0\r\nTrailer: x\r\n\r\n", "ping"),
        ("4;a=b;c=\"d;e\"\r\nping\r\n0;last\r\n\r\n", "ping"),
        (
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
        ),
    ] {
        let mut client = server.client();
        let request = post("Transfer-Encoding: Chunked", content);
        assert_eq!(client.ask(&request).text(), whole, "{content:?}");
        assert_eq!(client.ask(&request).text(), whole, "{content:?}");
    }
}
