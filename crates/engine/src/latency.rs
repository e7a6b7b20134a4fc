//! How long requests take, as a histogram of a fixed size.
//!
//! Buckets are an eighth of a power of two wide: from a microsecond to more than a minute there are few of
//! them, and none is off by more than an eighth. Who reads the clock is the driver's matter.

use std::time::Duration;

use tidegate_httpapi::{Latency, LatencyBucket};

use crate::counters::{Count, PerWorker};

/// The times of one worker's requests.
#[derive(Debug)]
pub struct LatencyHistogram {
    counts: Box<[Count; BUCKETS]>,
    /// In nanoseconds.
    sum: Count,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self {
            counts: Box::new(std::array::from_fn(|_| Count::default())),
            sum: Count::default(),
        }
    }
}

impl LatencyHistogram {
    /// Counts a request that took so many nanoseconds. For the worker whose it is.
    #[inline]
    pub fn add(&self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)].add(1);
        self.sum.add(nanoseconds);
    }
}

/// The times of all workers' requests.
pub(crate) fn latency(workers: &PerWorker<LatencyHistogram>) -> Latency {
    let mut latency = Latency::default();
    for index in 0..BUCKETS {
        let count: u64 = workers.iter().map(|one| one.counts[index].get()).sum();
        if count > 0 {
            let up_to = Duration::from_micros(longest(index));
            latency.buckets.push(LatencyBucket { up_to, count });
            latency.count += count;
        }
    }
    let sum = workers.iter().map(|one| one.sum.get()).sum();
    latency.sum = Duration::from_nanos(sum);
    latency
}

/// Each power of two has so many buckets; below it, each microsecond has one.
const PARTS: u64 = 8;
const PARTS_BITS: u32 = PARTS.ilog2();

/// What took longer than 2²⁶ µs, 67 s, is counted to the last.
const LONGEST_BITS: u32 = 26;
const BUCKETS: usize = ((LONGEST_BITS - PARTS_BITS + 1) as usize) * PARTS as usize;

#[inline]
fn bucket(nanoseconds: u64) -> usize {
    // Each bucket ends with its longest time: a whole microsecond is the end of one.
    let below = nanoseconds.div_ceil(1000).saturating_sub(1);
    let index = match below < PARTS {
        true => below,
        false => {
            let power = below.ilog2() - PARTS_BITS;
            u64::from(power) * PARTS + (below >> power)
        }
    };
    (index as usize).min(BUCKETS - 1)
}

/// The longest time of a bucket, in microseconds.
fn longest(index: usize) -> u64 {
    let index = index as u64;
    match index < PARTS {
        true => index + 1,
        false => {
            let power = index / PARTS - 1;
            (index % PARTS + PARTS + 1) << power
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_ends_with_its_longest_time() {
        let mut before = 0;
        for index in 0..BUCKETS {
            let longest = longest(index);
            assert!(longest > before);
            assert_eq!(bucket(longest * 1000), index);
            assert_eq!(bucket(before * 1000 + 1), index);
            assert!(longest - before <= (before / PARTS).max(1), "{before}");
            before = longest;
        }
        assert_eq!(before, 1 << LONGEST_BITS);
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn every_power_of_two_is_the_end_of_a_bucket() {
        for bits in 0..=LONGEST_BITS {
            let microseconds = 1 << bits;
            assert_eq!(longest(bucket(microseconds * 1000)), microseconds);
        }
    }

    #[test]
    fn times_of_workers_are_told_together() {
        let workers: PerWorker<LatencyHistogram> = PerWorker::new(2);
        workers.of(0).add(500);
        workers.of(1).add(900);
        workers.of(1).add(3_000_000);
        let latency = latency(&workers);
        assert_eq!(latency.count, 3);
        assert_eq!(latency.sum, Duration::from_nanos(3_001_400));
        assert_eq!(latency.buckets[0].up_to, Duration::from_micros(1));
        assert_eq!(latency.buckets[0].count, 2);
        assert_eq!(latency.quantile(0.5), Duration::from_micros(1));
        let slow = latency.quantile(1.0).as_micros();
        assert!((3_000..=3_375).contains(&slow), "{slow}");
    }
}
