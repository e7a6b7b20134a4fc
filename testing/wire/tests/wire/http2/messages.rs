//! Responses: closing, trailers, interim responses, lengths. http-server-api §11, cases T06 and T16;
//! RFC 9113 §8.1.

use std::thread;

use tidegate_driver::Io;
use tidegate_httpapi::{Body, Exchange, OperatingMode, ResponseHead};
use tidegate_wire::{
    Answer, Arrival, GoAway, Http2, Pieces, Server, answer, answering, code, held, kind, label,
    on_both_loops, on_both_loops_in_both_modes, setting,
};

use super::{block, fields, lives};

on_both_loops_in_both_modes!(
    t06_a_response_that_closes_says_goaway_first,
    t16_trailers_are_sent_on_http_2_only,
    trailers_of_a_request_reach_its_reader,
    continue_is_sent_when_the_content_is_first_read,
    early_hints_come_before_the_answer,
    lengths_are_told_when_known,
);

on_both_loops!(
    t06_after_two_hundred_streams_the_goaway_is_final,
    a_length_that_is_not_kept_resets_the_stream,
    fields_of_a_connection_are_not_sent,
    a_response_without_content_ends_with_its_head,
);

fn closing(exchange: Exchange<'_>) {
    let mut head = ResponseHead::new(200);
    head.fields.append("Connection", "close").unwrap();
    exchange.respond(head, Body::Static(b"closing"));
}

fn goaway(last_stream: u32) -> GoAway {
    let code = code::NO_ERROR;
    GoAway { last_stream, code }
}

const UNLIMITED: u32 = 0x7FFF_FFFF;

fn t06_a_response_that_closes_says_goaway_first(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/close/", answering(closing));
    let flag = answering(|exchange| {
        let mut head = ResponseHead::new(200);
        head.close = true;
        exchange.respond(head, Body::Static(b"closing"));
    });
    server.serve_in(mode, "localhost/flag/", flag);
    server.serve_in(mode, "localhost/", label("1"));
    for path in ["/close/", "/flag/"] {
        let mut peer = Http2::connect(&server);
        let stream = peer.request("GET", path, &[], true);
        let mut kinds = Vec::new();
        while !peer.seen(stream).is_complete() {
            kinds.push(peer.step().kind);
        }
        kinds.retain(|kind| *kind != kind::WINDOW_UPDATE);
        assert_eq!(kinds, [kind::GOAWAY, kind::HEADERS, kind::DATA]);
        assert_eq!(peer.goaways, [goaway(UNLIMITED)]);
        let answer = peer.answer(stream);
        assert_eq!((answer.status(), answer.text()), (200, "closing"));
        assert_eq!(answer.field("connection"), None);
        // Streams keep being served.
        assert_eq!(peer.get("/").text(), "1");
        assert_eq!(peer.get(path).text(), "closing");
        assert_eq!(peer.goaways, [goaway(UNLIMITED)]);
    }
}

fn t06_after_two_hundred_streams_the_goaway_is_final(io: Io) {
    let server = Server::start(io);
    server.serve_in(
        OperatingMode::HighPerf,
        "localhost/close/",
        answering(closing),
    );
    let (application, requests) = held();
    server.serve_in(OperatingMode::HighPerf, "localhost/held/", application);
    server.serve_in(OperatingMode::HighPerf, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    assert_eq!(peer.get("/close/").text(), "closing");
    let waiting = peer.request("GET", "/held/", &[], true);
    for _ in 1..199 {
        assert_eq!(peer.get("/").text(), "1");
    }
    assert_eq!(peer.goaways, [goaway(UNLIMITED)]);
    let last = peer.request("GET", "/", &[], true);
    assert_eq!(peer.answer(last).text(), "1");
    assert_eq!(peer.goaways, [goaway(UNLIMITED), goaway(last)]);
    // What comes behind is not looked at; what was begun is finished.
    let ignored = peer.request("GET", "/", &[], true);
    peer.settle();
    assert_eq!(peer.seen(ignored), Answer::default());
    requests
        .next()
        .responder
        .respond_bytes(200, "waited".into());
    assert_eq!(peer.answer(waiting).text(), "waited");
    peer.wire.finish();
    assert_eq!(peer.end(), Arrival::Closed);
    assert_eq!(peer.seen(ignored), Answer::default());
}

fn t16_trailers_are_sent_on_http_2_only(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let trailers = || {
        block(&[
            ("X-Sum", "1"),
            ("X-Sum", "2"),
            ("X-Long", &"l".repeat(15_000)),
        ])
    };
    let streamed = answering(move |exchange| {
        let pieces = Pieces::default();
        pieces.give("content");
        pieces.end_with(trailers());
        exchange.respond(ResponseHead::new(200), pieces.body(None));
    });
    server.serve_in(mode, "localhost/streamed/", streamed);
    let whole = answering(move |exchange| {
        let mut head = ResponseHead::new(200);
        head.trailers = Some(Box::new(trailers()));
        let body = match exchange.head().query() {
            Some(_) => Body::Empty,
            None => Body::Static(b"content"),
        };
        exchange.respond(head, body);
    });
    server.serve_in(mode, "localhost/whole/", whole);
    let mut peer = Http2::connect(&server);
    let expected = fields(&[
        ("x-sum", "1"),
        ("x-sum", "2"),
        ("x-long", &"l".repeat(15_000)),
    ]);
    for path in ["/streamed/", "/whole/"] {
        for _ in 0..2 {
            let answer = peer.get(path);
            assert_eq!((answer.status(), answer.text()), (200, "content"));
            assert_eq!(answer.trailers.as_ref(), Some(&expected));
        }
        let response = server.get("localhost", path);
        assert_eq!((response.status, response.text()), (200, "content"));
        assert_eq!(response.field("X-Sum"), None);
    }
    let answer = peer.get("/whole/?empty");
    assert_eq!((answer.text(), &answer.trailers), ("", &Some(expected)));
    assert_eq!(peer.goaways, []);
}

fn trailers_of_a_request_reach_its_reader(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let stream = peer.request("POST", "/", &[], false);
    peer.data(stream, "content", false);
    let trailers = peer.block(&[("x-sum", "1"), ("x-more", "a b")]);
    peer.send(tidegate_wire::frame::headers(stream, trailers, true));
    let mut request = requests.next();
    assert_eq!(request.body.blocking_collect(100).unwrap(), "content");
    let trailers = request.body.trailers().iter();
    let trailers: Vec<_> = trailers
        .map(|field| (field.name.to_owned(), field.value.to_vec()))
        .collect();
    let expected = [
        ("x-sum".to_owned(), b"1".to_vec()),
        ("x-more".to_owned(), b"a b".to_vec()),
    ];
    assert_eq!(trailers, expected);
    request.responder.respond_bytes(200, "whole".into());
    assert_eq!(peer.answer(stream).text(), "whole");
}

fn continue_is_sent_when_the_content_is_first_read(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let expecting = [("content-length", "4"), ("expect", "100-continue")];
    for _ in 0..2 {
        let stream = peer.request("POST", "/", &expecting, false);
        let mut request = requests.next();
        assert!(request.head.as_head().expects_continue);
        peer.settle();
        assert_eq!(peer.seen(stream), Answer::default());
        thread::scope(|scope| {
            let body = &mut request.body;
            let reader = scope.spawn(|| body.blocking_collect(10));
            peer.until(|peer| !peer.seen(stream).interim.is_empty());
            assert_eq!(peer.seen(stream).interim, [fields(&[(":status", "100")])]);
            peer.data(stream, "ping", true);
            assert_eq!(reader.join().unwrap().unwrap(), "ping");
        });
        request.responder.respond_bytes(200, "pong".into());
        let answer = peer.answer(stream);
        assert_eq!((answer.text(), answer.interim.len()), ("pong", 1));
    }
    // Whoever does not read it says nothing of the kind.
    let stream = peer.request("POST", "/", &expecting, false);
    requests.next().responder.respond_bytes(403, "no".into());
    let answer = peer.answer(stream);
    assert_eq!((answer.status(), answer.interim), (403, vec![]));
    peer.until(|peer| peer.seen(stream).reset.is_some());
    assert_eq!(peer.seen(stream).reset, Some(code::NO_ERROR));
    peer.settle();
    assert_eq!(peer.goaways, []);
}

fn early_hints_come_before_the_answer(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/later/", application);
    let hints = || block(&[("Link", "</style.css>; rel=preload")]);
    let now = answering(move |mut exchange| {
        exchange.inform(103, &hints());
        // Not one of those that may be sent.
        exchange.inform(200, &hints());
        answer(exchange, 200, "now");
    });
    server.serve_in(mode, "localhost/", now);
    let mut peer = Http2::connect(&server);
    let expected = fields(&[(":status", "103"), ("link", "</style.css>; rel=preload")]);
    let answer = peer.get("/");
    assert_eq!(
        (answer.text(), &answer.interim),
        ("now", &vec![expected.clone()])
    );
    let stream = peer.request("GET", "/later/", &[], true);
    let mut request = requests.next();
    for count in 1..3 {
        request.responder.inform(103, &hints());
        // It is there before the answer is given.
        peer.until(|peer| peer.seen(stream).interim.len() == count);
    }
    request.responder.respond_bytes(200, "later".into());
    let answer = peer.answer(stream);
    let interim = vec![expected.clone(), expected];
    assert_eq!((answer.text(), &answer.interim), ("later", &interim));
}

fn lengths_are_told_when_known(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let pieces = Pieces::default();
        pieces.give("con");
        pieces.give("");
        pieces.give("tent");
        pieces.end();
        let body = match exchange.head().cooked_path {
            "/whole" => Body::Static(b"content"),
            "/known" => pieces.body(Some(7)),
            "/empty" => Body::Empty,
            _ => pieces.body(None),
        };
        exchange.respond(ResponseHead::new(200), body);
    });
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    for (path, content, length) in [
        ("/whole", "content", Some("7")),
        ("/known", "content", Some("7")),
        ("/unknown", "content", None),
        ("/empty", "", Some("0")),
    ] {
        let answer = peer.get(path);
        assert_eq!(answer.text(), content, "{path}");
        assert_eq!(answer.field("content-length"), length, "{path}");
        assert_eq!(answer.field("transfer-encoding"), None);
        assert_eq!((answer.trailers, answer.reset), (None, None));
    }
}

fn a_length_that_is_not_kept_resets_the_stream(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let pieces = Pieces::default();
        pieces.give("content");
        pieces.end();
        let mut head = ResponseHead::new(200);
        let body = match exchange.head().cooked_path {
            "/said" => {
                head.fields.append("Content-Length", "8").unwrap();
                Body::Static(b"content")
            }
            "/less" => pieces.body(Some(8)),
            "/more" => pieces.body(Some(6)),
            _ => Body::Empty,
        };
        exchange.respond(head, body);
    });
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    for path in ["/said", "/less", "/more"] {
        let answer = peer.get(path);
        let code = Some(code::INTERNAL_ERROR);
        assert_eq!(
            (answer.status(), answer.reset, answer.ended),
            (200, code, false)
        );
        lives(&mut peer);
    }
}

fn fields_of_a_connection_are_not_sent(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let mut head = ResponseHead::new(200);
        for (name, value) in [
            ("X-First", "1"),
            ("Connection", "X-Hop, keep-alive"),
            ("X-Hop", "2"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "close"),
            ("Upgrade", "h2c"),
            ("Date", "yesterday"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
        ] {
            head.fields.append(name, value).unwrap();
        }
        exchange.respond(head, Body::Static(b"content"));
    });
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    // Once as it is encoded, once as it is remembered.
    for _ in 0..3 {
        let answer = peer.get("/");
        let names: Vec<_> = answer
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let expected = [
            ":status",
            "x-first",
            "set-cookie",
            "set-cookie",
            "content-length",
            "server",
            "date",
        ];
        assert_eq!(names, expected);
        assert_eq!(answer.field("date").unwrap().len(), 29);
        assert_eq!(answer.field("server"), Some("Tidegate"));
    }
}

fn a_response_without_content_ends_with_its_head(io: Io) {
    let server = Server::start(io);
    let application = answering(|exchange| {
        let status = exchange.head().cooked_path[1..].parse().unwrap();
        exchange.respond(ResponseHead::new(status), Body::Static(b"content"));
    });
    server.serve("localhost/", application);
    let table = [(setting::HEADER_TABLE_SIZE, 0)];
    let mut peer = Http2::connect_with(&server, &table);
    for status in [204, 304] {
        let answer = peer.get(&format!("/{status}"));
        assert_eq!((answer.status(), answer.data_frames), (status, 0));
        assert!(answer.ended);
    }
    assert_eq!(peer.get("/200").text(), "content");
}
