//! Field lines of responses: one block of bytes that is already in wire form.
//!
//! Answering copies it once. What an application sets is checked here, so that nothing it gives can end
//! a line early. Source: RFC 9110 §5, RFC 9112 §11.1.

use std::fmt;

use crate::field::{Field, KnownField};

/// The field lines of a response, checked and in wire form.
///
/// Each line is `name: value` and CR LF. Nothing can be put in that would end a line early, so a
/// response built from it cannot be split (RFC 9112 §11.1).
#[derive(Clone, Debug, Default)]
pub struct FieldBlock {
    bytes: Vec<u8>,
    known: u32,
}

impl FieldBlock {
    /// An empty block.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            known: 0,
        }
    }

    /// An empty block that reuses the memory of `bytes`.
    pub fn with_memory(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, known: 0 }
    }

    /// Adds all lines of another block after these.
    #[inline]
    pub fn extend(&mut self, lines: &Self) {
        self.known |= lines.known;
        self.bytes.extend_from_slice(&lines.bytes);
    }

    /// Where to put lines that are as `lines`, which were checked, with room for a little more.
    #[inline]
    pub(crate) fn bytes_for(&mut self, lines: &Self) -> &mut Vec<u8> {
        self.known |= lines.known;
        self.bytes.reserve(2 * lines.bytes.len());
        &mut self.bytes
    }

    /// Gives the memory back, to be used for the next response.
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// Adds a field line after the others.
    ///
    /// # Errors
    ///
    /// The name is not a token, or the value has a CR, LF, NUL or another control character; nothing
    /// is added then. The caller's fault.
    #[inline]
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), FieldError> {
        if !is_token(name.as_bytes()) {
            return Err(FieldError::Name { name: name.into() });
        }
        self.append_line(name, KnownField::of(name.as_bytes()), value.as_ref())
    }

    /// Sets a field whose name is known to be one, in place of all lines it had.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append), for the value; the old lines stay then.
    ///
    /// # Panics
    ///
    /// In debug builds, if `name` is not a token.
    #[inline]
    pub fn set_static(
        &mut self,
        name: &'static str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), FieldError> {
        debug_assert!(is_token(name.as_bytes()), "{name:?} is not a field name");
        if self.bytes.is_empty() {
            return self.append_line(name, KnownField::of(name.as_bytes()), value.as_ref());
        }
        self.set(name, value)
    }

    /// Sets `Content-Type` to one of the usual types. Says whether `value` is one.
    ///
    /// The same as [`set`](Self::set); these lines are ready to be copied.
    #[inline]
    pub fn set_usual_content_type(&mut self, value: &str) -> bool {
        let line: &[u8] = match value {
            "text/plain" => b"Content-Type: text/plain\r\n",
            "text/plain; charset=utf-8" => b"Content-Type: text/plain; charset=utf-8\r\n",
            "text/html; charset=utf-8" => b"Content-Type: text/html; charset=utf-8\r\n",
            "application/json" => b"Content-Type: application/json\r\n",
            "application/octet-stream" => b"Content-Type: application/octet-stream\r\n",
            _ => return false,
        };
        if self.contains(KnownField::ContentType) {
            self.remove("Content-Type");
        }
        self.known |= KnownField::ContentType.bit();
        self.bytes.extend_from_slice(line);
        true
    }

    #[inline]
    fn append_line(
        &mut self,
        name: &str,
        known: KnownField,
        value: &[u8],
    ) -> Result<(), FieldError> {
        if has_control(value) {
            return Err(FieldError::Value {
                name: name.into(),
                byte: value
                    .iter()
                    .copied()
                    .find(|&byte| is_forbidden_in_value(byte))
                    .unwrap_or_default(),
            });
        }
        // Blanks around a value are not part of it (RFC 9110 §5.5).
        let value = match value {
            [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => value.trim_ascii(),
            _ => value,
        };
        self.known |= known.bit();
        self.bytes.reserve(name.len() + value.len() + 4);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value);
        self.bytes.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Sets the field `name` to one value, in place of all lines it had.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the old lines stay then.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), FieldError> {
        let known = KnownField::of(name.as_bytes());
        let may_be_there = known == KnownField::Other || self.contains(known);
        if may_be_there && self.value(name).is_some() {
            let mut replaced = Self::new();
            replaced.append(name, &value)?;
            self.remove(name);
        }
        self.append(name, value)
    }

    /// Takes out all lines of the field `name`. Says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        if self.value(name).is_none() {
            return false;
        }
        let mut kept = Self::new();
        for field in self.iter() {
            if !field.name.eq_ignore_ascii_case(name) {
                kept.known |= KnownField::of(field.name.as_bytes()).bit();
                kept.bytes.extend_from_slice(field.name.as_bytes());
                kept.bytes.extend_from_slice(b": ");
                kept.bytes.extend_from_slice(field.value);
                kept.bytes.extend_from_slice(b"\r\n");
            }
        }
        *self = kept;
        true
    }

    /// Whether a known field is among the lines.
    #[inline]
    pub fn contains(&self, known: KnownField) -> bool {
        self.known & known.bit() != 0
    }

    /// Whether one of these known fields is among the lines.
    #[inline]
    pub fn contains_any<const N: usize>(&self, known: [KnownField; N]) -> bool {
        let bits = known.iter().fold(0, |bits, known| bits | known.bit());
        self.known & bits != 0
    }

    /// The first value of the field `name`, whatever its letter case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let mut rest = &self.bytes[..];
        loop {
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            let (line, lines) = rest.split_at(end);
            if let Some((start, value)) = line.split_at_checked(name.len())
                && let Some(value) = value.strip_prefix(b": ")
                && start.eq_ignore_ascii_case(name.as_bytes())
                // Else it is no name, and reaches into the value.
                && !name.contains(':')
            {
                return value.strip_suffix(b"\r");
            }
            rest = &lines[1..];
        }
    }

    /// All field lines, in the order set.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.bytes
            .split_inclusive(|&byte| byte == b'\n')
            .filter_map(|line| {
                let line = line.strip_suffix(b"\r\n")?;
                let colon = line.iter().position(|&byte| byte == b':')?;
                Some(Field {
                    name: std::str::from_utf8(&line[..colon]).ok()?,
                    value: line[colon + 1..].strip_prefix(b" ")?,
                })
            })
    }

    /// The lines as they go on the wire, each with its CR LF.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes out all lines, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.known = 0;
    }
}

/// Why a field line of a response was refused. The application is at fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FieldError {
    /// The name is empty or has a byte that no token may have. RFC 9110 §5.6.2.
    Name {
        /// The name refused.
        name: Box<str>,
    },
    /// The value has a control character. RFC 9110 §5.5.
    Value {
        /// The field's name.
        name: Box<str>,
        /// The byte refused.
        byte: u8,
    },
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => write!(formatter, "{name:?} is not a field name"),
            Self::Value { name, byte } => write!(
                formatter,
                "the value of field {name} has the control character 0x{byte:02X}"
            ),
        }
    }
}

impl std::error::Error for FieldError {}

/// Whether `bytes` are a token. RFC 9110 §5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// Whether a byte of `value` is one that no value may have.
#[inline]
fn has_control(value: &[u8]) -> bool {
    // Eight bytes at once: in each, whether it is below 0x20 or is 0x7F. A tab is found too, and then
    // each byte is looked at.
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let suspicious = |word: u64| {
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let deletes = word ^ (ONES * 0x7F);
        (below | (deletes.wrapping_sub(ONES) & !deletes)) & HIGHS != 0
    };
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let any = words
        .iter()
        .chain(std::iter::once(&last))
        .any(|word| suspicious(u64::from_le_bytes(*word)));
    any && value.iter().any(|&byte| is_forbidden_in_value(byte))
}

fn is_forbidden_in_value(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7F
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
            || matches!(
                byte as u8,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_would_split_the_response_is_refused() {
        for bad in ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\x7Fb"] {
            let mut block = FieldBlock::new();
            assert!(block.append("X", bad).is_err(), "{bad:?}");
            assert!(block.is_empty());
        }
    }

    #[test]
    fn each_byte_of_a_value_is_looked_at() {
        for byte in 0..=255u8 {
            for length in 1..20 {
                for index in 0..length {
                    let mut value = vec![b'a'; length];
                    value[index] = byte;
                    let is_bad = (byte < 0x20 && byte != b'\t') || byte == 0x7F;
                    assert_eq!(has_control(&value), is_bad, "{byte} at {index} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_is_no_token_is_refused() {
        for bad in ["", "a b", "a:", "a\r\n", "é"] {
            assert!(FieldBlock::new().append(bad, "x").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn set_replaces_every_line_of_the_name() {
        let mut block = FieldBlock::new();
        block.append("A", "1").unwrap();
        block.append("b", "2").unwrap();
        block.append("a", "3").unwrap();
        block.set("A", "4").unwrap();
        assert_eq!(block.as_bytes(), b"b: 2\r\nA: 4\r\n");
        assert!(block.set("A", "5\r\n").is_err());
        assert_eq!(block.value("a"), Some(&b"4"[..]));
    }

    #[test]
    fn a_usual_content_type_is_set_as_any_other() {
        for value in [
            "text/plain",
            "text/html; charset=utf-8",
            "application/json",
            "a/b",
        ] {
            let (mut usual, mut plain) = (FieldBlock::new(), FieldBlock::new());
            for block in [&mut usual, &mut plain] {
                block.append("content-type", "old/type").unwrap();
                block.append("X", "y").unwrap();
            }
            let is_usual = usual.set_usual_content_type(value);
            assert_eq!(is_usual, value != "a/b");
            if is_usual {
                plain.set("Content-Type", value).unwrap();
                assert_eq!(usual.as_bytes(), plain.as_bytes());
                assert!(usual.contains(KnownField::ContentType));
            }
        }
    }

    #[test]
    fn a_value_is_that_of_the_first_line_of_the_name() {
        let mut block = FieldBlock::new();
        for (name, value) in [("Ab", "1: x"), ("A", ""), ("a", "3"), ("Abc", "4")] {
            block.append(name, value).unwrap();
        }
        for (name, value) in [("A", Some("")), ("aB", Some("1: x")), ("abc", Some("4"))] {
            assert_eq!(block.value(name), value.map(str::as_bytes), "{name}");
        }
        for name in ["", "b", "Abcd", "Ab: 1", "1"] {
            assert_eq!(block.value(name), None, "{name}");
        }
        for field in block.iter() {
            let first = block
                .iter()
                .find(|other| other.name.eq_ignore_ascii_case(field.name));
            assert_eq!(block.value(field.name), first.map(|first| first.value));
        }
        assert_eq!(FieldBlock::new().value("A"), None);
    }

    #[test]
    fn all_lines_of_another_block_are_added() {
        let (mut block, mut lines) = (FieldBlock::new(), FieldBlock::new());
        block.append("A", "1").unwrap();
        lines.append("Server", "2").unwrap();
        block.extend(&lines);
        assert_eq!(block.as_bytes(), b"A: 1\r\nServer: 2\r\n");
        assert!(block.contains(KnownField::Server));
    }

    #[test]
    fn known_fields_are_found_in_any_case() {
        assert_eq!(KnownField::of(b"cOnTent-lEngth"), KnownField::ContentLength);
        assert_eq!(KnownField::of(b"content-lengtx"), KnownField::Other);
        assert_eq!(KnownField::of(b""), KnownField::Other);
        let mut block = FieldBlock::new();
        block.append("DATE", "x").unwrap();
        assert!(block.contains(KnownField::Date));
        assert!(!block.contains(KnownField::Server));
    }
}
