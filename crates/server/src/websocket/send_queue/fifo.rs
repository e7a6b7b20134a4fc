//! Messages in the order in which they were added, each of which can be found again while it waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Meta, Part, QueueLimits};

/// First in, first out.
pub(super) struct Fifo<T> {
    waiting: VecDeque<Waiting<T>>,
    /// How many have been taken from the front: the position of a message minus this is its index.
    taken: u64,
}

struct Waiting<T> {
    /// Compares messages of several queues.
    age: u64,
    content: Content<T>,
}

/// A message that has not begun to be sent, or a control frame.
pub(super) enum Content<T> {
    Whole {
        item: T,
        bytes: usize,
        key: Option<Arc<str>>,
    },
    /// At least the first part. Apart, since there are few.
    Streamed(Box<Fragments<T>>),
}

/// Parts of one streamed message.
pub(super) type Fragments<T> = VecDeque<Fragment<T>>;

pub(super) struct Fragment<T> {
    pub(super) item: T,
    pub(super) bytes: usize,
    pub(super) is_last: bool,
}

/// How much of something waits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Load {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            taken: 0,
        }
    }
}

impl<T> Fifo<T> {
    /// Adds a message and tells its position.
    pub(super) fn push(&mut self, age: u64, content: Content<T>) -> u64 {
        self.waiting.push_back(Waiting { age, content });
        self.taken + (self.waiting.len() - 1) as u64
    }

    /// The age of the first message.
    pub(super) fn front_age(&self) -> Option<u64> {
        self.waiting.front().map(|waiting| waiting.age)
    }

    pub(super) fn pop(&mut self) -> Option<Content<T>> {
        let waiting = self.waiting.pop_front()?;
        self.taken += 1;
        Some(waiting.content)
    }

    /// The message at a position, if it still waits.
    pub(super) fn at(&mut self, position: u64) -> Option<&mut Content<T>> {
        let index = self.index(position)?;
        self.waiting
            .get_mut(index)
            .map(|waiting| &mut waiting.content)
    }

    /// Takes a message out. Those after it move up by one position.
    pub(super) fn remove(&mut self, position: u64) -> Option<Content<T>> {
        let index = self.index(position)?;
        self.waiting.remove(index).map(|waiting| waiting.content)
    }

    fn index(&self, position: u64) -> Option<usize> {
        usize::try_from(position.checked_sub(self.taken)?).ok()
    }
}

impl<T> Content<T> {
    pub(super) fn whole(item: T, meta: &Meta) -> Self {
        Self::Whole {
            item,
            bytes: meta.bytes,
            key: None,
        }
    }

    pub(super) fn load(&self) -> Load {
        match self {
            Self::Whole { bytes, .. } => Load::of(*bytes),
            Self::Streamed(fragments) => Load::of_all(fragments),
        }
    }

    /// Whether parts of it may still be added.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Whole { .. } => false,
            Self::Streamed(fragments) => is_open(fragments),
        }
    }

    /// Puts its items at the end of `items`.
    pub(super) fn append_to(self, items: &mut Vec<T>) {
        match self {
            Self::Whole { item, .. } => items.push(item),
            Self::Streamed(fragments) => {
                items.extend(fragments.into_iter().map(|fragment| fragment.item));
            }
        }
    }
}

/// Whether parts of a streamed message may still be added.
pub(super) fn is_open<T>(fragments: &Fragments<T>) -> bool {
    fragments.back().is_some_and(|newest| !newest.is_last)
}

impl<T> Fragment<T> {
    pub(super) fn new(item: T, meta: &Meta) -> Self {
        Self {
            item,
            bytes: meta.bytes,
            is_last: meta.part == Part::Last,
        }
    }
}

impl Load {
    /// One item.
    pub(super) fn of(bytes: usize) -> Self {
        Self { items: 1, bytes }
    }

    pub(super) fn of_all<T>(fragments: &Fragments<T>) -> Self {
        Self {
            items: fragments.len(),
            bytes: fragments.iter().map(|fragment| fragment.bytes).sum(),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            items: self.items + other.items,
            bytes: self.bytes + other.bytes,
        }
    }

    /// This without `part` of it.
    pub(super) fn without(self, part: Self) -> Self {
        Self {
            items: self.items - part.items,
            bytes: self.bytes - part.bytes,
        }
    }

    /// Whether another item may wait beside these.
    pub(super) fn has_room(self, bytes: usize, limits: &QueueLimits) -> bool {
        // Alone it may be as long as it likes, else it could never be sent.
        self.items == 0
            || self.items < limits.messages && self.bytes.saturating_add(bytes) <= limits.bytes
    }
}
