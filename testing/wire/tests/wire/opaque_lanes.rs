//! Lanes: who wakes them, what is sent of what they have for many connections, jobs on handler threads,
//! and the end of their queue. http-server-api §11.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;

use tidegate_driver::Io;
use tidegate_httpapi::{
    Backend, OpaqueConnection, OpaqueEnd, OpaqueKey,
    OperatingMode::{self, Classic, HighPerf},
};
use tidegate_wire::{
    Client, Elsewhere, Gate, Lanes, PATIENCE, Server, Told, UPGRADE, Upgrade, answer, answering,
    echo_bytes, on_both_loops, on_both_loops_in_both_modes, until, upgrading,
};

on_both_loops_in_both_modes!(
    a_lane_says_where_handlers_run,
    jobs_run_on_handler_threads,
    a_job_that_panics_costs_nobody_anything,
    jobs_and_requests_take_turns,
    closing_a_queue_ends_its_lanes_only,
);

on_both_loops!(
    what_a_connection_gets_in_one_turn_is_one_send,
    a_message_for_many_is_sent_in_slices,
    many_wakes_are_not_lost,
    a_wake_of_a_lane_from_within_comes_after,
    each_queue_has_a_lane_of_its_own,
    each_worker_has_a_lane_of_its_own,
    a_closed_queue_s_connections_end_at_its_deadline,
    a_job_after_the_end_of_its_queue_is_dropped,
);

/// A server of one worker with an echo at `/`.
fn one_worker(io: Io, mode: OperatingMode) -> (Server, Lanes) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    server.serve_in(mode, "localhost/", application);
    (server, lanes)
}

fn open(server: &Server, lanes: &Lanes) -> (Client, OpaqueKey) {
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE).status, 101);
    (client, lanes.opened())
}

fn open_many(server: &Server, lanes: &Lanes, count: usize) -> (Vec<Client>, Vec<OpaqueKey>) {
    (0..count).map(|_| open(server, lanes)).unzip()
}

fn what_a_connection_gets_in_one_turn_is_one_send(io: Io) {
    let (server, lanes) = one_worker(io, HighPerf);
    let (mut clients, keys) = open_many(&server, &lanes, 3);
    let sends = server.backend.counters().sends;
    lanes.wake_and_wait(move |connections| {
        for message in 0..8 {
            for &key in &keys {
                assert!(connections.with(key, &mut |connection| {
                    connection.output().push(b'0' + message);
                }));
            }
        }
    });
    for client in &mut clients {
        assert_eq!(client.take(8), b"01234567");
    }
    assert_eq!(server.backend.counters().sends - sends, 3);
    // What arrives together is answered together.
    let sends = server.backend.counters().sends;
    clients[0].send("answered");
    assert_eq!(clients[0].take(8), b"answered");
    assert_eq!(server.backend.counters().sends - sends, 1);
}

fn a_message_for_many_is_sent_in_slices(io: Io) {
    // More than the worker comes to in one turn.
    const COUNT: usize = 1200;
    let (server, lanes) = one_worker(io, HighPerf);
    let (mut clients, keys) = open_many(&server, &lanes, COUNT);
    let sends = server.backend.counters().sends;
    let last = keys[COUNT - 1];
    let within = lanes.elsewhere();
    let (done, ended) = mpsc::channel();
    lanes.wake(move |connections| {
        for &key in &keys {
            connections.with(key, &mut |connection| connection.output().push(b'1'));
        }
        // The next turn begins with this; the last connection's first message still waits then.
        within.wake(move |connections| {
            connections.with(last, &mut |connection| connection.output().push(b'2'));
            let _ = done.send(());
        });
    });
    ended.recv_timeout(PATIENCE).unwrap();
    for client in &mut clients[..COUNT - 1] {
        assert_eq!(client.take(1), b"1");
    }
    assert_eq!(clients[COUNT - 1].take(2), b"12");
    assert_eq!(server.backend.counters().sends - sends, COUNT as u64);
}

fn many_wakes_are_not_lost(io: Io) {
    const EACH: usize = 2000;
    let (server, lanes) = one_worker(io, HighPerf);
    let (mut client, key) = open(&server, &lanes);
    thread::scope(|scope| {
        for _ in 0..4 {
            let lanes = lanes.elsewhere();
            scope.spawn(move || {
                for _ in 0..EACH {
                    lanes.wake(move |connections| {
                        connections.with(key, &mut |connection| connection.output().push(b'w'));
                    });
                }
            });
        }
    });
    assert_eq!(client.take(4 * EACH), vec![b'w'; 4 * EACH]);
}

fn a_wake_of_a_lane_from_within_comes_after(io: Io) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let lane = Arc::new(OnceLock::<Elsewhere>::new());
    let within = Arc::clone(&lane);
    let (application, lanes) = upgrading(Upgrade::AtOnce, move |told, connection| {
        if let Told::Received(key, _) = told {
            connection.output().extend_from_slice(b"first ");
            let key = *key;
            within.get().unwrap().wake(move |connections| {
                connections.with(key, &mut |connection| {
                    connection.output().extend_from_slice(b"second ");
                });
            });
        }
    });
    assert!(lane.set(lanes.elsewhere()).is_ok());
    server.serve("localhost/", application);
    let (mut client, _) = open(&server, &lanes);
    for _ in 0..100 {
        client.send("x");
        assert_eq!(client.take(13), b"first second ");
    }
}

fn each_queue_has_a_lane_of_its_own(io: Io) {
    let (server, lanes) = one_worker(io, HighPerf);
    let (application, others) = upgrading(Upgrade::AtOnce, |told, connection| {
        if let Told::Received(..) = told {
            connection.output().extend_from_slice(b"other");
        }
    });
    server.serve("localhost/other/", application);
    let (mut client, key) = open(&server, &lanes);
    let mut other = server.client();
    other.send(UPGRADE.replace("GET /", "GET /other/"));
    assert_eq!(other.response().status, 101);
    let other_key = others.opened();
    client.send("x");
    assert_eq!(client.take(1), b"x");
    other.send("x");
    assert_eq!(other.take(5), b"other");
    // A lane reaches its own connections only.
    lanes.wake_and_wait(move |connections| {
        assert!(connections.with(key, &mut |_| {}));
        assert!(!connections.with(other_key, &mut |_| {}));
    });
}

fn each_worker_has_a_lane_of_its_own(io: Io) {
    let server = Server::start(io);
    let opened = Arc::new(AtomicUsize::new(0));
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    let counting = Arc::clone(&opened);
    server.serve(
        "localhost/",
        tidegate_wire::counting_lanes(application, counting),
    );
    let mut clients = Vec::new();
    until("both workers have connections", || {
        clients.push(open(&server, &lanes));
        opened.load(Ordering::Relaxed) == 2
    });
    for (client, _) in &mut clients {
        client.send("x");
        assert_eq!(client.take(1), b"x");
    }
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}

fn a_lane_says_where_handlers_run(io: Io, mode: OperatingMode) {
    let (server, lanes) = one_worker(io, mode);
    let _open = open(&server, &lanes);
    assert_eq!(lanes.host().may_call_inline, mode == HighPerf);
}

fn jobs_run_on_handler_threads(io: Io, mode: OperatingMode) {
    let (server, lanes) = one_worker(io, mode);
    let _open = open(&server, &lanes);
    let (sender, names) = mpsc::channel();
    let gate = Gate::default();
    // Four threads are there, and all of them may be blocked.
    for _ in 0..4 {
        let (sender, gate) = (sender.clone(), gate.clone());
        lanes.host().threads.run(Box::new(move || {
            let name = thread::current().name().unwrap_or_default().to_owned();
            sender.send(name).unwrap();
            gate.pass();
        }));
    }
    for _ in 0..4 {
        let name = names.recv_timeout(PATIENCE).unwrap();
        assert!(name.starts_with("tidegate-handler-"), "{name}");
    }
    gate.open();
}

fn a_job_that_panics_costs_nobody_anything(io: Io, mode: OperatingMode) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = mode;
        queue.thread_pool_size = 1;
    });
    let (mut client, _) = open(&server, &lanes);
    let threads = lanes.host().threads;
    for _ in 0..3 {
        threads.run(Box::new(|| panic!("expected in this test")));
        let (sender, ran) = mpsc::channel();
        threads.run(Box::new(move || sender.send(()).unwrap()));
        ran.recv_timeout(PATIENCE).unwrap();
    }
    client.send("x");
    assert_eq!(client.take(1), b"x");
}

fn jobs_and_requests_take_turns(io: Io, mode: OperatingMode) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let order = Arc::new(Mutex::new(String::new()));
    let (upgrade, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    let written = Arc::clone(&order);
    let blocking = answering(move |exchange| {
        if exchange.may_block() {
            written.lock().unwrap().push('r');
            answer(exchange, 200, "");
        } else {
            exchange.move_to_handler_thread();
        }
    });
    server.serve_with(
        "localhost/",
        tidegate_wire::either(upgrade, blocking),
        |queue| {
            queue.operating_mode = mode;
            queue.thread_pool_size = 1;
        },
    );
    let _open = open(&server, &lanes);
    let threads = lanes.host().threads;
    // While the one thread is held up, three of each gather.
    let gate = Gate::default();
    let (began, begins) = mpsc::channel();
    let passing = gate.clone();
    threads.run(Box::new(move || {
        began.send(()).unwrap();
        passing.pass();
    }));
    begins.recv_timeout(PATIENCE).unwrap();
    let mut clients = [server.client(), server.client(), server.client()];
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        // The worker has seen it by the time that it has served another.
        assert_eq!(server.get("anchor.invalid", "/").status, 503);
    }
    for _ in 0..3 {
        let written = Arc::clone(&order);
        threads.run(Box::new(move || written.lock().unwrap().push('j')));
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    until("all jobs have run", || order.lock().unwrap().len() == 6);
    assert_eq!(*order.lock().unwrap(), "rjrjrj");
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

fn closing_a_queue_ends_its_lanes_only(io: Io, mode: OperatingMode) {
    let (server, staying) = one_worker(io, mode);
    let (application, lanes) = upgrading(Upgrade::AtOnce, goodbye);
    let place = server.serve_in(mode, "localhost/b/", application);
    let (mut stays, _) = open(&server, &staying);
    let mut client = server.client();
    let upgrade = UPGRADE.replace("GET /", "GET /b/");
    assert_eq!(client.ask(&upgrade).status, 101);
    let key = lanes.opened();
    // What it has to be done where it may block is still done.
    let (sender, ran) = mpsc::channel();
    let threads = lanes.host().threads;
    threads.run(Box::new(move || sender.send(()).unwrap()));
    let reading = thread::spawn(move || {
        client.expect("bye");
        drop(client);
    });
    server.backend.close_request_queue(place.queue).unwrap();
    reading.join().unwrap();
    ran.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        lanes.all(),
        [
            Told::Stop,
            Told::Closed(key, OpaqueEnd::Ended),
            Told::Dropped
        ]
    );
    assert_eq!(server.route("localhost", "/b/"), "503");
    stays.send("x");
    assert_eq!(stays.take(1), b"x");
    // Another queue may have connections upgraded again.
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    server.serve_in(mode, "localhost/c/", application);
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE.replace("GET /", "GET /c/")).status, 101);
    lanes.opened();
    client.send("x");
    assert_eq!(client.take(1), b"x");
}

fn a_closed_queue_s_connections_end_at_its_deadline(io: Io) {
    let (server, staying) = one_worker(io, HighPerf);
    let (application, lanes) = upgrading(Upgrade::AtOnce, echo_bytes);
    let place = server.serve("localhost/b/", application);
    let (mut stays, _) = open(&server, &staying);
    let mut client = server.client();
    assert_eq!(client.ask(UPGRADE.replace("GET /", "GET /b/")).status, 101);
    let key = lanes.opened();
    server.backend.close_request_queue(place.queue).unwrap();
    client.expect_reset();
    assert_eq!(
        lanes.all(),
        [
            Told::Stop,
            Told::Closed(key, OpaqueEnd::Stopped),
            Told::Dropped
        ]
    );
    stays.send("x");
    assert_eq!(stays.take(1), b"x");
}

fn a_job_after_the_end_of_its_queue_is_dropped(io: Io) {
    let server = Server::start_with(io, |settings| settings.io_threads = Some(1));
    let (application, lanes) = upgrading(Upgrade::AtOnce, goodbye);
    let place = server.serve_in(Classic, "localhost/", application);
    let (client, _) = open(&server, &lanes);
    drop(client);
    let host = lanes.host();
    server.backend.close_request_queue(place.queue).unwrap();
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let flag = Flag(Arc::clone(&dropped));
    host.threads.run(Box::new(move || {
        let _flag = flag;
        panic!("it must not run");
    }));
    assert!(dropped.load(Ordering::Relaxed));
    // Nor does a wake do any harm.
    host.waker.wake();
    assert_eq!(server.get("anchor.invalid", "/").status, 503);
}
