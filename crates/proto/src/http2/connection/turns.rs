//! Which stream sends next. Source: RFC 9218 §10; RFC 9113 §5.2.

use super::{Connection, Phase};
use crate::http2::event::StreamKey;
use crate::http2::priority::{Place, Priority};

impl Connection {
    /// Says that a stream has content to send.
    #[inline]
    pub fn want_send(&mut self, stream: StreamKey) {
        let Some(known) = self.streams.of_mut(stream) else {
            return;
        };
        if !known.is_open() || known.place != Place::NONE {
            return;
        }
        if known.send.is_open() {
            self.wants_again(stream.slot);
        } else {
            known.waits = true;
        }
    }

    /// The stream to write a DATA frame for now; `None` if nobody wants to or no window allows it.
    ///
    /// It wants to no longer: say so again with [`want_send`](Self::want_send) when more is left.
    #[inline]
    pub fn next_to_send(&mut self) -> Option<StreamKey> {
        while self.send.is_open() && self.phase != Phase::Failed {
            let slot = self.queue.pop(&self.streams)?;
            let stream = self.streams.at(slot);
            stream.place = Place::NONE;
            if !stream.is_open() {
                continue;
            }
            if !stream.send.is_open() {
                stream.waits = true;
                continue;
            }
            let id = stream.id;
            return Some(StreamKey { slot, id });
        }
        None
    }

    /// Whether a stream wants to send, and only others are in its way: those before it, or what the peer has
    /// left of the connection's window.
    pub fn waits_for_turn(&self, stream: StreamKey) -> bool {
        self.streams.of(stream).is_some_and(|known| {
            known.is_open() && known.place != Place::NONE && known.send.is_open()
        })
    }

    /// How many bytes of content may be sent on a stream now.
    #[inline]
    pub fn send_window(&self, stream: StreamKey) -> usize {
        match self.streams.of(stream) {
            Some(known) if known.is_open() => known.send.available().min(self.send.available()),
            _ => 0,
        }
    }

    /// Puts a stream among those that want to send and may.
    #[inline]
    pub(super) fn wants_again(&mut self, slot: u32) {
        let stream = self.streams.at(slot);
        stream.waits = false;
        let place = self.queue.place(stream.id, stream.priority);
        stream.place = place;
        self.queue.push(place, slot, &self.streams);
    }

    /// Changes a stream's priority.
    pub(super) fn prioritize(&mut self, slot: u32, priority: Priority) {
        let stream = self.streams.at(slot);
        if std::mem::replace(&mut stream.priority, priority) != priority
            && stream.place != Place::NONE
        {
            self.wants_again(slot);
        }
    }
}
