//! Content of a response that comes piece by piece: from a channel, a stream, or a reader.
//!
//! The driver asks for the next piece when the peer has taken the last, so that a slow peer holds up
//! the source and not the memory.

use std::fmt;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tidegate_httpapi::{Body, BodySource, FieldBlock};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::events::{EventFault, Opening};
use super::range::{Plan, SeekRead, cut_reader};
use super::reset::reset_of;
use super::response::ResponseError;
use super::trailers::append_trailer;
use crate::component::Shared;
use crate::event::{ExceptionCause, RequestIds, body_error};

/// Sends a response's content piece by piece. Dropping it ends the content.
///
/// When it is dropped by a panic, or when it [fails](Self::fail), the connection or its HTTP/2 stream is
/// broken off instead, so that the peer does not take a part for the whole. May be cloned: all have to be
/// dropped then.
#[derive(Clone, Debug)]
pub struct BodySender {
    pieces: mpsc::Sender<Bytes>,
    end: Arc<End>,
}

/// What is said at the end of the content.
#[derive(Debug, Default)]
struct End {
    failure: OnceLock<io::Error>,
    /// Guards the fields alone, for as long as one is added or all are taken.
    trailers: Mutex<FieldBlock>,
}

impl BodySender {
    /// Sends a piece, and waits while the peer has yet to take the pieces before it.
    ///
    /// # Errors
    ///
    /// Nobody takes it any more: the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is done, the piece is not sent.
    pub async fn send(&self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let sent = self.pieces.send(piece.into()).await;
        sent.map_err(|_| SendError::Closed)
    }

    /// As [`send`](Self::send), holding the calling thread. Not for async handlers, where it panics.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Panics
    ///
    /// When called in an async task.
    pub fn blocking_send(&self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let sent = self.pieces.blocking_send(piece.into());
        sent.map_err(|_| SendError::Closed)
    }

    /// Sends a piece if there is room for it now.
    ///
    /// # Errors
    ///
    /// There is no room, or the connection has ended.
    pub fn try_send(&self, piece: impl Into<Bytes>) -> Result<(), SendError> {
        let sent = self.pieces.try_send(piece.into());
        sent.map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Closed(_) => SendError::Closed,
        })
    }

    /// Adds a field to the trailer section, which goes out behind the content. See
    /// [`Response::trailer`](super::Response::trailer).
    ///
    /// # Errors
    ///
    /// As [`Response::try_trailer`](super::Response::try_trailer).
    pub fn trailer(&self, name: &str, value: impl AsRef<[u8]>) -> Result<(), ResponseError> {
        let mut trailers = self
            .end
            .trailers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        append_trailer(&mut trailers, name, value)
    }

    /// Ends the content as failed: the connection, or its HTTP/2 stream, is broken off once the pieces
    /// before have been sent.
    pub fn fail(self, error: io::Error) {
        // The first failure counts.
        let _ = self.end.failure.set(error);
    }

    /// Whether nobody takes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Done once nobody takes any more: the connection has ended.
    pub async fn closed(&self) {
        self.pieces.closed().await;
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = io::Error::other("the sender of the content panicked");
            let _ = self.end.failure.set(error);
        }
    }
}

/// Why a piece of content was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// The peer has yet to take the pieces before it.
    Full,
    /// The connection has ended.
    Closed,
    /// It is an event that cannot be written. The caller's fault.
    Event(EventFault),
}

impl fmt::Display for SendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Full => "the peer has yet to take the pieces before",
            Self::Closed => "the connection has ended",
            Self::Event(fault) => return fault.fmt(formatter),
        })
    }
}

impl std::error::Error for SendError {}

/// Content before anybody has asked for it.
pub(super) enum Source {
    /// Asked for on the driver's thread.
    Pulled(Box<dyn BodySource>),
    /// Read where a thread may be blocked.
    Read(Box<dyn Read + Send>),
    /// Read likewise, from any place on; of this length, in bytes.
    Seek(Box<dyn SeekRead>, u64),
    /// Events, kept up by the server.
    Events(Box<Opening>),
}

impl Source {
    /// The two ends of a channel that holds up to `pieces`.
    pub(super) fn channel(pieces: usize) -> (BodySender, Self) {
        let (sender, channel) = channel(pieces);
        (sender, Self::Pulled(Box::new(channel)))
    }

    pub(super) fn stream<S, B, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::Pulled(Box::new(PullStream(Box::pin(stream))))
    }

    /// As the driver takes it.
    pub(super) fn open(self, shared: &Shared) -> io::Result<Box<dyn BodySource>> {
        Ok(match self {
            Self::Pulled(source) => source,
            Self::Read(reader) => Box::new(Pump {
                runtime: shared.runtime().handle()?.clone(),
                state: PumpState::Idle(reader),
            }),
            Self::Seek(reader, length) => {
                let (whole, _) = cut_reader(reader, length, &Plan::Whole);
                return Self::Read(whole).open(shared);
            }
            Self::Events(opening) => opening.open(shared)?,
        })
    }
}

/// The two ends of a channel that holds up to `pieces`, at least one.
pub(super) fn channel(pieces: usize) -> (BodySender, Channel) {
    let (sender, receiver) = mpsc::channel(pieces.clamp(1, Semaphore::MAX_PERMITS));
    let end = Arc::new(End::default());
    let sender = BodySender {
        pieces: sender,
        end: Arc::clone(&end),
    };
    let channel = Channel {
        pieces: receiver,
        end,
    };
    (sender, channel)
}

/// Content of unknown length that a reader gives, read as for
/// [`Response::reader`](super::Response::reader).
pub(crate) fn body_of_reader(
    reader: impl Read + Send + 'static,
    shared: &Arc<Shared>,
    ids: RequestIds,
) -> io::Result<Body> {
    let source = Source::Read(Box::new(reader)).open(shared)?;
    Ok(Body::Stream {
        length: None,
        source: Box::new(Guarded {
            source,
            trailers: None,
            shared: Arc::clone(shared),
            ids,
        }),
    })
}

pub(super) struct Channel {
    pieces: mpsc::Receiver<Bytes>,
    end: Arc<End>,
}

impl Channel {
    /// Takes no more: what has been sent is the last.
    pub(super) fn close(&mut self) {
        self.pieces.close();
    }
}

impl BodySource for Channel {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let piece = ready!(self.pieces.poll_recv(context));
        Poll::Ready(match (piece, self.end.failure.get()) {
            (Some(piece), _) => Some(Ok(piece)),
            (None, None) => None,
            (None, Some(error)) => Some(Err(match (body_error(error), reset_of(error)) {
                (Some(error), _) => error.into(),
                (None, Some(reset)) => io::Error::other(reset),
                (None, None) => io::Error::new(error.kind(), error.to_string()),
            })),
        })
    }

    fn trailers(&mut self) -> Option<FieldBlock> {
        let mut trailers = self
            .end
            .trailers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *trailers))
    }
}

/// A stream as the driver takes it.
pub(crate) struct PullStream<S>(pub(crate) Pin<Box<S>>);

impl<S, B, E> BodySource for PullStream<S>
where
    S: Stream<Item = Result<B, E>> + Send,
    B: Into<Bytes>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let piece = ready!(self.0.as_mut().poll_next(context));
        Poll::Ready(piece.map(|piece| piece.map(Into::into).map_err(io::Error::other)))
    }
}

/// Reads on a thread that may be blocked: one piece at a time, when the peer has taken the last, so
/// that a slow peer holds no thread.
struct Pump {
    runtime: Handle,
    state: PumpState,
}

enum PumpState {
    Idle(Box<dyn Read + Send>),
    Reading(JoinHandle<(Box<dyn Read + Send>, io::Result<Bytes>)>),
    Ended,
}

impl BodySource for Pump {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let PumpState::Idle(_) = self.state
            && let PumpState::Idle(mut reader) =
                std::mem::replace(&mut self.state, PumpState::Ended)
        {
            self.state = PumpState::Reading(self.runtime.spawn_blocking(move || {
                let piece = read_piece(&mut *reader);
                (reader, piece)
            }));
        }
        let PumpState::Reading(reading) = &mut self.state else {
            return Poll::Ready(None);
        };
        let read = ready!(Pin::new(reading).poll(context));
        self.state = PumpState::Ended;
        Poll::Ready(match read {
            Ok((_, Ok(piece))) if piece.is_empty() => None,
            Ok((reader, Ok(piece))) => {
                self.state = PumpState::Idle(reader);
                Some(Ok(piece))
            }
            Ok((_, Err(error))) => Some(Err(error)),
            Err(error) => Some(Err(error.into())),
        })
    }
}

fn read_piece(reader: &mut dyn Read) -> io::Result<Bytes> {
    let mut piece = vec![0; READ_PIECE_BYTES];
    loop {
        match reader.read(&mut piece) {
            Ok(count) => {
                piece.truncate(count);
                return Ok(piece.into());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// As much as the driver has in memory for a peer that is reading, by default.
const READ_PIECE_BYTES: usize = 64 * 1024;

/// An application's source on the driver's thread: it finds the runtime it may need, its panic stays
/// its own, and the application hears of its failure and of trailers that cannot be sent.
pub(crate) struct Guarded {
    pub(crate) source: Box<dyn BodySource>,
    /// The response's own, which come before the source's.
    pub(crate) trailers: Option<Box<FieldBlock>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) ids: RequestIds,
}

impl BodySource for Guarded {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let events = self.shared.events();
        let source = &mut self.source;
        let entered = self.shared.runtime().running().map(Handle::enter);
        let polled = catch_unwind(AssertUnwindSafe(|| source.poll_chunk(context)));
        drop(entered);
        match polled {
            Ok(Poll::Ready(Some(Err(error)))) => {
                // What the application wants is no failure.
                if let Some(reset) = reset_of(&error) {
                    return Poll::Ready(Some(Err(io::Error::other(reset))));
                }
                let kind = error.kind();
                events.content_failed(self.ids, error);
                Poll::Ready(Some(Err(kind.into())))
            }
            Ok(polled) => polled,
            Err(payload) => {
                events.panicked(Some(self.ids), &*payload);
                Poll::Ready(Some(Err(io::ErrorKind::Other.into())))
            }
        }
    }

    fn trailers(&mut self) -> Option<FieldBlock> {
        let events = self.shared.events();
        let source = &mut self.source;
        let given = catch_unwind(AssertUnwindSafe(|| source.trailers()));
        let given = given.unwrap_or_else(|payload| {
            events.panicked(Some(self.ids), &*payload);
            None
        });
        let mut trailers = self
            .trailers
            .take()
            .map_or_else(FieldBlock::new, |own| *own);
        for field in given.iter().flat_map(FieldBlock::iter) {
            if let Err(error) = append_trailer(&mut trailers, field.name, field.value) {
                // The content is out already: what can be sent behind it is.
                events.exception(Some(self.ids), ExceptionCause::Response(error));
            }
        }
        (!trailers.is_empty()).then_some(trailers)
    }

    fn ends_with_peer(&self) -> bool {
        self.source.ends_with_peer()
    }
}
