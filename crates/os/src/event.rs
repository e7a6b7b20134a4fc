//! The contract of the event loops: what an owner of connections asks for, and what it is told.
//!
//! Both loops ([`UringLoop`](crate::UringLoop), [`PollLoop`](crate::PollLoop)) keep it, and
//! `tests/contract.rs` runs over both. The shape is that of completions: an operation is started,
//! and an event says later that it is done. An owner never asks whether a socket is ready.
//!
//! A loop belongs to one thread: make it on the thread that calls [`EventLoop::turn`]. Only a
//! [`Waker`] may be used elsewhere.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;

use crate::error::SystemError;
use crate::file::FileRange;
use crate::key::{ConnectionKey, ListenerKey};
use crate::socket::Listener;
use crate::waker::Waker;

/// What one turn hands over. The only input of the connections' owner.
///
/// Events of one connection come in the order in which things happened on it: `Accepted` first,
/// bytes in the order sent, `PeerClosed` or `Failed` after the last bytes. `Sent` is ordered with
/// the other sends only. After [`Operations::close`] or [`Operations::reset`] none comes.
#[derive(Debug)]
pub enum Event<'a> {
    /// A connection was accepted and is being received from.
    Accepted {
        /// The listener it came to.
        listener: ListenerKey,
        /// Its name from now on.
        connection: ConnectionKey,
    },
    /// No connection could be accepted: out of descriptors (`EMFILE`, `ENFILE`) or of memory.
    ///
    /// The loop accepts again by itself after [`ACCEPT_PAUSE`] or as soon as a connection closes,
    /// so there is nothing to do but to tell somebody, or to close idle connections.
    AcceptFailed {
        /// The listener concerned.
        listener: ListenerKey,
        /// Why.
        error: SystemError,
    },
    /// Bytes arrived. Never empty.
    Received {
        /// Whose.
        connection: ConnectionKey,
        /// Valid for this call only; may be changed in place.
        bytes: &'a mut [u8],
        /// How many `Received` events were handed over before this one in the same turn.
        position: u32,
    },
    /// The peer sent its FIN: nothing more will be received. Sending may still work.
    ///
    /// Comes at most once, and not while receiving is paused.
    PeerClosed {
        /// Whose peer.
        connection: ConnectionKey,
    },
    /// Receiving failed (reset by the peer, timed out): the owner should close the connection.
    ///
    /// Comes at most once, nothing is received after it. A send in progress still ends with its
    /// `Sent`.
    Failed {
        /// Which connection.
        connection: ConnectionKey,
        /// Why.
        error: SystemError,
    },
    /// A send that was pending has ended: the whole buffer, and the file that followed it, was given
    /// to the system, or sending failed.
    Sent {
        /// Which connection.
        connection: ConnectionKey,
        /// The buffer, as it was given to [`Operations::send`] or
        /// [`send_file`](Operations::send_file), to be reused.
        buffer: SendBuffer,
        /// Whether all of it was given to the system.
        result: Result<(), SystemError>,
    },
    /// [`Waker::wake`] was called since the last `Woken`, once or many times.
    ///
    /// The last event of a turn. Whatever was published before the call to `wake` is visible now. What
    /// the handler of it wakes the loop for is handed over in the same turn, a few times.
    Woken,
}

/// Takes the events of a turn.
///
/// `handle` must not unwind: a loop whose handler did has lost the buffer it was handing over.
pub trait Handler<O> {
    /// Called once for each event, with the loop's operations at hand.
    fn handle(&mut self, operations: &mut O, event: Event<'_>);
}

impl<O, F: FnMut(&mut O, Event<'_>)> Handler<O> for F {
    #[inline]
    fn handle(&mut self, operations: &mut O, event: Event<'_>) {
        self(operations, event);
    }
}

/// When bytes received are handed over within a turn.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ReceiveOrder {
    /// In the order of the completions.
    #[default]
    AsTaken,
    /// After every other event that was taken in the same batch.
    AfterOthers,
}

/// How a loop is set up.
#[derive(Clone, Debug)]
pub struct LoopSettings {
    /// Size of a receive buffer in bytes: the most one `Received` carries.
    ///
    /// Default 16,384, range 512 to 1 MiB; a value outside is brought to the nearest bound.
    pub receive_buffer_bytes: u32,
    /// Receive buffers in the pool at the start. An untouched buffer costs address space only.
    ///
    /// Used by `uring` alone (`poll` has one). Default 32: as many as Linux fills of one connection before it
    /// looks at the next.
    pub receive_buffers: u16,
    /// Receive buffers the pool may grow to when many connections have bytes and there is no buffer for
    /// them: an eighth as many as there are buffers. Else, and at the limit, the bytes wait in the kernel
    /// until a buffer comes back.
    ///
    /// Rounded up to a power of two. Default 2,048, range `receive_buffers` to 32,768.
    pub receive_buffers_max: u16,
    /// When received bytes are handed over. Default [`ReceiveOrder::AsTaken`].
    pub receive_order: ReceiveOrder,
    /// The most completions taken in one turn; the rest is left for the next. Default 1,024.
    pub completions_max: u32,
    /// Places in the submission queue of `uring`. When it is full, it is submitted early.
    ///
    /// Rounded up to a power of two. Default 512.
    pub submission_entries: u32,
}

impl Default for LoopSettings {
    fn default() -> Self {
        Self {
            receive_buffer_bytes: 16_384,
            receive_buffers: 32,
            receive_buffers_max: 2_048,
            receive_order: ReceiveOrder::AsTaken,
            completions_max: 1_024,
            submission_entries: 512,
        }
    }
}

/// A loop that owns listeners and connections and tells a [`Handler`] what happens to them.
///
/// Dropping it closes every connection and listener.
pub trait EventLoop: Sized {
    /// What the owner asks of the loop, also while it is being handed an event.
    type Operations: Operations;

    /// Makes a loop. It belongs to the calling thread.
    ///
    /// # Errors
    ///
    /// The system refuses the loop: see [`uring_available`](crate::uring_available), or it is out
    /// of descriptors or memory.
    fn new(settings: &LoopSettings) -> Result<Self, SystemError>;

    /// The operations, between turns.
    fn operations(&mut self) -> &mut Self::Operations;

    /// Changes when received bytes are handed over, from the next turn on.
    fn set_receive_order(&mut self, order: ReceiveOrder);

    /// Gives the system all that was asked for, waits until there is an event, and hands over
    /// what there is.
    ///
    /// Waits at most `timeout` (`None`: as long as it takes), and not at all while there are
    /// events not handed over yet. May come back early with nothing. Returns the number of events
    /// handed over.
    ///
    /// # Errors
    ///
    /// The loop itself failed; no error of a connection or listener comes this way.
    fn turn(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut impl Handler<Self::Operations>,
    ) -> Result<usize, SystemError>;
}

/// What the owner of connections asks of a loop.
///
/// A key of a connection that has been closed is allowed everywhere and does nothing.
pub trait Operations {
    /// Begins to accept connections.
    ///
    /// # Errors
    ///
    /// The system refuses to watch the socket. The listener is closed then.
    fn listen(&mut self, listener: Listener) -> Result<ListenerKey, SystemError>;

    /// Stops accepting, and closes the listener.
    ///
    /// Connections already in its accept queue are still accepted and handed over, in one of the
    /// next turns and before the socket closes, so that a graceful stop loses nobody. Not so if
    /// the socket is shared ([`Listener::try_clone`]): others go on accepting from the queue.
    fn stop_listening(&mut self, key: ListenerKey);

    /// The number of listeners not closed yet, those that are being stopped included.
    fn listener_count(&self) -> usize;

    /// Takes in a connection that was made elsewhere, which from now on is like one that was accepted: it is
    /// received from, and its events come.
    ///
    /// # Errors
    ///
    /// The system refuses to watch the socket. It is closed then.
    fn adopt(&mut self, stream: TcpStream) -> Result<ConnectionKey, SystemError>;

    /// Stops receiving. Bytes already on their way may still be handed over; afterwards none, nor
    /// `PeerClosed` nor `Failed`, until receiving is resumed. Nothing is lost.
    fn pause_receive(&mut self, connection: ConnectionKey);

    /// Receives again.
    fn resume_receive(&mut self, connection: ConnectionKey);

    /// Sends the whole buffer: its head, then its tail.
    ///
    /// `Some`: the loop is done with the buffer and no [`Event::Sent`] follows; either all was
    /// given to the system at once, or the buffer was empty, or the key is of a closed connection.
    /// `None`: exactly one `Sent` follows, unless the connection is closed first.
    ///
    /// One send at a time for each connection: the owner joins what it has meanwhile and sends it
    /// when this one is done.
    ///
    /// # Panics
    ///
    /// If a send of this connection is pending.
    #[must_use = "a buffer that comes back can be reused"]
    fn send(&mut self, connection: ConnectionKey, buffer: SendBuffer) -> Option<SendBuffer>;

    /// Sends the whole buffer, then a part of a file, as one send: head and content share segments.
    ///
    /// Some of it is sent in each turn, so that no large file keeps other connections waiting. The
    /// file is not copied where the system can help it. If it is not in memory, the loop waits for
    /// the disk: [`is_in_memory`](crate::is_in_memory) tells before.
    ///
    /// As with [`send`](Self::send), but it is never done at once: exactly one [`Event::Sent`]
    /// follows, unless the connection is closed first. `Some`: the key is of a closed connection.
    /// The file is let go before that. A file that ends before its part does is an error of this
    /// send, after what there was has been sent: see
    /// [`SystemError::is_of_file`](crate::SystemError::is_of_file).
    ///
    /// # Panics
    ///
    /// If a send of this connection is pending.
    #[must_use = "a buffer that comes back can be reused"]
    fn send_file(
        &mut self,
        connection: ConnectionKey,
        buffer: SendBuffer,
        range: FileRange,
    ) -> Option<SendBuffer>;

    /// Bytes given to the system for this connection so far, within a pending send too.
    fn bytes_sent(&self, connection: ConnectionKey) -> u64;

    /// Bytes of these that the peer's system has acknowledged, where ours tells of that; else all of them.
    ///
    /// The system takes megabytes for a peer at once, and then nothing before the peer has taken a good part of them:
    /// whoever judges the peer by what is given to the system sees one that stands still.
    fn bytes_taken(&self, connection: ConnectionKey) -> u64;

    /// Bytes of a pending send that have not been given to the system yet.
    fn unsent(&self, connection: ConnectionKey) -> usize;

    /// Sends a FIN after all that was given to [`send`](Self::send). Nothing may be sent after it.
    fn shutdown_send(&mut self, connection: ConnectionKey);

    /// Closes. The system still delivers what was given to it already; of a pending send the rest
    /// is dropped. No event comes for this key after it.
    ///
    /// Bytes that arrived and were not received make the system send a reset, which may destroy
    /// what the peer has not read yet: to end politely, call [`shutdown_send`](Self::shutdown_send)
    /// and wait for `PeerClosed`.
    fn close(&mut self, connection: ConnectionKey);

    /// Closes with a reset: what is not delivered yet is dropped and the peer sees an error.
    fn reset(&mut self, connection: ConnectionKey);

    /// Who is at the other end, asked of the system. `None` if it is not known (any more).
    fn peer_address(&self, connection: ConnectionKey) -> Option<EndpointAddress>;

    /// The address the peer connected to, asked of the system.
    fn local_address(&self, connection: ConnectionKey) -> Option<EndpointAddress>;

    /// The number of connections accepted or adopted, and not closed.
    fn connection_count(&self) -> usize;

    /// A handle with which other threads end the wait of this loop.
    fn waker(&self) -> Waker;
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EndpointAddress {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A Unix domain socket. Its clients have no names.
    Unix,
}

/// Bytes to be sent: one piece that the owner builds, then any number of shared ones.
///
/// The loop owns it while the send is pending and gives it back unchanged. With an empty tail the
/// cheapest system call is used.
#[derive(Clone, Debug, Default)]
pub struct SendBuffer {
    /// Sent first.
    pub head: Vec<u8>,
    /// Sent after the head, in order. Empty pieces are allowed.
    pub tail: Vec<Bytes>,
}

impl SendBuffer {
    /// The number of bytes in it.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether there is nothing to send.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.iter().all(Bytes::is_empty)
    }

    /// Takes all bytes out and keeps the memory of head and tail.
    #[inline]
    pub fn clear(&mut self) {
        self.head.clear();
        self.tail.clear();
    }
}

impl From<Vec<u8>> for SendBuffer {
    #[inline]
    fn from(head: Vec<u8>) -> Self {
        Self {
            head,
            tail: Vec::new(),
        }
    }
}

/// How long a listener pauses after [`Event::AcceptFailed`] if no connection closes meanwhile.
///
/// Long enough that a loop without descriptors does not spin, short enough that a client that
/// waits in the accept queue hardly notices.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// `Woken` events in one turn: work that leads to more work need not wait for the next, but all others
/// are not to wait for it either.
pub(crate) const WOKEN_MAX: usize = 4;

/// Bounds of [`LoopSettings::receive_buffer_bytes`].
pub(crate) const RECEIVE_BUFFER_BYTES: std::ops::RangeInclusive<u32> = 512..=1 << 20;
