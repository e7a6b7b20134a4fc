//! What an HTTP/2 connection allocates: nothing for one more request of the usual kind, and what a burst
//! needed is given back.
//!
//! In a program of its own, because it counts all allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tidegate_httpapi::{Http2Limits, RequestLimits, ResponseHead, ServerHeaderMode, Version};
use tidegate_proto::http1::ResponseContext;
use tidegate_proto::http2::hpack::{Encoder, Indexing};
use tidegate_proto::http2::{Connection, Event, StreamKey};

/// The system's allocator, which says how often it was asked and how much is held.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    HELD.set(HELD.get() + bytes);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A connection with a peer that asks and reads.
struct World {
    connection: Box<Connection>,
    encoder: Encoder,
    out: Vec<u8>,
    bytes: Vec<u8>,
    streams: Vec<StreamKey>,
    next: u32,
}

impl World {
    fn new() -> Self {
        let mut out = Vec::with_capacity(1 << 20);
        let limits = Http2Limits::default();
        let connection = Connection::new(&limits, &RequestLimits::default(), 65_535, &mut out);
        let mut world = Self {
            connection: Box::new(connection),
            encoder: Encoder::new(4_096),
            out,
            bytes: Vec::with_capacity(1 << 20),
            streams: Vec::with_capacity(1_000),
            next: 1,
        };
        world.bytes.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        world.frame(0x4, 0, 0, &[]);
        world.frame(0x4, 1, 0, &[]);
        world.receive();
        world
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.bytes
            .extend(&(payload.len() as u32).to_be_bytes()[1..]);
        self.bytes.extend([kind, flags]);
        self.bytes.extend(stream.to_be_bytes());
        self.bytes.extend(payload);
    }

    fn request(&mut self, path: &str) {
        let start = self.bytes.len();
        self.frame(0x1, 0x5, self.next, &[]);
        for (name, value) in [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "127.0.0.1:8080"),
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"),
            ("cookie", "session=0123456789abcdef"),
            ("priority", "u=1, i"),
        ] {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            self.encoder
                .encode_field(&mut self.bytes, name, value, Indexing::ByName);
        }
        let len = (self.bytes.len() - start - 9) as u32;
        self.bytes[start..start + 3].copy_from_slice(&len.to_be_bytes()[1..]);
        self.next += 2;
    }

    fn receive(&mut self) {
        let mut at = 0;
        loop {
            let piece = &mut self.bytes[at..];
            let step = self.connection.receive(piece, 1, &mut self.out);
            at += step.consumed;
            match step.event {
                Event::Incomplete => break,
                Event::Request { stream, .. } => self.streams.push(stream),
                Event::Nothing | Event::Writable => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(at, self.bytes.len());
        self.bytes.clear();
    }

    /// So many requests at once, answered in the order of their priorities.
    fn round(&mut self, requests: usize) {
        for number in 0..requests {
            self.request(["/plaintext", "/index.html"][number % 2]);
        }
        self.receive();
        let head = ResponseHead::new(200);
        let context = ResponseContext {
            version: Version::Http2,
            head_request: false,
            keep_alive: true,
            date: b"Thu, 01 Jan 1970 00:00:00 GMT",
            server_token: "Tidegate/0.1",
            server_mode: ServerHeaderMode::Full,
            from_driver: false,
        };
        for stream in &self.streams {
            let length = Some(1_024);
            self.connection
                .send_head(*stream, &head, length, &context, &mut self.out);
            self.connection.want_send(*stream);
        }
        while let Some(stream) = self.connection.next_to_send() {
            let out = &mut self.out;
            assert_eq!(
                self.connection.send_data(stream, 1_024, true, out),
                Some(1_024)
            );
        }
        assert_eq!(self.streams.len(), requests);
        while let Some(stream) = self.streams.pop() {
            self.connection.release(stream, &mut self.out);
        }
        self.out.clear();
        // The content is read.
        self.frame(0x8, 0, 0, &(1_024 * requests as u32).to_be_bytes());
        self.receive();
    }
}

#[test]
fn usual_requests_allocate_nothing() {
    let mut world = World::new();
    for _ in 0..4 {
        world.round(32);
    }
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        world.round(32);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

#[test]
fn a_connection_without_requests_is_small() {
    let rest = HELD.get();
    let world = World::new();
    let held = HELD.get() - rest - (2 << 20) - 1_000 * size_of::<StreamKey>() as i64;
    // The encoder is the peer's.
    assert!(held <= IDLE_BYTES_MAX, "{held}");
    drop(world);
    assert_eq!(HELD.get(), rest);
}

#[test]
fn what_a_burst_needed_is_given_back() {
    let mut world = World::new();
    let mut held = 0;
    for round in 0..20 {
        world.round(60);
        let before = HELD.get();
        world.connection.idle();
        assert!(HELD.get() < before);
        if round == 0 {
            held = HELD.get();
        }
        // The dynamic tables have grown, but not without end.
        assert!(HELD.get() <= held + 16 * 1024);
    }
}

/// What a connection may hold that has no requests, in bytes.
const IDLE_BYTES_MAX: i64 = 1_536;
