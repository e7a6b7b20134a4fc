//! Memory for pieces of content, used again.
//!
//! A piece is made by the worker and dropped by whoever reads it, on another thread mostly. Allocators give
//! such memory back to the system and ask for it again, piece by piece: at full speed that was a fifth of an
//! upload's cost, in page faults.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// A worker's memory for pieces.
#[derive(Default)]
pub(crate) struct PieceMemory {
    /// Held only to take one out or to put one back.
    free: Mutex<Vec<Vec<u8>>>,
}

/// A piece, whose memory goes back when nobody reads it any more.
struct Piece {
    bytes: Vec<u8>,
    home: Arc<PieceMemory>,
}

impl PieceMemory {
    /// A copy of `bytes`.
    pub(super) fn copy(self: &Arc<Self>, bytes: &[u8]) -> Bytes {
        if !(WORTHWHILE_MIN..=PIECE_BYTES).contains(&bytes.len()) {
            return Bytes::copy_from_slice(bytes);
        }
        let taken = self.lock().pop();
        let mut memory = taken.unwrap_or_else(|| Vec::with_capacity(PIECE_BYTES));
        memory.extend_from_slice(bytes);
        Bytes::from_owner(Piece {
            bytes: memory,
            home: Arc::clone(self),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut memory = std::mem::take(&mut self.bytes);
        memory.clear();
        let mut free = self.home.lock();
        if free.len() < KEPT_MAX {
            free.push(memory);
        }
    }
}

/// What a receive buffer or a TLS record holds at most, by default.
const PIECE_BYTES: usize = 16 * 1024;

/// Shorter ones would hold more memory than they have content, which is what is bounded.
const WORTHWHILE_MIN: usize = PIECE_BYTES / 2;

/// A megabyte for each worker: what four readers that keep up have before them.
const KEPT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again() {
        let memory = Arc::new(PieceMemory::default());
        let first = memory.copy(&[1; 9_000]);
        let place = first.as_ptr();
        let part = first.slice(8_000..);
        drop(first);
        let other = memory.copy(&[2; WORTHWHILE_MIN]);
        assert_ne!(other.as_ptr(), place, "a part is still read");
        assert_eq!(part[..], [1; 1_000]);
        drop(part);
        let second = memory.copy(&[3; PIECE_BYTES]);
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second[..], [3; PIECE_BYTES]);
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let memory = Arc::new(PieceMemory::default());
        let pieces: Vec<_> = (0..2 * KEPT_MAX)
            .map(|_| memory.copy(&[0; WORTHWHILE_MIN]))
            .collect();
        drop(pieces);
        assert_eq!(memory.lock().len(), KEPT_MAX);
    }

    #[test]
    fn what_is_longer_or_short_is_copied_as_it_is() {
        let memory = Arc::new(PieceMemory::default());
        for length in [1, WORTHWHILE_MIN - 1, PIECE_BYTES + 1] {
            assert_eq!(memory.copy(&vec![7; length])[..], vec![7; length]);
        }
        assert!(memory.lock().is_empty());
    }
}
