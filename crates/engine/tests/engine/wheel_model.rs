//! Random use of the timer wheel beside a list.

use tidegate_engine::{TimerId, TimerWheel};

use crate::random::{Random, for_seeds};

struct Listed {
    key: u64,
    id: TimerId,
    due: u32,
    /// From when on `poll` must find it.
    found_from: u32,
}

fn poll(wheel: &mut TimerWheel<u64>, list: &mut Vec<Listed>, now: u32) -> bool {
    let Some(key) = wheel.poll(now) else {
        return false;
    };
    let index = list.iter().position(|listed| listed.key == key).unwrap();
    let listed = list.swap_remove(index);
    assert!(listed.due <= now, "early");
    true
}

fn step(
    wheel: &mut TimerWheel<u64>,
    list: &mut Vec<Listed>,
    random: &mut Random,
    key: u64,
    now: &mut u32,
) {
    let far = *random.pick(&[3, 50, 2_000, 2_048, 2_049, 10_000]);
    let due = (*now + random.below(far) as u32).saturating_sub(2);
    match random.below(12) {
        0..=4 => list.push(Listed {
            key,
            id: wheel.insert(key, due),
            due,
            found_from: due.max(*now + 1),
        }),
        5 if !list.is_empty() => {
            let listed = list.swap_remove(random.below(list.len()));
            wheel.remove(listed.id);
        }
        6 if !list.is_empty() => {
            let index = random.below(list.len());
            let listed = &mut list[index];
            wheel.hasten(listed.id, due);
            if due < listed.due {
                listed.due = due;
                listed.found_from = due.max(*now + 1);
            }
        }
        7 | 8 => {
            *now += random.below(far) as u32;
            // A turn that stops half way.
            for _ in 0..random.below(3) {
                poll(wheel, list, *now);
            }
        }
        9 => {
            while poll(wheel, list, *now) {}
            assert!(list.iter().all(|listed| listed.found_from > *now), "late");
            match list.iter().map(|listed| listed.found_from).min() {
                Some(first) => {
                    let next = wheel.next_due().unwrap();
                    assert!(*now < next && next <= first, "{now} {next} {first}");
                }
                None => assert_eq!(wheel.next_due(), None),
            }
        }
        _ => {}
    }
    assert_eq!(wheel.len(), list.len());
}

#[test]
fn random_timers_fall_due_as_the_list_says() {
    for_seeds(500, |random| {
        let mut now = random.below(5_000) as u32;
        let mut wheel = TimerWheel::new(now);
        let mut list = Vec::new();
        for key in 0..600 {
            step(&mut wheel, &mut list, random, key, &mut now);
        }
    });
}
