//! What the firewall and the rate limiter have counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::notice::{FilterReason, ViolationKind};

/// What the firewall and the rate limiter have counted since the server was started.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrafficCounters {
    /// Addresses kept out since they were on the list of those to be blocked, by connection or request.
    pub blocked: u64,
    /// Addresses kept out since they were banned.
    pub banned: u64,
    /// Addresses kept out for their country.
    pub country: u64,
    /// Connections refused since an address made too many.
    pub connection_rate: u64,
    /// What looked like an attack, refused or only told of.
    pub attacks: u64,
    /// What was longer than may be.
    pub payloads: u64,
    /// Connections that sent too many messages.
    pub message_floods: u64,
    /// Bans that offences have led to.
    pub bans_made: u64,
    /// Bans that are on now.
    pub bans: u64,
    /// Requests refused since there were too many.
    pub rate_limited: u64,
    /// Of these, the ones over a quota.
    pub over_quota: u64,
}

/// The counts, as they are written. All of it is rare, or the end of somebody who is refused.
#[derive(Debug, Default)]
pub(super) struct Counts {
    blocked: AtomicU64,
    banned: AtomicU64,
    country: AtomicU64,
    connection_rate: AtomicU64,
    attacks: AtomicU64,
    payloads: AtomicU64,
    message_floods: AtomicU64,
    bans_made: AtomicU64,
}

impl Counts {
    pub(super) fn count_filtered(&self, reason: &FilterReason) {
        let count = match reason {
            FilterReason::BlockList => &self.blocked,
            FilterReason::Banned(_) => &self.banned,
            FilterReason::Country(_) => &self.country,
            FilterReason::ConnectionRate => &self.connection_rate,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_violation(&self, kind: &ViolationKind) {
        let count = match kind {
            ViolationKind::Attack(..) => &self.attacks,
            ViolationKind::Payload(_) => &self.payloads,
            ViolationKind::MessageFlood => &self.message_floods,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_ban(&self) {
        self.bans_made.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, counters: &mut TrafficCounters) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        counters.blocked = read(&self.blocked);
        counters.banned = read(&self.banned);
        counters.country = read(&self.country);
        counters.connection_rate = read(&self.connection_rate);
        counters.attacks = read(&self.attacks);
        counters.payloads = read(&self.payloads);
        counters.message_floods = read(&self.message_floods);
        counters.bans_made = read(&self.bans_made);
    }
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
