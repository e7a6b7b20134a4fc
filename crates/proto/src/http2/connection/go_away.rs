//! How a connection comes to its end in order: GOAWAY, twice. Source: RFC 9113 §6.8; case T06.

use super::{Connection, Phase};
use crate::http2::error::{ErrorCode, Fault};
use crate::http2::event::Event;
use crate::http2::frame::{FrameHead, MAX_U31, read_u32, write_go_away};

/// How far we are in ending the connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Leaving {
    #[default]
    No,
    /// The client was asked to open no more streams, and has opened so many.
    Begun { streams: u32 },
    /// Streams above this one are ignored.
    Final { last_stream: u32 },
}

impl Leaving {
    /// Whether this stream is not taken any more.
    #[inline(always)]
    pub(super) fn is_ignored(self, id: u32) -> bool {
        matches!(self, Self::Final { last_stream } if id > last_stream)
    }

    /// The last stream that is or was served, if the client has used identifiers up to `used`.
    pub(super) fn last_stream(self, used: u32) -> u32 {
        match self {
            Self::Final { last_stream } => last_stream,
            Self::No | Self::Begun { .. } => used,
        }
    }
}

impl Connection {
    /// Begins to end the connection: asks the client to open no more streams. Those that come all the same
    /// are served, until there are [`STREAMS_AFTER_GO_AWAY_MAX`].
    pub fn begin_go_away(&mut self, out: &mut Vec<u8>) {
        if self.leaving == Leaving::No && self.phase != Phase::Failed {
            self.leaving = Leaving::Begun { streams: 0 };
            write_go_away(out, MAX_U31, ErrorCode::NoError);
        }
    }

    /// Says which stream was the last one that is served. Those that the client opens after it are ignored.
    pub fn go_away(&mut self, code: ErrorCode, out: &mut Vec<u8>) {
        if self.phase == Phase::Failed {
            return;
        }
        let was_final = matches!(self.leaving, Leaving::Final { .. });
        let last_stream = self.leaving.last_stream(self.closed.last());
        self.leaving = Leaving::Final { last_stream };
        if !was_final || code != ErrorCode::NoError {
            write_go_away(out, last_stream, code);
        }
    }

    /// Whether we have begun to end the connection.
    #[inline]
    pub fn is_going_away(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// Whether we have said which stream is the last.
    #[inline]
    pub fn has_gone_away(&self) -> bool {
        matches!(self.leaving, Leaving::Final { .. })
    }

    /// Whether the peer has begun to.
    #[inline]
    pub fn peer_is_going_away(&self) -> bool {
        self.peer_is_leaving
    }

    /// A stream has begun though the client was asked to open no more.
    #[cold]
    pub(super) fn stream_after_go_away(&mut self, out: &mut Vec<u8>) {
        if let Leaving::Begun { streams } = &mut self.leaving {
            *streams += 1;
            if *streams >= STREAMS_AFTER_GO_AWAY_MAX {
                self.go_away(ErrorCode::NoError, out);
            }
        }
    }

    pub(super) fn take_go_away(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
    ) -> Result<Event, Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("GOAWAY on a stream"));
        }
        let code = payload.get(4..).and_then(read_u32);
        let code = code.ok_or(Fault::new(ErrorCode::FrameSize, "GOAWAY too short"))?;
        self.peer_is_leaving = true;
        Ok(Event::GoAway { code })
    }
}

/// How many streams are served that the client opens after it was asked to open no more. Source: case T06.
pub const STREAMS_AFTER_GO_AWAY_MAX: u32 = 200;
