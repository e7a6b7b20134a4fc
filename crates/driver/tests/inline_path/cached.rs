//! Requests that are answered from the response cache.

use std::io::{Read, Write};
use std::net::TcpStream;

use tidegate_driver::Io;
use tidegate_httpapi::{Application, Backend, Body, CachePolicy, Exchange, ResponseHead};

use crate::{allocations_of, count_here, serve};

/// Answers with text that is to be stored.
struct Stored;

impl Application for Stored {
    fn request(&self, exchange: Exchange<'_>) {
        count_here();
        let mut head = ResponseHead::new(200);
        head.fields
            .append("Content-Type", "text/plain")
            .expect("a valid field");
        head.cache = CachePolicy::UserInvalidates.into();
        exchange.respond(head, Body::Static(b"Hello, World!"));
    }
}

/// A GET with a field that makes its head one of many, which the worker sees at a glance.
fn request(number: usize) -> Vec<u8> {
    let path = ["/hello", "/a%20b?c=d", "/other"][number % 3];
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Number: {number:04}-number\r\n\r\n").into()
}

/// Counts for many requests.
pub(crate) fn check(io: Io) {
    let Some((backend, port)) = serve(io, Stored) else {
        return;
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let mut answer = Vec::new();
    let mut ask = |requests: &[u8], count: usize| {
        stream.write_all(requests).expect("sent");
        answer.resize(answer_len() * count, 0);
        stream.read_exact(&mut answer).expect("answered");
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(answer.ends_with(b"Hello, World!"));
    };
    // Some heads come again and again, others are so many that none is remembered.
    let many: Vec<Vec<u8>> = (0..300).map(request).collect();
    let again = request(0).repeat(16);
    let mut run = |rounds| {
        for _ in 0..rounds {
            many.iter().for_each(|request| ask(request, 1));
            ask(&again, 16);
        }
    };
    run(3);
    let allocations = allocations_of(|| run(10));
    assert_eq!(allocations, 0, "allocations in 3,160 requests on {io:?}");
    assert_eq!(backend.cache_counters().added, 3);
}

fn answer_len() -> usize {
    let token = concat!("Tidegate/", env!("CARGO_PKG_VERSION"));
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
         Server: {token}\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
    );
    head.len() + 13
}
