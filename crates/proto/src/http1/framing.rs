//! The fields that say where a message ends and what becomes of the connection.
//!
//! Source: RFC 9110 §8.6 (`Content-Length`), §7.6.1 (`Connection`), §5.6.1 (lists).

use super::reject::Reject;

/// All `Content-Length` values of a head, which must be one and the same.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lengths {
    value: Option<u64>,
}

impl Lengths {
    /// Adds one field line's value.
    ///
    /// RFC 9112 §6.3: a list of identical numbers may be taken as one; a front server that joined two
    /// lines makes such lists. Anything else is refused: signs, blanks within, empty elements.
    pub(super) fn add(&mut self, value: &[u8]) -> Result<(), Reject> {
        // Split only what is no number, as splitting costs more than reading one.
        let one = parse_length(value);
        if one != Err(Reject::LengthMalformed) {
            return self.add_one(one?);
        }
        value
            .split(|&byte| byte == b',')
            .try_for_each(|element| self.add_one(parse_length(trim(element))?))
    }

    fn add_one(&mut self, length: u64) -> Result<(), Reject> {
        match self.value.replace(length) {
            Some(before) if before != length => Err(Reject::LengthsDiffer),
            _ => Ok(()),
        }
    }

    /// The length, if there was one.
    pub(crate) fn value(&self) -> Option<u64> {
        self.value
    }
}

/// Reads digits and nothing else; more than 2⁶³−1 is too large.
pub(super) fn parse_length(digits: &[u8]) -> Result<u64, Reject> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reject::LengthMalformed);
    }
    digits
        .iter()
        .try_fold(0_u64, |length, digit| {
            length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .filter(|length| *length <= LENGTH_MAX)
        .ok_or(Reject::LengthTooLarge)
}

/// What `Connection` fields ask for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Connection {
    pub(crate) close: bool,
    pub(super) upgrade: bool,
}

impl Connection {
    /// Adds one field line's value.
    pub(crate) fn add(&mut self, value: &[u8]) {
        for option in elements(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
    }
}

/// The elements of a list, without the empty ones.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|element| !element.is_empty())
}

/// Takes off the blanks around: SP and TAB only, others are never in a value.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// The HTTP Server API's largest length.
pub(super) const LENGTH_MAX: u64 = i64::MAX as u64;
