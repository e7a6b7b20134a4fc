//! A request that is answered at once in HighPerf costs no heap allocation.
//!
//! The allocator of this program counts what the worker thread allocates, from the moment the
//! application, called on that thread, says so. Source: design, the seam.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_driver::{Embedded, EmbeddedSettings, Io};
use tidegate_httpapi::{
    Application, Backend, Body, Exchange, FieldBlock, OperatingMode, QueueProperties, ResponseHead,
    UrlPrefix,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if COUNTED.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Answers with a field and either fixed bytes or the content it was sent.
struct Inline;

impl Application for Inline {
    fn request(&self, mut exchange: Exchange<'_>) {
        COUNTED.set(true);
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

fn check(io: Io) {
    let mut settings = EmbeddedSettings::default();
    settings.io = io;
    settings.io_threads = Some(1);
    settings.error_log.enabled = false;
    let mut properties = QueueProperties::default();
    properties.operating_mode = OperatingMode::HighPerf;
    let backend = match Embedded::start(settings) {
        Ok(backend) => backend,
        Err(error) if io == Io::Uring => {
            println!("not tested on io_uring: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let session = backend.create_server_session().expect("a session");
    let group = backend.create_url_group(session).expect("a group");
    let queue = backend
        .create_request_queue(properties, Arc::new(Inline))
        .expect("a queue");
    backend
        .bind_request_queue(group, Some(queue))
        .expect("bound");
    let prefix = UrlPrefix::parse(&format!("http://127.0.0.1:{port}/")).expect("a prefix");
    backend.add_url(group, &prefix, 0).expect("listening");

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
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run(200);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocations, 0, "allocations in 10,200 requests on {io:?}");
}

// One test, so that the count is of one worker at a time.
#[test]
fn a_request_answered_at_once_allocates_nothing() {
    check(Io::Poll);
    check(Io::Uring);
}
