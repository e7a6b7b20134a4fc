//! What does one header block cost, in or out?
//!
//! Does one thing over and over, as `cost` does; see there how to count. Prints how many bytes a block
//! has. Leaves out cache misses and all that a server does around it.

use std::hint::black_box;
use std::process::ExitCode;

use tidegate_proto::http2::hpack::{
    Decoder, Encoder, FieldName, HeaderList, Indexing, encode_content_length,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(case), Some(Ok(count))) = (
        arguments.next(),
        arguments.next().map(|count| count.parse::<u64>()),
    ) else {
        eprintln!("usage: hpack_cost CASE COUNT, CASE being one of");
        eprintln!(
            "  short short-first browser browser-first (decoding; first: nothing in the table)"
        );
        eprintln!("  answer answer-named date-plain date-new large (encoding)");
        return ExitCode::FAILURE;
    };
    match case.as_str() {
        "short" => decode(SHORT, count),
        "short-first" => decode_first(SHORT, count),
        "browser" => decode(BROWSER, count),
        "browser-first" => decode_first(BROWSER, count),
        "answer" => answer(count),
        "answer-named" => answer_named(count, Indexing::ByName, 0),
        "date-plain" => answer_named(count, Indexing::Without, 0),
        "date-new" => answer_named(count, Indexing::ByName, 1),
        "large" => large(count),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// As a client encodes its second request.
fn blocks(fields: &[(&str, &str)]) -> [Vec<u8>; 2] {
    let mut encoder = Encoder::new(4096);
    [(); 2].map(|()| {
        let mut block = Vec::new();
        for (name, value) in fields {
            let indexing = match *name {
                ":path" => Indexing::Without,
                _ => Indexing::Incremental,
            };
            encoder.encode_field(&mut block, name.as_bytes(), value.as_bytes(), indexing);
        }
        block
    })
}

fn decode(fields: &[(&str, &str)], count: u64) {
    let [first, second] = blocks(fields);
    println!("{} bytes", second.len());
    let mut decoder = Decoder::new(4096);
    let mut list = HeaderList::default();
    let _ = decoder.decode(&first, &mut list);
    for _ in 0..count {
        let _ = black_box(decoder.decode(black_box(&second), black_box(&mut list)));
    }
}

fn decode_first(fields: &[(&str, &str)], count: u64) {
    let [first, _] = blocks(fields);
    println!("{} bytes", first.len());
    let mut decoder = Decoder::new(4096);
    let mut list = HeaderList::default();
    for _ in 0..count {
        let _ = black_box(decoder.decode(black_box(&first), black_box(&mut list)));
    }
}

fn answer(count: u64) {
    let mut encoder = Encoder::new(4096);
    let mut out = Vec::with_capacity(4096);
    for _ in 0..count {
        out.clear();
        encoder.encode_status(black_box(&mut out), black_box(200));
        for (name, value) in ANSWER {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            encoder.encode_field(
                black_box(&mut out),
                black_box(name),
                black_box(value),
                Indexing::ByName,
            );
        }
        encode_content_length(black_box(&mut out), black_box(1024));
    }
    println!("{} bytes", out.len());
}

/// `date_step`: how much later each answer is.
fn answer_named(count: u64, date_indexing: Indexing, date_step: u64) {
    let names = ["content-type", "server", "date"]
        .map(|name| FieldName::new(name.as_bytes()).expect("the name is short"));
    let mut encoder = Encoder::new(4096);
    let mut out = Vec::with_capacity(4096);
    // More than the table holds.
    let mut dates = [(); 600].map(|()| *b"Sun, 22 Nov 2026 20:31:00 GMT");
    for (second, date) in dates.iter_mut().enumerate() {
        let time = format!("{:02}:{:02}", second / 60, second % 60);
        date[20..25].copy_from_slice(time.as_bytes());
    }
    let mut now = 0;
    for _ in 0..count {
        out.clear();
        encoder.encode_status(black_box(&mut out), black_box(200));
        let date = &dates[(now % 600) as usize];
        now += date_step;
        let values = [ANSWER[0].1.as_bytes(), ANSWER[1].1.as_bytes(), date];
        for (name, value) in names.iter().zip(values) {
            let indexing = match name.as_bytes() {
                b"date" if date_step > 0 => Indexing::Incremental,
                b"date" => date_indexing,
                _ => Indexing::ByName,
            };
            encoder.encode_named(black_box(&mut out), name, black_box(value), indexing);
        }
        encode_content_length(black_box(&mut out), black_box(1024));
    }
    println!("{} bytes", out.len());
}

fn large(count: u64) {
    let mut encoder = Encoder::new(4096);
    let mut out = Vec::with_capacity(4096);
    for _ in 0..count {
        out.clear();
        encoder.encode_status(black_box(&mut out), black_box(200));
        for (name, value) in LARGE_ANSWER {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            encoder.encode_field(
                black_box(&mut out),
                black_box(name),
                black_box(value),
                Indexing::ByName,
            );
        }
    }
    println!("{} bytes", out.len());
}

const SHORT: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "127.0.0.1:8080"),
    (":path", "/hello"),
    ("user-agent", "h2load nghttp2/1.64.0"),
];

const BROWSER: &[(&str, &str)] = &[
    (":method", "GET"),
    (":path", "/assets/scripts/main.8f3ac21b.js?v=20261122"),
    (":authority", "www.example.com"),
    (":scheme", "https"),
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
    ("sec-fetch-dest", "script"),
    ("sec-fetch-mode", "no-cors"),
    ("sec-fetch-site", "same-origin"),
    ("priority", "u=2"),
    ("te", "trailers"),
];

const ANSWER: [(&str, &str); 3] = [
    ("Content-Type", "text/plain"),
    ("Server", "Tidegate/0.1"),
    ("Date", "Sun, 22 Nov 2026 20:31:56 GMT"),
];

const LARGE_ANSWER: [(&str, &str); 10] = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Server", "Tidegate/0.1"),
    ("Date", "Sun, 22 Nov 2026 20:31:56 GMT"),
    ("Content-Length", "18234"),
    ("Cache-Control", "public, max-age=3600"),
    ("ETag", "\"5f3c2a1b-473a\""),
    ("Last-Modified", "Sat, 21 Nov 2026 08:00:00 GMT"),
    ("Vary", "Accept-Encoding"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Strict-Transport-Security", "max-age=31536000"),
];
