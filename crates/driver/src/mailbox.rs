//! What other threads ask of a worker.
//!
//! Answers given later, content that was read, streams that have more, and the control plane's
//! changes all arrive here; many posts before the worker looks cost it one wake-up.
//!
//! The list has no bound of its own because every post is bounded elsewhere: a request is answered
//! once and there are only as many as the queue and the application may hold, an interim response is
//! posted by whoever then waits to answer, a stream, a reader, a task or a connection to another server has
//! at most one wake-up outstanding.
//!
//! A post or wake by the worker itself costs no system call, since its loop is awake then.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tidegate_engine::{PortKey, Snapshot, Unavailable};
use tidegate_httpapi::{
    Body, ConnectionFilter, ConnectionId, FieldBlock, Opening, OutgoingConnection, ResponseHead,
    StreamReset, WorkAtHome,
};
use tidegate_os::{ConnectionKey, Listener, ReceiveOrder, Waker};

use crate::cache::OwnedOrigin;
use crate::listing::Listing;
use crate::outgoing::{Handle, Outgoing};
use crate::pending::OwnedExchange;
use crate::queue::Queue;
use crate::task::Task;

/// Names a request of a connection to its worker. A request that has ended is no longer found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RequestKey {
    pub(crate) connection: ConnectionKey,
    pub(crate) request: u64,
    /// The slot of its HTTP/2 stream; [`NO_STREAM`](Self::NO_STREAM) in HTTP/1.
    pub(crate) slot: u32,
}

impl RequestKey {
    /// In place of a slot: the connection has one request at a time.
    pub(crate) const NO_STREAM: u32 = u32::MAX;
}

/// Names a listener in all workers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ListenerId(pub(crate) u32);

/// One thing asked of a worker.
pub(crate) enum Message {
    /// A deferred request is answered.
    Respond(RequestKey, ResponseHead, Body),
    /// A deferred request is answered, and the answer asks to be stored.
    RespondAndKeep(Box<OwnedOrigin>, RequestKey, ResponseHead, Body),
    /// A deferred request is answered with 101.
    Upgrade(RequestKey, ResponseHead, Opening),
    /// A deferred request sends an interim response.
    Inform(RequestKey, u16, FieldBlock),
    /// A deferred request is given up: its connection, or its HTTP/2 stream, is reset.
    Reset(RequestKey, StreamReset),
    /// A deferred request was dropped unanswered.
    Abandon(RequestKey),
    /// The application has begun to read the content, or has made room for more of it.
    ContentWanted(RequestKey),
    /// The application will not read the rest of the content.
    ContentUnwanted(RequestKey),
    /// The source of a streamed response has more.
    StreamReady(RequestKey),
    /// A task of the application has something to do.
    Run(Arc<Task>),
    /// The user of a connection to another server has done something with it.
    LookAfter(Arc<Outgoing>),
    /// HighPerf: the application has room for this request, which waited in the queue.
    Dispatch(Box<OwnedExchange>),
    /// A request that waited is refused after all.
    Refuse(RequestKey, Unavailable),
    /// Begin to accept.
    Listen {
        id: ListenerId,
        port: PortKey,
        /// The address it is bound to, unless that is a wildcard.
        local: Option<IpAddr>,
        listener: Listener,
    },
    /// Stop accepting there.
    StopListening(ListenerId),
    /// The tables have changed, and perhaps when received bytes are to be handed over.
    Snapshot(Arc<Snapshot<Queue>>, ReceiveOrder),
    /// Let go of the applications: one of them is no more.
    ForgetApplications,
    /// Ask this filter about new connections.
    Filter(Option<Arc<dyn ConnectionFilter>>),
    /// Say which connections there are.
    List(Box<Listing>),
    /// End this connection. Looked for from this place on; says that it was there.
    Disconnect(ConnectionId, usize, Sender<bool>),
    /// Drop this, which tells that the mailbox is looked into.
    Probe(Sender<Infallible>),
    /// Drop what is not in the response cache any more.
    TidyCache,
    /// The queue is closed: its lane ends. The sender is dropped when it has.
    CloseLane(Arc<Queue>, Sender<()>),
    /// Accept no more, finish what is in progress, end by then.
    Stop(Instant),
}

impl Message {
    /// The request it is about, if that came on an HTTP/2 stream and the message is for its worker's
    /// connection.
    pub(crate) fn stream_request(&self) -> Option<RequestKey> {
        match *self {
            Self::Respond(request, ..)
            | Self::Upgrade(request, ..)
            | Self::Inform(request, ..)
            | Self::Reset(request, _)
            | Self::Abandon(request)
            | Self::ContentWanted(request)
            | Self::ContentUnwanted(request)
            | Self::StreamReady(request)
            | Self::Refuse(request, _) => {
                (request.slot != RequestKey::NO_STREAM).then_some(request)
            }
            _ => None,
        }
    }

    /// Nobody will take it any more.
    fn abandon(self) {
        match self {
            Self::Run(task) => task.abandon(),
            Self::LookAfter(outgoing) => outgoing.failed(io::ErrorKind::ConnectionAborted),
            _ => {}
        }
    }
}

/// A worker's mailbox.
pub(crate) struct Mailbox {
    /// Held only to push or to take all. `None` once the worker has ended: what is posted is dropped.
    messages: Mutex<Option<Vec<Message>>>,
    /// A lane of the worker has been woken.
    lanes_woken: AtomicBool,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            messages: Mutex::new(Some(Vec::new())),
            lanes_woken: AtomicBool::new(false),
            waker,
        }
    }

    pub(crate) fn post(&self, message: Message) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *messages {
            Some(waiting) => waiting.push(message),
            None => {
                drop(messages);
                return message.abandon();
            }
        }
        drop(messages);
        self.waker.wake();
    }

    /// The worker has ended.
    pub(crate) fn close(&self) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let left = messages.take();
        drop(messages);
        left.into_iter().flatten().for_each(Message::abandon);
    }

    /// Has the worker look which of its lanes were woken.
    pub(crate) fn wake_lanes(&self) {
        // Release: pairs with the Acquire of who takes it and then looks at the lanes' own signals.
        self.lanes_woken.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether a lane was woken since this was asked last.
    pub(crate) fn take_lanes_woken(&self) -> bool {
        self.lanes_woken.load(Ordering::Relaxed) && self.lanes_woken.swap(false, Ordering::Acquire)
    }

    /// Puts all messages into `taken`, which must be empty, and keeps its memory for the next ones.
    pub(crate) fn take(&self, taken: &mut Vec<Message>) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = &mut *messages {
            std::mem::swap(waiting, taken);
        }
    }
}

impl WorkAtHome for Mailbox {
    fn run(self: Arc<Self>, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        Task::begin(self, work);
    }

    fn adopt(self: Arc<Self>, stream: TcpStream) -> Box<dyn OutgoingConnection> {
        Box::new(Handle::new(self, stream))
    }
}
