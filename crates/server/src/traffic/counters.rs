//! What the firewall and the rate limiter have counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::statistics::FirewallStatistics;

/// What the firewall and the rate limiter have counted since the server was started.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrafficCounters {
    /// The firewall's.
    pub firewall: FirewallStatistics,
    /// Bans that are on now.
    pub bans: u64,
    /// Requests refused since there were too many.
    pub rate_limited: u64,
    /// Of these, the ones over a quota.
    pub over_quota: u64,
}

/// What the rate limiter has refused.
#[derive(Debug, Default)]
pub(super) struct RateCounts {
    pub(super) limited: AtomicU64,
    pub(super) over_quota: AtomicU64,
}

impl RateCounts {
    pub(super) fn count(&self, is_quota: bool) {
        self.limited.fetch_add(1, Ordering::Relaxed);
        if is_quota {
            self.over_quota.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn add_to(&self, counters: &mut TrafficCounters) {
        counters.rate_limited = self.limited.load(Ordering::Relaxed);
        counters.over_quota = self.over_quota.load(Ordering::Relaxed);
    }
}
