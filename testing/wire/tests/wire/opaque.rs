//! Opaque mode: after a 101 the connection's bytes are the application's, both ways.
//! http-server-api §11, cases T08 to T10. How it ends is in `opaque_end`, what lanes do besides in
//! `opaque_lanes`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::{self, Classic};
use tidegate_httpapi::{ApiError, Application, Backend, ErrorCode, Exchange, ResponseHead};
use tidegate_wire::{
    Client, PATIENCE, Server, Told, UPGRADE, Upgrade, answering, echo_bytes, on_both_loops,
    on_both_loops_in_both_modes, until, upgrading,
};

on_both_loops_in_both_modes!(
    t08_bytes_pass_both_ways_after_101,
    t09_a_request_that_has_content_cannot_be_upgraded,
    t09_a_request_that_does_not_ask_for_it_cannot_be_upgraded,
    t10_another_status_than_101_is_refused,
    bytes_behind_the_head_come_after_opened,
    requests_before_it_are_answered_before,
);

on_both_loops!(
    the_head_of_a_101_is_whole,
    more_than_a_window_behind_the_head_arrives,
    no_timer_of_http_runs_after_101,
    a_lane_sets_its_own_time,
    a_lane_is_told_when_all_is_sent,
    a_lane_that_asks_again_and_again_does_not_hold_up_others,
    a_paused_connection_receives_nothing,
    shared_pieces_and_others_arrive_in_order,
    limits_count_upgraded_connections,
);

fn t08_bytes_pass_both_ways_after_101(io: Io, mode: OperatingMode) {
    for upgrade in [Upgrade::AtOnce, Upgrade::Later] {
        let server = Server::start(io);
        let (application, lanes) = upgrading(upgrade, echo_bytes);
        server.serve_in(mode, "localhost/", application);
        let mut client = server.client();
        assert_eq!(client.ask(UPGRADE).status, 101);
        let key = lanes.opened();
        // Whatever they look like.
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\xFF\r\n", b"x"] {
            client.send(bytes);
            assert_eq!(client.take(bytes.len()), bytes);
            assert_eq!(lanes.next(), Told::Received(key, bytes.to_vec()));
        }
        lanes.with(key, |connection| connection.output().extend(b"by itself"));
        assert_eq!(client.take(9), b"by itself");
        let counters = server.backend.counters();
        assert_eq!(
            (counters.upgraded, counters.responses),
            (1, [1, 0, 0, 0, 0])
        );
    }
}

fn the_head_of_a_101_is_whole(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| {
        if matches!(told, Told::Opened(_)) {
            connection.output().extend_from_slice(b"first");
        }
    });
    server.serve("localhost/", application);
    let sends = server.backend.counters().sends;
    let mut client = server.client();
    assert_eq!(
        client.ask(UPGRADE).head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\
         Server: Tidegate\r\nDate: *\r\n\r\n"
    );
    // What the lane says when it is opened goes out with it.
    assert_eq!(client.take(5), b"first");
    lanes.opened();
    assert_eq!(server.backend.counters().sends - sends, 1);
}

/// An application that answers each request by an upgrade with this status, and tells what came of it.
fn trying(later: bool, status: u16) -> (Arc<dyn Application>, mpsc::Receiver<ApiError>) {
    let (sender, outcome) = mpsc::channel();
    let application = answering(move |exchange: Exchange<'_>| {
        let mut head = ResponseHead::new(status);
        head.fields.append("Upgrade", "echo").unwrap();
        let upgraded = if later {
            let deferred = exchange.defer();
            let request = deferred.head.as_head();
            deferred.responder.upgrade(&request, head, Box::new(()))
        } else {
            exchange.upgrade(head, Box::new(()))
        };
        sender.send(upgraded.unwrap_err()).unwrap();
    });
    (application, outcome)
}

/// These requests get 500 and the application `INVALID_PARAMETER`.
fn is_refused(io: Io, mode: OperatingMode, status: u16, requests: &[&str]) {
    for later in [false, true] {
        let server = Server::start(io);
        let (application, outcome) = trying(later, status);
        server.serve_in(mode, "localhost/", application);
        for request in requests {
            let mut client = server.client();
            assert_eq!(client.ask(request).status, 500, "{request}");
            let error = outcome.recv_timeout(PATIENCE).unwrap();
            assert_eq!(error.code(), ErrorCode::InvalidParameter);
        }
        assert_eq!(server.backend.counters().upgraded, 0);
    }
}

fn t09_a_request_that_has_content_cannot_be_upgraded(io: Io, mode: OperatingMode) {
    let fields = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n";
    let length = format!("POST / HTTP/1.1\r\n{fields}Content-Length: 10\r\n\r\n0123456789");
    let chunked =
        format!("POST / HTTP/1.1\r\n{fields}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    is_refused(io, mode, 101, &[&length, &chunked]);
}

fn t09_a_request_that_does_not_ask_for_it_cannot_be_upgraded(io: Io, mode: OperatingMode) {
    let old = "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    let plain = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    is_refused(io, mode, 101, &[old, plain]);
}

fn t10_another_status_than_101_is_refused(io: Io, mode: OperatingMode) {
    is_refused(io, mode, 200, &[UPGRADE]);
}

fn bytes_behind_the_head_come_after_opened(io: Io, mode: OperatingMode) {
    for upgrade in [Upgrade::AtOnce, Upgrade::Later] {
        let server = Server::start(io);
        let (application, lanes) = upgrading(upgrade, echo_bytes);
        server.serve_in(mode, "localhost/", application);
        let mut client = server.client();
        client.send(format!("{UPGRADE}early"));
        assert_eq!(client.response().status, 101);
        assert_eq!(client.take(5), b"early");
        let key = lanes.opened();
        assert_eq!(lanes.next(), Told::Received(key, b"early".to_vec()));
    }
}

fn requests_before_it_are_answered_before(io: Io, mode: OperatingMode) {
    for upgrade in [Upgrade::AtOnce, Upgrade::Later] {
        let server = Server::start(io);
        let (application, _lanes) = upgrading(upgrade, echo_bytes);
        server.serve_in(mode, "localhost/", application);
        let mut client = server.client();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n{UPGRADE}and on"
        ));
        assert_eq!(client.response().status, 400);
        assert_eq!(client.response().status, 101);
        assert_eq!(client.take(6), b"and on");
    }
}

fn more_than_a_window_behind_the_head_arrives(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::WhenTold, echo_bytes);
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(UPGRADE);
    let deferred = lanes.held();
    // Nobody takes it, so the window closes at some point.
    let sent = client.send_until_stalled(b'b', 64 << 20);
    assert!(sent < 64 << 20);
    lanes.answer(deferred);
    assert_eq!(client.response().status, 101);
    // Read while it comes back: the rest is still on its way.
    assert_eq!(client.take(sent), vec![b'b'; sent]);
    lanes.opened();
}

const SHORT: Option<Option<Duration>> = Some(Some(Duration::from_millis(200)));

fn no_timer_of_http_runs_after_101(io: Io) {
    let server = Server::start(io);
    // Several times as long as the timers.
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| match told {
        Told::Opened(_) => connection.set_due(Some(Duration::from_millis(1000))),
        Told::Due(_) => connection.output().extend_from_slice(b"due"),
        _ => echo_bytes(told, connection),
    });
    let place = server.serve("localhost/", application);
    server.set_group(&place, |group| {
        group.timeouts.idle_connection = SHORT;
        group.timeouts.header_wait = SHORT;
        group.timeouts.entity_body = SHORT;
        group.timeouts.drain_entity_body = SHORT;
        group.timeouts.request_queue = SHORT;
    });
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE).status, 101);
    let mut half = server.client();
    assert_eq!(half.ask(UPGRADE).status, 101);
    half.send("x");
    assert_eq!(half.take(1), b"x");
    half.finish();
    assert_eq!(client.take(3), b"due");
    assert_eq!(half.take(3), b"due");
    client.send("still");
    assert_eq!(client.take(5), b"still");
    assert!(
        !lanes
            .all()
            .iter()
            .any(|told| matches!(told, Told::Closed(..)))
    );
    assert_eq!(server.errors.now(), []);
}

fn a_lane_sets_its_own_time(io: Io) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| {
        let millis = |millis| Some(Duration::from_millis(millis));
        match told {
            Told::Received(_, bytes) if bytes == b"never" => {
                connection.set_due(millis(100));
                connection.set_due(None);
            }
            Told::Received(_, bytes) if bytes == b"later" => {
                connection.set_due(millis(100));
                connection.set_due(millis(1000));
            }
            Told::Received(_, bytes) if bytes == b"sooner" => {
                connection.set_due(Some(Duration::from_secs(1_000_000)));
                connection.set_due(millis(400));
            }
            _ => {}
        }
    });
    server.serve("localhost/", application);
    let mut clients = [server.client(), server.client(), server.client()];
    let keys: Vec<_> = clients
        .iter_mut()
        .map(|client| {
            assert_eq!(client.ask(UPGRADE).status, 101);
            lanes.opened()
        })
        .collect();
    for (client, bytes) in clients.iter_mut().zip(["never", "later", "sooner"]) {
        client.send(bytes);
        assert!(matches!(lanes.next(), Told::Received(..)));
    }
    assert_eq!(lanes.next(), Told::Due(keys[2]));
    assert_eq!(lanes.next(), Told::Due(keys[1]));
    assert_eq!(lanes.all(), []);
}

fn a_lane_is_told_when_all_is_sent(io: Io) {
    const LENGTH: usize = 8 << 20;
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| match told {
        Told::Received(_, bytes) => {
            let before = connection.bytes_sent();
            assert!(before > 0, "the 101 was sent");
            connection.append(vec![bytes[0]; LENGTH].into());
            connection.output().extend_from_slice(b"!");
            assert_eq!(connection.unsent(), LENGTH + 1);
            connection.notify_sent();
        }
        Told::Sent(_) => {
            assert_eq!(connection.unsent(), 0);
            assert!(connection.bytes_sent() > LENGTH as u64);
        }
        _ => {}
    });
    server.serve("localhost/", application);
    let mut client = Client::connect_narrow(server.port);
    assert_eq!(client.ask(UPGRADE).status, 101);
    let key = lanes.opened();
    client.send("a");
    assert!(matches!(lanes.next(), Told::Received(..)));
    // It cannot all be sent before the client reads, and what is left becomes less.
    lanes.with(key, |connection| assert!(connection.unsent() > LENGTH / 4));
    assert_eq!(client.take(LENGTH / 2), vec![b'a'; LENGTH / 2]);
    assert_eq!(lanes.all(), []);
    let rest = client.take(LENGTH / 2 + 1);
    assert_eq!(rest.last(), Some(&b'!'));
    assert_eq!(lanes.next(), Told::Sent(key));
    // Told once only; and when nothing is unsent, at the end of the call.
    lanes.with(key, |connection| connection.notify_sent());
    assert_eq!(lanes.next(), Told::Sent(key));
    lanes.with(key, |connection| assert_eq!(connection.unsent(), 0));
    assert_eq!(lanes.all(), []);
}

fn a_lane_that_asks_again_and_again_does_not_hold_up_others(io: Io) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let (application, lanes) = upgrading(Upgrade::AtOnce, move |told, connection| match told {
        Told::Received(_, bytes) if bytes == b"again" => connection.notify_sent(),
        Told::Sent(_) => {
            counted.fetch_add(1, Ordering::Relaxed);
            connection.notify_sent();
        }
        _ => echo_bytes(told, connection),
    });
    server.serve("localhost/", application);
    let mut busy = server.client();
    assert_eq!(busy.ask(UPGRADE).status, 101);
    let mut other = server.client();
    assert_eq!(other.ask(UPGRADE).status, 101);
    busy.send("again");
    for _ in 0..10 {
        let before = times.load(Ordering::Relaxed);
        until("it was told again", || {
            times.load(Ordering::Relaxed) > before + 100
        });
        other.send("other");
        assert_eq!(other.take(5), b"other");
    }
    drop(lanes);
}

fn a_paused_connection_receives_nothing(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| match told {
        Told::Opened(_) => connection.pause_receive(),
        _ => echo_bytes(told, connection),
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE).status, 101);
    let key = lanes.opened();
    // More than the system's buffers have room for: what is left waits with the client.
    let sent = client.send_until_stalled(b'p', 64 << 20);
    assert!(sent < 64 << 20);
    // Sending still works, and does not resume it.
    lanes.with(key, |connection| connection.output().extend(b"sent"));
    assert_eq!(client.take(4), b"sent");
    let is_received = |told: &Told| matches!(told, Told::Received(..));
    let early: usize = lanes.all().iter().filter(|told| is_received(told)).count();
    assert!(early <= 1, "bytes on their way may still come");
    lanes.with(key, |connection| connection.resume_receive());
    assert_eq!(client.take(sent), vec![b'p'; sent]);
}

fn shared_pieces_and_others_arrive_in_order(io: Io) {
    let server = Server::start(io);
    let (application, _lanes) = upgrading(Upgrade::AtOnce, |told, connection| {
        if let Told::Received(..) = told {
            connection.output().extend_from_slice(b"<");
            for length in [1, 100, 20_000, 3, 70_000, 70_000, 4] {
                connection.append(vec![b's'; length].into());
                connection.output().extend_from_slice(b"|");
            }
            connection.output().extend_from_slice(b">");
        }
    });
    server.serve("localhost/", application);
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE).status, 101);
    for _ in 0..3 {
        client.send("x");
        assert_eq!(client.take(1), b"<");
        for length in [1, 100, 20_000, 3, 70_000, 70_000, 4] {
            assert_eq!(client.take(length), vec![b's'; length]);
            assert_eq!(client.take(1), b"|");
        }
        assert_eq!(client.take(1), b">");
    }
}

fn limits_count_upgraded_connections(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| {
        if let Told::Received(..) = told {
            connection.end();
        }
    });
    let place = server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = Classic;
        queue.verbosity_503 = tidegate_httpapi::Verbosity503::Full;
    });
    server.set_group(&place, |group| group.connections_max = Some(1));
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE).status, 101);
    lanes.opened();
    assert_eq!(server.client().ask(UPGRADE).status, 503);
    client.send("end");
    client.expect_orderly_close();
    drop(client);
    until("its place is free", || {
        server.client().ask(UPGRADE).status == 101
    });
}
