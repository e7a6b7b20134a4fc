//! What peers can make a server hold is bounded, and all of it is given back.
//!
//! The allocator of this program counts what is held. One test, so that nothing else is counted; its
//! clients hold little of their own.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;
#[path = "client/websocket.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod websocket;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidegate::{Opcode, Recipients, Server, WebSocketSettings};
use tidegate_proto::websocket::FrameHead;

use client::free_port;
use client::setting::{all_settings, builder, start, stop};
use websocket::{Heard, Opening, PATIENCE, WebSocket, encoded, frame};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn hold(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size());
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        hold(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MEBIBYTE: usize = 1 << 20;
const BUDGET: usize = 16 * MEBIBYTE;

/// What is held at most while something is done, more than before.
fn most_held(what: &str, most: usize, act: impl FnOnce()) {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    act();
    let held = MOST.load(Ordering::Relaxed) - before;
    let kept = HELD.load(Ordering::Relaxed).saturating_sub(before);
    println!("{what}: {} KiB, {} KiB after", held / 1024, kept / 1024);
    assert!(held <= most, "{what} makes the server hold {held} bytes");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} never holds");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_until_empty(server: &Server) {
    wait_until("nobody is left", || server.connections().count() == 0);
}

#[test]
fn memory_is_bounded_and_given_back() {
    for (io, mode) in all_settings() {
        println!("{io:?}, {mode:?}");
        let port = free_port();
        let mut settings = WebSocketSettings::default();
        settings.per_message_deflate.enabled = true;
        settings.memory_budget = BUDGET as u64;
        settings.queue.bytes = MEBIBYTE as u32;
        let builder = builder(io, mode, port)
            .websocket(settings)
            .on_message(|connection, text| connection.send_text(text));
        let server = start(builder);
        // What the first connections have the server keep for ever is not counted.
        come_and_go(&server, port);
        let before = HELD.load(Ordering::Relaxed);
        most_held("64 bombs", 2 * BUDGET, || bombs(&server, port));
        let beginnings = "beginnings of long messages";
        most_held(beginnings, 2 * BUDGET, || long_beginnings(&server, port));
        let deaf = "peers that do not read";
        most_held(deaf, 3 * BUDGET, || deaf_peers(&server, port));
        // 256 compressors of 260 KiB, and what each of the 600 peers holds to inflate: 64 KiB. Were each
        // given a compressor for good, it would be 195 MiB.
        let talkers = "peers that get compressed messages";
        most_held(talkers, 120 * MEBIBYTE, || compressed_talks(&server, port));
        most_held("who comes and goes", BUDGET, || come_and_go(&server, port));
        // But for what the driver keeps for the next outputs, 16 MiB at most.
        wait_until("it is given back", || {
            HELD.load(Ordering::Relaxed) <= before + 17 * MEBIBYTE
        });
        stop(server);
    }
}

/// Compressed messages of 1 KiB that inflate to 1 MiB, and do not end.
fn bombs(server: &Server, port: u16) {
    let opening = || Opening::new(port).deflate(|_| {});
    let payload = opening().open().deflated(&"x".repeat(MEBIBYTE));
    let mut bombs: Vec<_> = (0..64).map(|_| opening().open()).collect();
    let head = FrameHead {
        rsv1: true,
        ..frame(Opcode::Text, false)
    };
    for client in &mut bombs {
        client.frame(head, &payload);
    }
    let mut other = WebSocket::connect(port);
    other.text("still here");
    assert_eq!(other.hear_text(), "still here");
    other.leave();
    // At least those that there was no room for.
    let least_refused = 64 - BUDGET / MEBIBYTE;
    wait_until("who is too much has been refused", || {
        server.connections().count() <= 64 - least_refused
    });
    bombs.into_iter().for_each(WebSocket::reset);
    wait_until_empty(server);
}

/// Heads of 16 MiB each, with a little of what they announce.
fn long_beginnings(server: &Server, port: u16) {
    let mut clients: Vec<_> = (0..64).map(|_| WebSocket::connect(port)).collect();
    let head = FrameHead {
        payload_len: 16 * MEBIBYTE as u64,
        ..frame(Opcode::Binary, true)
    };
    let mut beginning = Vec::new();
    head.encode(&mut beginning);
    beginning.resize(300_000, 0);
    for client in &mut clients {
        client.write_if_open(&beginning);
    }
    clients.into_iter().for_each(WebSocket::reset);
    wait_until_empty(server);
}

/// Peers that say much, and hear nothing.
fn deaf_peers(server: &Server, port: u16) {
    let text = "x".repeat(60_000);
    let message = encoded(frame(Opcode::Text, true), text.as_bytes());
    let mut clients: Vec<_> = (0..8).map(|_| Opening::new(port).narrow().open()).collect();
    for client in &mut clients {
        let mut refused = 0;
        while refused < 50 {
            let mut rest = &message[..];
            while !rest.is_empty() && refused < 50 {
                match client.try_write(&mut rest) {
                    true => refused = 0,
                    false => {
                        refused += 1;
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        }
    }
    let everybody = Recipients::all();
    for _ in 0..100 {
        server.broadcast(text.as_str(), &everybody).unwrap();
    }
    clients.into_iter().for_each(WebSocket::reset);
    wait_until_empty(server);
}

/// More connections than may hold a compressor, which are answered in turn and so lose theirs.
fn compressed_talks(server: &Server, port: u16) {
    let opening = || Opening::new(port).deflate(|_| {});
    let mut clients: Vec<_> = (0..600).map(|_| opening().open()).collect();
    let text = "compressible ".repeat(20);
    for _ in 0..3 {
        for client in &mut clients {
            client.text(&text);
            assert_eq!(client.hear_text(), text);
        }
    }
    clients.into_iter().for_each(WebSocket::reset);
    wait_until_empty(server);
}

/// Connections that end in every way.
fn come_and_go(server: &Server, port: u16) {
    for round in 0..100 {
        let opening = match round % 2 {
            0 => Opening::new(port).deflate(|_| {}),
            _ => Opening::new(port),
        };
        let mut client = opening.open();
        client.text("hello");
        assert_eq!(client.hear(), Heard::Text("hello".into()));
        match round % 5 {
            0 => client.leave(),
            1 => client.reset(),
            2 => drop(client),
            3 => {
                client.write(b"\xFF\xFF\xFF\xFF");
                client.answer_close(1002);
            }
            _ => {
                server.connections().disconnect_all(1012, "").unwrap();
                client.answer_close(1012);
            }
        }
    }
    wait_until_empty(server);
}
