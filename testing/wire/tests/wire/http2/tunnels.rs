//! Extended CONNECT: streams that a lane speaks for. RFC 8441.

use tidegate_driver::Io;
use tidegate_httpapi::{OperatingMode, QueueProperties};
use tidegate_wire::{
    Answer, Http2, Lanes, Server, Told, Upgrade, code, echo_bytes, flag, frame, held, kind, label,
    on_both_loops, on_both_loops_in_both_modes, setting, upgrading,
};

use super::{lives, pattern};

on_both_loops_in_both_modes!(
    bytes_pass_both_ways,
    a_tunnel_may_be_opened_later,
    what_comes_before_the_answer_waits_for_it,
    several_tunnels_and_requests_share_a_connection,
);

on_both_loops!(
    what_a_lane_sends_keeps_to_the_windows,
    a_lane_that_pauses_gives_no_more_window,
    a_lane_that_reads_gives_window_back,
    other_protocols_are_tunnels_too,
    an_application_may_refuse,
    extended_connect_can_be_forbidden,
    malformed_connects_are_refused,
    trailers_in_a_tunnel_are_an_error,
);

pub(super) const CONNECT: [(&str, &str); 5] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", "/"),
];

/// Opens a tunnel, and says which stream it is.
pub(super) fn tunnel(peer: &mut Http2) -> u32 {
    let stream = peer.request_of(&CONNECT, false);
    let answer = peer.head(stream);
    assert_eq!((answer.status(), answer.is_complete()), (200, false));
    assert_eq!(answer.field("content-length"), None);
    assert_eq!(answer.field("upgrade"), None);
    stream
}

pub(super) fn echoing(io: Io, mode: OperatingMode, upgrade: Upgrade) -> (Server, Lanes) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(upgrade, echo_bytes);
    server.serve_with("localhost/", application, |queue: &mut QueueProperties| {
        queue.operating_mode = mode;
    });
    (server, lanes)
}

fn echoes(peer: &mut Http2, stream: u32, content: &[u8]) {
    let before = peer.content_bytes(stream);
    peer.upload(stream, content, false);
    peer.until(|peer| peer.content_bytes(stream) == before + content.len());
    assert_eq!(peer.seen(stream).content[before..], *content);
}

fn bytes_pass_both_ways(io: Io, mode: OperatingMode) {
    let (server, lanes) = echoing(io, mode, Upgrade::AtOnce);
    let mut peer = Http2::connect(&server);
    assert_eq!(peer.settings[&setting::ENABLE_CONNECT_PROTOCOL], 1);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    echoes(&mut peer, stream, b"ping");
    assert_eq!(lanes.next(), Told::Received(key, b"ping".to_vec()));
    // An empty frame says nothing.
    peer.data(stream, "", false);
    echoes(&mut peer, stream, b"pong");
    assert_eq!(lanes.next(), Told::Received(key, b"pong".to_vec()));
    echoes(&mut peer, stream, &pattern(1 << 20));
    lanes.with(key, |connection| connection.output().extend(b"woken"));
    peer.until(|peer| peer.seen(stream).content.ends_with(b"woken"));
}

fn a_tunnel_may_be_opened_later(io: Io, mode: OperatingMode) {
    let (server, lanes) = echoing(io, mode, Upgrade::Later);
    let mut peer = Http2::connect(&server);
    for _ in 0..3 {
        let stream = tunnel(&mut peer);
        lanes.opened();
        echoes(&mut peer, stream, b"ping");
        assert!(matches!(lanes.next(), Told::Received(..)));
    }
}

fn what_comes_before_the_answer_waits_for_it(io: Io, mode: OperatingMode) {
    let (server, lanes) = echoing(io, mode, Upgrade::WhenTold);
    let mut peer = Http2::connect(&server);
    let stream = peer.request_of(&CONNECT, false);
    peer.data(stream, "early", false);
    let deferred = lanes.held();
    peer.data(stream, "er", false);
    peer.settle();
    assert_eq!(peer.seen(stream), Answer::default());
    lanes.answer(deferred);
    peer.until(|peer| peer.content_bytes(stream) == 7);
    assert_eq!(peer.seen(stream).text(), "earlyer");
    lanes.opened();
    // It may even have ended.
    let ended = peer.request_of(&CONNECT, false);
    peer.data(ended, "all there is", true);
    let deferred = lanes.held();
    peer.settle();
    lanes.answer(deferred);
    peer.until(|peer| peer.content_bytes(ended) == 12);
    let is_end = |told: &Told| matches!(told, Told::PeerEnded(_));
    while !is_end(&lanes.next()) {}
}

fn several_tunnels_and_requests_share_a_connection(io: Io, mode: OperatingMode) {
    let (server, _lanes) = echoing(io, mode, Upgrade::AtOnce);
    server.serve_in(mode, "localhost/other/", label("other"));
    let (application, requests) = held();
    server.serve_in(mode, "localhost/held/", application);
    let mut peer = Http2::connect(&server);
    let waiting = peer.request("GET", "/held/", &[], true);
    let tunnels: Vec<u32> = (0..10).map(|_| tunnel(&mut peer)).collect();
    for round in 0..3 {
        for stream in &tunnels {
            peer.data(*stream, format!("{stream}:{round};"), false);
        }
        assert_eq!(peer.get("/other/").text(), "other");
    }
    for stream in &tunnels {
        let expected = format!("{stream}:0;{stream}:1;{stream}:2;");
        peer.until(|peer| peer.content_bytes(*stream) == expected.len());
        assert_eq!(peer.seen(*stream).text(), expected);
    }
    requests.next().responder.respond_bytes(200, "held".into());
    assert_eq!(peer.answer(waiting).text(), "held");
}

fn what_a_lane_sends_keeps_to_the_windows(io: Io) {
    const LENGTH: usize = 200_000;
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| {
        if let Told::Opened(_) = told {
            connection.append(pattern(LENGTH).into());
            connection.notify_sent();
        }
    });
    server.serve("localhost/", application);
    server.serve("localhost/other/", label("other"));
    let mut peer = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 1000)]);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    peer.until(|peer| peer.content_bytes(stream) == 1000);
    // Another stream's window is its own.
    assert_eq!(peer.get("/other/").text(), "other");
    lanes.with(key, |connection| {
        assert_eq!(connection.unsent(), LENGTH - 1000)
    });
    assert_eq!(lanes.all(), []);
    for window in [1, 2, 16_384, 16_385, 29_228] {
        let expected = peer.content_bytes(stream) + window;
        peer.widen(stream, window as u32);
        peer.until(|peer| peer.content_bytes(stream) == expected);
        peer.settle();
        assert_eq!(peer.content_bytes(stream), expected);
    }
    // Now the connection's is the smaller one: 65,535 less what was sent.
    peer.widen(stream, LENGTH as u32);
    peer.until(|peer| peer.left(0) == 0);
    peer.settle();
    assert_eq!(lanes.all(), []);
    peer.widen(0, LENGTH as u32);
    peer.until(|peer| peer.content_bytes(stream) == LENGTH);
    assert_eq!(peer.seen(stream).content, pattern(LENGTH));
    assert_eq!(lanes.next(), Told::Sent(key));
}

fn a_lane_that_pauses_gives_no_more_window(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| match told {
        Told::Opened(_) => connection.pause_receive(),
        _ => echo_bytes(told, connection),
    });
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    let window = peer.window(stream);
    assert_eq!(window, 65_536);
    let content = pattern(window + 1000);
    peer.upload(stream, &content[..window], false);
    peer.settle();
    assert_eq!(peer.window(stream), 0);
    lanes.with(key, |connection| connection.resume_receive());
    peer.upload(stream, &content[window..], false);
    peer.until(|peer| peer.content_bytes(stream) == content.len());
    assert_eq!(peer.seen(stream).content, content);
}

fn a_lane_that_reads_gives_window_back(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |_, _| {});
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    lanes.opened();
    let content = pattern(1 << 20);
    peer.upload(stream, &content, false);
    peer.settle();
    let mut received = Vec::new();
    for told in lanes.all() {
        match told {
            Told::Received(_, bytes) => received.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, content);
}

fn other_protocols_are_tunnels_too(io: Io) {
    let (server, lanes) = echoing(io, OperatingMode::Classic, Upgrade::AtOnce);
    let mut peer = Http2::connect(&server);
    let mut connect = CONNECT;
    connect[1].1 = "connect-udp";
    let stream = peer.request_of(&connect, false);
    assert_eq!(peer.head(stream).status(), 200);
    lanes.opened();
}

fn an_application_may_refuse(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("no"));
    let mut peer = Http2::connect(&server);
    let stream = peer.request_of(&CONNECT, false);
    peer.data(stream, "early", false);
    let answer = peer.answer(stream);
    assert_eq!((answer.status(), answer.text()), (200, "no"));
    lives(&mut peer);
}

fn extended_connect_can_be_forbidden(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.http2_limits.extended_connect = false;
    });
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    assert_eq!(peer.settings.get(&setting::ENABLE_CONNECT_PROTOCOL), None);
    let stream = peer.request_of(&CONNECT, false);
    assert_eq!(peer.answer(stream).reset, Some(code::PROTOCOL_ERROR));
    assert_eq!(lanes.all(), []);
    lives(&mut peer);
}

fn malformed_connects_are_refused(io: Io) {
    let (server, lanes) = echoing(io, OperatingMode::HighPerf, Upgrade::AtOnce);
    let mut peer = Http2::connect(&server);
    for without in [":scheme", ":authority", ":path"] {
        let mut connect = CONNECT.to_vec();
        connect.retain(|(name, _)| *name != without);
        let stream = peer.request_of(&connect, false);
        assert_eq!(
            peer.answer(stream).reset,
            Some(code::PROTOCOL_ERROR),
            "{without}"
        );
    }
    let mut get = CONNECT;
    get[0].1 = "GET";
    let stream = peer.request_of(&get, false);
    assert_eq!(peer.answer(stream).reset, Some(code::PROTOCOL_ERROR));
    // A CONNECT of old: there is no proxy here.
    let proxied = [(":method", "CONNECT"), (":authority", "localhost:80")];
    let stream = peer.request_of(&proxied, false);
    assert_eq!(peer.answer(stream).status(), 400);
    assert_eq!(lanes.all(), []);
    lives(&mut peer);
}

fn trailers_in_a_tunnel_are_an_error(io: Io) {
    let (server, lanes) = echoing(io, OperatingMode::HighPerf, Upgrade::AtOnce);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    lanes.opened();
    let block = frame::literals(&[("x-sum", "1")]);
    let flags = flag::END_HEADERS | flag::END_STREAM;
    peer.send(frame::frame(kind::HEADERS, flags, stream, block));
    assert_eq!(peer.answer(stream).reset, Some(code::PROTOCOL_ERROR));
    assert!(matches!(lanes.next(), Told::Closed(..)));
    lives(&mut peer);
}
