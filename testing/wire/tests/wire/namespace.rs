//! Which prefixes can be registered, and what a change of them does. http-server-api §2.1, §2.2.

use tidegate_driver::Io;
use tidegate_httpapi::{
    ApiError, Backend, ErrorCode, GroupProperties, ReservationOwner, UrlPrefix,
};
use tidegate_wire::{Server, answer, answering, held, label, on_both_loops};

on_both_loops!(
    n04_a_prefix_is_registered_once,
    n07_a_prefix_is_removed_once,
    n27_a_port_carries_one_scheme,
    n28_a_group_without_queue_answers_503,
    n29_a_prefix_can_be_added_and_removed_while_serving,
    removing_all_prefixes_removes_them,
    a_request_in_progress_outlives_its_prefix,
    a_closed_session_takes_its_groups_along,
);

fn parse_code(prefix: &str) -> Result<String, ErrorCode> {
    match UrlPrefix::parse(prefix) {
        Ok(prefix) => Ok(prefix.to_string()),
        Err(error) => Err(error.code()),
    }
}

#[test]
fn n01_to_n03_n05_malformed_prefixes_are_invalid() {
    for prefix in [
        "http://h:8080",
        "http://h:0/",
        "http://h:/",
        "http://h/",
        "h:8080/",
        "http://h:080/",
        "http://h:65536/",
        "http://h:8080/barfoo?a=b",
    ] {
        assert_eq!(
            parse_code(prefix),
            Err(ErrorCode::InvalidParameter),
            "{prefix}"
        );
    }
}

fn n04_a_prefix_is_registered_once(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/barfoo/", label("1"));
    let other = server.backend.create_url_group(server.session).unwrap();
    for place in ["localhost/barfoo/", "localhost/barfoo"] {
        let added = server.backend.add_url(other, &server.url(place), 0);
        assert_eq!(
            added.unwrap_err().code(),
            ErrorCode::AlreadyExists,
            "{place}"
        );
    }
    assert_eq!(server.route("localhost", "/barfoo/x"), "1");
}

fn n07_a_prefix_is_removed_once(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", label("1"));
    server
        .backend
        .remove_url(place.group, &place.prefix)
        .unwrap();
    let again = server.backend.remove_url(place.group, &place.prefix);
    assert_eq!(again.unwrap_err().code(), ErrorCode::FileNotFound);
}

fn n27_a_port_carries_one_scheme(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", label("1"));
    let https = UrlPrefix::parse(&format!("https://localhost:{}/other/", server.port)).unwrap();
    let added = server.backend.add_url(place.group, &https, 0).unwrap_err();
    assert!(matches!(added, ApiError::SchemeConflict { .. }), "{added}");
    let owner = ReservationOwner("svc".to_owned());
    let reserved = server.backend.reserve_url(&https, owner).unwrap_err();
    assert!(
        matches!(reserved, ApiError::SchemeConflict { .. }),
        "{reserved}"
    );
    assert_eq!(server.route("localhost", "/"), "1");
}

fn n28_a_group_without_queue_answers_503(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/", label("1"));
    server
        .backend
        .bind_request_queue(place.group, None)
        .unwrap();
    server.refuses("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 503, "N/A");
    server
        .backend
        .bind_request_queue(place.group, Some(place.queue))
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "1");
    server
        .backend
        .bind_request_queue(place.group, None)
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "503");
}

fn n29_a_prefix_can_be_added_and_removed_while_serving(io: Io) {
    let server = Server::start(io);
    let context = answering(|exchange| {
        let context = exchange.head().registration.context;
        answer(exchange, 200, context.to_string());
    });
    let place = server.serve("localhost/", context);
    let base = server.url("localhost/pathbase/");
    server.backend.add_url(place.group, &base, 2).unwrap();
    // The same connection sees the change as well.
    let mut client = server.client();
    let request = "GET /pathbase/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(client.ask(request).text(), "2");
    server.backend.remove_url(place.group, &base).unwrap();
    assert_eq!(client.ask(request).text(), "0");
    assert_eq!(server.route("localhost", "/pathbase/x"), "0");
}

fn removing_all_prefixes_removes_them(io: Io) {
    let server = Server::start(io);
    let place = server.serve("localhost/a/", label("1"));
    let other = server.url("localhost/b/");
    server.backend.add_url(place.group, &other, 0).unwrap();
    assert_eq!(server.route("localhost", "/b/"), "1");
    server.backend.remove_all_urls(place.group).unwrap();
    for target in ["/a/", "/b/"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        server.refuses(request, 400, "Hostname");
    }
}

fn a_request_in_progress_outlives_its_prefix(io: Io) {
    let server = Server::start(io);
    let (application, requests) = held();
    let place = server.serve("localhost/", application);
    let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    let first = requests.next();
    let second = requests.next();
    let third = requests.next();
    server
        .backend
        .remove_url(place.group, &place.prefix)
        .unwrap();
    first.responder.respond_bytes(200, "done".into());
    server.backend.close_url_group(place.group).unwrap();
    second.responder.respond_bytes(200, "done".into());
    server.backend.close_request_queue(place.queue).unwrap();
    third.responder.respond_bytes(200, "done".into());
    for client in &mut clients {
        assert_eq!(client.response().text(), "done");
    }
}

// http-server-api C11.
fn a_closed_session_takes_its_groups_along(io: Io) {
    let server = Server::start(io);
    let session = server.backend.create_server_session().unwrap();
    let group = server.backend.create_url_group(session).unwrap();
    let prefix = server.url("localhost/");
    server.backend.add_url(group, &prefix, 0).unwrap();
    server.backend.close_server_session(session).unwrap();
    let unknown = |result: Result<(), ApiError>| {
        assert_eq!(result.unwrap_err().code(), ErrorCode::InvalidParameter);
    };
    unknown(server.backend.close_url_group(group));
    unknown(server.backend.close_server_session(session));
    let properties = GroupProperties::default();
    unknown(server.backend.set_group_properties(group, properties));
    // The prefix is free again.
    server.serve("localhost/", label("1"));
    assert_eq!(server.route("localhost", "/"), "1");
}
