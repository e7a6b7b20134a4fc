mod model;

use super::*;

const WIDE: QueueLimits = QueueLimits {
    messages: 1000,
    bytes: 1_000_000,
};

const FOUR: QueueLimits = QueueLimits {
    messages: 4,
    bytes: 1_000_000,
};

const HUNDRED_BYTES: QueueLimits = QueueLimits {
    messages: 1000,
    bytes: 100,
};

fn meta(part: Part, level: Level) -> Meta {
    Meta {
        bytes: 10,
        level,
        key: None,
        part,
    }
}

fn keyed(key: &str, bytes: usize) -> Meta {
    Meta {
        bytes,
        level: Level::None,
        key: Some(key.into()),
        part: Part::Whole,
    }
}

/// Adds items of level none that all find room.
fn queue(items: &[(u32, Part)]) -> SendQueue<u32> {
    let mut queue = SendQueue::default();
    for &(item, part) in items {
        push(&mut queue, item, part);
    }
    queue
}

fn push(queue: &mut SendQueue<u32>, item: u32, part: Part) {
    let pushed = queue.push(item, meta(part, Level::None), &WIDE, Overflow::Wait);
    assert_eq!(pushed, Pushed::Queued);
}

fn pop_all(queue: &mut SendQueue<u32>) -> Vec<u32> {
    std::iter::from_fn(|| queue.pop())
        .map(|(item, _)| item)
        .collect()
}

// The component's QueueOptions: level 1 first, and before it what has no level.
#[test]
fn levels_go_one_after_the_other() {
    let mut queue = SendQueue::default();
    let levels = [
        Level::Level3,
        Level::Level1,
        Level::None,
        Level::Level2,
        Level::Level1,
        Level::None,
    ];
    for (item, level) in levels.into_iter().enumerate() {
        queue.push(item, meta(Part::Whole, level), &WIDE, Overflow::Wait);
    }
    assert_eq!((queue.len(), queue.bytes()), (6, 60));
    let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    assert_eq!(order, [2, 5, 1, 4, 3, 0].map(|item| (item, 10)));
    assert!(queue.is_idle());
}

// RFC 6455 §5.4: the fragments of one message are not interleaved with those of another.
#[test]
fn whole_messages_wait_until_a_streamed_one_is_through() {
    let mut queue = queue(&[(1, Part::First), (2, Part::Whole)]);
    assert_eq!(queue.pop(), Some((1, 10)));
    assert_eq!(queue.pop(), None);
    assert_eq!(queue.len(), 1);
    push(&mut queue, 3, Part::Continue);
    push(&mut queue, 4, Part::Whole);
    push(&mut queue, 5, Part::Last);
    assert_eq!(pop_all(&mut queue), [3, 5, 2, 4]);
}

// RFC 6455 §5.4: control frames may be injected in the middle of a fragmented message.
#[test]
fn control_frames_pass_between_parts() {
    let mut queue = queue(&[(1, Part::First), (2, Part::Last)]);
    queue.pop();
    push(&mut queue, 3, Part::Control);
    let level3 = meta(Part::Control, Level::Level3);
    queue.push(4, level3, &WIDE, Overflow::Wait);
    assert_eq!(pop_all(&mut queue), [3, 4, 2]);
}

#[test]
fn control_frames_keep_to_their_level() {
    let mut queue = queue(&[(1, Part::Whole)]);
    for (item, part) in [(2, Part::Whole), (3, Part::Control), (4, Part::Whole)] {
        queue.push(item, meta(part, Level::Level1), &WIDE, Overflow::Wait);
    }
    push(&mut queue, 5, Part::Control);
    assert_eq!(pop_all(&mut queue), [5, 1, 2, 3, 4]);
}

#[test]
fn a_streamed_message_has_the_level_of_its_first_part() {
    let mut queue = SendQueue::default();
    for (item, part, level) in [
        (1, Part::First, Level::Level2),
        (2, Part::Continue, Level::None),
        (3, Part::Whole, Level::Level1),
        (4, Part::Last, Level::Level3),
    ] {
        queue.push(item, meta(part, level), &WIDE, Overflow::Wait);
    }
    assert_eq!(pop_all(&mut queue), [3, 1, 2, 4]);
}

#[test]
fn the_next_streamed_message_may_be_added_while_one_is_sent() {
    let mut queue = queue(&[(1, Part::First), (2, Part::Last)]);
    queue.pop();
    push(&mut queue, 3, Part::First);
    push(&mut queue, 4, Part::Continue);
    assert_eq!(pop_all(&mut queue), [2, 3, 4]);
    push(&mut queue, 5, Part::Last);
    assert_eq!(pop_all(&mut queue), [5]);
    assert!(queue.is_idle());
}

#[test]
fn a_queue_with_an_open_streamed_message_is_not_idle() {
    let mut queue = queue(&[(1, Part::First)]);
    assert_eq!(pop_all(&mut queue), [1]);
    assert!(queue.is_empty() && !queue.is_idle());
    push(&mut queue, 2, Part::Last);
    assert!(!queue.is_idle());
    assert_eq!(pop_all(&mut queue), [2]);
    assert!(queue.is_idle());
}

#[test]
fn a_part_out_of_sequence_is_dropped() {
    let mut queue = queue(&[(1, Part::Whole)]);
    for part in [Part::Continue, Part::Last] {
        let pushed = queue.push(2, meta(part, Level::None), &WIDE, Overflow::Wait);
        assert_eq!(pushed, Pushed::DroppedNewest(vec![2]));
    }
    push(&mut queue, 3, Part::First);
    let pushed = queue.push(4, meta(Part::First, Level::None), &WIDE, Overflow::Wait);
    assert_eq!(pushed, Pushed::DroppedNewest(vec![4]));
    push(&mut queue, 5, Part::Last);
    assert_eq!(pop_all(&mut queue), [1, 3, 5]);
}

#[test]
fn the_limit_of_messages_holds() {
    let mut queue = SendQueue::default();
    for item in 0..4 {
        let pushed = queue.push(item, meta(Part::Whole, Level::None), &FOUR, Overflow::Wait);
        assert_eq!(pushed, Pushed::Queued);
    }
    let whole = || meta(Part::Whole, Level::None);
    assert_eq!(
        queue.push(4, whole(), &FOUR, Overflow::Wait),
        Pushed::Full(4)
    );
    assert_eq!(
        queue.push(4, whole(), &FOUR, Overflow::Disconnect),
        Pushed::Overflowed(4)
    );
    assert_eq!(
        queue.push(4, whole(), &FOUR, Overflow::DropNewest),
        Pushed::DroppedNewest(vec![4])
    );
    assert_eq!(
        queue.push(4, whole(), &FOUR, Overflow::DropOldest),
        Pushed::DroppedOldest(vec![0])
    );
    assert_eq!(pop_all(&mut queue), [1, 2, 3, 4]);
}

#[test]
fn the_limit_of_bytes_holds() {
    let mut queue = SendQueue::default();
    for (item, bytes, expected) in [
        (0, 60, Pushed::Queued),
        (1, 41, Pushed::Full(1)),
        (1, 40, Pushed::Queued),
        (2, 1, Pushed::Full(2)),
        (2, usize::MAX, Pushed::Full(2)),
    ] {
        let meta = Meta {
            bytes,
            ..meta(Part::Whole, Level::None)
        };
        assert_eq!(
            queue.push(item, meta, &HUNDRED_BYTES, Overflow::Wait),
            expected
        );
    }
}

#[test]
fn a_message_longer_than_the_limit_may_wait_alone() {
    for overflow in POLICIES {
        let mut queue = SendQueue::default();
        push(&mut queue, 0, Part::Control);
        let long = || Meta {
            bytes: 101,
            ..meta(Part::Whole, Level::None)
        };
        assert_eq!(
            queue.push(1, long(), &HUNDRED_BYTES, overflow),
            Pushed::Queued
        );
        let second = queue.push(2, long(), &HUNDRED_BYTES, overflow);
        match overflow {
            Overflow::DropOldest => assert_eq!(second, Pushed::DroppedOldest(vec![1])),
            _ => assert_ne!(second, Pushed::Queued),
        }
        assert_eq!(queue.len(), 2);
    }
}

#[test]
fn control_frames_are_never_dropped() {
    for overflow in POLICIES {
        let mut queue = queue(&[(0, Part::Whole), (1, Part::Whole)]);
        queue.push(2, meta(Part::Whole, Level::None), &FOUR, Overflow::Wait);
        queue.push(3, meta(Part::Whole, Level::None), &FOUR, Overflow::Wait);
        for item in 4..8 {
            let control = meta(Part::Control, Level::None);
            assert_eq!(queue.push(item, control, &FOUR, overflow), Pushed::Queued);
        }
        assert_eq!(queue.clear().len(), 4);
        assert_eq!(pop_all(&mut queue), [4, 5, 6, 7]);
    }
}

#[test]
fn the_oldest_is_dropped_of_whatever_level() {
    let mut queue = SendQueue::default();
    for (item, level) in [
        (0, Level::Level2),
        (1, Level::None),
        (2, Level::Level3),
        (3, Level::None),
    ] {
        queue.push(item, meta(Part::Whole, level), &FOUR, Overflow::DropOldest);
    }
    for (item, oldest) in [(4, 0), (5, 1), (6, 2)] {
        let pushed = queue.push(
            item,
            meta(Part::Whole, Level::Level1),
            &FOUR,
            Overflow::DropOldest,
        );
        assert_eq!(pushed, Pushed::DroppedOldest(vec![oldest]));
    }
    assert_eq!(pop_all(&mut queue), [3, 4, 5, 6]);
}

#[test]
fn a_streamed_message_is_dropped_whole() {
    let mut queue = queue(&[(0, Part::First), (1, Part::Continue), (2, Part::Whole)]);
    push(&mut queue, 3, Part::Whole);
    let pushed = queue.push(
        4,
        meta(Part::Whole, Level::None),
        &FOUR,
        Overflow::DropOldest,
    );
    assert_eq!(pushed, Pushed::DroppedOldest(vec![0, 1]));
    for (item, part) in [(5, Part::Continue), (6, Part::Last)] {
        let pushed = queue.push(item, meta(part, Level::None), &WIDE, Overflow::Wait);
        assert_eq!(pushed, Pushed::DroppedNewest(vec![item]));
    }
    push(&mut queue, 7, Part::First);
    assert_eq!(pop_all(&mut queue), [2, 3, 4, 7]);
}

#[test]
fn a_streamed_message_may_itself_be_the_oldest() {
    let mut queue = queue(&[(0, Part::First), (1, Part::Whole), (2, Part::Whole)]);
    push(&mut queue, 3, Part::Whole);
    let pushed = queue.push(
        4,
        meta(Part::Continue, Level::None),
        &FOUR,
        Overflow::DropOldest,
    );
    assert_eq!(pushed, Pushed::DroppedNewest(vec![0, 4]));
    let pushed = queue.push(
        5,
        meta(Part::Last, Level::None),
        &FOUR,
        Overflow::DropOldest,
    );
    assert_eq!(pushed, Pushed::DroppedNewest(vec![5]));
    assert_eq!(pop_all(&mut queue), [1, 2, 3]);
    assert!(queue.is_idle());
}

#[test]
fn a_streamed_message_that_finds_no_room_is_dropped_as_the_newest() {
    let mut queue = queue(&[(0, Part::Whole), (1, Part::First), (2, Part::Whole)]);
    push(&mut queue, 3, Part::Whole);
    let last = || meta(Part::Last, Level::None);
    assert_eq!(
        queue.push(4, last(), &FOUR, Overflow::Wait),
        Pushed::Full(4)
    );
    assert_eq!(
        queue.push(4, last(), &FOUR, Overflow::DropNewest),
        Pushed::DroppedNewest(vec![1, 4])
    );
    push(&mut queue, 5, Part::First);
    push(&mut queue, 6, Part::Last);
    assert_eq!(pop_all(&mut queue), [0, 2, 3, 5, 6]);
}

#[test]
fn the_rest_of_a_first_part_that_was_dropped_is_dropped() {
    let mut queue = SendQueue::default();
    for item in 0..4 {
        push(&mut queue, item, Part::Whole);
    }
    for (item, part) in [(4, Part::First), (5, Part::Continue), (6, Part::Last)] {
        let pushed = queue.push(item, meta(part, Level::None), &FOUR, Overflow::DropNewest);
        assert_eq!(pushed, Pushed::DroppedNewest(vec![item]));
    }
    assert_eq!(pop_all(&mut queue), [0, 1, 2, 3]);
}

#[test]
fn parts_of_a_message_being_sent_have_room_of_their_own() {
    for overflow in POLICIES {
        let mut queue = queue(&[(0, Part::First)]);
        queue.pop();
        for item in 1..5 {
            push(&mut queue, item, Part::Whole);
        }
        for item in 5..9 {
            let pushed = queue.push(item, meta(Part::Continue, Level::None), &FOUR, overflow);
            assert_eq!(pushed, Pushed::Queued);
        }
        let ninth = queue.push(9, meta(Part::Last, Level::None), &FOUR, overflow);
        match overflow {
            Overflow::Wait => assert_eq!(ninth, Pushed::Full(9)),
            _ => assert_eq!(ninth, Pushed::Overflowed(9)),
        }
        push(&mut queue, 9, Part::Last);
        assert_eq!(pop_all(&mut queue), [5, 6, 7, 8, 9, 1, 2, 3, 4]);
    }
}

#[test]
fn a_key_takes_the_place_of_the_message_that_waits() {
    let mut queue = SendQueue::default();
    for (item, key) in [(0, "a"), (1, "b"), (2, "c")] {
        queue.push(item, keyed(key, 10), &WIDE, Overflow::Coalesce);
    }
    push(&mut queue, 3, Part::Whole);
    queue.pop();
    let pushed = queue.push(4, keyed("b", 20), &WIDE, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::Replaced(1));
    // What has been sent has no place any more.
    let pushed = queue.push(5, keyed("a", 10), &WIDE, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::Queued);
    assert_eq!((queue.len(), queue.bytes()), (4, 50));
    assert_eq!(pop_all(&mut queue), [4, 2, 3, 5]);
    assert!(queue.keys.is_empty());
}

#[test]
fn a_full_queue_drops_the_oldest_that_has_a_key() {
    let mut queue = SendQueue::default();
    push(&mut queue, 0, Part::Whole);
    for (item, key) in [(1, "a"), (2, "b"), (3, "c")] {
        queue.push(item, keyed(key, 10), &FOUR, Overflow::Coalesce);
    }
    let pushed = queue.push(4, keyed("d", 10), &FOUR, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::DroppedOldest(vec![1]));
    // One without a key has the same right, and is not dropped for another.
    for (item, oldest) in [(5, 2), (6, 3), (7, 4)] {
        let plain = meta(Part::Whole, Level::None);
        let pushed = queue.push(item, plain, &FOUR, Overflow::Coalesce);
        assert_eq!(pushed, Pushed::DroppedOldest(vec![oldest]));
    }
    let pushed = queue.push(8, keyed("e", 10), &FOUR, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::Overflowed(8));
    assert_eq!(pop_all(&mut queue), [0, 5, 6, 7]);
}

#[test]
fn a_longer_value_drops_the_oldest_until_it_fits() {
    let mut queue = SendQueue::default();
    for (item, key) in [(0, "a"), (1, "b"), (2, "c")] {
        queue.push(item, keyed(key, 30), &HUNDRED_BYTES, Overflow::Coalesce);
    }
    let pushed = queue.push(3, keyed("b", 40), &HUNDRED_BYTES, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::Replaced(1));
    let pushed = queue.push(4, keyed("c", 50), &HUNDRED_BYTES, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::DroppedOldest(vec![0, 2]));
    // It is itself the oldest.
    let pushed = queue.push(5, keyed("b", 60), &HUNDRED_BYTES, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::DroppedOldest(vec![3, 4]));
    let pushed = queue.push(6, keyed("b", 200), &HUNDRED_BYTES, Overflow::Coalesce);
    assert_eq!(pushed, Pushed::Replaced(5));
    assert_eq!(queue.pop(), Some((6, 200)));
}

#[test]
fn a_key_means_nothing_to_other_policies() {
    let mut queue = SendQueue::default();
    for item in 0..2 {
        let pushed = queue.push(item, keyed("a", 10), &WIDE, Overflow::DropOldest);
        assert_eq!(pushed, Pushed::Queued);
    }
    assert_eq!(pop_all(&mut queue), [0, 1]);
}

#[test]
fn clear_keeps_what_has_begun() {
    let mut queue = queue(&[(0, Part::First), (1, Part::Continue)]);
    queue.pop();
    push(&mut queue, 2, Part::Control);
    push(&mut queue, 3, Part::Whole);
    queue.push(4, keyed("a", 10), &WIDE, Overflow::Coalesce);
    assert_eq!(queue.clear().len(), 2);
    push(&mut queue, 5, Part::Last);
    queue.push(6, keyed("a", 10), &WIDE, Overflow::Coalesce);
    assert_eq!(pop_all(&mut queue), [2, 1, 5, 6]);
}

#[test]
fn clear_drops_the_rest_of_a_message_that_has_not_begun() {
    let mut queue = queue(&[(0, Part::First), (1, Part::Continue)]);
    assert_eq!(queue.clear().len(), 2);
    let pushed = queue.push(2, meta(Part::Last, Level::None), &WIDE, Overflow::Wait);
    assert_eq!(pushed, Pushed::DroppedNewest(vec![2]));
    assert!(queue.is_idle());
}

const POLICIES: [Overflow; 5] = [
    Overflow::Wait,
    Overflow::DropOldest,
    Overflow::DropNewest,
    Overflow::Coalesce,
    Overflow::Disconnect,
];
