//! Requests that are answered at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tidegate_driver::Io;
use tidegate_httpapi::{Application, Backend, Body, Exchange, FieldBlock, ResponseHead};

use crate::{allocations_of, count_here, serve, serve_logged};

/// Answers with a field and either fixed bytes or the content it was sent.
struct Inline;

impl Application for Inline {
    fn request(&self, mut exchange: Exchange<'_>) {
        count_here();
        let mut head = ResponseHead::new(200);
        head.fields = FieldBlock::with_memory(exchange.spare_memory());
        head.fields
            .append("Content-Type", "text/plain")
            .expect("a valid field");
        let has_content = exchange.content() != Some(&[]);
        let body = if has_content {
            let mut memory = exchange.spare_memory();
            memory.extend_from_slice(exchange.content().expect("content is gathered"));
            Body::Owned(memory)
        } else {
            Body::Static(b"Hello, World!")
        };
        exchange.respond(head, body);
    }
}

/// Sends `depth` requests at once and reads the answers, many times.
fn exchange_all(
    stream: &mut TcpStream,
    request: &[u8],
    answer_len: usize,
    depth: usize,
    rounds: usize,
) {
    let batch = request.repeat(depth);
    let mut answers = vec![0; answer_len * depth];
    for _ in 0..rounds {
        stream.write_all(&batch).expect("sent");
        stream.read_exact(&mut answers).expect("answered");
        assert!(answers.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

fn answer_len(stream: &mut TcpStream, request: &[u8]) -> usize {
    stream.write_all(request).expect("sent");
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).expect("answered");
        answer.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, content)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .expect("a length")
                .parse()
                .expect("a number");
            if content.len() == length {
                return answer.len();
            }
        }
    }
}

/// Counts for many requests.
pub(crate) fn check(io: Io) {
    if let Some((_backend, port)) = serve(io, Inline) {
        count_requests(io, port);
    }
}

/// Counts for many requests that are logged.
pub(crate) fn check_logged(io: Io) {
    let folder = tempfile::tempdir().expect("a folder");
    if let Some((backend, port)) = serve_logged(io, folder.path(), Inline) {
        let requests = count_requests(io, port);
        backend.stop(Duration::from_secs(10));
        let counters = backend.log_counters();
        assert_eq!(
            (counters.requests_written, counters.requests_lost),
            (requests, 0)
        );
    }
}

/// Says how many requests there were.
fn count_requests(io: Io, port: u16) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let requests: [&[u8]; 3] = [
        b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /a%20b/../c?d HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
        b"POST /e HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789",
    ];
    let lengths = requests.map(|request| answer_len(&mut stream, request));
    let mut run = |rounds| {
        for (request, length) in requests.iter().zip(lengths) {
            exchange_all(&mut stream, request, length, 1, rounds);
            exchange_all(&mut stream, request, length, 16, rounds);
        }
    };
    // The first rounds fill the worker's stores of memory.
    run(20);
    let allocations = allocations_of(|| run(200));
    assert_eq!(allocations, 0, "allocations in 10,200 requests on {io:?}");
    3 + 220 * 3 * 17
}
