//! Stopping: requests in progress are answered, new ones are not taken, the deadline holds.

use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_driver::Io;
use tidegate_httpapi::{ApiError, Backend, Body, OperatingMode, ResponseHead};
use tidegate_wire::{
    Gate, PATIENCE, Pieces, Server, held, label, on_both_loops, on_both_loops_in_both_modes, until,
};

on_both_loops_in_both_modes!(
    requests_in_progress_are_answered,
    who_goes_on_asking_is_told_to_stop,
    requests_in_the_queue_are_answered,
    the_deadline_is_kept,
    a_handler_that_does_not_end_is_left,
);

on_both_loops!(
    a_response_under_way_is_finished,
    a_stopped_backend_says_so,
    stopping_twice_is_no_harm,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn is_refused(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_err()
}

fn requests_in_progress_are_answered(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    server.serve_in(mode, "localhost/now/", label("now"));
    let mut idle = server.client();
    assert_eq!(
        idle.ask("GET /now/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .text(),
        "now"
    );
    let mut client = server.client();
    client.send(GET);
    let request = requests.next();
    let backend = Arc::clone(&server.backend);
    let stopping = thread::spawn(move || backend.stop(PATIENCE));
    until("new connections are refused", || is_refused(server.port));
    // Connections without a request end, whatever else is in progress.
    idle.expect_orderly_close();
    drop(idle);
    assert!(!stopping.is_finished());
    request.responder.respond_bytes(200, "done".into());
    let response = client.response();
    assert_eq!((response.text(), response.closes()), ("done", true));
    client.expect_orderly_close();
    drop(client);
    stopping.join().unwrap();
}

// Nobody who keeps a connection busy loses a request: each is answered, and the last answer says so.
fn who_goes_on_asking_is_told_to_stop(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", label("now"));
    let (answered, answers) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..8 {
            let (mut client, answered) = (server.client(), answered.clone());
            scope.spawn(move || {
                loop {
                    let response = client.ask(GET);
                    assert_eq!(response.text(), "now");
                    let _ = answered.send(());
                    if response.closes() {
                        break client.expect_orderly_close();
                    }
                }
            });
        }
        for _ in 0..64 {
            answers.recv_timeout(PATIENCE).unwrap();
        }
        server.backend.stop(PATIENCE);
    });
}

fn requests_in_the_queue_are_answered(io: Io, mode: OperatingMode) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let (application, requests) = held();
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = mode;
        queue.thread_pool_size = 1;
        queue.accepts_per_worker = 1;
    });
    let mut clients = [server.client(), server.client(), server.client()];
    for client in &mut clients {
        client.send(GET);
        // The one worker has read the request by the time that it has served another.
        assert_eq!(server.get("anchor.invalid", "/").status, 503);
    }
    let first = requests.next();
    let backend = Arc::clone(&server.backend);
    let stopping = thread::spawn(move || backend.stop(PATIENCE));
    until("new connections are refused", || is_refused(server.port));
    first.responder.respond_bytes(200, "done".into());
    for _ in 1..3 {
        requests.next().responder.respond_bytes(200, "done".into());
    }
    for mut client in clients {
        let response = client.response();
        assert_eq!((response.text(), response.closes()), ("done", true));
        client.expect_orderly_close();
    }
    stopping.join().unwrap();
}

fn the_deadline_is_kept(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    client.send(GET);
    let request = requests.next();
    let begin = Instant::now();
    server.backend.stop(Duration::from_millis(200));
    assert!(begin.elapsed() >= Duration::from_millis(200));
    client.expect_close();
    // Too late, and no harm.
    request
        .responder
        .respond(ResponseHead::new(200), Body::Empty);
}

// Nothing can end a thread that the application holds, also when the peer has left.
fn a_handler_that_does_not_end_is_left(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (begun, began) = mpsc::channel();
    let (ended, ends) = mpsc::channel();
    let gate = Gate::default();
    let passing = gate.clone();
    let application = tidegate_wire::answering(move |exchange| {
        if !exchange.may_block() {
            return exchange.move_to_handler_thread();
        }
        begun.send(()).unwrap();
        passing.pass();
        exchange.respond(ResponseHead::new(200), Body::Empty);
        ended.send(()).unwrap();
    });
    server.serve_in(mode, "localhost/", application);
    let mut client = server.client();
    client.send(GET);
    began.recv_timeout(PATIENCE).unwrap();
    drop(client);
    server.backend.stop(Duration::ZERO);
    assert!(ends.try_recv().is_err());
    assert!(is_refused(server.port));
    gate.open();
    // Too late, and no harm.
    ends.recv_timeout(PATIENCE).unwrap();
}

fn a_response_under_way_is_finished(io: Io) {
    let server = Server::start(io);
    let pieces = Pieces::default();
    let source = pieces.clone();
    let application = tidegate_wire::answering(move |exchange| {
        exchange.respond(ResponseHead::new(200), source.body(Some(8)));
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(GET);
    assert_eq!(client.response_head().field("Content-Length"), Some("8"));
    pieces.give("pong");
    assert_eq!(client.take(4), b"pong");
    let backend = Arc::clone(&server.backend);
    let stopping = thread::spawn(move || backend.stop(PATIENCE));
    until("new connections are refused", || is_refused(server.port));
    pieces.give("pang");
    pieces.end();
    let end = client.end();
    assert_eq!((end.rest.as_slice(), end.reset), (&b"pang"[..], false));
    drop(client);
    stopping.join().unwrap();
}

fn a_stopped_backend_says_so(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", label("1"));
    server.backend.stop(PATIENCE);
    assert!(is_refused(server.port));
    assert_eq!(server.backend.connection_count(), 0);
    assert!(server.backend.endpoints().is_empty());
    let created = server.backend.create_server_session();
    assert!(matches!(created, Err(ApiError::Stopped)), "{created:?}");
    let added = server
        .backend
        .add_url(place.group, &server.url("localhost/b/"), 0);
    assert!(matches!(added, Err(ApiError::Stopped)), "{added:?}");
}

fn stopping_twice_is_no_harm(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| server.backend.stop(PATIENCE));
        }
    });
    server.backend.stop(PATIENCE);
    assert!(is_refused(server.port));
}
