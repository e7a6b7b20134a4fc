//! Finds repetitions within a sliding window: bytes become literals and matches.
//!
//! One candidate for each four bytes, the latest; the first match is taken. Matches are verified
//! against the window's bytes, so what the search table holds never has to be right: it is neither
//! cleared when the window is forgotten nor moved along when it slides. Source: RFC 1951 §4.

use super::symbols::MATCH_MAX;

/// Takes what bytes become.
pub(super) trait Sink {
    /// A byte that stands for itself.
    fn literal(&mut self, byte: u8);
    /// A repetition: its length less 3, its distance less 1.
    fn repetition(&mut self, length: u8, distance: u16);
}

/// The window of one stream of messages, and the table to search it.
#[derive(Debug)]
pub(super) struct Matcher {
    window_bits: u8,
    mem_level: u8,
    /// At most a window of bytes that were compressed before, then those that are now.
    bytes: Vec<u8>,
    /// Where `bytes` begins in the stream, modulo 2^16.
    base: u16,
    /// For each hash of four bytes, where they stood last, modulo 2^16.
    latest: Box<[u16]>,
}

impl Matcher {
    pub(super) fn new(window_bits: u8, mem_level: u8) -> Self {
        let table_bits = (11 + mem_level.div_ceil(2)).min(window_bits + 1);
        Self {
            window_bits,
            mem_level,
            bytes: Vec::new(),
            base: 0,
            latest: vec![0; 1 << table_bits].into(),
        }
    }

    /// Whether this was made by [`new`](Self::new) with these numbers.
    pub(super) fn is_of(&self, window_bits: u8, mem_level: u8) -> bool {
        (self.window_bits, self.mem_level) == (window_bits, mem_level)
    }

    /// Forgets all bytes: nothing that comes will refer to them.
    pub(super) fn forget(&mut self) {
        self.base = self.base.wrapping_add(self.bytes.len() as u16);
        self.bytes.clear();
    }

    /// Heap memory held, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + 2 * self.latest.len()
    }

    /// Most bytes that [`tokenize`](Self::tokenize) takes at once: half a window is added to the
    /// window that must stay, so that sliding it is rare.
    pub(super) fn piece_bytes_max(&self) -> usize {
        (self.window_bytes() / 2).max(PIECE_BYTES_MIN)
    }

    fn window_bytes(&self) -> usize {
        1 << self.window_bits
    }

    /// Turns these bytes, which follow those before, into literals and repetitions.
    pub(super) fn tokenize(&mut self, piece: &[u8], sink: &mut impl Sink) {
        self.append(piece);
        let mut at = self.bytes.len() - piece.len();
        let mut search = Search {
            bytes: &self.bytes,
            base: self.base,
            window_bytes: 1 << self.window_bits,
            shift: 32 - self.latest.len().trailing_zeros(),
            latest: &mut self.latest,
        };
        // How many literals since the last repetition.
        let mut missed = 0;
        while let Some(four) = four_at(search.bytes, at) {
            match search.candidate(at, four) {
                Some(distance) => {
                    loop {
                        let length = search.match_length(at, distance);
                        sink.repetition((length - 3) as u8, (distance - 1) as u16);
                        search.note(at + 1, at + length);
                        at += length;
                        // One that was cut because it is as long as can be goes on at once.
                        if length < MATCH_MAX || !search.repeats(at, distance) {
                            break;
                        }
                    }
                    missed = 0;
                }
                None => {
                    // Where nothing repeats, look less and less often.
                    let step = 1 + (missed >> 6);
                    let literals = search.bytes[at..].iter().take(step);
                    for &byte in literals {
                        sink.literal(byte);
                    }
                    missed += 1;
                    at += step;
                }
            }
        }
        for &byte in self.bytes.get(at..).unwrap_or_default() {
            sink.literal(byte);
        }
    }

    /// Appends bytes; slides the window when they would take more than window and piece.
    fn append(&mut self, piece: &[u8]) {
        debug_assert!(piece.len() <= self.piece_bytes_max());
        let most = self.window_bytes() + self.piece_bytes_max();
        if self.bytes.len() + piece.len() > most {
            let gone = self.bytes.len() - self.window_bytes();
            self.bytes.drain(..gone);
            self.base = self.base.wrapping_add(gone as u16);
        }
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.max(2 * self.bytes.capacity()).min(most);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }
}

/// A matcher's parts, while it looks through a piece.
struct Search<'a> {
    bytes: &'a [u8],
    base: u16,
    window_bytes: usize,
    /// How many bits of a hash are too many for the table.
    shift: u32,
    latest: &'a mut [u16],
}

impl Search<'_> {
    /// How far back the same four bytes stand, if in the window; notes that they now stand here.
    #[inline]
    fn candidate(&mut self, at: usize, four: u32) -> Option<usize> {
        let here = self.base.wrapping_add(at as u16);
        let slot = self.slot(four);
        let latest = std::mem::replace(&mut self.latest[slot], here);
        let distance = usize::from(here.wrapping_sub(latest));
        let is_within = distance != 0 && distance <= at.min(self.window_bytes);
        (is_within && four_at(self.bytes, at - distance) == Some(four)).then_some(distance)
    }

    /// Whether the next four bytes are those so far back.
    fn repeats(&self, at: usize, distance: usize) -> bool {
        let four = four_at(self.bytes, at);
        four.is_some() && four == four_at(self.bytes, at - distance)
    }

    /// Notes where the four bytes at every second of these places stand: noting all of them takes
    /// longer and finds hardly more.
    #[inline]
    fn note(&mut self, from: usize, to: usize) {
        let fours = self.bytes[from..].windows(4).take(to - from);
        let mut here = self.base.wrapping_add(from as u16);
        for four in fours.step_by(2) {
            let four = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            let slot = self.slot(four);
            self.latest[slot] = here;
            here = here.wrapping_add(2);
        }
    }

    /// How long the repetition is, whose first four bytes are known to be one.
    #[inline]
    fn match_length(&self, at: usize, distance: usize) -> usize {
        let end = self.bytes.len().min(at + MATCH_MAX);
        let here = &self.bytes[at..end];
        let there = &self.bytes[at - distance..end - distance];
        let mut length = 4;
        while let (Some(a), Some(b)) = (eight_at(here, length), eight_at(there, length)) {
            let different = a ^ b;
            if different != 0 {
                return length + different.trailing_zeros() as usize / 8;
            }
            length += 8;
        }
        let same = here[length..].iter().zip(&there[length..]);
        length + same.take_while(|(a, b)| a == b).count()
    }

    /// Knuth's multiplicative hash: the product's highest bits mix all four bytes.
    #[inline]
    fn slot(&self, four: u32) -> usize {
        (four.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }
}

/// Smaller pieces, which small windows would lead to, find too few repetitions.
const PIECE_BYTES_MIN: usize = 1024;

#[inline]
fn four_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}

#[inline]
fn eight_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Undoes what a matcher does, and checks that its window is kept to.
    struct Undone {
        bytes: Vec<u8>,
        begin: usize,
        window_bytes: usize,
        repetitions: usize,
    }

    impl Sink for Undone {
        fn literal(&mut self, byte: u8) {
            self.bytes.push(byte);
        }

        fn repetition(&mut self, length: u8, distance: u16) {
            let distance = usize::from(distance) + 1;
            assert!(distance <= self.window_bytes);
            let start = self.bytes.len() - distance;
            assert!(start >= self.begin, "refers to what was forgotten");
            for at in start..start + usize::from(length) + 3 {
                self.bytes.push(self.bytes[at]);
            }
            self.repetitions += 1;
        }
    }

    // RFC 7692 §7.1.2: no distance is longer than the window, 256 bytes included.
    #[test]
    fn repetitions_begin_within_the_window() {
        for window_bits in 8..=15 {
            let mut matcher = Matcher::new(window_bits, 6);
            let mut undone = Undone {
                bytes: Vec::new(),
                begin: 0,
                window_bytes: 1 << window_bits,
                repetitions: 0,
            };
            let mut original = Vec::new();
            // Numbers that repeat at many distances, up to beyond the largest window.
            let mut number = 1u64;
            let mut sent = 0;
            for round in 0..400 {
                for _ in 0..60 {
                    number = number
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let word = (number >> 40) % (1 << (round % 14));
                    original.extend_from_slice(&word.to_le_bytes()[..5]);
                }
                for piece in original[sent..].chunks(matcher.piece_bytes_max()) {
                    matcher.tokenize(piece, &mut undone);
                }
                sent = original.len();
                if round % 50 == 49 {
                    matcher.forget();
                    undone.begin = sent;
                }
            }
            assert!(undone.bytes == original);
            assert!(undone.repetitions > 1000);
        }
    }
}
