//! The `Range` field as it is written. Source: RFC 9110 §14.1.1 and §14.2, §5.6.1.

use super::ByteRange;

/// The byte ranges that a `Range` field lists, at least one, in the order listed.
///
/// Reads the field's bytes where they are; nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct RangeSet<'a> {
    /// All between `=` and the end.
    list: &'a [u8],
}

/// One element of a [`RangeSet`]. Numbers too large for 64 bits are the largest of these: they lie
/// behind the end of everything all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RangeSpec {
    /// `first-last`, both included; `last` is not before `first`.
    FromTo {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// `first-`: all from this offset on.
    From {
        /// Offset of the first byte.
        first: u64,
    },
    /// `-length`: this many bytes at the end.
    Suffix {
        /// Number of bytes.
        length: u64,
    },
}

impl<'a> RangeSet<'a> {
    /// Reads the value of a `Range` field.
    ///
    /// `None` means that the field is to be ignored: the unit is not `bytes`, the list is malformed, or
    /// one of its ranges ends before it begins. One bad range spoils the field: a peer that writes it
    /// may mean something else by the others, too (RFC 9110 §14.2 lets us choose).
    pub fn parse(field: &'a [u8]) -> Option<Self> {
        let equals = field.iter().position(|&byte| byte == b'=')?;
        let (unit, list) = (&field[..equals], &field[equals + 1..]);
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        // RFC 9110 §5.6.1: there may be blanks around commas only, so none at the list's beginning.
        // Those at its end belong to no value (§5.5), wherever this one comes from.
        let list = list.trim_ascii_end();
        if let [b' ' | b'\t', ..] = list {
            return None;
        }
        let mut count = 0usize;
        for element in elements(list) {
            parse_spec(element)?;
            count += 1;
        }
        (count > 0).then_some(Self { list })
    }

    /// The ranges, in the order listed.
    pub fn iter(&self) -> impl Iterator<Item = RangeSpec> + use<'a> {
        elements(self.list).filter_map(parse_spec)
    }
}

impl RangeSpec {
    /// The part of `complete_length` bytes that is meant; `None` when there is none, so that this range
    /// cannot be satisfied.
    pub fn resolve(self, complete_length: u64) -> Option<ByteRange> {
        let end = complete_length.checked_sub(1)?;
        let (first, last) = match self {
            Self::FromTo { first, last } => (first, last.min(end)),
            Self::From { first } => (first, end),
            Self::Suffix { length: 0 } => return None,
            Self::Suffix { length } => (complete_length.saturating_sub(length), end),
        };
        (first <= end).then_some(ByteRange { first, last })
    }
}

/// The elements of a list without its empty ones and without the blanks around commas.
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',')
        .map(trim_blanks)
        .filter(|element| !element.is_empty())
}

fn parse_spec(element: &[u8]) -> Option<RangeSpec> {
    let dash = element.iter().position(|&byte| byte == b'-')?;
    let (before, after) = (&element[..dash], &element[dash + 1..]);
    match (before, after) {
        ([], length) => Some(RangeSpec::Suffix {
            length: number(length)?,
        }),
        (first, []) => Some(RangeSpec::From {
            first: number(first)?,
        }),
        (first_digits, last_digits) => {
            let (first, last) = (number(first_digits)?, number(last_digits)?);
            let ends_before =
                last < first || (first == u64::MAX && is_less(last_digits, first_digits));
            (!ends_before).then_some(RangeSpec::FromTo { first, last })
        }
    }
}

/// A number of any length, the largest one for all that are larger; `None` for what is no number.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

/// Compares numbers that may be too large for an integer.
fn is_less(left: &[u8], right: &[u8]) -> bool {
    let significant = |digits: &[u8]| digits.iter().position(|&digit| digit != b'0');
    let left = &left[significant(left).unwrap_or(left.len())..];
    let right = &right[significant(right).unwrap_or(right.len())..];
    (left.len(), left) < (right.len(), right)
}

fn trim_blanks(mut element: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = element {
        element = rest;
    }
    element
}

#[cfg(test)]
mod tests {
    use super::RangeSpec::{From, FromTo, Suffix};
    use super::*;

    fn specs(field: &str) -> Option<Vec<RangeSpec>> {
        RangeSet::parse(field.as_bytes()).map(|set| set.iter().collect())
    }

    #[test]
    fn ranges_are_read() {
        let cases: [(&str, &[RangeSpec]); 12] = [
            ("bytes=0-0", &[FromTo { first: 0, last: 0 }]),
            ("bytes=0-10", &[FromTo { first: 0, last: 10 }]),
            ("BYTES=7-", &[From { first: 7 }]),
            ("bytes=-5", &[Suffix { length: 5 }]),
            ("bytes=-0", &[Suffix { length: 0 }]),
            (
                "bytes=0-1,3-,-2",
                &[
                    FromTo { first: 0, last: 1 },
                    From { first: 3 },
                    Suffix { length: 2 },
                ],
            ),
            (
                "bytes=0-1 \t,\t 3-",
                &[FromTo { first: 0, last: 1 }, From { first: 3 }],
            ),
            ("bytes=,, ,5-,", &[From { first: 5 }]),
            ("bytes=5- ", &[From { first: 5 }]),
            ("bytes=007-0009", &[FromTo { first: 7, last: 9 }]),
            (
                "bytes=0-18446744073709551615",
                &[FromTo {
                    first: 0,
                    last: u64::MAX,
                }],
            ),
            (
                "bytes=9223372036854775807-",
                &[From {
                    first: i64::MAX as u64,
                }],
            ),
        ];
        for (field, expected) in cases {
            assert_eq!(specs(field).as_deref(), Some(expected), "{field}");
        }
    }

    // RFC 9110 §14.2: what is no range of ours is as if it had not been sent.
    #[test]
    fn what_is_no_byte_range_is_ignored() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes= ",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=1-0",
            "bytes=0-1,5-4",
            "bytes=0-1;2-3",
            "bytes=0-1 2-3",
            "bytes=0 -1",
            "bytes=0- 1",
            "bytes= 0-1",
            "bytes =0-1",
            " bytes=0-1",
            "bytes=--1",
            "bytes=0--1",
            "bytes=+0-1",
            "bytes=0x0-1",
            "bytes:0-1",
            "seconds=0-1",
            "items=0-1",
            "none",
        ] {
            assert_eq!(specs(field), None, "{field:?}");
        }
    }

    #[test]
    fn numbers_of_any_length_are_the_largest_or_compared_whole() {
        let long = "9".repeat(400);
        let max = u64::MAX;
        assert_eq!(
            specs(&format!("bytes=0-{long}")),
            Some(vec![FromTo {
                first: 0,
                last: max
            }])
        );
        assert_eq!(
            specs(&format!("bytes=-{long}")),
            Some(vec![Suffix { length: max }])
        );
        assert_eq!(
            specs(&format!("bytes={long}-{long}9")),
            Some(vec![FromTo {
                first: max,
                last: max
            }])
        );
        assert_eq!(specs(&format!("bytes={long}9-{long}")), None);
        let first = "18446744073709551616";
        assert_eq!(specs(&format!("bytes={first}-18446744073709551615")), None);
        assert!(specs(&format!("bytes=000{first}-{first}")).is_some());
    }

    #[test]
    fn ranges_are_clamped_to_what_is_there() {
        let range = |first, last| Some(ByteRange { first, last });
        let max = u64::MAX;
        let cases = [
            (FromTo { first: 0, last: 9 }, 10, range(0, 9)),
            (FromTo { first: 0, last: 10 }, 10, range(0, 9)),
            (
                FromTo {
                    first: 9,
                    last: max,
                },
                10,
                range(9, 9),
            ),
            (
                FromTo {
                    first: 10,
                    last: 10,
                },
                10,
                None,
            ),
            (From { first: 9 }, 10, range(9, 9)),
            (From { first: 10 }, 10, None),
            (From { first: max }, max, None),
            (From { first: max - 1 }, max, range(max - 1, max - 1)),
            (Suffix { length: 1 }, 10, range(9, 9)),
            (Suffix { length: 10 }, 10, range(0, 9)),
            (Suffix { length: max }, 10, range(0, 9)),
            (Suffix { length: 0 }, 10, None),
            (From { first: 0 }, 0, None),
            (Suffix { length: 1 }, 0, None),
        ];
        for (spec, length, expected) in cases {
            assert_eq!(spec.resolve(length), expected, "{spec:?} of {length}");
        }
    }
}
