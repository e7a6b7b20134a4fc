//! Several parts as one content, `multipart/byteranges`. Source: RFC 9110 §14.6, RFC 2046 §5.1.

use super::{ByteRange, content_range};

/// Length of a boundary, in bytes.
pub const BOUNDARY_LEN: usize = 32;

/// What stands before, between and after the parts of a `multipart/byteranges` content.
///
/// The parts' own bytes are not here: whoever sends them takes the [`parts`](Multipart::parts) one after
/// the other, each with its head, and then the [`end`](Multipart::end).
///
/// # Examples
///
/// ```
/// use tidegate_proto::range::{ByteRange, Multipart};
///
/// let ranges = [ByteRange { first: 0, last: 1 }, ByteRange { first: 900, last: 999 }];
/// let multipart = Multipart::new(&ranges, 1000, Some(b"text/plain"), 7).unwrap();
/// let sent: u64 = multipart.parts().map(|part| part.head.len() as u64 + part.range.length()).sum();
/// assert_eq!(multipart.length(), sent + multipart.end().len() as u64);
/// ```
#[derive(Clone, Debug)]
pub struct Multipart {
    /// All heads, then the end.
    text: Vec<u8>,
    /// Each part's range, and where its head ends in `text`.
    parts: Vec<(ByteRange, usize)>,
    boundary: [u8; BOUNDARY_LEN],
    length: u64,
}

/// One part of a [`Multipart`].
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// What goes before the part's bytes: the delimiter and the part's fields.
    pub head: &'a [u8],
    /// Which bytes follow.
    pub range: ByteRange,
}

impl Multipart {
    /// Frames these ranges of `complete_length` bytes, in this order.
    ///
    /// `content_type` is the representation's, as it goes out with the whole; each part has it. Left out
    /// if it has a control character. `boundary` is any number that nobody can know beforehand, so that
    /// no content can be made to hold the boundary.
    ///
    /// `None` if there are more bytes than a length can say, which ranges of one [`select`](super::select)
    /// never have unless they are nearly all that a `u64` counts.
    pub fn new(
        ranges: &[ByteRange],
        complete_length: u64,
        content_type: Option<&[u8]>,
        boundary: u128,
    ) -> Option<Self> {
        let content_type =
            content_type.filter(|value| !value.iter().any(|byte| byte.is_ascii_control()));
        let mut multipart = Self {
            text: Vec::with_capacity(ranges.len() * 128 + 64),
            parts: Vec::with_capacity(ranges.len()),
            boundary: hex(boundary),
            length: 0,
        };
        let mut content_length = 0u64;
        for &range in ranges {
            multipart.delimiter();
            multipart.text.extend_from_slice(b"\r\n");
            if let Some(value) = content_type {
                multipart.field(b"Content-Type: ", value);
            }
            let value = content_range(range, complete_length);
            multipart.field(b"Content-Range: ", value.as_bytes());
            multipart.text.extend_from_slice(b"\r\n");
            multipart.parts.push((range, multipart.text.len()));
            content_length = content_length.checked_add(range.length())?;
        }
        multipart.delimiter();
        multipart.text.extend_from_slice(b"--\r\n");
        multipart.length = content_length.checked_add(multipart.text.len() as u64)?;
        Some(multipart)
    }

    /// The value of the whole response's `Content-Type`.
    pub fn content_type(&self) -> String {
        let boundary = String::from_utf8_lossy(&self.boundary);
        format!("multipart/byteranges; boundary={boundary}")
    }

    /// The length of the whole content, in bytes: heads, parts and end.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The parts, in the order they are sent.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut start = 0;
        self.parts.iter().map(move |&(range, end)| {
            let head = &self.text[start..end];
            start = end;
            Part { head, range }
        })
    }

    /// What goes after the last part.
    pub fn end(&self) -> &[u8] {
        &self.text[self.parts.last().map_or(0, |&(_, end)| end)..]
    }

    /// Begins a part, or the end. RFC 2046 §5.1.1: the CR LF before it belongs to the delimiter.
    fn delimiter(&mut self) {
        if !self.text.is_empty() {
            self.text.extend_from_slice(b"\r\n");
        }
        self.text.extend_from_slice(b"--");
        self.text.extend_from_slice(&self.boundary);
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
    }
}

fn hex(number: u128) -> [u8; BOUNDARY_LEN] {
    let mut digits = [0; BOUNDARY_LEN];
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(number >> (4 * index) & 0xF) as usize];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(multipart: &Multipart, content: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        for part in multipart.parts() {
            whole.extend_from_slice(part.head);
            let range = part.range.first as usize..=part.range.last as usize;
            whole.extend_from_slice(&content[range]);
        }
        whole.extend_from_slice(multipart.end());
        whole
    }

    #[test]
    fn parts_are_framed_and_their_length_is_exact() {
        let content: Vec<u8> = (b'a'..=b'z').collect();
        let ranges = [
            ByteRange { first: 0, last: 1 },
            ByteRange {
                first: 25,
                last: 25,
            },
        ];
        let multipart = Multipart::new(&ranges, 26, Some(b"text/plain"), 0xABC).unwrap();
        let whole = assemble(&multipart, &content);
        let expected = "--00000000000000000000000000000abc\r\n\
            Content-Type: text/plain\r\n\
            Content-Range: bytes 0-1/26\r\n\
            \r\n\
            ab\r\n\
            --00000000000000000000000000000abc\r\n\
            Content-Type: text/plain\r\n\
            Content-Range: bytes 25-25/26\r\n\
            \r\n\
            z\r\n\
            --00000000000000000000000000000abc--\r\n";
        assert_eq!(String::from_utf8_lossy(&whole), expected);
        assert_eq!(multipart.length(), whole.len() as u64);
        assert_eq!(
            multipart.content_type(),
            "multipart/byteranges; boundary=00000000000000000000000000000abc"
        );
    }

    #[test]
    fn a_type_that_would_split_a_head_is_left_out() {
        let ranges = [ByteRange { first: 0, last: 0 }];
        for (given, expected) in [
            (None, false),
            (Some(&b"a/b\r\nX: y"[..]), false),
            (Some(&b"a/b"[..]), true),
        ] {
            let multipart = Multipart::new(&ranges, 1, given, u128::MAX).unwrap();
            let whole = assemble(&multipart, b"x");
            let has = whole.windows(13).any(|window| window == b"Content-Type:");
            assert_eq!(has, expected, "{given:?}");
            assert_eq!(multipart.length(), whole.len() as u64);
        }
    }

    #[test]
    fn lengths_beyond_counting_are_refused() {
        let all = ByteRange {
            first: 0,
            last: u64::MAX - 1,
        };
        assert!(Multipart::new(&[all], u64::MAX, None, 0).is_none());
        assert!(Multipart::new(&[all, all], u64::MAX, None, 0).is_none());
    }
}
