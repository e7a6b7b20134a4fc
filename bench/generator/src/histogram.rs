//! Latencies in buckets whose width is at most 1/64 of their value.

use std::time::Duration;

/// A count of durations from 64 ns to centuries, in 4,096 buckets: never grows while measuring.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; 64 * STEPS],
            total: 0,
        }
    }

    /// Counts one duration; below 64 ns it counts as 64 ns.
    pub(crate) fn add(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos())
            .unwrap_or(u64::MAX)
            .max(STEPS as u64);
        let magnitude = 63 - nanoseconds.leading_zeros();
        // The six bits after the leading one choose the step inside this power of two.
        let step = (nanoseconds >> (magnitude - STEP_BITS)) as usize & (STEPS - 1);
        self.counts[magnitude as usize * STEPS + step] += 1;
        self.total += 1;
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// The microseconds that a share of all durations stays at or below; `None` when there are none.
    pub(crate) fn quantile_us(&self, share: f64) -> Option<f64> {
        let rank = (self.total as f64 * share) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > rank {
                let (magnitude, step) = (bucket / STEPS, bucket % STEPS);
                let nanoseconds =
                    (STEPS + step) as f64 * 2_f64.powi(magnitude as i32 - STEP_BITS as i32);
                return Some(nanoseconds / 1e3);
            }
        }
        None
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

const STEP_BITS: u32 = 6;
const STEPS: usize = 1 << STEP_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Histogram::new().quantile_us(0.5), None);
    }

    #[test]
    fn quantiles_are_within_a_64th() {
        let mut histogram = Histogram::new();
        for microseconds in 1..=1000 {
            histogram.add(Duration::from_micros(microseconds));
        }
        for (share, exact) in [(0.0, 1.0), (0.5, 501.0), (0.99, 991.0), (0.999, 1000.0)] {
            let found = histogram.quantile_us(share).unwrap();
            assert!(
                (found - exact).abs() <= exact / 64.0,
                "{share}: {found} for {exact}"
            );
        }
    }

    #[test]
    fn shortest_and_longest_find_a_bucket() {
        let mut histogram = Histogram::new();
        histogram.add(Duration::ZERO);
        histogram.add(Duration::MAX);
        assert_eq!(histogram.quantile_us(0.0), Some(0.064));
        assert!(histogram.quantile_us(0.9).unwrap() > 1e15);
        histogram.clear();
        assert_eq!(histogram.quantile_us(0.0), None);
    }
}
