//! Chunked content, any bytes in any split: no panic, the same content, the same end.
//!
//! The first byte of the input says how to split the rest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::RequestLimits;
use tidegate_proto::http1::{ChunkStep, ChunkedDecoder, Reject};

fuzz_target!(|input: &[u8]| {
    let Some((&split, bytes)) = input.split_first() else {
        return;
    };
    let mut limits = RequestLimits::default();
    if split & 1 == 0 {
        limits.head_bytes_max = 256;
        limits.field_bytes_max = 64;
    }
    let whole = decode(bytes.chunks(bytes.len().max(1)), &limits);
    assert_eq!(decode(bytes.chunks(1), &limits), whole);
    assert_eq!(
        decode(bytes.chunks(1 + usize::from(split >> 1)), &limits),
        whole
    );
});

/// The content, and how many bytes all took, if it ended; what its trailers are.
type Decoded = (Vec<u8>, Option<(usize, Vec<(String, Vec<u8>)>)>);

fn decode<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    limits: &RequestLimits,
) -> Result<Decoded, Reject> {
    let mut decoder = ChunkedDecoder::new();
    let mut content = Vec::new();
    let mut taken = 0;
    for piece in pieces {
        let mut rest = piece;
        loop {
            match decoder.decode(rest, limits)? {
                ChunkStep::NeedMore { consumed } => {
                    assert_eq!(consumed, rest.len());
                    taken += consumed;
                    break;
                }
                ChunkStep::Data { range, consumed } => {
                    assert!(!range.is_empty() && range.end == consumed);
                    content.extend_from_slice(&rest[range]);
                    taken += consumed;
                    rest = &rest[consumed..];
                }
                ChunkStep::End { consumed } => {
                    assert!(decoder.is_ended());
                    taken += consumed;
                    let trailers = decoder.take_trailers();
                    let trailers = trailers.iter().map(|field| {
                        assert!(!field.name.eq_ignore_ascii_case("content-length"));
                        (field.name.to_owned(), field.value.to_vec())
                    });
                    return Ok((content, Some((taken, trailers.collect()))));
                }
            }
        }
    }
    Ok((content, None))
}
