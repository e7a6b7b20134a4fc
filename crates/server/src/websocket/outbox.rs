//! What waits to be sent on one connection, and who waits for room in it.

use std::sync::{Arc, Condvar, PoisonError};

use bytes::Bytes;

use super::broadcast::Broadcast;
use super::connection::{Connection, Inner};
use super::inline;
use super::message::{Message, MessageKind, Streaming, WriteError};
use super::post::Command;
use super::send_queue::{Meta, Overflow, Part, Pushed, QueueLimits, SendQueue};
use super::settings::QueueOptions;
use super::totals::Totals;
use crate::event::Sent;

/// Something to be sent.
pub(super) enum Outgoing {
    Message(Message),
    Part(MessageKind, Bytes, Streaming),
    /// One message of many; framed already.
    Broadcast(Arc<Broadcast>),
    /// A whole ping frame.
    Ping(Bytes),
}

/// What waits to be sent. Exists only while something does.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) queue: SendQueue<Outgoing>,
    /// The answer to the last ping; earlier ones need none (RFC 6455 §5.5.3).
    pub(super) pong: Option<Bytes>,
    /// To be closed when the queue is empty.
    pub(super) close: Option<CloseRequest>,
    /// The lane has been told and has not looked yet.
    pub(super) notified: bool,
    /// Asynchronous sends that never will be, of which nobody has been told.
    pub(super) lost: Vec<Sent>,
    /// A part of a streamed message has been taken that is not its last.
    streaming: bool,
    /// Threads that wait for room.
    pub(super) waiting: u32,
    /// Told when there is room, and when the connection has ended.
    pub(super) room: Arc<Condvar>,
}

pub(super) struct CloseRequest {
    pub(super) code: u16,
    pub(super) reason: Box<str>,
}

impl Outgoing {
    /// Its length as counted against limits.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.data.len(),
            Self::Part(_, data, _) | Self::Ping(data) => data.len(),
            Self::Broadcast(broadcast) => broadcast.len(),
        }
    }

    /// Whether a message begins with it.
    pub(super) fn begins_message(&self) -> bool {
        match self {
            Self::Message(_) => true,
            Self::Part(_, _, part) => *part == Streaming::First,
            Self::Broadcast(broadcast) => broadcast.kind().is_some(),
            Self::Ping(_) => false,
        }
    }

    fn part(&self) -> Part {
        match self {
            Self::Part(_, _, Streaming::First) => Part::First,
            Self::Part(_, _, Streaming::Continue) => Part::Continue,
            Self::Part(_, _, Streaming::Last) => Part::Last,
            Self::Message(_) => Part::Whole,
            Self::Broadcast(broadcast) if broadcast.kind().is_some() => Part::Whole,
            Self::Broadcast(_) | Self::Ping(_) => Part::Control,
        }
    }

    fn meta(&self, queue: &QueueOptions) -> Meta {
        let level = |kind| match kind {
            MessageKind::Text => queue.text,
            MessageKind::Binary => queue.binary,
        };
        let (level, key) = match self {
            Self::Message(message) => (level(message.kind), message.key.clone()),
            Self::Part(kind, ..) => (level(*kind), None),
            Self::Broadcast(broadcast) => match broadcast.kind() {
                Some(kind) => (level(kind), broadcast.key.clone()),
                None => (queue.ping, None),
            },
            Self::Ping(_) => (queue.ping, None),
        };
        Meta {
            bytes: self.len(),
            level,
            key,
            part: self.part(),
        }
    }
}

impl Connection {
    /// How many messages wait to be sent, and their bytes; `None` when nothing does.
    pub(super) fn backlog(&self) -> Option<(usize, usize)> {
        if !self.0.backlog.load(std::sync::atomic::Ordering::Relaxed) {
            return None;
        }
        let slot = self.outbox();
        let queue = &slot.as_ref()?.queue;
        (!queue.is_empty()).then(|| (queue.len(), queue.bytes()))
    }

    /// Puts something into the queue, as the connection's options say; waits for room if they say so.
    pub(super) fn enqueue(&self, mut outgoing: Outgoing) -> Result<(), WriteError> {
        let options = self.options();
        let in_own_handler = inline::is_in_handler_of(self.0.id.0);
        let mut slot = self.outbox();
        let is_part = matches!(outgoing, Outgoing::Part(..));
        let waits_for_part = !is_part && slot.as_ref().is_some_and(|outbox| outbox.streaming);
        let limits = match options.queue.overflow {
            // Its handler must not wait, so its peer does: nothing is received until this is sent.
            Overflow::Wait if in_own_handler && !waits_for_part => QueueLimits {
                messages: usize::MAX,
                bytes: usize::MAX,
            },
            _ => options.queue.limits(),
        };
        loop {
            if !self.is_open() {
                return Err(WriteError::Closed);
            }
            let must_not_wait = inline::is_on_lane() || options.asynchronous;
            let outbox = slot.get_or_insert_default();
            let has_broadcasts = self.0.post.has_broadcasts();
            if has_broadcasts && outbox.has_room_or_drops(&outgoing, &limits, &options.queue) {
                outbox.streaming = outbox.is_streaming_after(outgoing.part())?;
                // The lane has to know of an outbox, also of an empty one.
                self.0.set_backlog(true);
                drop(slot);
                return self.0.post.send(self.0.key, outgoing, !must_not_wait);
            }
            let totals = self.shared().websockets().totals();
            outgoing = match outbox.put(outgoing, &limits, &options.queue, totals)? {
                Put::Taken => break,
                Put::Dropped => return Err(WriteError::Full),
                Put::Overflowed => {
                    drop(slot);
                    self.drop_slow_reader();
                    return Err(WriteError::Full);
                }
                Put::Full(outgoing) => outgoing,
            };
            if must_not_wait {
                return Err(WriteError::Full);
            }
            // What waits is sent by its thread, which may not have been told of it.
            self.notify(outbox);
            outbox.waiting += 1;
            let room = Arc::clone(&outbox.room);
            slot = room.wait(slot).unwrap_or_else(PoisonError::into_inner);
            if let Some(outbox) = slot.as_mut() {
                outbox.waiting = outbox.waiting.saturating_sub(1);
            }
        }
        if let Some(outbox) = slot.as_mut() {
            self.0.set_backlog(true);
            if in_own_handler {
                inline::close_direct_way();
            } else {
                self.notify(outbox);
            }
        }
        Ok(())
    }

    /// Tells the lane of the outbox, unless it knows.
    pub(super) fn notify(&self, outbox: &mut Outbox) {
        self.0.set_backlog(true);
        if !outbox.notified {
            outbox.notified = true;
            self.0.post.push(Command::Drain(self.0.key));
        }
    }
}

impl Connection {
    /// The peer takes too little of what it is sent.
    fn drop_slow_reader(&self) {
        self.begin_closing();
        self.0.post.push(Command::DropSlowReader(self.0.key));
    }
}

impl Inner {
    /// Under the outbox's lock.
    pub(super) fn set_backlog(&self, backlog: bool) {
        // Relaxed: a lane that reads an old value may send a broadcast before what another thread has
        // put here meanwhile; nobody can tell which came first. The same thread's order is kept by
        // the lane's inbox, through which goes what comes after a broadcast.
        self.backlog
            .store(backlog, std::sync::atomic::Ordering::Relaxed);
    }
}

/// What became of something put into an outbox.
pub(super) enum Put {
    Taken,
    /// Dropped, since it is the newest.
    Dropped,
    /// The connection is to be ended for it.
    Overflowed,
    /// There is no room, and it has to wait.
    Full(Outgoing),
}

impl Outbox {
    pub(super) fn put(
        &mut self,
        outgoing: Outgoing,
        limits: &QueueLimits,
        options: &QueueOptions,
        totals: &Totals,
    ) -> Result<Put, WriteError> {
        let streaming = self.is_streaming_after(outgoing.part())?;
        let put = self.put_in_sequence(outgoing, limits, options, totals);
        if let Put::Taken | Put::Dropped = put {
            self.streaming = streaming;
        }
        Ok(put)
    }

    /// As [`put`](Self::put), for what is known to be in sequence.
    pub(super) fn put_in_sequence(
        &mut self,
        outgoing: Outgoing,
        limits: &QueueLimits,
        options: &QueueOptions,
        totals: &Totals,
    ) -> Put {
        let meta = outgoing.meta(options);
        match self.queue.push(outgoing, meta, limits, options.overflow) {
            Pushed::Queued => Put::Taken,
            Pushed::Replaced(dropped) => {
                totals.count_coalesced();
                self.lose([dropped]);
                Put::Taken
            }
            Pushed::DroppedOldest(dropped) => {
                totals.count_dropped(dropped.len());
                self.lose(dropped);
                Put::Taken
            }
            // Its sender is told by the error.
            Pushed::DroppedNewest(dropped) => {
                totals.count_dropped(dropped.len());
                Put::Dropped
            }
            Pushed::Full(outgoing) => Put::Full(outgoing),
            Pushed::Overflowed(_) => Put::Overflowed,
        }
    }

    /// Whether a message lacks parts after this, which must be in sequence.
    fn is_streaming_after(&self, part: Part) -> Result<bool, WriteError> {
        match part {
            Part::First if self.streaming => Err(WriteError::OutOfSequence),
            Part::Continue | Part::Last if !self.streaming => Err(WriteError::OutOfSequence),
            Part::First | Part::Continue => Ok(true),
            Part::Last => Ok(false),
            Part::Whole | Part::Control => Ok(self.streaming),
        }
    }

    /// Whether something more can be left to the lane: there is room, or it will drop what is too much.
    fn has_room_or_drops(
        &self,
        outgoing: &Outgoing,
        limits: &QueueLimits,
        options: &QueueOptions,
    ) -> bool {
        let bytes = self.queue.bytes().saturating_add(outgoing.len());
        match options.overflow {
            Overflow::Wait | Overflow::DropNewest => {
                self.queue.is_empty()
                    || (self.queue.len() < limits.messages && bytes <= limits.bytes)
            }
            _ => true,
        }
    }

    /// Drops what has not begun to be sent. Says how many messages that was.
    pub(super) fn clear(&mut self) -> usize {
        let dropped = self.queue.clear();
        let count = dropped.len();
        self.lose(dropped);
        count
    }

    /// Drops what has not begun to be sent: nothing is sent any more.
    pub(super) fn give_up(&mut self) {
        self.clear();
        self.streaming = false;
    }

    /// Notes what is dropped.
    fn lose(&mut self, dropped: impl IntoIterator<Item = Outgoing>) {
        let messages = dropped.into_iter().filter_map(|outgoing| match outgoing {
            Outgoing::Message(message) => Some(message),
            _ => None,
        });
        self.lost.extend(messages.map(|message| Sent {
            context: message.context,
            bytes: message.data.len(),
            is_sent: false,
        }));
    }

    /// All that was never sent.
    pub(super) fn into_lost(mut self) -> Vec<Sent> {
        while let Some((outgoing, _)) = self.queue.pop() {
            self.lose([outgoing]);
        }
        self.clear();
        self.lost
    }

    /// Whether it may be done away with.
    pub(super) fn is_idle(&self) -> bool {
        self.lost.is_empty() && !self.streaming && self.has_nothing_to_send()
    }

    fn has_nothing_to_send(&self) -> bool {
        self.queue.is_idle() && self.pong.is_none() && self.close.is_none() && self.waiting == 0
    }
}

/// RFC 6455 §7.4.1: policy violation. The peer reads too slowly for what it is sent.
pub(super) const SLOW_READER: u16 = 1008;
