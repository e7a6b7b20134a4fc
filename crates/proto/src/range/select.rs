//! Which bytes go out for a `Range` field. Source: RFC 9110 §14.1.2, §14.2, §14.4 and §15.3.7.2.

use std::fmt::{self, Write as _};

use super::set::{RangeSet, RangeSpec};

/// Most ranges that one field may list, after which it is answered with the whole content.
///
/// Parts of an answer have heads, and each piece of it is work: without a bound, a short request would
/// cost a lot (RFC 9110 §17.15). 200 is what Apache's `MaxRanges` allows, which readers of documents
/// that ask for many pages at once get along with.
pub const RANGES_MAX: usize = 200;

/// Ranges with fewer bytes than this between them are sent as one.
///
/// About what the head of a part takes: so many bytes that nobody asked for cost less than a part of
/// their own (RFC 9110 §15.3.7.2).
pub const GAP_BYTES: u64 = 80;

/// A stretch of a representation's bytes, both ends included.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte, never before `first`.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes these are.
    pub const fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// What to answer a `Range` field with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection {
    /// The field is ignored: the whole content, with 200.
    Whole,
    /// No range has a byte that is there: 416, with [`unsatisfied_range`].
    Unsatisfiable,
    /// One part: 206, with [`content_range`].
    Single(ByteRange),
    /// At least two parts, apart from one another: 206, as a [`Multipart`](super::Multipart).
    ///
    /// In the order asked for; ranges that were put together stand where the first of them stood.
    Several(Vec<ByteRange>),
}

/// What to answer the value of a `Range` field with, given the length of the representation it is for.
///
/// Ranges that overlap, or nearly meet (see [`GAP_BYTES`]), become one. Ranges that have no byte are
/// left out as long as another has one. A field that lists more than [`RANGES_MAX`] is ignored. So is
/// one for the end of an empty representation: it is satisfiable, but what is there cannot be said by
/// a `Content-Range`.
pub fn select(field: &[u8], complete_length: u64) -> Selection {
    let Some(set) = RangeSet::parse(field) else {
        return Selection::Whole;
    };
    let mut specs = set.iter();
    match (specs.next(), specs.next()) {
        (Some(only), None) => single(only, complete_length),
        _ if set.iter().nth(RANGES_MAX).is_some() => Selection::Whole,
        _ => several(&set, complete_length),
    }
}

fn single(spec: RangeSpec, complete_length: u64) -> Selection {
    match spec.resolve(complete_length) {
        Some(range) => Selection::Single(range),
        None if is_end_of_nothing(spec, complete_length) => Selection::Whole,
        None => Selection::Unsatisfiable,
    }
}

fn several(set: &RangeSet<'_>, complete_length: u64) -> Selection {
    // Each with its place in the request.
    let mut asked: Vec<(usize, ByteRange)> = set
        .iter()
        .filter_map(|spec| spec.resolve(complete_length))
        .enumerate()
        .collect();
    if asked.is_empty() {
        let any = set
            .iter()
            .any(|spec| is_end_of_nothing(spec, complete_length));
        return match any {
            true => Selection::Whole,
            false => Selection::Unsatisfiable,
        };
    }
    asked.sort_unstable_by_key(|&(_, range)| range.first);
    let mut kept: Vec<(usize, ByteRange)> = Vec::with_capacity(asked.len());
    for (place, range) in asked {
        match kept.last_mut() {
            Some((first_place, before)) if nearly_meet(*before, range) => {
                before.last = before.last.max(range.last);
                *first_place = place.min(*first_place);
            }
            _ => kept.push((place, range)),
        }
    }
    if let [(_, only)] = kept[..] {
        return Selection::Single(only);
    }
    kept.sort_unstable_by_key(|&(place, _)| place);
    Selection::Several(kept.into_iter().map(|(_, range)| range).collect())
}

/// Whether `after`, which begins no earlier, is to be sent together with `before`.
fn nearly_meet(before: ByteRange, after: ByteRange) -> bool {
    match after.first.checked_sub(before.last) {
        // Offsets are one more apart than there are bytes between them.
        Some(apart) => apart <= GAP_BYTES,
        None => true,
    }
}

fn is_end_of_nothing(spec: RangeSpec, complete_length: u64) -> bool {
    complete_length == 0 && matches!(spec, RangeSpec::Suffix { length: 1.. })
}

/// The value of a `Content-Range` field for one part. RFC 9110 §14.4.
pub fn content_range(range: ByteRange, complete_length: u64) -> ContentRange {
    let mut value = ContentRange {
        bytes: [0; CONTENT_RANGE_LEN_MAX],
        length: 0,
    };
    let ByteRange { first, last } = range;
    let written = write!(value, "bytes {first}-{last}/{complete_length}");
    debug_assert!(written.is_ok(), "three numbers fit");
    value
}

/// The value of a `Content-Range` field. It takes no memory but its own.
#[derive(Clone, Copy, Debug)]
pub struct ContentRange {
    bytes: [u8; CONTENT_RANGE_LEN_MAX],
    length: usize,
}

impl ContentRange {
    /// The value as it goes out.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Write for ContentRange {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// `bytes`, three numbers of up to 20 digits, and what is between them.
const CONTENT_RANGE_LEN_MAX: usize = "bytes --/".len() + 3 * 20;

/// The value of a `Content-Range` field for 416. RFC 9110 §14.4.
pub fn unsatisfied_range(complete_length: u64) -> String {
    format!("bytes */{complete_length}")
}

#[cfg(test)]
mod tests {
    use super::Selection::{Several, Single, Unsatisfiable, Whole};
    use super::*;

    fn range(first: u64, last: u64) -> ByteRange {
        ByteRange { first, last }
    }

    #[test]
    fn one_range_is_one_part() {
        let max = u64::MAX;
        let cases = [
            ("bytes=0-10", 100, Single(range(0, 10))),
            ("bytes=99-", 100, Single(range(99, 99))),
            ("bytes=-1", 100, Single(range(99, 99))),
            ("bytes=0-", 100, Single(range(0, 99))),
            ("bytes=100-", 100, Unsatisfiable),
            ("bytes=-0", 100, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=0-0", 0, Unsatisfiable),
            ("bytes=-0", 0, Unsatisfiable),
            ("bytes=-1", 0, Whole),
            ("bytes=0-0,-1", 0, Whole),
            ("bytes=0-0,-0", 0, Unsatisfiable),
            ("pages=1-2", 100, Whole),
            ("bytes=2-1", 100, Whole),
            // MS15-034.
            ("bytes=0-18446744073709551615", 100, Single(range(0, 99))),
            ("bytes=18-18446744073709551615", 100, Single(range(18, 99))),
            ("bytes=-18446744073709551615", 100, Single(range(0, 99))),
            ("bytes=9223372036854775807-", 100, Unsatisfiable),
            (
                "bytes=0-18446744073709551615",
                max,
                Single(range(0, max - 1)),
            ),
        ];
        for (field, length, expected) in cases {
            assert_eq!(select(field.as_bytes(), length), expected, "{field}");
        }
    }

    #[test]
    fn several_ranges_are_put_together_where_it_pays() {
        let cases = [
            (
                "bytes=0-10,500-600",
                Several(vec![range(0, 10), range(500, 600)]),
            ),
            // In the order asked for.
            (
                "bytes=500-600,0-10",
                Several(vec![range(500, 600), range(0, 10)]),
            ),
            ("bytes=0-10,5-20", Single(range(0, 20))),
            ("bytes=0-10,11-20", Single(range(0, 20))),
            ("bytes=0-20,5-10", Single(range(0, 20))),
            ("bytes=0-0,0-0,0-0", Single(range(0, 0))),
            // 79 bytes between them are fewer than a part's head; 80 are not.
            ("bytes=0-10,90-90", Single(range(0, 90))),
            (
                "bytes=0-10,91-91",
                Several(vec![range(0, 10), range(91, 91)]),
            ),
            ("bytes=0-10,5000-", Single(range(0, 10))),
            ("bytes=4000-,5000-", Unsatisfiable),
            // What was put together stands where the first of it was asked for.
            (
                "bytes=990-,0-0,500-510,950-960",
                Several(vec![range(950, 999), range(0, 0), range(500, 510)]),
            ),
            ("bytes=-1,0-", Single(range(0, 999))),
        ];
        for (field, expected) in cases {
            assert_eq!(select(field.as_bytes(), 1000), expected, "{field}");
        }
        let far = u64::MAX;
        assert_eq!(
            select(b"bytes=0-0,-1,18446744073709551614-", far),
            Several(vec![range(0, 0), range(far - 1, far - 1)])
        );
    }

    #[test]
    fn too_many_ranges_are_the_whole() {
        let list = |count: usize| {
            let specs: Vec<_> = (0..count)
                .map(|index| format!("{}-{}", index * 1000, index * 1000))
                .collect();
            format!("bytes={}", specs.join(","))
        };
        let Several(parts) = select(list(RANGES_MAX).as_bytes(), 1 << 40) else {
            panic!("as many as allowed are too many");
        };
        assert_eq!(parts.len(), RANGES_MAX);
        assert_eq!(select(list(RANGES_MAX + 1).as_bytes(), 1 << 40), Whole);
        let overlapping = format!("bytes=0-{}", ",0-".repeat(1000));
        assert_eq!(select(overlapping.as_bytes(), 1 << 20), Whole);
    }

    #[test]
    fn content_range_says_where_a_part_is() {
        let value = content_range(range(0, 10), 100);
        assert_eq!(value.as_bytes(), b"bytes 0-10/100");
        let longest = content_range(range(u64::MAX, u64::MAX), u64::MAX).to_string();
        let number = u64::MAX;
        assert_eq!(longest, format!("bytes {number}-{number}/{number}"));
        assert_eq!(unsatisfied_range(100), "bytes */100");
    }
}
