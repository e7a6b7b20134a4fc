//! Does the timing wheel cost the same with a million entries as with a thousand?
//!
//! `cargo bench -p tidegate-engine --bench timers`. The load is that of heartbeats: each connection has
//! an entry, spread over 300 s of ticks of 100 ms; each that falls due is inserted again. Longer times are
//! of the processor where the system tells them, so that others' load does not count; a larger wheel
//! still costs more where it leaves the caches.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tidegate_engine::{TimerId, TimerWheel};

fn main() {
    println!("nanoseconds each: median of {ROUNDS} rounds (least to most)");
    for count in [1_000, 100_000, 1_000_000] {
        measure(count);
    }
}

fn measure(count: usize) {
    let mut times = [const { Vec::new() }; 4];
    let mut random = Random(count as u64);
    for _ in 0..ROUNDS {
        let mut wheel = TimerWheel::new(0);
        let dues: Vec<u32> = (0..count)
            .map(|_| 1 + random.below(INTERVAL as usize) as u32)
            .collect();
        let mut ids: Vec<TimerId> = Vec::with_capacity(count);
        times[0].push(time(count, || {
            for (key, &due) in (0..).zip(&dues) {
                ids.push(wheel.insert(key, due));
            }
        }));

        let mut beats = 0;
        times[1].push(time(count * BEATS, || {
            for now in 1..=INTERVAL * BEATS as u32 {
                while let Some(key) = wheel.poll(now) {
                    let key: u32 = black_box(key);
                    ids[key as usize] = wheel.insert(key, now + INTERVAL);
                    beats += 1;
                }
            }
        }));
        assert_eq!(beats, count * BEATS);

        random.shuffle(&mut ids);
        times[2].push(time(count, || {
            for &id in &ids {
                wheel.hasten(id, INTERVAL * BEATS as u32 + 1);
            }
        }));
        random.shuffle(&mut ids);
        times[3].push(time(count, || {
            for &id in &ids {
                wheel.remove(id);
            }
        }));
        assert!(wheel.is_empty());
    }
    let [insert, beat, hasten, remove] = times.map(summary);
    println!(
        "{count:9} entries: insert {insert}, fall due and insert again {beat}, hasten {hasten}, \
         remove {remove}"
    );
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
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn shuffle<V>(&mut self, values: &mut [V]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

/// 300 s in ticks of 100 ms.
const INTERVAL: u32 = 3000;

/// How often each entry falls due.
const BEATS: usize = 3;

const ROUNDS: usize = 9;
