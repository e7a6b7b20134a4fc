//! What the firewall has counted. Only what is unusual is: a request that passes touches none of it.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::firewall::Firewall;
use super::notice::{FilterReason, ViolationKind};
use crate::server::Server;

/// What a server's firewall has counted since it was started.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FirewallStatistics {
    /// Connections, requests and messages refused since their address is on the list of those to be blocked.
    pub blocked: u64,
    /// Those refused since their address is banned.
    pub banned: u64,
    /// Those refused for their country.
    pub countries: u64,
    /// Connections refused since their address makes too many.
    pub connection_floods: u64,
    /// Requests and messages that looked like an attack, those included that were let through.
    pub attacks: u64,
    /// Requests and messages that were too long.
    pub payloads: u64,
    /// Messages that were too many, those included that were let through.
    pub message_floods: u64,
    /// Requests that the application's own rule refused.
    pub rules: u64,
    /// Requests and messages refused for what they did, all kinds together.
    pub refused: u64,
    /// Requests of programs.
    pub bots: u64,
    /// Offences counted to addresses: whatever of this is one, and proofs that failed.
    pub offences: u64,
    /// Bans that offences have led to.
    pub bans: u64,
}

#[derive(Default)]
pub(super) struct Statistics {
    blocked: AtomicU64,
    banned: AtomicU64,
    countries: AtomicU64,
    connection_floods: AtomicU64,
    attacks: AtomicU64,
    payloads: AtomicU64,
    message_floods: AtomicU64,
    rules: AtomicU64,
    refused: AtomicU64,
    bots: AtomicU64,
    offences: AtomicU64,
    bans: AtomicU64,
}

impl Statistics {
    pub(super) fn filtered(&self, reason: FilterReason) {
        count(match reason {
            FilterReason::BlockList => &self.blocked,
            FilterReason::Banned(_) => &self.banned,
            FilterReason::Country(_) => &self.countries,
            FilterReason::ConnectionRate => &self.connection_floods,
        });
    }

    pub(super) fn violated(&self, kind: ViolationKind, is_refused: bool) {
        count(match kind {
            ViolationKind::Attack(..) => &self.attacks,
            ViolationKind::Payload(_) => &self.payloads,
            ViolationKind::MessageFlood => &self.message_floods,
            ViolationKind::Rule => &self.rules,
        });
        if is_refused {
            count(&self.refused);
        }
    }

    pub(super) fn bot(&self) {
        count(&self.bots);
    }

    pub(super) fn offence(&self, has_banned: bool) {
        count(&self.offences);
        if has_banned {
            count(&self.bans);
        }
    }

    pub(super) fn now(&self) -> FirewallStatistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        FirewallStatistics {
            blocked: read(&self.blocked),
            banned: read(&self.banned),
            countries: read(&self.countries),
            connection_floods: read(&self.connection_floods),
            attacks: read(&self.attacks),
            payloads: read(&self.payloads),
            message_floods: read(&self.message_floods),
            rules: read(&self.rules),
            refused: read(&self.refused),
            bots: read(&self.bots),
            offences: read(&self.offences),
            bans: read(&self.bans),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Server {
    /// What the firewall has counted since it was started; nothing where it is not switched on, or while the server
    /// is not started.
    pub fn firewall_statistics(&self) -> FirewallStatistics {
        let doors = self.doors().ok().flatten();
        let firewall = doors.as_deref().and_then(|doors| doors.firewall());
        firewall.map_or_else(FirewallStatistics::default, |of| Firewall::statistics(of))
    }
}
