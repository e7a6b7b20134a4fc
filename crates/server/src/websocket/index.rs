//! Who of a lane's connections has subscribed to which channel.
//!
//! A subscription stands in two lists, its channel's and its member's, and each entry knows where the
//! other is. To take one out, the last of each list is put into its place: every step costs the same,
//! however many members a channel has. Whoever may subscribe has been decided before.
//! Source: the component's channels (Subscribe, UnSubscribe, Broadcast's filter).

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::mask;

/// Channels and their members.
///
/// A member is a small number, such as its connection's index: memory is held for the largest.
#[derive(Default)]
pub(crate) struct SubscriptionIndex {
    /// Those that have members. The standard hasher, since names may come from peers.
    numbers: HashMap<Arc<str>, u32>,
    /// By number. One without members is unused.
    channels: Vec<Channel>,
    unused: Vec<u32>,
    /// What each member has subscribed to.
    members: Vec<Subscriptions>,
}

#[derive(Default)]
struct Channel {
    name: Arc<str>,
    members: Vec<u32>,
    /// For each of `members`, where in its list this channel is.
    backward: Vec<u32>,
}

/// A channel in its member's list.
#[derive(Clone, Copy, Default)]
struct Subscription {
    channel: u32,
    /// Where the member is in the channel's list.
    position: u32,
}

/// The channels of one member.
enum Subscriptions {
    /// Most have one or two; these need no memory of their own.
    Few(u8, [Subscription; FEW]),
    Many(Box<Many>),
}

#[derive(Default)]
struct Many {
    list: Vec<Subscription>,
    /// Where in `list` each channel is; empty while that is so short that it is looked through.
    places: FxHashMap<u32, u32>,
}

impl SubscriptionIndex {
    /// Subscribes a member. Says whether it had not been subscribed.
    pub(crate) fn subscribe(&mut self, channel: &Arc<str>, member: u32) -> bool {
        let number = match self.numbers.get(channel) {
            Some(&number) => number,
            None => self.add_channel(channel),
        };
        let index = member as usize;
        if index >= self.members.len() {
            self.add_members(index + 1);
        }
        let own = &mut self.members[index];
        if own.find(number).is_some() {
            return false;
        }
        let channel = &mut self.channels[number as usize];
        let position = channel.members.len() as u32;
        channel.backward.push(own.len() as u32);
        channel.members.push(member);
        own.push(Subscription {
            channel: number,
            position,
        });
        true
    }

    /// Takes a subscription back. Says whether there was one.
    pub(crate) fn unsubscribe(&mut self, channel: &str, member: u32) -> bool {
        let place = self.numbers.get(channel).and_then(|&number| {
            let own = self.members.get(member as usize)?;
            own.find(number)
        });
        if let Some(place) = place {
            self.cut(member, place);
        }
        place.is_some()
    }

    /// Takes all of a member's subscriptions back.
    pub(crate) fn remove(&mut self, member: u32) {
        while let Some(own) = self.members.get(member as usize)
            && let Some(last) = own.len().checked_sub(1)
        {
            self.cut(member, last);
        }
    }

    /// Who has subscribed to a channel, in no order.
    pub(crate) fn members(&self, channel: &str) -> &[u32] {
        match self.numbers.get(channel) {
            Some(&number) => &self.channels[number as usize].members,
            None => &[],
        }
    }

    /// Who has subscribed to any channel whose name matches `mask`, each once, in no order.
    ///
    /// Looks at the name of every channel, unless the mask is a mere name.
    pub(crate) fn matching(&self, mask: &str) -> Cow<'_, [u32]> {
        if !mask::is_mask(mask) {
            return Cow::Borrowed(self.members(mask));
        }
        let mut matching = self
            .channels
            .iter()
            .filter(|channel| !channel.members.is_empty() && mask::matches(mask, &channel.name));
        let first = matching.next().map_or(&[][..], |channel| &channel.members);
        let Some(second) = matching.next() else {
            return Cow::Borrowed(first);
        };
        let mut seen = vec![false; self.members.len()];
        let all = first
            .iter()
            .chain(&second.members)
            .chain(matching.flat_map(|channel| &channel.members));
        let members = all.filter(|&&member| !mem::replace(&mut seen[member as usize], true));
        Cow::Owned(members.copied().collect())
    }

    /// Makes room for members below `end`, and for some more, but not for as many again.
    fn add_members(&mut self, end: usize) {
        if end > self.members.capacity() {
            let more = (end - self.members.len()).max(self.members.len() / 4);
            self.members.reserve_exact(more);
        }
        self.members.resize_with(end, Subscriptions::default);
    }

    fn add_channel(&mut self, name: &Arc<str>) -> u32 {
        let channel = Channel {
            name: Arc::clone(name),
            ..Channel::default()
        };
        let number = match self.unused.pop() {
            Some(number) => {
                self.channels[number as usize] = channel;
                number
            }
            None => {
                self.channels.push(channel);
                (self.channels.len() - 1) as u32
            }
        };
        self.numbers.insert(Arc::clone(name), number);
        number
    }

    /// Takes out the subscription at `place` in its member's list.
    fn cut(&mut self, member: u32, place: usize) {
        let own = &mut self.members[member as usize];
        let cut = own.swap_remove(place);
        if let Some(moved) = own.as_slice().get(place) {
            let channel = &mut self.channels[moved.channel as usize];
            channel.backward[moved.position as usize] = place as u32;
        }
        let channel = &mut self.channels[cut.channel as usize];
        let position = cut.position as usize;
        channel.members.swap_remove(position);
        channel.backward.swap_remove(position);
        if let Some(&moved) = channel.members.get(position) {
            let place = channel.backward[position] as usize;
            self.members[moved as usize].as_mut_slice()[place].position = cut.position;
        }
        if channel.members.is_empty() {
            self.numbers.remove(&mem::take(channel).name);
            self.unused.push(cut.channel);
        } else {
            give_back(&mut channel.members);
            give_back(&mut channel.backward);
        }
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self::Few(0, [Subscription::default(); FEW])
    }
}

impl Subscriptions {
    fn as_slice(&self) -> &[Subscription] {
        match self {
            Self::Few(len, list) => &list[..usize::from(*len)],
            Self::Many(many) => &many.list,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Subscription] {
        match self {
            Self::Few(len, list) => &mut list[..usize::from(*len)],
            Self::Many(many) => &mut many.list,
        }
    }

    fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Where in the list a channel is.
    fn find(&self, channel: u32) -> Option<usize> {
        match self {
            Self::Many(many) if !many.places.is_empty() => {
                many.places.get(&channel).map(|&place| place as usize)
            }
            _ => self
                .as_slice()
                .iter()
                .position(|own| own.channel == channel),
        }
    }

    fn push(&mut self, subscription: Subscription) {
        match self {
            Self::Few(len, list) if usize::from(*len) < FEW => {
                list[usize::from(*len)] = subscription;
                *len += 1;
            }
            Self::Few(_, list) => {
                let mut many = Box::<Many>::default();
                many.list.extend_from_slice(list);
                many.list.push(subscription);
                *self = Self::Many(many);
            }
            Self::Many(many) => many.push(subscription),
        }
    }

    fn swap_remove(&mut self, place: usize) -> Subscription {
        match self {
            Self::Few(len, list) => {
                let removed = list[place];
                *len -= 1;
                list[place] = list[usize::from(*len)];
                removed
            }
            Self::Many(many) => {
                let removed = many.swap_remove(place);
                // Not already at two, lest a third that comes and goes allocates each time.
                if let [last] = many.list[..] {
                    *self = Self::Few(1, [last, Subscription::default()]);
                }
                removed
            }
        }
    }
}

impl Many {
    fn push(&mut self, subscription: Subscription) {
        let place = self.list.len();
        self.list.push(subscription);
        if !self.places.is_empty() {
            self.places.insert(subscription.channel, place as u32);
        } else if place == LOOKED_THROUGH_MAX {
            let places = (0..).zip(&self.list);
            self.places = places.map(|(place, own)| (own.channel, place)).collect();
        }
    }

    fn swap_remove(&mut self, place: usize) -> Subscription {
        let removed = self.list.swap_remove(place);
        give_back(&mut self.list);
        if self.list.len() < LOOKED_THROUGH_MAX / 2 {
            self.places = FxHashMap::default();
        } else if !self.places.is_empty() {
            self.places.remove(&removed.channel);
            if let Some(moved) = self.list.get(place) {
                self.places.insert(moved.channel, place as u32);
            }
        }
        removed
    }
}

/// Gives memory back when most of it is unused, so seldom that it costs nothing.
fn give_back<T>(list: &mut Vec<T>) {
    if list.capacity() >= 64 && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}

const FEW: usize = 2;

/// A longer list gets a table: up to here looking through it is about as fast, and smaller.
const LOOKED_THROUGH_MAX: usize = 128;

const _: () = assert!(size_of::<Subscriptions>() == 24);

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn names(count: usize) -> Vec<Arc<str>> {
        (0..count)
            .map(|number| format!("c{number}").into())
            .collect()
    }

    fn sorted(members: &[u32]) -> Vec<u32> {
        let mut members = members.to_vec();
        members.sort_unstable();
        members
    }

    #[test]
    fn a_member_subscribes_once() {
        let channel: Arc<str> = "a".into();
        let mut index = SubscriptionIndex::default();
        assert!(index.subscribe(&channel, 3));
        assert!(!index.subscribe(&channel, 3));
        assert_eq!(index.members("a"), [3]);
        assert!(index.unsubscribe("a", 3));
        assert!(!index.unsubscribe("a", 3));
        assert!(!index.unsubscribe("b", 3));
        assert!(!index.unsubscribe("a", 4));
        assert_eq!(index.members("a"), [0; 0]);
    }

    #[test]
    fn a_channel_without_members_is_forgotten() {
        let channels = names(3);
        let mut index = SubscriptionIndex::default();
        for channel in &channels {
            index.subscribe(channel, 0);
        }
        assert_eq!(index.numbers.len(), 3);
        index.remove(0);
        index.remove(7);
        assert_eq!(index.numbers.len(), 0);
        // Names that come and go take no more memory.
        for name in names(1000) {
            index.subscribe(&name, 0);
            index.unsubscribe(&name, 0);
        }
        assert_eq!(index.channels.len(), 3);
        assert!(
            channels
                .iter()
                .all(|channel| Arc::strong_count(channel) == 1)
        );
    }

    #[test]
    fn a_mask_finds_each_member_once() {
        let mut index = SubscriptionIndex::default();
        for (channel, member) in [
            ("Room 1", 1),
            ("Room 1", 2),
            ("Room 2", 2),
            ("Room 3", 4),
            ("Room 3", 1),
            ("Hall", 5),
        ] {
            index.subscribe(&channel.into(), member);
        }
        for (mask, expected) in [
            ("Room*", &[1, 2, 4][..]),
            ("Room ?", &[1, 2, 4]),
            ("Room 1", &[1, 2]),
            ("H*", &[5]),
            ("*", &[1, 2, 4, 5]),
            ("Garden*", &[]),
            ("Garden", &[]),
        ] {
            assert_eq!(sorted(&index.matching(mask)), expected, "{mask}");
        }
        // Nobody is found in what has been left.
        index.remove(5);
        assert!(index.matching("H*").is_empty());
    }

    #[test]
    fn memory_is_given_back() {
        let channel: Arc<str> = "a".into();
        let mut index = SubscriptionIndex::default();
        for member in 0..10_000 {
            index.subscribe(&channel, member);
        }
        for member in 1..10_000 {
            index.remove(member);
        }
        assert_eq!(index.members("a"), [0]);
        assert!(index.channels[0].members.capacity() < 64);
        for name in names(1000) {
            index.subscribe(&name, 0);
        }
        index.remove(0);
        assert!(matches!(index.members[0], Subscriptions::Few(0, _)));
    }

    /// Both lists of every subscription point at each other, and the table agrees with the list.
    fn check(index: &SubscriptionIndex) {
        for (member, own) in index.members.iter().enumerate() {
            for (place, subscription) in own.as_slice().iter().enumerate() {
                let channel = &index.channels[subscription.channel as usize];
                let position = subscription.position as usize;
                assert_eq!(channel.members[position], member as u32);
                assert_eq!(channel.backward[position], place as u32);
                assert_eq!(own.find(subscription.channel), Some(place));
            }
            if let Subscriptions::Many(many) = own {
                assert!(many.places.is_empty() || many.places.len() == many.list.len());
            }
        }
        for (name, &number) in &index.numbers {
            assert_eq!(&index.channels[number as usize].name, name);
        }
    }

    #[test]
    fn random_walks_agree_with_a_set_of_pairs() {
        for seed in 1..20_u64 {
            let mut state = seed;
            let mut below = |end: u64| {
                // Source: G. Marsaglia, "Xorshift RNGs", 2003.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state % end) as usize
            };
            // Some walks with few channels, some with so many that lists get tables.
            let channels = names(1 + below(300));
            let member_count = 1 + below(12) as u64;
            let mut index = SubscriptionIndex::default();
            let mut model = BTreeMap::<&str, BTreeSet<u32>>::new();
            for step in 0..3000 {
                let channel = &channels[below(channels.len() as u64)];
                let member = below(member_count) as u32;
                match below(100) {
                    0 => {
                        index.remove(member);
                        for members in model.values_mut() {
                            members.remove(&member);
                        }
                    }
                    1..60 => {
                        let is_new = model.entry(channel).or_default().insert(member);
                        assert_eq!(index.subscribe(channel, member), is_new, "seed {seed}");
                    }
                    _ => {
                        let was = model.entry(channel).or_default().remove(&member);
                        assert_eq!(index.unsubscribe(channel, member), was, "seed {seed}");
                    }
                }
                if step % 50 == 0 {
                    check(&index);
                    for (channel, members) in &model {
                        let expected: Vec<_> = members.iter().copied().collect();
                        assert_eq!(sorted(index.members(channel)), expected, "seed {seed}");
                    }
                    let live = model.values().filter(|members| !members.is_empty());
                    assert_eq!(index.numbers.len(), live.count(), "seed {seed}");
                }
            }
        }
    }
}
