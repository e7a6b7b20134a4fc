//! Entity tags and lists of them. Source: RFC 9110 §8.8.3 and §13.1.1.

/// An entity tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntityTag<'a> {
    /// Whether it is a weak validator, `W/"…"`: the same for representations that are as good as equal.
    pub is_weak: bool,
    /// What stands between the quotes.
    pub opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Reads one entity tag, `"…"` or `W/"…"`; `None` for anything else.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::read(value)?;
        rest.is_empty().then_some(tag)
    }

    /// The entity tags of a list. What is none, up to the next comma, is passed over.
    pub fn list(value: &'a [u8]) -> impl Iterator<Item = Self> {
        let mut rest = value;
        std::iter::from_fn(move || {
            loop {
                while let [b' ' | b'\t' | b',', after @ ..] = rest {
                    rest = after;
                }
                if rest.is_empty() {
                    return None;
                }
                let read = Self::read(rest);
                let after = read.map_or(rest, |(_, after)| after);
                let end = after.iter().position(|&byte| byte == b',');
                let (behind, next) = after.split_at(end.unwrap_or(after.len()));
                rest = next;
                match read {
                    Some((tag, _)) if behind.trim_ascii().is_empty() => return Some(tag),
                    _ => {}
                }
            }
        })
    }

    /// Whether both are the same and neither is weak: the representations are equal, byte for byte.
    /// RFC 9110 §8.8.3.2.
    pub fn matches_strongly(self, other: Self) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Whether both are the same, weak or not. RFC 9110 §8.8.3.2.
    pub fn matches_weakly(self, other: Self) -> bool {
        self.opaque == other.opaque
    }

    /// Reads the entity tag that `value` begins with; gives it, and what comes after.
    fn read(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        // RFC 9110 §8.8.3: the W is case-sensitive.
        let (is_weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|&byte| !is_etag_byte(byte))?;
        let rest = inner[end..].strip_prefix(b"\"")?;
        let opaque = &inner[..end];
        Some((Self { is_weak, opaque }, rest))
    }
}

/// RFC 9110 §8.8.3, `etagc`: no quote, no blank, no control. A backslash is itself.
fn is_etag_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7E | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(is_weak: bool, opaque: &str) -> EntityTag<'_> {
        EntityTag {
            is_weak,
            opaque: opaque.as_bytes(),
        }
    }

    #[test]
    fn a_tag_is_read() {
        let cases = [
            ("\"a\"", Some(tag(false, "a"))),
            ("\"\"", Some(tag(false, ""))),
            ("W/\"a,b\\\"", Some(tag(true, "a,b\\"))),
            ("w/\"a\"", None),
            ("W/ \"a\"", None),
            ("a", None),
            ("\"a", None),
            ("a\"", None),
            ("\"a b\"", None),
            ("\"a\"b", None),
            ("\"a\"\"b\"", None),
            ("*", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(EntityTag::parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_list_is_read_and_what_is_no_tag_is_passed_over() {
        let cases: [(&str, &[(bool, &str)]); 9] = [
            ("", &[]),
            (", ,", &[]),
            ("\"a\"", &[(false, "a")]),
            (
                "\"a\", W/\"b\",\"c\"",
                &[(false, "a"), (true, "b"), (false, "c")],
            ),
            (",\t\"a,b\" ,, \"c\" ,", &[(false, "a,b"), (false, "c")]),
            ("a, \"b\"", &[(false, "b")]),
            ("\"a\" \"b\", \"c\"", &[(false, "c")]),
            ("*, \"b\"", &[(false, "b")]),
            ("\"a, \"b\"", &[(false, "b")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|&(weak, text)| tag(weak, text))
                .collect();
            let found: Vec<_> = EntityTag::list(text.as_bytes()).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    // RFC 9110 §8.8.3.2, table 3.
    #[test]
    fn tags_compare_strongly_and_weakly() {
        for (left, right, strong, weak) in [
            (tag(true, "1"), tag(true, "1"), false, true),
            (tag(true, "1"), tag(true, "2"), false, false),
            (tag(true, "1"), tag(false, "1"), false, true),
            (tag(false, "1"), tag(false, "1"), true, true),
        ] {
            assert_eq!(left.matches_strongly(right), strong);
            assert_eq!(left.matches_weakly(right), weak);
        }
    }
}
