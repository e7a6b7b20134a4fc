//! The timers of a connection: no status is sent, one line is written. http-server-api §6, cases P21
//! and Q20.
//!
//! The timers are short, and nothing is asserted to happen before one of them runs out.

use std::time::Duration;

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::{Classic, HighPerf};
use tidegate_httpapi::{Backend, InheritedTimeouts, SessionProperties};
use tidegate_wire::{
    Client, PATIENCE, Pieces, Server, answering, blocked, held, label, on_both_loops, until,
};

on_both_loops!(
    an_idle_connection_is_closed,
    p21_a_head_that_comes_too_slowly_is_given_up,
    the_driver_s_own_timers_act_before_a_first_request,
    content_that_stops_coming_is_given_up,
    content_nobody_reads_is_drained_for_a_while,
    q20_a_request_that_waits_too_long_is_given_up,
    q20_a_request_that_waits_too_long_in_high_perf_is_given_up,
    a_peer_that_takes_too_slowly_is_dropped,
    a_peer_that_takes_a_little_at_a_time_is_served,
    a_group_inherits_its_session_s_timers,
);

const SHORT: Option<Option<Duration>> = Some(Some(Duration::from_millis(300)));
const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The connection ends without another byte, and the log says why.
fn is_given_up(server: &Server, client: &mut Client, reason: &str) {
    let end = client.end();
    assert_eq!(String::from_utf8_lossy(&end.rest), "");
    let line = server.errors.of_client(client.port());
    assert_eq!((line.status.as_str(), line.reason.as_str()), ("-", reason));
}

fn with_timer(io: Io, set: impl Fn(&mut InheritedTimeouts)) -> Server {
    let server = Server::start(io);
    let place = server.serve("localhost/", label("1"));
    server.set_group(&place, |group| set(&mut group.timeouts));
    server
}

fn an_idle_connection_is_closed(io: Io) {
    let server = with_timer(io, |timeouts| timeouts.idle_connection = SHORT);
    let mut client = server.client();
    assert_eq!(client.ask(GET).text(), "1");
    is_given_up(&server, &mut client, "Timer_ConnectionIdle");
}

fn p21_a_head_that_comes_too_slowly_is_given_up(io: Io) {
    let server = with_timer(io, |timeouts| timeouts.header_wait = SHORT);
    let mut client = server.client();
    // The group's timer acts after a first request of the connection was routed to it.
    assert_eq!(client.ask(GET).text(), "1");
    client.send("GET / HTTP/1.1\r\nHo");
    is_given_up(&server, &mut client, "Timer_HeaderWait");
}

fn the_driver_s_own_timers_act_before_a_first_request(io: Io) {
    for (begin, reason) in [
        ("", "Timer_ConnectionIdle"),
        ("GET / HT", "Timer_HeaderWait"),
    ] {
        let server = Server::start_with(io, |settings| {
            settings.timeouts.idle_connection = Some(Duration::from_millis(300));
            settings.timeouts.header_wait = Some(Duration::from_millis(300));
        });
        let mut client = server.client();
        client.send(begin);
        is_given_up(&server, &mut client, reason);
    }
}

fn content_that_stops_coming_is_given_up(io: Io) {
    for gathered in [0, 16_384] {
        let server = Server::start(io);
        let place = server.serve_with("localhost/", tidegate_wire::echo(), |queue| {
            queue.content_gathered_max = gathered;
        });
        server.set_group(&place, |group| group.timeouts.entity_body = SHORT);
        let mut client = server.client();
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345");
        is_given_up(&server, &mut client, "Timer_EntityBody");
    }
}

fn content_nobody_reads_is_drained_for_a_while(io: Io) {
    let server = Server::start(io);
    let place = server.serve_with("localhost/", label("early"), |queue| {
        queue.content_gathered_max = 0;
    });
    server.set_group(&place, |group| group.timeouts.drain_entity_body = SHORT);
    let mut client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345");
    assert_eq!(client.response().text(), "early");
    client.expect_close();
}

fn q20_a_request_that_waits_too_long_is_given_up(io: Io) {
    let server = Server::start(io);
    let (application, gate, taken) = blocked();
    let place = server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = Classic;
        queue.thread_pool_size = 1;
    });
    server.set_group(&place, |group| group.timeouts.request_queue = SHORT);
    let mut first = server.client();
    first.send(GET);
    taken.recv_timeout(PATIENCE).unwrap();
    let mut second = server.client();
    second.send("GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n");
    is_given_up(&server, &mut second, "Timer_ReqQueue");
    // There is no limit on the time that the application takes.
    gate.open();
    assert_eq!(first.response().text(), "/");
    assert!(taken.try_recv().is_err());
}

fn q20_a_request_that_waits_too_long_in_high_perf_is_given_up(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    let place = server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = HighPerf;
        queue.thread_pool_size = 1;
        queue.accepts_per_worker = 1;
    });
    server.set_group(&place, |group| group.timeouts.request_queue = SHORT);
    let mut first = server.client();
    first.send(GET);
    let first_request = requests.next();
    let mut second = server.client();
    second.send(GET);
    is_given_up(&server, &mut second, "Timer_ReqQueue");
    first_request.responder.respond_bytes(200, "first".into());
    assert_eq!(first.response().text(), "first");
    // The place is free again.
    first.send(GET);
    requests.next().responder.respond_bytes(200, "again".into());
    assert_eq!(first.response().text(), "again");
}

/// An application with more content than systems hold for a peer.
fn endless() -> std::sync::Arc<dyn tidegate_httpapi::Application> {
    answering(|exchange| {
        let pieces = Pieces::default();
        for _ in 0..1000 {
            pieces.give(vec![b'x'; 64 * 1024]);
        }
        exchange.respond(tidegate_httpapi::ResponseHead::new(200), pieces.body(None));
    })
}

fn a_peer_that_takes_too_slowly_is_dropped(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", endless());
    server.set_group(&place, |group| {
        group.timeouts.min_send_rate = Some(Some(u32::MAX))
    });
    let mut client = Client::connect_narrow(server.port);
    client.send(GET);
    let line = server.errors.of_client(client.port());
    assert_eq!(
        (line.status.as_str(), line.reason.as_str()),
        ("-", "Timer_MinBytesPerSecond")
    );
}

// The system has taken megabytes for it, and takes no more before a good part of them has been taken.
fn a_peer_that_takes_a_little_at_a_time_is_served(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", endless());
    server.set_group(&place, |group| {
        group.timeouts.min_send_rate = Some(Some(10_000))
    });
    let mut steady = server.client();
    steady.send(GET);
    assert_eq!(steady.response_head().status, 200);
    let mut stuck = Client::connect_narrow(server.port);
    stuck.send(GET);
    let has_line = |port: u16| {
        let lines = server.errors.now();
        lines
            .iter()
            .any(|line| line.client_port == port.to_string())
    };
    // Ten times as much as it must take, for as long as one that takes nothing has.
    until("who takes nothing is dropped", || {
        steady.take(200);
        has_line(stuck.port())
    });
    assert!(!has_line(steady.port()));
    steady.take(16 << 20);
}

fn a_group_inherits_its_session_s_timers(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", label("1"));
    let mut session = SessionProperties::default();
    session.timeouts.idle_connection = SHORT;
    server
        .backend
        .set_session_properties(server.session, session)
        .unwrap();
    let mut client = server.client();
    assert_eq!(client.ask(GET).text(), "1");
    is_given_up(&server, &mut client, "Timer_ConnectionIdle");
    // Its own come first, and off is a value of its own.
    server.set_group(&place, |group| group.timeouts.idle_connection = Some(None));
    let mut patient = server.client();
    assert_eq!(patient.ask(GET).text(), "1");
    server.serve("localhost/short/", label("2"));
    let mut client = server.client();
    assert_eq!(
        client
            .ask("GET /short/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .text(),
        "2"
    );
    is_given_up(&server, &mut client, "Timer_ConnectionIdle");
    assert_eq!(patient.ask(GET).text(), "1");
}
