//! How a connection in opaque mode ends: by either side, by faults, by the driver. Its lane is told once,
//! and last. http-server-api §11.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, OpaqueConnection, OpaqueEnd, OpaqueKey, OperatingMode};
use tidegate_wire::{
    Client, Lanes, PATIENCE, Server, Told, UPGRADE, Upgrade, echo_bytes, label, on_both_loops,
    on_both_loops_in_both_modes, until, upgrading,
};

on_both_loops_in_both_modes!(
    a_peer_that_has_sent_its_last_is_still_sent_to,
    a_panic_of_a_lane_costs_its_connection_only,
    an_upgrade_that_comes_too_late_is_refused,
);

on_both_loops!(
    a_peer_that_resets_has_failed,
    a_peer_that_has_left_fails_the_next_send,
    a_peer_that_left_before_the_answer_is_told_of,
    ending_sends_what_is_there_and_waits_for_the_peer,
    ending_resets_nothing_that_the_peer_has_not_read,
    ending_waits_for_a_slow_peer,
    ending_does_not_wait_for_ever,
    after_its_end_a_lane_is_told_nothing_but_closed,
    resetting_drops_what_is_unsent,
    a_panic_while_the_lane_does_something_by_itself_costs_one_connection,
    a_lane_that_cannot_be_opened_costs_the_request_only,
    stopping_lets_lanes_say_goodbye,
    stopping_resets_at_the_deadline_who_stays,
    dropping_the_driver_closes_every_connection,
);

type Act = fn(&Told, &mut dyn OpaqueConnection);

fn upgraded_in(io: Io, mode: OperatingMode, act: Act) -> (Server, Lanes) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let (application, lanes) = upgrading(Upgrade::AtOnce, act);
    server.serve_in(mode, "localhost/", application);
    (server, lanes)
}

fn upgraded(io: Io, act: Act) -> (Server, Lanes) {
    upgraded_in(io, OperatingMode::HighPerf, act)
}

fn open(server: &Server, lanes: &Lanes) -> (Client, OpaqueKey) {
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE).status, 101);
    (client, lanes.opened())
}

fn echoes(client: &mut Client) {
    client.send("echo");
    assert_eq!(client.take(4), b"echo");
}

/// Answers `end` and ends.
fn end_when_told(told: &Told, connection: &mut dyn OpaqueConnection) {
    match told {
        Told::Received(_, bytes) if bytes.starts_with(b"end") => {
            connection.output().extend_from_slice(b"bye");
            connection.end();
        }
        Told::Received(_, bytes) if bytes.starts_with(b"reset") => {
            connection.output().extend_from_slice(b"bye");
            connection.reset();
        }
        _ => echo_bytes(told, connection),
    }
}

fn a_peer_that_has_sent_its_last_is_still_sent_to(io: Io, mode: OperatingMode) {
    let (server, lanes) = upgraded_in(io, mode, |told, connection| {
        echo_bytes(told, connection);
        if matches!(told, Told::PeerEnded(_)) {
            connection.output().extend_from_slice(b"heard");
        }
    });
    let (mut client, key) = open(&server, &lanes);
    client.send("last");
    client.finish();
    assert_eq!(client.take(9), b"lastheard");
    assert_eq!(lanes.next(), Told::Received(key, b"last".to_vec()));
    assert_eq!(lanes.next(), Told::PeerEnded(key));
    for _ in 0..3 {
        lanes.with(key, |connection| connection.output().extend(b"more"));
        assert_eq!(client.take(4), b"more");
    }
    lanes.with(key, |connection| connection.end());
    client.expect_orderly_close();
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
}

fn a_peer_that_resets_has_failed(io: Io) {
    let (server, lanes) = upgraded(io, echo_bytes);
    let (client, key) = open(&server, &lanes);
    let port = client.port();
    client.reset();
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Failed));
    until("nobody is connected", || {
        server.backend.connection_count() == 0
    });
    assert!(
        server
            .errors
            .now()
            .iter()
            .all(|line| line.client_port != port.to_string())
    );
}

fn a_peer_that_has_left_fails_the_next_send(io: Io) {
    let (server, lanes) = upgraded(io, echo_bytes);
    let (client, key) = open(&server, &lanes);
    // It has not read this, so that its system answers what comes then with a reset.
    drop(client);
    assert_eq!(lanes.next(), Told::PeerEnded(key));
    lanes.wake(move |connections| {
        connections.with(key, &mut |connection| connection.output().push(b'1'));
    });
    until("it has failed", || {
        lanes.wake(move |connections| {
            connections.with(key, &mut |connection| connection.output().push(b'2'));
        });
        lanes.all() == [Told::Closed(key, OpaqueEnd::Failed)]
    });
}

fn a_peer_that_left_before_the_answer_is_told_of(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::WhenTold, echo_bytes);
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(format!("{UPGRADE}early"));
    client.finish();
    let deferred = lanes.held();
    // The worker has seen the end by the time that it has served another connection.
    assert_eq!(server.get("anchor.invalid", "/").status, 503);
    lanes.answer(deferred);
    let key = lanes.opened();
    assert_eq!(lanes.next(), Told::Received(key, b"early".to_vec()));
    assert_eq!(lanes.next(), Told::PeerEnded(key));
    assert_eq!(client.response().status, 101);
    assert_eq!(client.take(5), b"early");
}

fn ending_sends_what_is_there_and_waits_for_the_peer(io: Io) {
    let (server, lanes) = upgraded(io, end_when_told);
    let (mut client, key) = open(&server, &lanes);
    client.send("end");
    client.expect("bye");
    assert!(matches!(lanes.next(), Told::Received(..)));
    // Its own side is still open.
    assert_eq!(server.backend.connection_count(), 1);
    drop(client);
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
}

fn ending_resets_nothing_that_the_peer_has_not_read(io: Io) {
    let (server, lanes) = upgraded(io, end_when_told);
    for _ in 0..5 {
        let (mut client, key) = open(&server, &lanes);
        client.send("end");
        // A system that had closed by now would answer this with a reset.
        client.send(vec![b'x'; 100_000]);
        client.expect("bye");
        assert!(matches!(lanes.next(), Told::Received(..)));
        drop(client);
        assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    }
}

fn ending_waits_for_a_slow_peer(io: Io) {
    const LENGTH: usize = 8 << 20;
    let (server, lanes) = upgraded(io, |told, connection| {
        if matches!(told, Told::Received(..)) {
            connection.append(vec![b'x'; LENGTH].into());
            connection.end();
        }
    });
    let mut client = Client::connect_narrow(server.port);
    assert_eq!(client.ask(UPGRADE).status, 101);
    let key = lanes.opened();
    client.send("go");
    assert!(matches!(lanes.next(), Told::Received(..)));
    assert_eq!(client.take(LENGTH).len(), LENGTH);
    client.expect_orderly_close();
    drop(client);
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
}

fn ending_does_not_wait_for_ever(io: Io) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::AtOnce, |told, connection| {
        if matches!(told, Told::Received(..)) {
            connection.append(vec![b'x'; 8 << 20].into());
            connection.end();
        }
    });
    let place = server.serve("localhost/", application);
    server.set_group(&place, |group| {
        group.timeouts.min_send_rate = Some(Some(u32::MAX));
    });
    let mut client = Client::connect_narrow(server.port);
    assert_eq!(client.ask(UPGRADE).status, 101);
    let key = lanes.opened();
    client.send("go");
    assert!(matches!(lanes.next(), Told::Received(..)));
    // It reads nothing.
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    let line = server.errors.of_client(client.port());
    assert_eq!(line.reason, "Timer_MinBytesPerSecond");
}

fn after_its_end_a_lane_is_told_nothing_but_closed(io: Io) {
    let (server, lanes) = upgraded(io, |told, connection| {
        if let Told::Received(..) = told {
            connection.set_due(Some(Duration::ZERO));
            connection.notify_sent();
            connection.end();
            connection.end();
        }
    });
    let (mut client, key) = open(&server, &lanes);
    client.send("x");
    client.expect_orderly_close();
    client.send("y");
    assert_eq!(lanes.next(), Told::Received(key, b"x".to_vec()));
    lanes.wake_and_wait(move |connections| {
        assert!(!connections.with(key, &mut |_| panic!("it has ended")));
    });
    client.finish();
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    assert_eq!(lanes.all(), []);
}

fn resetting_drops_what_is_unsent(io: Io) {
    let (server, lanes) = upgraded(io, end_when_told);
    let (mut client, key) = open(&server, &lanes);
    client.send("reset");
    client.expect_reset();
    assert!(matches!(lanes.next(), Told::Received(..)));
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    // By itself, with something already on its way.
    let mut client = Client::connect_narrow(server.port);
    assert_eq!(client.ask(UPGRADE).status, 101);
    let key = lanes.opened();
    lanes.with(key, |connection| {
        connection.append(vec![b'x'; 8 << 20].into());
    });
    lanes.with(key, |connection| {
        assert!(connection.unsent() > 0);
        connection.output().push(b'y');
        connection.reset();
    });
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Ended));
    assert!(client.end().reset);
}

fn a_panic_of_a_lane_costs_its_connection_only(io: Io, mode: OperatingMode) {
    let (server, lanes) = upgraded_in(io, mode, |told, connection| match told {
        Told::Received(_, bytes) if bytes == b"panic" => panic!("expected in this test"),
        Told::Received(_, bytes) if bytes == b"due" => {
            connection.set_due(Some(Duration::ZERO));
        }
        Told::Received(_, bytes) if bytes == b"sent" => connection.notify_sent(),
        Told::Due(_) | Told::Sent(_) | Told::PeerEnded(_) => panic!("expected in this test"),
        _ => echo_bytes(told, connection),
    });
    let (mut other, _) = open(&server, &lanes);
    for what in ["panic", "due", "sent", "end"] {
        echoes(&mut other);
        lanes.next();
        let (mut client, key) = open(&server, &lanes);
        match what {
            "end" => client.finish(),
            what => client.send(what),
        }
        client.expect_reset();
        let closed = Told::Closed(key, OpaqueEnd::Internal);
        while lanes.next() != closed {}
        let line = server.errors.of_client(client.port());
        assert_eq!(
            (line.status.as_str(), line.reason.as_str()),
            ("-", "Internal")
        );
    }
    echoes(&mut other);
}

fn a_panic_while_the_lane_does_something_by_itself_costs_one_connection(io: Io) {
    let (server, lanes) = upgraded(io, echo_bytes);
    let mut clients: Vec<_> = (0..3).map(|_| open(&server, &lanes)).collect();
    let keys: Vec<_> = clients.iter().map(|(_, key)| *key).collect();
    let second = keys[1];
    lanes.wake(move |connections| {
        for key in keys {
            connections.with(key, &mut |connection| {
                connection.output().extend_from_slice(b"all");
                assert!(connection.key() != second, "expected in this test");
            });
        }
    });
    assert_eq!(lanes.next(), Told::Closed(second, OpaqueEnd::Internal));
    assert_eq!(clients[0].0.take(3), b"all");
    assert!(clients[1].0.end().reset);
    // It did not come to the last one. Outside of any connection it costs none.
    lanes.wake(|_| panic!("expected in this test"));
    for index in [0, 2] {
        echoes(&mut clients[index].0);
    }
}

fn a_lane_that_cannot_be_opened_costs_the_request_only(io: Io) {
    let (server, lanes) = upgraded(io, echo_bytes);
    server.serve("localhost/none/", Arc::new(tidegate_wire::NoLane));
    let mut client = server.client();
    let response = client.ask(UPGRADE.replace("GET /", "GET /none/"));
    assert_eq!(response.status, 500);
    let (mut other, _) = open(&server, &lanes);
    echoes(&mut other);
}

/// Says goodbye at a stop.
fn goodbye(told: &Told, connection: &mut dyn OpaqueConnection) {
    if *told == Told::Stop {
        connection.output().extend_from_slice(b"bye");
        connection.end();
    } else {
        echo_bytes(told, connection);
    }
}

fn stopping_lets_lanes_say_goodbye(io: Io) {
    let (server, lanes) = upgraded(io, goodbye);
    let clients: Vec<_> = (0..3).map(|_| open(&server, &lanes)).collect();
    let backend = Arc::clone(&server.backend);
    let stopping = thread::spawn(move || backend.stop(PATIENCE));
    assert_eq!(lanes.next(), Told::Stop);
    let mut keys = Vec::new();
    for (mut client, key) in clients {
        client.expect("bye");
        keys.push(key);
    }
    stopping.join().unwrap();
    let mut told = lanes.all();
    assert_eq!(told.pop(), Some(Told::Dropped));
    assert_eq!(told.len(), 3);
    for key in keys {
        assert!(told.contains(&Told::Closed(key, OpaqueEnd::Ended)));
    }
}

fn stopping_resets_at_the_deadline_who_stays(io: Io) {
    let (server, lanes) = upgraded(io, echo_bytes);
    let (mut client, key) = open(&server, &lanes);
    let deadline = Duration::from_millis(300);
    let backend = Arc::clone(&server.backend);
    let begin = Instant::now();
    let stopping = thread::spawn(move || backend.stop(deadline));
    assert_eq!(lanes.next(), Told::Stop);
    // Until then it is served.
    echoes(&mut client);
    lanes.next();
    stopping.join().unwrap();
    assert!(begin.elapsed() >= deadline);
    client.expect_reset();
    assert_eq!(lanes.next(), Told::Closed(key, OpaqueEnd::Stopped));
    assert_eq!(lanes.next(), Told::Dropped);
}

fn dropping_the_driver_closes_every_connection(io: Io) {
    let (server, lanes) = upgraded(io, echo_bytes);
    let clients: Vec<_> = (0..3).map(|_| open(&server, &lanes)).collect();
    drop(server);
    assert_eq!(lanes.next(), Told::Stop);
    let told = lanes.all();
    for (mut client, key) in clients {
        assert!(told.contains(&Told::Closed(key, OpaqueEnd::Stopped)));
        assert!(client.end().reset);
    }
    assert_eq!(told.last(), Some(&Told::Dropped));
}

fn an_upgrade_that_comes_too_late_is_refused(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    let (application, lanes) = upgrading(Upgrade::WhenTold, goodbye);
    let place = server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = mode;
        queue.verbosity_503 = tidegate_httpapi::Verbosity503::Full;
    });
    server.serve("localhost/other/", label("other"));
    let mut first = server.client();
    first.send(UPGRADE);
    let late = lanes.held();
    server.backend.close_request_queue(place.queue).unwrap();
    lanes.answer(late);
    let response = first.response();
    assert_eq!(response.status, 503);
    assert_eq!(response.reason, "Application Shut Down");
    first.expect_orderly_close();
    assert_eq!(lanes.all(), []);
}
