//! Copies on HTTP/2 streams, and between the versions of HTTP.

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, Body, CachePolicy, OperatingMode};
use tidegate_wire::{
    Answer, Certificate, Client, Http2, Offer, Server, held, on_both_loops,
    on_both_loops_in_both_modes, setting,
};

use super::{get, making, numbering, text, typed};

on_both_loops_in_both_modes!(streams_are_served_copies, a_copy_is_for_both_versions);

on_both_loops!(
    answers_given_later_are_stored,
    rules_are_the_same,
    parts_and_conditions_are_the_same,
    long_copies_wait_for_windows,
    a_connection_may_begin_to_end_with_a_copy,
    copies_go_over_tls_too,
);

fn ask(peer: &mut Http2, path: &str, fields: &[(&str, &str)]) -> Answer {
    let stream = peer.request("GET", path, fields, true);
    peer.answer(stream)
}

fn streams_are_served_copies(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let first = peer.get("/");
    assert_eq!(first.text(), "call 1");
    for _ in 0..10 {
        let copy = peer.get("/");
        assert_eq!(
            (copy.text(), copy.field("content-type")),
            ("call 1", Some("text/plain"))
        );
        assert_eq!(copy.field("content-length"), Some("6"));
        let names = |answer: &Answer| {
            answer
                .fields
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&copy), names(&first));
    }
    // Many at once, some of them not stored.
    let streams: Vec<_> = (0..40)
        .map(|number| {
            let path = if number % 2 == 0 { "/" } else { "/other" };
            peer.request("GET", path, &[], true)
        })
        .collect();
    for (number, stream) in streams.into_iter().enumerate() {
        let answer = peer.answer(stream);
        if number % 2 == 0 {
            assert_eq!(answer.text(), "call 1");
        }
    }
    assert!(calls.count() <= 21);
    let again = calls.count();
    assert_eq!(peer.get("/").text(), "call 1");
    assert_eq!(calls.count(), again);
}

fn a_copy_is_for_both_versions(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let mut client = server.client();
    // The same host: the rig's HTTP/2 client asks `localhost` as well.
    assert_eq!(get(&mut client, "/one", &[]).text(), "call 1");
    assert_eq!(peer.get("/one").text(), "call 1");
    assert_eq!(peer.get("/two").text(), "call 2");
    assert_eq!(get(&mut client, "/two", &[]).text(), "call 2");
    assert_eq!(calls.count(), 2);
}

fn answers_given_later_are_stored(io: Io) {
    let server = Server::start(io);
    let (application, held) = held();
    server.serve_in(OperatingMode::HighPerf, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let stream = peer.request("GET", "/", &[], true);
    let (head, body) = text(CachePolicy::UserInvalidates, "later");
    held.next().responder.respond(head, body);
    assert_eq!(peer.answer(stream).text(), "later");
    for _ in 0..3 {
        assert_eq!(peer.get("/").text(), "later");
    }
    assert!(held.is_empty());
}

fn rules_are_the_same(io: Io) {
    let server = Server::start(io);
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    assert_eq!(
        ask(&mut peer, "/", &[("authorization", "x")]).text(),
        "call 1"
    );
    assert_eq!(ask(&mut peer, "/", &[("translate", "f")]).text(), "call 2");
    assert_eq!(ask(&mut peer, "/", &[]).text(), "call 3");
    for (call, fields) in [
        (3, &[("cache-control", "no-cache")][..]),
        (3, &[("accept-encoding", "doesnt, exist, , ,")]),
        (4, &[("authorization", "x")]),
        (5, &[("translate", "f")]),
        (6, &[("accept-encoding", "*;q=0")]),
        (6, &[]),
    ] {
        let answer = ask(&mut peer, "/", fields);
        assert_eq!(answer.text(), format!("call {call}"), "{fields:?}");
    }
    for (index, method) in ["HEAD", "DELETE", "OPTIONS", "XYZZY"]
        .into_iter()
        .enumerate()
    {
        let stream = peer.request(method, "/", &[], true);
        peer.answer(stream);
        assert_eq!(calls.count(), 7 + index, "{method}");
        assert_eq!(peer.get("/").text(), "call 6");
    }
    // A GET with content, and one whose end comes later.
    let stream = peer.request("GET", "/", &[], false);
    peer.data(stream, "content", true);
    assert_eq!(peer.answer(stream).text(), "call 11");
}

fn parts_and_conditions_are_the_same(io: Io) {
    let server = Server::start(io);
    let (application, calls) = making(|_, _| {
        let (mut head, body) = text(CachePolicy::UserInvalidates, "0123456789".repeat(100));
        head.fields.append("ETag", "\"one\"").unwrap();
        (head, body)
    });
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    assert_eq!(peer.get("/").status(), 200);
    let part = ask(&mut peer, "/", &[("range", "bytes=0-10")]);
    assert_eq!((part.status(), part.text()), (206, "01234567890"));
    assert_eq!(part.field("content-range"), Some("bytes 0-10/1000"));
    let parts = ask(&mut peer, "/", &[("range", "bytes=0-1,500-501")]);
    assert_eq!(parts.status(), 206);
    let content_type = parts.field("content-type").unwrap();
    assert!(content_type.starts_with("multipart/byteranges; boundary="));
    let none = ask(&mut peer, "/", &[("range", "bytes=1000-")]);
    assert_eq!(
        (none.status(), none.field("content-range")),
        (416, Some("bytes */1000"))
    );
    let unchanged = ask(&mut peer, "/", &[("if-none-match", "\"one\"")]);
    assert_eq!((unchanged.status(), unchanged.content.len()), (304, 0));
    let failed = ask(&mut peer, "/", &[("if-match", "\"two\"")]);
    assert_eq!(failed.status(), 412);
    assert_eq!(calls.count(), 1);
}

fn long_copies_wait_for_windows(io: Io) {
    let server = Server::start(io);
    let content: Vec<u8> = (0..200_000_u32).map(|number| (number / 3) as u8).collect();
    let given = content.clone();
    let (application, calls) =
        making(move |_, _| text(CachePolicy::UserInvalidates, given.clone()));
    server.serve("localhost/", application);
    let mut wide = Http2::connect(&server);
    for _ in 0..3 {
        assert!(wide.get("/").content == content);
    }
    // The usual windows: a copy stops where they end, and goes on with them.
    let mut narrow = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 1000)]);
    let stream = narrow.request("GET", "/", &[], true);
    narrow.until(|peer| peer.content_bytes(stream) == 1000);
    narrow.widen(stream, 300_000);
    narrow.widen(0, 300_000);
    assert!(narrow.answer(stream).content == content);
    // A short one as well.
    let mut none = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    let stream = none.request("GET", "/", &[("range", "bytes=0-9")], true);
    none.until(|peer| peer.seen(stream).status() == 206);
    none.widen(stream, 100);
    assert!(none.answer(stream).content == content[..10]);
    assert_eq!(calls.count(), 1);
}

fn a_connection_may_begin_to_end_with_a_copy(io: Io) {
    let server = Server::start(io);
    let (application, calls) = making(|_, _| {
        let mut head = typed(200);
        head.close = true;
        head.cache = CachePolicy::UserInvalidates.into();
        (head, Body::Static(b"last"))
    });
    server.serve("localhost/", application);
    server.get("localhost", "/");
    let mut peer = Http2::connect(&server);
    let copy = peer.get("/");
    assert_eq!((copy.text(), copy.field("connection")), ("last", None));
    assert_eq!((peer.goaways.len(), calls.count()), (1, 1));
}

fn copies_go_over_tls_too(io: Io) {
    let server = Server::start_secure(io);
    server.bind("0.0.0.0", &Certificate::new("localhost"));
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve("localhost/", application);
    let client = Client::connect_secure(server.port, &Offer::of(&["h2"])).unwrap();
    let mut peer = Http2::begin(client, &[]);
    for _ in 0..4 {
        assert_eq!(peer.get("/").text(), "call 1");
    }
    assert_eq!(calls.count(), 1);
    assert_eq!(server.backend.cache_counters().cached, 1);
}
