//! The `Range` field, any bytes and any length: no panic; every part selected is there and apart from the
//! others, has nothing but what was asked for and small gaps, and all that was asked for is in one; a
//! multipart content is as long as it says.
//!
//! The input: a line with the length of the representation, then the field.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_proto::range::{
    ByteRange, GAP_BYTES, Multipart, RANGES_MAX, RangeSet, Selection, select,
};

fuzz_target!(|input: &[u8]| {
    let Some(line_end) = input.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (length, field) = (&input[..line_end], &input[line_end + 1..]);
    let Some(complete_length) = std::str::from_utf8(length)
        .ok()
        .and_then(|length| length.parse::<u64>().ok())
    else {
        return;
    };
    let asked: Option<Vec<_>> = RangeSet::parse(field).map(|set| set.iter().collect());
    let there: Vec<ByteRange> = asked
        .iter()
        .flatten()
        .filter_map(|spec| spec.resolve(complete_length))
        .collect();
    let parts = match select(field, complete_length) {
        Selection::Whole => {
            let few = asked.is_some_and(|asked| asked.len() <= RANGES_MAX);
            assert!(!few || complete_length == 0);
            return;
        }
        Selection::Unsatisfiable => {
            assert!(asked.is_some() && there.is_empty());
            return;
        }
        Selection::Single(part) => vec![part],
        Selection::Several(parts) => {
            assert!((2..=RANGES_MAX).contains(&parts.len()));
            parts
        }
    };
    for part in &parts {
        assert!(part.first <= part.last && part.last < complete_length);
        assert!(there.iter().any(|range| range.first == part.first));
        assert!(there.iter().any(|range| range.last == part.last));
    }
    for range in &there {
        let within = |part: &&ByteRange| part.first <= range.first && range.last <= part.last;
        assert_eq!(parts.iter().filter(within).count(), 1);
    }
    let mut sorted = parts.clone();
    sorted.sort_by_key(|part| part.first);
    for pair in sorted.windows(2) {
        assert!(pair[1].first - pair[0].last > GAP_BYTES);
    }
    for part in &parts {
        check_gaps(*part, &there);
    }
    check_multipart(&parts, complete_length, field);
});

/// A part is the ranges that lie in it, with less than another part's head between them.
fn check_gaps(part: ByteRange, there: &[ByteRange]) {
    let mut within: Vec<_> = there
        .iter()
        .filter(|range| part.first <= range.first && range.last <= part.last)
        .collect();
    within.sort_by_key(|range| range.first);
    let mut end = part.first;
    for range in within {
        assert!(range.first.saturating_sub(end) <= GAP_BYTES);
        end = end.max(range.last);
    }
    assert_eq!(end, part.last);
}

fn check_multipart(parts: &[ByteRange], complete_length: u64, content_type: &[u8]) {
    let boundary = u128::from(complete_length) << 64 | u128::from(!complete_length);
    let Some(multipart) = Multipart::new(parts, complete_length, Some(content_type), boundary)
    else {
        assert!(complete_length > u64::MAX / 2);
        return;
    };
    let mut length = multipart.end().len() as u64;
    let mut count = 0;
    for (part, range) in multipart.parts().zip(parts) {
        assert_eq!(part.range, *range);
        assert!(part.head.ends_with(b"\r\n\r\n"));
        assert_eq!(part.head.starts_with(b"--"), count == 0);
        let lines = part.head.windows(2).filter(|two| two == b"\r\n").count();
        assert!(lines <= 5);
        length += part.head.len() as u64 + range.length();
        count += 1;
    }
    assert_eq!(count, parts.len());
    assert_eq!(multipart.length(), length);
}
