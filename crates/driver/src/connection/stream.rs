//! A response whose content comes piece by piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use tidegate_httpapi::BodySource;
use tidegate_proto::http1::{CHUNK_END, LAST_CHUNK, SentFraming, encode_chunk_header};

use crate::mailbox::{Mailbox, Message, RequestKey};
use crate::output::{Output, Pool};

/// The source of a response's content and what is left to say.
pub(crate) struct ResponseStream {
    source: Box<dyn BodySource>,
    framing: SentFraming,
    /// Bytes still to come, when the length is fixed.
    left: u64,
    signal: Arc<Signal>,
    waker: Waker,
}

/// What came of asking a stream for more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pumped {
    /// The window is full: again when it has been sent.
    Full,
    /// The source will say when it has more.
    Waiting,
    /// All content is in the output.
    Finished,
    /// The source failed or did not keep its length: the peer can only be told by an early end.
    Broken,
}

impl ResponseStream {
    pub(crate) fn new(
        source: Box<dyn BodySource>,
        framing: SentFraming,
        mailbox: Arc<Mailbox>,
        request: RequestKey,
    ) -> Self {
        let signal = Arc::new(Signal {
            mailbox,
            request,
            posted: AtomicBool::new(false),
        });
        Self {
            source,
            framing,
            left: match framing {
                SentFraming::Length(length) => length,
                _ => u64::MAX,
            },
            waker: Waker::from(Arc::clone(&signal)),
            signal,
        }
    }

    /// Moves content from the source to `output` until that has `window` bytes.
    pub(crate) fn pump(&mut self, output: &mut Output, pool: &mut Pool, window: usize) -> Pumped {
        // Acquire: what the source wrote before it woke us is visible.
        self.signal.posted.swap(false, Ordering::Acquire);
        let mut context = Context::from_waker(&self.waker);
        for _ in 0..POLLS_MAX {
            if output.len() >= window {
                return Pumped::Full;
            }
            match self.source.poll_chunk(&mut context) {
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(bytes))) => {
                    let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                        return Pumped::Broken;
                    };
                    self.left = left;
                    self.append(output, pool, bytes);
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "the source of a response failed");
                    return Pumped::Broken;
                }
                Poll::Ready(None) => {
                    if self.framing == SentFraming::Chunked {
                        output.encode(pool, |out| out.extend_from_slice(LAST_CHUNK));
                    }
                    let whole = !matches!(self.framing, SentFraming::Length(_)) || self.left == 0;
                    return if whole {
                        Pumped::Finished
                    } else {
                        Pumped::Broken
                    };
                }
                Poll::Pending => return Pumped::Waiting,
            }
        }
        self.go_on_later();
        Pumped::Waiting
    }

    /// Lets the worker's other connections have their turn first.
    pub(crate) fn go_on_later(&self) {
        self.signal.wake_by_ref();
    }

    fn append(&self, output: &mut Output, pool: &mut Pool, bytes: Bytes) {
        if self.framing != SentFraming::Chunked {
            output.append(pool, bytes);
            return;
        }
        output.encode(pool, |out| encode_chunk_header(out, bytes.len()));
        output.append(pool, bytes);
        output.encode(pool, |out| out.extend_from_slice(CHUNK_END));
    }
}

/// Pieces asked for at a time. A source of ever so many tiny or empty ones must not hold up the others.
const POLLS_MAX: usize = 1024;

/// Wakes the worker when the source has more; several times before it looks count once.
struct Signal {
    mailbox: Arc<Mailbox>,
    request: RequestKey,
    posted: AtomicBool,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the Acquire in `pump`.
        if !self.posted.swap(true, Ordering::Release) {
            self.mailbox.post(Message::StreamReady(self.request));
        }
    }
}
