//! Names of connections and listeners.
//!
//! A key is a value, not a handle: copying or dropping it does nothing, and using one after its
//! connection has been closed is harmless (the operation does nothing).

/// Names a connection for as long as it lives.
///
/// A key of a closed connection never names a later one: each reuse of an index has a new
/// generation, and an index whose generations are used up is never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ConnectionKey {
    index: u32,
    generation: u32,
}

impl ConnectionKey {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The place of the connection in a dense table: small numbers, reused after a close.
    #[must_use]
    #[inline]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Tells the connections apart that had the same index one after the other.
    #[must_use]
    #[inline]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// The key as one number: the generation above, the index below.
    #[must_use]
    #[inline]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The key that [`to_bits`](Self::to_bits) made `bits` of.
    #[must_use]
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half is taken on purpose"
    )]
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// Names a listener of one event loop. Never reused within the loop.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ListenerKey(u32);

impl ListenerKey {
    pub(crate) const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number of listeners given to the loop before this one.
    #[must_use]
    #[inline]
    pub const fn index(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_round_trip() {
        let key = ConnectionKey::new(0x89ab_cdef, 0x0123_4567);
        assert_eq!(key.to_bits(), 0x0123_4567_89ab_cdef);
        assert_eq!(ConnectionKey::from_bits(key.to_bits()), key);
    }
}
