//! Random walks of the queue beside a model of it.

use std::collections::VecDeque;

use super::*;

/// The same rules, written down without a thought of speed.
#[derive(Default)]
struct Model {
    /// In the order in which they were added.
    messages: Vec<ModelMessage>,
    controls: Vec<(u32, usize, usize)>,
    sending: Option<ModelMessage>,
    /// Whether a streamed message is open, and it was dropped.
    open: bool,
    dropped: bool,
}

#[derive(Debug)]
struct ModelMessage {
    level: usize,
    key: Option<Arc<str>>,
    parts: VecDeque<(u32, usize)>,
    is_open: bool,
    age: u32,
}

impl ModelMessage {
    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.1).sum()
    }
}

fn fits(messages: &[&ModelMessage], bytes: usize, limits: &QueueLimits) -> bool {
    let items: usize = messages.iter().map(|message| message.parts.len()).sum();
    let all: usize = messages.iter().map(|message| message.bytes()).sum();
    items == 0 || items < limits.messages && all + bytes <= limits.bytes
}

impl Model {
    fn fits(&self, bytes: usize, limits: &QueueLimits) -> bool {
        fits(&self.messages.iter().collect::<Vec<_>>(), bytes, limits)
    }

    fn drop_at(&mut self, index: usize, dropped: &mut Vec<u32>) {
        let message = self.messages.remove(index);
        dropped.extend(message.parts.iter().map(|part| part.0));
        self.dropped |= message.is_open;
    }

    fn make_room(
        &mut self,
        bytes: usize,
        limits: &QueueLimits,
        overflow: Overflow,
        dropped: &mut Vec<u32>,
    ) -> bool {
        let without_keys: Vec<_> = self.messages.iter().filter(|m| m.key.is_none()).collect();
        let can = match overflow {
            Overflow::DropOldest => true,
            Overflow::Coalesce => fits(&without_keys, bytes, limits),
            _ => false,
        };
        while !self.fits(bytes, limits) {
            let any = overflow == Overflow::DropOldest;
            let oldest = self.messages.iter().position(|m| any || m.key.is_some());
            match oldest {
                Some(oldest) if can => self.drop_at(oldest, dropped),
                _ => return false,
            }
        }
        true
    }

    fn push(
        &mut self,
        item: u32,
        meta: Meta,
        limits: &QueueLimits,
        overflow: Overflow,
    ) -> Pushed<u32> {
        let bytes = meta.bytes;
        let mut dropped = Vec::new();
        let mut message = ModelMessage {
            level: meta.level as usize,
            key: None,
            parts: [(item, bytes)].into(),
            is_open: meta.part == Part::First,
            age: item,
        };
        match meta.part {
            Part::Control => {
                self.controls.push((item, bytes, meta.level as usize));
                return Pushed::Queued;
            }
            Part::Whole if overflow == Overflow::Coalesce && meta.key.is_some() => {
                message.key = meta.key;
                loop {
                    let same = self.messages.iter().position(|m| m.key == message.key);
                    if let Some(same) = same {
                        let others: Vec<_> = self
                            .messages
                            .iter()
                            .filter(|m| m.key != message.key)
                            .collect();
                        let old = &self.messages[same];
                        if bytes <= old.bytes() || fits(&others, bytes, limits) {
                            let old = self.messages[same].parts[0].0;
                            self.messages[same].parts = message.parts;
                            if dropped.is_empty() {
                                return Pushed::Replaced(old);
                            }
                            dropped.push(old);
                            return Pushed::DroppedOldest(dropped);
                        }
                    } else if self.fits(bytes, limits) {
                        self.messages.push(message);
                        return queued(dropped);
                    }
                    let rest: Vec<_> = self.messages.iter().filter(|m| m.key.is_none()).collect();
                    if !fits(&rest, bytes, limits) {
                        return Pushed::Overflowed(item);
                    }
                    let oldest = self.messages.iter().position(|m| m.key.is_some()).unwrap();
                    self.drop_at(oldest, &mut dropped);
                }
            }
            Part::First if self.open => return Pushed::DroppedNewest(vec![item]),
            Part::Whole | Part::First => {
                let first = meta.part == Part::First;
                if self.make_room(bytes, limits, overflow, &mut dropped) {
                    self.messages.push(message);
                    self.open |= first;
                    return queued(dropped);
                }
                if first && overflow == Overflow::DropNewest {
                    (self.open, self.dropped) = (true, true);
                }
                return refused(item, overflow);
            }
            Part::Continue | Part::Last => {}
        }
        let last = meta.part == Part::Last;
        if !self.open {
            return Pushed::DroppedNewest(vec![item]);
        }
        if let Some(sending) = self.sending.as_mut().filter(|sending| sending.is_open) {
            if !fits(&[&*sending], bytes, limits) {
                return match overflow {
                    Overflow::Wait => Pushed::Full(item),
                    _ => Pushed::Overflowed(item),
                };
            }
            sending.parts.push_back((item, bytes));
            sending.is_open = !last;
            self.open = !last;
            return Pushed::Queued;
        }
        if !self.dropped && !self.make_room(bytes, limits, overflow, &mut dropped) {
            if overflow != Overflow::DropNewest {
                return refused(item, overflow);
            }
            let own = self.messages.iter().position(|m| m.is_open).unwrap();
            self.drop_at(own, &mut dropped);
        }
        self.open = !last;
        if self.dropped {
            self.dropped = !last;
            dropped.push(item);
            return Pushed::DroppedNewest(dropped);
        }
        let own = self.messages.iter_mut().find(|m| m.is_open).unwrap();
        own.parts.push_back((item, bytes));
        own.is_open = !last;
        queued(dropped)
    }

    fn pop(&mut self) -> Option<(u32, usize)> {
        let level_of_message = self.messages.iter().map(|m| (m.level, m.age)).min();
        let control = (0..self.controls.len()).min_by_key(|&at| self.controls[at].2);
        if let Some(at) = control {
            let (item, _, level) = self.controls[at];
            let goes = level == 0
                || self.sending.is_some()
                || level_of_message.is_none_or(|first| (level, item) < first);
            if goes {
                let (item, bytes, _) = self.controls.remove(at);
                return Some((item, bytes));
            }
        }
        if self.sending.is_none() {
            let (level, age) = level_of_message?;
            let at = self
                .messages
                .iter()
                .position(|m| (m.level, m.age) == (level, age))?;
            self.sending = Some(self.messages.remove(at));
        }
        let sending = self.sending.as_mut()?;
        let part = sending.parts.pop_front();
        if sending.parts.is_empty() && !sending.is_open {
            self.sending = None;
        }
        part
    }

    fn clear(&mut self) -> usize {
        let items = self.messages.iter().map(|m| m.parts.len()).sum();
        self.dropped |= self.messages.iter().any(|m| m.is_open);
        self.messages.clear();
        items
    }

    fn load(&self) -> (usize, usize) {
        let messages = self.messages.iter().chain(&self.sending);
        let parts = messages.flat_map(|m| m.parts.iter().map(|part| part.1));
        let bytes: Vec<_> = parts.chain(self.controls.iter().map(|c| c.1)).collect();
        (bytes.len(), bytes.iter().sum())
    }
}

/// Source: S. Vigna, SplitMix64, public domain.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn pick<V: Clone>(&mut self, from: &[V]) -> V {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

#[test]
fn random_walks_go_as_the_model_goes() {
    let levels = [Level::None, Level::Level1, Level::Level2, Level::Level3];
    let parts = [
        Part::Whole,
        Part::Whole,
        Part::Whole,
        Part::First,
        Part::Continue,
        Part::Last,
        Part::Control,
    ];
    let keys: Vec<Option<Arc<str>>> = ["a", "b", "c", "d", "e"]
        .map(|key| Some(key.into()))
        .into_iter()
        .chain([None, None])
        .collect();
    for seed in 0..500 {
        let mut random = Random(seed);
        let (mut queue, mut model) = (SendQueue::default(), Model::default());
        // Mostly one policy, as a connection has one; but it may be changed.
        let usual = random.pick(&POLICIES);
        let pops = 1 + random.below(5);
        let limits = QueueLimits {
            messages: 1 + random.below(8) as usize,
            bytes: 1 + random.below(200) as usize,
        };
        for item in 0..300 {
            let step = format!("seed {seed}, step {item}");
            if random.below(100) == 0 {
                assert_eq!(queue.clear().len(), model.clear(), "{step}");
            }
            for _ in 0..random.below(pops) {
                assert_eq!(queue.pop(), model.pop(), "{step}");
            }
            let overflow = match random.below(8) {
                0 => random.pick(&POLICIES),
                _ => usual,
            };
            let meta = Meta {
                bytes: random.below(60) as usize,
                level: random.pick(&levels),
                key: random.pick(&keys),
                part: random.pick(&parts),
            };
            let pushed = queue.push(item, meta.clone(), &limits, overflow);
            let expected = model.push(item, meta, &limits, overflow);
            assert_eq!(pushed, expected, "{step}");
            assert_eq!((queue.len(), queue.bytes()), model.load(), "{step}");
        }
        while let Some(popped) = model.pop() {
            assert_eq!(queue.pop(), Some(popped), "seed {seed}");
        }
        assert_eq!(queue.pop(), None, "seed {seed}");
    }
}
