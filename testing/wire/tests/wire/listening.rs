//! Ports: when they are opened, closed, and whose they are. http-server-api §1, case N06.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

use tidegate_driver::Io;
use tidegate_httpapi::{ApiError, Backend, Endpoint, ErrorCode, OperatingMode};
use tidegate_wire::{
    Client, Server, free_port, label, on_both_loops, on_both_loops_in_both_modes, until,
};

on_both_loops!(
    n06_a_port_of_another_is_told,
    two_backends_do_not_share_a_port,
    a_port_is_open_while_somebody_needs_it,
    localhost_is_loopback_only,
    a_port_can_be_had_again_at_once,
    unix_sockets_are_served,
    both_address_families_are_served,
);

on_both_loops_in_both_modes!(prefixes_come_and_go_under_load);

fn idle(io: Io) -> Server {
    Server::idle(io, free_port(), |_| {})
}

/// The error names the port's owner.
fn check_in_use(added: Result<(), ApiError>) {
    let error = added.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SharingViolation);
    let ApiError::Listen {
        in_use: true,
        ref source,
        ..
    } = error
    else {
        panic!("{error}");
    };
    let said = format!("{error}: {source}");
    if cfg!(target_os = "linux") {
        assert!(said.contains(&std::process::id().to_string()), "{said}");
    }
}

fn n06_a_port_of_another_is_told(io: Io) {
    let foreign = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = foreign.local_addr().unwrap().port();
    let server = Server::idle(io, port, |_| {});
    let group = server.backend.create_url_group(server.session).unwrap();
    check_in_use(server.backend.add_url(group, &server.url("localhost/"), 0));
    // Nothing is left of the attempt.
    drop(foreign);
    let queue = server
        .backend
        .create_request_queue(Default::default(), label("1"))
        .unwrap();
    server
        .backend
        .bind_request_queue(group, Some(queue))
        .unwrap();
    server
        .backend
        .add_url(group, &server.url("localhost/"), 0)
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "1");
}

fn two_backends_do_not_share_a_port(io: Io) {
    let first = Server::start(io);
    first.serve("localhost/", label("1"));
    let second = Server::idle(io, first.port, |_| {});
    let group = second.backend.create_url_group(second.session).unwrap();
    for place in ["localhost/", "+/", "127.0.0.1/"] {
        check_in_use(second.backend.add_url(group, &second.url(place), 0));
    }
    for _ in 0..8 {
        assert_eq!(first.route("localhost", "/"), "1");
    }
}

fn is_open(address: IpAddr, port: u16) -> bool {
    TcpStream::connect((address, port)).is_ok()
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn a_port_is_open_while_somebody_needs_it(io: Io) {
    let server = idle(io);
    assert!(server.backend.endpoints().is_empty());
    assert!(!is_open(LOOPBACK, server.port));
    let first = server.serve("localhost/a/", label("1"));
    let second = server.serve("localhost/b/", label("2"));
    assert!(is_open(LOOPBACK, server.port));
    let mut client = server.client();
    let request = "GET /b/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(client.ask(request).text(), "2");
    server
        .backend
        .remove_url(first.group, &first.prefix)
        .unwrap();
    assert_eq!(server.route("localhost", "/b/"), "2");
    server
        .backend
        .remove_url(second.group, &second.prefix)
        .unwrap();
    assert!(server.backend.endpoints().is_empty());
    until("the port closes", || !is_open(LOOPBACK, server.port));
    // A connection there was outlives the listener, and finds nothing.
    assert_eq!(client.ask(request).status, 400);
    // And again.
    server.serve("localhost/", label("3"));
    assert_eq!(server.route("localhost", "/"), "3");
}

fn localhost_is_loopback_only(io: Io) {
    let server = idle(io);
    server.serve("localhost/", label("1"));
    let addresses: Vec<_> = server
        .backend
        .endpoints()
        .into_iter()
        .map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => address,
            Endpoint::Unix(path) => panic!("{}", path.display()),
        })
        .collect();
    assert!(!addresses.is_empty());
    for address in addresses {
        assert!(address.ip().is_loopback(), "{address}");
        assert_eq!(address.port(), server.port);
        let mut client = TcpStream::connect(address).map(drop);
        assert!(client.as_mut().is_ok(), "{address}");
    }
    // Any address takes over without letting go of the port.
    let place = server.serve("+/any/", label("2"));
    assert_eq!(server.route("localhost", "/any/"), "2");
    assert_eq!(server.route("localhost", "/"), "1");
    server
        .backend
        .remove_url(place.group, &place.prefix)
        .unwrap();
    assert_eq!(server.route("localhost", "/"), "1");
}

fn a_port_can_be_had_again_at_once(io: Io) {
    let mut server = idle(io);
    for round in 0..5 {
        server.serve("localhost/", label("1"));
        // The server closes first: its side waits in TIME_WAIT.
        assert_eq!(server.route("localhost", "/"), "1", "{round}");
        let port = server.port;
        let _open = server.client();
        drop(server);
        server = Server::idle(io, port, |_| {});
    }
}

fn both_address_families_are_served(io: Io) {
    let server = Server::start(io);
    server.serve("localhost/", label("name"));
    let loopback = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if TcpListener::bind((loopback, 0)).is_err() {
        println!("skipped: no IPv6 here");
        return;
    }
    let ask = |host: &str| {
        let mut client = Client::connect_to((loopback, server.port).into());
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        (client.ask(request), client.port())
    };
    assert_eq!(ask("localhost").0.text(), "name");
    let (response, port) = ask("[::1]");
    assert_eq!(response.status, 400);
    let line = server.errors.of_client(port);
    assert_eq!(
        (line.client.as_str(), line.server.as_str()),
        ("::1%0", "::1%0")
    );
    server.serve("[::1]/", label("v6"));
    assert_eq!(ask("[::1]").0.text(), "v6");
    // A prefix with an address is for that address only.
    server.serve("127.0.0.1/", label("v4"));
    assert_eq!(server.route("any.example", "/"), "v4");
    assert_eq!(ask("any.example").0.text(), "v6");
}

fn unix_sockets_are_served(io: Io) {
    let server = idle(io);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let queue = server
        .backend
        .create_request_queue(Default::default(), label("unix"))
        .unwrap();
    let group = server.backend.create_url_group(server.session).unwrap();
    server
        .backend
        .bind_request_queue(group, Some(queue))
        .unwrap();
    let added = server.backend.add_unix_endpoint(group, &socket, "/a/", 0);
    if let Err(ApiError::NotSupported { .. }) = added {
        println!("skipped: no Unix sockets here");
        return;
    }
    added.unwrap();
    assert_eq!(server.backend.endpoints(), [Endpoint::Unix(socket.clone())]);
    for host in ["any.example", "localhost"] {
        assert_eq!(unix_route(&socket, host, "/a/b"), "200 unix");
        assert!(unix_route(&socket, host, "/b").starts_with("404 "));
    }
    server.backend.remove_all_urls(group).unwrap();
    until("the socket is removed", || !socket.exists());
}

#[cfg(unix)]
fn unix_route(socket: &std::path::Path, host: &str, target: &str) -> String {
    use std::io::{Read, Write};

    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap();
    let content = response.split("\r\n\r\n").nth(1).unwrap();
    format!("{status} {content}")
}

#[cfg(not(unix))]
fn unix_route(_: &std::path::Path, _: &str, _: &str) -> String {
    unreachable!("there are no Unix sockets here")
}

fn prefixes_come_and_go_under_load(io: Io, mode: OperatingMode) {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", label("root"));
    let place = server.serve_in(mode, "localhost/sub/", label("sub"));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(server.port);
                    for _ in 0..500 {
                        let response = client.ask("GET /sub/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
                        assert!(matches!(response.text(), "root" | "sub"));
                    }
                })
            })
            .collect();
        while !clients.iter().all(|client| client.is_finished()) {
            server
                .backend
                .remove_url(place.group, &place.prefix)
                .unwrap();
            server
                .backend
                .add_url(place.group, &place.prefix, 0)
                .unwrap();
        }
    });
    assert_eq!(server.route("localhost", "/sub/"), "sub");
}
