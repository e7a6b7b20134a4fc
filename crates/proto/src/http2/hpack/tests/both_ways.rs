//! What was encoded is decoded as the same: by us, and by somebody else, through tables that are small
//! and change their size. And what somebody else encoded, we decode.

use super::*;

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len() as u64) as usize]
    }

    fn value(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => Vec::new(),
            1 => (0..self.below(300))
                .map(|_| self.below(256) as u8)
                .collect(),
            2 => b"x".repeat(self.below(200) as usize),
            _ => {
                let number = self.below(12);
                format!("value {number}").into_bytes()
            }
        }
    }

    fn indexing(&mut self) -> Indexing {
        match self.below(8) {
            0 => Indexing::Without,
            1 => Indexing::Never,
            2 | 3 => Indexing::Incremental,
            _ => Indexing::ByName,
        }
    }
}

const NAMES: [&[u8]; 16] = [
    b"Content-Type",
    b"Server",
    b"Date",
    b"ETag",
    b"Set-Cookie",
    b"Accept-Encoding",
    b"X-Custom",
    b"X-Custom-Two",
    b"alt-svc",
    b":path",
    b":method",
    b"a",
    b"content-security-policy-report-only",
    b"x-name-of-sixty-four-bytes--------------------------------------",
    b"X-Name-Of-Sixty-Five-Bytes---------------------------------------",
    b"x-very-long---------------------------------------------------------------------------\
      --------------------------------------------------------------------------",
];

const SIZES: [u32; 8] = [0, 33, 64, 100, 256, 1000, 4096, 65_536];

fn encode_one(random: &mut Random, encoder: &mut Encoder, block: &mut Vec<u8>) -> Fields {
    let mut expected = Vec::new();
    encoder.begin_block(block);
    if random.below(2) == 0 {
        let status = 100 + random.below(500) as u16;
        encoder.encode_status(block, status);
        expected.push((b":status".to_vec(), status.to_string().into_bytes()));
    }
    for _ in 0..random.below(12) {
        let (name, value) = (random.pick(&NAMES), random.value());
        encoder.encode_field(block, name, &value, random.indexing());
        expected.push((name.to_ascii_lowercase(), value));
    }
    if random.below(4) == 0 {
        let length = random.below(u64::MAX);
        encode_content_length(block, length);
        expected.push((b"content-length".to_vec(), length.to_string().into_bytes()));
    }
    expected
}

#[test]
fn what_was_encoded_is_decoded_as_the_same() {
    for seed in 1..200 {
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let own_max = *random.pick(&SIZES.each_ref());
        let mut encoder = Encoder::new(own_max);
        let mut decoder = Decoder::new(DEFAULT_TABLE_BYTES_MAX);
        let mut others = httlib_hpack::Decoder::with_dynamic_size(DEFAULT_TABLE_BYTES_MAX);
        others.set_max_dynamic_size(65_536);
        for _ in 0..60 {
            for _ in 0..random.below(8).saturating_sub(5) {
                let bytes_max = *random.pick(&SIZES.each_ref());
                decoder.set_table_bytes_max(bytes_max);
                encoder.set_peer_table_bytes_max(bytes_max);
            }
            let before = (encoder.generation(), decoder.generation());
            let mut block = Vec::new();
            let expected = encode_one(&mut random, &mut encoder, &mut block);
            assert_eq!(
                decode(&mut decoder, &block).as_ref(),
                Ok(&expected),
                "{seed}"
            );
            if encoder.generation() == before.0 {
                assert_eq!(decoder.generation(), before.1);
            }
            let mut seen = Vec::new();
            others.decode(&mut block, &mut seen).unwrap();
            let seen: Fields = seen
                .into_iter()
                .map(|(name, value, _)| (name, value))
                .collect();
            assert_eq!(seen, expected, "{seed}");
        }
    }
}

#[test]
fn what_somebody_else_encoded_is_decoded() {
    for seed in 1..200 {
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let mut encoder = httlib_hpack::Encoder::with_dynamic_size(DEFAULT_TABLE_BYTES_MAX);
        let mut decoder = Decoder::new(DEFAULT_TABLE_BYTES_MAX);
        for _ in 0..60 {
            let mut block = Vec::new();
            if random.below(8) == 0 {
                let bytes = (*random.pick(&SIZES.each_ref())).min(4096);
                encoder.update_max_dynamic_size(bytes, &mut block).unwrap();
            }
            let mut expected = Vec::new();
            for _ in 0..random.below(12) {
                let name = random.pick(&NAMES).to_ascii_lowercase();
                let value = random.value();
                let flags = random.below(32) as u8;
                encoder
                    .encode((name.clone(), value.clone(), flags), &mut block)
                    .unwrap();
                expected.push((name, value));
            }
            assert_eq!(decode(&mut decoder, &block), Ok(expected), "{seed}");
        }
    }
}

#[test]
fn a_usual_response_becomes_one_byte_for_each_field() {
    let mut encoder = Encoder::new(4096);
    let mut lens = Vec::new();
    let mut generations = Vec::new();
    for _ in 0..4 {
        let mut block = Vec::new();
        encoder.encode_status(&mut block, 200);
        for (name, value) in [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Server", "Tidegate/0.1"),
            ("Date", "Sun, 22 Nov 2026 20:31:56 GMT"),
            ("X-Frame-Options", "DENY"),
        ] {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            encoder.encode_field(&mut block, name, value, Indexing::ByName);
        }
        lens.push(block.len());
        generations.push(encoder.generation());
    }
    assert!(lens[0] > 50 && lens[1] > 30, "{lens:?}");
    assert_eq!(lens[2..], [5, 5]);
    assert_eq!(generations[2], generations[3]);
}

#[test]
fn each_content_length_is_one_number() {
    for length in (0..20_000).chain([u64::MAX, 10_000_000_000]) {
        let mut block = Vec::new();
        encode_content_length(&mut block, length);
        let expected = fields(&[("content-length", length.to_string())]);
        assert_eq!(decode(&mut Decoder::new(4096), &block), Ok(expected));
    }
}

// Many fields of few names, and none of them lost, also where the table is full.
#[test]
fn whatever_is_in_the_table_is_found() {
    let mut encoder = Encoder::new(4096);
    let value = |number: u64| format!("{number:06}").into_bytes();
    let encode = |encoder: &mut Encoder, number| {
        let mut block = Vec::new();
        let name = [&b"server"[..], b"x-a", b"x-b"][number as usize % 3];
        encoder.encode_field(&mut block, name, &value(number), Indexing::Incremental);
        block.len()
    };
    for number in 0..3000 {
        assert!(encode(&mut encoder, number) > 1);
        // No field is larger than 44 bytes.
        for earlier in number.saturating_sub(92)..=number {
            assert!(
                encode(&mut encoder, earlier) <= 2,
                "{earlier} after {number}"
            );
        }
    }
}

#[test]
fn what_is_secret_is_never_indexed() {
    for name in [&b"Set-Cookie"[..], b"authorization", b"cookie"] {
        let mut encoder = Encoder::new(4096);
        let mut block = Vec::new();
        for _ in 0..3 {
            block.clear();
            encoder.encode_field(&mut block, name, b"secret", Indexing::ByName);
            assert_eq!(block[0] & 0xF0, 0x10);
        }
        assert_eq!(encoder.generation(), Encoder::new(4096).generation());
        block.clear();
        encode_field_plain(&mut block, name, b"secret");
        assert_eq!(block[0] & 0xF0, 0x10);
    }
}

#[test]
fn size_updates_begin_the_next_block() {
    let begun = |encoder: &mut Encoder| {
        let mut block = Vec::new();
        encoder.begin_block(&mut block);
        block
    };
    let mut encoder = Encoder::new(4096);
    assert!(begun(&mut encoder).is_empty());
    encoder.set_peer_table_bytes_max(65_536);
    assert!(begun(&mut encoder).is_empty());
    encoder.set_peer_table_bytes_max(10);
    encoder.set_peer_table_bytes_max(30);
    assert_eq!(begun(&mut encoder), [0x2A, 0x3E]);
    assert!(begun(&mut encoder).is_empty());
    encoder.set_peer_table_bytes_max(0);
    encoder.set_peer_table_bytes_max(30);
    assert_eq!(begun(&mut encoder), [0x20, 0x3E]);
    // More than we want to use.
    encoder.set_peer_table_bytes_max(65_536);
    assert_eq!(begun(&mut encoder), [0x3F, 0xE1, 0x1F]);
}

#[test]
fn memory_comes_with_use() {
    let size = size_of::<Encoder>() + size_of::<Decoder>();
    assert!(size <= 400, "{size}");
}
