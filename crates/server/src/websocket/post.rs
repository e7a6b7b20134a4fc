//! What others leave for a lane: commands, broadcasts.
//!
//! Bounded: a connection has at most one notice of its queue outstanding, and whoever broadcasts faster
//! than lanes can write waits for them, or is told so where waiting is not possible.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tidegate_httpapi::{HandlerThreads, LaneHost, LaneWaker, OpaqueKey};

use super::broadcast::Broadcast;
use super::inline;
use super::message::WriteError;
use super::outbox::{CloseRequest, Outgoing};
use super::settings::WebSocketSettings;
use super::totals::LaneTotals;
use crate::component::Shared;

/// Something asked of a lane.
pub(super) enum Command {
    /// A connection's queue has something to send.
    Drain(OpaqueKey),
    /// A connection is to be dropped, as with this close code.
    Disconnect(OpaqueKey, u16),
    /// A connection is to be dropped, since its peer takes too little of what it is sent.
    DropSlowReader(OpaqueKey),
    /// A connection's handlers have caught up: it may be received from again.
    Resume(OpaqueKey),
    /// A connection's handlers have had all that came before its end.
    CaughtUp(OpaqueKey),
    /// A connection's options have changed.
    Configured(OpaqueKey),
    Subscribe(OpaqueKey, Arc<str>),
    Unsubscribe(OpaqueKey, Arc<str>),
    Broadcast(Arc<Broadcast>, Target),
    /// Something is to be sent on a connection, by who must not overtake broadcasts.
    Send(OpaqueKey, Outgoing),
    /// A connection is to be closed, likewise.
    Close(OpaqueKey, CloseRequest),
}

/// To which of a lane's connections a broadcast goes.
pub(super) enum Target {
    /// All of them.
    All,
    /// The subscribers of a channel.
    Channel(Arc<str>),
    /// The subscribers of channels whose names match.
    Mask(Arc<str>),
    /// These.
    These(Box<[OpaqueKey]>),
}

/// Where things are left for a lane.
pub(super) struct Post {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Arc<WebSocketSettings>,
    pub(super) threads: HandlerThreads,
    /// Whether handlers are called by the lane.
    pub(super) calls_inline: bool,
    /// What the lane's ticks are counted from.
    pub(super) epoch: Instant,
    /// What the lane counts.
    pub(super) totals: Arc<LaneTotals>,
    waker: LaneWaker,
    /// Broadcasts that the lane has not dealt with, and what came behind them.
    pending: AtomicUsize,
    /// Held only to push or to take all.
    inbox: Mutex<Inbox>,
    /// Told when broadcasts have been taken.
    taken: Condvar,
}

#[derive(Default)]
struct Inbox {
    commands: Vec<Command>,
    broadcasts: usize,
    broadcast_bytes: usize,
    /// The lane is no more.
    closed: bool,
}

impl Inbox {
    /// Whether a broadcast may be left. One that is closed takes none, and nobody waits for it.
    fn has_room(&self) -> bool {
        self.closed
            || (self.broadcasts < BROADCASTS_MAX && self.broadcast_bytes < BROADCAST_BYTES_MAX)
    }
}

impl Post {
    pub(super) fn new(
        shared: Arc<Shared>,
        settings: Arc<WebSocketSettings>,
        host: LaneHost,
    ) -> Arc<Self> {
        let totals = shared.websockets().totals().begin();
        Arc::new(Self {
            totals,
            shared,
            settings,
            threads: host.threads,
            calls_inline: host.may_call_inline,
            epoch: Instant::now(),
            waker: host.waker,
            pending: AtomicUsize::new(0),
            inbox: Mutex::default(),
            taken: Condvar::new(),
        })
    }

    /// Milliseconds since the lane began.
    #[inline]
    pub(super) fn milliseconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }

    /// Seconds since the lane began, plus one, so that 0 stands for never.
    pub(super) fn seconds(&self, now: Instant) -> u32 {
        let seconds = now.saturating_duration_since(self.epoch).as_secs();
        u32::try_from(seconds).map_or(u32::MAX, |seconds| seconds.saturating_add(1))
    }

    /// When that was; `None` for 0.
    pub(super) fn time_of_seconds(&self, seconds: u32) -> Option<SystemTime> {
        let since = Duration::from_secs(seconds.checked_sub(1)?.into());
        let passed = self.epoch.elapsed().saturating_sub(since);
        Some(SystemTime::now() - passed)
    }

    /// When that many milliseconds since the lane began, of which only the low half is known, were last.
    pub(super) fn time_of(&self, milliseconds: u32) -> SystemTime {
        let since = (self.milliseconds(Instant::now()) as u32).wrapping_sub(milliseconds);
        SystemTime::now() - Duration::from_millis(since.into())
    }

    /// Leaves a command. There are no more of these than connections and calls of their methods.
    pub(super) fn push(&self, command: Command) {
        let mut inbox = self.lock();
        if inbox.closed {
            return;
        }
        inbox.commands.push(command);
        drop(inbox);
        self.waker.wake();
    }

    /// Leaves a broadcast, and waits for room if there is none.
    pub(super) fn broadcast(
        &self,
        broadcast: &Arc<Broadcast>,
        target: Target,
    ) -> Result<(), WriteError> {
        let inbox = self.lock_with_room()?;
        let command = Command::Broadcast(Arc::clone(broadcast), target);
        self.put(inbox, broadcast.len(), command)
    }

    /// Leaves a broadcast, whether there is room or not.
    pub(super) fn broadcast_at_once(
        &self,
        broadcast: &Arc<Broadcast>,
        target: Target,
    ) -> Result<(), WriteError> {
        let command = Command::Broadcast(Arc::clone(broadcast), target);
        self.put(self.lock(), broadcast.len(), command)
    }

    /// Whether broadcasts wait, or what came behind them. What a thread sends then has to go the same
    /// way, for it may be that thread's broadcast.
    #[inline]
    pub(super) fn has_broadcasts(&self) -> bool {
        // Acquire: what the lane has done with them is done.
        self.pending.load(Ordering::Acquire) > 0
    }

    /// Leaves something to be sent on a connection, behind the broadcasts. Waits for room if it may.
    pub(super) fn send(
        &self,
        key: OpaqueKey,
        outgoing: Outgoing,
        may_wait: bool,
    ) -> Result<(), WriteError> {
        let inbox = match may_wait {
            true => self.lock_with_room()?,
            false => self.lock(),
        };
        self.put(inbox, outgoing.len(), Command::Send(key, outgoing))
    }

    /// Leaves word that a connection is to be closed, behind the broadcasts.
    pub(super) fn close_connection(&self, key: OpaqueKey, request: CloseRequest) {
        // A lane that is no more has closed all.
        let _ = self.put(self.lock(), 0, Command::Close(key, request));
    }

    /// The lane has dealt with a broadcast, or with what came behind one.
    pub(super) fn dealt_with_one(&self) {
        self.pending.fetch_sub(1, Ordering::Release);
    }

    /// Whether there is room for a broadcast.
    pub(super) fn has_room(&self) -> bool {
        self.lock().has_room()
    }

    /// Waits until there is. Not for handlers that must not wait: for them it returns at once.
    pub(super) fn wait_for_room(&self) {
        drop(self.lock_with_room());
    }

    fn lock_with_room(&self) -> Result<MutexGuard<'_, Inbox>, WriteError> {
        let mut inbox = self.lock();
        while !inbox.has_room() {
            if inline::is_on_lane() {
                return Err(WriteError::Full);
            }
            inbox = self
                .taken
                .wait(inbox)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(inbox)
    }

    fn put(
        &self,
        mut inbox: MutexGuard<'_, Inbox>,
        bytes: usize,
        command: Command,
    ) -> Result<(), WriteError> {
        if inbox.closed {
            return Err(WriteError::Closed);
        }
        inbox.broadcasts += 1;
        inbox.broadcast_bytes += bytes;
        inbox.commands.push(command);
        self.pending.fetch_add(1, Ordering::Relaxed);
        drop(inbox);
        // What the handler that is being called sends next comes behind.
        inline::close_direct_way();
        self.waker.wake();
        Ok(())
    }

    /// Puts all commands into `commands`, which must be empty, and keeps its memory for the next.
    pub(super) fn take(&self, commands: &mut Vec<Command>) {
        let mut inbox = self.lock();
        mem::swap(&mut inbox.commands, commands);
        inbox.broadcast_bytes = 0;
        if mem::take(&mut inbox.broadcasts) > 0 {
            self.taken.notify_all();
        }
    }

    /// The lane is no more: nothing is taken any longer.
    pub(super) fn close(&self) {
        let mut inbox = self.lock();
        inbox.closed = true;
        inbox.commands = Vec::new();
        self.taken.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Post").finish_non_exhaustive()
    }
}

/// Broadcasts that wait for one lane.
const BROADCASTS_MAX: usize = 4096;
/// Their bytes.
const BROADCAST_BYTES_MAX: usize = 64 * 1024 * 1024;
