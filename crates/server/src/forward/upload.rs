//! A request's content on its way to an upstream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tidegate_httpapi::{BodyError, BodyReader, ContentFraming, Trailers};

/// Content that is passed on as it comes.
pub(super) struct Upload {
    source: Source,
    framing: ContentFraming,
    /// Bytes still to come, when the length is known.
    left: u64,
    /// The upstream has not asked for it yet.
    waits: bool,
}

enum Source {
    /// All of it.
    Whole(Bytes),
    /// It arrives from the client.
    Arriving(BodyReader),
    /// None is left.
    Ended,
}

/// What is to be sent next.
pub(super) enum Piece {
    /// Content.
    Data(Bytes),
    /// The end, and the trailer section.
    End(Trailers),
}

impl Upload {
    pub(super) fn whole(content: Bytes, framing: ContentFraming) -> Self {
        Self::new(Source::Whole(content), framing)
    }

    pub(super) fn arriving(reader: BodyReader, framing: ContentFraming) -> Self {
        Self::new(Source::Arriving(reader), framing)
    }

    fn new(source: Source, framing: ContentFraming) -> Self {
        Self {
            source,
            left: match framing {
                ContentFraming::None => 0,
                ContentFraming::Length(length) => length,
                ContentFraming::Chunked => u64::MAX,
            },
            framing,
            waits: false,
        }
    }

    pub(super) fn framing(&self) -> ContentFraming {
        self.framing
    }

    /// Sends nothing before [`go_on`](Self::go_on).
    pub(super) fn wait(&mut self) {
        self.waits = true;
    }

    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    pub(super) fn go_on(&mut self) {
        self.waits = false;
    }

    /// Whether nothing is left to send.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.source, Source::Ended) || self.framing == ContentFraming::None
    }

    /// Sends no more, and lets the client's content go.
    pub(super) fn give_up(&mut self) {
        self.source = Source::Ended;
    }

    /// What is to be sent next. Not after [`Piece::End`].
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, BodyError>> {
        let piece = match &mut self.source {
            Source::Whole(content) if !content.is_empty() => std::mem::take(content),
            Source::Whole(_) | Source::Ended => {
                self.source = Source::Ended;
                return Poll::Ready(Ok(Piece::End(Trailers::default())));
            }
            Source::Arriving(reader) => match ready!(reader.poll_chunk(context)) {
                Ok(Some(piece)) => piece,
                Ok(None) => {
                    let trailers = reader.trailers().clone();
                    self.source = Source::Ended;
                    let is_whole = self.framing == ContentFraming::Chunked || self.left == 0;
                    return Poll::Ready(match is_whole {
                        true => Ok(Piece::End(trailers)),
                        // Never less than was announced: the driver would have said why.
                        false => Err(BodyError::Disconnected),
                    });
                }
                Err(error) => {
                    self.source = Source::Ended;
                    return Poll::Ready(Err(error));
                }
            },
        };
        if self.framing != ContentFraming::Chunked {
            let Some(left) = self.left.checked_sub(piece.len() as u64) else {
                self.source = Source::Ended;
                return Poll::Ready(Err(BodyError::Malformed));
            };
            self.left = left;
        }
        Poll::Ready(Ok(Piece::Data(piece)))
    }
}
