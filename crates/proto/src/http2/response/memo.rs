//! Header blocks of responses that were sent lately.
//!
//! A service answers in few ways. The same answer, in the same second, with the same table of the encoder,
//! is the same block: it is copied. Its `content-length` is part of what must be equal.

use tidegate_httpapi::ServerHeaderMode;

use super::{Answer, SentHead};

/// The blocks that one connection sent last. It has no memory before the first; an empty one put in its
/// place gives it back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    entries: Vec<Entry>,
    /// Which entry is the next to be replaced.
    oldest: usize,
}

/// A block, and what it was made of.
#[derive(Clone, Debug)]
struct Entry {
    generation: u64,
    print: Print,
    date: [u8; 29],
    sent: SentHead,
    /// The application's fields, the server's name, then the block.
    bytes: Vec<u8>,
    fields_end: usize,
    token_end: usize,
}

/// What is quickly compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Print {
    length: Option<u64>,
    status: u16,
    server_mode: ServerHeaderMode,
    from_driver: bool,
    head_request: bool,
    has_trailers: bool,
    tunnel: bool,
}

impl Memo {
    /// Appends the block of this answer, if it is known.
    #[inline]
    pub(super) fn find(
        &self,
        generation: u64,
        answer: &Answer<'_>,
        block: &mut Vec<u8>,
    ) -> Option<SentHead> {
        let print = Print::of(answer);
        let fields = answer.head.fields.as_bytes();
        let entry = self.entries.iter().find(|entry| {
            entry.generation == generation
                && entry.print == print
                && entry.date == *answer.context.date
                && entry.bytes[..entry.fields_end] == *fields
                && entry.bytes[entry.fields_end..entry.token_end]
                    == *answer.context.server_token.as_bytes()
        })?;
        block.extend_from_slice(&entry.bytes[entry.token_end..]);
        Some(entry.sent)
    }

    /// Keeps a block that would be the same once more.
    #[inline(never)]
    pub(super) fn learn(
        &mut self,
        generation: u64,
        answer: &Answer<'_>,
        block: &[u8],
        sent: SentHead,
    ) {
        let fields = answer.head.fields.as_bytes();
        let token = answer.context.server_token.as_bytes();
        let len = fields.len() + token.len() + block.len();
        // A size update is said once.
        let is_update = block.first().is_some_and(|first| first & 0xE0 == 0x20);
        if len > BYTES_MAX || is_update {
            return;
        }
        let mut bytes = if self.entries.len() < ENTRIES {
            Vec::new()
        } else {
            std::mem::take(&mut self.entries[self.oldest].bytes)
        };
        bytes.clear();
        bytes.reserve_exact(len);
        bytes.extend_from_slice(fields);
        bytes.extend_from_slice(token);
        bytes.extend_from_slice(block);
        let entry = Entry {
            generation,
            print: Print::of(answer),
            date: *answer.context.date,
            sent,
            bytes,
            fields_end: fields.len(),
            token_end: fields.len() + token.len(),
        };
        if self.entries.len() < ENTRIES {
            self.entries.push(entry);
        } else {
            self.entries[self.oldest] = entry;
            self.oldest = (self.oldest + 1) % ENTRIES;
        }
    }
}

impl Print {
    #[inline(always)]
    fn of(answer: &Answer<'_>) -> Self {
        Self {
            length: answer.length,
            status: answer.head.status,
            server_mode: answer.context.server_mode,
            from_driver: answer.context.from_driver,
            head_request: answer.context.head_request,
            has_trailers: answer.head.trailers.is_some(),
            tunnel: answer.tunnel,
        }
    }
}

/// How many blocks are kept: a service's usual answers.
const ENTRIES: usize = 4;

/// Longest fields, server's name and block together, in bytes.
const BYTES_MAX: usize = 1024;
