//! The streams of a connection, and the states they are in. Source: RFC 9113 §5.1.
//!
//! A stream has a slot from its request until it is released. Of others little is remembered, see
//! [`Closed`].

use std::collections::VecDeque;

use super::event::StreamKey;
use super::flow::{ReceiveWindow, SendWindow};
use super::priority::{Place, Priority};

/// One stream, from its request until it is released.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    /// 0 in a free slot.
    pub(super) id: u32,
    /// The next slot of the same bucket, or the next free slot.
    next: u32,
    pub(super) send: SendWindow,
    pub(super) receive: ReceiveWindow,
    /// What may still come of the content; [`ANY_LENGTH`] if that was not said.
    pub(super) content_left: u64,
    /// Its place among those that want to send.
    pub(super) place: Place,
    pub(super) priority: Priority,
    /// Whether it wants to send and its window is closed.
    pub(super) waits: bool,
    /// Whether the peer has ended its side.
    pub(super) remote_ended: bool,
    /// Whether we have ended ours.
    pub(super) local_ended: bool,
    pub(super) reset: Reset,
    /// Whether it was an extended CONNECT: only DATA comes then.
    pub(super) is_tunnel: bool,
}

/// Who has reset a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reset {
    Nobody,
    Peer,
    Us,
}

/// The length of content that nobody has said.
pub(super) const ANY_LENGTH: u64 = u64::MAX;

impl Stream {
    pub(super) fn new(id: u32, send: SendWindow, receive: ReceiveWindow) -> Self {
        Self {
            id,
            next: NO_SLOT,
            send,
            receive,
            content_left: ANY_LENGTH,
            place: Place::NONE,
            priority: Priority::default(),
            waits: false,
            remote_ended: false,
            local_ended: false,
            reset: Reset::Nobody,
            is_tunnel: false,
        }
    }

    /// Whether something can still be sent.
    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        self.reset == Reset::Nobody && !self.local_ended
    }

    /// What the peer may still send.
    #[inline(always)]
    pub(super) fn remote(&self) -> Remote {
        match (self.reset, self.remote_ended) {
            (Reset::Nobody, false) => Remote::Open,
            (Reset::Nobody, true) if self.local_ended => Remote::Closed,
            (Reset::Nobody, true) => Remote::Ended,
            (Reset::Us, false) => Remote::Unaware,
            (Reset::Us, true) | (Reset::Peer, _) => Remote::Closed,
        }
    }
}

/// What the peer may still send on a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Remote {
    /// Content and trailers.
    Open,
    /// Nothing: half-closed (remote).
    Ended,
    /// What it sends without knowing yet that we have reset the stream.
    Unaware,
    /// Nothing: closed, by both sides or by the peer.
    Closed,
}

/// All streams that have a slot. Finding one by its identifier costs one or two looks.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Stream>,
    /// The first slot of each bucket. As many as a power of two, and as there are slots at least.
    buckets: Vec<u32>,
    /// The first free slot.
    free: Option<u32>,
    len: usize,
}

impl Streams {
    /// How many streams there are.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The slot of the stream with this identifier.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<u32> {
        let mut slot = *self.buckets.get(self.bucket(id))?;
        while let Some(stream) = self.slots.get(slot as usize) {
            if stream.id == id {
                return Some(slot);
            }
            slot = stream.next;
        }
        None
    }

    /// The stream in a slot.
    #[inline(always)]
    pub(super) fn at(&mut self, slot: u32) -> &mut Stream {
        &mut self.slots[slot as usize]
    }

    /// The stream of a key, unless it was released.
    #[inline(always)]
    pub(super) fn of(&self, key: StreamKey) -> Option<&Stream> {
        let stream = self.slots.get(key.slot as usize)?;
        (stream.id == key.id && key.id != 0).then_some(stream)
    }

    /// The stream of a key, unless it was released.
    #[inline(always)]
    pub(super) fn of_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        let stream = self.slots.get_mut(key.slot as usize)?;
        (stream.id == key.id && key.id != 0).then_some(stream)
    }

    /// Whether the stream in this slot has this place.
    #[inline(always)]
    pub(super) fn is_at(&self, slot: u32, place: Place) -> bool {
        let stream = self.slots.get(slot as usize);
        stream.is_some_and(|stream| stream.place == place)
    }

    /// All of them, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Stream)> {
        let slots = self.slots.iter_mut().enumerate();
        slots
            .filter(|(_, stream)| stream.id != 0)
            .map(|(slot, stream)| (slot as u32, stream))
    }

    /// Gives a stream a slot.
    #[inline]
    pub(super) fn insert(&mut self, mut stream: Stream) -> StreamKey {
        if self.free.is_none() && self.slots.len() == self.buckets.len() {
            self.grow();
        }
        let bucket = self.bucket(stream.id);
        let id = stream.id;
        stream.next = self.buckets[bucket];
        let slot = match self.free {
            Some(slot) => {
                let place = &mut self.slots[slot as usize];
                self.free = (place.next != NO_SLOT).then_some(place.next);
                *place = stream;
                slot
            }
            None => {
                self.slots.push(stream);
                (self.slots.len() - 1) as u32
            }
        };
        self.buckets[bucket] = slot;
        self.len += 1;
        StreamKey { slot, id }
    }

    /// Takes a stream out, unless it has been already.
    #[inline]
    pub(super) fn remove(&mut self, key: StreamKey) -> Option<Stream> {
        let stream = *self.of(key)?;
        let bucket = self.bucket(key.id);
        let mut slot = self.buckets[bucket];
        if slot == key.slot {
            self.buckets[bucket] = stream.next;
        } else {
            while self.slots[slot as usize].next != key.slot {
                slot = self.slots[slot as usize].next;
            }
            self.slots[slot as usize].next = stream.next;
        }
        let place = &mut self.slots[key.slot as usize];
        place.id = 0;
        place.place = Place::NONE;
        place.waits = false;
        place.next = self.free.unwrap_or(NO_SLOT);
        self.free = Some(key.slot);
        self.len -= 1;
        Some(stream)
    }

    /// Gives memory back if there is no stream.
    pub(super) fn clear(&mut self) {
        if self.len == 0 {
            *self = Self::default();
        }
    }

    /// Clients count up by two, so that neighbours are in different buckets.
    #[inline(always)]
    fn bucket(&self, id: u32) -> usize {
        (id >> 1) as usize & self.buckets.len().wrapping_sub(1)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let count = (self.buckets.len() * 2).max(BUCKETS_MIN);
        self.buckets.clear();
        self.buckets.resize(count, NO_SLOT);
        self.slots.reserve(count - self.slots.len());
        for slot in 0..self.slots.len() {
            let bucket = self.bucket(self.slots[slot].id);
            // None is free when this is called.
            self.slots[slot].next = std::mem::replace(&mut self.buckets[bucket], slot as u32);
        }
    }
}

const NO_SLOT: u32 = u32::MAX;

const BUCKETS_MIN: usize = 8;

/// What is remembered of streams without a slot.
#[derive(Debug, Default)]
pub(super) struct Closed {
    /// The highest identifier that the client has used.
    last: u32,
    /// Which of the 64 identifiers up to it were used, the last one in the lowest bit.
    used: u64,
    /// Streams that we have reset and of which the peer may not know yet, the latest ones.
    unaware: VecDeque<u32>,
}

impl Closed {
    #[inline(always)]
    pub(super) fn last(&self) -> u32 {
        self.last
    }

    /// The client uses an identifier above the last one.
    #[inline(always)]
    pub(super) fn begin(&mut self, id: u32) {
        let distance = (id - self.last) / 2;
        self.used = self.used.checked_shl(distance).unwrap_or(0) | 1;
        self.last = id;
    }

    /// Whether the client used an identifier that is not above the last one. RFC 9113 §5.1.1: those that it
    /// passed over are closed too, but never were open. Yes for those too far back.
    pub(super) fn was_used(&self, id: u32) -> bool {
        let distance = (self.last - id) / 2;
        distance >= u64::BITS || self.used >> distance & 1 != 0
    }

    /// We have reset a stream that the peer had not ended.
    pub(super) fn expect_late_frames(&mut self, id: u32) {
        if self.unaware.len() == UNAWARE_MAX {
            self.unaware.pop_front();
        }
        self.unaware.push_back(id);
    }

    /// Whether the peer may not know that the stream is closed. If this frame is its last, it does now.
    pub(super) fn is_late(&mut self, id: u32, ends: bool) -> bool {
        let found = self.unaware.iter().position(|known| *known == id);
        if let Some(position) = found
            && ends
        {
            self.unaware.remove(position);
        }
        found.is_some()
    }

    /// Gives memory back. Whatever was on its way has come.
    pub(super) fn clear(&mut self) {
        self.unaware = VecDeque::new();
    }
}

/// How many streams are remembered that we have reset. More would need a peer that is reset more often
/// within one round trip.
const UNAWARE_MAX: usize = 256;

const _: () = assert!(size_of::<Stream>() <= 56);

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u32) -> Stream {
        Stream::new(id, SendWindow::new(0), ReceiveWindow::new(0))
    }

    #[test]
    fn streams_are_found_until_they_are_removed() {
        let mut streams = Streams::default();
        let mut keys: Vec<StreamKey> = Vec::new();
        // Also identifiers that fall into the same bucket.
        for id in (1..400).step_by(2).chain((1001..100_000).step_by(1024)) {
            keys.push(streams.insert(stream(id)));
            if id % 3 == 0 {
                let key = keys.swap_remove(id as usize % keys.len());
                assert_eq!(streams.remove(key).unwrap().id, key.id);
                assert!(streams.remove(key).is_none());
                assert_eq!(streams.find(key.id), None);
            }
            assert_eq!(streams.len(), keys.len());
            for key in &keys {
                assert_eq!(streams.find(key.id), Some(key.slot));
                assert_eq!(streams.of(*key).map(|stream| stream.id), Some(key.id));
            }
        }
        assert!(streams.slots.len() <= 256);
        for key in keys.drain(..) {
            assert!(streams.remove(key).is_some());
        }
        assert_eq!(streams.len(), 0);
        streams.clear();
        assert_eq!(streams.slots.capacity() + streams.buckets.capacity(), 0);
        assert_eq!(streams.find(1), None);
    }

    #[test]
    fn slots_are_used_again_and_old_keys_are_not_known() {
        let mut streams = Streams::default();
        let first = streams.insert(stream(1));
        assert!(streams.remove(first).is_some());
        let second = streams.insert(stream(3));
        assert_eq!(second.slot, first.slot);
        assert!(streams.of(first).is_none());
        assert!(streams.of(StreamKey { slot: 0, id: 0 }).is_none());
        assert!(streams.of(second).is_some());
    }

    // RFC 9113 §5.1.1.
    #[test]
    fn identifiers_passed_over_are_told_from_used_ones() {
        let mut closed = Closed::default();
        closed.begin(1);
        closed.begin(3);
        closed.begin(9);
        let used: Vec<u32> = (1..=9)
            .step_by(2)
            .filter(|id| closed.was_used(*id))
            .collect();
        assert_eq!(used, [1, 3, 9]);
        closed.begin(201);
        assert!(closed.was_used(201) && !closed.was_used(199) && closed.was_used(5));
        closed.begin(0x7FFF_FFFF);
        assert!(closed.was_used(0x7FFF_FFFF) && !closed.was_used(0x7FFF_FFFD));
        let mut closed = Closed::default();
        closed.begin(5);
        assert!(closed.was_used(5) && !closed.was_used(3) && !closed.was_used(1));
    }

    #[test]
    fn few_reset_streams_are_remembered() {
        let mut closed = Closed::default();
        for id in 1..=UNAWARE_MAX as u32 + 1 {
            closed.expect_late_frames(id);
        }
        assert!(!closed.is_late(1, false));
        assert!(closed.is_late(2, false) && closed.is_late(2, true));
        assert!(!closed.is_late(2, false));
    }
}
