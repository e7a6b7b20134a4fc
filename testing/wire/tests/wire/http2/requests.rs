//! Requests and the driver's own answers to them. http-server-api §11, cases N30, T04, T07.

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, EnabledState, OperatingMode, Verbosity503};
use tidegate_wire::{
    Answer, Http2, Server, answering, code, echo, held, label, on_both_loops,
    on_both_loops_in_both_modes, seen,
};

use super::lives;

on_both_loops_in_both_modes!(
    n30_the_port_of_an_authority_is_not_looked_at,
    t04_content_without_a_length_is_asked_for,
    t07_an_upload_without_a_length_says_chunked,
    requests_say_the_same_as_on_http_1,
    head_gets_a_head_alone,
);

on_both_loops!(
    head_with_content_is_for_http_1_1,
    what_nobody_serves_gets_a_page,
    malformed_targets_and_hosts_get_400,
    a_group_without_a_queue_gets_a_503_page,
    basic_verbosity_refuses_the_stream,
    other_verbosities_send_a_page,
    content_longer_than_accepted_gets_413,
    more_streams_than_announced_are_refused,
);

/// The answer is the driver's page.
fn is_page(answer: &Answer, status: u16) {
    assert_eq!((answer.status(), answer.reset), (status, None));
    let length = answer.content.len().to_string();
    assert_eq!(answer.field("content-length"), Some(length.as_str()));
    let content_type = Some("text/html; charset=us-ascii");
    assert_eq!(answer.field("content-type"), content_type);
    assert_eq!(answer.field("connection"), None);
    assert!(answer.text().contains(&status.to_string()));
}

fn is_logged(server: &Server, peer: &Http2, status: &str, reason: &str) {
    let line = server.errors.of_client(peer.wire.port());
    let said = (line.status.as_str(), line.reason.as_str());
    assert_eq!(said, (status, reason));
}

fn n30_the_port_of_an_authority_is_not_looked_at(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "h/", label("served"));
    let mut peer = Http2::connect(&server);
    let own = format!("h:{}", server.port);
    for authority in ["h:80", "h", "H:1", &own] {
        let stream = peer.request_of(
            &[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", authority),
                (":path", "/"),
            ],
            true,
        );
        assert_eq!(peer.answer(stream).text(), "served", "{authority}");
    }
}

fn t04_content_without_a_length_is_asked_for(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", label("served"));
    let mut peer = Http2::connect(&server);
    for method in ["POST", "PUT"] {
        let stream = peer.request(method, "/", &[], true);
        is_page(&peer.answer(stream), 411);
        lives(&mut peer);
        // A length of nothing is a length.
        let stream = peer.request(method, "/", &[("content-length", "0")], true);
        assert_eq!(peer.answer(stream).text(), "served");
    }
    is_logged(&server, &peer, "411", "LengthRequired");
}

fn t07_an_upload_without_a_length_says_chunked(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let framing = || {
        let seen = requests.recv().unwrap();
        let is_framing = |name: &str| matches!(name, "content-length" | "transfer-encoding");
        let mut fields = seen.fields;
        fields.retain(|(name, _)| is_framing(&name.to_ascii_lowercase()));
        fields
    };
    let stream = peer.request("POST", "/", &[], false);
    peer.data(stream, "content", true);
    assert_eq!(peer.answer(stream).status(), 200);
    assert_eq!(
        framing(),
        super::fields(&[("transfer-encoding", "chunked")])
    );
    let stream = peer.request("POST", "/", &[("content-length", "7")], false);
    peer.data(stream, "content", true);
    assert_eq!(peer.answer(stream).status(), 200);
    assert_eq!(framing(), super::fields(&[("content-length", "7")]));
    assert_eq!(peer.get("/").status(), 200);
    assert_eq!(framing(), []);
}

fn requests_say_the_same_as_on_http_1(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve_in(mode, "localhost/a/", application);
    let mut peer = Http2::connect(&server);
    let stream = peer.request_of(
        &[
            (":method", "PURGE"),
            (":path", "/a/./%41?q=%20"),
            (":authority", "localhost"),
            (":scheme", "http"),
            ("cookie", "a=1"),
            ("x-other", "A b"),
            ("cookie", "b=2"),
            ("te", "trailers"),
        ],
        true,
    );
    assert_eq!(peer.answer(stream).text(), "seen");
    let second = requests.recv().unwrap();
    let mut client = server.client();
    let response = client.ask(
        "PURGE /a/./%41?q=%20 HTTP/1.1\r\nhost: localhost\r\ncookie: a=1; b=2\r\n\
         x-other: A b\r\nte: trailers\r\n\r\n",
    );
    assert_eq!(response.text(), "seen");
    let first = requests.recv().unwrap();
    assert_eq!(first.fields, second.fields);
    assert_eq!(
        (
            first.method,
            first.target,
            first.cooked_path,
            first.query,
            first.host
        ),
        (
            second.method,
            second.target,
            second.cooked_path,
            second.query,
            second.host
        )
    );
}

fn head_gets_a_head_alone(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", label("content"));
    let mut peer = Http2::connect(&server);
    let stream = peer.request("HEAD", "/", &[], true);
    let answer = peer.answer(stream);
    assert_eq!((answer.status(), answer.data_frames), (200, 0));
    assert_eq!(answer.field("content-length"), Some("7"));
    lives(&mut peer);
}

fn head_with_content_is_for_http_1_1(io: Io) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    for length in [&[("content-length", "4")] as &[_], &[]] {
        let stream = peer.request("HEAD", "/", length, false);
        let answer = peer.answer(stream);
        assert_eq!(answer.reset, Some(code::HTTP_1_1_REQUIRED));
        assert_eq!(answer.status(), 0);
        // The client may not know yet.
        peer.data(stream, "what", true);
    }
    assert!(requests.try_recv().is_err());
    lives(&mut peer);
}

fn what_nobody_serves_gets_a_page(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/a/", label("a"));
    let mut peer = Http2::connect(&server);
    is_page(&peer.get("/b/"), 404);
    is_logged(&server, &peer, "404", "NotFound");
    let mut peer = Http2::connect(&server);
    let unknown = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "unknown.invalid"),
        (":path", "/a/"),
    ];
    let stream = peer.request_of(&unknown, true);
    is_page(&peer.answer(stream), 400);
    is_logged(&server, &peer, "400", "Hostname");
    assert_eq!(peer.get("/a/").text(), "a");
    // What comes of content is no error of the connection's.
    let stream = peer.request("POST", "/b/", &[], false);
    peer.data(stream, [0; 1000], false);
    let answer = peer.answer(stream);
    is_page(&answer, 404);
    peer.data(stream, [0; 1000], true);
    lives(&mut peer);
}

fn malformed_targets_and_hosts_get_400(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.request_limits.field_bytes_max = 1000;
    });
    server.serve("localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    for (authority, path) in [
        ("localhost", "/%zz"),
        ("localhost", "/%00"),
        ("localhost", "*"),
        ("localhost", "nothing"),
        ("local host", "/"),
        ("localhost:99999", "/"),
        ("", "/"),
    ] {
        let request = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", authority),
            (":path", path),
        ];
        let stream = peer.request_of(&request, true);
        let answer = peer.answer(stream);
        assert_eq!(
            (answer.status(), answer.reset),
            (400, None),
            "{authority}{path}"
        );
    }
    let long = "a".repeat(1000);
    let stream = peer.request("GET", &format!("/{long}"), &[], true);
    is_page(&peer.answer(stream), 414);
    lives(&mut peer);
}

fn a_group_without_a_queue_gets_a_503_page(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let unbound = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "anchor.invalid"),
        (":path", "/"),
    ];
    let stream = peer.request_of(&unbound, true);
    is_page(&peer.answer(stream), 503);
    is_logged(&server, &peer, "503", "N/A");
    lives(&mut peer);
}

fn basic_verbosity_refuses_the_stream(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    server.serve_with("localhost/disabled/", label("2"), |queue| {
        queue.state = EnabledState::Disabled;
    });
    let mut peer = Http2::connect(&server);
    for ended in [true, false] {
        let length = [("content-length", "4")];
        let length = if ended { &[] } else { &length[..] };
        let stream = peer.request("DELETE", "/disabled/", length, ended);
        let answer = peer.answer(stream);
        assert_eq!(
            (answer.status(), answer.reset),
            (0, Some(code::REFUSED_STREAM))
        );
    }
    is_logged(&server, &peer, "-", "Disabled");
    lives(&mut peer);
}

fn other_verbosities_send_a_page(io: Io) {
    for verbosity in [Verbosity503::Limited, Verbosity503::Full] {
        let server = Server::start(io);
        server.serve("localhost/", label("1"));
        server.serve_with("localhost/disabled/", label("2"), |queue| {
            queue.state = EnabledState::Disabled;
            queue.verbosity_503 = verbosity;
        });
        let mut peer = Http2::connect(&server);
        is_page(&peer.get("/disabled/"), 503);
        is_logged(&server, &peer, "503", "Disabled");
        lives(&mut peer);
    }
}

fn content_longer_than_accepted_gets_413(io: Io) {
    let server = Server::start(io);
    server.serve_with("localhost/", echo(), |queue| {
        queue.content_bytes_max = Some(100)
    });
    let mut peer = Http2::connect(&server);
    let stream = peer.request("POST", "/", &[("content-length", "101")], false);
    is_page(&peer.answer(stream), 413);
    let stream = peer.request("POST", "/", &[("content-length", "100")], false);
    peer.data(stream, [b'x'; 100], true);
    assert_eq!(peer.answer(stream).content, [b'x'; 100]);
    // Of unknown length: the application has been asked already, and hears of it.
    let stream = peer.request("POST", "/", &[], false);
    peer.data(stream, [b'x'; 101], true);
    assert!(matches!(peer.answer(stream).status(), 400 | 413));
    lives(&mut peer);
}

fn more_streams_than_announced_are_refused(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.http2_limits.concurrent_streams_max = 3;
    });
    let (application, requests) = held();
    server.serve("localhost/held/", application);
    server.serve(
        "localhost/",
        answering(|exchange| tidegate_wire::answer(exchange, 200, "")),
    );
    let mut peer = Http2::connect(&server);
    assert_eq!(
        peer.settings[&tidegate_wire::setting::MAX_CONCURRENT_STREAMS],
        3
    );
    let streams = [0; 3].map(|_| peer.request("GET", "/held/", &[], true));
    let fourth = peer.request("GET", "/held/", &[], true);
    assert_eq!(peer.answer(fourth).reset, Some(code::REFUSED_STREAM));
    for _ in 0..3 {
        requests.next().responder.respond_bytes(200, "1".into());
    }
    for stream in streams {
        assert_eq!(peer.answer(stream).text(), "1");
    }
    assert!(requests.is_empty());
    lives(&mut peer);
    assert_eq!(server.backend.connection_count(), 1);
}
