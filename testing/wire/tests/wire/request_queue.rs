//! The request queue and what it refuses. http-server-api §4, cases Q01–Q10, Q17.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode::{Classic, HighPerf};
use tidegate_httpapi::{Backend, Body, EnabledState, QueueProperties, ResponseHead, Verbosity503};
use tidegate_wire::{
    Client, Gate, PATIENCE, Place, Seen, Server, blocked, held, label, on_both_loops, until,
};

on_both_loops!(
    q01_a_full_queue_refuses,
    q02_a_full_queue_resets_when_basic,
    q03_a_shorter_queue_evicts_nobody,
    q07_requests_are_taken_in_their_order,
    q10_an_answer_for_nobody_is_no_harm,
    q17_a_disabled_queue_refuses,
    high_perf_has_a_most_with_the_application,
    a_disabled_group_refuses,
    a_closed_queue_refuses_who_waits,
    who_waits_and_leaves_makes_room,
    an_application_is_replaced_at_once,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn properties() -> QueueProperties {
    let mut properties = QueueProperties::default();
    properties.operating_mode = Classic;
    properties.thread_pool_size = 1;
    properties.queue_length = 2;
    properties.verbosity_503 = Verbosity503::Limited;
    properties
}

fn with_one_worker(io: Io) -> Server {
    Server::start_with(io, |settings| settings.io_threads = Some(1))
}

/// The one worker serves other connections: by then it has done what came before.
fn pass_by(server: &Server) {
    for _ in 0..3 {
        assert_eq!(server.get("anchor.invalid", "/").status, 503);
    }
}

/// A queue with one thread, which has a request and does not come back until the gate opens.
struct Busy {
    server: Server,
    place: Place,
    gate: Gate,
    taken: Receiver<Seen>,
    /// Whose request the thread has.
    _first: Client,
}

impl Busy {
    fn new(io: Io, set: impl FnOnce(&mut QueueProperties)) -> Self {
        let server = with_one_worker(io);
        let (application, gate, taken) = blocked();
        let place = server.serve_with("localhost/", application, |queue| {
            *queue = properties();
            set(queue);
        });
        let mut first = server.client();
        first.send("GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n");
        taken.recv_timeout(PATIENCE).unwrap();
        Self {
            server,
            place,
            gate,
            taken,
            _first: first,
        }
    }

    /// Sends a request that will wait. Requests of several connections are in the queue in the order
    /// of these calls: each is seen to be there before the next is sent.
    fn wait_in_queue(&self, path: &str) -> Client {
        let mut client = self.server.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        pass_by(&self.server);
        client
    }

    fn set_queue(&self, set: impl FnOnce(&mut QueueProperties)) {
        let mut properties = properties();
        set(&mut properties);
        self.server
            .backend
            .set_queue_properties(self.place.queue, properties)
            .unwrap();
    }
}

fn q01_a_full_queue_refuses(io: Io) {
    let busy = Busy::new(io, |_| {});
    let mut waiting = [busy.wait_in_queue("/a"), busy.wait_in_queue("/b")];
    for _ in 0..2 {
        let mut client = busy.server.client();
        let response = client.ask(GET);
        assert_eq!(
            (response.status, response.reason.as_str()),
            (503, "Service Unavailable")
        );
        assert!(response.closes());
        client.expect_orderly_close();
        let line = busy.server.errors.of_client(client.port());
        assert_eq!(
            (line.status.as_str(), line.reason.as_str()),
            ("503", "QueueFull")
        );
        assert_eq!((line.method.as_str(), line.uri.as_str()), ("GET", "/"));
    }
    busy.set_queue(|queue| queue.verbosity_503 = Verbosity503::Full);
    let response = busy.server.client().ask(GET);
    assert_eq!(
        (response.status, response.reason.as_str()),
        (503, "Request Queue Full")
    );
    busy.gate.open();
    assert_eq!(waiting[0].response().text(), "/a");
    assert_eq!(waiting[1].response().text(), "/b");
    // The application never saw the others.
    let seen: Vec<_> = busy.taken.try_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, ["/a", "/b"]);
}

fn q02_a_full_queue_resets_when_basic(io: Io) {
    let busy = Busy::new(io, |queue| queue.verbosity_503 = Verbosity503::Basic);
    let _waiting = [busy.wait_in_queue("/a"), busy.wait_in_queue("/b")];
    let mut client = busy.server.client();
    client.send(GET);
    client.expect_reset();
    let line = busy.server.errors.of_client(client.port());
    assert_eq!(
        (line.status.as_str(), line.reason.as_str()),
        ("-", "QueueFull")
    );
    busy.gate.open();
}

fn q03_a_shorter_queue_evicts_nobody(io: Io) {
    let busy = Busy::new(io, |queue| queue.queue_length = 1000);
    let mut waiting: Vec<_> = (0..5)
        .map(|index| busy.wait_in_queue(&format!("/{index}")))
        .collect();
    busy.set_queue(|_| {});
    let response = busy.server.client().ask(GET);
    assert_eq!(response.status, 503);
    busy.gate.open();
    for (index, client) in waiting.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/{index}"));
    }
}

fn q07_requests_are_taken_in_their_order(io: Io) {
    let busy = Busy::new(io, |queue| queue.queue_length = 10);
    let paths: Vec<_> = (0..10).map(|index| format!("/{index}")).collect();
    let waiting: Vec<_> = paths.iter().map(|path| busy.wait_in_queue(path)).collect();
    busy.gate.open();
    for path in paths {
        assert_eq!(busy.taken.recv_timeout(PATIENCE).unwrap().target, path);
    }
    drop(waiting);
}

fn q10_an_answer_for_nobody_is_no_harm(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    server.serve("localhost/", application);
    for _ in 0..3 {
        let mut client = server.client();
        client.send(GET);
        let request = requests.next();
        let before = server.backend.connection_count();
        client.reset();
        until("the connection ends", || {
            server.backend.connection_count() < before
        });
        request
            .responder
            .respond(ResponseHead::new(200), Body::Static(b"nobody"));
    }
    let mut client = server.client();
    client.send(GET);
    requests
        .next()
        .responder
        .respond_bytes(200, "somebody".into());
    assert_eq!(client.response().text(), "somebody");
}

fn q17_a_disabled_queue_refuses(io: Io) {
    let server = Server::start(io);
    let (application, gate, _taken) = blocked();
    gate.open();
    let place = server.serve_with("localhost/", application, |queue| {
        *queue = properties();
        queue.state = EnabledState::Disabled;
        queue.verbosity_503 = Verbosity503::Full;
    });
    let response = server.client().ask(GET);
    assert_eq!(
        (response.status, response.reason.as_str()),
        (503, "Service Disabled")
    );
    server.refuses(GET, 503, "Disabled");
    let queue = |state| {
        let mut properties = properties();
        properties.state = state;
        properties
    };
    let set = |state| {
        server
            .backend
            .set_queue_properties(place.queue, queue(state))
            .unwrap()
    };
    set(EnabledState::Enabled);
    let mut client = server.client();
    assert_eq!(client.ask(GET).status, 200);
    // Also on a connection that has been served before.
    set(EnabledState::Disabled);
    assert_eq!(client.ask(GET).status, 503);
}

fn a_disabled_group_refuses(io: Io) {
    let server = Server::start(io);
    let (application, gate, _taken) = blocked();
    gate.open();
    let place = server.serve_with("localhost/", application, |queue| *queue = properties());
    server.set_group(&place, |group| group.state = EnabledState::Disabled);
    server.refuses(GET, 503, "Disabled");
    server.set_group(&place, |_| {});
    assert_eq!(server.client().ask(GET).status, 200);
}

fn high_perf_has_a_most_with_the_application(io: Io) {
    let server = with_one_worker(io);
    let (application, requests) = held();
    server.serve_with("localhost/", application, |queue| {
        queue.operating_mode = HighPerf;
        queue.thread_pool_size = 1;
        queue.accepts_per_worker = 2;
        queue.queue_length = 1;
        queue.verbosity_503 = Verbosity503::Limited;
    });
    let ask = || {
        let mut client = server.client();
        client.send(GET);
        (client, requests.next())
    };
    let (mut first, first_request) = ask();
    let (mut second, second_request) = ask();
    // One waits, the next is refused.
    let mut third = server.client();
    third.send(GET);
    pass_by(&server);
    let mut refused = server.client();
    assert_eq!(refused.ask(GET).status, 503);
    assert!(requests.is_empty());
    first_request.responder.respond_bytes(200, "1".into());
    assert_eq!(first.response().text(), "1");
    requests.next().responder.respond_bytes(200, "3".into());
    assert_eq!(third.response().text(), "3");
    second_request.responder.respond_bytes(200, "2".into());
    assert_eq!(second.response().text(), "2");
}

fn a_closed_queue_refuses_who_waits(io: Io) {
    let busy = Busy::new(io, |_| {});
    let mut waiting = [busy.wait_in_queue("/a"), busy.wait_in_queue("/b")];
    let closing = {
        let backend = Arc::clone(&busy.server.backend);
        let queue = busy.place.queue;
        // Closing may wait for the thread that still has a request.
        std::thread::spawn(move || backend.close_request_queue(queue))
    };
    for client in &mut waiting {
        let response = client.response();
        assert_eq!((response.status, response.closes()), (503, true));
        assert_eq!(
            busy.server.errors.of_client(client.port()).reason,
            "AppShutdown"
        );
    }
    busy.gate.open();
    closing.join().unwrap().unwrap();
    // The group is unbound now.
    busy.server.refuses(GET, 503, "N/A");
}

fn who_waits_and_leaves_makes_room(io: Io) {
    let busy = Busy::new(io, |_| {});
    let before = busy.server.backend.connection_count();
    let waiting = [busy.wait_in_queue("/a"), busy.wait_in_queue("/b")];
    let ports = waiting.each_ref().map(Client::port);
    waiting.into_iter().for_each(Client::reset);
    for port in ports {
        assert_eq!(busy.server.errors.of_client(port).reason, "Client_Reset");
    }
    until("they leave", || {
        busy.server.backend.connection_count() <= before
    });
    let mut next = busy.wait_in_queue("/c");
    busy.gate.open();
    assert_eq!(next.response().text(), "/c");
    let seen: Vec<_> = busy.taken.try_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, ["/c"]);
}

fn an_application_is_replaced_at_once(io: Io) {
    for mode in [Classic, HighPerf] {
        let server = Server::start(io);
        let (first, second) = (label("first"), label("second"));
        let place = server.serve_in(mode, "localhost/", Arc::clone(&first));
        let mut client = server.client();
        assert_eq!(client.ask(GET).text(), "first");
        let put = |application| server.backend.set_application(place.queue, application);
        put(Arc::clone(&second)).unwrap();
        assert_eq!(client.ask(GET).text(), "second");
        put(label("third")).unwrap();
        // Though the connection is idle: it does not take another request.
        for before in [first, second] {
            until("the one before ends", || Arc::strong_count(&before) == 1);
        }
        assert_eq!(client.ask(GET).text(), "third");
    }
}
