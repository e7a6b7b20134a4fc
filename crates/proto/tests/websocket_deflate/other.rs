//! Against another's compressor and decompressor: what one writes the other reads, and what one refuses
//! the other refuses.

use tidegate_proto::websocket::InflateError;
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status, Strategy};

use crate::support::{NO_LIMIT, Pair, Random, settings};

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A message's payload, by the other.
fn deflate(deflate: &mut Deflate, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; message.len() + message.len() / 8 + 100];
    let before = deflate.total_out();
    deflate
        .compress(message, &mut out, DeflateFlush::SyncFlush)
        .expect("room enough");
    out.truncate((deflate.total_out() - before) as usize);
    let payload = out.strip_suffix(&TAIL).expect("flushed");
    payload.to_vec()
}

/// What a message's payload says, by the other.
fn inflate(inflate: &mut Inflate, payload: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0; length + 1];
    let before = inflate.total_out();
    let input = [payload, &TAIL].concat();
    let status = inflate.decompress(&input, &mut out, InflateFlush::SyncFlush);
    assert_eq!(status, Ok(Status::Ok));
    out.truncate((inflate.total_out() - before) as usize);
    out
}

#[test]
fn ours_reads_what_the_other_writes() {
    let mut random = Random(21);
    let strategies = [
        Strategy::Default,
        Strategy::Filtered,
        Strategy::HuffmanOnly,
        Strategy::Rle,
        Strategy::Fixed,
    ];
    for level in 0..=9 {
        for strategy in strategies {
            let window_bits = 9 + random.below(7) as u8;
            let mut other = Deflate::new_with_config(DeflateConfig {
                level,
                strategy,
                window_bits: -i32::from(window_bits),
                mem_level: 1 + random.below(9) as i32,
                ..DeflateConfig::default()
            });
            let mut pair = Pair::of(&settings(window_bits, true));
            for _ in 0..12 {
                let size = random.below(16);
                let length = 1 + random.below(1 << size);
                let message = random.message(length);
                let payload = deflate(&mut other, &message);
                let pieces = random.cut(&payload, 4);
                let found = pair.inflate_pieces(pieces, length).unwrap();
                assert!(found == message, "level {level} {strategy:?} {length}");
            }
        }
    }
}

#[test]
fn the_other_reads_what_ours_writes() {
    let mut random = Random(22);
    for window_bits in 8..=15 {
        for takeover in [true, false] {
            let mut pair = Pair::of(&settings(window_bits, takeover));
            let mut other = Inflate::new(false, window_bits);
            for _ in 0..40 {
                let size = random.below(16);
                let length = 1 + random.below(1 << size);
                let message = random.message(length);
                if let Some(payload) = pair.deflate(&message) {
                    if !takeover {
                        other = Inflate::new(false, window_bits);
                    }
                    assert!(inflate(&mut other, &payload, length) == message);
                }
            }
        }
    }
}

/// What the other makes of a message: `Some(None)` if it is refused, `None` if a block says that it is
/// the last, after which the other reads nothing.
fn judged(payload: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut other = Inflate::new(false, 15);
    let mut out = vec![0; 1 << 20];
    let mut read = |input: &[u8], out: &mut [u8]| {
        let before = (other.total_in(), other.total_out());
        let status = other.decompress(input, out, InflateFlush::SyncFlush);
        let taken = (other.total_in() - before.0) as usize;
        let made = (other.total_out() - before.1) as usize;
        (status, taken == input.len(), made)
    };
    match read(payload, &mut out) {
        (Ok(Status::StreamEnd), ..) => return None,
        (Err(_), ..) => return Some(None),
        (Ok(_), _, made) => out.truncate(made),
    }
    // The tail makes nothing; and between blocks, only there, an empty last one can follow.
    match read(&TAIL, &mut [0]) {
        (Ok(Status::StreamEnd), ..) => return None,
        (Ok(_), true, 0) => {}
        _ => return Some(None),
    }
    let end = read(&[1, 0, 0, 0xff, 0xff], &mut [0]);
    let is_whole = end == (Ok(Status::StreamEnd), true, 0);
    Some(is_whole.then_some(out))
}

#[test]
fn both_judge_broken_messages_alike() {
    let mut random = Random(23);
    let mut pair = Pair::of(&settings(15, false));
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..5000 {
        let length = 1 + random.below(400);
        let message = random.message(length);
        let mut payload = Vec::new();
        pair.deflater
            .deflate_last(&message, &mut pair.workspace, &mut payload);
        for _ in 0..1 + random.below(2) {
            let at = random.below(payload.len());
            payload[at] ^= 1 << random.below(8);
        }
        payload.truncate(1 + random.below(2 * payload.len()));
        let Some(judged) = judged(&payload) else {
            continue;
        };
        let pieces = random.cut(&payload, 3);
        match (pair.inflate_pieces(pieces, NO_LIMIT), judged) {
            (Ok(found), Some(other)) => {
                assert!(found == other);
                taken += 1;
            }
            (Err(InflateError::Malformed | InflateError::Truncated), None) => {
                pair = Pair::of(&settings(15, false));
                refused += 1;
            }
            (found, other) => panic!("{found:?}, but {other:?}: {payload:x?}"),
        }
    }
    assert!(refused > 500 && taken > 500, "{refused} {taken}");
}
