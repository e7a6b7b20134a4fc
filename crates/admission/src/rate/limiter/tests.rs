use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::rate::{Applies, Strategy};

const SEED: Seed = Seed([11, 12]);
/// 2023-11-14T22:13:20Z.
const START: Nanoseconds = 1_700_000_000 * SECOND;

fn rule(name: &str, calls: u32) -> Rule {
    Rule {
        name: name.into(),
        applies: Applies::Address(Vec::new()),
        per: Per::Address,
        limit: Some(Limit::new(calls, Duration::from_secs(60))),
        quotas: [0; 3],
        cost: 1,
    }
}

fn limiter(rules: Vec<Rule>) -> Limiter {
    Limiter::new(Rules::new(rules).unwrap(), LimiterBounds::default(), SEED)
}

fn from(address: impl Into<IpAddr>) -> Caller<'static> {
    Caller {
        method: "GET",
        path: "/",
        api_key: None,
        user: None,
        address: Some(address.into()),
    }
}

fn text(address: &str) -> Caller<'static> {
    from(address.parse::<IpAddr>().unwrap())
}

fn ask(limiter: &Limiter, caller: &Caller<'_>, now: Nanoseconds) -> Decision {
    limiter.check(caller, now).unwrap().1
}

fn allowed(limiter: &Limiter, caller: &Caller<'_>, times: usize, now: Nanoseconds) -> usize {
    (0..times)
        .filter(|_| ask(limiter, caller, now).allowed)
        .count()
}

#[test]
fn a_keys_own_rate_is_instead_of_the_rules() {
    let by_key = Rule {
        per: Per::ApiKey,
        limit: Some(Limit {
            burst: 2,
            ..Limit::new(3, Duration::from_secs(60))
        }),
        ..rule("keys", 3)
    };
    let limiter = limiter(vec![by_key]);
    let key = |id| Caller {
        api_key: Some(id),
        ..text("192.0.2.1")
    };
    let allowed = |caller: &Caller<'_>, rate| {
        let asked = (0..20).map(|_| limiter.check_with(caller, rate, START).unwrap().1.allowed);
        asked.filter(|allowed| *allowed).count()
    };
    assert_eq!(allowed(&key("plain"), None), 2);
    assert_eq!(allowed(&key("fast"), Some(7)), 7);
    assert_eq!(allowed(&key("slow"), Some(1)), 1);
    // Nobody's rate is nothing, whatever a record says.
    assert_eq!(allowed(&key("none"), Some(0)), 1);
    let left = limiter.left_with(&key("fast"), Some(7), START).unwrap().1;
    assert_eq!((left.limit, left.remaining), (7, 0));
    // Who has no key has no rate of a key's.
    assert_eq!(allowed(&text("192.0.2.1"), Some(9)), 2);
}

#[test]
fn each_address_has_its_own_allowance() {
    let limiter = limiter(vec![rule("all", 3)]);
    assert_eq!(allowed(&limiter, &text("192.0.2.1"), 10, START), 3);
    assert_eq!(allowed(&limiter, &text("192.0.2.2"), 10, START), 3);
    assert_eq!(allowed(&limiter, &text("::ffff:192.0.2.2"), 10, START), 0);
    let decision = ask(&limiter, &text("192.0.2.1"), START);
    assert_eq!(decision.cause, Some(Cause::Limit));
    assert_eq!((decision.limit, decision.remaining), (3, 0));
    assert_eq!(decision.retry_after, Duration::from_secs(20));
    assert_eq!(decision.reset, Duration::from_secs(60));
}

#[test]
fn addresses_of_a_v6_network_share_and_other_networks_do_not() {
    let limiter = limiter(vec![rule("all", 3)]);
    let of =
        |network: u16, host: u16| from(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host));
    let passed = (0..100)
        .filter(|host| ask(&limiter, &of(0, *host), START).allowed)
        .count();
    assert_eq!(passed, 3);
    assert!(ask(&limiter, &of(1, 0), START).allowed);
}

#[test]
fn an_api_key_is_counted_wherever_it_comes_from() {
    let limiter = limiter(vec![Rule {
        applies: Applies::ApiKey(None),
        per: Per::ApiKey,
        ..rule("keys", 3)
    }]);
    let with = |id, address: &str| Caller {
        api_key: Some(id),
        ..text(address)
    };
    assert_eq!(allowed(&limiter, &with("a", "192.0.2.1"), 2, START), 2);
    assert_eq!(allowed(&limiter, &with("a", "192.0.2.2"), 2, START), 1);
    assert_eq!(allowed(&limiter, &with("b", "192.0.2.2"), 2, START), 2);
    assert!(limiter.check(&text("192.0.2.1"), START).is_none());
}

#[test]
fn peeking_charges_nothing() {
    let limiter = limiter(vec![Rule {
        quotas: [2, 0, 0],
        ..rule("all", 3)
    }]);
    for _ in 0..10 {
        let (_, decision) = limiter.peek(&text("192.0.2.1"), START).unwrap();
        assert_eq!(
            (decision.allowed, decision.limit, decision.remaining),
            (true, 2, 1)
        );
    }
    let (_, decision) = limiter.left(&text("192.0.2.1"), START).unwrap();
    assert_eq!(
        (decision.allowed, decision.limit, decision.remaining),
        (true, 2, 2)
    );
    assert_eq!(allowed(&limiter, &text("192.0.2.1"), 9, START), 2);
    let (_, decision) = limiter.left(&text("192.0.2.1"), START).unwrap();
    assert_eq!((decision.allowed, decision.remaining), (true, 0));
}

#[test]
fn quotas_end_with_their_period_and_refused_calls_are_not_counted() {
    let quotas = [3, 5, 6];
    let limiter = limiter(vec![Rule {
        limit: None,
        quotas,
        ..rule("quota", 1)
    }]);
    let caller = text("192.0.2.1");
    let hour = 3_600 * SECOND;
    let start = START - START % hour;
    assert_eq!(allowed(&limiter, &caller, 10, start), 3);
    let decision = ask(&limiter, &caller, start);
    assert_eq!(decision.cause, Some(Cause::Quota(Period::Hour)));
    assert_eq!((decision.limit, decision.retry_after.as_secs()), (3, 3_600));
    // 23:00, the last hour of the day: two are left.
    assert_eq!(allowed(&limiter, &caller, 10, start + hour), 2);
    let decision = ask(&limiter, &caller, start + hour);
    assert_eq!(decision.cause, Some(Cause::Quota(Period::Day)));
    // The next day: one is left of the month.
    assert_eq!(allowed(&limiter, &caller, 10, start + 2 * hour), 1);
    let decision = ask(&limiter, &caller, start + 2 * hour);
    assert_eq!(decision.cause, Some(Cause::Quota(Period::Month)));
    let next_month = start + 2 * hour + Nanoseconds::from(decision.retry_after.as_secs()) * SECOND;
    assert_eq!(allowed(&limiter, &caller, 10, next_month), 3);
}

#[test]
fn what_the_quota_refuses_does_not_use_the_limit_up() {
    let limiter = limiter(vec![Rule {
        quotas: [1, 0, 0],
        ..rule("both", 2)
    }]);
    let caller = text("192.0.2.1");
    let end = Period::Hour.around(START).1 * SECOND;
    assert_eq!(allowed(&limiter, &caller, 50, end - SECOND), 1);
    assert_eq!(allowed(&limiter, &caller, 50, end), 1);
}

// An attacker's view: more addresses than there is room for, each used once. Those who have used their
// allowance up stay known, strangers are let in, memory stays what it was.
#[test]
fn more_addresses_than_there_is_room_for_change_nothing_for_others() {
    let bounds = LimiterBounds {
        keys_max: 100_000,
        ..LimiterBounds::default()
    };
    let limiter = Limiter::new(Rules::new(vec![rule("all", 5)]).unwrap(), bounds, SEED);
    let capacity = limiter.table.capacity();
    assert!(capacity <= 100_000);
    let greedy = |number: u32| from(Ipv4Addr::from_bits(0xcb00_7100 + number));
    for number in 0..200 {
        assert_eq!(allowed(&limiter, &greedy(number), 6, START), 5);
    }
    for number in 0..1_200_000_u32 {
        let caller = match number % 2 {
            0 => from(Ipv4Addr::from_bits(0x0a00_0000 + number)),
            _ => from(Ipv6Addr::from_bits(u128::from(number) << 64)),
        };
        assert!(
            ask(&limiter, &caller, START).allowed,
            "a stranger was refused"
        );
    }
    assert!(limiter.len() <= capacity);
    assert_eq!(limiter.table.capacity(), capacity);
    let known = (0..200).filter(|number| !ask(&limiter, &greedy(*number), START).allowed);
    assert_eq!(known.count(), 200);
}

#[test]
fn a_restart_gives_nobody_a_new_allowance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rates");
    let rules = || {
        let quota = Rule {
            limit: None,
            quotas: [0, 4, 0],
            ..rule("quota", 1)
        };
        let endpoint = Applies::Endpoint("/quota".parse().unwrap());
        Rules::new(vec![
            rule("all", 3),
            Rule {
                applies: endpoint,
                ..quota
            },
        ])
        .unwrap()
    };
    let load = |now| Limiter::load(&path, rules(), LimiterBounds::default(), SEED, now);
    let (first, loaded) = load(START);
    assert_eq!(loaded.unwrap(), 0);
    let (caller, quota) = (
        text("192.0.2.1"),
        Caller {
            path: "/quota",
            ..text("192.0.2.1")
        },
    );
    assert_eq!(allowed(&first, &caller, 10, START), 3);
    assert_eq!(allowed(&first, &quota, 10, START), 4);
    first.save(&path, START).unwrap();

    let other_seed = Seed([5, 5]);
    let now = START + SECOND;
    let (second, loaded) = Limiter::load(&path, rules(), LimiterBounds::default(), other_seed, now);
    assert_eq!(loaded.unwrap(), 2);
    assert_eq!(allowed(&second, &caller, 10, now), 0);
    assert_eq!(allowed(&second, &quota, 10, now), 0);
    assert_eq!(allowed(&second, &text("192.0.2.2"), 10, now), 3);
    // What has become fresh meanwhile is not kept.
    second.save(&path, START + 3_600 * SECOND).unwrap();
    let (third, loaded) = load(START + 3_600 * SECOND);
    assert_eq!(loaded.unwrap(), 1);
    assert_eq!(allowed(&third, &caller, 10, START + 3_600 * SECOND), 3);
}

#[test]
fn a_file_that_is_not_ours_is_told_and_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rates");
    let load = || {
        let rules = Rules::new(vec![rule("all", 3)]).unwrap();
        Limiter::load(&path, rules, LimiterBounds::default(), SEED, START)
    };
    for content in [&b"# text\n"[..], b"", b"TGRATES\x03", b"TGRATES\x02torn"] {
        fs::write(&path, content).unwrap();
        let (limiter, loaded) = load();
        assert!(loaded.is_err(), "{content:?}");
        assert_eq!(allowed(&limiter, &text("192.0.2.1"), 10, START), 3);
    }
    // What is whole, but of a strange length.
    snapshot::write(&path, MARK, |out| out.write_all(b"odd")).unwrap();
    assert!(load().1.is_err());
}

#[test]
fn the_bucket_and_the_windows_serve_many_threads_no_more_than_allowed() {
    for strategy in [
        Strategy::TokenBucket,
        Strategy::SlidingWindow,
        Strategy::FixedWindow,
    ] {
        let limit = Limit {
            strategy,
            ..Limit::new(1_000, Duration::from_secs(60))
        };
        let limiter = limiter(vec![Rule {
            limit: Some(limit),
            ..rule("all", 1)
        }]);
        let passed: usize = std::thread::scope(|scope| {
            let many =
                (0..4).map(|_| scope.spawn(|| allowed(&limiter, &text("192.0.2.1"), 1_000, START)));
            let many: Vec<_> = many.collect();
            many.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(passed, 1_000, "{strategy:?}");
    }
}

#[test]
fn an_application_can_charge_what_it_likes() {
    let limiter = limiter(Vec::new());
    let limit = Limit::new(10, Duration::from_secs(1));
    let consume = |key: &[u8], cost| limiter.consume("mail", &limit, key, cost, START);
    assert_eq!(consume(b"a", 7).remaining, 3);
    assert!(!consume(b"a", 4).allowed);
    assert!(consume(b"a", 3).allowed);
    assert_eq!(consume(b"b", 1).remaining, 9);
}
