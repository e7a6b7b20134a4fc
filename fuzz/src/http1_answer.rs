//! The head of another server's response, any bytes in any split: no panic, the same head, and one framing.
//!
//! The first byte of the input says what was asked, and how to split the rest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_httpapi::{Fields, KnownField, RequestLimits};
use tidegate_proto::http1::{AnswerFraming, parse_answer};

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let to_head = first & 1 == 1;
    let mut limits = RequestLimits::default();
    limits.head_bytes_max = 4096;
    let mut spans = Vec::new();
    let whole = parse_answer(bytes, 0, to_head, &limits, &mut spans);
    if let Ok(Some(answer)) = &whole {
        assert!((100..600).contains(&answer.status));
        assert!(answer.head_bytes <= bytes.len().min(4096));
        assert!(bytes[..answer.head_bytes].ends_with(b"\r\n\r\n"));
        let fields = Fields::new(bytes, &spans);
        let has_length = fields.known(KnownField::ContentLength).is_some();
        let has_coding = fields.known(KnownField::TransferEncoding).is_some();
        assert!(!(has_length && has_coding), "two framings");
        match answer.framing {
            AnswerFraming::Length(_) => assert!(has_length),
            AnswerFraming::Chunked => assert!(has_coding),
            AnswerFraming::UntilClose => assert!(!has_length && !has_coding),
            AnswerFraming::None => {}
        }
        for field in fields.iter() {
            assert!(!field.name.is_empty());
            let is_bad = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
            assert!(!field.value.iter().any(is_bad));
        }
    }
    let step = 1 + usize::from(first >> 1);
    let (mut end, mut seen) = (0, 0);
    let mut in_pieces = Ok(None);
    while end < bytes.len() {
        end = (end + step).min(bytes.len());
        in_pieces = parse_answer(&bytes[..end], seen, to_head, &limits, &mut spans);
        seen = end;
        if !matches!(in_pieces, Ok(None)) {
            break;
        }
    }
    let shown = |result: &Result<Option<tidegate_proto::http1::ParsedAnswer>, _>| match result {
        Ok(answer) => Ok(answer.as_ref().map(|a| (a.status, a.head_bytes, a.framing, a.close))),
        Err(fault) => Err(*fault),
    };
    assert_eq!(shown(&in_pieces), shown(&whole));
});
