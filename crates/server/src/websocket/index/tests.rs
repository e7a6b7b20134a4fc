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
    assert_eq!(index.channels().count(), 3);
    index.remove(0);
    index.remove(7);
    assert_eq!(index.channels().count(), 0);
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
        let channels = names(1 + below(200));
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
                assert_eq!(index.channels().count(), live.count(), "seed {seed}");
            }
        }
    }
}
