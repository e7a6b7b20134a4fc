//! What waits to be sent on one connection: in which order it goes, and what becomes of what finds no room.
//!
//! Knows nothing of frames or sockets: an item is whatever its owner will turn into bytes.
//! Source: the component's QueueOptions; RFC 6455 §5.4 (fragments are not mixed with other messages, control
//! frames may come between them). What happens when the queue is full is our ruling.

mod fifo;
mod policy;

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use fifo::{Content, Fifo, Fragment, Fragments, Load, is_open};

pub(crate) use policy::QueueLimits;
pub use policy::{Level, Overflow};

/// What the queue has to know of an item.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// Its length as counted against the limit.
    pub(crate) bytes: usize,
    /// Of no meaning for [`Part::Continue`] and [`Part::Last`], which follow their first part.
    pub(crate) level: Level,
    /// Only of a whole message, and only used by [`Overflow::Coalesce`].
    pub(crate) key: Option<Arc<str>>,
    /// What it is.
    pub(crate) part: Part,
}

/// What an item is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// A whole message, in however many frames.
    Whole,
    /// The first part of a streamed message. No other may be open.
    First,
    /// A further part of the streamed message that is open.
    Continue,
    /// Its last part.
    Last,
    /// A ping or a pong. It may come between the parts of a streamed message; one of level none goes
    /// before all that waits.
    Control,
}

/// What [`SendQueue::push`] did.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Pushed<T> {
    /// The item waits.
    Queued,
    /// The item waits in the place of this one.
    Replaced(T),
    /// The item waits; these were dropped for it, one of which may have had its key.
    DroppedOldest(Vec<T>),
    /// The item was dropped: it is the last of these. Before it, what was dropped with it.
    DroppedNewest(Vec<T>),
    /// There is no room, and nothing was changed: try again when something has been popped.
    Full(T),
    /// There is no room, and nothing was changed: the connection is to be ended.
    Overflowed(T),
}

/// What waits to be sent on one connection.
///
/// Adding and taking cost the same however much waits. Only dropping a streamed message costs more: as
/// many steps as it has parts, and with [`Overflow::DropNewest`] as many as were added since it began.
pub(crate) struct SendQueue<T> {
    /// By level, then by class; no more levels than were ever used, which mostly is one.
    fifos: Vec<[Fifo<T>; CLASSES.len()]>,
    /// Where the waiting message of a key is. The standard hasher, since keys may come from peers.
    keys: HashMap<Arc<str>, Place>,
    /// Messages that have not begun to be sent, those with a key among them.
    waiting: Load,
    keyed: Load,
    controls: Load,
    /// The rest of the streamed message that has begun to be sent.
    stream: Fragments<T>,
    streaming: Load,
    /// Whether the last part of that message has still to be popped.
    in_stream: bool,
    open: Open,
    /// The age of what is added next.
    next_age: u64,
}

/// What is kept apart, so that the first of it is found at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Control,
    /// Messages without a key.
    Plain,
    /// Messages with a key.
    Keyed,
}

/// Where a message waits in the queue of its level and class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Place {
    level: usize,
    position: u64,
}

/// The streamed message whose parts are being added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Open {
    None,
    /// None of it has been popped.
    Waiting(Place),
    /// Its first part has been popped.
    Begun,
    /// It has been dropped, and so will be the rest of it.
    Dropped,
}

impl<T> Default for SendQueue<T> {
    fn default() -> Self {
        Self {
            fifos: Vec::new(),
            keys: HashMap::new(),
            waiting: Load::default(),
            keyed: Load::default(),
            controls: Load::default(),
            stream: Fragments::new(),
            streaming: Load::default(),
            in_stream: false,
            open: Open::None,
            next_age: 0,
        }
    }
}

impl<T> SendQueue<T> {
    /// Adds an item, or does with it what `overflow` says when there is no room.
    ///
    /// A part of a streamed message that is out of sequence is dropped as the newest.
    pub(crate) fn push(
        &mut self,
        item: T,
        meta: Meta,
        limits: &QueueLimits,
        overflow: Overflow,
    ) -> Pushed<T> {
        match meta.part {
            Part::Control => {
                self.append(Class::Control, meta.level, Content::whole(item, &meta));
                Pushed::Queued
            }
            Part::Whole => match &meta.key {
                Some(key) if overflow == Overflow::Coalesce => {
                    self.push_keyed(item, &meta, key, limits)
                }
                _ => self.push_plain(item, &meta, limits, overflow),
            },
            Part::First => self.push_first(item, &meta, limits, overflow),
            Part::Continue | Part::Last => self.push_further(item, &meta, limits, overflow),
        }
    }

    /// The next item to send, with its bytes.
    ///
    /// `None` does not say that nothing waits: messages do while a streamed one lacks its next part.
    pub(crate) fn pop(&mut self) -> Option<(T, usize)> {
        if let Some((level, class)) = self.next() {
            match self.take(level, class)? {
                Content::Whole { item, bytes, .. } => return Some((item, bytes)),
                Content::Streamed(fragments) => {
                    if is_open(&fragments) {
                        self.open = Open::Begun;
                    }
                    self.streaming = Load::of_all(&fragments);
                    self.stream = *fragments;
                }
            }
        }
        let fragment = self.stream.pop_front()?;
        self.streaming = self.streaming.without(Load::of(fragment.bytes));
        self.in_stream = !fragment.is_last;
        Some((fragment.item, fragment.bytes))
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.load().items
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.load().bytes
    }

    /// Whether none waits. A streamed message may still lack parts: see [`is_idle`](Self::is_idle).
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a new queue would do as well: nothing waits, and no streamed message lacks parts.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_empty() && !self.in_stream && self.open == Open::None
    }

    /// Takes out every message that has not begun to be sent, in no order.
    pub(crate) fn clear(&mut self) -> Vec<T> {
        let mut dropped = Vec::with_capacity(self.waiting.items);
        for level in &mut self.fifos {
            for class in [Class::Plain, Class::Keyed] {
                let mut fifo = mem::take(&mut level[class as usize]);
                while let Some(content) = fifo.pop() {
                    content.append_to(&mut dropped);
                }
            }
        }
        self.keys.clear();
        if let Open::Waiting(_) = self.open {
            self.open = Open::Dropped;
        }
        self.keyed = Load::default();
        self.waiting = Load::default();
        dropped
    }

    fn push_plain(
        &mut self,
        item: T,
        meta: &Meta,
        limits: &QueueLimits,
        overflow: Overflow,
    ) -> Pushed<T> {
        let Some(dropped) = self.make_room(meta.bytes, limits, overflow) else {
            return refused(item, overflow);
        };
        self.append(Class::Plain, meta.level, Content::whole(item, meta));
        queued(dropped)
    }

    /// Puts a message into the place of the one with its key, or at the end where there is none.
    fn push_keyed(
        &mut self,
        item: T,
        meta: &Meta,
        key: &Arc<str>,
        limits: &QueueLimits,
    ) -> Pushed<T> {
        let new = Load::of(meta.bytes);
        let mut dropped = Vec::new();
        let old = loop {
            let old = self.keys.get(key).and_then(|place| {
                let fifo = &mut self.fifos[place.level][Class::Keyed as usize];
                fifo.at(place.position)
            });
            let replaced = old.as_ref().map(|old| old.load());
            let others = self.waiting.without(replaced.unwrap_or_default());
            // What is no longer than the old one always fits, also when the limits have become less.
            if replaced.is_some_and(|replaced| new.bytes <= replaced.bytes)
                || others.has_room(new.bytes, limits)
            {
                break old;
            }
            if !self.waiting.without(self.keyed).has_room(new.bytes, limits) {
                return Pushed::Overflowed(item);
            }
            // Where that is the one with this key, the new one goes to the end.
            self.drop_oldest(&[Class::Keyed], &mut dropped);
        };
        let content = Content::Whole {
            item,
            bytes: new.bytes,
            key: Some(Arc::clone(key)),
        };
        let Some(old) = old else {
            let place = self.append(Class::Keyed, meta.level, content);
            self.keys.insert(Arc::clone(key), place);
            return queued(dropped);
        };
        let old = mem::replace(old, content);
        self.waiting = self.waiting.without(old.load()).and(new);
        self.keyed = self.keyed.without(old.load()).and(new);
        match old {
            Content::Whole { item, .. } if dropped.is_empty() => Pushed::Replaced(item),
            old => {
                old.append_to(&mut dropped);
                Pushed::DroppedOldest(dropped)
            }
        }
    }

    fn push_first(
        &mut self,
        item: T,
        meta: &Meta,
        limits: &QueueLimits,
        overflow: Overflow,
    ) -> Pushed<T> {
        if self.open != Open::None {
            return Pushed::DroppedNewest(vec![item]);
        }
        let Some(dropped) = self.make_room(meta.bytes, limits, overflow) else {
            if overflow == Overflow::DropNewest {
                self.open = Open::Dropped;
            }
            return refused(item, overflow);
        };
        let fragments = Fragments::from([Fragment::new(item, meta)]);
        let content = Content::Streamed(Box::new(fragments));
        self.open = Open::Waiting(self.append(Class::Plain, meta.level, content));
        queued(dropped)
    }

    fn push_further(
        &mut self,
        item: T,
        meta: &Meta,
        limits: &QueueLimits,
        overflow: Overflow,
    ) -> Pushed<T> {
        let pushed = match self.open {
            Open::None | Open::Dropped => Pushed::DroppedNewest(vec![item]),
            Open::Waiting(place) => self.push_behind(place, item, meta, limits, overflow),
            Open::Begun if self.streaming.has_room(meta.bytes, limits) => {
                self.streaming = self.streaming.and(Load::of(meta.bytes));
                self.stream.push_back(Fragment::new(item, meta));
                Pushed::Queued
            }
            Open::Begun if overflow == Overflow::Wait => Pushed::Full(item),
            Open::Begun => Pushed::Overflowed(item),
        };
        let is_settled = !matches!(pushed, Pushed::Full(_) | Pushed::Overflowed(_));
        if is_settled && meta.part == Part::Last {
            self.open = Open::None;
        }
        pushed
    }

    /// Adds a part to the streamed message at `place`, which has not begun to be sent.
    fn push_behind(
        &mut self,
        place: Place,
        item: T,
        meta: &Meta,
        limits: &QueueLimits,
        overflow: Overflow,
    ) -> Pushed<T> {
        let mut dropped = match self.make_room(meta.bytes, limits, overflow) {
            Some(dropped) => dropped,
            None if overflow == Overflow::DropNewest => {
                let fifo = &mut self.fifos[place.level][Class::Plain as usize];
                let mut dropped = Vec::new();
                if let Some(content) = fifo.remove(place.position) {
                    self.waiting = self.waiting.without(content.load());
                    content.append_to(&mut dropped);
                }
                self.open = Open::Dropped;
                dropped
            }
            None => return refused(item, overflow),
        };
        // It may itself have been the oldest.
        if self.open == Open::Dropped {
            dropped.push(item);
            return Pushed::DroppedNewest(dropped);
        }
        let fifo = &mut self.fifos[place.level][Class::Plain as usize];
        if let Some(Content::Streamed(fragments)) = fifo.at(place.position) {
            fragments.push_back(Fragment::new(item, meta));
            self.waiting = self.waiting.and(Load::of(meta.bytes));
        }
        queued(dropped)
    }

    /// Makes room for an item as far as `overflow` allows. `None`, with nothing changed, where it does not.
    fn make_room(
        &mut self,
        bytes: usize,
        limits: &QueueLimits,
        overflow: Overflow,
    ) -> Option<Vec<T>> {
        let mut dropped = Vec::new();
        let classes: &[Class] = match overflow {
            _ if self.waiting.has_room(bytes, limits) => return Some(dropped),
            Overflow::DropOldest => &[Class::Plain, Class::Keyed],
            Overflow::Coalesce if self.waiting.without(self.keyed).has_room(bytes, limits) => {
                &[Class::Keyed]
            }
            _ => return None,
        };
        while !self.waiting.has_room(bytes, limits) {
            self.drop_oldest(classes, &mut dropped);
        }
        Some(dropped)
    }

    fn drop_oldest(&mut self, classes: &[Class], dropped: &mut Vec<T>) {
        if let Some((level, class)) = self.oldest(classes)
            && let Some(content) = self.take(level, class)
        {
            if content.is_open() {
                self.open = Open::Dropped;
            }
            content.append_to(dropped);
        }
    }

    /// Where the next item is; `None` where that is the next part of a streamed message.
    fn next(&self) -> Option<(usize, Class)> {
        // Mostly there are no others than plain messages, and nothing else is looked for.
        let has_controls = self.controls.items > 0;
        let classes: &[Class] = match (self.in_stream, has_controls, self.keyed.items > 0) {
            (true, false, _) => return None,
            (true, true, _) => &[Class::Control],
            (false, false, false) => &[Class::Plain],
            (false, ..) => &CLASSES,
        };
        if has_controls
            && self.fifos.first()?[Class::Control as usize]
                .front_age()
                .is_some()
        {
            return Some((0, Class::Control));
        }
        let mut levels = self.fifos.iter().enumerate();
        levels.find_map(|(level, fifos)| Some((level, oldest_of(fifos, classes)?.1)))
    }

    /// Where in these classes the oldest of all levels is.
    fn oldest(&self, classes: &[Class]) -> Option<(usize, Class)> {
        let levels = self.fifos.iter().enumerate();
        let oldest = levels.filter_map(|(level, fifos)| Some((level, oldest_of(fifos, classes)?)));
        let (level, (_, class)) = oldest.min_by_key(|(_, (age, _))| *age)?;
        Some((level, class))
    }

    fn append(&mut self, class: Class, level: Level, content: Content<T>) -> Place {
        let load = content.load();
        match class {
            Class::Control => self.controls = self.controls.and(load),
            Class::Plain => self.waiting = self.waiting.and(load),
            Class::Keyed => {
                self.waiting = self.waiting.and(load);
                self.keyed = self.keyed.and(load);
            }
        }
        let age = self.next_age;
        self.next_age += 1;
        let level = level as usize;
        if level >= self.fifos.len() {
            self.fifos.reserve_exact(level + 1 - self.fifos.len());
            self.fifos.resize_with(level + 1, Default::default);
        }
        let position = self.fifos[level][class as usize].push(age, content);
        Place { level, position }
    }

    /// Takes the first of a level and class.
    fn take(&mut self, level: usize, class: Class) -> Option<Content<T>> {
        let content = self.fifos[level][class as usize].pop()?;
        let load = content.load();
        match class {
            Class::Control => self.controls = self.controls.without(load),
            Class::Plain => self.waiting = self.waiting.without(load),
            Class::Keyed => {
                self.waiting = self.waiting.without(load);
                self.keyed = self.keyed.without(load);
                if let Content::Whole { key: Some(key), .. } = &content {
                    self.keys.remove(key);
                }
            }
        }
        Some(content)
    }

    fn load(&self) -> Load {
        self.waiting.and(self.streaming).and(self.controls)
    }
}

/// The class whose first message is the oldest of these, with its age.
fn oldest_of<T>(fifos: &[Fifo<T>; CLASSES.len()], classes: &[Class]) -> Option<(u64, Class)> {
    let ages = classes.iter().filter_map(|&class| {
        let age = fifos[class as usize].front_age()?;
        Some((age, class))
    });
    ages.min_by_key(|(age, _)| *age)
}

fn queued<T>(dropped: Vec<T>) -> Pushed<T> {
    match dropped.is_empty() {
        true => Pushed::Queued,
        false => Pushed::DroppedOldest(dropped),
    }
}

/// What becomes of an item for which no room could be made.
fn refused<T>(item: T, overflow: Overflow) -> Pushed<T> {
    match overflow {
        Overflow::Wait => Pushed::Full(item),
        Overflow::DropNewest => Pushed::DroppedNewest(vec![item]),
        Overflow::DropOldest | Overflow::Coalesce | Overflow::Disconnect => {
            Pushed::Overflowed(item)
        }
    }
}

const CLASSES: [Class; 3] = [Class::Control, Class::Plain, Class::Keyed];

#[cfg(test)]
mod tests;
