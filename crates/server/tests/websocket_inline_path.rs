//! A WebSocket message that its handler answers at once in HighPerf costs no heap allocation.
//!
//! The allocator of this program counts what a thread allocates from the moment the handler, called on
//! that thread, says so. Source: design, the seam.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod allocations;
#[allow(dead_code, reason = "other tests use the rest of it")]
mod client;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use tidegate::{FineTune, Io, OperatingMode};
use tidegate_proto::websocket::{ClientHandshake, FrameHead, Opcode};

use client::free_port;
use client::setting::{all_settings, builder, start, stop};

use allocations::{ALLOCATIONS, IS_COUNTED};

#[test]
fn an_echo_allocates_nothing() {
    let settings = all_settings().into_iter();
    for (io, mode) in settings.filter(|(_, mode)| *mode == OperatingMode::HighPerf) {
        for skip_completion in [false, true] {
            echo_on(io, mode, skip_completion);
        }
    }
}

/// Echoes frames of several lengths, one at a time and many at once.
fn echo_on(io: Io, operating_mode: OperatingMode, skip_completion_on_success: bool) {
    let port = free_port();
    let fine_tune = FineTune {
        operating_mode,
        skip_completion_on_success,
        ..FineTune::default()
    };
    let builder = builder(io, operating_mode, port)
        .fine_tune(fine_tune)
        .on_message(|connection, text| {
            IS_COUNTED.set(true);
            connection.send_text(text)
        })
        .on_binary(|connection, data| connection.send_binary(data));
    let server = start(builder);
    let mut stream = connect(port);
    // A message that two receive buffers share is put together in memory of its own; these fit in one.
    for (payload, in_flight) in [(32, 1), (4096, 1), (32, 16), (125, 16), (4096, 3)] {
        let frames = frames(payload, in_flight);
        exchange(&mut stream, &frames, in_flight, 100);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        exchange(&mut stream, &frames, in_flight, 1000);
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        let what = format!("{io:?}, {in_flight} times {payload} bytes");
        assert_eq!(allocations, 0, "{what}");
    }
    drop(stream);
    stop(server);
}

fn connect(port: u16) -> TcpStream {
    let handshake = ClientHandshake::new("127.0.0.1", "/", *b"the sample nonce");
    let mut request = Vec::new();
    handshake.encode(&mut request).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&request).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(handshake.check(&answer).unwrap().is_some());
    stream
}

/// Text, binary data and a ping in turn, all with a payload of so many bytes.
fn frames(payload: usize, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in 0..count {
        let opcode = match index % 4 {
            1 => Opcode::Binary,
            2 if payload <= 125 => Opcode::Ping,
            _ => Opcode::Text,
        };
        let head = FrameHead {
            mask: Some([1, 2, 3, 4]),
            ..FrameHead::new(opcode)
        };
        head.encode_frame(&mut bytes, &vec![b'x'; payload]);
    }
    bytes
}

/// Sends the same frames many times, and receives what comes back: as many without masks.
fn exchange(stream: &mut TcpStream, frames: &[u8], count: usize, times: usize) {
    let mut answer = vec![0; frames.len() - count * size_of::<[u8; 4]>()];
    for _ in 0..times {
        stream.write_all(frames).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer.last(), Some(&b'x'));
    }
}
