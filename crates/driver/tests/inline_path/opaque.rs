//! Bytes of an upgraded connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tidegate_driver::Io;
use tidegate_httpapi::{
    Application, Exchange, LaneHost, OpaqueConnection, OpaqueConnections, OpaqueEnd, OpaqueKey,
    OpaqueLane, Opening, ResponseHead,
};

use crate::{allocations_of, count_here, serve};

/// Upgrades, and sends back what arrives.
struct Echo;

impl Application for Echo {
    fn request(&self, exchange: Exchange<'_>) {
        let mut head = ResponseHead::new(101);
        head.fields.append("Upgrade", "echo").expect("a field");
        exchange.upgrade(head, Box::new(())).expect("upgraded");
    }

    fn open_lane(&self, host: LaneHost) -> Box<dyn OpaqueLane> {
        count_here();
        Box::new(EchoLane { host, told: None })
    }
}

struct EchoLane {
    host: LaneHost,
    /// A connection that is to hear of a wake.
    told: Option<OpaqueKey>,
}

impl OpaqueLane for EchoLane {
    fn opened(&mut self, _: &mut dyn OpaqueConnection, _: Opening) {}

    fn received(&mut self, connection: &mut dyn OpaqueConnection, bytes: &mut [u8]) {
        connection.set_due(Some(Duration::from_secs(60)));
        connection.notify_sent();
        // The last byte is sent by a wake.
        let (last, others) = bytes.split_last_mut().expect("never empty");
        assert_eq!(*last, b'.');
        others.reverse();
        connection.output().extend_from_slice(others);
        self.told = Some(connection.key());
        self.host.waker.wake();
    }

    fn peer_ended(&mut self, connection: &mut dyn OpaqueConnection) {
        connection.end();
    }

    fn sent(&mut self, connection: &mut dyn OpaqueConnection) {
        assert_eq!(connection.unsent(), 0);
    }

    fn due(&mut self, _: &mut dyn OpaqueConnection) {}

    fn closed(&mut self, _: OpaqueKey, _: OpaqueEnd) {}

    fn woken(&mut self, connections: &mut dyn OpaqueConnections) {
        if let Some(key) = self.told.take() {
            connections.with(key, &mut |connection| connection.output().push(b'.'));
        }
    }

    fn stop(&mut self, _: &mut dyn OpaqueConnections) {}
}

/// Counts for many messages.
pub(crate) fn check(io: Io) {
    let Some((_backend, port)) = serve(io, Echo) else {
        return;
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    stream
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        )
        .expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("answered");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    let mut run = |rounds| {
        for _ in 0..rounds {
            stream.write_all(b"dcba.").expect("sent");
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).expect("answered");
            assert_eq!(&answer, b"abcd.");
        }
    };
    run(20);
    let allocations = allocations_of(|| run(2000));
    assert_eq!(allocations, 0, "allocations in 2,000 messages on {io:?}");
}
