//! Which field or pseudo-header a name is, found once.

use tidegate_httpapi::KnownField;

/// What a name of a header list stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Token {
    /// A field: one we look for, or [`KnownField::Other`].
    Field(KnownField),
    /// `:authority`
    Authority,
    /// `:method`
    Method,
    /// `:path`
    Path,
    /// `:scheme`
    Scheme,
    /// `:status`
    Status,
    /// `:protocol` (RFC 8441 §4)
    Protocol,
}

impl Token {
    /// Finds what `name` is. A pseudo-header not listed here is a field; its name is malformed.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        match name {
            [b':', ..] => Self::of_pseudo_header(name),
            _ => Self::Field(KnownField::of(name)),
        }
    }

    /// Whether this is a pseudo-header.
    #[inline]
    pub const fn is_pseudo_header(self) -> bool {
        !matches!(self, Self::Field(_))
    }

    fn of_pseudo_header(name: &[u8]) -> Self {
        match name {
            b":authority" => Self::Authority,
            b":method" => Self::Method,
            b":path" => Self::Path,
            b":scheme" => Self::Scheme,
            b":status" => Self::Status,
            b":protocol" => Self::Protocol,
            _ => Self::Field(KnownField::Other),
        }
    }
}

const _: () = assert!(size_of::<Token>() == 1);

/// Whether a field may have this name: a token without upper-case letters, or a pseudo-header that
/// `token` tells. RFC 9113 §8.2.1, §8.3.
pub(super) fn is_name(name: &[u8], token: Token) -> bool {
    token.is_pseudo_header()
        || (!name.is_empty() && name.iter().all(|&byte| NAME_BYTES[usize::from(byte)]))
}

/// Whether a field may have this value: no control characters but tabs, no blanks around it.
///
/// RFC 9113 §8.2.1 forbids NUL, CR, LF and the blanks; RFC 9110 §5.5 the other controls, as HTTP/1
/// refuses them.
#[inline]
pub(super) fn is_value(value: &[u8]) -> bool {
    has_no_blanks_around(value)
        && !value
            .iter()
            .fold(false, |bad, &byte| bad | is_control(byte))
}

#[inline]
pub(super) fn has_no_blanks_around(value: &[u8]) -> bool {
    !matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t'])
}

#[inline]
fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7F
}

/// RFC 9110 §5.6.2, without upper-case letters.
const NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
                | b'`' | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z'
        );
        byte += 1;
    }
    table
};
