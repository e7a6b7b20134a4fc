//! What a stored response is served from, and what else can be made of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use tidegate_httpapi::{
    Body, CachedResponse, FieldBlock, HeadExtras, LogData, Piece, ResponseHead,
};
use tidegate_proto::conditional::{Answer, Preconditions, Validators, parse_date};
use tidegate_proto::http1::StoredHead;
use tidegate_proto::range::{ByteRange, Multipart, Selection, content_range, unsatisfied_range};

/// A stored response.
pub(crate) struct Stored {
    /// Its head as HTTP/1 sends it.
    pub(crate) wire: StoredHead,
    /// Its head as the application gave it.
    pub(crate) head: ResponseHead,
    pub(crate) content: Bytes,
    /// Its `Content-Encoding`.
    pub(super) coding: Option<Box<[u8]>>,
    /// Its `Last-Modified`.
    last_modified: Option<u64>,
    /// Whether parts of it may be had: it does not say `Accept-Ranges: none`.
    has_parts: bool,
    queue_hits: Arc<AtomicU64>,
}

impl Stored {
    pub(super) fn new(
        head: ResponseHead,
        wire: StoredHead,
        content: Bytes,
        queue_hits: Arc<AtomicU64>,
    ) -> Self {
        let value = |name: &str| head.fields.value(name);
        Self {
            coding: value("Content-Encoding").map(Into::into),
            last_modified: value("Last-Modified").and_then(parse_date),
            has_parts: value("Accept-Ranges") != Some(&b"none"[..]),
            wire,
            head,
            content,
            queue_hits,
        }
    }

    /// Memory that it takes.
    pub(super) fn bytes(head: &ResponseHead, wire: &StoredHead, content_bytes: usize) -> usize {
        let reason = head.reason.as_deref().map_or(0, str::len);
        let name = |log: &LogData| log.user_name.as_ref().map_or(0, |name| name.len());
        let logged = head
            .extras
            .as_deref()
            .map_or(0, |extras| size_of::<HeadExtras>() + name(&extras.log));
        size_of::<Self>()
            + wire.wire_bytes()
            + head.fields.as_bytes().len()
            + reason
            + logged
            + content_bytes
    }

    pub(super) fn count_hits(&self, hits: u64) {
        self.queue_hits.fetch_add(hits, Ordering::Relaxed);
    }

    pub(super) fn describe(&self, response: &mut CachedResponse) {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let content_type = self.head.fields.value("Content-Type");
        response.status = self.head.status;
        response.content_type = content_type.map(text).unwrap_or_default();
        response.content_encoding = self.coding.as_deref().map(text);
        response.head_bytes = self.wire.wire_bytes();
        response.content_bytes = self.content.len();
        response.force_disconnect = self.wire.closes();
    }

    /// What a request gets that has conditions or wants a part; `None`: the response as it is.
    ///
    /// RFC 9110 §13.2.1, §14.2: both are for responses that are 200. `now`: the seconds since 1970;
    /// `boundary`: a number that nobody can know.
    pub(super) fn answer_to(
        &self,
        preconditions: &Preconditions<'_>,
        now: u64,
        memory: impl FnOnce() -> Vec<u8>,
        boundary: impl FnOnce() -> u128,
    ) -> Option<(ResponseHead, Body)> {
        if self.head.status != 200 {
            return None;
        }
        let validators = Validators {
            etag: self.head.fields.value("ETag"),
            last_modified: self.last_modified,
            now,
        };
        let length = self.content.len() as u64;
        let begin = |status| Part::new(self, status, memory());
        let answer = match preconditions.select("GET", &validators, length) {
            Answer::Content(_) if !self.has_parts => Answer::Content(Selection::Whole),
            answer => answer,
        };
        match answer {
            Answer::NotModified => Some((begin(304).not_modified(), Body::Empty)),
            Answer::PreconditionFailed => Some((begin(412).head, Body::Empty)),
            Answer::Content(Selection::Whole) => None,
            Answer::Content(Selection::Unsatisfiable) => {
                let range = unsatisfied_range(length);
                Some((
                    begin(416).with("Content-Range", range.as_bytes()),
                    Body::Empty,
                ))
            }
            Answer::Content(Selection::Single(range)) => {
                let field = content_range(range, length);
                let head = begin(206)
                    .whole(&[])
                    .with("Content-Range", field.as_bytes());
                Some((head, Body::Shared(self.slice(range))))
            }
            Answer::Content(Selection::Several(ranges)) => {
                let content_type = self.head.fields.value("Content-Type");
                let multipart = Multipart::new(&ranges, length, content_type, boundary())?;
                let field = multipart.content_type();
                let head = begin(206)
                    .whole(&["Content-Type"])
                    .with("Content-Type", field.as_bytes());
                Some((head, Body::Shared(self.parts(&multipart))))
            }
        }
    }

    fn slice(&self, range: ByteRange) -> Bytes {
        // The selection lies within the content, whose length it was made for.
        self.content
            .slice(range.first as usize..=range.last as usize)
    }

    fn parts(&self, multipart: &Multipart) -> Bytes {
        let mut content = BytesMut::with_capacity(multipart.length() as usize);
        for part in multipart.parts() {
            content.extend_from_slice(part.head);
            content.extend_from_slice(&self.slice(part.range));
        }
        content.extend_from_slice(multipart.end());
        content.freeze()
    }
}

/// The head of an answer that is not the stored response.
struct Part<'a> {
    stored: &'a Stored,
    head: ResponseHead,
}

impl<'a> Part<'a> {
    fn new(stored: &'a Stored, status: u16, memory: Vec<u8>) -> Self {
        let mut head = ResponseHead::new(status);
        head.fields = FieldBlock::with_memory(memory);
        head.close = stored.head.close;
        head.extras.clone_from(&stored.head.extras);
        Self { stored, head }
    }

    /// Takes over the fields of the stored response but these, and its length.
    fn whole(mut self, but: &[&str]) -> Self {
        let is_left_out = |name: &str| {
            let is = |other: &&str| name.eq_ignore_ascii_case(other);
            but.iter().any(is) || is(&"Content-Length") || is(&"Content-Range")
        };
        for field in self.stored.head.fields.iter() {
            if !is_left_out(field.name) {
                self.add(field.name, field.value);
            }
        }
        self
    }

    /// RFC 9110 §15.4.5: what describes the content is left out, as the client has it already.
    fn not_modified(self) -> ResponseHead {
        let has_tag = self.stored.head.fields.value("ETag").is_some();
        let but: &[&str] = match has_tag {
            true => &[CONTENT[0], CONTENT[1], CONTENT[2], "Last-Modified"],
            false => &CONTENT,
        };
        self.whole(but).head
    }

    fn with(mut self, name: &str, value: &[u8]) -> ResponseHead {
        self.add(name, value);
        self.head
    }

    fn add(&mut self, name: &str, value: &[u8]) {
        // Stored fields have been checked, ours are right.
        let added = self.head.fields.append(name, value);
        debug_assert!(added.is_ok(), "{name} cannot be sent");
    }
}

const CONTENT: [&str; 3] = ["Content-Type", "Content-Encoding", "Content-Language"];

/// An answer's content, if it is there as a whole.
pub(super) fn whole_content(body: &Body) -> Option<Bytes> {
    // Copied, since what is shared may be a small part of something large, which would be kept with it.
    match body {
        Body::Empty => Some(Bytes::new()),
        Body::Static(bytes) => Some(Bytes::from_static(bytes)),
        Body::Owned(bytes) => Some(Bytes::copy_from_slice(bytes)),
        Body::Shared(bytes) => Some(Bytes::copy_from_slice(bytes)),
        Body::Pieces(pieces) => {
            let mut content = BytesMut::new();
            for piece in pieces {
                let Piece::Bytes(bytes) = piece else {
                    return None;
                };
                content.extend_from_slice(bytes);
            }
            // No more memory than is needed.
            Some(Bytes::copy_from_slice(&content))
        }
        _ => None,
    }
}

/// The length of an answer's content, if it is there as a whole.
pub(super) fn whole_length(body: &Body) -> Option<usize> {
    let is_here = match body {
        Body::Empty | Body::Static(_) | Body::Owned(_) | Body::Shared(_) => true,
        Body::Pieces(pieces) => pieces.iter().all(|piece| matches!(piece, Piece::Bytes(_))),
        _ => false,
    };
    match is_here {
        true => body
            .length()
            .and_then(|length| usize::try_from(length).ok()),
        false => None,
    }
}
