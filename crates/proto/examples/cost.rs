//! What does one request head, or one response head, cost?
//!
//! Does one thing over and over, so that a counter of instructions tells its cost:
//! `perf stat -e instructions:u target/release/examples/cost browser 1000000`, or
//! `valgrind --tool=callgrind` with a smaller number. Half the number gives half the count but for the
//! start. Leaves out cache misses and all that a server does around it.

use std::hint::black_box;
use std::process::ExitCode;

use tidegate_httpapi::{RequestLimits, ResponseHead, ServerHeaderMode, Version};
use tidegate_proto::http1::{
    ChunkStep, ChunkedDecoder, ResponseContext, cook_path, encode_head, format_date, parse_head,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(case), Some(Ok(count))) = (
        arguments.next(),
        arguments.next().map(|count| count.parse::<u64>()),
    ) else {
        eprintln!("usage: cost short|browser|query|post|pipelined|cook|chunked|answer COUNT");
        return ExitCode::FAILURE;
    };
    match case.as_str() {
        "short" => parse(SHORT, count),
        "browser" => parse(BROWSER, count),
        "query" => parse(QUERY, count),
        "post" => parse(POST, count),
        "pipelined" => parse(&SHORT.repeat(16), count),
        "cook" => cook(count),
        "chunked" => chunked(count),
        "answer" => answer(count),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

fn parse(bytes: &[u8], count: u64) {
    let limits = RequestLimits::default();
    let mut spans = Vec::new();
    for _ in 0..count {
        let parsed = parse_head(black_box(bytes), black_box(&limits), black_box(&mut spans));
        black_box(&parsed);
    }
}

fn cook(count: u64) {
    let limits = RequestLimits::default();
    let mut cooked = String::new();
    for _ in 0..count {
        let raw: &[u8] = black_box(b"/caf%C3%A9/menu/../images//logo%20big.png");
        let _ = black_box(cook_path(raw, &limits, black_box(&mut cooked)));
    }
}

fn chunked(count: u64) {
    let limits = RequestLimits::default();
    let mut content = b"400\r\n".to_vec();
    content.resize(content.len() + 0x400, b'a');
    content.extend_from_slice(b"\r\n0\r\n\r\n");
    for _ in 0..count {
        let mut decoder = ChunkedDecoder::new();
        let mut rest = black_box(&content[..]);
        loop {
            match decoder.decode(rest, &limits) {
                Ok(ChunkStep::Data { range, consumed }) => {
                    black_box(&rest[range]);
                    rest = &rest[consumed..];
                }
                step => {
                    let _ = black_box(step);
                    break;
                }
            }
        }
    }
}

fn answer(count: u64) {
    let date = format_date(784_111_777);
    let context = ResponseContext {
        version: Version::Http11,
        head_request: false,
        keep_alive: true,
        date: &date,
        server_token: "Tidegate/0.1",
        server_mode: ServerHeaderMode::Full,
        from_driver: false,
    };
    let mut head = ResponseHead::new(200);
    let added = head.fields.append("Content-Type", "text/plain");
    assert!(added.is_ok());
    let mut out = Vec::with_capacity(4096);
    for _ in 0..count {
        out.clear();
        black_box(encode_head(
            black_box(&mut out),
            black_box(&head),
            black_box(Some(1024)),
            black_box(&context),
        ));
    }
}

const SHORT: &[u8] = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const QUERY: &[u8] =
    b"GET /search?q=tide%20tables&page=2 HTTP/1.1\r\nHost: www.example.com\r\n\r\n";

const POST: &[u8] = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
Content-Type: application/octet-stream\r\nContent-Length: 1024\r\n\r\n";

const BROWSER: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: identity\r\n\
Referer: http://127.0.0.1/index.html\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
Sec-Fetch-Dest: document\r\n\
Sec-Fetch-Mode: navigate\r\n\
Cache-Control: max-age=0\r\n\r\n";
