//! Which prefix gets a request. http-server-api §2.3, §2.4, cases N08–N31.

use tidegate_driver::Io;
use tidegate_httpapi::{Backend, ReservationOwner};
use tidegate_wire::{Server, answer, answering, label, on_both_loops, seen};

on_both_loops!(
    n08_to_n10_buckets_are_searched_in_their_order,
    n11_the_longest_path_of_whole_segments_wins,
    n12_a_query_is_no_part_of_the_path,
    n13_a_reservation_blocks_what_is_below_it,
    n14_n15_a_reservation_acts_and_ends_at_once,
    n16_an_unknown_host_is_refused,
    n17_n18_a_host_that_is_none_is_refused,
    n19_an_absolute_target_overrides_the_host,
    n20_paths_match_by_segment_and_without_letter_case,
    n21_n22_escapes_are_decoded_for_routing,
    n23_to_n26_odd_paths_are_cooked_for_routing_only,
    n31_an_asterisk_goes_to_the_root,
    the_port_in_a_host_does_not_route,
    an_address_literal_gets_any_host_on_that_address,
);

fn n08_to_n10_buckets_are_searched_in_their_order(io: Io) {
    let server = Server::start(io);
    server.serve("+/vroot/", label("1"));
    server.serve("adatum.com/", label("2"));
    server.serve("*/", label("3"));
    assert_eq!(server.route("adatum.com", "/vroot/s/f"), "1");
    assert_eq!(server.route("adatum.com", "/default.htm"), "2");
    assert_eq!(server.route("other.com", "/file.htm"), "3");
    assert_eq!(server.route("other.com", "/vroot/x"), "1");
    assert_eq!(server.route("ADATUM.COM", "/default.htm"), "2");
}

fn n11_the_longest_path_of_whole_segments_wins(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    server.serve("localhost/dir/sna/", label("2"));
    assert_eq!(server.route("localhost", "/dir/sna/x"), "2");
    assert_eq!(server.route("localhost", "/dir/app.htm"), "1");
    assert_eq!(server.route("localhost", "/dir/snack"), "1");
}

fn n12_a_query_is_no_part_of_the_path(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    server.serve("localhost/foobar/foo/", label("2"));
    assert_eq!(server.route("localhost", "/foobar/foo"), "2");
    assert_eq!(server.route("localhost", "/foobar/foo?a=b"), "2");
    assert_eq!(server.route("localhost", "/foobar"), "1");
    assert_eq!(server.route("localhost", "/?x=/foobar/foo"), "1");
}

fn owner() -> ReservationOwner {
    ReservationOwner("B".to_owned())
}

fn n13_a_reservation_blocks_what_is_below_it(io: Io) {
    let server = Server::start(io);
    server.serve("*/vroot/", label("1"));
    server
        .backend
        .reserve_url(&server.url("adatum.com/"), owner())
        .unwrap();
    server.refuses(
        "GET /vroot/f HTTP/1.1\r\nHost: adatum.com\r\n\r\n",
        503,
        "N/A",
    );
    assert_eq!(server.route("other.com", "/vroot/f"), "1");
}

fn n14_n15_a_reservation_acts_and_ends_at_once(io: Io) {
    let server = Server::start(io);
    server.serve("*/", label("1"));
    let root = server.url("+/");
    server.backend.reserve_url(&root, owner()).unwrap();
    server.refuses("GET / HTTP/1.1\r\nHost: any.example\r\n\r\n", 503, "N/A");
    server.backend.delete_reservation(&root).unwrap();
    assert_eq!(server.route("any.example", "/"), "1");
}

fn n16_an_unknown_host_is_refused(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", server.port);
    server.refuses(request, 400, "Hostname");
}

fn n17_n18_a_host_that_is_none_is_refused(io: Io) {
    let server = Server::start(io);
    server.serve("*/", label("1"));
    server.serve("+/v/", label("2"));
    let mapped = format!("[::ffff:7f00:1]:{}", server.port);
    for host in [mapped.as_str(), "http://1.2.3.4/v"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        server.refuses(request, 400, "Hostname");
    }
}

fn n19_an_absolute_target_overrides_the_host(io: Io) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve("localhost/", application);
    let host = format!("localhost:{}", server.port);
    let request = format!("GET http://{host}/a?b HTTP/1.1\r\nHost: ignored\r\n\r\n");
    assert_eq!(server.client().ask(request).status, 200);
    let request = requests.recv().unwrap();
    assert_eq!(request.host, Some(host.clone()));
    assert_eq!(request.target, format!("http://{host}/a?b"));
    assert_eq!(
        (request.cooked_path.as_str(), request.query.as_deref()),
        ("/a", Some("b"))
    );
}

fn n20_paths_match_by_segment_and_without_letter_case(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/base/", label("1"));
    assert_eq!(server.route("localhost", "/base"), "1");
    assert_eq!(server.route("localhost", "/BASE/x"), "1");
    assert_eq!(server.route("localhost", "/basement"), "404");
}

fn n21_n22_escapes_are_decoded_for_routing(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/base path/", label("1"));
    server.serve("localhost/\u{6e2c}\u{8a66}/", label("2"));
    assert_eq!(server.route("localhost", "/base%20path/sub%20path"), "1");
    assert_eq!(server.route("localhost", "/%E6%B8%AC%e8%a9%a6/x"), "2");
}

fn n23_to_n26_odd_paths_are_cooked_for_routing_only(io: Io) {
    let server = Server::start(io);
    let target = || {
        answering(|exchange| {
            let target = exchange.head().target().to_vec();
            answer(exchange, 200, target);
        })
    };
    server.serve("localhost/base/ball/", target());
    server.serve("localhost/a/b/", target());
    server.serve("root.example/", target());
    let cases = [
        ("localhost", r"/baSe\ball//p1"),
        ("localhost", "/base%2Fball/p1"),
        ("localhost", "/base%2fball/p1"),
        ("localhost", "/base/%5cball/p1"),
        ("localhost", "/base/%5Cball/p1"),
        ("localhost", "/base/call/../ball/p1"),
        ("localhost", "/base/call//../ball/p1"),
        ("localhost", "/base/call/.%2e/ball/p1"),
        ("localhost", "/a/d/../b/c"),
        ("localhost", "/a/./b/c"),
        ("localhost", "/a/b/%2E/c"),
        ("root.example", "//a/b//c"),
        ("root.example", "/%252F"),
        ("root.example", "/%C0%A4"),
    ];
    for (host, target) in cases {
        assert_eq!(server.route(host, target), target);
    }
}

fn n31_an_asterisk_goes_to_the_root(io: Io) {
    let server = Server::start(io);
    let (application, requests) = seen();
    server.serve("localhost/", application);
    let response = server
        .client()
        .ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(response.status, 200);
    let request = requests.recv().unwrap();
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("OPTIONS", "*")
    );
}

// http-server-api §2.3, 1: a port in the host is checked and otherwise ignored.
fn the_port_in_a_host_does_not_route(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    assert_eq!(server.route("localhost:1", "/"), "1");
    assert_eq!(server.route("localhost", "/"), "1");
}

fn an_address_literal_gets_any_host_on_that_address(io: Io) {
    let server = Server::start(io);
    server.serve("127.0.0.1/", label("1"));
    server.serve("*/", label("2"));
    assert_eq!(server.route("any.example", "/"), "1");
    assert_eq!(server.route("127.0.0.1", "/"), "1");
}
