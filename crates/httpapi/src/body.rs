//! Content on its way: what an application reads of a request, and what it gives for a response.
//!
//! Both are pulled: the reader asks for the next piece when it has room, and the backend asks a
//! response's source for the next piece when the peer has taken the last. Whoever is slow holds up
//! the other, and no more than a window of bytes is ever in memory.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::{Buf, Bytes};

use crate::field::Trailers;
use crate::field_block::FieldBlock;

/// Why a request's content ended early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BodyError {
    /// The peer closed or reset the connection before the content was complete.
    Disconnected,
    /// The framing was broken: a bad chunk size, a missing CR LF, a bad trailer field.
    Malformed,
    /// The content is longer than allowed.
    TooLarge {
        /// The most allowed, in bytes.
        limit: u64,
    },
    /// The peer sent nothing for longer than the entity body timer allows.
    TimedOut,
    /// The backend has stopped.
    Stopped,
    /// What has come of it is not let through: a firewall's ruling.
    Forbidden,
}

impl fmt::Display for BodyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => formatter.write_str("the peer left before the content was whole"),
            Self::Malformed => formatter.write_str("the content's framing is broken"),
            Self::TooLarge { limit } => {
                write!(formatter, "the content is longer than {limit} bytes")
            }
            Self::TimedOut => formatter.write_str("the peer stopped sending the content"),
            Self::Stopped => formatter.write_str("the server has stopped"),
            Self::Forbidden => formatter.write_str("the content is not let through"),
        }
    }
}

impl std::error::Error for BodyError {}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::Disconnected | BodyError::Stopped => io::ErrorKind::UnexpectedEof,
            BodyError::Malformed | BodyError::TooLarge { .. } => io::ErrorKind::InvalidData,
            BodyError::Forbidden => io::ErrorKind::PermissionDenied,
            BodyError::TimedOut => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

/// The backend's side of a [`BodyReader`].
pub trait ReceiveBody: Send {
    /// The next piece of content, never empty; `None` at its end.
    ///
    /// The first call sends `100 Continue` to a peer that waits for it.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>>;

    /// The trailer section; empty until the content has ended.
    fn trailers(&mut self) -> Trailers;
}

/// Reads a request's content, whole or piece by piece, waiting or not.
///
/// Dropping it before the end is allowed; the backend drains what the peer still sends.
#[derive(Default)]
pub struct BodyReader {
    receive: Option<Box<dyn ReceiveBody>>,
    /// What was received and not yet read.
    rest: Bytes,
    trailers: Trailers,
    /// The most that may still come, and the most there was at first.
    limit: Option<(u64, u64)>,
}

impl BodyReader {
    /// No content.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Content that is already whole.
    pub fn whole(content: Bytes) -> Self {
        Self {
            rest: content,
            ..Self::default()
        }
    }

    /// Content that arrives through `receive`.
    pub fn new(receive: Box<dyn ReceiveBody>) -> Self {
        Self {
            receive: Some(receive),
            ..Self::default()
        }
    }

    /// Whether all content has been read, or there is none.
    pub fn is_end(&self) -> bool {
        self.receive.is_none() && self.rest.is_empty()
    }

    /// Accepts no more than `bytes` of what has yet to be read: reading on is
    /// [`BodyError::TooLarge`] then. A limit set before holds as well.
    pub fn limit(&mut self, bytes: u64) {
        match &mut self.limit {
            Some((left, _)) if *left <= bytes => {}
            limit => *limit = Some((bytes, bytes)),
        }
    }

    /// The next piece of content, never empty; `None` at its end.
    pub fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        let chunk = std::task::ready!(self.poll_any_chunk(context));
        if let (Ok(Some(chunk)), Some((left, limit))) = (&chunk, &mut self.limit) {
            let length = chunk.len() as u64;
            if length > *left {
                let limit = *limit;
                // Nor is what comes after it.
                self.limit = Some((0, limit));
                return Poll::Ready(Err(BodyError::TooLarge { limit }));
            }
            *left -= length;
        }
        Poll::Ready(chunk)
    }

    fn poll_any_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.rest))));
        }
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(Ok(None));
        };
        let chunk = std::task::ready!(receive.poll_chunk(context));
        if let Ok(None) | Err(_) = &chunk {
            self.trailers = receive.trailers();
            if chunk.is_ok() {
                self.receive = None;
            }
        }
        Poll::Ready(chunk)
    }

    /// The next piece of content, never empty; `None` at its end.
    ///
    /// # Errors
    ///
    /// The peer's or the system's fault, see [`BodyError`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        poll_fn(|context| self.poll_chunk(context)).await
    }

    /// All content that is left, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLarge`] when there is more; else the peer's or the system's fault.
    pub async fn collect(&mut self, limit: u64) -> Result<Bytes, BodyError> {
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        check_limit(first.len(), limit)?;
        let Some(second) = self.chunk().await? else {
            return Ok(first);
        };
        let mut whole = first.to_vec();
        let mut next = Some(second);
        while let Some(chunk) = next {
            check_limit(whole.len() + chunk.len(), limit)?;
            whole.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(whole.into())
    }

    /// As [`chunk`](Self::chunk), holding the calling thread until there is something.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk).
    pub fn blocking_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        block_on(self.chunk())
    }

    /// As [`collect`](Self::collect), holding the calling thread.
    ///
    /// # Errors
    ///
    /// As [`collect`](Self::collect).
    pub fn blocking_collect(&mut self, limit: u64) -> Result<Bytes, BodyError> {
        block_on(self.collect(limit))
    }

    /// The trailer section; empty until the content has ended.
    pub fn trailers(&self) -> &Trailers {
        &self.trailers
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BodyReader")
            .field("at_end", &self.is_end())
            .finish_non_exhaustive()
    }
}

/// Blocks the calling thread, as handlers of the classic mode may.
impl io::Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.blocking_chunk()?.unwrap_or_default();
        }
        let count = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Gives a response's content piece by piece, asked for as the peer takes it.
pub trait BodySource: Send {
    /// The next piece; `None` at the end. An empty piece is passed over.
    ///
    /// Called on the backend's thread: it must not block. An error ends the connection, or its HTTP/2
    /// stream, since the status is already out; the code of a [`StreamReset`](crate::StreamReset) in the
    /// error is the stream's.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;

    /// The trailer section, asked for once after the last piece. Sent in HTTP/2 only (case T16).
    fn trailers(&mut self) -> Option<FieldBlock> {
        None
    }

    /// Whether the content is for nobody once the peer has ended its side of the connection.
    ///
    /// A peer that has done so may still read (RFC 9112 §9.6), so that it is sent the rest of most contents.
    /// Of content that has no end and mostly nothing to send, nobody would notice for long that the peer has
    /// left: the connection, or the HTTP/2 stream, ends with the peer then.
    fn ends_with_peer(&self) -> bool {
        false
    }
}

fn check_limit(count: usize, limit: u64) -> Result<(), BodyError> {
    if count as u64 > limit {
        return Err(BodyError::TooLarge { limit });
    }
    Ok(())
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(std::vec::IntoIter<&'static str>);

    impl ReceiveBody for Pieces {
        fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
            Poll::Ready(Ok(self.0.next().map(Into::into)))
        }

        fn trailers(&mut self) -> Trailers {
            Trailers::default()
        }
    }

    fn reader(pieces: &[&'static str]) -> BodyReader {
        BodyReader::new(Box::new(Pieces(Vec::from(pieces).into_iter())))
    }

    #[test]
    fn a_limit_lets_as_much_pass() {
        for mut reader in [
            reader(&["ab", "cd"]),
            BodyReader::whole(Bytes::from_static(b"abcd")),
        ] {
            reader.limit(4);
            assert_eq!(reader.blocking_collect(u64::MAX).unwrap(), "abcd");
        }
    }

    #[test]
    fn more_than_a_limit_is_too_large_and_stays_so() {
        let mut reader = reader(&["ab", "cd", "e", "f"]);
        reader.limit(3);
        reader.limit(7);
        assert_eq!(reader.blocking_chunk().unwrap().unwrap(), "ab");
        let too_large = Err(BodyError::TooLarge { limit: 3 });
        assert_eq!(reader.blocking_chunk(), too_large);
        assert_eq!(reader.blocking_chunk(), too_large);
    }
}
