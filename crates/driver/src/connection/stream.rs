//! A response whose content comes piece by piece, from a source or from files.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use tidegate_httpapi::BodySource;
use tidegate_os::FileRange;
use tidegate_proto::http1::{CHUNK_END, LAST_CHUNK, SentFraming, encode_chunk_header};

use crate::file_reader::FileReader;
use crate::mailbox::{Mailbox, Message, RequestKey};
use crate::output::{Output, Pool};
use crate::pieces::{Next, Pieces, SENT_MIN};

/// Where a response's content comes from and what is left to say.
pub(crate) struct ResponseStream {
    content: StreamContent,
    framing: SentFraming,
    /// Bytes still to come, when the length is fixed.
    left: u64,
    signal: Arc<Signal>,
    waker: Waker,
}

/// Where it comes from.
pub(crate) enum StreamContent {
    /// The application gives it.
    Source(Box<dyn BodySource>),
    /// It is there. Its length is known.
    Pieces(Box<Pieces>),
}

/// How what is of files goes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Files {
    /// Its bytes are needed: it is read.
    Read,
    /// The loop sends it, so many bytes at a time.
    Send { max: u64 },
    /// The loop sends it, when what it is sending now has been sent.
    SendLater,
}

/// What came of asking a stream for more.
#[derive(Debug)]
pub(crate) enum Pumped {
    /// The window is full: again when it has been sent.
    Full,
    /// The loop is to send what is in the output and then this: again when it has been sent.
    File(FileRange),
    /// The source will say when it has more.
    Waiting,
    /// All content is in the output.
    Finished,
    /// The source failed or did not keep its length: the peer can only be told by an early end.
    Broken,
}

impl ResponseStream {
    pub(crate) fn new(
        content: StreamContent,
        framing: SentFraming,
        mailbox: Arc<Mailbox>,
        request: RequestKey,
    ) -> Self {
        let signal = Signal::new(mailbox, request);
        Self {
            content,
            framing,
            left: match framing {
                SentFraming::Length(length) => length,
                _ => u64::MAX,
            },
            waker: Waker::from(Arc::clone(&signal)),
            signal,
        }
    }

    /// Moves content to `output` until that has `window` bytes.
    pub(crate) fn pump(
        &mut self,
        output: &mut Output,
        pool: &mut Pool,
        window: usize,
        files: Files,
        reader: &FileReader,
    ) -> Pumped {
        self.signal.listen();
        let source = match &mut self.content {
            StreamContent::Source(source) => source,
            StreamContent::Pieces(pieces) => {
                let pumped = pump_pieces(pieces, output, pool, window, files, reader, &self.waker);
                return pumped.unwrap_or_else(|| {
                    self.go_on_later();
                    Pumped::Waiting
                });
            }
        };
        let mut context = Context::from_waker(&self.waker);
        for _ in 0..POLLS_MAX {
            if output.len() >= window {
                return Pumped::Full;
            }
            match source.poll_chunk(&mut context) {
                Poll::Ready(Some(Ok(bytes))) if bytes.is_empty() => {}
                Poll::Ready(Some(Ok(bytes))) => {
                    let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                        return Pumped::Broken;
                    };
                    self.left = left;
                    append(self.framing, output, pool, bytes);
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

    /// Whether the content is for nobody once the peer has ended its side.
    pub(crate) fn ends_with_peer(&self) -> bool {
        matches!(&self.content, StreamContent::Source(source) if source.ends_with_peer())
    }

    /// Lets the worker's other connections have their turn first.
    pub(crate) fn go_on_later(&self) {
        self.signal.wake_by_ref();
    }
}

fn append(framing: SentFraming, output: &mut Output, pool: &mut Pool, bytes: Bytes) {
    if framing != SentFraming::Chunked {
        output.append(pool, bytes);
        return;
    }
    output.encode(pool, |out| encode_chunk_header(out, bytes.len()));
    output.append(pool, bytes);
    output.encode(pool, |out| out.extend_from_slice(CHUNK_END));
}

/// Moves pieces to `output`. `None`: there is more, but others get their turn first.
fn pump_pieces(
    pieces: &mut Pieces,
    output: &mut Output,
    pool: &mut Pool,
    window: usize,
    files: Files,
    reader: &FileReader,
    waker: &Waker,
) -> Option<Pumped> {
    for _ in 0..POLLS_MAX {
        let room = match window.saturating_sub(output.len()) {
            0 => return Some(Pumped::Full),
            room => room,
        };
        let outcome = match pieces.next() {
            Next::End => return Some(Pumped::Finished),
            Next::Waiting => return Some(Pumped::Waiting),
            Next::Bytes => {
                output.append(pool, pieces.take_bytes());
                continue;
            }
            Next::File if files == Files::Read || pieces.file_bytes() < SENT_MIN => {
                pieces.read(output.open_end(pool), room)
            }
            Next::File if files == Files::SendLater => return Some(Pumped::Full),
            Next::File => match pieces.split_window(reader, sent_max(files)) {
                Some(range) => return Some(Pumped::File(range)),
                None => Err(ErrorKind::WouldBlock.into()),
            },
            Next::Broken(error) => Err(error),
        };
        match outcome {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                pieces.read_later(reader, waker);
                // It may have been made ready for what is to be read.
                output.tidy(pool);
                return Some(Pumped::Waiting);
            }
            Err(error) => {
                tracing::debug!(%error, "a file of a response cannot be sent");
                return Some(Pumped::Broken);
            }
        }
    }
    None
}

fn sent_max(files: Files) -> u64 {
    match files {
        Files::Send { max } => max,
        Files::Read | Files::SendLater => u64::MAX,
    }
}

/// Pieces asked for at a time. A source of ever so many tiny or empty ones must not hold up the others.
const POLLS_MAX: usize = 1024;

/// Wakes the worker when the source has more; several times before it looks count once.
pub(crate) struct Signal {
    mailbox: Arc<Mailbox>,
    request: RequestKey,
    posted: AtomicBool,
}

impl Signal {
    pub(crate) fn new(mailbox: Arc<Mailbox>, request: RequestKey) -> Arc<Self> {
        Arc::new(Self {
            mailbox,
            request,
            posted: AtomicBool::new(false),
        })
    }

    /// From now on the worker is woken again.
    pub(crate) fn listen(&self) {
        // Acquire: what the source wrote before it woke us is visible.
        self.posted.swap(false, Ordering::Acquire);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the Acquire in `listen`.
        if !self.posted.swap(true, Ordering::Release) {
            self.mailbox.post(Message::StreamReady(self.request));
        }
    }
}
