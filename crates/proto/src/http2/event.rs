//! What a connection tells of what the peer sent.

use std::ops::Range;

use super::error::{ErrorCode, Failure};
use crate::http1::Reject;

/// Names a stream of one connection.
///
/// A key whose stream was released is no longer known: whatever is asked for with it is ignored.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StreamKey {
    /// A small number, good as an index. It is used again when the stream is released.
    pub slot: u32,
    /// The stream's identifier, never used again.
    pub id: u32,
}

/// What was taken from the bytes given, and what it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// How many bytes were taken from the front.
    pub consumed: usize,
    /// What they were.
    pub event: Event,
}

impl Step {
    #[inline(always)]
    pub(super) const fn new(consumed: usize, event: Event) -> Self {
        Self { consumed, event }
    }
}

/// What the peer did.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Nothing more can be done with these bytes: keep the rest and come back with more.
    ///
    /// The rest is shorter than one frame of 16,384 bytes and its header.
    Incomplete,
    /// Nothing to tell. Go on with the rest.
    Nothing,
    /// A request, see [`Connection::head`](super::Connection::head).
    Request {
        /// Its stream.
        stream: StreamKey,
        /// Whether it has neither content nor trailers.
        ended: bool,
    },
    /// A request that breaks a rule which has a status: answer with that. Its head may be a part.
    Refused {
        /// Its stream.
        stream: StreamKey,
        /// Whether it has neither content nor trailers.
        ended: bool,
        /// The rule.
        reason: Reject,
    },
    /// Content, where it lies in the bytes given.
    Data {
        /// The stream.
        stream: StreamKey,
        /// Where. Empty only if the content has ended.
        range: Range<usize>,
        /// Whether the content has ended, without trailers.
        ended: bool,
    },
    /// The content has ended with trailers, see [`Connection::take_trailers`](super::Connection::take_trailers).
    Trailers {
        /// The stream.
        stream: StreamKey,
    },
    /// The peer has reset a stream. Nothing can be sent on it; release it when its work has ended.
    Reset {
        /// The stream.
        stream: StreamKey,
        /// The peer's reason.
        code: u32,
    },
    /// The peer broke a rule of this stream, which has been reset; else as [`Reset`](Self::Reset).
    Broken {
        /// The stream.
        stream: StreamKey,
        /// The reason sent.
        code: ErrorCode,
    },
    /// A window has opened: [`Connection::next_to_send`](super::Connection::next_to_send) may have a stream.
    Writable,
    /// The peer opens no more streams.
    GoAway {
        /// The peer's reason.
        code: u32,
    },
    /// The connection has failed. Send what was appended, then end it; what comes is ignored.
    Failed(Failure),
}
