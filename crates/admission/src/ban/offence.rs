//! What somebody did, and whether that is enough for a ban.
//!
//! Two things are counted for each address: attempts to log in that failed, in a window; and a score, to which
//! each offence adds its weight and which decays with time. What is counted is bounded as allowances are.

use std::net::IpAddr;
use std::time::Duration;

use super::BanReason;
use crate::rate::{Limit, Strategy};
use crate::table::{Cell, Key, Nanoseconds, Network, SECOND, Table};

/// Something that an address should not do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Offence {
    /// A wrong password or key.
    AuthenticationFailure,
    /// A request or message that looks like an attack.
    Attack,
    /// Too many connections or messages.
    Flood,
    /// More requests than its allowance or quota.
    RateLimit,
    /// A request or message that is too long.
    Payload,
    /// A WebSocket handshake or frame that breaks a rule.
    Protocol,
}

/// How offences are counted.
#[derive(Clone, Debug, PartialEq)]
pub struct OffenceRules {
    /// So many failed attempts to log in within the window, and the address is banned. `None`: as many as one
    /// likes. Default 5 in 300 s.
    ///
    /// An attempt that succeeds takes nothing back: else whoever has an account could try others' passwords.
    pub brute_force: Option<(u32, Duration)>,
    /// The score at which an address is banned; 0 is never. Default 100.
    pub threshold: u32,
    /// What a score loses in an hour. Default 10.
    pub decay_per_hour: u32,
    /// What each offence adds to the score.
    pub weights: Weights,
}

/// What each offence adds to the score. `Default` is nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weights {
    /// A wrong password or key. 10 in [`OffenceRules::default`], and so on.
    pub authentication_failure: u32,
    /// 25.
    pub attack: u32,
    /// 5.
    pub flood: u32,
    /// 1.
    pub rate_limit: u32,
    /// 10.
    pub payload: u32,
    /// 5.
    pub protocol: u32,
}

impl Default for OffenceRules {
    fn default() -> Self {
        Self {
            brute_force: Some((5, Duration::from_secs(300))),
            threshold: 100,
            decay_per_hour: 10,
            weights: Weights {
                authentication_failure: 10,
                attack: 25,
                flood: 5,
                rate_limit: 1,
                payload: 10,
                protocol: 5,
            },
        }
    }
}

/// What an offence has led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Consequence {
    /// The score before.
    pub score_before: u32,
    /// The score now; 0 after a ban.
    pub score: u32,
    /// Why the address is to be banned; `None`: it is not.
    pub ban: Option<BanReason>,
}

impl OffenceRules {
    /// Counts an offence.
    pub fn count(
        &self,
        table: &Table,
        offence: Offence,
        address: IpAddr,
        v6_bits: u8,
        now: Nanoseconds,
    ) -> Consequence {
        let network = Network::of(address, v6_bits).to_bytes();
        let attempts = Key::new(table.seed(), OF_OFFENDER, &[&network]);
        table.with([attempts, attempts.sibling(1)], now, |[attempts, score]| {
            let is_failure = offence == Offence::AuthenticationFailure;
            let is_brute = is_failure && self.count_attempt(attempts, now);
            let score_before = self.score(score, now);
            let sum = score_before.saturating_add(self.weights.of(offence).saturating_mul(SCALE));
            let is_over = self.threshold > 0 && sum >= self.threshold.saturating_mul(SCALE);
            let ban = match (is_brute, is_over) {
                (true, _) => Some(BanReason::BruteForce),
                (false, true) => Some(BanReason::ThreatScore),
                (false, false) => None,
            };
            if ban.is_some() {
                // It has been answered: after the ban the count begins anew.
                (*attempts, *score) = (Cell::default(), Cell::default());
            } else {
                self.set_score(score, sum, now);
            }
            let score = if ban.is_some() { 0 } else { sum };
            Consequence {
                score_before: score_before / SCALE,
                score: score / SCALE,
                ban,
            }
        })
    }

    /// Whether this attempt was one too many.
    fn count_attempt(&self, cell: &mut Cell, now: Nanoseconds) -> bool {
        let Some((attempts, window)) = self.brute_force else {
            return false;
        };
        let limit = Limit {
            strategy: Strategy::SlidingWindow,
            ..Limit::new(attempts, window)
        };
        let verdict = limit.ask(cell, now, 1);
        if verdict.allowed {
            limit.charge(cell, now, 1);
        }
        verdict.remaining == 0
    }

    fn score(&self, cell: &Cell, now: Nanoseconds) -> u32 {
        let past = u128::from(now.saturating_sub(cell.at));
        let lost = u128::from(self.decay_per_hour) * u128::from(SCALE) * past / u128::from(HOUR);
        u128::from(cell.count).saturating_sub(lost) as u32
    }

    fn set_score(&self, cell: &mut Cell, score: u32, now: Nanoseconds) {
        let lasts = u64::from(score) * 3_600 / u64::from(SCALE);
        let lasts = lasts
            .checked_div(self.decay_per_hour.into())
            .unwrap_or(u64::MAX);
        let fresh_at = (now / SECOND + 1)
            .saturating_add(lasts)
            .try_into()
            .unwrap_or(u32::MAX);
        let fresh_at = if score == 0 { 0 } else { fresh_at };
        *cell = Cell {
            at: now,
            count: score,
            fresh_at,
            ..Cell::default()
        };
    }
}

impl Weights {
    /// Of an offence.
    pub fn of(&self, offence: Offence) -> u32 {
        match offence {
            Offence::AuthenticationFailure => self.authentication_failure,
            Offence::Attack => self.attack,
            Offence::Flood => self.flood,
            Offence::RateLimit => self.rate_limit,
            Offence::Payload => self.payload,
            Offence::Protocol => self.protocol,
        }
    }
}

impl Offence {
    /// As logs call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthenticationFailure => "authentication_failure",
            Self::Attack => "attack",
            Self::Flood => "flood",
            Self::RateLimit => "rate_limit",
            Self::Payload => "payload",
            Self::Protocol => "protocol",
        }
    }
}

const OF_OFFENDER: u32 = 0x201;
/// Scores are counted in thousandths, so that decay is not rounded away.
const SCALE: u32 = 1_000;
const HOUR: Nanoseconds = 3_600 * SECOND;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Seed;

    const START: Nanoseconds = 1_700_000_000 * SECOND;

    struct Court(OffenceRules, Table);

    impl Court {
        fn new(rules: OffenceRules) -> Self {
            Self(rules, Table::new(1_000, Seed([1, 2])))
        }

        fn count(&self, offence: Offence, now: Nanoseconds) -> Consequence {
            self.0
                .count(&self.1, offence, [192, 0, 2, 1].into(), 64, now)
        }
    }

    #[test]
    fn the_fifth_failed_attempt_in_the_window_bans() {
        let court = Court::new(OffenceRules::default());
        let fail = |seconds: u64| {
            court
                .count(Offence::AuthenticationFailure, START + seconds * SECOND)
                .ban
        };
        for second in 0..4 {
            assert_eq!(fail(second), None);
        }
        assert_eq!(fail(4), Some(BanReason::BruteForce));
        assert_eq!(fail(5), None);
    }

    #[test]
    fn attempts_that_are_far_apart_do_not_ban_but_their_score_may() {
        let court = Court::new(OffenceRules {
            threshold: 0,
            ..OffenceRules::default()
        });
        for number in 0..100 {
            let now = START + number * 200 * SECOND;
            assert_eq!(
                court.count(Offence::AuthenticationFailure, now).ban,
                None,
                "{number}"
            );
        }
    }

    #[test]
    fn a_score_decays_and_bans_at_its_threshold() {
        let court = Court::new(OffenceRules::default());
        for (hours, before, score) in [
            (0, 0, 25),
            (0, 25, 50),
            (1, 40, 65),
            (7, 5, 30),
            (1_000, 0, 25),
        ] {
            let now = START + hours * HOUR;
            let consequence = court.count(Offence::Attack, now);
            assert_eq!(
                (consequence.score_before, consequence.score),
                (before, score),
                "{hours}"
            );
        }
        let now = START + 1_000 * HOUR;
        let bans: Vec<_> = (0..3)
            .map(|_| court.count(Offence::Attack, now).ban)
            .collect();
        assert_eq!(bans, [None, None, Some(BanReason::ThreatScore)]);
        assert_eq!(court.count(Offence::Protocol, now).score, 5);
    }

    #[test]
    fn a_score_that_does_not_decay_stays() {
        let court = Court::new(OffenceRules {
            decay_per_hour: 0,
            ..OffenceRules::default()
        });
        court.count(Offence::Protocol, START);
        assert_eq!(
            court
                .count(Offence::Protocol, START + 10_000 * HOUR)
                .score_before,
            5
        );
    }
}
