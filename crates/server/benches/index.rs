//! Does the subscription index cost the same with a million subscriptions as with a thousand?
//!
//! `cargo bench -p tidegate --bench index`. Three loads: all members in one channel; a hundredth as many
//! members, each in 100 of as many channels; each member in a channel of its own. Subscriptions are made
//! and taken back in random order. Longer times are of the processor where the system tells them, so
//! that others' load does not count; a larger index still costs more where it leaves the caches. Memory
//! is what was asked of the allocator, without its own overhead and without the channels' names.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[allow(dead_code, unused_imports, reason = "used where it belongs")]
#[path = "../src/websocket/mask.rs"]
mod mask;

#[allow(dead_code, unused_imports, reason = "used where it belongs")]
#[path = "../src/websocket/index.rs"]
mod index;

use index::SubscriptionIndex;

fn main() {
    println!("nanoseconds each: median of {ROUNDS} rounds (least to most); bytes a subscription");
    for count in [1_000, 100_000, 1_000_000] {
        println!("\n{count} subscriptions");
        measure("one channel", count, count, 1, 1);
        measure(
            "100 channels each",
            count,
            count / 100,
            (count / 100).max(100),
            100,
        );
        measure("one each of its own", count, count, count, 1);
    }
}

/// Members `0..members` subscribe to `each` of the channels.
fn measure(name: &str, count: usize, members: usize, channels: usize, each: usize) {
    let names: Vec<Arc<str>> = (0..channels)
        .map(|number| format!("channel/{number:07}").into())
        .collect();
    let mut random = Random(count as u64);
    let mut pairs = Vec::with_capacity(count);
    for member in 0..members {
        let mut own = HashSet::new();
        while own.len() < each {
            let channel = match channels == count {
                true => member,
                false => random.below(channels),
            };
            if own.insert(channel) {
                pairs.push((channel, member as u32));
            }
        }
    }
    let mut times = [const { Vec::new() }; 3];
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let before = ALLOCATED.load(Ordering::Relaxed);
        let mut index = SubscriptionIndex::default();
        random.shuffle(&mut pairs);
        times[0].push(time(count, || subscribe(&mut index, &pairs, &names)));
        bytes = ALLOCATED.load(Ordering::Relaxed) - before;

        random.shuffle(&mut pairs);
        times[1].push(time(count, || {
            for &(channel, member) in &pairs {
                black_box(index.unsubscribe(&names[channel], member));
            }
        }));

        subscribe(&mut index, &pairs, &names);
        times[2].push(time(count, || {
            for &(_, member) in &pairs {
                index.remove(member);
            }
        }));
        assert!(index.matching("*").is_empty());
    }
    let [subscribe, unsubscribe, remove] = times.map(summary);
    println!(
        "{name:20} subscribe {subscribe}, unsubscribe {unsubscribe}, remove all {remove}; {:.1} bytes",
        bytes as f64 / count as f64
    );
}

fn subscribe(index: &mut SubscriptionIndex, pairs: &[(usize, u32)], names: &[Arc<str>]) {
    for &(channel, member) in pairs {
        black_box(index.subscribe(&names[channel], member));
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

/// Counts what is allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size, Ordering::Relaxed);
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above; the pointer came from `System`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 9;
