//! What a worker reads requests with: the namespace as it is now, and memory for parsing.

use std::cell::Cell;
use std::sync::Arc;

use tidegate_engine::{HostRoute, PortKey, Snapshot};
use tidegate_httpapi::FieldSpan;
use tidegate_proto::http1::ParsedHead;

use crate::cache::KnownStored;
use crate::queue::Queue;

/// A worker's view of the namespace, and what it needs to read a request.
///
/// Apart from the rest of the worker's things, so that a request can borrow from it while those change.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot<Queue>>,
    pub(crate) heads: HeadMemo,
    pub(crate) spans: Vec<FieldSpan>,
    pub(crate) cooked: String,
}

impl View {
    pub(crate) fn new(snapshot: Arc<Snapshot<Queue>>) -> Self {
        Self {
            snapshot,
            heads: HeadMemo::default(),
            spans: Vec::new(),
            cooked: String::new(),
        }
    }
}

/// Heads that came again, byte for byte, and what was understood of them.
///
/// Programs that call a service, devices that report, monitors and proxies send the same head over and
/// over; comparing it costs a small part of parsing it. A head is the same only if all its bytes are:
/// the outcome is that of the parser, which is not asked again. Heads that come once leave nothing here
/// but a number.
#[derive(Default)]
pub(crate) struct HeadMemo {
    entries: [Option<Box<KnownHead>>; ENTRIES],
    /// The last head that had to be parsed, by place.
    seen: [u32; ENTRIES],
}

/// A head that came again.
pub(crate) struct KnownHead {
    bytes: Box<[u8]>,
    pub(crate) head: ParsedHead,
    pub(crate) spans: Box<[FieldSpan]>,
    pub(crate) cooked_path: Box<str>,
    /// Where it was routed last.
    pub(crate) route: Cell<Option<KnownRoute>>,
    /// What the cache had for it last.
    pub(crate) stored: Cell<Option<KnownStored>>,
    /// Whether it came since another head wanted its place.
    wanted: Cell<bool>,
}

/// Where a host was found, and for what that holds.
#[derive(Clone, Copy)]
pub(crate) struct KnownRoute {
    pub(crate) version: u64,
    pub(crate) port: PortKey,
    pub(crate) local: Option<u16>,
    pub(crate) route: HostRoute,
}

impl HeadMemo {
    /// The head that `bytes` begin with, if it came before.
    #[inline]
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<&KnownHead> {
        let known = self.entries[place(bytes)?].as_deref()?;
        if !bytes.starts_with(&known.bytes) {
            return None;
        }
        known.wanted.set(true);
        Some(known)
    }

    /// Keeps a head that was parsed, if it is the second time in a row at its place.
    #[inline]
    pub(crate) fn learn(
        &mut self,
        bytes: &[u8],
        head: &ParsedHead,
        spans: &[FieldSpan],
        cooked_path: &str,
    ) {
        let Some(place) = place(bytes) else {
            return;
        };
        let print = fingerprint(bytes);
        if self.seen[place] == print {
            self.keep(place, bytes, head, spans, cooked_path);
        }
        self.seen[place] = print;
    }

    #[cold]
    fn keep(
        &mut self,
        place: usize,
        bytes: &[u8],
        head: &ParsedHead,
        spans: &[FieldSpan],
        cooked_path: &str,
    ) {
        let entry = &mut self.entries[place];
        let is_wanted = |known: &KnownHead| known.wanted.replace(false);
        if bytes.len() > HEAD_BYTES_MAX || entry.as_deref().is_some_and(is_wanted) {
            return;
        }
        *entry = Some(Box::new(KnownHead {
            bytes: bytes.into(),
            head: head.clone(),
            spans: spans.into(),
            cooked_path: cooked_path.into(),
            route: Cell::new(None),
            stored: Cell::new(None),
            wanted: Cell::new(true),
        }));
    }
}

/// Where a head's entry is: by its first bytes, which have the method and some of the path.
#[inline]
fn place(bytes: &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first_chunk::<8>()?;
    let second = rest.first_chunk::<8>()?;
    let mixed = u64::from_le_bytes(*first) ^ u64::from_le_bytes(*second).rotate_left(29);
    Some((mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - ENTRIES.ilog2())) as usize)
}

/// A number that is mostly different for different heads; that it is not always does no harm.
#[inline]
fn fingerprint(bytes: &[u8]) -> u32 {
    let (middle, last) = (bytes.get(bytes.len() / 2..), bytes.last_chunk::<16>());
    let middle = middle.and_then(|bytes| bytes.first_chunk::<8>());
    let mixed = middle.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        ^ last.map_or(0, |bytes| u128::from_le_bytes(*bytes) as u64)
        ^ bytes.len() as u64;
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

/// Places for heads.
const ENTRIES: usize = 32;

/// Longest head kept.
const HEAD_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use tidegate_httpapi::RequestLimits;
    use tidegate_proto::http1::{Parsed, parse_head};

    use super::*;

    fn learn(memo: &mut HeadMemo, bytes: &[u8]) {
        let mut spans = Vec::new();
        let Parsed::Head(head) = parse_head(bytes, &RequestLimits::default(), &mut spans) else {
            panic!("not a head: {bytes:?}");
        };
        memo.learn(&bytes[..head.head_bytes], &head, &spans, "/");
    }

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";

    #[test]
    fn a_head_is_known_from_the_third_time_on() {
        let mut memo = HeadMemo::default();
        learn(&mut memo, HEAD);
        assert!(memo.find(HEAD).is_none());
        learn(&mut memo, HEAD);
        assert!(memo.find(HEAD).is_some());
    }

    #[test]
    fn a_head_that_differs_in_any_byte_is_not_known() {
        let mut memo = HeadMemo::default();
        learn(&mut memo, HEAD);
        learn(&mut memo, HEAD);
        for index in 0..HEAD.len() {
            let mut other = HEAD.to_vec();
            other[index] ^= 1;
            assert!(memo.find(&other).is_none(), "byte {index}");
            assert!(memo.find(&HEAD[..index]).is_none(), "{index} bytes");
        }
        let mut with_content = HEAD.to_vec();
        with_content.extend_from_slice(b"more");
        assert!(memo.find(&with_content).is_some());
    }
}
