use tidegate_httpapi::FlowRate;

use super::*;

const KIB: u32 = 1024;

fn at(milliseconds: u64) -> Duration {
    // Well after the beginning, so that what was not used before counts in full.
    Duration::from_secs(100) + Duration::from_millis(milliseconds)
}

fn group(group: Option<u32>, session: Option<u32>) -> Arc<GroupBandwidth> {
    let bandwidth = GroupBandwidth::default();
    bandwidth.send.set(group);
    bandwidth.session.send.set(session);
    Arc::new(bandwidth)
}

/// What one worker sends of what is limited when it looks every `step` milliseconds, from `from` to `until`.
fn sent_by(
    shaper: &mut Shaper<u32>,
    group: &Arc<GroupBandwidth>,
    step: u64,
    (from, until): (u64, u64),
) -> u64 {
    let mut sent = 0;
    for now in (from..until).step_by(step as usize) {
        loop {
            let available = shaper.available(1, group, at(now));
            if available == 0 {
                break;
            }
            shaper.take(1, group, available);
            sent += available;
        }
    }
    sent
}

fn is_about(sent: u64, rate: u32, seconds: u64) {
    let wanted = u64::from(rate) * seconds;
    // What was not used before, and one slice.
    let most = wanted + u64::from(rate) / 4 + slice_bytes(rate.into());
    let least = wanted - slice_bytes(rate.into());
    assert!((least..=most).contains(&sent), "{sent} of {wanted}");
}

#[test]
fn what_is_sent_keeps_the_rate() {
    for rate in [KIB, 100 * KIB, KIB * KIB, 1_000_000_000] {
        for step in [1, 7, 50, 200] {
            let sent = sent_by(
                &mut Shaper::default(),
                &group(Some(rate), None),
                step,
                (0, 10_000),
            );
            is_about(sent, rate, 10);
        }
    }
}

#[test]
fn without_a_limit_all_may_be_sent() {
    let mut shaper = Shaper::default();
    assert_eq!(shaper.available(1, &group(None, None), at(0)), u64::MAX);
    assert_eq!(shaper.due(at(0)), None);
}

#[test]
fn the_tighter_of_two_limits_rules() {
    for (of_group, of_session) in [(100, 50), (50, 100)] {
        let group = group(Some(of_group * KIB), Some(of_session * KIB));
        let sent = sent_by(&mut Shaper::default(), &group, 10, (0, 10_000));
        is_about(sent, 50 * KIB, 10);
    }
}

#[test]
fn workers_share_one_rate_and_are_served_in_turn() {
    let group = group(Some(100 * KIB), None);
    let mut workers: Vec<(Shaper<u32>, u64)> = (0..4).map(|_| Default::default()).collect();
    for now in 0..20_000 {
        for (shaper, sent) in &mut workers {
            let available = shaper.available(1, &group, at(now));
            shaper.take(1, &group, available);
            *sent += available;
        }
    }
    let sum: u64 = workers.iter().map(|(_, sent)| sent).sum();
    let wanted = u64::from(100 * KIB) * 20;
    assert!(
        sum >= wanted - 4 * slice_bytes(u64::from(100 * KIB)),
        "{sum}"
    );
    assert!(sum <= wanted + wanted / 50, "{sum}");
    for (_, sent) in workers {
        assert!((wanted / 4).abs_diff(sent) < wanted / 50, "{sent} of {sum}");
    }
}

#[test]
fn workers_with_more_connections_get_more() {
    let group = group(Some(1024 * KIB), None);
    let mut workers: Vec<(Shaper<u32>, u64)> = (0..2).map(|_| Default::default()).collect();
    workers[0].0.wait(0, &group);
    (0..3).for_each(|key| workers[1].0.wait(key, &group));
    for now in 0..20_000 {
        for (shaper, sent) in &mut workers {
            while let Some(key) = shaper.next_ready(at(now)) {
                let available = shaper.available(key, &group, at(now));
                shaper.take(key, &group, available);
                shaper.wait(key, &group);
                *sent += available;
            }
        }
    }
    let (one, three) = (workers[0].1, workers[1].1);
    assert!((3 * one).abs_diff(three) < three / 10, "{one} {three}");
    is_about(one + three, 1024 * KIB, 20);
}

#[test]
fn groups_of_a_session_share_its_limit() {
    let session: Arc<SessionBandwidth> = Arc::default();
    session.send.set(Some(40 * KIB));
    let groups: Vec<Arc<GroupBandwidth>> = (0..2)
        .map(|_| {
            Arc::new(GroupBandwidth {
                send: Bandwidth::default(),
                session: Arc::clone(&session),
            })
        })
        .collect();
    let mut shaper = Shaper::default();
    let mut sent = [0, 0];
    for index in 0..2 {
        shaper.wait(index, &groups[index as usize]);
    }
    for now in 0..10_000 {
        while let Some(key) = shaper.next_ready(at(now)) {
            let group = &groups[key as usize];
            let available = shaper.available(key, group, at(now));
            shaper.take(key, group, available);
            sent[key as usize] += available;
            shaper.wait(key, group);
        }
    }
    is_about(sent[0] + sent[1], 40 * KIB, 10);
    assert!(sent[0].abs_diff(sent[1]) < u64::from(KIB) * 8, "{sent:?}");
}

#[test]
fn a_small_answer_waits_for_one_round_of_the_large_ones() {
    let group = group(Some(100 * KIB), None);
    let mut shaper = Shaper::default();
    // Ten downloads that never end.
    (0..10).for_each(|key| shaper.wait(key, &group));
    let mut turns = 0;
    let mut asked_at = None;
    for now in 0..10_000 {
        if now == 5_000 {
            assert_eq!(
                shaper.available(99, &group, at(now)),
                0,
                "others came before"
            );
            shaper.wait(99, &group);
            asked_at = Some(turns);
        }
        while let Some(key) = shaper.next_ready(at(now)) {
            turns += 1;
            let available = shaper.available(key, &group, at(now));
            assert!(available > 0 && available <= group.quantum() as u64);
            shaper.take(key, &group, available);
            if key == 99 {
                assert_eq!(turns - asked_at.unwrap(), 11);
                return;
            }
            shaper.wait(key, &group);
        }
    }
    panic!("the small answer was starved");
}

#[test]
fn who_vanishes_from_the_line_takes_nothing_along() {
    let group = group(Some(10 * KIB), None);
    let mut shaper = Shaper::default();
    shaper.wait(1, &group);
    shaper.wait(2, &group);
    let due = shaper.due(at(0)).unwrap();
    assert_eq!(shaper.next_ready(due), Some(1));
    // 1 has gone: 2 gets what it would have had.
    assert_eq!(shaper.next_ready(due), Some(2));
    assert!(shaper.available(2, &group, due) > 0);
    shaper.take(2, &group, 1);
    assert!(shaper.is_idle());
}

#[test]
fn a_higher_rate_acts_at_once() {
    let group = group(Some(KIB), None);
    let mut shaper = Shaper::default();
    sent_by(&mut shaper, &group, 10, (0, 1_000));
    shaper.wait(1, &group);
    assert_eq!(shaper.next_ready(at(1_000)), None);
    group.send.set(Some(KIB * KIB));
    shaper.reconsider();
    let due = shaper.due(at(1_000)).unwrap();
    assert!(due <= at(1_001), "{due:?}");
    assert_eq!(shaper.next_ready(at(1_001)), Some(1));
    let sent = sent_by(&mut shaper, &group, 1, (1_001, 2_001));
    is_about(sent, KIB * KIB, 1);
    shaper.wait(1, &group);
    group.send.set(None);
    assert_eq!(shaper.next_ready(at(2_001)), Some(1));
    assert_eq!(shaper.available(1, &group, at(2_001)), u64::MAX);
}

#[test]
fn a_lower_rate_acts_at_once_and_does_not_punish_what_was_before() {
    let group = group(Some(1_000_000_000), None);
    let mut shaper = Shaper::default();
    sent_by(&mut shaper, &group, 1, (0, 1_000));
    group.send.set(Some(10 * KIB));
    let sent = sent_by(&mut shaper, &group, 1, (1_000, 11_000));
    is_about(sent, 10 * KIB, 10);
}

#[test]
fn what_is_received_is_paid_for_afterwards() {
    let bandwidth = Bandwidth::default();
    assert_eq!(bandwidth.charge(1 << 40, at(0)), at(0));
    bandwidth.set(Some(KIB));
    // A quarter of a second is there from before.
    assert_eq!(bandwidth.charge(1024, at(0)), at(750));
    assert_eq!(bandwidth.charge(1024, at(10)), at(1_750));
    assert_eq!(bandwidth.charge(512, at(3_000)), at(3_250));
    bandwidth.set(Some(2 * KIB));
    // What is owed takes half as long at twice the rate.
    assert_eq!(bandwidth.charge(2048, at(3_050)), at(4_150));
}

#[test]
fn a_response_has_a_burst_and_then_its_rate() {
    let rate = FlowRate {
        max_bandwidth: 10 * KIB,
        max_peak_bandwidth: 100 * KIB,
        burst_size: 200 * KIB,
    };
    let mut flow = ResponseFlow::begin(rate, at(0));
    let mut sent_at = Vec::new();
    let mut sent = 0;
    for now in 0..20_000 {
        if let Ok(available) = flow.available(1 << 20, at(now)) {
            flow.take(available, at(now));
            sent += available;
        }
        sent_at.push(sent);
    }
    let slice = slice_bytes(u64::from(100 * KIB));
    for (now, &sent) in sent_at.iter().enumerate() {
        let at_peak = u64::from(100 * KIB) * now as u64 / 1000;
        assert!(sent <= at_peak + slice, "{sent} at {now}");
    }
    let burst = u64::from(200 * KIB);
    assert!(sent_at[2_100] >= burst - slice && sent_at[2_100] <= burst + 2 * slice);
    let steady = burst + u64::from(10 * KIB) * 18;
    assert!(sent_at[19_999].abs_diff(steady) <= 2 * slice);
}

#[test]
fn a_response_that_fell_behind_catches_up_at_the_peak() {
    let rate = FlowRate {
        max_bandwidth: 10 * KIB,
        max_peak_bandwidth: 20 * KIB,
        burst_size: 0,
    };
    let mut flow = ResponseFlow::begin(rate, at(0));
    let mut send = |from: u64, until: u64| {
        let mut sent = 0;
        for now in from..until {
            if let Ok(available) = flow.available(1 << 20, at(now)) {
                flow.take(available, at(now));
                sent += available;
            }
        }
        sent
    };
    // The peer takes nothing for ten seconds; then it catches up within ten, and goes on at its rate.
    let caught_up = send(10_000, 20_000);
    assert!(
        caught_up.abs_diff(u64::from(200 * KIB)) <= 4 * u64::from(KIB),
        "{caught_up}"
    );
    let steady = send(20_000, 30_000);
    assert!(
        steady.abs_diff(u64::from(100 * KIB)) <= 4 * u64::from(KIB),
        "{steady}"
    );
    while let Ok(available) = flow.available(u64::MAX, at(30_000)) {
        flow.take(available, at(30_000));
    }
    let until = flow.available(u64::MAX, at(30_000)).unwrap_err();
    assert!(flow.available(u64::MAX, until).is_ok());
}
