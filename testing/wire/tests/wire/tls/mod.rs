//! TLS: which certificate answers, records however they come, and how connections end. http-server-api §10.

mod bindings;
mod ends;
mod records;

use tidegate_driver::Io;
use tidegate_wire::{Certificate, Client, Offer, Server};

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server with one certificate for all.
fn secure(io: Io) -> Server {
    let server = Server::start_secure(io);
    server.bind("0.0.0.0", &Certificate::new("localhost"));
    server
}

/// A connection for HTTP/1.
fn connect(server: &Server) -> Client {
    Client::connect_secure(server.port, &Offer::of(&[])).expect("hands are shaken")
}
