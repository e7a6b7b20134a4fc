//! Messages come back as they were, with all settings, in pieces, and from a shared compressor.

use tidegate_proto::websocket::{DeflateSettings, Deflated, Deflater};

use crate::support::{HELLO, Pair, Random, settings};

// RFC 7692 §7.2.3.1.
#[test]
fn hello_is_as_in_the_standard() {
    let mut pair = Pair::of(&settings(15, true));
    assert_eq!(pair.deflate(b"Hello").as_deref(), Some(HELLO));
    // §7.2.3.2: the second is shorter, and refers to the first.
    let again = pair.deflate(b"Hello").unwrap();
    assert!(again.len() < HELLO.len());
    assert_eq!(pair.inflate(HELLO).unwrap(), b"Hello");
    assert_eq!(pair.inflate(&again).unwrap(), b"Hello");
}

// RFC 7692 §7.2.3.6.
#[test]
fn empty_messages_have_a_payload_of_one_byte() {
    let mut pair = Pair::of(&settings(15, true));
    assert_eq!(pair.deflate(b"").as_deref(), Some(&[0x00][..]));
    assert_eq!(pair.deflate_pieces(&[b""]), [[0x00]]);
    let payloads = pair.deflate_pieces(&[b"", b""]);
    assert_eq!(payloads, [&[0x00, 0x00, 0x00, 0xff, 0xff][..], &[0x00]]);
    assert_eq!(pair.inflate(&payloads.concat()).unwrap(), b"");
}

#[test]
fn messages_come_back_with_all_settings() {
    let mut random = Random(1);
    for window_bits in 8..=15 {
        for mem_level in 1..=9 {
            for takeover in [true, false] {
                let mut pair = Pair::of(&DeflateSettings {
                    mem_level,
                    ..settings(window_bits, takeover)
                });
                for _ in 0..12 {
                    let length = 1 << random.below(15);
                    let length = length + random.below(length);
                    pair.check(&random.message(length));
                }
            }
        }
    }
}

#[test]
fn messages_of_every_short_length_come_back() {
    let mut random = Random(2);
    for takeover in [true, false] {
        let mut pair = Pair::of(&settings(15, takeover));
        for length in 0..600 {
            pair.check(&random.message(length));
        }
    }
}

#[test]
fn large_messages_come_back() {
    let mut random = Random(3);
    for window_bits in [8, 12, 15] {
        let mut pair = Pair::of(&settings(window_bits, true));
        for length in [32_767, 65_535, 65_536, 131_070, 300_000, 1_000_000] {
            pair.check(&random.message(length));
        }
    }
}

#[test]
fn messages_come_back_from_pieces() {
    let mut random = Random(4);
    for takeover in [true, false] {
        let mut pair = Pair::of(&settings(11, takeover));
        for _ in 0..100 {
            let length = 1 + random.below(5000);
            let message = random.message(length);
            let pieces = random.cut(&message, 6);
            let payloads = pair.deflate_pieces(&pieces);
            // Each piece can be read before the next one is there.
            let mut found = Vec::new();
            let (last, parts) = payloads.split_last().unwrap();
            for (payload, piece) in parts.iter().zip(&pieces) {
                let before = found.len();
                pair.inflater
                    .inflate_part(payload, 5000, &mut pair.workspace, &mut found)
                    .unwrap();
                assert_eq!(&found[before..], *piece);
            }
            pair.inflater
                .inflate_last(last, 5000, &mut pair.workspace, &mut found)
                .unwrap();
            assert!(found == message);
        }
    }
}

#[test]
fn messages_refer_to_those_before_only_with_context_takeover() {
    let message = Random(5).noise(2000);
    let mut with = Pair::of(&settings(15, true));
    assert!(with.check(&message) >= 2000);
    assert!(with.check(&message) < 40);
    let mut without = Pair::of(&settings(15, false));
    assert_eq!(without.deflate(&message), None);
    assert_eq!(without.deflate(&message), None);
}

#[test]
fn what_does_not_repeat_hardly_gets_longer() {
    let mut random = Random(6);
    let mut pair = Pair::of(&settings(15, true));
    for length in [1, 2, 10, 100, 255, 256, 257, 1000, 70_000, 200_000] {
        let noise = random.noise(length);
        // zlib's fastest level has nine bits for what is not text.
        assert!(pair.check(&noise) <= length + length / 8 + 5, "{length}");
    }
}

#[test]
fn short_messages_are_left_alone() {
    let mut pair = Pair::of(&DeflateSettings {
        message_bytes_min: 10,
        ..settings(15, true)
    });
    assert_eq!(pair.deflate(b"aaaaaaaaa"), None);
    assert!(pair.deflate(b"aaaaaaaaaa").is_some());
}

#[test]
fn forgetting_needs_nothing_of_the_peer() {
    let message = Random(7).noise(3000);
    let mut pair = Pair::of(&settings(15, true));
    let first = pair.check(&message);
    assert!(pair.check(&message) < first / 2);
    pair.deflater.forget();
    assert_eq!(pair.check(&message), first);
    assert!(pair.check(&message) < first / 2);
    assert!(pair.deflater.heap_bytes() > 0);
    pair.deflater.release(&mut pair.workspace);
    assert_eq!(pair.deflater.heap_bytes(), 0);
    assert_eq!(pair.check(&message), first);
}

#[test]
fn one_payload_serves_all_connections_whose_window_is_large_enough() {
    let mut random = Random(8);
    let common = random.message(2000);
    let mut shared = Deflater::shared(10, &settings(15, true));
    let mut connections: Vec<Pair> = [
        settings(10, true),
        settings(12, false),
        settings(15, true),
        settings(15, false),
    ]
    .iter()
    .map(Pair::of)
    .collect();
    for round in 0..20 {
        let message = random.message(1 + 300 * round);
        let mut payload = Vec::new();
        let deflated = shared.deflate(&message, &mut connections[0].workspace, &mut payload);
        for connection in &mut connections {
            if deflated == Deflated::Compressed {
                let found = connection.inflate(&payload).unwrap();
                assert!(found == message);
                connection.deflater.forget();
            }
            // Each goes on with messages of its own, which refer to each other.
            connection.check(&common);
            connection.check(&common[1000..]);
        }
    }
}

#[test]
fn a_connection_holds_no_more_than_its_settings_say() {
    let mut random = Random(9);
    for (window_bits, mem_level, deflater_kib) in [
        (8, 1, 134),
        (9, 1, 134),
        (12, 1, 148),
        (15, 1, 260),
        (15, 8, 371),
    ] {
        for takeover in [true, false] {
            let mut pair = Pair::of(&DeflateSettings {
                mem_level,
                ..settings(window_bits, takeover)
            });
            assert_eq!(pair.deflater.heap_bytes() + pair.inflater.heap_bytes(), 0);
            for _ in 0..50 {
                let length = random.below(10_000);
                pair.check(&random.message(length));
            }
            let (deflater, inflater) = (pair.deflater.heap_bytes(), pair.inflater.heap_bytes());
            if takeover {
                assert_eq!(deflater / 1024, deflater_kib);
                assert!(inflater <= 1 << window_bits, "{inflater}");
            } else {
                assert_eq!(deflater + inflater, 0);
            }
        }
    }
}

// zlib has no window of 256 bytes, and must not refer further back all the same.
#[test]
fn the_smallest_window_is_kept_to() {
    let mut random = Random(10);
    let mut pair = Pair::of(&settings(8, true));
    let noise = random.noise(300);
    assert!(pair.check(&noise) >= 300);
    assert!(pair.check(&noise) >= 300);
    assert!(pair.check(&[7; 300]) < 20);
    for _ in 0..800 {
        let length = random.below(1000);
        pair.check(&random.message(length));
    }
}
