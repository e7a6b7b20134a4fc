//! The name of a connection that may be given to others.
//!
//! It is made from the connection's number and a secret of the process, and the number is read back from
//! it: nothing is stored. Whoever sees one learns neither the number nor another connection's name, and
//! what was not made by this process is not taken for one of its names.
//! Layout: a UUID of version 8, RFC 9562 §5.8. The number goes through a cipher, M. Luby and
//! C. Rackoff's construction of four rounds (1988) over the standard library's keyed hash.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::OnceLock;

/// Names a connection among all that the process ever has.
///
/// It goes to other programs as text, such as `0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d3`, and comes back by
/// [`str::parse`]. A name of another process, or from before a restart, parses and finds no connection.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Guid(u128);

/// The text is not a GUID: 32 hexadecimal digits in five groups, with or without braces. The caller's
/// fault, or that of whoever the caller has the text from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GuidError;

impl Guid {
    /// The name of the connection with this number.
    pub(crate) fn of(id: u64) -> Self {
        Self::with(secret(), id)
    }

    /// The number of the connection so named; `None` where this process has given no such name.
    pub(crate) fn id(self) -> Option<u64> {
        self.id_with(secret())
    }

    fn with(secret: &RandomState, id: u64) -> Self {
        let hidden = encipher(secret, id);
        let check = secret.hash_one((ROUNDS, id)) & CHECK_BITS;
        let bits = u128::from(check) << 64 | u128::from(hidden);
        // Around the six bits that say which kind of UUID this is.
        let low = bits & LOW_BITS;
        let middle = bits >> 62 & MIDDLE_BITS;
        let high = bits >> 74;
        Self(high << 80 | VERSION_8 << 76 | middle << 64 | VARIANT << 62 | low)
    }

    fn id_with(self, secret: &RandomState) -> Option<u64> {
        let low = self.0 & LOW_BITS;
        let middle = self.0 >> 64 & MIDDLE_BITS;
        let bits = (self.0 >> 80) << 74 | middle << 62 | low;
        let id = decipher(secret, bits as u64);
        // This checks all bits, also those of the kind.
        (Self::with(secret, id) == self).then_some(id)
    }
}

/// Drawn once for the process.
fn secret() -> &'static RandomState {
    static SECRET: OnceLock<RandomState> = OnceLock::new();
    SECRET.get_or_init(RandomState::new)
}

fn encipher(secret: &RandomState, id: u64) -> u64 {
    let (mut left, mut right) = ((id >> 32) as u32, id as u32);
    for round in 0..ROUNDS {
        (left, right) = (right, left ^ mix(secret, round, right));
    }
    u64::from(left) << 32 | u64::from(right)
}

fn decipher(secret: &RandomState, hidden: u64) -> u64 {
    let (mut left, mut right) = ((hidden >> 32) as u32, hidden as u32);
    for round in (0..ROUNDS).rev() {
        (left, right) = (right ^ mix(secret, round, left), left);
    }
    u64::from(left) << 32 | u64::from(right)
}

fn mix(secret: &RandomState, round: u32, half: u32) -> u32 {
    secret.hash_one((round, half)) as u32
}

impl fmt::Display for Guid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u128::BITS;
        for (index, digits) in GROUPS.into_iter().enumerate() {
            rest -= digits as u32 * 4;
            let group = self.0 >> rest & ((1 << (digits * 4)) - 1);
            let hyphen = if index == 0 { "" } else { "-" };
            write!(formatter, "{hyphen}{group:0digits$x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        let inner = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or(GuidError)?,
            None => text,
        };
        let mut groups = inner.split('-');
        let mut bits = 0;
        for digits in GROUPS {
            let group = groups.next().filter(|group| group.len() == digits);
            for digit in group.ok_or(GuidError)?.chars() {
                bits = bits << 4 | u128::from(digit.to_digit(16).ok_or(GuidError)?);
            }
        }
        match groups.next() {
            None => Ok(Self(bits)),
            Some(_) => Err(GuidError),
        }
    }
}

impl fmt::Display for GuidError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a GUID is 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12")
    }
}

impl std::error::Error for GuidError {}

const ROUNDS: u32 = 4;

/// What is left of 128 bits after the number and the six that say which kind of UUID it is.
const CHECK_BITS: u64 = (1 << 58) - 1;

/// RFC 9562 §5.8: 48 bits of our own, the version, 12 bits, the variant, 62 bits.
const LOW_BITS: u128 = (1 << 62) - 1;
const MIDDLE_BITS: u128 = (1 << 12) - 1;
const VERSION_8: u128 = 8;
const VARIANT: u128 = 0b10;

/// Digits in each group. RFC 9562 §4.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_number_comes_back() {
        for id in (0..1000).chain([u64::MAX, u64::MAX - 1, 1 << 32, (1 << 32) - 1]) {
            assert_eq!(Guid::of(id).id(), Some(id));
        }
    }

    #[test]
    fn names_are_alike_only_for_the_same_number() {
        let names: HashSet<_> = (0..10_000).map(Guid::of).collect();
        assert_eq!(names.len(), 10_000);
        assert_eq!(Guid::of(7), Guid::of(7));
    }

    #[test]
    fn one_wrong_bit_is_no_name() {
        for id in [0, 1, 0x0123_4567_89AB_CDEF] {
            for bit in 0..128 {
                assert_eq!(Guid(Guid::of(id).0 ^ 1 << bit).id(), None);
            }
        }
        assert_eq!(Guid(0).id(), None);
        assert_eq!(Guid(u128::MAX).id(), None);
    }

    #[test]
    fn a_name_of_another_process_is_not_taken() {
        let other = RandomState::new();
        for id in 0..1000 {
            assert_eq!(Guid::with(&other, id).id(), None);
        }
    }

    // RFC 9562 §4.1, §4.2.
    #[test]
    fn it_is_a_uuid_of_version_8() {
        for id in 0..1000 {
            let text = Guid::of(id).to_string();
            assert_eq!(text.len(), 36);
            assert_eq!(&text[14..15], "8");
            assert!("89ab".contains(&text[19..20]), "{text}");
        }
    }

    #[test]
    fn text_is_read_and_written() {
        let text = "0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d3";
        let guid: Guid = text.parse().unwrap();
        assert_eq!(guid.0, 0x0f9c2d61_8a1e_8b3c_9d55_4be0a1c7f2d3);
        assert_eq!(guid.to_string(), text);
        assert_eq!(format!("{guid:?}"), text);
        assert_eq!(text.to_uppercase().parse(), Ok(guid));
        assert_eq!(format!("{{{text}}}").parse(), Ok(guid));
        assert_eq!(Guid(1).to_string(), "00000000-0000-0000-0000-000000000001");
        let guid = Guid::of(9);
        assert_eq!(guid.to_string().parse::<Guid>().unwrap().id(), Some(9));
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "{}",
            "0f9c2d618a1e8b3c9d554be0a1c7f2d3",
            "0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d",
            "0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d30",
            "0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d3-",
            "0f9c2d61-8a1e-8b3c-9d554-be0a1c7f2d3",
            "0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2dg",
            "+f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d3",
            "0f9c2d6é-8a1e-8b3c-9d55-4be0a1c7f2d3",
            "{0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d3",
            "0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d3}",
            " 0f9c2d61-8a1e-8b3c-9d55-4be0a1c7f2d3",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(GuidError), "{text}");
        }
    }
}
