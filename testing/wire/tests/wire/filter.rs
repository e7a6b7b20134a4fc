//! The filter that is asked about each connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidegate_driver::Io;
use tidegate_httpapi::{Admission, Backend, ConnectionFilter, ConnectionInfo, PeerAddress};
use tidegate_wire::{Server, label, on_both_loops, until};

on_both_loops!(
    refused_connections_are_dropped,
    a_filter_that_panics_refuses
);

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Lets in while it is open.
#[derive(Default)]
struct Door {
    open: AtomicBool,
    panics: AtomicBool,
    asked: AtomicUsize,
}

impl ConnectionFilter for Door {
    fn connected(&self, connection: &ConnectionInfo) -> Admission {
        let loopback = |address: &PeerAddress| match address {
            PeerAddress::Tcp(address) => address.ip().is_loopback(),
            _ => false,
        };
        assert!(loopback(&connection.peer) && loopback(&connection.local));
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(
            !self.panics.load(Ordering::Relaxed),
            "expected in this test"
        );
        if self.open.load(Ordering::Relaxed) {
            Admission::Accept
        } else {
            Admission::Refuse
        }
    }
}

fn guarded(io: Io) -> (Server, Arc<Door>) {
    let server = Server::start(io);
    server.serve("localhost/", label("1"));
    let door = Arc::new(Door::default());
    door.open.store(true, Ordering::Relaxed);
    let filter = Arc::<Door>::clone(&door);
    server.backend.set_connection_filter(Some(filter)).unwrap();
    // Workers take the filter up one by one.
    until("all are asked", || {
        for _ in 0..16 {
            assert_eq!(server.client().ask(GET).text(), "1");
        }
        door.asked.swap(0, Ordering::Relaxed) == 16
    });
    until("they leave", || server.backend.connection_count() == 0);
    (server, door)
}

fn refused_connections_are_dropped(io: Io) {
    let (server, door) = guarded(io);
    let mut inside = server.client();
    assert_eq!(inside.ask(GET).text(), "1");
    door.open.store(false, Ordering::Relaxed);
    for _ in 0..4 {
        let mut client = server.client();
        client.send(GET);
        client.expect_close();
    }
    // Who is inside stays.
    assert_eq!(inside.ask(GET).text(), "1");
    assert_eq!(door.asked.load(Ordering::Relaxed), 5);
    until("the dropped ones are not counted", || {
        server.backend.connection_count() == 1
    });
}

fn a_filter_that_panics_refuses(io: Io) {
    let (server, door) = guarded(io);
    door.panics.store(true, Ordering::Relaxed);
    for _ in 0..4 {
        let mut client = server.client();
        client.send(GET);
        client.expect_close();
    }
    door.panics.store(false, Ordering::Relaxed);
    for _ in 0..4 {
        assert_eq!(server.client().ask(GET).text(), "1");
    }
}
