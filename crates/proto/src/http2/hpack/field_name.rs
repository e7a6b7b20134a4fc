//! Field names as an encoder wants them: in lower case, hashed, and looked up in the static table.

use super::static_table;

/// A field name in lower case that is ready to be encoded.
///
/// A constant for a name that is known beforehand saves looking it up for each field.
#[derive(Clone, Copy, Debug)]
pub struct FieldName {
    /// The name, then zeros.
    bytes: [u8; Self::BYTES_MAX],
    hash: u64,
    len: u8,
    static_index: u8,
}

impl FieldName {
    /// The longest name of this kind, in bytes. A longer one is encoded all the same, but never indexed.
    pub const BYTES_MAX: usize = 64;

    pub(super) const EMPTY: Self = Self {
        bytes: [0; Self::BYTES_MAX],
        hash: 0,
        len: 0,
        static_index: 0,
    };

    /// Makes one of `name`, whatever its letter case. `None`: longer than [`Self::BYTES_MAX`].
    ///
    /// Whether it is a token is not looked at.
    #[inline]
    pub const fn new(name: &[u8]) -> Option<Self> {
        match Self::unindexed(name) {
            Some(mut unindexed) => {
                unindexed.static_index = static_table::find(&unindexed);
                Some(unindexed)
            }
            None => None,
        }
    }

    /// The name in lower case.
    #[inline]
    pub const fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.len as usize).0
    }

    /// Without looking it up in the static table.
    #[inline(always)]
    pub(super) const fn unindexed(name: &[u8]) -> Option<Self> {
        if name.len() > Self::BYTES_MAX {
            return None;
        }
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.split_at_mut(name.len()).0.copy_from_slice(name);
        // Two lengths that the compiler knows, in place of one that it does not.
        let (short, long) = bytes.split_at_mut(SHORT_BYTES);
        short.make_ascii_lowercase();
        if name.len() > SHORT_BYTES {
            long.make_ascii_lowercase();
        }
        let mut unindexed = Self {
            bytes,
            hash: 0,
            len: name.len() as u8,
            static_index: 0,
        };
        unindexed.hash = unindexed.hash_of_bytes();
        Some(unindexed)
    }

    #[inline(always)]
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The lowest index of the name in the static table, or 0.
    #[inline(always)]
    pub(super) const fn static_index(&self) -> u8 {
        self.static_index
    }

    #[inline(always)]
    pub(super) const fn equals(&self, other: &Self) -> bool {
        let mut difference = (self.len ^ other.len) as u64 | (self.hash ^ other.hash);
        let mut at = 0;
        while at < self.used_bytes() {
            difference |= self.word(at) ^ other.word(at);
            at += 8;
        }
        difference == 0
    }

    #[inline(always)]
    const fn hash_of_bytes(&self) -> u64 {
        let mut hash = self.len as u64;
        let mut at = 0;
        while at < self.used_bytes() {
            hash = mix(hash ^ self.word(at), FIRST ^ self.word(at + 8));
            at += 16;
        }
        hash
    }

    #[inline(always)]
    const fn used_bytes(&self) -> usize {
        if self.len as usize <= SHORT_BYTES {
            SHORT_BYTES
        } else {
            Self::BYTES_MAX
        }
    }

    #[inline(always)]
    const fn word(&self, at: usize) -> u64 {
        match self.bytes.split_at(at).1.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => 0,
        }
    }
}

/// The hash of a field: its name's hash goes on with its value.
#[inline]
pub(super) fn hash_with_value(name_hash: u64, value: &[u8]) -> u64 {
    let mut hash = name_hash ^ (value.len() as u64).wrapping_mul(FIRST);
    let mut rest = value;
    while let Some((bytes, after)) = rest.split_first_chunk::<16>() {
        hash = mix_bytes(hash, bytes);
        rest = after;
    }
    if let Some(bytes) = value.last_chunk::<16>() {
        // Some bytes count twice.
        mix_bytes(hash, bytes)
    } else if let (Some(low), Some(high)) = (value.first_chunk(), value.last_chunk()) {
        mix(
            hash ^ u64::from_le_bytes(*low),
            SECOND ^ u64::from_le_bytes(*high),
        )
    } else {
        let bytes = value.iter();
        let word = bytes.fold(0, |word, &byte| word << 8 | u64::from(byte));
        mix(hash ^ word, SECOND)
    }
}

#[inline(always)]
fn mix_bytes(hash: u64, bytes: &[u8; 16]) -> u64 {
    let number = u128::from_le_bytes(*bytes);
    mix(hash ^ number as u64, SECOND ^ (number >> 64) as u64)
}

/// A product folded into 64 bits, of which each depends on all that were given.
#[inline(always)]
const fn mix(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Names are seldom longer.
const SHORT_BYTES: usize = 32;

/// Odd numbers without a pattern: digits of the golden ratio and of the square root of two.
const FIRST: u64 = 0x9E37_79B9_7F4A_7C15;
const SECOND: u64 = 0x6A09_E667_F3BC_C909;
