//! What does one exchange on an HTTP/2 connection cost: a browser's request of fifteen fields, and the head
//! of an answer with a kilobyte of content?
//!
//! `same` asks the same over and over; `turns` asks for two paths in turn, so that each head is decoded and
//! read; `lengths` has answers that differ each time. See `cost` how to count. Leaves out the content's
//! bytes, cache misses and all that a server does around it.

use std::hint::black_box;
use std::process::ExitCode;

use tidegate_httpapi::{Http2Limits, RequestLimits, ResponseHead, ServerHeaderMode, Version};
use tidegate_proto::http1::{ResponseContext, format_date};
use tidegate_proto::http2::hpack::{Encoder, Indexing};
use tidegate_proto::http2::{Connection, Event, StreamKey};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(case), Some(Ok(count))) = (
        arguments.next(),
        arguments.next().map(|count| count.parse::<u32>()),
    ) else {
        eprintln!("usage: http2_cost same|turns|lengths COUNT");
        return ExitCode::FAILURE;
    };
    match case.as_str() {
        "same" => exchange(count, &["/plaintext"], 0),
        "turns" => exchange(count, &["/plaintext", "/index.html"], 0),
        "lengths" => exchange(count, &["/plaintext"], 1),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

fn exchange(count: u32, paths: &[&str], length_step: usize) {
    let mut server = Server::new();
    let mut encoder = Encoder::new(4096);
    let mut answer = ResponseHead::new(200);
    let added = answer
        .fields
        .append("Content-Type", "text/html; charset=utf-8");
    assert!(added.is_ok());
    // The first puts all but the path into the table.
    let first = request(&mut encoder, paths[0]);
    let requests: Vec<_> = paths
        .iter()
        .map(|path| request(&mut encoder, path))
        .collect();
    for number in 0..count {
        let mut frame = match requests.get((number as usize).wrapping_sub(1) % requests.len()) {
            Some(later) if number > 0 => later.clone(),
            _ => first.clone(),
        };
        frame[5..9].copy_from_slice(&(2 * number + 1).to_be_bytes());
        let stream = server.receive(&mut frame, number);
        let length = 1024 - length_step * (number as usize % 1000);
        server.answer(stream, &answer, length);
        // The peer makes room for as much again.
        let mut update = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 4, 0];
        server.receive(&mut update, number);
    }
}

struct Server {
    connection: Connection,
    date: [u8; 29],
    out: Vec<u8>,
}

impl Server {
    fn new() -> Self {
        let mut out = Vec::new();
        let limits = Http2Limits::default();
        let connection = Connection::new(&limits, &RequestLimits::default(), 65_535, &mut out);
        let mut server = Self {
            connection,
            date: format_date(784_111_777),
            out,
        };
        let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        server.receive(&mut opening, 0);
        server
    }

    /// Takes all of the bytes. Returns the stream of the last request.
    fn receive(&mut self, bytes: &mut [u8], number: u32) -> StreamKey {
        let mut stream = StreamKey { slot: 0, id: 0 };
        let mut at = 0;
        while at < bytes.len() {
            // So few in a minute that no limit is reached.
            let step = self
                .connection
                .receive(&mut bytes[at..], number / 64, &mut self.out);
            at += step.consumed;
            match black_box(step.event) {
                Event::Request { stream: key, .. } => stream = key,
                Event::Failed(failure) => panic!("{failure:?}"),
                _ => {}
            }
        }
        stream
    }

    fn answer(&mut self, stream: StreamKey, head: &ResponseHead, length: usize) {
        black_box(self.connection.head());
        let context = ResponseContext {
            version: Version::Http2,
            head_request: false,
            keep_alive: true,
            date: &self.date,
            server_token: "Tidegate/0.1",
            server_mode: ServerHeaderMode::Full,
            from_driver: false,
        };
        let Self {
            connection, out, ..
        } = self;
        out.clear();
        connection.send_head(stream, black_box(head), Some(length as u64), &context, out);
        let sent = connection.send_data(stream, length, true, out);
        assert_eq!(sent, Some(length));
        connection.release(stream, out);
        black_box(out);
    }
}

/// A request's HEADERS frame, whose stream is not filled in.
fn request(encoder: &mut Encoder, path: &str) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 1, 0x5, 0, 0, 0, 0];
    for (name, value) in BROWSER {
        let (value, indexing) = match *name {
            ":path" => (path, Indexing::Without),
            _ => (*value, Indexing::Incremental),
        };
        encoder.encode_field(&mut frame, name.as_bytes(), value.as_bytes(), indexing);
    }
    let len = (frame.len() - 9) as u16;
    frame[1..3].copy_from_slice(&len.to_be_bytes());
    frame
}

const BROWSER: &[(&str, &str)] = &[
    (":method", "GET"),
    (":path", ""),
    (":scheme", "https"),
    (":authority", "www.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://www.example.com/index.html"),
    (
        "cookie",
        "session=0123456789abcdef0123456789abcdef; theme=dark",
    ),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("cache-control", "max-age=0"),
    ("te", "trailers"),
];
