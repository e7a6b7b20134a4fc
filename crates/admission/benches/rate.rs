//! What does one check of an allowance cost, with few callers and with more than there is room for?
//!
//! `cargo bench -p tidegate-admission --bench rate`. Callers come in random order, as an attacker's do, so that
//! with many of them their states are not in the processor's caches. Times are of the processor where the
//! system tells them, so that others' load does not count. Finding the rule among many is left out: there is
//! one. The look-up in a list of addresses is measured as well.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use tidegate_admission::address_list::AddressList;
use tidegate_admission::rate::{
    Applies, Caller, Limit, Limiter, LimiterBounds, Per, Rule, Rules, Strategy,
};
use tidegate_admission::table::{SECOND, Seed};

fn main() {
    println!("nanoseconds each: median of {ROUNDS} rounds (least to most)");
    for (name, strategy, quotas) in [
        ("token bucket", Strategy::TokenBucket, [0; 3]),
        ("sliding window", Strategy::SlidingWindow, [0; 3]),
        (
            "token bucket, 3 quotas",
            Strategy::TokenBucket,
            [1_000_000; 3],
        ),
    ] {
        for callers in [1_000, 1_000_000, 4_000_000] {
            check(name, strategy, quotas, callers);
        }
    }
    for entries in [1_000, 1_000_000] {
        look_up(entries);
    }
}

fn check(name: &str, strategy: Strategy, quotas: [u32; 3], callers: u64) {
    let limit = Limit {
        strategy,
        ..Limit::new(100, Duration::from_secs(60))
    };
    let rule = Rule {
        name: "all".into(),
        applies: Applies::Address(Vec::new()),
        per: Per::Address,
        limit: Some(limit),
        quotas,
        cost: 1,
    };
    let rules = Rules::new(vec![rule]).expect("the rule is one");
    let limiter = Limiter::new(rules, LimiterBounds::default(), Seed([1, 2]));
    let mut random = Random(callers);
    let mut now = 1_700_000_000 * SECOND;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let addresses: Vec<IpAddr> = (0..CHECKS)
            .map(|_| Ipv4Addr::from_bits(random.below(callers) as u32).into())
            .collect();
        times.push(time(CHECKS, || {
            for &address in &addresses {
                let caller = Caller {
                    method: "GET",
                    path: "/",
                    api_key: None,
                    user: None,
                    address: Some(address),
                };
                black_box(limiter.check(&caller, now));
                now += 1_000;
            }
        }));
    }
    println!("{name}, {callers} callers: {}", summary(times));
}

fn look_up(entries: u64) {
    let mut random = Random(entries);
    let v6 = |bits: u64| Ipv6Addr::from_bits(u128::from(bits) << 64);
    let ranges = (0..entries).map(|index| {
        let bits = random.below(u64::MAX);
        let range = match index % 2 {
            0 => format!("{}/28", Ipv4Addr::from_bits(bits as u32)),
            _ => format!("{}/56", v6(bits)),
        };
        range.parse().expect("a range")
    });
    let list: AddressList = ranges.collect();
    for is_v4 in [true, false] {
        let addresses: Vec<IpAddr> = (0..CHECKS)
            .map(|_| match (is_v4, random.below(u64::MAX)) {
                (true, bits) => Ipv4Addr::from_bits(bits as u32).into(),
                (false, bits) => v6(bits).into(),
            })
            .collect();
        let times = (0..ROUNDS).map(|_| {
            time(CHECKS, || {
                for &address in &addresses {
                    black_box(list.contains(address));
                }
            })
        });
        let family = if is_v4 { "IPv4" } else { "IPv6" };
        println!("list of {entries}, {family}: {}", summary(times.collect()));
    }
}

/// Nanoseconds for each of `count`.
fn time(count: usize, work: impl FnOnce()) -> f64 {
    let (processor, clock) = (processor_time(), Instant::now());
    work();
    let clock = clock.elapsed();
    // The system counts it in steps of some milliseconds. What is short is seldom disturbed.
    let taken = match (processor, processor_time()) {
        (Some(before), Some(after)) if clock > Duration::from_millis(50) => after - before,
        _ => clock,
    };
    taken.as_nanos() as f64 / count as f64
}

/// What this thread has had of the processor. Linux only.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn summary(mut times: Vec<f64>) -> String {
    times.sort_unstable_by(f64::total_cmp);
    let (least, median, most) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
    format!("{median:.0} ({least:.0} to {most:.0})")
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
}

const CHECKS: usize = 1_000_000;

const ROUNDS: usize = 7;
