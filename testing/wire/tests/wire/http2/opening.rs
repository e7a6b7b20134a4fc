//! How a connection comes to speak HTTP/2: by prior knowledge and by ALPN, never by `Upgrade`. RFC 9113
//! §3; http-server-api §11.

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, HttpProtocols, OperatingMode};
use tidegate_wire::{
    Answer, Certificate, Client, Http2, Offer, PREFACE, Refusal, Server, code, frame, kind, label,
    on_both_loops, on_both_loops_in_both_modes, seen, setting,
};

use super::lives;

on_both_loops_in_both_modes!(prior_knowledge_is_enough, alpn_chooses);

on_both_loops!(
    the_server_says_its_settings_first,
    a_preface_may_come_byte_by_byte,
    what_only_begins_as_a_preface_is_http_1,
    http_1_goes_on_on_the_same_port,
    an_upgrade_to_h2c_is_ignored,
    a_preface_behind_a_request_is_none,
    a_port_for_http_1_alone,
    a_port_for_http_2_alone,
    a_secure_port_for_http_1_alone,
    a_secure_port_for_http_2_alone,
    http_1_where_alpn_said_http_2_is_refused,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn prior_knowledge_is_enough(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    for _ in 0..3 {
        let answer = peer.get("/");
        assert_eq!((answer.status(), answer.text()), (200, "1"));
    }
    assert_eq!(server.client().ask(GET).text(), "1");
    assert_eq!(peer.get("/").text(), "1");
}

fn the_server_says_its_settings_first(io: Io) {
    let server = Server::start(io);
    let mut peer = Http2::silent(server.client());
    peer.send(PREFACE);
    // It waits for nothing.
    let first = peer.step();
    assert_eq!(
        (first.kind, first.flags, first.stream),
        (kind::SETTINGS, 0, 0)
    );
    let told: Vec<_> = peer
        .settings
        .iter()
        .map(|(name, value)| (*name, *value))
        .collect();
    let expected = [
        (setting::MAX_CONCURRENT_STREAMS, 100),
        (setting::INITIAL_WINDOW_SIZE, 65_536),
        (setting::MAX_HEADER_LIST_SIZE, 16_384),
        (setting::ENABLE_CONNECT_PROTOCOL, 1),
        (setting::NO_RFC7540_PRIORITIES, 1),
    ];
    assert_eq!(told, expected);
    assert_eq!(peer.step().kind, kind::WINDOW_UPDATE);
    peer.send_settings(&[]);
    peer.until(|peer| peer.acknowledged == 1);
    peer.settle();
}

fn a_preface_may_come_byte_by_byte(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame::settings(&[(setting::ENABLE_PUSH, 0)]));
    let request = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/"),
    ];
    bytes.extend(frame::headers(1, frame::literals(&request), true));
    let mut peer = Http2::silent(server.client());
    peer.wire.send_pieces(bytes.chunks(1));
    peer.until(|peer| peer.seen(1).is_complete());
    assert_eq!(peer.seen(1).text(), "1");
    // Cut once, anywhere.
    for at in 1..bytes.len() {
        let mut peer = Http2::silent(server.client());
        let (first, second) = bytes.split_at(at);
        peer.wire.send_pieces([first, second]);
        peer.until(|peer| peer.seen(1).is_complete());
        assert_eq!(peer.seen(1).text(), "1", "cut at {at}");
    }
}

fn what_only_begins_as_a_preface_is_http_1(io: Io) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve("localhost/", application);
    for method in ["P", "PR", "PRI", "PRIX", "POTATO"] {
        let mut client = server.client();
        let request = GET.replace("GET", method);
        client.send_pieces(request.as_bytes().chunks(1));
        assert_eq!(client.response().text(), "seen");
        assert_eq!(requests.recv().unwrap().method, method);
    }
    // As far as it is one, and then no more.
    for (at, _) in PREFACE.iter().enumerate().skip(4) {
        let mut bytes = PREFACE.to_vec();
        bytes[at] = b'x';
        bytes.extend(b"\r\n\r\n");
        let mut client = server.client();
        client.send(&bytes);
        let response = client.response();
        assert!(
            matches!(response.status, 400 | 505),
            "{at}: {}",
            response.head
        );
        assert!(response.closes());
        client.expect_orderly_close();
    }
    assert!(requests.try_recv().is_err());
}

fn http_1_goes_on_on_the_same_port(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(client.ask(GET).text(), "1");
        assert_eq!(peer.get("/").text(), "1");
    }
    client.send(GET.repeat(3));
    for _ in 0..3 {
        assert_eq!(client.response().text(), "1");
    }
}

fn an_upgrade_to_h2c_is_ignored(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut client = server.client();
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let response = client.ask(upgrade);
    assert_eq!((response.status, response.text()), (200, "1"));
    assert_eq!(client.ask(GET).text(), "1");
}

fn a_preface_behind_a_request_is_none(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut client = server.client();
    assert_eq!(client.ask(GET).text(), "1");
    client.send(PREFACE);
    let response = client.response();
    assert!(matches!(response.status, 400 | 505), "{}", response.head);
    client.expect_orderly_close();
}

fn a_port_for_http_1_alone(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let protocols = HttpProtocols::HTTP1;
    server
        .backend
        .set_cleartext_protocols(server.port, protocols)
        .unwrap();
    let mut client = server.client();
    client.send(PREFACE);
    let response = client.response();
    assert!(matches!(response.status, 400 | 505), "{}", response.head);
    client.expect_orderly_close();
    assert_eq!(server.client().ask(GET).text(), "1");
    // It acts on new connections.
    let protocols = HttpProtocols::BOTH;
    server
        .backend
        .set_cleartext_protocols(server.port, protocols)
        .unwrap();
    lives(&mut Http2::connect(&server));
}

fn a_port_for_http_2_alone(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let protocols = HttpProtocols::HTTP2;
    server
        .backend
        .set_cleartext_protocols(server.port, protocols)
        .unwrap();
    lives(&mut Http2::connect(&server));
    let mut peer = Http2::silent(server.client());
    peer.send(GET);
    peer.ends_with(code::PROTOCOL_ERROR);
    assert_eq!(peer.seen(1), Answer::default());
}

fn secure(io: Io, protocols: HttpProtocols, mode: OperatingMode) -> Server {
    let server = Server::start_secure(io);
    let certificate = Certificate::new("localhost");
    server.bind_with("0.0.0.0", &certificate, |binding| {
        binding.protocols = protocols
    });
    server.serve_in(mode, "localhost/", label("1"));
    server
}

fn alpn_chooses(io: Io, mode: OperatingMode) {
    let server = secure(io, HttpProtocols::BOTH, mode);
    for protocols in [
        &["h2"] as &[_],
        &["http/1.1", "h2"],
        &["x", "h2", "http/1.1"],
    ] {
        let mut client = Client::connect_secure(server.port, &Offer::of(protocols)).unwrap();
        assert_eq!(client.secure().protocol(), Some("h2"));
        let mut peer = Http2::begin(client, &[]);
        assert_eq!(peer.get("/").text(), "1");
    }
    for protocols in [&["http/1.1"] as &[_], &["http/1.1", "x"], &[]] {
        let mut client = Client::connect_secure(server.port, &Offer::of(protocols)).unwrap();
        let agreed = client.secure().protocol().map(str::to_owned);
        assert_eq!(agreed.as_deref(), protocols.first().copied());
        assert_eq!(client.ask(GET).text(), "1");
        assert_eq!(client.ask(GET).text(), "1");
    }
}

fn a_secure_port_for_http_1_alone(io: Io) {
    let server = secure(io, HttpProtocols::HTTP1, OperatingMode::Classic);
    let offer = Offer::of(&["h2", "http/1.1"]);
    let mut client = Client::connect_secure(server.port, &offer).unwrap();
    assert_eq!(client.secure().protocol(), Some("http/1.1"));
    assert_eq!(client.ask(GET).text(), "1");
    // There is no prior knowledge over TLS.
    let mut client = Client::connect_secure(server.port, &Offer::of(&[])).unwrap();
    client.send(PREFACE);
    assert!(matches!(client.response().status, 400 | 505));
}

fn a_secure_port_for_http_2_alone(io: Io) {
    let server = secure(io, HttpProtocols::HTTP2, OperatingMode::Classic);
    let client = Client::connect_secure(server.port, &Offer::of(&["http/1.1", "h2"])).unwrap();
    assert_eq!(Http2::begin(client, &[]).get("/").text(), "1");
    for protocols in [&["http/1.1"] as &[_], &[]] {
        let refused = Client::connect_secure(server.port, &Offer::of(protocols));
        let alert = rustls::AlertDescription::NoApplicationProtocol;
        let refusal = Refusal::Failed(rustls::Error::AlertReceived(alert));
        match refused {
            Err(refused) => assert_eq!(refused, refusal),
            // TLS 1.3: the client is done before the server has refused it.
            Ok(mut client) => assert_eq!(client.end().rest, b""),
        }
    }
}

fn http_1_where_alpn_said_http_2_is_refused(io: Io) {
    let server = secure(io, HttpProtocols::BOTH, OperatingMode::Classic);
    let client = Client::connect_secure(server.port, &Offer::of(&["h2"])).unwrap();
    let mut peer = Http2::silent(client);
    peer.send(GET);
    peer.ends_with(code::PROTOCOL_ERROR);
    // And frames without a preface.
    let client = Client::connect_secure(server.port, &Offer::of(&["h2"])).unwrap();
    let mut peer = Http2::silent(client);
    peer.send(frame::settings(&[]).repeat(3));
    peer.ends_with(code::PROTOCOL_ERROR);
}
