//! What does one WebSocket frame cost?
//!
//! Does one thing over and over, so that a counter of instructions tells its cost, as `cost` does for
//! HTTP. One round of `echo` receives sixteen masked frames in one piece and answers each.

use std::hint::black_box;
use std::process::ExitCode;

use tidegate_proto::websocket::{
    DecodeContext, Decoder, FrameHead, Opcode, Received, Role, apply_mask, encode_frame,
};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(case), Some(Ok(count))) = (
        arguments.next(),
        arguments.next().map(|count| count.parse::<u64>()),
    ) else {
        eprintln!("usage: websocket_cost text|binary|long|client|mask|long-mask|encode|none COUNT");
        return ExitCode::FAILURE;
    };
    match case.as_str() {
        "text" => echo(Opcode::Text, 32, count),
        "binary" => echo(Opcode::Binary, 32, count),
        "long" => echo(Opcode::Text, 4096, count),
        "client" => client(count),
        "mask" => mask(32, count),
        "long-mask" => mask(4096, count),
        "encode" => encode(count),
        "none" => copy(count),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

fn frames(opcode: Opcode, length: usize, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..16 {
        let head = FrameHead {
            mask,
            ..FrameHead::new(opcode)
        };
        head.encode_frame(&mut bytes, &vec![b'a'; length]);
    }
    bytes
}

fn echo(opcode: Opcode, length: usize, count: u64) {
    let received = frames(opcode, length, Some([0x37, 0xFA, 0x21, 0x3D]));
    let mut piece = received.clone();
    let mut out = Vec::with_capacity(2 * received.len());
    let mut decoder = Decoder::new(Role::Server);
    let mut context = DecodeContext::default();
    for _ in 0..count {
        piece.copy_from_slice(&received);
        out.clear();
        let mut rest = black_box(&mut piece[..]);
        while let Ok(Some(message)) = decoder.next(&mut rest, &mut context) {
            match message {
                Received::Text(text) => encode_frame(&mut out, Opcode::Text, text.as_bytes()),
                Received::Binary(bytes) => encode_frame(&mut out, Opcode::Binary, bytes),
                _ => {}
            }
        }
        black_box(&out);
    }
}

fn client(count: u64) {
    let mut piece = frames(Opcode::Text, 32, None);
    let mut decoder = Decoder::new(Role::Client);
    let mut context = DecodeContext::default();
    for _ in 0..count {
        let mut rest = black_box(&mut piece[..]);
        while let Ok(Some(message)) = decoder.next(&mut rest, &mut context) {
            black_box(&message);
        }
    }
}

fn mask(length: usize, count: u64) {
    let mut payload = vec![b'a'; length];
    for _ in 0..16 * count {
        apply_mask(black_box(&mut payload), black_box([1, 2, 3, 4]));
    }
}

fn encode(count: u64) {
    let payload = [b'a'; 32];
    let mut out = Vec::with_capacity(4096);
    for _ in 0..count {
        out.clear();
        for _ in 0..16 {
            encode_frame(black_box(&mut out), Opcode::Text, black_box(&payload));
        }
    }
}

/// What `text` does besides decoding and encoding.
fn copy(count: u64) {
    let received = frames(Opcode::Text, 32, Some([0; 4]));
    let mut piece = received.clone();
    for _ in 0..count {
        piece.copy_from_slice(&received);
        black_box(&mut piece);
    }
}
