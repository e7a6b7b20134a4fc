//! Each error, one by one.

use super::*;

fn error(block: &[u8]) -> HpackError {
    decode(&mut Decoder::new(4096), block).unwrap_err()
}

#[test]
fn a_block_that_ends_within_a_field_is_refused() {
    let block = bytes("400a 6375 7374 6f6d 2d6b 6579 8925 a849 e95b b8e8 b4bf");
    for len in 1..block.len() {
        assert_eq!(error(&block[..len]), HpackError::Truncated, "{len}");
    }
    assert!(decode(&mut Decoder::new(4096), &block).is_ok());
    for block in [&[0x7F][..], &[0xFF, 0x80], &[0x0F], &[0x3F], &[0x41, 0x7F]] {
        assert_eq!(error(block), HpackError::Truncated, "{block:x?}");
    }
}

#[test]
fn an_index_without_a_field_is_refused() {
    for (block, index) in [
        (&[0x80][..], 0),
        (&[0xBE], 62),
        (&[0x7E, 1, b'a'], 62),
        (&[0x0F, 62 - 15, 1, b'a'], 62),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], 0),
    ] {
        match error(block) {
            HpackError::IndexUnknown { index: seen } => assert_eq!(seen, index),
            HpackError::IntegerOverflow => assert_eq!(block.len(), 6),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        error(&[0xFF, 0x80, 0xFF, 0xFF, 0xFF, 0x0F]),
        HpackError::IndexUnknown { index: u32::MAX }
    );
    // One field in the table: index 62 is it, 63 is none.
    let mut decoder = Decoder::new(4096);
    assert!(decode(&mut decoder, &bytes("4001 6101 62be")).is_ok());
    let error = decode(&mut decoder, &[0xBF]).unwrap_err();
    assert_eq!(error, HpackError::IndexUnknown { index: 63 });
}

#[test]
fn integers_are_bounded() {
    for first in [0xFF, 0x7F, 0x0F, 0x3F] {
        let block = [first, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
        assert_eq!(error(&block), HpackError::IntegerOverflow);
    }
    let name_len = [0x40, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00];
    assert_eq!(error(&name_len), HpackError::IntegerOverflow);
}

#[test]
fn huffman_errors_are_told() {
    assert_eq!(
        error(&[0x44, 0x84, 255, 255, 255, 255]),
        HpackError::HuffmanEos
    );
    assert_eq!(error(&[0x44, 0x81, 0x00]), HpackError::HuffmanPadding);
    assert_eq!(error(&[0x44, 0x81, 0xFF]), HpackError::HuffmanPadding);
}

#[test]
fn a_size_update_above_what_was_announced_is_refused() {
    let mut decoder = Decoder::new(4096);
    assert_eq!(decode(&mut decoder, &[0x3F, 0xE1, 0x1F]), Ok(vec![]));
    let error = decode(&mut decoder, &[0x3F, 0xE2, 0x1F]).unwrap_err();
    assert_eq!(
        error,
        HpackError::SizeUpdateTooLarge {
            bytes: 4097,
            bytes_max: 4096
        }
    );
    // More was announced: it may be used, but only after an update.
    let mut decoder = Decoder::new(8192);
    assert_eq!(decode(&mut decoder, &[0x3F, 0xE2, 0x1F]), Ok(vec![]));
}

#[test]
fn size_updates_stand_first_and_are_two_at_most() {
    assert_eq!(error(&[0x82, 0x20]), HpackError::SizeUpdateMisplaced);
    assert_eq!(error(&[0x20, 0x82, 0x20]), HpackError::SizeUpdateMisplaced);
    assert_eq!(error(&[0x20, 0x21, 0x22]), HpackError::SizeUpdateMisplaced);
    let mut decoder = Decoder::new(4096);
    let list = decode(&mut decoder, &[0x20, 0x3F, 0xE1, 0x1F, 0x82]);
    assert_eq!(list, Ok(fields(&[(":method", "GET")])));
}

#[test]
fn a_lowered_limit_has_to_be_followed() {
    for block in [&[0x82][..], &[]] {
        let mut decoder = Decoder::new(4096);
        decoder.set_table_bytes_max(100);
        let error = decode(&mut decoder, block).unwrap_err();
        assert_eq!(error, HpackError::SizeUpdateMissing);
    }
    // Down and up again: the lowest has to be seen.
    let mut decoder = Decoder::new(4096);
    decoder.set_table_bytes_max(20);
    decoder.set_table_bytes_max(4096);
    assert_eq!(
        decode(&mut decoder.clone(), &[0x35]).unwrap_err(),
        HpackError::SizeUpdateTooLarge {
            bytes: 21,
            bytes_max: 20
        }
    );
    assert_eq!(decode(&mut decoder, &[0x34, 0x3F, 0xE1, 0x1F]), Ok(vec![]));
    assert_eq!(
        decode(&mut decoder, &[0x82]),
        Ok(fields(&[(":method", "GET")]))
    );
    // What the table does not use anyway can be taken away in silence.
    let mut decoder = Decoder::new(8192);
    decoder.set_table_bytes_max(4096);
    assert_eq!(decode(&mut decoder, &[]), Ok(vec![]));
}

#[test]
fn a_size_update_evicts() {
    let mut decoder = Decoder::new(4096);
    assert!(decode(&mut decoder, &bytes("4001 6101 62be")).is_ok());
    let error = decode(&mut decoder, &[0x20, 0xBE]).unwrap_err();
    assert_eq!(error, HpackError::IndexUnknown { index: 62 });
}
