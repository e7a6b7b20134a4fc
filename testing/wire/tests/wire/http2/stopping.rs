//! Stopping and leaving: what was begun is finished, and both sides are told. RFC 9113 §6.8.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, OperatingMode, ResponseHead};
use tidegate_wire::{
    Answer, Arrival, GoAway, Http2, PATIENCE, Pieces, Server, code, frame, held, kind, label,
    on_both_loops, on_both_loops_in_both_modes, until,
};

on_both_loops_in_both_modes!(
    streams_in_flight_are_finished,
    the_deadline_is_kept,
    a_client_that_leaves_gets_its_answers,
    a_client_that_sends_no_more_gets_its_answers,
);

on_both_loops!(
    an_idle_connection_ends_at_once,
    a_closed_queue_takes_its_streams_along,
    a_client_that_vanishes_is_noticed,
);

fn stop(server: &Server) -> thread::JoinHandle<()> {
    let backend = Arc::clone(&server.backend);
    let stopping = thread::spawn(move || backend.stop(PATIENCE));
    let port = server.port;
    until("new connections are refused", || {
        TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    stopping
}

fn streams_in_flight_are_finished(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let whole = peer.request("GET", "/", &[], true);
    let request = requests.next();
    let streamed = peer.request("GET", "/", &[], true);
    let pieces = Pieces::default();
    let responder = requests.next().responder;
    responder.respond(ResponseHead::new(200), pieces.body(None));
    pieces.give("a part");
    peer.until(|peer| peer.content_bytes(streamed) == 6);
    let uploaded = peer.request("POST", "/", &[], false);
    let mut upload = requests.next();
    let stopping = stop(&server);
    peer.until(|peer| !peer.goaways.is_empty());
    assert_eq!(
        (peer.goaways[0].last_stream, peer.goaways[0].code),
        (0x7FFF_FFFF, 0)
    );
    // What the client sent before it knew is served.
    let late = peer.request("GET", "/", &[], true);
    let last = requests.next();
    request.responder.respond_bytes(200, "done".into());
    assert_eq!(peer.answer(whole).text(), "done");
    pieces.give(" and another");
    pieces.end();
    assert_eq!(peer.answer(streamed).text(), "a part and another");
    peer.data(uploaded, "uploaded", true);
    assert_eq!(upload.body.blocking_collect(100).unwrap(), "uploaded");
    upload.responder.respond_bytes(200, "taken".into());
    assert_eq!(peer.answer(uploaded).text(), "taken");
    assert!(!stopping.is_finished());
    last.responder.respond_bytes(200, "last".into());
    assert_eq!(peer.answer(late).text(), "last");
    peer.ends_with(code::NO_ERROR);
    assert_eq!(peer.goaways.last().unwrap().last_stream, late);
    drop(peer);
    stopping.join().unwrap();
}

fn the_deadline_is_kept(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let stream = peer.request("GET", "/", &[], true);
    let request = requests.next();
    let begin = Instant::now();
    server.backend.stop(Duration::from_millis(200));
    assert!(begin.elapsed() < PATIENCE / 2);
    peer.end();
    assert_eq!(peer.seen(stream).status(), 0);
    request.responder.respond_bytes(200, "too late".into());
}

fn an_idle_connection_ends_at_once(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let mut fresh = Http2::connect(&server);
    let mut used = Http2::connect(&server);
    assert_eq!(used.get("/").text(), "1");
    let stopping = stop(&server);
    for (peer, last_stream) in [(&mut fresh, 0), (&mut used, 1)] {
        peer.ends_with(code::NO_ERROR);
        assert_eq!(peer.goaways.last().unwrap().last_stream, last_stream);
    }
    drop((fresh, used));
    stopping.join().unwrap();
}

fn a_closed_queue_takes_its_streams_along(io: Io) {
    let server = Server::start(io);
    let (application, gate, taken) = tidegate_wire::blocked();
    let place = server.serve_with("localhost/slow/", application, |queue| {
        queue.operating_mode = OperatingMode::Classic;
        queue.thread_pool_size = 1;
    });
    server.serve("localhost/", label("1"));
    let mut peer = Http2::connect(&server);
    let taken_stream = peer.request("GET", "/slow/", &[], true);
    taken.recv_timeout(PATIENCE).unwrap();
    let waiting = peer.request("GET", "/slow/", &[], true);
    peer.settle();
    thread::scope(|scope| {
        let closing = scope.spawn(|| server.backend.close_request_queue(place.queue));
        let answer = peer.answer(waiting);
        assert_eq!(answer.reset, Some(code::REFUSED_STREAM), "{answer:?}");
        gate.open();
        closing.join().unwrap().unwrap();
    });
    let answer = peer.answer(taken_stream);
    assert!(
        answer.status() == 200 || answer.reset.is_some(),
        "{answer:?}"
    );
    // It is bound to nothing now.
    assert_eq!(peer.get("/slow/").status(), 503);
    assert_eq!(peer.get("/").text(), "1");
}

fn goaway(peer: &mut Http2) {
    peer.send(frame::frame(kind::GOAWAY, 0, 0, [0; 8]));
}

fn a_client_that_leaves_gets_its_answers(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let stream = peer.request("GET", "/", &[], true);
    let request = requests.next();
    goaway(&mut peer);
    peer.settle();
    assert_eq!(peer.goaways, []);
    request.responder.respond_bytes(200, "bye".into());
    assert_eq!(peer.answer(stream).text(), "bye");
    assert_eq!(peer.end(), Arrival::Closed);
    let last = GoAway {
        last_stream: stream,
        code: code::NO_ERROR,
    };
    assert_eq!(peer.goaways.last(), Some(&last));
}

fn a_client_that_sends_no_more_gets_its_answers(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut peer = Http2::connect(&server);
    let whole = peer.request("GET", "/", &[], true);
    let first = requests.next();
    let unfinished = peer.request("POST", "/", &[], false);
    let mut second = requests.next();
    peer.wire.finish();
    assert!(second.body.blocking_chunk().is_err());
    first.responder.respond_bytes(200, "bye".into());
    second.responder.respond_bytes(200, "for nobody".into());
    assert_eq!(peer.answer(whole).text(), "bye");
    assert_eq!(peer.end(), Arrival::Closed);
    assert_eq!(peer.goaways.len(), 1);
    assert!(!peer.seen(unfinished).ended);
}

fn a_client_that_vanishes_is_noticed(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    let mut peer = Http2::connect(&server);
    peer.request("POST", "/", &[], false);
    let mut request = requests.next();
    assert_eq!(peer.seen(1), Answer::default());
    peer.wire.reset();
    assert!(request.body.blocking_chunk().is_err());
    until("the connection is gone", || {
        server.backend.connection_count() == 0
    });
    request.responder.respond_bytes(200, "for nobody".into());
}
