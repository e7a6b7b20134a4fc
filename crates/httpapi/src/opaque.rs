//! Opaque mode: what a connection carries after `101 Switching Protocols`, and who speaks it.
//!
//! An application answers a request with 101 through [`Exchange::upgrade`](crate::Exchange::upgrade).
//! From then on the connection's bytes are its own matter, both ways: the backend passes them to the
//! application's [`OpaqueLane`] and sends what that gives. There is one lane for each thread of the
//! backend (and each request queue) that has upgraded connections, so a lane is plain state without
//! locks. Others reach it by leaving word in a place of their own and calling [`LaneWaker::wake`].
//!
//! Source: http-server-api §11, cases T08 to T10.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::application::PeerAddress;
use crate::request::ConnectionId;

/// Names an upgraded connection to its lane. Never used twice for one lane at the same time; the
/// generation tells a place's occupants apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct OpaqueKey {
    /// A small number, good as an index: places are used again.
    pub index: u32,
    /// Another one for each occupant of the place.
    pub generation: u32,
}

/// What an application gives with its 101 and its lane gets back when the connection opens.
pub type Opening = Box<dyn Any + Send>;

/// The application's side: speaks for all connections upgraded on one thread of the backend.
///
/// Calls come one at a time, mostly on that thread, and must not block. For each connection `opened`
/// is first and `closed` last, exactly once each.
pub trait OpaqueLane: Send {
    /// The 101 has been put into the connection's output.
    fn opened(&mut self, connection: &mut dyn OpaqueConnection, opening: Opening);

    /// Bytes arrived; they may be changed in place and are gone afterwards.
    fn received(&mut self, connection: &mut dyn OpaqueConnection, bytes: &mut [u8]);

    /// The peer will send no more. Sending may still work.
    fn peer_ended(&mut self, connection: &mut dyn OpaqueConnection);

    /// All that was given has been taken by the system, and
    /// [`notify_sent`](OpaqueConnection::notify_sent) had asked to be told.
    fn sent(&mut self, connection: &mut dyn OpaqueConnection);

    /// The time given to [`set_due`](OpaqueConnection::set_due) has come.
    fn due(&mut self, connection: &mut dyn OpaqueConnection);

    /// The connection is no more.
    fn closed(&mut self, key: OpaqueKey, end: OpaqueEnd);

    /// [`LaneWaker::wake`] was called since the last time, once or many times.
    fn woken(&mut self, connections: &mut dyn OpaqueConnections);

    /// The backend stops, or the request queue is closed: every connection is to say its goodbye and
    /// end. What has not ended by the backend's deadline is reset.
    fn stop(&mut self, connections: &mut dyn OpaqueConnections);
}

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OpaqueEnd {
    /// The lane ended it, by [`end`](OpaqueConnection::end) or [`reset`](OpaqueConnection::reset).
    Ended,
    /// The peer or the network broke it off.
    Failed,
    /// The backend's deadline for stopping has passed.
    Stopped,
    /// The backend could not go on with it: a defect, which its log tells of.
    Internal,
}

/// The backend's side of one upgraded connection, for the length of a call.
///
/// What is put into its output goes out together when the call has returned.
pub trait OpaqueConnection {
    /// Its name.
    fn key(&self) -> OpaqueKey;

    /// The connection, as in its requests.
    fn id(&self) -> ConnectionId;

    /// The address of the peer.
    fn peer(&self) -> PeerAddress;

    /// The local address of the connection.
    fn local(&self) -> PeerAddress;

    /// The time, as read when the thread last woke.
    fn now(&self) -> Instant;

    /// Where bytes to be sent are appended. What is there already stays as it is.
    fn output(&mut self) -> &mut Vec<u8>;

    /// Appends bytes that may be shared with others; long ones are not copied.
    fn append(&mut self, bytes: Bytes);

    /// Bytes given and not yet taken by the system.
    fn unsent(&self) -> usize;

    /// Bytes taken by the system since the connection was accepted: whether the peer is taking any.
    fn bytes_sent(&self) -> u64;

    /// Whether it is the backend that holds back what is to be sent, for a limit on bandwidth: the peer is not
    /// slow then.
    fn is_held_back(&self) -> bool {
        false
    }

    /// Whether it is the backend that does not receive for now, for a limit on bandwidth: what the peer may have
    /// sent is not known then.
    fn is_receive_held_back(&self) -> bool {
        false
    }

    /// Calls [`OpaqueLane::sent`] once, when nothing is unsent. Not at once: if nothing is unsent when
    /// the present call returns, it is made then.
    fn notify_sent(&mut self);

    /// Receives no more until resumed. Bytes on their way may still be handed over.
    fn pause_receive(&mut self);

    /// Receives again.
    fn resume_receive(&mut self);

    /// Calls [`OpaqueLane::due`] after this time, a tenth of a second early or late, in place of what
    /// was set before; `None`: not at all. None of the driver's own timers runs on the connection.
    fn set_due(&mut self, after: Option<Duration>);

    /// Ends it when all output has been sent: our side first, then, after a short while for the peer's,
    /// wholly. Nothing more is handed over but `closed`.
    ///
    /// What is still unsent may take as long as the last response of a connection: the backend's own
    /// timers look after it again.
    fn end(&mut self);

    /// Ends it at once, with a reset. Unsent output is dropped.
    fn reset(&mut self);
}

/// All connections of a lane, while it is called for no particular one.
///
/// What is put into outputs goes out when the call has returned, so that what several messages have
/// for one connection is sent together.
pub trait OpaqueConnections {
    /// Does something with a connection. False, without doing it, if that has ended, or if it was told
    /// to [end](OpaqueConnection::end).
    fn with(&mut self, key: OpaqueKey, act: &mut dyn FnMut(&mut dyn OpaqueConnection)) -> bool;
}

/// What a lane is given when it is opened.
#[derive(Clone, Debug)]
pub struct LaneHost {
    /// Wakes the lane.
    pub waker: LaneWaker,
    /// Where its application's handlers may block.
    pub threads: HandlerThreads,
    /// Whether handlers are to be called on handler threads (Classic) or by the lane (HighPerf).
    pub may_call_inline: bool,
}

/// What a backend does for a [`LaneWaker`].
pub trait WakeLane: Send + Sync {
    /// Has [`OpaqueLane::woken`] called soon.
    fn wake(&self);
}

/// Has a lane look at what others left for it. From any thread, the lane's own included.
#[derive(Clone)]
pub struct LaneWaker(Arc<dyn WakeLane>);

impl LaneWaker {
    /// A waker over what a backend holds.
    pub fn new(backend: Arc<dyn WakeLane>) -> Self {
        Self(backend)
    }

    /// Has [`OpaqueLane::woken`] called soon. Calls before that happens count once.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl fmt::Debug for LaneWaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LaneWaker").finish_non_exhaustive()
    }
}

/// What a backend does for [`HandlerThreads`].
pub trait RunOnHandlerThread: Send + Sync {
    /// Runs `job` on a handler thread, when one is free.
    fn run(&self, job: Box<dyn FnOnce() + Send>);
}

/// The request queue's handler threads, for work that may block.
#[derive(Clone)]
pub struct HandlerThreads(Arc<dyn RunOnHandlerThread>);

impl HandlerThreads {
    /// Threads that a backend holds.
    pub fn new(backend: Arc<dyn RunOnHandlerThread>) -> Self {
        Self(backend)
    }

    /// Runs `job` on a handler thread, when one is free; jobs and requests get their turns alternately.
    ///
    /// After the queue has closed it is dropped instead.
    pub fn run(&self, job: Box<dyn FnOnce() + Send>) {
        self.0.run(job);
    }
}

impl fmt::Debug for HandlerThreads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HandlerThreads")
            .finish_non_exhaustive()
    }
}

/// The lane of an application that never upgrades.
pub(crate) struct NoLane;

impl OpaqueLane for NoLane {
    fn opened(&mut self, connection: &mut dyn OpaqueConnection, _: Opening) {
        connection.reset();
    }

    fn received(&mut self, _: &mut dyn OpaqueConnection, _: &mut [u8]) {}

    fn peer_ended(&mut self, _: &mut dyn OpaqueConnection) {}

    fn sent(&mut self, _: &mut dyn OpaqueConnection) {}

    fn due(&mut self, _: &mut dyn OpaqueConnection) {}

    fn closed(&mut self, _: OpaqueKey, _: OpaqueEnd) {}

    fn woken(&mut self, _: &mut dyn OpaqueConnections) {}

    fn stop(&mut self, _: &mut dyn OpaqueConnections) {}
}
