//! Bytes that a connection has to send, in order, and the memory they are built in.

use bytes::Bytes;
use tidegate_os::SendBuffer;

/// What waits to be sent on a connection.
///
/// Nearly always it is one piece. What comes behind a shared piece is apart, so that a connection that
/// waits is small.
#[derive(Default)]
pub(crate) struct Output {
    head: Vec<u8>,
    rest: Option<Box<Rest>>,
}

/// What follows the head: shared pieces, and a last one that is still being built.
#[derive(Default)]
struct Rest {
    pieces: Vec<Bytes>,
    pieces_bytes: usize,
    last: Vec<u8>,
}

impl Output {
    /// Appends what `encode` appends to the vector it is given.
    #[inline]
    pub(crate) fn encode<T>(
        &mut self,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        encode(self.open_end(pool))
    }

    /// Where what is to be sent next is appended. What is there already stays as it is.
    #[inline]
    pub(crate) fn open_end(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        match &mut self.rest {
            None => {
                if self.head.capacity() == 0 {
                    self.head = pool.take();
                }
                &mut self.head
            }
            Some(rest) => &mut rest.last,
        }
    }

    /// Appends bytes that may be shared; long ones are not copied.
    pub(crate) fn append(&mut self, pool: &mut Pool, bytes: Bytes) {
        if bytes.len() < COPIED_MAX {
            self.open_end(pool).extend_from_slice(&bytes);
        } else {
            self.rest
                .get_or_insert_with(|| pool.take_rest())
                .push(bytes);
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match &self.rest {
            None => self.head.len(),
            Some(rest) => self.head.len() + rest.pieces_bytes + rest.last.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.rest.is_none()
    }

    /// Takes everything, to be given to the loop.
    #[inline(always)]
    pub(crate) fn take(&mut self, pool: &mut Pool) -> SendBuffer {
        let head = std::mem::take(&mut self.head);
        match self.rest.take() {
            None => head.into(),
            Some(mut rest) => {
                rest.close_last();
                let tail = std::mem::take(&mut rest.pieces);
                pool.put_rest(rest);
                SendBuffer { head, tail }
            }
        }
    }

    /// Takes what comes first, about `max` bytes of it, to be given to the loop.
    pub(crate) fn take_part(&mut self, pool: &mut Pool, max: usize) -> SendBuffer {
        if self.len() <= max {
            return self.take(pool);
        }
        let head = std::mem::take(&mut self.head);
        let Some(rest) = &mut self.rest else {
            return head.into();
        };
        rest.close_last();
        let mut room = max.saturating_sub(head.len());
        let mut count = 0;
        while count < rest.pieces.len() && rest.pieces[count].len() <= room {
            room -= rest.pieces[count].len();
            count += 1;
        }
        let mut tail: Vec<Bytes> = rest.pieces.drain(..count).collect();
        if room > 0
            && let Some(next) = rest.pieces.first_mut()
        {
            tail.push(next.split_to(room));
        }
        rest.pieces_bytes -= tail.iter().map(Bytes::len).sum::<usize>();
        SendBuffer { head, tail }
    }

    /// Takes so many bytes as come first. There must be as many.
    pub(crate) fn take_exactly(&mut self, pool: &mut Pool, count: usize) -> SendBuffer {
        if self.head.len() > count {
            let rest = self.head.split_off(count);
            return std::mem::replace(&mut self.head, rest).into();
        }
        self.take_part(pool, count)
    }

    /// Gives memory back that was taken in vain.
    #[inline]
    pub(crate) fn tidy(&mut self, pool: &mut Pool) {
        if self.head.is_empty() && self.rest.is_none() {
            pool.put(std::mem::take(&mut self.head));
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.rest = None;
        pool.put(std::mem::take(&mut self.head));
    }
}

impl Rest {
    fn push(&mut self, bytes: Bytes) {
        self.close_last();
        self.pieces_bytes += bytes.len();
        self.pieces.push(bytes);
    }

    fn close_last(&mut self) {
        if !self.last.is_empty() {
            self.pieces_bytes += self.last.len();
            self.pieces.push(std::mem::take(&mut self.last).into());
        }
    }
}

/// Memory for building output, shared by all connections of a worker while they have something to say.
#[derive(Default)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
    /// Their capacities.
    bytes: usize,
    /// Empty ones, without memory for pieces.
    #[expect(
        clippy::vec_box,
        reason = "they move in and out of outputs, never themselves"
    )]
    rests: Vec<Box<Rest>>,
    /// Empty ones, of sends.
    tails: Vec<Vec<Bytes>>,
}

impl Pool {
    /// An empty vector, with memory if there is some.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match self.free.pop() {
            Some(memory) => {
                self.bytes -= memory.capacity();
                memory
            }
            None => Vec::with_capacity(NEW_BYTES),
        }
    }

    /// Takes memory back, unless there is enough or it has grown large.
    #[inline]
    pub(crate) fn put(&mut self, mut memory: Vec<u8>) {
        let bytes = memory.capacity();
        if (1..=KEPT_BYTES_MAX).contains(&bytes)
            && self.free.len() < KEPT_MAX
            && self.bytes + bytes <= KEPT_TOTAL_MAX
        {
            memory.clear();
            self.bytes += bytes;
            self.free.push(memory);
        }
    }

    /// Takes the memory of what was sent back.
    #[inline]
    pub(crate) fn put_sent(&mut self, buffer: SendBuffer) {
        self.put(buffer.head);
        match buffer.tail.capacity() {
            // It owns nothing, and dropping it takes a call.
            0 => std::mem::forget(buffer.tail),
            _ => self.put_tail(buffer.tail),
        }
    }

    #[inline(never)]
    fn put_tail(&mut self, mut tail: Vec<Bytes>) {
        if tail.capacity() <= KEPT_PIECES_MAX && self.tails.len() < KEPT_RESTS_MAX {
            tail.clear();
            self.tails.push(tail);
        }
    }

    /// Room for what follows a head.
    fn take_rest(&mut self) -> Box<Rest> {
        let mut rest = self.rests.pop().unwrap_or_default();
        rest.pieces = self.tails.pop().unwrap_or_default();
        rest
    }

    /// Takes it back when all that was in it has been taken.
    fn put_rest(&mut self, mut rest: Box<Rest>) {
        if self.rests.len() < KEPT_RESTS_MAX {
            *rest = Rest::default();
            self.rests.push(rest);
        }
    }
}

/// Shared bytes shorter than this are copied: that is cheaper than one more piece in a send.
pub(crate) const COPIED_MAX: usize = 16 * 1024;

/// A new vector's capacity: an answer with usual fields and a short content.
const NEW_BYTES: usize = 1024;
/// Vectors kept.
const KEPT_MAX: usize = 512;
/// Largest vector kept. A connection's pipelined answers or messages of one turn should fit: giving memory
/// of that size back to the system and growing it anew costs more than sending it.
const KEPT_BYTES_MAX: usize = 256 * 1024;
/// Most of what follows heads that is kept, and of lists of pieces: as many as are under way at a time.
const KEPT_RESTS_MAX: usize = 256;
/// Longest list of pieces kept.
const KEPT_PIECES_MAX: usize = 16;
/// Most bytes kept.
const KEPT_TOTAL_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_goes_out_in_order() {
        let (mut output, mut pool) = (Output::default(), Pool::default());
        let long = Bytes::from(vec![b'l'; COPIED_MAX]);
        output.open_end(&mut pool).extend_from_slice(b"a");
        output.append(&mut pool, Bytes::from_static(b"b"));
        output.append(&mut pool, long.clone());
        output.append(&mut pool, long.clone());
        output.open_end(&mut pool).extend_from_slice(b"c");
        output.append(&mut pool, Bytes::from_static(b"d"));
        output.append(&mut pool, long.clone());
        assert_eq!(output.len(), 4 + 3 * COPIED_MAX);
        let buffer = output.take(&mut pool);
        assert!(output.is_empty());
        assert_eq!(buffer.head, b"ab");
        // What was long is the same memory, what was short is joined.
        let is_shared = |piece: &Bytes| piece.as_ptr() == long.as_ptr();
        assert_eq!(buffer.tail.len(), 4);
        assert!(is_shared(&buffer.tail[0]) && is_shared(&buffer.tail[1]));
        assert_eq!(buffer.tail[2], "cd");
        assert!(is_shared(&buffer.tail[3]));
    }

    #[test]
    fn parts_are_the_whole_in_order() {
        let long: Bytes = (0..100_000u32).map(|number| number as u8).collect();
        for max in [1, 10, 5_000, 99_999, 120_000, 1_000_000] {
            let (mut output, mut pool) = (Output::default(), Pool::default());
            output.open_end(&mut pool).extend_from_slice(b"first");
            output.append(&mut pool, long.clone());
            output.open_end(&mut pool).extend_from_slice(b"last");
            let mut got = Vec::new();
            while !output.is_empty() {
                let before = output.len();
                let part = output.take_part(&mut pool, max);
                assert!(!part.is_empty() && part.len() <= max.max(5));
                assert_eq!(output.len(), before - part.len());
                got.extend_from_slice(&part.head);
                part.tail
                    .iter()
                    .for_each(|piece| got.extend_from_slice(piece));
            }
            assert_eq!(got, [b"first", &long[..], b"last"].concat(), "{max}");
        }
    }

    #[test]
    fn lists_of_pieces_come_back() {
        let (mut output, mut pool) = (Output::default(), Pool::default());
        let long = Bytes::from(vec![b'l'; COPIED_MAX]);
        for _ in 0..3 {
            output.append(&mut pool, long.clone());
            output.open_end(&mut pool).push(b'a');
            let buffer = output.take(&mut pool);
            assert_eq!(buffer.tail, [&long[..], b"a"]);
            pool.put_sent(buffer);
            assert_eq!((pool.rests.len(), pool.tails.len()), (1, 1));
            assert!(pool.tails[0].is_empty());
        }
        pool.put_tail(Vec::with_capacity(KEPT_PIECES_MAX + 1));
        assert_eq!(pool.tails.len(), 1);
    }

    #[test]
    fn an_empty_output_keeps_no_memory() {
        let (mut output, mut pool) = (Output::default(), Pool::default());
        assert_eq!(output.open_end(&mut pool).len(), 0);
        output.tidy(&mut pool);
        assert_eq!(output.head.capacity(), 0);
        assert_eq!(pool.free.len(), 1);
        output.open_end(&mut pool).push(b'a');
        output.tidy(&mut pool);
        assert_eq!(output.len(), 1);
        output.clear(&mut pool);
        assert!(output.is_empty() && output.head.capacity() == 0);
    }
}
