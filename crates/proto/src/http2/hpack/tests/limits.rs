//! What is not kept, what is malformed, what tokens names have, and what a generation tells.

use tidegate_httpapi::KnownField;

use super::*;

fn limited(decoded_bytes_max: u32, fields_max: u32) -> HeaderList {
    HeaderList::new(HeaderListLimits {
        decoded_bytes_max,
        fields_max,
    })
}

// `:method: GET` counts 7 + 3 + 32.
#[test]
fn a_list_is_too_large_above_its_limit() {
    let mut decoder = Decoder::new(4096);
    for (decoded_bytes_max, fields_max, kept) in
        [(84, 2, 2), (83, 2, 1), (84, 1, 1), (41, 9, 0), (0, 0, 0)]
    {
        let mut list = limited(decoded_bytes_max, fields_max);
        decoder.decode(&[0x82, 0x82], &mut list).unwrap();
        assert_eq!(list.is_too_large(), kept < 2);
        assert_eq!(list.fields().len(), kept);
        assert_eq!(list.bytes().len(), kept * 10);
        assert_eq!(list.decoded_bytes(), 84);
        // Nothing is left of that in the next block.
        decoder.decode(&[], &mut list).unwrap();
        assert!(!list.is_too_large() && list.fields().is_empty());
    }
}

#[test]
fn nothing_follows_what_was_too_large() {
    let mut list = limited(50, 9);
    // A field that is too large, then one that would fit.
    let mut block = bytes("4001 6120");
    block.extend_from_slice(&[b'v'; 32]);
    block.push(0x82);
    Decoder::new(4096).decode(&block, &mut list).unwrap();
    assert!(list.is_too_large() && list.fields().is_empty());
}

#[test]
fn a_list_that_is_too_large_still_fills_the_table() {
    let mut decoder = Decoder::new(4096);
    let mut list = limited(40, 200);
    let block = bytes("8286 4001 6101 6240 0163 8365 6667");
    let block = [&block[..block.len() - 4], &[0x03, b'e', b'f', b'g', 0x82]].concat();
    decoder.decode(&block, &mut list).unwrap();
    assert!(list.is_too_large());
    let expected = fields(&[("c", "efg"), ("a", "b")]);
    assert_eq!(decode(&mut decoder, &[0xBE, 0xBF]), Ok(expected));
}

// One large field, then over and over a byte that stands for it.
#[test]
fn a_bomb_takes_no_memory() {
    let mut block = bytes("4001 617f 8016");
    block.extend_from_slice(&[b'v'; 127 + 22 * 128]);
    block.extend_from_slice(&[0xBE; 10_000]);
    let mut list = HeaderList::default();
    Decoder::new(4096).decode(&block, &mut list).unwrap();
    assert!(list.is_too_large());
    assert!(list.decoded_bytes() > 29_000_000);
    assert!(list.bytes().len() <= 64 * 1024);
    assert!(list.text.len() <= 256 * 1024);
}

#[test]
fn a_name_that_no_span_can_hold_is_too_large() {
    let mut block = bytes("007f 8180 04");
    let len = 127 + 1 + (4 << 14);
    block.resize(block.len() + len, b'n');
    block.push(0);
    let mut list = limited(1 << 20, 200);
    Decoder::new(4096).decode(&block, &mut list).unwrap();
    assert!(list.is_too_large() && list.fields().is_empty());
}

fn is_malformed(name: &[u8], value: &[u8]) -> bool {
    let mut literal = vec![0x40, name.len() as u8];
    literal.extend_from_slice(name);
    literal.push(value.len() as u8);
    literal.extend_from_slice(value);
    let mut decoder = Decoder::new(4096);
    let mut list = HeaderList::default();
    decoder.decode(&literal, &mut list).unwrap();
    let is_malformed = list.is_malformed();
    // From the table it is the same, and in the Huffman code.
    decoder.decode(&[0xBE], &mut list).unwrap();
    assert_eq!(list.is_malformed(), is_malformed);
    let mut block = Vec::new();
    if name.iter().any(u8::is_ascii_uppercase) {
        return is_malformed;
    }
    encode_field_plain(&mut block, name, value);
    decoder.decode(&block, &mut list).unwrap();
    assert_eq!(list.is_malformed(), is_malformed);
    // As a name with another value.
    decoder.decode(&[0x7E, 1, b'v'], &mut list).unwrap();
    assert_eq!(
        list.is_malformed(),
        is_malformed && !token::is_name(name, Token::of(name))
    );
    is_malformed
}

// RFC 9113 §8.2.1.
#[test]
fn malformed_names_and_values_are_told() {
    for name in [
        &b""[..],
        b"Name",
        b"na me",
        b"name:",
        b":name",
        b":Path",
        b"n\xE4",
        b"\x7F",
        b"a\0",
    ] {
        assert!(is_malformed(name, b"value"), "{name:?}");
    }
    for name in [
        &b"name"[..],
        b"x-y_z.1~!#$%&'*+^`|",
        b":path",
        b":protocol",
        b"te",
    ] {
        assert!(!is_malformed(name, b"value"), "{name:?}");
    }
    for value in [
        &b" v"[..],
        b"v ",
        b"\tv",
        b"v\t",
        b" ",
        b"v\rv",
        b"v\nv",
        b"\0",
        b"\x1F",
        b"\x7F",
    ] {
        assert!(is_malformed(b"name", value), "{value:?}");
        assert!(is_malformed(b"server", value), "{value:?}");
    }
    for value in [
        &b""[..],
        b"v",
        b"v v",
        b"v\tv",
        b"\xFF\x80",
        "grün".as_bytes(),
        b"0123456789 ~",
    ] {
        assert!(!is_malformed(b"name", value), "{value:?}");
    }
}

#[test]
fn names_have_their_tokens_wherever_they_come_from() {
    let names: [(&[u8], Token); 8] = [
        (b":authority", Token::Authority),
        (b":protocol", Token::Protocol),
        (b":status", Token::Status),
        (b"host", Token::Field(KnownField::Host)),
        (b"te", Token::Field(KnownField::Te)),
        (b"content-length", Token::Field(KnownField::ContentLength)),
        (b"connection", Token::Field(KnownField::Connection)),
        (b"x-other", Token::Field(KnownField::Other)),
    ];
    for (name, token) in names {
        let mut encoder = Encoder::new(4096);
        let mut decoder = Decoder::new(4096);
        let mut list = HeaderList::default();
        for _ in 0..3 {
            let mut block = Vec::new();
            encoder.encode_field(&mut block, name, b"value", Indexing::Incremental);
            encoder.encode_field(&mut block, name, b"other", Indexing::Without);
            decoder.decode(&block, &mut list).unwrap();
            assert!(list.fields().iter().all(|field| field.token == token));
        }
        assert_eq!(token.is_pseudo_header(), name[0] == b':');
    }
}

#[test]
fn a_block_that_leaves_the_generation_can_be_remembered() {
    let mut decoder = Decoder::new(4096);
    let generations = [
        bytes("8286 84"),
        bytes("4001 6101 62"),
        bytes("82be 0001 6101 63"),
        bytes("20"),
        bytes("20"),
    ]
    .map(|block| {
        let before = decoder.generation();
        decode(&mut decoder, &block).unwrap();
        decoder.generation() != before
    });
    assert_eq!(generations, [false, true, false, true, false]);
    let before = decoder.generation();
    decoder.set_table_bytes_max(0);
    assert_eq!(decoder.generation(), before);
    let mut decoder = Decoder::new(4096);
    let before = decoder.generation();
    decoder.set_table_bytes_max(0);
    assert_ne!(decoder.generation(), before);
}

#[test]
fn one_memory_serves_all_blocks() {
    let mut decoder = Decoder::new(4096);
    let mut list = HeaderList::default();
    let block = bytes("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff");
    decoder.decode(&block, &mut list).unwrap();
    let memory = (list.text.as_ptr(), list.fields().as_ptr());
    for _ in 0..100 {
        decoder.decode(&block, &mut list).unwrap();
        assert_eq!((list.text.as_ptr(), list.fields().as_ptr()), memory);
    }
}
