//! Any fields, in any blocks, with any sizes of the table: what was encoded is decoded as the same, and
//! the tables of both sides change together.
//!
//! The input is a list of steps, each with one byte that says what it is and what it has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_proto::http2::hpack::{
    Decoder, Encoder, HeaderList, HeaderListLimits, Indexing, encode_content_length,
    encode_field_plain,
};

fuzz_target!(|input: &[u8]| {
    let Some((&own, mut rest)) = input.split_first() else {
        return;
    };
    let mut pair = Pair {
        encoder: Encoder::new(u32::from(own) * 32),
        decoder: Decoder::new(4096),
        list: HeaderList::new(HeaderListLimits {
            decoded_bytes_max: u32::MAX,
            fields_max: u32::MAX,
        }),
        block: Vec::new(),
        expected: Vec::new(),
        generations: (0, 0),
    };
    pair.begin();
    while let Some(step) = take(&mut rest, 1) {
        let argument = step[0] >> 3;
        match step[0] & 7 {
            0 => pair.end(),
            1 => {
                pair.end();
                let bytes_max = [0, 33, 100, 200, 1000, 4096, 8192, 65_536][argument as usize % 8];
                pair.encoder.set_peer_table_bytes_max(bytes_max);
                pair.decoder.set_table_bytes_max(bytes_max);
                pair.begin();
            }
            2 => {
                pair.end();
                pair.status(100 + 13 * u16::from(argument));
            }
            3 => {
                let length = u64::MAX >> (2 * argument);
                encode_content_length(&mut pair.block, length);
                pair.expect(b"content-length", length.to_string().as_bytes());
            }
            _ => {
                let (Some(name), Some(value)) = (name(&mut rest), string(&mut rest)) else {
                    break;
                };
                pair.field(name, value, argument);
            }
        }
    }
    pair.end();
});

struct Pair {
    encoder: Encoder,
    decoder: Decoder,
    list: HeaderList,
    block: Vec<u8>,
    expected: Vec<(Vec<u8>, Vec<u8>)>,
    /// Before the block.
    generations: (u64, u64),
}

impl Pair {
    fn begin(&mut self) {
        self.generations = (self.encoder.generation(), self.decoder.generation());
        self.encoder.begin_block(&mut self.block);
    }

    fn status(&mut self, status: u16) {
        self.encoder.encode_status(&mut self.block, status);
        self.expect(b":status", status.to_string().as_bytes());
    }

    fn field(&mut self, name: &[u8], value: &[u8], how: u8) {
        let indexing = match how % 5 {
            0 => Indexing::ByName,
            1 => Indexing::Incremental,
            2 => Indexing::Without,
            3 => Indexing::Never,
            _ => {
                encode_field_plain(&mut self.block, name, value);
                return self.expect(name, value);
            }
        };
        self.encoder
            .encode_field(&mut self.block, name, value, indexing);
        self.expect(name, value);
    }

    fn expect(&mut self, name: &[u8], value: &[u8]) {
        self.expected
            .push((name.to_ascii_lowercase(), value.to_vec()));
    }

    /// Ends the block, and begins the next one.
    fn end(&mut self) {
        assert_eq!(self.decoder.decode(&self.block, &mut self.list), Ok(()));
        let expected = self.expected.iter();
        assert!(
            expected
                .map(|(name, value)| (&name[..], &value[..]))
                .eq(self.list.iter())
        );
        if self.encoder.generation() == self.generations.0 {
            assert_eq!(self.decoder.generation(), self.generations.1);
        }
        self.block.clear();
        self.expected.clear();
        self.begin();
    }
}

/// A name that is known, or any bytes.
fn name<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    const NAMES: [&[u8]; 8] = [
        b"Content-Type",
        b"date",
        b"Server",
        b"X-Custom",
        b"accept-encoding",
        b":path",
        b"Set-Cookie",
        b"etag",
    ];
    match rest.first() {
        Some(&first) if first >= 0xF8 => {
            take(rest, 1)?;
            Some(NAMES[usize::from(first & 7)])
        }
        _ => string(rest),
    }
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take(rest, 1)?[0];
    take(rest, len.into())
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}
