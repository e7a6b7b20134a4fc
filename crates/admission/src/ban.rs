//! Who is kept out for a while, or for good.
//!
//! [`Bans`] knows who is banned; [`offence`] decides who is to be, from what they did; [`mod@file`] keeps bans over a
//! restart and lets another process change them. A ban that comes again is longer than the one before.
//! Source: the component's Firewall: BruteForce, ThreatScore, ban levels, persistent bans.

pub mod file;
pub mod offence;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::table::{Key, Nanoseconds, Network, SECOND, Seed};

/// Why somebody is banned.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum BanReason {
    /// Somebody said so.
    Manual,
    /// It tried too many passwords or keys.
    BruteForce,
    /// What it did came to more than the threshold.
    ThreatScore,
}

impl BanReason {
    /// As files and commands call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::BruteForce => "brute_force",
            Self::ThreatScore => "threat_score",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Manual, Self::BruteForce, Self::ThreatScore]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

/// A ban. Times are seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ban {
    /// Who is banned: an IPv4 address, or an IPv6 network by its first address.
    pub address: IpAddr,
    /// When it began.
    pub since: u64,
    /// When it ends; `None` is never.
    pub until: Option<u64>,
    /// How many it has been, counted from 1, as far as those before are remembered.
    pub level: u8,
    /// Why.
    pub reason: BanReason,
}

impl Ban {
    /// Whether it is still on.
    pub fn is_on(&self, now: Nanoseconds) -> bool {
        self.until.is_none_or(|until| now / SECOND < until)
    }

    /// When nothing of it needs to be known any more.
    fn forgotten_at(&self, remember: u64) -> u64 {
        self.until
            .map_or(u64::MAX, |until| until.saturating_add(remember))
    }
}

/// How bans are made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BanRules {
    /// How long the first ban is, the second, and so on; the last for all after. Default 15 minutes, an hour, a
    /// day, a week.
    pub durations: Vec<Duration>,
    /// How long after its end a ban makes the next one longer. Default 30 days.
    pub remember: Duration,
    /// Most bans kept, those included that have ended and are remembered. Default 100,000.
    ///
    /// One more takes the place of that which would be forgotten first.
    pub bans_max: usize,
    /// Common bits of the IPv6 addresses that are banned together. Default 64.
    pub v6_bits: u8,
}

impl Default for BanRules {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            durations: vec![
                Duration::from_secs(900),
                Duration::from_secs(3_600),
                day,
                7 * day,
            ],
            remember: 30 * day,
            bans_max: 100_000,
            v6_bits: 64,
        }
    }
}

/// What changed, for the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Somebody was banned.
    Banned(Ban),
    /// Somebody was let in again, by this address.
    Unbanned(IpAddr),
}

/// Who is banned.
pub struct Bans {
    rules: BanRules,
    seed: Seed,
    shards: Box<[Shard]>,
    /// How many are known in all shards. Read before any lock is taken, so that a server without bans takes none.
    known: AtomicUsize,
    /// What the file has yet to be told. Locked while a shard is, and by whoever writes the file, who locks nothing
    /// meanwhile.
    changes: Mutex<Vec<Change>>,
}

/// Guards a part of the bans; `changes` may be locked while it is held.
#[repr(align(128))]
#[derive(Default)]
struct Shard(Mutex<HashMap<Network, Ban>>);

const SHARDS: usize = 64;

impl Bans {
    /// Nobody is banned. `seed` must be random.
    pub fn new(rules: BanRules, seed: Seed) -> Self {
        Self {
            rules,
            seed,
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            known: AtomicUsize::new(0),
            changes: Mutex::default(),
        }
    }

    /// The ban that keeps an address out; `None` when none does.
    #[inline]
    pub fn find(&self, address: IpAddr, now: Nanoseconds) -> Option<Ban> {
        // Whoever was banned a moment ago by another thread may get one more request in.
        if self.known.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let network = self.network(address);
        let ban = self.shard(network).get(&network).copied()?;
        ban.is_on(now).then_some(ban)
    }

    /// Bans an address for what it did, longer than the last time.
    ///
    /// `None` when it is banned for longer already, or when there is no room left beside bans without an end.
    pub fn escalate(&self, address: IpAddr, reason: BanReason, now: Nanoseconds) -> Option<Ban> {
        let network = self.network(address);
        let seconds = now / SECOND;
        let mut shard = self.shard(network);
        let before = shard.get(&network);
        if before.is_some_and(|ban| ban.is_on(now)) {
            return None;
        }
        let remember = self.rules.remember.as_secs();
        let before = before.filter(|ban| ban.forgotten_at(remember) > seconds);
        let level = before.map_or(1, |ban| ban.level.saturating_add(1));
        let durations = &self.rules.durations;
        let duration = durations.get(usize::from(level) - 1).or(durations.last());
        let until = duration.map(|duration| seconds.saturating_add(duration.as_secs()));
        let ban = Ban {
            address: network.address(),
            since: seconds,
            until,
            level,
            reason,
        };
        self.put(&mut shard, network, ban)
            .then(|| self.note(&shard, Change::Banned(ban)))?;
        Some(ban)
    }

    /// Bans an address until further notice, or for a time. Replaces a ban that it has.
    ///
    /// `None` when there is no room left beside bans without an end.
    pub fn ban(
        &self,
        address: IpAddr,
        duration: Option<Duration>,
        now: Nanoseconds,
    ) -> Option<Ban> {
        let network = self.network(address);
        let seconds = now / SECOND;
        let mut shard = self.shard(network);
        let ban = Ban {
            address: network.address(),
            since: seconds,
            until: duration.map(|duration| seconds.saturating_add(duration.as_secs())),
            level: shard.get(&network).map_or(1, |ban| ban.level),
            reason: BanReason::Manual,
        };
        self.put(&mut shard, network, ban)
            .then(|| self.note(&shard, Change::Banned(ban)))?;
        Some(ban)
    }

    /// Lets an address in again, and forgets that it was banned. Whether it was.
    pub fn unban(&self, address: IpAddr) -> bool {
        let network = self.network(address);
        let mut shard = self.shard(network);
        let is_known = shard.remove(&network).is_some();
        if is_known {
            self.known.fetch_sub(1, Ordering::Relaxed);
            self.note(&shard, Change::Unbanned(network.address()));
        }
        is_known
    }

    /// All bans that are on, those without an end first, then the longest.
    pub fn list(&self, now: Nanoseconds) -> Vec<Ban> {
        let mut all: Vec<Ban> = self.known_bans();
        all.retain(|ban| ban.is_on(now));
        all.sort_by_key(|ban| {
            (
                std::cmp::Reverse(ban.until.unwrap_or(u64::MAX)),
                ban.address,
            )
        });
        all
    }

    /// How many bans are known, those that have ended and are remembered too.
    pub fn known(&self) -> usize {
        self.known.load(Ordering::Relaxed)
    }

    /// All bans that are known, those that have ended and are remembered too.
    pub fn known_bans(&self) -> Vec<Ban> {
        let shards = self.shards.iter();
        shards
            .flat_map(|shard| shard.lock().values().copied().collect::<Vec<_>>())
            .collect()
    }

    /// Forgets what need not be remembered any more. To be called now and then.
    pub fn sweep(&self, now: Nanoseconds) {
        let (seconds, remember) = (now / SECOND, self.rules.remember.as_secs());
        for shard in &self.shards {
            let mut bans = shard.lock();
            let before = bans.len();
            bans.retain(|_, ban| ban.forgotten_at(remember) > seconds);
            self.known.fetch_sub(before - bans.len(), Ordering::Relaxed);
        }
    }

    /// What has changed since this was last called, for the file.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives changes back that could not be written, to be taken again before those that came since.
    pub fn put_back(&self, mut taken: Vec<Change>) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        taken.append(&mut changes);
        // One more than may be says that the file has to be written anew.
        taken.truncate(self.rules.bans_max + 1);
        *changes = taken;
    }

    /// Does what a file says, of which it need not be told.
    pub fn apply(&self, change: Change, now: Nanoseconds) {
        match change {
            Change::Banned(ban) => {
                let network = self.network(ban.address);
                let ban = Ban {
                    address: network.address(),
                    ..ban
                };
                let remember = self.rules.remember.as_secs();
                if ban.forgotten_at(remember) > now / SECOND {
                    self.put(&mut self.shard(network), network, ban);
                }
            }
            Change::Unbanned(address) => {
                let network = self.network(address);
                if self.shard(network).remove(&network).is_some() {
                    self.known.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn network(&self, address: IpAddr) -> Network {
        Network::of(address, self.rules.v6_bits)
    }

    fn shard(&self, network: Network) -> MutexGuard<'_, HashMap<Network, Ban>> {
        let key = Key::new(self.seed, 0, &[&network.to_bytes()]);
        self.shards[key.bits() as usize % SHARDS].lock()
    }

    /// Whether there was room.
    fn put(&self, shard: &mut HashMap<Network, Ban>, network: Network, ban: Ban) -> bool {
        let room = (self.rules.bans_max / SHARDS).max(1);
        if shard.len() >= room && !shard.contains_key(&network) {
            let remember = self.rules.remember.as_secs();
            let first = shard
                .iter()
                .min_by_key(|(_, ban)| ban.forgotten_at(remember));
            match first {
                Some((&network, first)) if first.until.is_some() => shard.remove(&network),
                _ => return false,
            };
            self.known.fetch_sub(1, Ordering::Relaxed);
        }
        if shard.insert(network, ban).is_none() {
            self.known.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Keeps a change for the file; while the shard is locked, so that they are in their order.
    fn note(&self, _shard: &HashMap<Network, Ban>, change: Change) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has no file does not fetch them. More than there can be bans are no help to a file either,
        // which is written anew then.
        if changes.len() <= self.rules.bans_max {
            changes.push(change);
        }
    }

    /// Whether changes were left out, so that the file has to be written anew.
    pub fn has_overflowed(&self, changes: &[Change]) -> bool {
        changes.len() > self.rules.bans_max
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, HashMap<Network, Ban>> {
        // A map is whole after any panic in here that could be.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bans {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Bans({} known)",
            self.known.load(Ordering::Relaxed)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanoseconds = 1_700_000_000 * SECOND;

    fn bans(rules: BanRules) -> Bans {
        Bans::new(rules, Seed([3, 4]))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_ban_is_longer_than_the_one_before_until_it_is_forgotten() {
        let bans = bans(BanRules::default());
        let who = address("192.0.2.1");
        let mut now = START;
        for (level, seconds) in [
            (1, 900),
            (2, 3_600),
            (3, 86_400),
            (4, 604_800),
            (5, 604_800),
        ] {
            let ban = bans.escalate(who, BanReason::BruteForce, now).unwrap();
            assert_eq!(
                (ban.level, ban.until),
                (level, Some(now / SECOND + seconds))
            );
            assert!(bans.escalate(who, BanReason::BruteForce, now).is_none());
            now += (seconds - 1) * SECOND;
            assert!(bans.find(who, now).is_some());
            now += SECOND;
            assert!(bans.find(who, now).is_none());
        }
        now += 30 * 86_400 * SECOND;
        assert_eq!(
            bans.escalate(who, BanReason::BruteForce, now)
                .unwrap()
                .level,
            1
        );
    }

    #[test]
    fn a_v6_network_is_banned_and_the_next_is_not() {
        let bans = bans(BanRules::default());
        bans.ban(address("2001:db8::7"), None, START).unwrap();
        bans.ban(address("::ffff:192.0.2.1"), None, START).unwrap();
        assert!(bans.find(address("2001:db8::ffff:1"), START).is_some());
        assert!(bans.find(address("2001:db8:0:1::1"), START).is_none());
        assert!(bans.find(address("192.0.2.1"), START).is_some());
        assert!(bans.unban(address("192.0.2.1")));
        assert!(!bans.unban(address("192.0.2.1")));
        assert!(bans.find(address("192.0.2.1"), START).is_none());
        let listed: Vec<_> = bans
            .list(START)
            .iter()
            .map(|ban| ban.address.to_string())
            .collect();
        assert_eq!(listed, ["2001:db8::"]);
    }

    #[test]
    fn there_are_never_more_than_may_be_and_those_without_an_end_stay() {
        let bans = bans(BanRules {
            bans_max: 640,
            ..BanRules::default()
        });
        for number in 0..50_u32 {
            bans.ban(IpAddr::V4((0x0a00_0000 + number).into()), None, START)
                .unwrap();
        }
        for number in 0..100_000_u32 {
            bans.escalate(
                IpAddr::V4((0x0b00_0000 + number).into()),
                BanReason::ThreatScore,
                START,
            );
        }
        let all = bans.list(START);
        assert!(all.len() <= 640);
        assert!(all.iter().filter(|ban| ban.until.is_none()).count() >= 50);
        assert_eq!(bans.known.load(Ordering::Relaxed), all.len());
    }

    #[test]
    fn what_has_ended_long_ago_is_forgotten() {
        let bans = bans(BanRules::default());
        bans.escalate(address("192.0.2.1"), BanReason::BruteForce, START)
            .unwrap();
        bans.sweep(START + 86_400 * SECOND);
        assert_eq!(bans.known_bans().len(), 1);
        bans.sweep(START + 31 * 86_400 * SECOND);
        assert_eq!(bans.known_bans().len(), 0);
        assert!(bans.find(address("192.0.2.1"), START).is_none());
    }
}
