//! Header blocks, any bytes: no panic, bounded memory, the same again whatever list they are read into;
//! what came out, encoded again, is read as the same.
//!
//! The first two bytes of the input say the table's size and the limits. Each block has its length in
//! two bytes before it; one of length 0xFFFF stands for a change of the table's size.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_proto::http2::hpack::{Decoder, Encoder, HeaderList, HeaderListLimits, Indexing};

fuzz_target!(|input: &[u8]| {
    let Some((&[size, limits], mut rest)) = input.split_first_chunk() else {
        return;
    };
    let limits = HeaderListLimits {
        decoded_bytes_max: u32::from(limits) * 64,
        fields_max: u32::from(limits % 16) * 4,
    };
    let table_bytes_max = u32::from(size) * 32;
    let mut decoder = Decoder::new(table_bytes_max);
    let mut twin = Decoder::new(table_bytes_max);
    let mut list = HeaderList::new(limits);
    let mut whole = HeaderList::new(HeaderListLimits {
        decoded_bytes_max: u32::MAX,
        fields_max: u32::MAX,
    });
    while let Some((len, after)) = rest.split_first_chunk() {
        let len = u16::from_be_bytes(*len);
        if let (u16::MAX, Some((&size, after))) = (len, after.split_first()) {
            decoder.set_table_bytes_max(u32::from(size) * 32);
            twin.set_table_bytes_max(u32::from(size) * 32);
            rest = after;
            continue;
        }
        let (block, after) = after.split_at(after.len().min(len.into()));
        rest = after;
        let before = decoder.generation();
        let outcome = decoder.decode(block, &mut list);
        // A list without limits takes what a bomb has: only small blocks are given to it.
        if block.len() <= 256 {
            assert_eq!(twin.decode(block, &mut whole), outcome);
        } else {
            assert_eq!(twin.decode(block, &mut HeaderList::new(limits)), outcome);
        }
        assert_eq!(twin.generation(), decoder.generation());
        check_limits(&list, limits);
        if outcome.is_err() {
            return;
        }
        if block.len() <= 256 {
            check_beginning(&list, &whole);
            check_encoded_again(&whole);
        }
        if decoder.generation() == before {
            let fields = list.fields().to_vec();
            assert_eq!(decoder.decode(block, &mut list), Ok(()));
            assert_eq!((list.fields(), decoder.generation()), (&fields[..], before));
        }
    }
});

fn check_limits(list: &HeaderList, limits: HeaderListLimits) {
    let overhead = 32 * list.fields().len();
    assert!(list.bytes().len() + overhead <= limits.decoded_bytes_max as usize);
    assert!(list.fields().len() <= limits.fields_max as usize);
    let text: usize = list
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert_eq!(text, list.bytes().len());
}

/// What is kept is the beginning of the list.
fn check_beginning(list: &HeaderList, whole: &HeaderList) {
    assert!(!whole.is_too_large());
    assert_eq!(list.decoded_bytes(), whole.decoded_bytes());
    assert_eq!(list.is_malformed(), whole.is_malformed());
    assert_eq!(
        list.is_too_large(),
        list.fields().len() < whole.fields().len()
    );
    assert!(list.iter().eq(whole.iter().take(list.fields().len())));
}

fn check_encoded_again(list: &HeaderList) {
    let (mut encoder, mut decoder) = (Encoder::new(4096), Decoder::new(4096));
    let mut again = HeaderList::new(HeaderListLimits {
        decoded_bytes_max: u32::MAX,
        fields_max: u32::MAX,
    });
    for _ in 0..3 {
        let mut block = Vec::new();
        encoder.begin_block(&mut block);
        for (name, value) in list.iter() {
            encoder.encode_field(&mut block, name, value, Indexing::ByName);
        }
        assert_eq!(decoder.decode(&block, &mut again), Ok(()));
        let lower = list
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value));
        assert!(lower.eq(again.iter().map(|(name, value)| (name.to_vec(), value))));
    }
}
