//! What is stored, and who is served from it. Cases C04–C09, C12–C16, C18–C20; CVE-2021-31166.

use std::time::Duration;

use std::sync::Arc;

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::{
    Backend, Body, CachePolicy, CertificateAuthorities, ClientCertificates, OperatingMode, Piece,
    ResponseHead,
};
use tidegate_wire::{
    Certificate, Client, Offer, Pieces, Server, held, on_both_loops, on_both_loops_in_both_modes,
    until,
};

use super::{for_seconds, get, is_stored, making, numbering, request, text, typed};

on_both_loops_in_both_modes!(
    c04_a_content_type_is_needed,
    c06_other_methods_go_to_the_application_and_change_nothing,
    answers_given_later_are_stored,
);

on_both_loops!(
    c05_less_than_a_second_is_not_stored,
    c07_c08_what_is_asked_with_authorization_is_for_one,
    c09_what_the_request_says_of_caches_does_not_count,
    c12_c13_every_status_but_206_is_stored,
    c14_c15_what_is_not_whole_or_too_long_is_not_stored,
    c16_the_query_and_the_host_are_part_of_what_is_asked_for,
    c18_vary_does_not_count,
    c19_a_stored_age_is_replayed,
    c20_who_asks_for_the_source_gets_it,
    the_copy_is_the_answer,
    an_odd_spelling_of_a_path_is_another,
    what_one_asked_for_is_not_stored_for_all,
    what_is_encoded_goes_to_who_can_decode_it,
    odd_lists_of_codings_do_no_harm,
    a_connection_may_end_with_a_copy,
    long_copies_are_sent_whole,
    a_head_may_not_be_long,
    a_cache_may_be_turned_off,
    copies_go_over_tls_too,
    what_a_known_client_got_is_not_stored,
);

fn c04_a_content_type_is_needed(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, calls) = making(|call, head| {
        let mut answer = match head.cooked_path {
            "/typed" => typed(200),
            _ => ResponseHead::new(200),
        };
        answer.cache = for_seconds(10).into();
        (answer, Body::Owned(call.to_string().into()))
    });
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    for call in ["1", "2"] {
        assert_eq!(get(&mut client, "/", &[]).text(), call);
    }
    for _ in 0..20 {
        let response = get(&mut client, "/typed", &[]);
        assert_eq!(response.text(), "3");
        assert_eq!(
            response.head,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\
             Server: Tidegate\r\nDate: *\r\n\r\n"
        );
    }
    // Others are served it too, on whatever worker.
    for _ in 0..8 {
        assert_eq!(get(&mut server.client(), "/typed", &[]).text(), "3");
    }
    assert_eq!(calls.count(), 3);
    let counted = || {
        let counters = server.backend.cache_counters();
        (counters.added, counters.cached, counters.hits)
    };
    until("hits are counted", || counted() == (1, 1, 27));
}

fn c05_less_than_a_second_is_not_stored(io: Io) {
    let server = Server::start(io);
    for (index, milliseconds) in [0, 900, 999].into_iter().enumerate() {
        let policy = CachePolicy::TimeToLive(Duration::from_millis(milliseconds));
        server.serve(&format!("localhost/{index}/"), numbering(policy).0);
        assert!(!is_stored(&server, &format!("/{index}/")), "{milliseconds}");
    }
    server.serve("localhost/none/", numbering(CachePolicy::None).0);
    assert!(!is_stored(&server, "/none/"));
    let policy = CachePolicy::TimeToLive(Duration::MAX);
    server.serve("localhost/long/", numbering(policy).0);
    assert!(is_stored(&server, "/long/"));
}

fn c06_other_methods_go_to_the_application_and_change_nothing(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, calls) = numbering(for_seconds(100));
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    assert_eq!(get(&mut client, "/", &[]).text(), "call 1");
    for (index, method) in [
        "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CUSTOM",
    ]
    .into_iter()
    .enumerate()
    {
        client.send(request(method, "/", &["Content-Length: 0"]));
        match method {
            "HEAD" => drop(client.response_head()),
            _ => assert_eq!(client.response().text(), format!("call {}", index + 2)),
        }
        assert_eq!(calls.count(), index + 2, "{method}");
        assert_eq!(get(&mut client, "/", &[]).text(), "call 1", "{method}");
    }
    // Nor is what has content served, or stored.
    let with_content = "GET /other HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi";
    for call in [9, 10] {
        assert_eq!(client.ask(with_content).text(), format!("call {call}"));
    }
    let with_content = with_content.replace("/other", "/");
    assert_eq!(client.ask(with_content).text(), "call 11");
}

fn c07_c08_what_is_asked_with_authorization_is_for_one(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", numbering(for_seconds(100)).0);
    let mut client = server.client();
    let authorization = ["Authorization: Basic YTpi"];
    // C08: it is not stored.
    assert_eq!(get(&mut client, "/", &authorization).text(), "call 1");
    assert_eq!(get(&mut client, "/", &[]).text(), "call 2");
    // C07: it is not served.
    assert_eq!(get(&mut client, "/", &authorization).text(), "call 3");
    assert_eq!(get(&mut client, "/", &[]).text(), "call 2");
}

fn c09_what_the_request_says_of_caches_does_not_count(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", numbering(for_seconds(100)).0);
    let mut client = server.client();
    for lines in [
        &["Pragma: no-cache"][..],
        &["Cache-Control: no-cache"],
        &[
            "Cache-Control: max-age=0, min-fresh=100",
            "Pragma: no-cache",
        ],
        &["Cache-Control: no-store"],
        &["Cookie: user=me"],
    ] {
        assert_eq!(get(&mut client, "/", lines).text(), "call 1", "{lines:?}");
    }
}

fn c12_c13_every_status_but_206_is_stored(io: Io) {
    let server = Server::start(io);
    let (application, calls) = making(|_, head| {
        let status = head.cooked_path[1..].parse().unwrap();
        let mut answer = typed(status);
        answer.cache = for_seconds(100).into();
        (answer, Body::Owned(status.to_string().into()))
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    for status in 200..600 {
        let before = calls.count();
        let path = format!("/{status}");
        let first = get(&mut client, &path, &[]);
        let second = get(&mut client, &path, &[]);
        assert_eq!((first.status, second.status), (status, status));
        assert_eq!(
            (&first.head, &first.content),
            (&second.head, &second.content)
        );
        let called = if status == 206 { 2 } else { 1 };
        assert_eq!(calls.count() - before, called, "{status}");
    }
}

/// A number, filled up to this length.
fn padded(number: &str, length: usize) -> Vec<u8> {
    let mut content = number.as_bytes().to_vec();
    content.resize(length, b' ');
    content
}

fn c14_c15_what_is_not_whole_or_too_long_is_not_stored(io: Io) {
    let server = Server::start(io);
    let (application, _) = making(|call, head| {
        let mut answer = typed(200);
        answer.cache = CachePolicy::UserInvalidates.into();
        let number = call.to_string();
        let body = match head.cooked_path {
            "/stream" => {
                let pieces = Pieces::default();
                pieces.give(number.clone());
                pieces.give("rest");
                pieces.end();
                pieces.body(Some(number.len() as u64 + 4))
            }
            "/trailers" => {
                answer.trailers = Some(Box::default());
                Body::Owned(number.into())
            }
            "/length" => {
                answer.fields.append("Content-Length", "100").unwrap();
                answer.close = true;
                Body::Owned(number.into())
            }
            "/pieces" => {
                let pieces = [number, " and more".to_owned()];
                Body::Pieces(pieces.map(|piece| Piece::from(Bytes::from(piece))).into())
            }
            "/long" => Body::Owned(padded(&number, 262_144)),
            "/static" => Body::Static(b"static"),
            "/empty" => Body::Empty,
            _ => Body::Shared(padded(&number, 262_145).into()),
        };
        (answer, body)
    });
    server.serve("localhost/", application);
    for path in ["/stream", "/trailers", "/longer"] {
        assert!(!is_stored(&server, path), "{path}");
    }
    for path in ["/pieces", "/long", "/static", "/empty"] {
        assert!(is_stored(&server, path), "{path}");
    }
    let added = server.backend.cache_counters().added;
    let mut client = server.client();
    client.send(request("GET", "/length", &[]));
    assert!(client.response_head().closes());
    assert!(!client.end().reset);
    assert_eq!(server.backend.cache_counters().added, added);
}

fn c16_the_query_and_the_host_are_part_of_what_is_asked_for(io: Io) {
    let server = Server::start(io);
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve("+/", application);
    let ask = |host: &str, target: &str| {
        let response = server.get(host, target);
        response.text().to_owned()
    };
    let asked = [
        ("a.example", "/a?x=1", "call 1"),
        ("a.example", "/a?x=2", "call 2"),
        ("a.example", "/a", "call 3"),
        ("a.example", "/a?", "call 4"),
        ("b.example", "/a?x=1", "call 5"),
        ("a.example:81", "/a?x=1", "call 6"),
        ("a.example", "/A?x=1", "call 7"),
    ];
    for (host, target, answer) in asked.into_iter().chain(asked) {
        assert_eq!(ask(host, target), answer, "{host} {target}");
    }
    // Letter case of a host does not count, nor does the way in which it is named.
    assert_eq!(ask("A.EXAMPLE", "/a?x=1"), "call 1");
    assert_eq!(ask("a.example", "http://a.example/a?x=1"), "call 1");
    assert_eq!(calls.count(), 7);
}

fn c18_vary_does_not_count(io: Io) {
    let server = Server::start(io);
    let (application, _) = making(|call, _| {
        let (mut head, body) = text(for_seconds(100), call.to_string());
        head.fields
            .append("Vary", "Accept-Language, User-Agent")
            .unwrap();
        (head, body)
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    for lines in [
        &["Accept-Language: de"][..],
        &["Accept-Language: fr", "User-Agent: x"],
        &[],
    ] {
        assert_eq!(get(&mut client, "/", lines).text(), "1", "{lines:?}");
    }
}

fn c19_a_stored_age_is_replayed(io: Io) {
    let server = Server::start(io);
    let (application, calls) = making(|_, head| {
        let (mut answer, body) = text(for_seconds(100), "text");
        if head.cooked_path == "/old" {
            answer.fields.append("Age", "12345").unwrap();
        }
        (answer, body)
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "/old", &[]).field("Age"), Some("12345"));
        assert_eq!(get(&mut client, "/new", &[]).field("Age"), None);
    }
    assert_eq!(calls.count(), 2);
}

fn c20_who_asks_for_the_source_gets_it(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", numbering(for_seconds(100)).0);
    let mut client = server.client();
    assert_eq!(get(&mut client, "/", &["Translate: f"]).text(), "call 1");
    assert_eq!(get(&mut client, "/", &[]).text(), "call 2");
    assert_eq!(get(&mut client, "/", &["translate: F"]).text(), "call 3");
    assert_eq!(get(&mut client, "/", &["Translate: t"]).text(), "call 2");
}

fn the_copy_is_the_answer(io: Io) {
    let server = Server::start(io);
    let (application, calls) = making(|_, _| {
        let mut head = ResponseHead::new(404);
        head.reason = Some("Gone For Now".into());
        for (name, value) in [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Server", "Own"),
            ("X-Two", "1"),
            ("X-Two", "2"),
            ("Date", "yesteryear"),
        ] {
            head.fields.append(name, value).unwrap();
        }
        head.cache = CachePolicy::UserInvalidates.into();
        (head, Body::Shared(Bytes::from_static(b"Not here.")))
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    let first = get(&mut client, "/", &[]);
    for _ in 0..3 {
        let copy = get(&mut client, "/", &[]);
        assert_eq!((&copy.head, &copy.content), (&first.head, &first.content));
    }
    // HTTP/1.0 gets the end of the connection, as ever.
    let mut old = server.client();
    let copy = old.ask("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert!(copy.closes());
    assert_eq!(copy.content, first.content);
    old.expect_orderly_close();
    assert_eq!(calls.count(), 1);
}

fn an_odd_spelling_of_a_path_is_another(io: Io) {
    let server = Server::start(io);
    let (application, _) = making(|_, head| {
        // Goes by the target as it was received.
        text(for_seconds(100), head.raw_path())
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    for odd in ["/a%2Fb", "//a/b", "/a/./b", "/a/c/../b", "/a%5cb", "/a\\b"] {
        assert_eq!(get(&mut client, odd, &[]).text(), odd);
    }
    assert_eq!(get(&mut client, "/a/b", &[]).text(), "/a/b");
    for odd in ["/a%2Fb", "//a/b", "/a/./b", "/a/c/../b", "/a%5cb", "/a\\b"] {
        assert_eq!(get(&mut client, odd, &[]).text(), odd);
    }
    // What cannot be read otherwise is the same.
    assert_eq!(get(&mut client, "/%61/%62", &[]).text(), "/a/b");
    assert_eq!(server.backend.cache_counters().cached, 7);
}

fn what_one_asked_for_is_not_stored_for_all(io: Io) {
    let server = Server::start(io);
    let (application, _) = making(|call, head| {
        let conditional = head.field("If-None-Match").is_some();
        let mut answer = typed(if conditional { 304 } else { 200 });
        answer.cache = CachePolicy::UserInvalidates.into();
        if head.cooked_path == "/cookie" {
            answer.fields.append("Set-Cookie", "a=b").unwrap();
        }
        if head.cooked_path == "/modified" {
            answer.fields.append("Last-Modified", "yesterday").unwrap();
        }
        (answer, Body::Owned(call.to_string().into()))
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    assert_eq!(get(&mut client, "/", &["If-None-Match: \"a\""]).status, 304);
    assert_eq!(get(&mut client, "/", &[]).status, 200);
    // The answer to a part is none to the whole, even where it is 200.
    assert_eq!(get(&mut client, "/part", &["Range: bytes=0-0"]).text(), "3");
    assert_eq!(get(&mut client, "/part", &["If-Range: \"a\""]).text(), "4");
    assert_eq!(get(&mut client, "/part", &[]).text(), "5");
    // Who names two hosts may have got an answer of the one for the other.
    let two = "GET http://localhost/two HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    assert_eq!(client.ask(two).text(), "6");
    assert_eq!(get(&mut client, "/two", &[]).text(), "7");
    assert!(!is_stored(&server, "/cookie"));
    assert!(!is_stored(&server, "/modified"));
    // Another protocol is asked of the application.
    let upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
    assert_eq!(get(&mut client, "/two", &upgrade).text(), "12");
    assert_eq!(get(&mut client, "/two", &[]).text(), "7");
}

fn what_is_encoded_goes_to_who_can_decode_it(io: Io) {
    let server = Server::start(io);
    let (application, _) = making(|call, head| {
        let (mut answer, body) = text(for_seconds(100), call.to_string());
        if head
            .field("Accept-Encoding")
            .is_some_and(|codings| &*codings == b"gzip")
        {
            answer.fields.append("Content-Encoding", "gzip").unwrap();
        }
        (answer, body)
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    let gzip = ["Accept-Encoding: gzip"];
    assert_eq!(get(&mut client, "/", &gzip).text(), "1");
    for lines in [
        &["Accept-Encoding: br, GZIP;q=0.1"][..],
        &["Accept-Encoding: br", "Accept-Encoding: *"],
        &gzip,
        &gzip,
        &gzip,
    ] {
        let copy = get(&mut client, "/", lines);
        assert_eq!(
            (copy.text(), copy.field("Content-Encoding")),
            ("1", Some("gzip"))
        );
    }
    // Who cannot decode it asks the application, whose answer all can read.
    assert_eq!(
        get(&mut client, "/", &["Accept-Encoding: gzip;q=0, *"]).text(),
        "2"
    );
    assert_eq!(get(&mut client, "/", &[]).text(), "2");
    assert_eq!(get(&mut client, "/", &gzip).text(), "2");
    assert_eq!(
        get(&mut client, "/", &["Accept-Encoding: identity;q=0"]).text(),
        "3"
    );
}

// CVE-2021-31166.
fn odd_lists_of_codings_do_no_harm(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.request_limits.head_bytes_max = 1_000_000;
        settings.request_limits.field_bytes_max = 65_534;
    });
    let (application, calls) = making(|_, _| {
        let (mut head, body) = text(for_seconds(100), "encoded");
        head.fields.append("Content-Encoding", "gzip").unwrap();
        (head, body)
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    let many = format!("Accept-Encoding: {}", "a,".repeat(30_000));
    let lists = [
        "doesnt, exist, , ,",
        "doesnt, exist, , , ",
        "gzip, aaa, bbb, , ",
        ",,,,,,,,",
        ", gzip",
        ";, ;;;, =",
        "gzip;q=, gzip;;q=1, *;q=x",
    ];
    for _ in 0..3 {
        for list in lists {
            let line = format!("Accept-Encoding: {list}");
            let response = get(&mut client, "/", &[&line]);
            assert_eq!(
                (response.status, response.text()),
                (200, "encoded"),
                "{list}"
            );
        }
        let lines = [many.as_str(), &many, &many, &many, "Accept-Encoding: gzip"];
        assert_eq!(get(&mut client, "/", &lines).status, 200);
        assert_eq!(get(&mut client, "/", &lines[..4]).status, 200);
    }
    // The cache goes on to serve who can decode.
    let before = calls.count();
    assert_eq!(
        get(&mut client, "/", &["Accept-Encoding: gzip"]).status,
        200
    );
    assert_eq!(calls.count(), before);
}

fn a_connection_may_end_with_a_copy(io: Io) {
    let server = Server::start(io);
    let (application, calls) = making(|_, head| {
        let (mut answer, body) = text(for_seconds(100), "last");
        match head.cooked_path {
            "/flag" => answer.close = true,
            _ => answer.fields.append("Connection", "close").unwrap(),
        }
        (answer, body)
    });
    server.serve("localhost/", application);
    for path in ["/flag", "/field"] {
        for _ in 0..2 {
            let mut client = server.client();
            let copy = get(&mut client, path, &[]);
            assert!(copy.closes() && copy.text() == "last");
            client.expect_orderly_close();
        }
    }
    assert_eq!(calls.count(), 2);
    let responses = server.backend.cached_responses();
    assert!(responses.iter().all(|response| response.force_disconnect));
    // Or because the peer wants it to.
    let mut client = server.client();
    let copy = get(&mut client, "/flag", &["Connection: close"]);
    assert!(copy.closes());
    client.expect_orderly_close();
}

fn long_copies_are_sent_whole(io: Io) {
    let server = Server::start(io);
    let content: Vec<u8> = (0..250_000_u32).map(|number| (number / 7) as u8).collect();
    let given = content.clone();
    let (application, calls) = making(move |_, _| text(for_seconds(100), given.clone()));
    server.serve("localhost/", application);
    let mut client = server.client();
    for _ in 0..5 {
        assert!(get(&mut client, "/", &[]).content == content);
    }
    // Asked for at once, with others in between.
    client.send(request("GET", "/", &[]).repeat(8));
    for _ in 0..8 {
        assert!(client.response().content == content);
    }
    assert_eq!(calls.count(), 1);
}

fn a_head_may_not_be_long(io: Io) {
    let server = Server::start(io);
    let (application, _) = making(|call, head| {
        let (mut answer, body) = text(for_seconds(100), call.to_string());
        let length = head
            .query()
            .map(|query| String::from_utf8_lossy(query).parse().unwrap());
        answer
            .fields
            .append("X-Long", "x".repeat(length.unwrap()))
            .unwrap();
        (answer, body)
    });
    server.serve("localhost/", application);
    let head = get(&mut server.client(), "/?1", &[]).head;
    // `Date` is shown as one character.
    let left = 1024 - (head.len() + 28);
    assert!(is_stored(&server, &format!("/?{}", left + 1)));
    assert!(!is_stored(&server, &format!("/?{}", left + 2)));
}

fn a_cache_may_be_turned_off(io: Io) {
    let server = Server::start_with(io, |settings| settings.cache.enabled = false);
    server.serve("localhost/", numbering(CachePolicy::UserInvalidates).0);
    assert!(!is_stored(&server, "/"));
    let smaller = Server::start_with(io, |settings| settings.cache.content_bytes_max = 4096);
    let (application, _) = making(|call, head| {
        let length = if head.cooked_path == "/long" {
            4097
        } else {
            4096
        };
        text(for_seconds(100), padded(&call.to_string(), length))
    });
    smaller.serve("localhost/", application);
    assert!(is_stored(&smaller, "/") && !is_stored(&smaller, "/long"));
}

fn answers_given_later_are_stored(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, held) = held();
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    client.send(request("GET", "/", &[]));
    let deferred = held.next();
    let (head, body) = text(CachePolicy::UserInvalidates, "later");
    deferred.responder.respond(head, body);
    assert_eq!(client.response().text(), "later");
    for _ in 0..4 {
        assert_eq!(get(&mut server.client(), "/", &[]).text(), "later");
    }
    assert!(held.is_empty());
    // Whoever asked may have gone meanwhile.
    let mut impatient = server.client();
    impatient.send(request("GET", "/gone", &[]));
    let deferred = held.next();
    impatient.reset();
    let (head, body) = text(CachePolicy::UserInvalidates, "gone");
    deferred.responder.respond(head, body);
    until("it is stored", || {
        server.backend.cache_counters().cached == 2
    });
    assert_eq!(get(&mut client, "/gone", &[]).text(), "gone");
    // A POST is not, however it is answered.
    client.send(request("POST", "/post", &["Content-Length: 0"]));
    let (head, body) = text(CachePolicy::UserInvalidates, "post");
    held.next().responder.respond(head, body);
    assert_eq!(client.response().text(), "post");
    assert_eq!(server.backend.cache_counters().cached, 2);
    drop(held);
}

fn copies_go_over_tls_too(io: Io) {
    let server = Server::start_secure(io);
    let certificate = Certificate::new("localhost");
    server.bind("0.0.0.0", &certificate);
    let (application, calls) = numbering(for_seconds(100));
    server.serve("localhost/", application);
    let mut client = Client::connect_secure(server.port, &Offer::of(&[])).unwrap();
    for _ in 0..4 {
        assert_eq!(get(&mut client, "/", &[]).text(), "call 1");
    }
    assert_eq!(calls.count(), 1);
    let responses = server.backend.cached_responses();
    assert!(responses[0].url.starts_with("https://localhost:"));
}

fn what_a_known_client_got_is_not_stored(io: Io) {
    let server = Server::start_secure(io);
    let own = Arc::new(Certificate::new("client"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, own.pem()).unwrap();
    server.bind_with("0.0.0.0", &Certificate::new("localhost"), |binding| {
        binding.client_certificates = ClientCertificates::Request(CertificateAuthorities {
            file: file.path().to_owned(),
            revocation_lists: None,
        });
    });
    server.serve("localhost/", numbering(for_seconds(100)).0);
    let offer = Offer {
        certificate: Some(own),
        ..Offer::of(&[])
    };
    let mut known = Client::connect_secure(server.port, &offer).unwrap();
    assert_eq!(get(&mut known, "/", &[]).text(), "call 1");
    assert_eq!(get(&mut known, "/", &[]).text(), "call 2");
    let mut unknown = Client::connect_secure(server.port, &Offer::of(&[])).unwrap();
    assert_eq!(get(&mut unknown, "/", &[]).text(), "call 3");
    assert_eq!(get(&mut unknown, "/", &[]).text(), "call 3");
}
