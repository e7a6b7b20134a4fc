//! What TLS costs, for the choices that were made by it. Not a test: it judges nothing.
//!
//! `cargo test --release -p tidegate-driver tls::tests::cost -- --ignored --nocapture`, and once more with
//! `--features ring`. One thread, in memory, no system calls. Each figure is the least of many.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::server::{Acceptor, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, ServerConnection};

use super::peer::{Bound, Identity, Wire, client};
use crate::tls::bindings::Bindings;
use crate::tls::records::Records;
use crate::tls::session::StepEvent;

#[test]
#[ignore = "a measurement, to be run by hand: the benches do not reach a session alone"]
fn what_tls_costs() {
    let identity = Identity::self_signed("h");
    let bindings = Bound::new(&[("0.0.0.0:443", identity.binding())]).bindings();
    let local = "10.0.0.4:443".parse().unwrap();
    let config = Arc::clone(&bindings.select(local, None).unwrap().config);
    for version in [&TLS13, &TLS12] {
        println!("{:?}", version);
        let mut full = client(&[&identity.certificate], &[version]);
        full.resumption = rustls::client::Resumption::disabled();
        let full = Arc::new(full);
        let resumed = Arc::new(client(&[&identity.certificate], &[version]));
        for (name, client) in [("full", &full), ("resumed", &resumed)] {
            let mut least = [Duration::MAX; 3];
            for _ in 0..3000 {
                least[0] = least[0].min(bare(client, &config));
                least[1] = least[1].min(unbuffered(client, &config).0);
                least[2] = least[2].min(session(client, &bindings).0);
            }
            println!(
                "  {name} handshake: bare {:?}, unbuffered {:?}, session {:?}",
                least[0], least[1], least[2]
            );
        }
        extras(&full, &config);
        for size in [100, 1024, 16 * 1024] {
            records(&full, &config, &bindings, size);
        }
        memory(&full, &bindings);
    }
}

/// What a session does more than `rustls` alone: it looks at the hello beforehand, and takes the keys over.
fn extras(client: &Arc<ClientConfig>, config: &Arc<ServerConfig>) {
    let mut least = [Duration::MAX; 2];
    for _ in 0..1000 {
        let hello = Wire::new(client, "h", &Bindings::default()).take_from_client();
        let started = Instant::now();
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &hello[..]).unwrap();
        let accepted = acceptor.accept().unwrap().unwrap();
        assert!(accepted.client_hello().server_name().is_some());
        drop(accepted);
        least[0] = least[0].min(started.elapsed());
        let (_, server, _) = unbuffered(client, config);
        let started = Instant::now();
        let records = Records::take_over(server).ok().unwrap();
        least[1] = least[1].min(started.elapsed());
        drop(records);
    }
    println!(
        "  of it the look at the hello {:?}, the keys {:?}",
        least[0], least[1]
    );
}

/// The server's share of a handshake by `rustls`' buffered connection.
fn bare(client: &Arc<ClientConfig>, config: &Arc<ServerConfig>) -> Duration {
    let mut wire = Wire::new(client, "h", &Bindings::default());
    let mut time = Duration::ZERO;
    let started = Instant::now();
    let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
    time += started.elapsed();
    loop {
        let bytes = wire.take_from_client();
        if bytes.is_empty() {
            return time;
        }
        let started = Instant::now();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        while server.wants_write() {
            server.write_tls(&mut wire.out).unwrap();
        }
        time += started.elapsed();
        wire.give_client().unwrap();
    }
}

fn unbuffered(
    client: &Arc<ClientConfig>,
    config: &Arc<ServerConfig>,
) -> (Duration, UnbufferedServerConnection, Wire) {
    let mut wire = Wire::new(client, "h", &Bindings::default());
    let mut time = Duration::ZERO;
    let started = Instant::now();
    let mut server = UnbufferedServerConnection::new(Arc::clone(config)).unwrap();
    time += started.elapsed();
    loop {
        let mut bytes = wire.take_from_client();
        if bytes.is_empty() {
            return (time, server, wire);
        }
        let started = Instant::now();
        pump(&mut server, &mut bytes, &mut wire.out, |_| {});
        time += started.elapsed();
        wire.give_client().unwrap();
    }
}

fn pump(
    server: &mut UnbufferedServerConnection,
    bytes: &mut [u8],
    out: &mut Vec<u8>,
    mut received: impl FnMut(&[u8]),
) {
    let mut done = 0;
    loop {
        let UnbufferedStatus { discard, state } = server.process_tls_records(&mut bytes[done..]);
        done += discard;
        match state.unwrap() {
            ConnectionState::EncodeTlsData(mut data) => {
                let start = out.len();
                out.resize(start + 16 * 1024, 0);
                let count = data.encode(&mut out[start..]).unwrap();
                out.truncate(start + count);
            }
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    received(record.unwrap().payload);
                }
            }
            _ => return,
        }
    }
}

fn session(client: &Arc<ClientConfig>, bindings: &Bindings) -> (Duration, Wire) {
    let mut wire = Wire::new(client, "h", bindings);
    let mut time = Duration::ZERO;
    loop {
        let mut bytes = wire.take_from_client();
        if bytes.is_empty() {
            return (time, wire);
        }
        let started = Instant::now();
        wire.give_server(&mut bytes);
        time += started.elapsed();
        wire.give_client().unwrap();
    }
}

/// Receiving `size` bytes, and sending as many.
fn records(
    client: &Arc<ClientConfig>,
    config: &Arc<ServerConfig>,
    bindings: &Bindings,
    size: usize,
) {
    let content = vec![b'x'; size];
    let mut figures = [[Duration::MAX; 2]; 3];
    let (_, mut server, mut raw) = unbuffered(client, config);
    let (_, mut wire) = session(client, bindings);
    let (mut bare_server, mut bare_wire) = {
        let mut wire = Wire::new(client, "h", bindings);
        let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
        server.set_buffer_limit(None);
        loop {
            let bytes = wire.take_from_client();
            if bytes.is_empty() {
                break (server, wire);
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().unwrap();
            }
            while server.wants_write() {
                server.write_tls(&mut wire.out).unwrap();
            }
            wire.give_client().unwrap();
        }
    };
    for wire in [&mut raw, &mut wire, &mut bare_wire] {
        wire.client.set_buffer_limit(None);
    }
    let mut sink = vec![0u8; size + 64];
    for _ in 0..400 {
        // Buffered.
        bare_wire.client_says(&content);
        let bytes = bare_wire.take_from_client();
        let started = Instant::now();
        let mut rest = &bytes[..];
        let mut got = 0;
        while got < size {
            if !rest.is_empty() {
                server_read(&mut bare_server, &mut rest);
            }
            while let Ok(count @ 1..) = bare_server.reader().read(&mut sink) {
                got += count;
            }
        }
        figures[0][0] = figures[0][0].min(started.elapsed());
        let mut out = Vec::with_capacity(size + 4096);
        let started = Instant::now();
        bare_server.writer().write_all(&content).unwrap();
        while bare_server.wants_write() {
            bare_server.write_tls(&mut out).unwrap();
        }
        figures[0][1] = figures[0][1].min(started.elapsed());
        bare_wire.out = out;
        bare_wire.give_client().unwrap();
        drain(&mut bare_wire, &mut sink);

        // Unbuffered.
        raw.client_says(&content);
        let mut bytes = raw.take_from_client();
        let mut out = Vec::new();
        let mut got = 0;
        let started = Instant::now();
        pump(&mut server, &mut bytes, &mut out, |piece| {
            sink[..piece.len()].copy_from_slice(piece);
            got += piece.len();
        });
        figures[1][0] = figures[1][0].min(started.elapsed());
        assert_eq!(got, size);
        let mut out = Vec::with_capacity(size + 4096);
        let started = Instant::now();
        let UnbufferedStatus { state, .. } = server.process_tls_records(&mut []);
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else {
            panic!()
        };
        out.resize(size + 4096, 0);
        let count = traffic.encrypt(&content, &mut out).unwrap();
        out.truncate(count);
        figures[1][1] = figures[1][1].min(started.elapsed());
        raw.out = out;
        raw.give_client().unwrap();
        drain(&mut raw, &mut sink);

        // Session.
        wire.client_says(&content);
        let mut bytes = wire.take_from_client();
        let mut out = Vec::with_capacity(size + 4096);
        let started = Instant::now();
        let mut rest = &mut bytes[..];
        let mut got = 0;
        while !rest.is_empty() {
            let step = wire
                .session
                .receive(rest, &wire.bindings, wire.local, &mut out);
            if let StepEvent::Plaintext(range) = step.event {
                got += range.len();
            }
            rest = &mut rest[step.consumed..];
        }
        figures[2][0] = figures[2][0].min(started.elapsed());
        assert_eq!(got, size);
        let started = Instant::now();
        wire.session.encrypt(&[&content], &mut out).unwrap();
        figures[2][1] = figures[2][1].min(started.elapsed());
        wire.out = out;
        wire.give_client().unwrap();
        drain(&mut wire, &mut sink);
    }
    println!(
        "  {size} bytes in and out: bare {:?}, unbuffered {:?}, session {:?}",
        figures[0], figures[1], figures[2]
    );
}

fn server_read(server: &mut ServerConnection, rest: &mut &[u8]) {
    server.read_tls(rest).unwrap();
    server.process_new_packets().unwrap();
}

fn drain(wire: &mut Wire, sink: &mut [u8]) {
    while let Ok(1..) = wire.client.reader().read(sink) {}
}

/// Resident memory of sessions that have shaken hands and wait.
fn memory(client: &Arc<ClientConfig>, bindings: &Bindings) {
    const COUNT: usize = 10_000;
    let mut sessions = Vec::with_capacity(COUNT);
    sessions.resize_with(COUNT, Default::default);
    let before = resident_bytes();
    for place in &mut sessions {
        let (_, wire) = session(client, bindings);
        *place = wire.session;
    }
    let each = resident_bytes().saturating_sub(before) / COUNT;
    println!("  {each} bytes resident for a session");
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
