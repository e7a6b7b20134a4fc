//! How many connections there may be. http-server-api §12, cases Q04–Q06.

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, Verbosity503};
use tidegate_wire::{Client, Place, Server, label, on_both_loops, until};

on_both_loops!(
    q04_one_connection_too_many_is_reset,
    q05_one_connection_too_many_gets_503,
    q06_a_new_limit_acts_at_once,
    a_connection_counts_to_the_group_of_its_last_request,
    the_backend_has_a_limit_of_its_own,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn limited(io: Io, verbosity: Verbosity503, max: u32) -> (Server, Place) {
    let server = Server::start(io);
    let place = server.serve_with("localhost/", label("1"), |queue| {
        queue.verbosity_503 = verbosity;
    });
    server.set_group(&place, |group| group.connections_max = Some(max));
    (server, place)
}

fn served(server: &Server) -> Client {
    let mut client = server.client();
    assert_eq!(client.ask(GET).text(), "1");
    client
}

fn q04_one_connection_too_many_is_reset(io: Io) {
    let (server, _place) = limited(io, Verbosity503::Basic, 3);
    // A connection counts from its first routed request.
    let _idle = [server.client(), server.client()];
    let mut inside: Vec<_> = (0..3).map(|_| served(&server)).collect();
    let mut fourth = server.client();
    fourth.send(GET);
    fourth.expect_reset();
    let line = server.errors.of_client(fourth.port());
    assert_eq!(
        (line.status.as_str(), line.reason.as_str()),
        ("-", "ConnLimit")
    );
    for client in &mut inside {
        assert_eq!(client.ask(GET).text(), "1");
    }
}

fn q05_one_connection_too_many_gets_503(io: Io) {
    let (server, _place) = limited(io, Verbosity503::Limited, 3);
    let mut inside: Vec<_> = (0..3).map(|_| served(&server)).collect();
    server.refuses(GET, 503, "ConnLimit");
    // One that leaves makes room.
    inside.pop();
    until("room", || server.client().ask(GET).status == 200);
}

fn q06_a_new_limit_acts_at_once(io: Io) {
    let (server, place) = limited(io, Verbosity503::Limited, 3);
    let mut inside: Vec<_> = (0..3).map(|_| served(&server)).collect();
    server.refuses(GET, 503, "ConnLimit");
    server.set_group(&place, |group| group.connections_max = Some(4));
    inside.push(served(&server));
    server.set_group(&place, |group| group.connections_max = Some(2));
    server.refuses(GET, 503, "ConnLimit");
    // Those inside stay.
    for client in &mut inside {
        assert_eq!(client.ask(GET).text(), "1");
    }
    server.set_group(&place, |group| group.connections_max = None);
    served(&server);
}

fn a_connection_counts_to_the_group_of_its_last_request(io: Io) {
    let (server, _place) = limited(io, Verbosity503::Limited, 1);
    server.serve("localhost/other/", label("2"));
    let mut first = served(&server);
    server.refuses(GET, 503, "ConnLimit");
    let other = "GET /other/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(first.ask(other).text(), "2");
    let mut second = served(&server);
    assert_eq!(first.ask(GET).status, 503);
    assert_eq!(second.ask(GET).text(), "1");
}

fn the_backend_has_a_limit_of_its_own(io: Io) {
    let server = Server::start_with(io, |settings| settings.limits.connections_max = Some(2));
    server.serve("localhost/", label("1"));
    let mut inside = [served(&server), served(&server)];
    let mut third = server.client();
    third.send(GET);
    third.expect_close();
    let line = server.errors.of_client(third.port());
    assert_eq!(
        (line.status.as_str(), line.reason.as_str()),
        ("-", "Connections_Refused")
    );
    for client in &mut inside {
        assert_eq!(client.ask(GET).text(), "1");
    }
    assert_eq!(server.backend.connection_count(), 2);
    drop(inside);
    until("room", || server.backend.connection_count() == 0);
    served(&server);
}
