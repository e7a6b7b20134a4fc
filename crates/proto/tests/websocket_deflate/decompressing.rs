//! Whatever a peer sends: read in any split, within the limit, refused where it is wrong.

use tidegate_proto::websocket::InflateError;

use crate::support::{HELLO, HELLO_AGAIN, NO_LIMIT, Pair, Random, inflater, settings};

/// A block that is not compressed. RFC 7692 §7.2.3.3.
const STORED: &[u8] = &[
    0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
];
/// A block that says it is the last. RFC 7692 §7.2.3.4.
const FINAL: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
/// Two blocks. RFC 7692 §7.2.3.5.
const TWO_BLOCKS: &[u8] = &[
    0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
];

#[test]
fn examples_of_the_standard_are_read_in_any_split() {
    for payload in [HELLO, STORED, FINAL, TWO_BLOCKS] {
        for cut in 0..=payload.len() {
            let mut pair = Pair::of(&settings(15, true));
            let (one, two) = payload.split_at(cut);
            assert_eq!(
                pair.inflate_pieces([one, two], NO_LIMIT).unwrap(),
                b"Hello",
                "{payload:x?} at {cut}"
            );
            // §7.2.3.2: refers to the message before.
            assert_eq!(pair.inflate(HELLO_AGAIN).unwrap(), b"Hello");
        }
        let mut pair = Pair::of(&settings(15, true));
        let bytes = payload.chunks(1);
        assert_eq!(pair.inflate_pieces(bytes, NO_LIMIT).unwrap(), b"Hello");
        // §7.2.3.6: an empty message.
        assert_eq!(pair.inflate(&[0x00]).unwrap(), b"");
    }
}

#[test]
fn without_context_takeover_nothing_before_can_be_referred_to() {
    let mut pair = Pair::of(&settings(15, false));
    assert_eq!(pair.inflate(HELLO).unwrap(), b"Hello");
    assert_eq!(pair.inflate(HELLO_AGAIN), Err(InflateError::Malformed));
}

#[test]
fn nothing_can_be_referred_to_before_the_first_byte() {
    let mut pair = Pair::of(&settings(15, true));
    assert_eq!(pair.inflate(HELLO_AGAIN), Err(InflateError::Malformed));
}

// RFC 7692 §7.2.3.4, and what follows for data after such a block.
#[test]
fn blocks_that_say_they_are_the_last_may_be_followed_by_others() {
    for payload in [
        [&FINAL[..7], HELLO].concat(),
        [&FINAL[..7], FINAL].concat(),
        [&FINAL[..7], HELLO_AGAIN].concat(),
        [&FINAL[..7], STORED].concat(),
        // Without the byte 0 that should follow.
        [HELLO, &[0x00, 0x00, 0xff, 0xff], &FINAL[..7]].concat(),
    ] {
        for size in 1..=payload.len() {
            let mut pair = Pair::of(&settings(15, true));
            let pieces = payload.chunks(size);
            assert_eq!(
                pair.inflate_pieces(pieces, NO_LIMIT).unwrap(),
                b"HelloHello",
                "{payload:x?} by {size}"
            );
            assert_eq!(pair.inflate(HELLO_AGAIN).unwrap(), b"Hello");
        }
    }
}

#[test]
fn blocks_after_a_last_one_may_refer_to_it_without_context_takeover() {
    let payload = [&FINAL[..7], HELLO_AGAIN].concat();
    for size in 1..=payload.len() {
        let mut pair = Pair::of(&settings(15, false));
        for _ in 0..2 {
            let pieces = payload.chunks(size);
            let found = pair.inflate_pieces(pieces, NO_LIMIT).unwrap();
            assert_eq!(found, b"HelloHello", "by {size}");
            assert_eq!(pair.inflater.heap_bytes(), 0);
        }
        assert_eq!(pair.inflate(HELLO_AGAIN), Err(InflateError::Malformed));
    }
}

#[test]
fn messages_come_back_in_any_split() {
    let mut random = Random(11);
    for takeover in [true, false] {
        let mut pair = Pair::of(&settings(13, takeover));
        for _ in 0..60 {
            let length = 1 + random.below(20_000);
            let message = random.message(length);
            let Some(payload) = pair.deflate(&message) else {
                continue;
            };
            let pieces = random.cut(&payload, 8);
            let found = pair.inflate_pieces(pieces, length).unwrap();
            assert!(found == message);
        }
    }
}

#[test]
fn the_limit_is_kept_exactly() {
    let mut random = Random(12);
    for length in [1, 100, 5000, 16_383, 16_384, 16_385, 100_000] {
        let message = random.message(length);
        let mut pair = Pair::of(&settings(15, true));
        let payload = pair.deflate(&message).unwrap();
        let found = pair.inflate_pieces([&payload[..]], length).unwrap();
        assert!(found == message);
        for limit in [0, length / 2, length - 1] {
            let mut pair = Pair::of(&settings(15, true));
            assert_eq!(
                pair.inflate_pieces([&payload[..]], limit),
                Err(InflateError::TooLarge { limit }),
                "{length}"
            );
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    const LIMIT: usize = 64 * 1024;
    let mut pair = Pair::of(&settings(15, true));
    let bomb = pair.deflate(&vec![0; 10_000_000]).unwrap();
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    for size in [1, 100, bomb.len()] {
        let mut pair = Pair::of(&settings(15, true));
        let mut out = Vec::new();
        let mut taken = 0;
        let error = bomb.chunks(size).find_map(|piece| {
            taken += piece.len();
            pair.inflater
                .inflate_part(piece, LIMIT, &mut pair.workspace, &mut out)
                .err()
        });
        assert_eq!(error, Some(InflateError::TooLarge { limit: LIMIT }));
        assert!(taken <= 1000 + size, "{taken} by {size}");
        assert!(out.capacity() <= LIMIT, "{}", out.capacity());
    }
}

#[test]
fn memory_grows_with_what_has_come() {
    let mut pair = Pair::of(&settings(15, true));
    let message = vec![7; 3000];
    let payload = pair.deflate(&message).unwrap();
    let mut out = Vec::new();
    pair.inflater
        .inflate_last(&payload, 1 << 30, &mut pair.workspace, &mut out)
        .unwrap();
    assert!(out == message);
    assert!(out.capacity() <= 2 * message.len());
    assert!(pair.inflater.heap_bytes() <= 2 * message.len());
}

#[test]
fn a_message_must_end_with_a_block() {
    let mut random = Random(13);
    for length in [1, 40, 300, 5000] {
        let message = random.message(length);
        let payload = Pair::of(&settings(15, true)).deflate(&message).unwrap();
        for end in 0..payload.len() {
            let mut pair = Pair::of(&settings(15, true));
            let found = pair.inflate(&payload[..end]);
            // The last byte may hold no more than the beginning of the tail; and a first byte 0 is
            // an empty message.
            if end + 1 < payload.len() && payload[..end] != [0] {
                assert_eq!(found, Err(InflateError::Truncated), "{end} of {length}");
            }
        }
    }
    let mut pair = Pair::of(&settings(15, true));
    assert_eq!(pair.inflate(&[]), Err(InflateError::Truncated));
    for end in 2..STORED.len() {
        let mut pair = Pair::of(&settings(15, true));
        assert_eq!(
            pair.inflate(&STORED[..end]),
            Err(InflateError::Truncated),
            "{end}"
        );
    }
}

// RFC 1951 §3.2.3 to §3.2.7.
#[test]
fn what_is_no_deflate_data_is_refused() {
    for (bytes, rule) in [
        (&[0x06][..], "block type 3"),
        (&[0x00, 0x05, 0x00, 0xfa, 0xfe], "stored length"),
        (&[0x04, 0x00, 0xfe, 0xff], "code lengths over-subscribed"),
        (&[0x04, 0xc0, 0x81, 0x08, 0x00], "code without symbols"),
        (&[0xfc, 0x00, 0x00], "too many literals"),
        (&[0x1a, 0x03], "symbol 286"),
        (&[0x02, 0x7e, 0xff, 0xff], "distance 30"),
    ] {
        let mut pair = Pair::of(&settings(15, true));
        let mut padded = bytes.to_vec();
        padded.extend([0xff; 16]);
        assert_eq!(
            pair.inflate(&padded),
            Err(InflateError::Malformed),
            "{rule}"
        );
    }
}

#[test]
fn garbage_ends_within_the_limit() {
    const LIMIT: usize = 10_000;
    let mut random = Random(14);
    let mut pair = Pair::of(&settings(15, true));
    for _ in 0..10_000 {
        pair.inflater = inflater(&settings(15, true));
        let length = random.below(60);
        let bytes = random.noise(length);
        let _ = pair.inflate_pieces(random.cut(&bytes, 3), LIMIT);
    }
    // Once good, then with bits turned.
    for _ in 0..1000 {
        pair.inflater = inflater(&settings(15, true));
        pair.deflater.forget();
        let length = 1 + random.below(3000);
        let message = random.message(length);
        let mut payload = pair.deflate(&message).unwrap();
        for _ in 0..1 + random.below(3) {
            let at = random.below(payload.len());
            payload[at] ^= 1 << random.below(8);
        }
        let _ = pair.inflate_pieces(random.cut(&payload, 3), LIMIT);
    }
}

#[test]
fn messages_of_many_connections_may_be_in_progress_at_once() {
    let mut random = Random(15);
    let message = random.message(4000);
    let mut first = Pair::of(&settings(15, true));
    let payload = first.deflate(&message).unwrap();
    let mut others: Vec<_> = (0..20).map(|_| Pair::of(&settings(15, true))).collect();
    let mut found = vec![Vec::new(); others.len()];
    for piece in payload.chunks(100) {
        for (other, out) in others.iter_mut().zip(&mut found) {
            let workspace = &mut first.workspace;
            other
                .inflater
                .inflate_part(piece, NO_LIMIT, workspace, out)
                .unwrap();
        }
    }
    for (other, out) in others.iter_mut().zip(&mut found) {
        let workspace = &mut first.workspace;
        other
            .inflater
            .inflate_last(&[], NO_LIMIT, workspace, out)
            .unwrap();
        assert!(*out == message);
    }
}
