//! The timer wheel.

use tidegate_engine::TimerWheel;

fn drain(wheel: &mut TimerWheel<u32>, now: u32) -> Vec<u32> {
    let mut fired: Vec<_> = std::iter::from_fn(|| wheel.poll(now)).collect();
    fired.sort_unstable();
    fired
}

#[test]
fn entry_falls_due_at_its_tick_and_once() {
    let mut wheel = TimerWheel::new(100);
    wheel.insert(1, 110);
    wheel.insert(2, 111);
    assert_eq!(wheel.next_due(), Some(110));
    assert!(drain(&mut wheel, 109).is_empty());
    assert_eq!(drain(&mut wheel, 110), [1]);
    assert!(drain(&mut wheel, 110).is_empty());
    assert_eq!(wheel.next_due(), Some(111));
    assert_eq!(drain(&mut wheel, 500), [2]);
    assert_eq!(wheel.next_due(), None);
    assert!(wheel.is_empty());
}

#[test]
fn entry_far_away_waits_for_its_round() {
    let mut wheel = TimerWheel::new(0);
    wheel.insert(1, 100_000);
    for now in 1..100_000 {
        assert_eq!(wheel.poll(now), None);
    }
    assert_eq!(drain(&mut wheel, 100_000), [1]);
}

#[test]
fn long_sleep_loses_nothing() {
    let mut wheel = TimerWheel::new(0);
    for due in 0..5_000 {
        wheel.insert(due, due);
    }
    assert_eq!(drain(&mut wheel, u32::MAX - 1).len(), 5_000);
    wheel.insert(7, u32::MAX);
    assert_eq!(drain(&mut wheel, u32::MAX), [7]);
}

#[test]
fn entry_already_due_falls_due_at_the_next_tick() {
    let mut wheel = TimerWheel::new(100);
    assert!(drain(&mut wheel, 200).is_empty());
    wheel.insert(1, 150);
    assert!(drain(&mut wheel, 200).is_empty());
    assert_eq!(wheel.next_due(), Some(201));
    assert_eq!(drain(&mut wheel, 201), [1]);
}

#[test]
fn only_an_earlier_deadline_moves_an_entry() {
    let mut wheel = TimerWheel::new(0);
    let id = wheel.insert(1, 50);
    wheel.hasten(id, 80);
    assert_eq!(wheel.next_due(), Some(50));
    wheel.hasten(id, 20);
    assert_eq!(wheel.next_due(), Some(20));
    assert_eq!(drain(&mut wheel, 20), [1]);
}

#[test]
fn removed_entry_is_gone_and_its_memory_used_again() {
    let mut wheel = TimerWheel::new(0);
    let first = wheel.insert(1, 50);
    wheel.remove(first);
    wheel.remove(first);
    wheel.hasten(first, 10);
    assert_eq!((wheel.len(), wheel.next_due()), (0, None));
    let second = wheel.insert(2, 50);
    assert_eq!(first, second);
    assert_eq!(drain(&mut wheel, 50), [2]);
}

#[test]
fn entry_may_be_removed_or_moved_between_two_polls() {
    let mut wheel = TimerWheel::new(0);
    let ids: Vec<_> = (0..4).map(|key| wheel.insert(key, 10)).collect();
    let first = wheel.poll(10).unwrap();
    for key in 0..4 {
        match key {
            _ if key == first => {}
            0 | 1 => wheel.remove(ids[key as usize]),
            _ => wheel.hasten(ids[key as usize], 5),
        }
    }
    // Those hastened while their slot was looked through are found a tick later.
    drain(&mut wheel, 10);
    drain(&mut wheel, 11);
    assert!(wheel.is_empty());
}

/// 100,000 connections opened together: each turn handles as many as it likes, the rest stays due.
#[test]
fn many_that_fall_due_together_make_no_burst() {
    let mut wheel = TimerWheel::new(0);
    for key in 0..100_000 {
        wheel.insert(key, 480);
    }
    let mut turns = 0;
    while !wheel.is_empty() {
        let now = 480 + turns;
        assert!(wheel.next_due().is_some_and(|due| due <= now));
        for _ in 0..1_000 {
            assert!(wheel.poll(now).is_some());
        }
        turns += 1;
    }
    assert_eq!(turns, 100);
}
