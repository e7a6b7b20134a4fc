//! Opaque mode: after a 101 the connection's bytes are the application's, both ways.
//! http-server-api §11, cases T08 to T10.

use tidegate_driver::Io;
use tidegate_httpapi::OperatingMode;
use tidegate_wire::{
    Server, Told, UPGRADE, Upgrade, echo_bytes, on_both_loops_in_both_modes, upgrading,
};

on_both_loops_in_both_modes!(
    t08_bytes_pass_both_ways_after_101,
    bytes_behind_the_head_come_after_opened,
);

fn t08_bytes_pass_both_ways_after_101(io: Io, mode: OperatingMode) {
    for upgrade in [Upgrade::AtOnce, Upgrade::Later] {
        let server = Server::start(io);
        let (application, lanes) = upgrading(upgrade, echo_bytes);
        server.serve_in(mode, "localhost/", application);
        let mut client = server.client();
        let response = client.ask(UPGRADE);
        assert_eq!(response.status, 101);
        assert_eq!(response.field("Connection"), Some("Upgrade"));
        assert_eq!(response.field("Upgrade"), Some("echo"));
        assert_eq!(response.field("Content-Length"), None);
        assert_eq!(response.field("Transfer-Encoding"), None);
        let key = lanes.opened();
        // Whatever they look like.
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\xFF\r\n", b"x"] {
            client.send(bytes);
            assert_eq!(client.take(bytes.len()), bytes);
            assert_eq!(lanes.next(), Told::Received(key, bytes.to_vec()));
        }
        assert_eq!(server.backend.counters().upgraded, 1);
        lanes.with(key, |connection| connection.output().extend(b"by itself"));
        assert_eq!(client.take(9), b"by itself");
    }
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
