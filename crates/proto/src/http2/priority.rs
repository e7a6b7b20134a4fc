//! Whose content is sent next. Source: RFC 9218 §4, §7, §10.
//!
//! Lower urgency numbers first. Within one: responses that are of use only when whole, one after the
//! other in the order they were asked for; then those that are of use in pieces, in turn.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::stream::Streams;

/// What the client asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Priority {
    /// 0 is served first, 7 last.
    pub(super) urgency: u8,
    /// Whether a part of the response is of use.
    pub(super) incremental: bool,
}

impl Default for Priority {
    /// RFC 9218 §4.1, §4.2.
    fn default() -> Self {
        Self {
            urgency: 3,
            incremental: false,
        }
    }
}

impl Priority {
    /// Takes the parameters of a `Priority` field's value; what is absent stays as it is.
    ///
    /// RFC 9218 §4: parameters that are unknown, out of range or of another type are ignored.
    pub(super) fn apply(&mut self, value: &[u8]) {
        for member in members(value) {
            // Parameters of a member have no meaning.
            let member = member
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default();
            match member.trim_ascii() {
                [b'u', b'=', urgency @ b'0'..=b'7'] => self.urgency = urgency - b'0',
                b"i" | b"i=?1" => self.incremental = true,
                b"i=?0" => self.incremental = false,
                _ => {}
            }
        }
    }

    /// The priority that a `Priority` field's value asks for.
    pub(super) fn parse(value: &[u8]) -> Self {
        let mut priority = Self::default();
        priority.apply(value);
        priority
    }
}

/// The members of a dictionary (RFC 9651 §3.2). Commas in strings part nothing.
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_string = false;
    let mut is_escaped = false;
    value.split(move |&byte| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match byte {
            b'\\' if is_string && !was_escaped => is_escaped = true,
            b'"' if !was_escaped => is_string = !is_string,
            _ => {}
        }
        byte == b',' && !is_string
    })
}

/// A stream's place among those that want to send. Smaller is sooner. No two streams ever have the same.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place(u64);

impl Place {
    /// Not among them.
    pub(super) const NONE: Self = Self(0);
}

/// The streams that want to send and may.
///
/// An entry is of use only while its stream has that place: places that were given up stay behind and are
/// thrown away when they are met, or when there are too many of them.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    heap: BinaryHeap<Reverse<(Place, u32)>>,
    turns: u64,
}

impl SendQueue {
    /// A place for a stream that wants to send now.
    #[inline]
    pub(super) fn place(&mut self, id: u32, priority: Priority) -> Place {
        let order = if priority.incremental {
            self.turns += 1;
            1 << 60 | self.turns
        } else {
            u64::from(id)
        };
        Place(u64::from(priority.urgency) << 61 | order)
    }

    /// Puts a stream in, which has been given this place.
    #[inline]
    pub(super) fn push(&mut self, place: Place, slot: u32, streams: &Streams) {
        if self.heap.len() >= 2 * streams.len() + FORGOTTEN_MAX {
            self.heap
                .retain(|Reverse((place, slot))| streams.is_at(*slot, *place));
        }
        self.heap.push(Reverse((place, slot)));
    }

    /// Takes the stream out that is first.
    #[inline]
    pub(super) fn pop(&mut self, streams: &Streams) -> Option<u32> {
        loop {
            let Reverse((place, slot)) = self.heap.pop()?;
            if streams.is_at(slot, place) {
                return Some(slot);
            }
        }
    }

    /// Gives memory back. Nobody wants to send.
    pub(super) fn clear(&mut self) {
        self.heap = BinaryHeap::new();
    }
}

/// Priorities of streams that have not begun. RFC 9218 §7.1.
#[derive(Debug, Default)]
pub(super) struct EarlyPriorities {
    known: VecDeque<(u32, Priority)>,
}

impl EarlyPriorities {
    /// Keeps a stream's priority, the latest one. When there are too many, the oldest is forgotten.
    pub(super) fn keep(&mut self, id: u32, priority: Priority) {
        self.known.retain(|(known, _)| *known != id);
        if self.known.len() == EARLY_MAX {
            self.known.pop_front();
        }
        self.known.push_back((id, priority));
    }

    /// The priority of a stream that begins.
    #[inline]
    pub(super) fn take(&mut self, id: u32) -> Option<Priority> {
        if self.known.is_empty() {
            return None;
        }
        let found = self.known.iter().find(|(known, _)| *known == id);
        let priority = found.map(|(_, priority)| *priority);
        // Streams begin in order: the ones before never will.
        self.known.retain(|(known, _)| *known > id);
        priority
    }

    /// Gives memory back.
    pub(super) fn clear(&mut self) {
        self.known = VecDeque::new();
    }
}

/// How many entries may be behind the times before it is looked for them.
const FORGOTTEN_MAX: usize = 32;

const EARLY_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> (u8, bool) {
        let priority = Priority::parse(value.as_bytes());
        (priority.urgency, priority.incremental)
    }

    // RFC 9218 §4.
    #[test]
    fn parameters_are_read() {
        assert_eq!(parsed(""), (3, false));
        assert_eq!(parsed("u=0"), (0, false));
        assert_eq!(parsed("u=7, i"), (7, true));
        assert_eq!(parsed("i=?1,u=5"), (5, true));
        assert_eq!(parsed("u=1;x=2, i;y"), (1, true));
        assert_eq!(parsed("i, i=?0, u=1, u=2"), (2, false));
    }

    #[test]
    fn what_is_no_priority_is_ignored() {
        assert_eq!(parsed("u=8"), (3, false));
        assert_eq!(parsed("u=-1, i=1"), (3, false));
        assert_eq!(parsed("u=1.0, u, U=1, I"), (3, false));
        assert_eq!(parsed("x=\"a,u=1,\\\",i\", u=2"), (2, false));
        assert_eq!(parsed(",,,=,;"), (3, false));
    }

    #[test]
    fn only_some_early_priorities_are_kept() {
        let mut early = EarlyPriorities::default();
        let urgency = |urgency| Priority {
            urgency,
            incremental: false,
        };
        for id in (1..=2 * EARLY_MAX as u32 + 1).step_by(2) {
            early.keep(id, urgency(1));
        }
        assert_eq!(early.known.len(), EARLY_MAX);
        early.keep(65, urgency(2));
        assert_eq!(early.take(1), None);
        assert_eq!(early.take(65), Some(urgency(2)));
        assert!(early.known.is_empty());
    }
}
