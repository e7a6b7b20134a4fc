//! Chunked content, in every split.
#![allow(clippy::unwrap_used, reason = "the helper functions are tests, too")]

use tidegate_httpapi::RequestLimits;
use tidegate_proto::http1::{ChunkStep, ChunkedDecoder, Reject};

/// What decoding `pieces`, one after the other, gives.
#[derive(Debug, PartialEq)]
struct Decoded {
    content: Vec<u8>,
    /// `Some` once ended: how many bytes were taken, and the trailers.
    end: Option<(usize, Fields)>,
}

type Fields = Vec<(String, Vec<u8>)>;

fn decode(pieces: &[&[u8]], limits: &RequestLimits) -> Result<Decoded, Reject> {
    let mut decoder = ChunkedDecoder::new();
    let mut content = Vec::new();
    let mut taken = 0;
    for piece in pieces {
        let mut rest = *piece;
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
                    let trailers = decoder.trailers().iter();
                    let trailers = trailers.map(|field| (field.name.into(), field.value.into()));
                    let end = Some((taken, trailers.collect()));
                    return Ok(Decoded { content, end });
                }
            }
        }
    }
    Ok(Decoded { content, end: None })
}

/// Decodes whole, by single bytes, and in every split in two; all must agree.
fn decode_in_every_split(bytes: &[u8], limits: &RequestLimits) -> Result<Decoded, Reject> {
    let whole = decode(&[bytes], limits);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(
        decode(&single, limits),
        whole,
        "{:?}",
        String::from_utf8_lossy(bytes)
    );
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(
            decode(&[first, second], limits),
            whole,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    whole
}

fn check(bytes: &str) -> Decoded {
    decode_in_every_split(bytes.as_bytes(), &RequestLimits::default()).unwrap()
}

#[track_caller]
fn check_refused(bytes: &str, reason: Reject) {
    let found = decode_in_every_split(bytes.as_bytes(), &RequestLimits::default());
    assert_eq!(found, Err(reason), "{bytes:?}");
    assert_eq!(reason.status(), 400);
}

#[test]
fn content_is_put_together() {
    for (bytes, content) in [
        ("0\r\n\r\n", ""),
        ("4\r\nwiki\r\n0\r\n\r\n", "wiki"),
        ("4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n", "wikipedia"),
        ("A\r\n0123456789\r\n000\r\n\r\n", "0123456789"),
        ("0000000000000001\r\nx\r\n0\r\n\r\n", "x"),
        ("1;a\r\nx\r\n0\r\n\r\n", "x"),
        ("1;a=b;c=\"d e\"\r\nx\r\n0;last\r\n\r\n", "x"),
        ("1 ;a\r\nx\r\n0 \t;b\r\n\r\n", "x"),
        ("1;\r\nx\r\n0;\t\r\n\r\n", "x"),
    ] {
        let decoded = check(bytes);
        assert_eq!(decoded.content, content.as_bytes(), "{bytes:?}");
        assert_eq!(decoded.end, Some((bytes.len(), Vec::new())), "{bytes:?}");
    }
    let decoded = check("9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n");
    assert_eq!(decoded.content, b"\r\n0\r\n\r\n\r\n");
}

#[test]
fn what_follows_the_content_is_left() {
    let bytes = "1\r\nx\r\n0\r\n\r\n";
    let decoded = decode(
        &[format!("{bytes}GET / HTTP/1.1\r\n").as_bytes()],
        &RequestLimits::default(),
    );
    assert_eq!(decoded.unwrap().end, Some((bytes.len(), Vec::new())));
    let with_trailers = "0\r\nA: b\r\n\r\n";
    let decoded = decode(
        &[format!("{with_trailers}GET").as_bytes()],
        &RequestLimits::default(),
    );
    assert_eq!(decoded.unwrap().end.unwrap().0, with_trailers.len());
}

#[test]
fn a_malformed_size_is_refused() {
    for size in [
        "", "x", "-1", "+1", "0x1", " 1", "1 ", "1\t", "1 2", "g", "\r\n1", ";a", "1,2", "1.0",
        "\0",
    ] {
        check_refused(&format!("{size}\r\nx\r\n0\r\n\r\n"), Reject::ChunkSize);
        check_refused(&format!("1\r\nx\r\n{size}\r\n\r\n"), Reject::ChunkSize);
    }
}

#[test]
fn a_size_beyond_2_to_the_63_is_refused() {
    for size in [
        "8000000000000000",
        "ffffffffffffffff",
        "10000000000000000",
        "00000000000000001",
    ] {
        check_refused(&format!("{size}\r\nx"), Reject::ChunkSize);
    }
    let limits = RequestLimits::default();
    let decoded = decode(&[b"7fffffffffffffff\r\nx"], &limits).unwrap();
    assert_eq!(decoded.content, b"x");
}

#[test]
fn a_line_or_chunk_must_end_in_cr_lf() {
    for bytes in [
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "1\r\nx\r0\r\n\r\n",
        "1\rx\r\n0\r\n\r\n",
        "1;a\nx\r\n0\r\n\r\n",
        "1;a\rb\r\nx\r\n0\r\n\r\n",
        "1;a\0b\r\nx\r\n0\r\n\r\n",
        "1;\u{7f}\r\nx\r\n0\r\n\r\n",
        "0\n\n",
        "1\r\r\nx\r\n",
    ] {
        let found = decode_in_every_split(bytes.as_bytes(), &RequestLimits::default());
        assert!(
            matches!(found, Err(Reject::ChunkEnd | Reject::ChunkSize)),
            "{bytes:?}: {found:?}"
        );
    }
}

#[test]
fn extensions_may_outweigh_the_content_only_so_far() {
    let mut limits = RequestLimits::default();
    limits.head_bytes_max = 256;
    let one = |extension: usize, content: usize| {
        format!(
            "{content:x};{}\r\n{}\r\n",
            "e".repeat(extension),
            "c".repeat(content)
        )
    };
    let decode = |bytes: &str| decode_in_every_split(bytes.as_bytes(), &limits);
    assert!(decode(&one(256, 1)).is_ok());
    assert_eq!(decode(&one(257, 1)), Err(Reject::ChunkExtension));
    assert_eq!(decode(&one(20, 1).repeat(15)), Err(Reject::ChunkExtension));
    // A signature for each large chunk, say, is no attack.
    assert!(decode(&one(80, 400).repeat(10)).is_ok());
}

#[test]
fn trailers_are_kept_but_for_forbidden_ones() {
    let decoded = check(
        "1\r\nx\r\n0\r\nChecksum: abc \r\nContent-Length: 5\r\ntransfer-encoding: chunked\r\n\
         HOST: h\r\nAuthorization: a\r\nEmpty:\r\nChecksum: def\r\n\r\n",
    );
    let fields = decoded.end.unwrap().1;
    let fields: Vec<(&str, &[u8])> = fields
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let kept: [(&str, &[u8]); 3] = [("Checksum", b"abc"), ("Empty", b""), ("Checksum", b"def")];
    assert_eq!(fields, kept);
}

#[test]
fn a_malformed_trailer_section_is_refused() {
    for (lines, reason) in [
        ("A : b\r\n", Reject::FieldName),
        ("A\r\n", Reject::FieldName),
        (": b\r\n", Reject::FieldName),
        ("A: b\0\r\n", Reject::FieldValue),
        ("A: b\n", Reject::LineEnd),
        ("A: b\r\n c\r\n", Reject::LineEnd),
        ("A: b\rc\r\n", Reject::LineEnd),
    ] {
        check_refused(&format!("0\r\n{lines}\r\n"), reason);
    }
}

#[test]
fn a_trailer_section_is_as_long_as_a_head_may_be_and_no_longer() {
    let mut limits = RequestLimits::default();
    limits.head_bytes_max = 256;
    let section = |len: usize| format!("0\r\nA: {}\r\n\r\n", "a".repeat(len - 7));
    let decode = |bytes: &str| decode_in_every_split(bytes.as_bytes(), &limits);
    assert!(decode(&section(256)).unwrap().end.is_some());
    assert_eq!(decode(&section(257)), Err(Reject::HeadTooLong));
    assert_eq!(
        decode(&format!("0\r\n{}", "A: b\r\n".repeat(100))),
        Err(Reject::HeadTooLong)
    );
    limits.head_bytes_max = 16_384;
    limits.field_bytes_max = 64;
    let decoded = decode_in_every_split(section(100).as_bytes(), &limits);
    assert_eq!(decoded, Err(Reject::FieldTooLong));
}

#[test]
fn a_decoder_that_has_ended_takes_no_more() {
    let limits = RequestLimits::default();
    let mut decoder = ChunkedDecoder::new();
    assert_eq!(
        decoder.decode(b"0\r\n\r\n", &limits),
        Ok(ChunkStep::End { consumed: 5 })
    );
    assert_eq!(
        decoder.decode(b"GET", &limits),
        Ok(ChunkStep::End { consumed: 0 })
    );
    assert_eq!(decoder.take_trailers().iter().count(), 0);
}
