//! The timers of streams and of connections. One line is written for each that runs out. http-server-api
//! §§6, 11, 15.
//!
//! The timers are short, and nothing is asserted to happen before one of them runs out.

use std::time::Duration;

use bytes::Bytes;
use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::{Classic, HighPerf};
use tidegate_httpapi::{Body, BodyError, InheritedTimeouts, OperatingMode, ResponseHead};
use tidegate_wire::{
    Arrival, Http2, PATIENCE, PREFACE, Pieces, Server, answering, blocked, code, echo, flag, frame,
    held, kind, label, on_both_loops, on_both_loops_in_both_modes, setting,
};

use super::{lives, pattern};

on_both_loops!(
    a_request_that_waits_too_long_is_refused,
    a_request_that_waits_too_long_in_high_perf_is_refused,
    gathered_content_that_stops_coming_is_given_up,
    a_head_that_does_not_end_is_given_up,
    a_head_that_comes_in_continuations_is_given_up,
    a_preface_that_does_not_end_is_given_up,
    an_idle_connection_is_told_to_go,
    an_idle_connection_is_no_less_idle_for_its_pings,
    a_stream_whose_window_stays_shut_is_given_up,
    a_stream_that_had_nothing_to_send_is_not_behind,
    a_stream_that_waits_for_its_turn_is_not_behind,
    turns_that_never_come_are_given_up,
    a_connection_that_takes_nothing_is_given_up,
);

on_both_loops_in_both_modes!(content_that_stops_coming_is_given_up);

const LARGE: usize = 4 << 20;
const SHORT: Option<Option<Duration>> = Some(Some(Duration::from_millis(300)));

fn with_timer(io: Io, set: impl Fn(&mut InheritedTimeouts)) -> Server {
    let server = Server::start(io);
    let place = server.serve("localhost/", label("1"));
    server.set_group(&place, |group| set(&mut group.timeouts));
    server
}

fn is_logged(server: &Server, peer: &Http2, reason: &str) {
    let line = server.errors.of_client(peer.wire.port());
    assert_eq!((line.status.as_str(), line.reason.as_str()), ("-", reason));
}

fn a_request_that_waits_too_long_is_refused(io: Io) {
    let server = Server::start(io);
    let (application, gate, taken) = blocked();
    let place = server.serve_with("localhost/slow/", application, |queue| {
        queue.operating_mode = Classic;
        queue.thread_pool_size = 1;
    });
    server.serve("localhost/", label("1"));
    server.set_group(&place, |group| group.timeouts.request_queue = SHORT);
    let mut peer = Http2::connect(&server);
    let first = peer.request("GET", "/slow/1", &[], true);
    taken.recv_timeout(PATIENCE).unwrap();
    let second = peer.request("GET", "/slow/2", &[], true);
    assert_eq!(peer.answer(second).reset, Some(code::REFUSED_STREAM));
    is_logged(&server, &peer, "Timer_ReqQueue");
    lives(&mut peer);
    gate.open();
    assert_eq!(peer.answer(first).text(), "/slow/1");
    assert!(taken.try_recv().is_err());
}

fn a_request_that_waits_too_long_in_high_perf_is_refused(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    let place = server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = HighPerf;
        queue.thread_pool_size = 1;
        queue.accepts_per_worker = 1;
    });
    server.set_group(&place, |group| group.timeouts.request_queue = SHORT);
    let mut peer = Http2::connect(&server);
    let first = peer.request("GET", "/1", &[], true);
    let kept = requests.next();
    let second = peer.request("GET", "/2", &[], true);
    assert_eq!(peer.answer(second).reset, Some(code::REFUSED_STREAM));
    is_logged(&server, &peer, "Timer_ReqQueue");
    kept.responder.respond_bytes(200, "first".into());
    assert_eq!(peer.answer(first).text(), "first");
    // The place is free again.
    let third = peer.request("GET", "/3", &[], true);
    requests.next().responder.respond_bytes(200, "third".into());
    assert_eq!(peer.answer(third).text(), "third");
}

fn gathered_content_that_stops_coming_is_given_up(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/slow/", echo());
    server.serve("localhost/", label("1"));
    server.set_group(&place, |group| group.timeouts.entity_body = SHORT);
    let mut peer = Http2::connect(&server);
    let stream = peer.request("POST", "/slow/", &[("content-length", "10")], false);
    peer.data(stream, "12345", false);
    assert_eq!(peer.answer(stream).reset, Some(code::CANCEL));
    is_logged(&server, &peer, "Timer_EntityBody");
    lives(&mut peer);
}

fn content_that_stops_coming_is_given_up(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    let place = server.serve_in(mode, "localhost/slow/", application);
    server.serve("localhost/", label("1"));
    server.set_group(&place, |group| group.timeouts.entity_body = SHORT);
    let mut peer = Http2::connect(&server);
    let stream = peer.request("POST", "/slow/", &[], false);
    peer.data(stream, "12345", false);
    let mut request = requests.next();
    assert_eq!(request.body.blocking_chunk().unwrap().unwrap(), "12345");
    assert_eq!(request.body.blocking_chunk(), Err(BodyError::TimedOut));
    assert_eq!(peer.answer(stream).reset, Some(code::CANCEL));
    is_logged(&server, &peer, "Timer_EntityBody");
    lives(&mut peer);
    request.responder.respond_bytes(200, "for nobody".into());
    lives(&mut peer);
}

fn request_block() -> Vec<u8> {
    frame::literals(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/"),
    ])
}

fn a_head_that_does_not_end_is_given_up(io: Io) {
    let block = request_block();
    let whole = frame::headers(3, &block, true);
    // A frame that is cut; a block that wants CONTINUATION.
    let open = frame::frame(kind::HEADERS, flag::END_STREAM, 3, &block);
    for bytes in [&whole[..whole.len() - 1], &whole[..4], &open] {
        let server = with_timer(io, |timeouts| timeouts.header_wait = SHORT);
        let mut peer = Http2::connect(&server);
        // The group's timer acts after a first request of the connection was routed to it.
        assert_eq!(peer.get("/").text(), "1");
        peer.send(bytes);
        assert_ne!(peer.end(), Arrival::Reset);
        is_logged(&server, &peer, "Timer_HeaderWait");
    }
}

// CERT VU#421644: the wait is for the whole head, however many pieces come, and whatever else goes on.
fn a_head_that_comes_in_continuations_is_given_up(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.http2_limits.continuations_max = 1024;
    });
    let place = server.serve("localhost/", label("1"));
    server.set_group(&place, |group| group.timeouts.header_wait = SHORT);
    let (application, requests) = held();
    let held_place = server.serve("localhost/held/", application);
    server.set_group(&held_place, |group| group.timeouts.header_wait = SHORT);
    let mut peer = Http2::connect(&server);
    assert_eq!(peer.get("/").text(), "1");
    let busy = peer.request("GET", "/held/", &[], true);
    let request = requests.next();
    let block = request_block();
    peer.send(frame::frame(
        kind::HEADERS,
        flag::END_STREAM,
        5,
        &block[..1],
    ));
    let mut sending = peer.wire.try_clone();
    let dribble = std::thread::spawn(move || {
        for at in 1..block.len() {
            std::thread::sleep(Duration::from_millis(100));
            sending.send(frame::frame(kind::CONTINUATION, 0, 5, &block[at..=at]));
        }
    });
    peer.end();
    is_logged(&server, &peer, "Timer_HeaderWait");
    assert!(!dribble.is_finished(), "the head came to its end");
    assert_eq!(peer.seen(busy).status(), 0);
    drop(request);
    dribble.join().unwrap();
}

fn a_preface_that_does_not_end_is_given_up(io: Io) {
    for (bytes, reason) in [
        (&PREFACE[..3], "Timer_HeaderWait"),
        (&PREFACE[..20], "Timer_HeaderWait"),
        (PREFACE, "Timer_ConnectionIdle"),
    ] {
        let server = Server::start_with(io, |settings| {
            settings.timeouts.idle_connection = Some(Duration::from_millis(300));
            settings.timeouts.header_wait = Some(Duration::from_millis(300));
        });
        let mut peer = Http2::silent(server.client());
        peer.send(bytes);
        assert_ne!(peer.end(), Arrival::Reset);
        is_logged(&server, &peer, reason);
    }
}

fn an_idle_connection_is_told_to_go(io: Io) {
    let server = with_timer(io, |timeouts| timeouts.idle_connection = SHORT);
    let mut peer = Http2::connect(&server);
    // Both at once: the second would come too late if this were held up in between.
    let requests = [0; 2].map(|_| peer.request("GET", "/", &[], true));
    for request in requests {
        assert_eq!(peer.answer(request).text(), "1");
    }
    peer.ends_with(code::NO_ERROR);
    assert_eq!(peer.goaways.last().unwrap().last_stream, requests[1]);
    is_logged(&server, &peer, "Timer_ConnectionIdle");
}

fn an_idle_connection_is_no_less_idle_for_its_pings(io: Io) {
    let server = with_timer(io, |timeouts| timeouts.idle_connection = SHORT);
    let mut peer = Http2::connect(&server);
    assert_eq!(peer.get("/").text(), "1");
    let mut sending = peer.wire.try_clone();
    let pinging = std::thread::spawn(move || {
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(50));
            sending.send(frame::ping([0; 8]));
        }
    });
    peer.end();
    assert!(!pinging.is_finished(), "it lived as long as it pinged");
    is_logged(&server, &peer, "Timer_ConnectionIdle");
    pinging.join().unwrap();
}

fn a_stream_whose_window_stays_shut_is_given_up(io: Io) {
    let server = Server::start(io);
    let large = answering(|exchange| {
        exchange.respond(ResponseHead::new(200), Body::Owned(pattern(100_000)));
    });
    let place = server.serve("localhost/large/", large);
    server.serve("localhost/", label("1"));
    server.set_group(&place, |group| {
        group.timeouts.min_send_rate = Some(Some(1_000_000))
    });
    let window = [(setting::INITIAL_WINDOW_SIZE, 10)];
    let mut peer = Http2::connect_with(&server, &window);
    let stream = peer.request("GET", "/large/", &[], true);
    peer.until(|peer| peer.content_bytes(stream) == 10);
    assert_eq!(peer.get("/").text(), "1");
    let answer = peer.answer(stream);
    assert_eq!(
        (answer.content, answer.reset),
        (pattern(10), Some(code::CANCEL))
    );
    is_logged(&server, &peer, "Timer_MinBytesPerSecond");
    lives(&mut peer);
}

// What a peer takes is judged from when content waits for it, not from when the stream began.
fn a_stream_that_had_nothing_to_send_is_not_behind(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.timeouts.header_wait = Some(Duration::from_millis(300));
    });
    let large = answering(|exchange| {
        exchange.respond(ResponseHead::new(200), Body::Owned(pattern(100_000)));
    });
    let pieces = Pieces::default();
    let source = pieces.clone();
    let late = answering(move |exchange| {
        exchange.respond(ResponseHead::new(200), source.body(None));
    });
    for (path, application) in [("localhost/large/", large), ("localhost/late/", late)] {
        let place = server.serve(path, application);
        server.set_group(&place, |group| {
            group.timeouts.min_send_rate = Some(Some(1_000_000))
        });
    }
    let window = [(setting::INITIAL_WINDOW_SIZE, 10)];
    let mut peer = Http2::connect_with(&server, &window);
    let late = peer.request("GET", "/late/", &[], true);
    assert_eq!(peer.head(late).status(), 200);
    // Nothing comes for longer than a peer may be behind.
    let stuck = peer.request("GET", "/large/", &[], true);
    assert_eq!(peer.answer(stuck).reset, Some(code::CANCEL));
    pieces.give(pattern(20));
    peer.until(|peer| peer.content_bytes(late) == 10);
    // Timers are looked at meanwhile.
    let mut other = server.client();
    other.send("GET / HT");
    other.expect_close();
    peer.widen(late, 10);
    pieces.end();
    let answer = peer.answer(late);
    assert_eq!((answer.content, answer.reset), (pattern(20), None));
}

/// Two large answers, of which the second waits until the first has been sent.
fn in_turn(peer: &mut Http2) -> [u32; 2] {
    let first = peer.request("GET", "/large/", &[], true);
    peer.until(|peer| peer.content_bytes(first) == 65_535);
    let second = peer.request("GET", "/large/", &[], true);
    peer.head(second);
    [first, second]
}

fn serve_large(server: &Server, rate: u32) {
    let content = Bytes::from(pattern(LARGE));
    let large = answering(move |exchange| {
        exchange.respond(ResponseHead::new(200), Body::Shared(content.clone()));
    });
    let place = server.serve("localhost/large/", large);
    server.serve("localhost/", label("1"));
    server.set_group(&place, |group| {
        group.timeouts.min_send_rate = Some(Some(rate))
    });
}

// RFC 9218 §10 has us send one after the other: who waits for that is not slow.
fn a_stream_that_waits_for_its_turn_is_not_behind(io: Io) {
    let server = Server::start(io);
    serve_large(&server, 1_000);
    let large_windows = [(setting::INITIAL_WINDOW_SIZE, 0x7FFF_FFFF)];
    let mut peer = Http2::connect_with(&server, &large_windows);
    let [first, second] = in_turn(&mut peer);
    // For longer than twice the time that a peer may be behind: so long does it take that windows which stay shut
    // are given up, one after the other.
    let mut stuck = Http2::connect_with(&server, &[(setting::INITIAL_WINDOW_SIZE, 10)]);
    let stays_shut = std::thread::spawn(move || {
        for _ in 0..3 {
            let stream = stuck.request("GET", "/large/", &[], true);
            assert_eq!(stuck.answer(stream).reset, Some(code::CANCEL));
        }
    });
    while !stays_shut.is_finished() {
        std::thread::sleep(Duration::from_millis(100));
        peer.widen(0, 2_000);
        peer.settle();
        assert_eq!(peer.seen(second).reset, None);
    }
    stays_shut.join().unwrap();
    assert_eq!(peer.content_bytes(second), 0);
    peer.widen(0, 16 << 20);
    for stream in [first, second] {
        let answer = peer.answer(stream);
        assert!(answer.content == pattern(LARGE));
        assert_eq!(answer.reset, None);
    }
}

fn turns_that_never_come_are_given_up(io: Io) {
    let server = Server::start(io);
    serve_large(&server, 1_000_000);
    let large_windows = [(setting::INITIAL_WINDOW_SIZE, 0x7FFF_FFFF)];
    let mut peer = Http2::connect_with(&server, &large_windows);
    // Neither is an excuse for the other.
    for stream in in_turn(&mut peer) {
        assert_eq!(peer.answer(stream).reset, Some(code::CANCEL));
    }
    is_logged(&server, &peer, "Timer_MinBytesPerSecond");
    lives(&mut peer);
}

fn a_connection_that_takes_nothing_is_given_up(io: Io) {
    let server = Server::start(io);
    let large = answering(|exchange| {
        exchange.respond(ResponseHead::new(200), Body::Owned(pattern(16 << 20)));
    });
    let place = server.serve("localhost/", large);
    server.set_group(&place, |group| {
        group.timeouts.min_send_rate = Some(Some(u32::MAX))
    });
    let narrow = tidegate_wire::Client::connect_narrow(server.port);
    let window = [(setting::INITIAL_WINDOW_SIZE, 0x7FFF_FFFF)];
    let mut peer = Http2::begin(narrow, &window).wide();
    peer.request("GET", "/", &[], true);
    is_logged(&server, &peer, "Timer_MinBytesPerSecond");
    assert_eq!(peer_ends_by_reset(&mut peer), Arrival::Reset);
}

/// What is received may be cut, since nothing comes behind it.
fn peer_ends_by_reset(peer: &mut Http2) -> Arrival {
    loop {
        match peer.wire.receive() {
            Ok(_) => {}
            Err(true) => return Arrival::Reset,
            Err(false) => return Arrival::Closed,
        }
    }
}
