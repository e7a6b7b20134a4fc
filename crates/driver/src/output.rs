//! Bytes that a connection has to send, in order, and the memory they are built in.

use bytes::Bytes;
use tidegate_os::SendBuffer;

/// What waits to be sent on a connection.
#[derive(Default)]
pub(crate) struct Output(SendBuffer);

impl Output {
    /// Appends what `encode` appends to the vector it is given.
    #[inline]
    pub(crate) fn encode<T>(
        &mut self,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>) -> T,
    ) -> T {
        if self.0.tail.is_empty() {
            if self.0.head.capacity() == 0 {
                self.0.head = pool.take();
            }
            return encode(&mut self.0.head);
        }
        let mut piece = Vec::new();
        let result = encode(&mut piece);
        self.0.tail.push(piece.into());
        result
    }

    /// Appends bytes that may be shared; long ones are not copied.
    pub(crate) fn append(&mut self, pool: &mut Pool, bytes: Bytes) {
        if bytes.len() < COPIED_MAX && self.0.tail.is_empty() {
            self.encode(pool, |out| out.extend_from_slice(&bytes));
        } else {
            self.0.tail.push(bytes);
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        if self.0.tail.is_empty() {
            return self.0.head.len();
        }
        self.0.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.head.is_empty() && self.0.tail.is_empty()
    }

    /// Takes everything, to be given to the loop.
    #[inline]
    pub(crate) fn take(&mut self) -> SendBuffer {
        std::mem::take(&mut self.0)
    }
}

/// Memory for building output, shared by all connections of a worker while they have something to say.
#[derive(Default)]
pub(crate) struct Pool(Vec<Vec<u8>>);

impl Pool {
    /// An empty vector, with memory if there is some.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match self.0.pop() {
            Some(memory) => memory,
            None => Vec::with_capacity(NEW_BYTES),
        }
    }

    /// Takes memory back, unless there is enough or it has grown large.
    #[inline]
    pub(crate) fn put(&mut self, mut memory: Vec<u8>) {
        if self.0.len() < KEPT_MAX && (1..=KEPT_BYTES_MAX).contains(&memory.capacity()) {
            memory.clear();
            self.0.push(memory);
        }
    }
}

/// Shared bytes shorter than this are copied: that is cheaper than one more piece in a send.
pub(crate) const COPIED_MAX: usize = 16 * 1024;

/// A new vector's capacity: an answer with usual fields and a short content.
const NEW_BYTES: usize = 1024;
/// Vectors kept.
const KEPT_MAX: usize = 512;
/// Largest vector kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;
