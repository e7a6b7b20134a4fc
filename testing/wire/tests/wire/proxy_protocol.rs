//! The PROXY header that connections of some ports begin with.
//!
//! Source: HAProxy, "The PROXY protocol", versions 1 & 2.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_driver::Io;
use tidegate_httpapi::{
    AddressRange, Admission, Application, Backend, ConnectionFilter, ConnectionInfo, OperatingMode,
};
use tidegate_wire::{
    Certificate, Client, Offer, Server, answer, answering, on_both_loops,
    on_both_loops_in_both_modes,
};

on_both_loops_in_both_modes!(a_header_tells_who_connected);

on_both_loops!(
    a_header_is_read_the_same_however_it_is_cut,
    a_header_that_says_nothing_leaves_the_ends_as_they_are,
    a_header_comes_before_tls,
    what_is_no_header_closes_the_connection,
    who_is_not_trusted_is_closed,
    a_header_that_does_not_come_is_given_up,
    the_filter_is_asked_about_whom_the_header_tells,
    a_port_is_as_it_was_when_it_is_no_longer_asked_for,
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LINE: &str = "PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n";
const ENDS: &str = "192.0.2.1:50000 198.51.100.2:443";

/// Answers with both ends of the connection.
fn ends() -> Arc<dyn Application> {
    answering(|exchange| {
        let ends = format!("{} {}", exchange.peer(), exchange.local());
        answer(exchange, 200, ends);
    })
}

fn trusted(ranges: &[&str]) -> Option<Vec<AddressRange>> {
    Some(ranges.iter().map(|range| range.parse().unwrap()).collect())
}

fn begin(io: Io) -> Server {
    begin_in(io, OperatingMode::HighPerf)
}

fn begin_in(io: Io, mode: OperatingMode) -> Server {
    let server = Server::start(io);
    server.serve_in(mode, "localhost/", ends());
    let loopback = trusted(&["127.0.0.0/8", "::1"]);
    server
        .backend
        .set_proxy_protocol(server.port, loopback)
        .unwrap();
    server
}

/// A header of version 2.
fn binary(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend_from_slice(&[command, kind]);
    bytes.extend_from_slice(&(rest.len() as u16).to_be_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

const IPV4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0xC3, 0x50, 0x01, 0xBB];

fn a_header_tells_who_connected(io: Io, mode: OperatingMode) {
    let server = begin_in(io, mode);
    let mut client = server.client();
    // Together with two requests, and then another.
    client.send(format!("{LINE}{GET}{GET}"));
    for _ in 0..2 {
        assert_eq!(client.response().text(), ENDS);
    }
    assert_eq!(client.ask(GET).text(), ENDS);
    let mut client = server.client();
    client.send(binary(0x21, 0x11, IPV4));
    assert_eq!(client.ask(GET).text(), ENDS);
    let mut client = server.client();
    client.send("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n");
    assert_eq!(client.ask(GET).text(), "[2001:db8::1]:1 [2001:db8::2]:2");
    // A header is no head: the second is refused as a request.
    client.send(LINE);
    assert_eq!(client.response().status, 400);
}

fn a_header_is_read_the_same_however_it_is_cut(io: Io) {
    let server = begin(io);
    for header in [LINE.as_bytes().to_vec(), binary(0x21, 0x11, IPV4)] {
        let whole = [&header[..], GET.as_bytes()].concat();
        for at in 1..header.len() + 4 {
            let mut client = server.client();
            let (one, two) = whole.split_at(at);
            client.send_pieces([one, two]);
            assert_eq!(client.response().text(), ENDS, "{at}");
        }
        let mut client = server.client();
        client.send_pieces(whole.chunks(1));
        assert_eq!(client.response().text(), ENDS);
    }
}

fn a_header_that_says_nothing_leaves_the_ends_as_they_are(io: Io) {
    let server = begin(io);
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        binary(0x20, 0x11, IPV4),
        binary(0x21, 0x00, b""),
        binary(0x21, 0x31, &[0; 216]),
    ] {
        let mut client = server.client();
        client.send(&header);
        let own = format!("127.0.0.1:{} 127.0.0.1:{}", client.port(), server.port);
        assert_eq!(client.ask(GET).text(), own);
    }
}

fn a_header_comes_before_tls(io: Io) {
    let server = Server::start_secure(io);
    server.bind("localhost", &Certificate::new("localhost"));
    server.serve("localhost/", ends());
    server
        .backend
        .set_proxy_protocol(server.port, trusted(&["127.0.0.1"]))
        .unwrap();
    let offer = Offer {
        name: Some("localhost"),
        ..Offer::default()
    };
    let mut client = server.client();
    client.send(LINE);
    let mut client = client.secured(&offer).unwrap();
    assert_eq!(client.ask(GET).text(), ENDS);
    assert!(Client::connect_secure(server.port, &offer).is_err());
}

fn what_is_no_header_closes_the_connection(io: Io) {
    let server = begin(io);
    for bytes in [
        GET.as_bytes(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 50000\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 50000 80\n",
        &[b'x'; 200],
        &[b"PROXY ", &[b'x'; 200][..]].concat(),
        &binary(0x21, 0x11, &[0; 11]),
        &binary(0x21, 0x11, &[0; 5000]),
        &binary(0x31, 0x11, IPV4),
    ] {
        let mut client = server.client();
        client.send(bytes);
        client.expect_close();
        let line = server.errors.of_client(client.port());
        assert_eq!(
            (line.status.as_str(), line.reason.as_str()),
            ("-", "BadRequest")
        );
    }
}

fn who_is_not_trusted_is_closed(io: Io) {
    let server = begin(io);
    let elsewhere = trusted(&["192.0.2.0/24", "::/0"]);
    server
        .backend
        .set_proxy_protocol(server.port, elsewhere)
        .unwrap();
    let mut client = server.client();
    client.send(format!("{LINE}{GET}"));
    client.expect_close();
}

fn a_header_that_does_not_come_is_given_up(io: Io) {
    let server = Server::start_with(io, |settings| {
        settings.timeouts.header_wait = Some(Duration::from_millis(300));
    });
    server
        .backend
        .set_proxy_protocol(server.port, trusted(&["127.0.0.1"]))
        .unwrap();
    for bytes in ["", "PROXY TCP4 192.0.2.1"] {
        let mut client = server.client();
        client.send(bytes);
        client.expect_close();
        let line = server.errors.of_client(client.port());
        assert_eq!(line.reason, "Timer_HeaderWait");
    }
}

#[derive(Default)]
struct Door(Mutex<Vec<String>>);

impl ConnectionFilter for Door {
    fn connected(&self, connection: &ConnectionInfo) -> Admission {
        let peer = connection.peer.to_string();
        let is_bad = peer.starts_with("192.0.2.9:");
        self.0.lock().unwrap().push(peer);
        match is_bad {
            true => Admission::Refuse,
            false => Admission::Accept,
        }
    }
}

fn the_filter_is_asked_about_whom_the_header_tells(io: Io) {
    let server = begin(io);
    let door = Arc::new(Door::default());
    let filter = Arc::<Door>::clone(&door);
    server.backend.set_connection_filter(Some(filter)).unwrap();
    // Workers take the filter up one by one.
    tidegate_wire::until("all ask", || {
        for _ in 0..16 {
            let mut client = server.client();
            client.send(LINE);
            assert_eq!(client.ask(GET).text(), ENDS);
        }
        std::mem::take(&mut *door.0.lock().unwrap()) == vec!["192.0.2.1:50000"; 16]
    });
    for _ in 0..4 {
        let mut client = server.client();
        client.send(format!("PROXY TCP4 192.0.2.9 192.0.2.2 1 2\r\n{GET}"));
        client.expect_close();
    }
    assert_eq!(door.0.lock().unwrap().len(), 4);
}

fn a_port_is_as_it_was_when_it_is_no_longer_asked_for(io: Io) {
    let server = begin(io);
    server
        .backend
        .set_proxy_protocol(server.port, None)
        .unwrap();
    let mut client = server.client();
    let own = format!("127.0.0.1:{} 127.0.0.1:{}", client.port(), server.port);
    assert_eq!(client.ask(GET).text(), own);
}
