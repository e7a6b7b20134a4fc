//! Text that comes in pieces: each piece is checked as it arrives.
//!
//! A character may be cut by the end of a piece; its beginning waits for the next one. Whatever cannot
//! become UTF-8 any more is refused at once. Source: RFC 6455 §8.1, RFC 3629.

use ascii::AsciiStr;

use super::violation::Violation;

/// The check of one message's text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8Stream {
    /// The beginning of a character that the last piece ended in.
    cut: [u8; CHARACTER_BYTES_MAX],
    cut_len: u8,
}

/// What a piece adds to the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Checked<'a> {
    /// The character that had been cut.
    pub(super) joined: Option<char>,
    /// The characters that are whole in the piece.
    pub(super) text: &'a str,
}

impl Utf8Stream {
    /// Checks the next piece.
    pub(super) fn push<'a>(&mut self, piece: &'a [u8]) -> Result<Checked<'a>, Violation> {
        let (joined, piece) = match self.cut_len {
            0 => (None, piece),
            _ => self.join(piece)?,
        };
        let (whole, cut) = piece.split_at(piece.len() - cut_len(piece));
        let text = text(whole)?;
        if !cut.is_empty() {
            // Some beginnings are wrong already: overlong, a surrogate, beyond the last character.
            check_beginning(cut)?;
            self.cut[..cut.len()].copy_from_slice(cut);
            self.cut_len = cut.len() as u8;
        }
        Ok(Checked { joined, text })
    }

    /// Checks that the text does not end within a character.
    pub(super) fn finish(&self) -> Result<(), Violation> {
        match self.cut_len {
            0 => Ok(()),
            _ => Err(Violation::TextNotUtf8),
        }
    }

    /// Goes on with the character that was cut.
    #[cold]
    fn join<'a>(&mut self, piece: &'a [u8]) -> Result<(Option<char>, &'a [u8]), Violation> {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            let length = usize::from(self.cut_len);
            self.cut[length] = *byte;
            let bytes = &self.cut[..=length];
            rest = after;
            match std::str::from_utf8(bytes) {
                Ok(character) => {
                    let joined = character.chars().next();
                    self.cut_len = 0;
                    return Ok((joined, rest));
                }
                Err(_) => check_beginning(bytes)?,
            }
            self.cut_len += 1;
        }
        Ok((None, rest))
    }
}

/// The text that these bytes are.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Result<&str, Violation> {
    // Most short messages are ASCII, and `from_utf8` looks at most of their bytes one by one.
    if bytes.len() < SHORT_BYTES
        && let Ok(ascii) = AsciiStr::from_ascii(bytes)
    {
        return Ok(ascii.as_str());
    }
    simdutf8::basic::from_utf8(bytes).map_err(|_| Violation::TextNotUtf8)
}

/// How many bytes at the end belong to a character that is not whole.
fn cut_len(bytes: &[u8]) -> usize {
    // Looking for the first byte of the last character; there are at most three before it is whole.
    for (behind, byte) in (1..CHARACTER_BYTES_MAX).zip(bytes.iter().rev()) {
        let needed = match byte {
            0x80..=0xBF => continue,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            _ => 1,
        };
        return if needed > behind { behind } else { 0 };
    }
    0
}

/// Refuses what no further byte could make a character of.
fn check_beginning(bytes: &[u8]) -> Result<(), Violation> {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() == 0 => Ok(()),
        _ => Err(Violation::TextNotUtf8),
    }
}

/// From here on a block of `simdutf8` is filled.
const SHORT_BYTES: usize = 64;

/// The most bytes that a character has.
const CHARACTER_BYTES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, and how many bytes were taken before it was refused.
    fn check<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<String, usize> {
        let mut stream = Utf8Stream::default();
        let mut text = String::new();
        let mut taken = 0;
        for piece in pieces {
            taken += piece.len();
            let checked = stream.push(piece).map_err(|_| taken)?;
            text.extend(checked.joined);
            text.push_str(checked.text);
        }
        stream.finish().map_err(|_| taken)?;
        Ok(text)
    }

    #[test]
    fn text_split_anywhere_is_the_same() {
        let text = "aé€\u{10FFFF}\u{D7FF}\u{E000}κόσμε\u{10000}z";
        let bytes = text.as_bytes();
        assert_eq!(check(bytes.chunks(1)).as_deref(), Ok(text));
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(check(pieces.into_iter()).as_deref(), Ok(text));
            }
        }
    }

    #[test]
    fn the_first_byte_that_cannot_be_right_is_refused() {
        for (bytes, at) in [
            (&b"\x80"[..], 1),
            (b"\xC0\x80", 1),
            (b"\xC1", 1),
            (b"a\xE0\x80\x80", 3),
            (b"\xE0\x9F", 2),
            (b"\xED\xA0\x80", 2),
            (b"\xF0\x8F\xBF\xBF", 2),
            (b"\xF4\x90\x80\x80", 2),
            (b"\xF5", 1),
            (b"\xFF", 1),
            (b"\xE2\x82a", 3),
            (b"\xC3\xC3", 2),
            (b"\xF0\x9F\x98a", 4),
        ] {
            assert_eq!(check(bytes.chunks(1)), Err(at), "{bytes:X?}");
            assert_eq!(check([bytes].into_iter()), Err(bytes.len()));
        }
    }

    #[test]
    fn every_pair_of_bytes_is_judged_as_the_whole() {
        for first in 0..=255 {
            for second in 0..=255 {
                let bytes = [first, second];
                let whole = std::str::from_utf8(&bytes).is_ok();
                assert_eq!(check(bytes.chunks(1)).is_ok(), whole, "{bytes:X?}");
                assert_eq!(check(bytes.chunks(2)).is_ok(), whole, "{bytes:X?}");
            }
        }
    }

    #[test]
    fn text_that_ends_in_a_character_is_refused() {
        for bytes in [&b"\xC3"[..], b"\xE2\x82", b"\xF0\x9F\x98"] {
            assert_eq!(check([bytes].into_iter()), Err(bytes.len()));
        }
    }
}
