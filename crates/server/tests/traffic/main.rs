//! The firewall and the rate limiter, on real ports, on each event loop the system offers, in both operating
//! modes.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../client/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
mod firewall;
#[path = "../http2/http2_client.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http2_client;
mod inspection;
mod messages;
mod rate_limit;
mod users;
#[path = "../client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Waits for what nobody tells of.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < websocket::PATIENCE, "{what} never holds");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a new connection is closed without a word, though it asks for something.
fn is_shut_out(host: &str, port: u16) -> bool {
    let mut stream = TcpStream::connect((host, port)).unwrap();
    stream.set_read_timeout(Some(websocket::PATIENCE)).unwrap();
    // It may have been closed already.
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => answer.is_empty(),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            true
        }
    }
}
