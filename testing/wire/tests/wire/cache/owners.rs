//! Whose a copy is: changes of the namespace, of queues, of what is enabled. http-server-api §8.

use tidegate_driver::Io;
use tidegate_httpapi::{
    Backend, CachePolicy, EnabledState, GroupProperties, QueueProperties, ReservationOwner,
    Verbosity503,
};
use tidegate_wire::{Server, held, on_both_loops, until};

use super::{get, numbering, request, text};

on_both_loops!(
    a_longer_registration_takes_over,
    a_registration_that_goes_takes_its_copies_along,
    a_queue_that_goes_takes_its_copies_along,
    another_queue_serves_its_own,
    what_is_disabled_serves_no_copies,
    hits_count_to_the_connection_limit,
    a_full_queue_serves_copies,
    an_answer_whose_registration_has_gone_is_not_stored,
    a_stop_ends_connections_with_a_copy,
);

#[cfg(unix)]
on_both_loops!(copies_go_over_unix_sockets);

fn a_longer_registration_takes_over(io: Io) {
    let server = Server::start(io);
    let (shorter, calls) = numbering(CachePolicy::UserInvalidates);
    server.serve("localhost/", shorter);
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "/a/b", &[]).text(), "call 1");
    }
    let (longer, others) = numbering(CachePolicy::None);
    let place = server.serve("localhost/a/", longer);
    for call in 1..4 {
        assert_eq!(get(&mut client, "/a/b", &[]).text(), format!("call {call}"));
    }
    assert_eq!((calls.count(), others.count()), (1, 3));
    // A stronger host, too.
    server.serve("+/a/b/", numbering(CachePolicy::None).0);
    assert_eq!(get(&mut client, "/a/b", &[]).text(), "call 1");
    assert_eq!(get(&mut client, "/a/b", &[]).text(), "call 2");
    server
        .backend
        .remove_url(place.group, &place.prefix)
        .unwrap();
    assert_eq!(get(&mut client, "/a/b", &[]).text(), "call 3");
    // A reservation that nobody has registered blocks what is below it.
    let blocked = server.url("localhost/c/");
    assert_eq!(get(&mut client, "/c/d", &[]).text(), "call 2");
    let owner = ReservationOwner("nobody".into());
    server.backend.reserve_url(&blocked, owner).unwrap();
    assert_eq!(server.route("localhost", "/c/d"), "503");
    server.backend.delete_reservation(&blocked).unwrap();
    assert_eq!(get(&mut client, "/c/d", &[]).text(), "call 2");
}

fn a_registration_that_goes_takes_its_copies_along(io: Io) {
    let server = Server::start(io);
    let (application, calls) = numbering(CachePolicy::UserInvalidates);
    let place = server.serve("localhost/a/", application);
    server.serve("localhost/b/", numbering(CachePolicy::UserInvalidates).0);
    let mut client = server.client();
    get(&mut client, "/a/", &[]);
    get(&mut client, "/b/", &[]);
    server
        .backend
        .remove_url(place.group, &place.prefix)
        .unwrap();
    assert_eq!(server.backend.cache_counters().cached, 1);
    assert_eq!(server.route("localhost", "/a/"), "404");
    server
        .backend
        .add_url(place.group, &place.prefix, 1)
        .unwrap();
    assert_eq!(get(&mut client, "/a/", &[]).text(), "call 2");
    assert_eq!(calls.count(), 2);
    server.backend.remove_all_urls(place.group).unwrap();
    assert_eq!(server.backend.cache_counters().cached, 1);
    server
        .backend
        .add_url(place.group, &place.prefix, 2)
        .unwrap();
    assert_eq!(get(&mut client, "/a/", &[]).text(), "call 3");
    server.backend.close_server_session(server.session).unwrap();
    assert_eq!(server.backend.cache_counters().cached, 0);
}

fn a_queue_that_goes_takes_its_copies_along(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", numbering(CachePolicy::UserInvalidates).0);
    let mut client = server.client();
    get(&mut client, "/", &[]);
    assert_eq!(get(&mut client, "/", &[]).text(), "call 1");
    // Unbound: nobody serves.
    server
        .backend
        .bind_request_queue(place.group, None)
        .unwrap();
    assert_eq!(server.backend.cache_counters().cached, 0);
    assert_eq!(server.route("localhost", "/"), "503");
    server
        .backend
        .bind_request_queue(place.group, Some(place.queue))
        .unwrap();
    let mut client = server.client();
    assert_eq!(get(&mut client, "/", &[]).text(), "call 2");
    server.backend.close_request_queue(place.queue).unwrap();
    let counters = server.backend.cache_counters();
    assert_eq!((counters.cached, counters.queue_hits), (0, vec![]));
    assert_eq!(server.route("localhost", "/"), "503");
}

fn another_queue_serves_its_own(io: Io) {
    let server = Server::start(io);
    let first = server.serve("localhost/a/", numbering(CachePolicy::UserInvalidates).0);
    let (application, _) = super::making(|_, _| text(CachePolicy::UserInvalidates, "second"));
    let second = server.serve("localhost/b/", application);
    let mut client = server.client();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "/a/", &[]).text(), "call 1");
    }
    server
        .backend
        .bind_request_queue(first.group, Some(second.queue))
        .unwrap();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "/a/", &[]).text(), "second");
    }
    server
        .backend
        .bind_request_queue(first.group, Some(first.queue))
        .unwrap();
    assert_eq!(get(&mut client, "/a/", &[]).text(), "call 2");
}

fn what_is_disabled_serves_no_copies(io: Io) {
    let server = Server::start(io);
    let place = server.serve_with(
        "localhost/",
        numbering(CachePolicy::UserInvalidates).0,
        |queue| queue.verbosity_503 = Verbosity503::Full,
    );
    assert_eq!(server.route("localhost", "/"), "call 1");
    let mut properties = GroupProperties::default();
    properties.state = EnabledState::Disabled;
    server
        .backend
        .set_group_properties(place.group, properties)
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "503");
    server
        .backend
        .set_group_properties(place.group, GroupProperties::default())
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "call 1");
    let mut disabled = QueueProperties::default();
    disabled.state = EnabledState::Disabled;
    disabled.verbosity_503 = Verbosity503::Full;
    server
        .backend
        .set_queue_properties(place.queue, disabled)
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "503");
    server
        .backend
        .set_queue_properties(place.queue, QueueProperties::default())
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "call 1");
}

fn hits_count_to_the_connection_limit(io: Io) {
    let server = Server::start(io);
    let place = server.serve_with(
        "localhost/",
        numbering(CachePolicy::UserInvalidates).0,
        |queue| queue.verbosity_503 = Verbosity503::Limited,
    );
    let mut inside: Vec<_> = (0..2).map(|_| server.client()).collect();
    server.set_group(&place, |group| group.connections_max = Some(2));
    for client in &mut inside {
        assert_eq!(get(client, "/", &[]).text(), "call 1");
    }
    let mut outside = server.client();
    assert_eq!(get(&mut outside, "/", &[]).status, 503);
    assert_eq!(get(&mut inside[0], "/", &[]).text(), "call 1");
}

fn a_full_queue_serves_copies(io: Io) {
    let server = Server::start(io);
    let (application, held) = held();
    server.serve_with("localhost/", application, |queue| {
        queue.queue_length = 1;
        queue.thread_pool_size = 1;
        queue.accepts_per_worker = 1;
        queue.operating_mode = tidegate_httpapi::OperatingMode::HighPerf;
        queue.verbosity_503 = Verbosity503::Limited;
    });
    let mut client = server.client();
    client.send(request("GET", "/", &[]));
    let (head, body) = text(CachePolicy::UserInvalidates, "copy");
    held.next().responder.respond(head, body);
    assert_eq!(client.response().text(), "copy");
    // One is with the application, one waits: that is all there is room for.
    let mut waiting: Vec<_> = (0..3).map(|_| server.client()).collect();
    for client in &mut waiting {
        client.send(request("GET", "/slow", &[]));
    }
    let _deferred = held.next();
    until("the third is refused", || {
        let mut clients = waiting.iter_mut();
        clients.any(|client| !client.has_received_nothing())
    });
    for _ in 0..4 {
        assert_eq!(server.route("localhost", "/"), "copy");
    }
}

fn an_answer_whose_registration_has_gone_is_not_stored(io: Io) {
    let server = Server::start(io);
    let (application, held) = held();
    let place = server.serve("localhost/", application);
    for change in 0..3 {
        let mut client = server.client();
        client.send(request("GET", "/", &[]));
        let deferred = held.next();
        match change {
            0 => {
                server
                    .backend
                    .remove_url(place.group, &place.prefix)
                    .unwrap();
                server
                    .backend
                    .add_url(place.group, &place.prefix, 0)
                    .unwrap();
            }
            1 => {
                server
                    .backend
                    .bind_request_queue(place.group, None)
                    .unwrap();
            }
            // Another has nothing to do with it.
            _ => {
                server
                    .backend
                    .bind_request_queue(place.group, Some(place.queue))
                    .unwrap();
                let mut client = server.client();
                client.send(request("GET", "/again", &[]));
                let deferred = held.next();
                server.serve("localhost/other/", numbering(CachePolicy::None).0);
                let (head, body) = text(CachePolicy::UserInvalidates, "kept");
                deferred.responder.respond(head, body);
                assert_eq!(client.response().text(), "kept");
                assert_eq!(server.backend.cache_counters().cached, 1);
                return;
            }
        }
        let (head, body) = text(CachePolicy::UserInvalidates, "late");
        deferred.responder.respond(head, body);
        assert_eq!(client.response().text(), "late");
        assert_eq!(server.backend.cache_counters().cached, 0, "{change}");
        if change == 1 {
            server
                .backend
                .bind_request_queue(place.group, Some(place.queue))
                .unwrap();
        }
    }
}

#[cfg(unix)]
fn copies_go_over_unix_sockets(io: Io) {
    use std::io::{Read as _, Write as _};

    let server = Server::start(io);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let place = server.serve("localhost/", numbering(CachePolicy::UserInvalidates).0);
    let backend = &server.backend;
    backend
        .add_unix_endpoint(place.group, &socket, "/", 0)
        .unwrap();
    let ask = || {
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let head = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    for _ in 0..3 {
        assert_eq!(ask(), "call 1");
    }
    // It is another registration than that of the port.
    assert_eq!(server.route("localhost", "/"), "call 2");
    assert_eq!(ask(), "call 1");
    let urls = || {
        let responses = backend.cached_responses();
        let mut urls: Vec<_> = responses.into_iter().map(|response| response.url).collect();
        urls.sort_by_key(String::len);
        urls
    };
    let port = server.port;
    let expected = [
        "http://localhost:80/".to_owned(),
        format!("http://localhost:{port}/"),
    ];
    assert_eq!(urls(), expected);
    backend
        .remove_unix_endpoint(place.group, &socket, "/")
        .unwrap();
    assert_eq!(urls(), expected[1..]);
}

fn a_stop_ends_connections_with_a_copy(io: Io) {
    let server = Server::start(io);
    let (application, held) = held();
    server.serve("localhost/", application);
    let mut client = server.client();
    client.send(request("GET", "/", &[]));
    let (head, body) = text(CachePolicy::UserInvalidates, "copy");
    held.next().responder.respond(head, body);
    assert_eq!(client.response().text(), "copy");
    // A request that is in progress keeps the connection while the server stops.
    client.send(format!(
        "{}{}",
        request("GET", "/slow", &[]),
        request("GET", "/", &[])
    ));
    let deferred = held.next();
    std::thread::scope(|scope| {
        scope.spawn(|| server.backend.stop(tidegate_wire::PATIENCE));
        until("it stops", || {
            std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err()
        });
        let (head, body) = text(CachePolicy::None, "slow");
        deferred.responder.respond(head, body);
        let response = client.response();
        assert!(response.closes() && response.text() == "slow");
        client.expect_orderly_close();
    });
    assert_eq!(server.backend.cache_counters().bytes, 0);
}
