//! One connection over server-sent events, as a backend's upgraded connection: the lane writes frames, which
//! become events.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_httpapi::{ConnectionId, OpaqueConnection, OpaqueKey, PeerAddress};

use super::events::{COMMENT, Closes, EventWriter};
use super::post::Post;
use super::session::Session;
use super::stream::EventQueue;
use crate::component::Shared;
use crate::websocket::handshake::Opened;

/// A connection that opens.
pub(super) struct Arrival {
    pub(super) opened: Opened,
    pub(super) peer: PeerAddress,
    pub(super) local: PeerAddress,
    pub(super) session: Arc<Session>,
    pub(super) queue: Arc<EventQueue>,
}

/// A connection.
pub(super) struct Carried {
    pub(super) session: Arc<Session>,
    pub(super) queue: Arc<EventQueue>,
    id: ConnectionId,
    peer: PeerAddress,
    local: PeerAddress,
    /// Frames that are not events yet.
    output: Vec<u8>,
    writer: EventWriter,
    /// What the client has said and the lane has yet to take.
    pub(super) post: Option<Box<Post>>,
    pub(super) is_paused: bool,
    /// The lane wants to be told that all has been taken.
    pub(super) notifies: bool,
    /// The lane has sent a close frame, to which the client has said nothing.
    pub(super) closes: Option<Closes>,
    pub(super) phase: Phase,
    /// When the lane is to be called.
    pub(super) due: Option<Instant>,
    /// When something was last sent.
    sent_at: Instant,
    /// For when the thread has set its timer.
    pub(super) wakes_at: Option<Instant>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Open,
    /// It ends behind what is there.
    Ends,
    /// It is broken off.
    Resets,
}

impl Carried {
    pub(super) fn new(arrival: Arrival, shared: &Arc<Shared>, now: Instant) -> (Self, Opened) {
        let carried = Self {
            session: arrival.session,
            queue: arrival.queue,
            id: arrival.opened.id,
            peer: arrival.peer,
            local: arrival.local,
            output: Vec::new(),
            writer: EventWriter::new(Arc::clone(shared)),
            post: None,
            is_paused: false,
            notifies: false,
            closes: None,
            phase: Phase::Open,
            due: None,
            sent_at: now,
            wakes_at: None,
        };
        (carried, arrival.opened)
    }

    pub(super) fn io(&mut self, now: Instant) -> Io<'_> {
        Io { carried: self, now }
    }

    /// Makes events of what the lane has written.
    pub(super) fn write_events(&mut self, now: Instant) {
        if self.output.is_empty() {
            return;
        }
        let counted = self.output.len();
        let mut events = Vec::with_capacity(counted + EVENT_BYTES);
        match self.writer.write(&self.output, &mut events) {
            Ok(closes) => self.closes = self.closes.or(closes),
            Err(_) => {
                tracing::warn!("the memory budget is spent: a message in parts cannot be sent");
                self.phase = Phase::Resets;
            }
        }
        match self.output.capacity() > OUTPUT_KEPT {
            true => self.output = Vec::new(),
            false => self.output.clear(),
        }
        match events.is_empty() {
            true => self.queue.count(counted),
            false => self.queue.push(events.into(), counted),
        }
        self.sent_at = now;
    }

    /// Sends a comment when nothing was sent for so long. A peer that has not taken what there is needs none.
    pub(super) fn keep_up(&mut self, heartbeat: Duration, now: Instant) {
        if !heartbeat.is_zero() && now >= self.sent_at + heartbeat {
            self.sent_at = now;
            if self.queue.is_empty() {
                self.queue.push(Bytes::from_static(COMMENT), 0);
            }
        }
    }

    /// When it has to be looked at.
    pub(super) fn next_time(&self, heartbeat: Duration) -> Option<Instant> {
        let comment = (!heartbeat.is_zero()).then(|| self.sent_at + heartbeat);
        self.due.into_iter().chain(comment).min()
    }

    /// Whether the time has come that the lane has set.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
        }
        is_due
    }

    pub(super) fn take_notifies(&mut self) -> bool {
        mem::take(&mut self.notifies)
    }
}

/// However it ends, the driver does not wait for more.
impl Drop for Carried {
    fn drop(&mut self) {
        match self.phase {
            Phase::Ends => self.queue.finish(),
            Phase::Open | Phase::Resets => self.queue.abort(),
        }
    }
}

/// The connection, as the lane has it for the length of a call.
pub(super) struct Io<'a> {
    carried: &'a mut Carried,
    now: Instant,
}

impl OpaqueConnection for Io<'_> {
    fn key(&self) -> OpaqueKey {
        self.carried.session.key
    }

    fn id(&self) -> ConnectionId {
        self.carried.id
    }

    fn peer(&self) -> PeerAddress {
        self.carried.peer.clone()
    }

    fn local(&self) -> PeerAddress {
        self.carried.local.clone()
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.carried.output
    }

    fn append(&mut self, bytes: Bytes) {
        self.carried.output.extend_from_slice(&bytes);
    }

    fn unsent(&self) -> usize {
        self.carried.output.len() + self.carried.queue.unsent()
    }

    fn bytes_sent(&self) -> u64 {
        self.carried.queue.taken()
    }

    fn notify_sent(&mut self) {
        self.carried.notifies = true;
    }

    fn pause_receive(&mut self) {
        self.carried.is_paused = true;
    }

    fn resume_receive(&mut self) {
        self.carried.is_paused = false;
    }

    fn set_due(&mut self, after: Option<Duration>) {
        // A time that has come already is as good a little later, and does not keep the thread busy.
        self.carried.due = after.and_then(|after| self.now.checked_add(after.max(TICK)));
    }

    fn end(&mut self) {
        if self.carried.phase == Phase::Open {
            self.carried.phase = Phase::Ends;
        }
    }

    fn reset(&mut self) {
        self.carried.phase = Phase::Resets;
    }
}

/// How exact timers are; a lane can do with a tenth of a second.
const TICK: Duration = Duration::from_millis(16);
/// About what an event has besides its data.
const EVENT_BYTES: usize = 32;
/// Larger memory for frames is not kept.
const OUTPUT_KEPT: usize = 16 * 1024;
