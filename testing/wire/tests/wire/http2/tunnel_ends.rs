//! How tunnels end: by either side, by a reset, with their connection, when the server stops. RFC 8441 §5.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, OpaqueEnd, OperatingMode};
use tidegate_wire::{
    Arrival, Http2, Lanes, PATIENCE, Server, Told, Upgrade, code, frame, on_both_loops,
    on_both_loops_in_both_modes, until, upgrading,
};

use super::lives;
use super::tunnels::{CONNECT, echoing, tunnel};

on_both_loops_in_both_modes!(
    the_peer_ends_first,
    the_lane_ends_first,
    the_peer_resets,
    the_lane_resets,
    a_stop_lets_lanes_say_goodbye,
);

on_both_loops!(
    a_peer_that_does_not_end_its_side_is_reset,
    an_end_waits_for_windows,
    a_connection_that_ends_takes_its_tunnels_along,
    a_closed_queue_ends_its_tunnels,
    a_tunnel_has_no_timers_but_its_lane_s,
    a_reset_while_it_is_being_opened,
);

fn acting(io: Io, mode: OperatingMode) -> (Server, Lanes) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| match told {
        Told::Received(_, bytes) => match bytes.as_slice() {
            b"end" => {
                connection.output().extend(b"goodbye");
                connection.end();
            }
            b"reset" => connection.reset(),
            bytes => connection.output().extend_from_slice(bytes),
        },
        Told::PeerEnded(_) | Told::Stop => {
            connection.output().extend(b"bye");
            connection.end();
        }
        Told::Due(_) => connection.output().extend(b"due"),
        _ => {}
    });
    server.serve_in(mode, "localhost/", application);
    (server, lanes)
}

fn the_peer_ends_first(io: Io, mode: OperatingMode) {
    let (server, lanes) = acting(io, mode);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    peer.data(stream, "last", true);
    let answer = peer.answer(stream);
    assert_eq!(
        (answer.text(), answer.ended, answer.reset),
        ("lastbye", true, None)
    );
    assert_eq!(lanes.next(), Told::Received(key, b"last".to_vec()));
    assert_eq!(lanes.next(), Told::PeerEnded(key));
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    lives(&mut peer);
    assert_eq!(peer.seen(stream).reset, None);
}

fn the_lane_ends_first(io: Io, mode: OperatingMode) {
    let (server, lanes) = acting(io, mode);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    peer.data(stream, "end", false);
    let answer = peer.answer(stream);
    assert_eq!((answer.text(), answer.ended), ("goodbye", true));
    assert_eq!(lanes.next(), Told::Received(key, b"end".to_vec()));
    // What comes behind it is for nobody.
    peer.data(stream, "too late", false);
    peer.data(stream, "", true);
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    lives(&mut peer);
    assert_eq!(peer.seen(stream).reset, None);
}

fn a_peer_that_does_not_end_its_side_is_reset(io: Io) {
    let (server, lanes) = acting(io, OperatingMode::HighPerf);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    peer.data(stream, "end", false);
    peer.until(|peer| peer.seen(stream).ended);
    peer.until(|peer| peer.seen(stream).reset.is_some());
    assert_eq!(peer.seen(stream).reset, Some(code::NO_ERROR));
    assert_eq!(lanes.next(), Told::Received(key, b"end".to_vec()));
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    lives(&mut peer);
}

fn the_peer_resets(io: Io, mode: OperatingMode) {
    let (server, lanes) = acting(io, mode);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    peer.data(stream, "hello", false);
    peer.until(|peer| peer.content_bytes(stream) == 5);
    peer.send(frame::reset(stream, code::CANCEL));
    assert_eq!(lanes.next(), Told::Received(key, b"hello".to_vec()));
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Failed));
    lives(&mut peer);
    // Its name is no longer known.
    lanes.wake_and_wait(move |connections| assert!(!connections.with(key, &mut |_| {})));
}

fn the_lane_resets(io: Io, mode: OperatingMode) {
    let (server, lanes) = acting(io, mode);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    peer.data(stream, "reset", false);
    let answer = peer.answer(stream);
    assert_eq!((answer.text(), answer.reset), ("", Some(code::CANCEL)));
    assert_eq!(lanes.next(), Told::Received(key, b"reset".to_vec()));
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    peer.data(stream, "too late", true);
    lives(&mut peer);
}

fn an_end_waits_for_windows(io: Io) {
    let (server, lanes) = acting(io, OperatingMode::HighPerf);
    let shut = [(tidegate_wire::setting::INITIAL_WINDOW_SIZE, 0)];
    let mut peer = Http2::connect_with(&server, &shut);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    peer.data(stream, "end", true);
    peer.settle();
    assert_eq!(lanes.next(), Told::Received(key, b"end".to_vec()));
    assert_eq!(peer.content_bytes(stream), 0);
    for (window, text) in [(1, "g"), (5, "goodby"), (1, "goodbye")] {
        assert!(!peer.seen(stream).is_complete());
        assert_eq!(lanes.all(), []);
        peer.widen(stream, window);
        peer.until(|peer| peer.seen(stream).text() == text);
    }
    assert!(peer.answer(stream).ended);
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
}

fn a_connection_that_ends_takes_its_tunnels_along(io: Io) {
    let (server, lanes) = acting(io, OperatingMode::HighPerf);
    let mut peer = Http2::connect(&server);
    for _ in 0..3 {
        tunnel(&mut peer);
        lanes.opened();
    }
    peer.wire.reset();
    for _ in 0..3 {
        assert!(matches!(lanes.next(), Told::Closed(_, OpaqueEnd::Failed)));
    }
    // In order; the lane has its say.
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    lanes.opened();
    peer.wire.finish();
    peer.end();
    assert!(peer.seen(stream).status() == 200);
    let mut told = lanes.next();
    while !matches!(told, Told::Closed(..)) {
        told = lanes.next();
    }
    until("no connection is left", || {
        server.backend.connection_count() == 0
    });
}

fn a_stop_lets_lanes_say_goodbye(io: Io, mode: OperatingMode) {
    let (server, lanes) = acting(io, mode);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    let backend = Arc::clone(&server.backend);
    let stopping = thread::spawn(move || backend.stop(PATIENCE));
    let answer = peer.answer(stream);
    assert_eq!((answer.text(), answer.ended), ("bye", true));
    peer.data(stream, "", true);
    assert_eq!(peer.end(), Arrival::Closed);
    assert_eq!(peer.goaways.last().unwrap().code, code::NO_ERROR);
    drop(peer);
    stopping.join().unwrap();
    let told = lanes.all();
    assert!(
        told.contains(&Told::Closed(key, OpaqueEnd::Ended)),
        "{told:?}"
    );
    assert_eq!(told.last(), Some(&Told::Dropped));
}

fn a_closed_queue_ends_its_tunnels(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| {
        if let Told::Stop = told {
            connection.output().extend(b"bye");
            connection.end();
        }
    });
    let place = server.serve("localhost/", application);
    server.serve("localhost/other/", tidegate_wire::label("other"));
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    lanes.opened();
    thread::scope(|scope| {
        let closing = scope.spawn(|| server.backend.close_request_queue(place.queue));
        assert_eq!(peer.answer(stream).text(), "bye");
        peer.data(stream, "", true);
        peer.settle();
        closing.join().unwrap().unwrap();
    });
    // Others on the connection go on.
    assert_eq!(peer.get("/other/").text(), "other");
    let refused = peer.request_of(&CONNECT, false);
    assert_eq!(peer.answer(refused).status(), 503);
}

fn a_tunnel_has_no_timers_but_its_lane_s(io: Io) {
    let server = Server::start_with(io, |settings| {
        let short = Some(Duration::from_millis(200));
        settings.timeouts.idle_connection = short;
        settings.timeouts.entity_body = short;
        settings.timeouts.drain_entity_body = short;
        settings.timeouts.request_queue = short;
    });
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| match told {
        Told::Opened(_) => connection.set_due(Some(Duration::from_millis(900))),
        Told::Due(_) => connection.output().extend(b"due"),
        _ => {}
    });
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    let stream = tunnel(&mut peer);
    let key = lanes.opened();
    assert_eq!(lanes.next(), Told::Due(key));
    peer.until(|peer| peer.seen(stream).text() == "due");
    peer.settle();
    assert_eq!(peer.goaways, []);
}

fn a_reset_while_it_is_being_opened(io: Io) {
    let (server, lanes) = echoing(io, OperatingMode::Classic, Upgrade::WhenTold);
    let mut peer = Http2::connect(&server);
    let stream = peer.request_of(&CONNECT, false);
    let deferred = lanes.held();
    peer.send(frame::reset(stream, code::CANCEL));
    peer.settle();
    lanes.answer(deferred);
    let next = peer.request_of(&CONNECT, false);
    let deferred = lanes.held();
    lanes.answer(deferred);
    assert_eq!(peer.head(next).status(), 200);
    lanes.opened();
    assert_eq!(lanes.all(), []);
    assert_eq!(peer.seen(stream).status(), 0);
}
