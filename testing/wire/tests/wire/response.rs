//! Responses, byte for byte. RFC 9112 §4, §6; http-server-api §1, cases C01–C03.

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{Body, FieldBlock, OperatingMode, ResponseHead, ServerHeaderMode, Transfer};
use tidegate_wire::{
    Pieces, Server, answer, answering, on_both_loops, on_both_loops_in_both_modes,
};

on_both_loops_in_both_modes!(
    c01_a_length_and_a_date_are_added,
    content_of_any_kind_is_sent
);

on_both_loops!(
    c02_the_length_of_the_application_is_kept,
    c03_content_without_length_may_end_with_the_connection,
    content_of_unknown_length_is_chunked,
    head_gets_the_head_only,
    statuses_without_content_have_none,
    a_disconnect_is_announced,
    the_server_field_follows_its_setting,
    errors_of_the_driver_have_a_page,
    a_stream_that_breaks_its_promise_ends_the_connection,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn c01_a_length_and_a_date_are_added(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let pong = answering(|exchange| answer(exchange, 200, "pongpang"));
    server.serve_in(mode, "localhost/", pong);
    let mut client = server.client();
    for _ in 0..3 {
        let response = client.ask(GET);
        assert_eq!(
            response.head,
            "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nServer: Tidegate\r\nDate: *\r\n\r\n"
        );
        assert_eq!(response.text(), "pongpang");
    }
}

fn with_fields(status: u16, fields: &[(&str, &str)]) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    for (name, value) in fields {
        head.fields.append(name, value).unwrap();
    }
    head
}

fn c02_the_length_of_the_application_is_kept(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let fields = [
            ("Content-Length", "6"),
            ("Date", "yesteryear"),
            ("X-Own", "kept"),
        ];
        exchange.respond(with_fields(200, &fields), Body::Static(b"pongpang"));
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(GET);
    let head = client.response_head();
    assert_eq!(head.field("Content-Length"), Some("6"));
    assert_eq!(head.field("X-Own"), Some("kept"));
    assert_eq!(head.field("Date").unwrap().len(), 29);
    // The peer has lost its place: all eight bytes, then the end.
    assert!(head.closes());
    let end = client.end();
    assert_eq!((end.rest.as_slice(), end.reset), (&b"pongpang"[..], false));
}

fn c03_content_without_length_may_end_with_the_connection(io: Io) {
    let server = Server::start(io);
    let pieces = Pieces::default();
    let source = pieces.clone();
    let application = answering(move |exchange| {
        let mut head = ResponseHead::new(200);
        head.transfer = Transfer::UntilClose;
        exchange.respond(head, source.body(None));
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(GET);
    let head = client.response_head();
    assert_eq!(
        head.head,
        "HTTP/1.1 200 OK\r\nServer: Tidegate\r\nDate: *\r\nConnection: close\r\n\r\n"
    );
    pieces.give("pong");
    assert_eq!(client.take(4), b"pong");
    pieces.give("pang");
    pieces.end();
    let end = client.end();
    assert_eq!((end.rest.as_slice(), end.reset), (&b"pang"[..], false));
}

fn content_of_unknown_length_is_chunked(io: Io) {
    let server = Server::start(io);
    let pieces = Pieces::default();
    let source = pieces.clone();
    let application =
        answering(move |exchange| exchange.respond(ResponseHead::new(200), source.body(None)));
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(GET);
    let head = client.response_head();
    assert_eq!(
        head.head,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: Tidegate\r\nDate: *\r\n\r\n"
    );
    pieces.give("pong");
    assert_eq!(client.take(9), b"4\r\npong\r\n");
    pieces.give("");
    pieces.give(vec![b'x'; 0x12345]);
    assert_eq!(client.take(7), b"12345\r\n");
    assert!(client.take(0x12345).iter().all(|byte| *byte == b'x'));
    pieces.end();
    assert_eq!(client.take(7), b"\r\n0\r\n\r\n");
    // An HTTP/1.0 peer knows no chunks.
    client.send("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let head = client.response_head();
    assert_eq!(
        (head.field("Transfer-Encoding"), head.closes()),
        (None, true)
    );
    pieces.give("pang");
    pieces.end();
    assert_eq!(client.end().rest, b"pang");
}

fn head_gets_the_head_only(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| match exchange.head().cooked_path {
        "/own" => exchange.respond(with_fields(200, &[("Content-Length", "999")]), Body::Empty),
        "/stream" => {
            exchange.respond(ResponseHead::new(200), Pieces::default().body(Some(7)));
        }
        _ => answer(exchange, 200, "content"),
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    for (path, length) in [("/", "7"), ("/own", "999"), ("/stream", "7"), ("/", "7")] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let head = client.response_head();
        assert_eq!(
            (head.status, head.field("Content-Length")),
            (200, Some(length)),
            "{path}"
        );
    }
    assert_eq!(client.ask(GET).text(), "content");
}

fn statuses_without_content_have_none(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let status = exchange.head().cooked_path[1..].parse().unwrap();
        answer(exchange, status, "content");
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    for status in [204, 304, 204, 200] {
        client.send(format!("GET /{status} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let response = client.response();
        assert_eq!(response.status, status);
        let length = (status == 200).then_some("7");
        assert_eq!(response.field("Content-Length"), length);
    }
}

fn a_disconnect_is_announced(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let mut head = ResponseHead::new(200);
        head.close = true;
        exchange.respond(head, Body::Static(b"last"));
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    // What was sent after it is not answered.
    client.send(GET.repeat(3));
    let response = client.response();
    assert_eq!((response.text(), response.closes()), ("last", true));
    client.expect_orderly_close();
}

fn the_server_field_follows_its_setting(io: Io) {
    for (mode, ours, own, error) in [
        (
            ServerHeaderMode::Full,
            Some("Tidegate"),
            Some("Own/1 Tidegate"),
            Some("Tidegate"),
        ),
        (
            ServerHeaderMode::NotOnErrors,
            Some("Tidegate"),
            Some("Own/1 Tidegate"),
            None,
        ),
        (ServerHeaderMode::Never, None, Some("Own/1"), None),
    ] {
        let server = Server::start_with(io, |settings| settings.server_header = mode);
        let application = answering(|exchange| match exchange.head().cooked_path {
            "/own" => exchange.respond(with_fields(200, &[("Server", "Own/1")]), Body::Empty),
            _ => answer(exchange, 200, ""),
        });
        server.serve("localhost/", application);
        assert_eq!(server.get("localhost", "/").field("Server"), ours);
        assert_eq!(server.get("localhost", "/own").field("Server"), own);
        assert_eq!(server.get("unknown", "/").field("Server"), error);
    }
}

fn errors_of_the_driver_have_a_page(io: Io) {
    let server = Server::start(io);
    let mut client = server.client();
    client.send("GET / HTTP/1.1\r\nHost: unknown\r\n\r\n");
    let response = client.response();
    assert_eq!(
        response.head,
        format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html; charset=us-ascii\r\n\
             Content-Length: {}\r\nServer: Tidegate\r\nDate: *\r\nConnection: close\r\n\r\n",
            response.content.len()
        )
    );
    let page = response.text();
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    assert!(page.contains("<h2>Bad Request</h2>"), "{page}");
    assert!(page.contains("HTTP error 400."), "{page}");
    client.expect_orderly_close();
    // Nothing of the request is in it.
    let attack = "GET /<script> HTTP/1.1\r\nHost: <script>\r\n\r\n";
    assert!(!server.client().ask(attack).text().contains("script"));
    // A refused HEAD has no content.
    client = server.client();
    client.send("HEAD / HTTP/1.1\r\nHost: unknown\r\n\r\n");
    assert_eq!(client.response_head().status, 400);
    client.expect_orderly_close();
}

fn a_stream_that_breaks_its_promise_ends_the_connection(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let pieces = Pieces::default();
        let length = match exchange.head().cooked_path {
            "/short" => {
                pieces.give("123");
                pieces.end();
                Some(5)
            }
            "/long" => {
                pieces.give("123456");
                Some(5)
            }
            _ => {
                pieces.give("123");
                pieces.fail();
                None
            }
        };
        exchange.respond(ResponseHead::new(200), pieces.body(length));
    });
    server.serve("localhost/", application);
    for path in ["/short", "/long", "/fails"] {
        let mut client = server.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        // The end comes before the peer could take the content for whole.
        let end = client.end();
        let received = String::from_utf8_lossy(&end.rest);
        let content = received
            .split_once("\r\n\r\n")
            .map_or("", |(_, content)| content);
        assert!(
            content.len() < 10 && !content.ends_with("0\r\n\r\n"),
            "{path}: {received}"
        );
        assert!(end.reset || path != "/fails", "{path}");
    }
}

fn content_of_any_kind_is_sent(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    static LARGE: [u8; 100_000] = [b's'; 100_000];
    let application = answering(|mut exchange| {
        let (kind, count) = exchange.head().cooked_path[1..].split_at(1);
        let (kind, count) = (kind.to_owned(), count.parse::<usize>().unwrap());
        let mut memory = exchange.spare_memory();
        memory.extend_from_slice(b"X: y\r\n");
        memory.clear();
        let mut head = ResponseHead::new(200);
        head.fields = FieldBlock::with_memory(memory);
        let body = match kind.as_str() {
            "s" => Body::Static(&LARGE[..count]),
            "o" => Body::Owned(vec![b'o'; count]),
            "b" => Body::Shared(Bytes::from(vec![b'b'; count])),
            _ => {
                let pieces = Pieces::default();
                for _ in 0..4 {
                    pieces.give(vec![b'p'; count / 4]);
                }
                pieces.end();
                pieces.body(Some(count as u64))
            }
        };
        exchange.respond(head, body);
    });
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    for count in [0, 4, 1000, 16_384, 100_000] {
        for kind in ["s", "o", "b", "p"] {
            let path = format!("/{kind}{count}");
            let response = client.ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            assert_eq!(
                response.field("Content-Length"),
                Some(count.to_string().as_str())
            );
            assert_eq!(response.content.len(), count, "{path}");
            assert!(
                response
                    .content
                    .iter()
                    .all(|byte| *byte == kind.as_bytes()[0]),
                "{path}"
            );
        }
    }
}
