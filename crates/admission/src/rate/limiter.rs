//! Charges calls to whoever makes them.
//!
//! The states of all rules are in one [`Table`], so that memory is bounded however many call. A call that is
//! refused by one of its limits is charged to none.

use std::path::Path;
use std::time::Duration;

use super::calendar::Period;
use super::limit::{CALLS_MAX, Limit, Verdict, seconds_up};
use super::rules::{Caller, Per, Rule, Rules};
use crate::snapshot::{self, Mark, SnapshotError, SnapshotFault};
use crate::table::{Cell, Key, Nanoseconds, Network, SECOND, Seed, Table};

/// Rules, and what their allowances have come to.
#[derive(Debug)]
pub struct Limiter {
    table: Table,
    rules: Rules,
    kinds: Box<[Kinds]>,
    v6_bits: u8,
}

/// What a rule's callers are hashed with, by what it knows them by.
#[derive(Clone, Copy, Debug)]
struct Kinds {
    api_key: Key,
    user: Key,
    address: Key,
    /// Those that are not told apart.
    all: Key,
    unix: Key,
}

/// How large a [`Limiter`] may become, and whom it takes for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimiterBounds {
    /// Most states kept, each 32 bytes. A caller has one for the rule it falls under, and one for each quota.
    /// Default 1,000,000.
    pub keys_max: usize,
    /// Common bits of the IPv6 addresses that count as one. Default 64, range 1 to 128.
    pub v6_bits: u8,
}

impl Default for LimiterBounds {
    fn default() -> Self {
        Self {
            keys_max: 1_000_000,
            v6_bits: 64,
        }
    }
}

/// What a limiter says about a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    /// Whether the call may be made.
    pub allowed: bool,
    /// Why not.
    pub cause: Option<Cause>,
    /// Most calls at once, of the limit or quota that has least left or that refuses.
    pub limit: u32,
    /// The time that `limit` is for.
    pub window: Duration,
    /// What is left of it after this call.
    pub remaining: u32,
    /// How long until all of it is back.
    pub reset: Duration,
    /// How long until this call would be allowed; zero if it is.
    pub retry_after: Duration,
}

/// What refuses a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// The limit.
    Limit,
    /// The cooldown after the limit.
    Cooldown,
    /// A quota.
    Quota(Period),
}

impl Limiter {
    /// A limiter to which nobody has called. `seed` must be random.
    pub fn new(rules: Rules, bounds: LimiterBounds, seed: Seed) -> Self {
        let kinds = |rule: &Rule| {
            let of = |kind| Key::new(seed, kind, &[rule.name.as_bytes()]);
            Kinds {
                api_key: of(OF_API_KEY),
                user: of(OF_USER),
                address: of(OF_ADDRESS),
                all: of(OF_ALL),
                unix: of(OF_UNIX),
            }
        };
        Self {
            table: Table::new(bounds.keys_max, seed),
            kinds: rules.all().iter().map(kinds).collect(),
            rules,
            v6_bits: bounds.v6_bits,
        }
    }

    /// A limiter with what [`save`](Self::save) wrote, and how many states that was. `seed` is used when there is
    /// no such file.
    ///
    /// A file that cannot be used is told; the limiter is one to which nobody has called then.
    pub fn load(
        path: &Path,
        rules: Rules,
        bounds: LimiterBounds,
        seed: Seed,
        now: Nanoseconds,
    ) -> (Self, Result<usize, SnapshotError>) {
        let torn = || SnapshotError {
            path: path.into(),
            fault: SnapshotFault::Torn,
        };
        let content = match snapshot::read(path, MARK) {
            Ok(Some(content)) => content,
            Ok(None) => return (Self::new(rules, bounds, seed), Ok(0)),
            Err(error) => return (Self::new(rules, bounds, seed), Err(error)),
        };
        let (words, rest) = content.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let (Some(first), Some(second), true) = (words.next(), words.next(), rest.is_empty())
        else {
            return (Self::new(rules, bounds, seed), Err(torn()));
        };
        let limiter = Self::new(rules, bounds, Seed([first, second]));
        let mut next = || Some([words.next()?, words.next()?, words.next()?, words.next()?]);
        while let Some([bits, cell @ ..]) = next() {
            limiter.table.restore(bits, cell, now);
        }
        let count = limiter.table.len();
        (limiter, Ok(count))
    }

    /// Writes all states that matter at `now` to a file, so that a restart gives nobody a new allowance.
    ///
    /// The file has the seed in it, so only the user that the process runs as may read it.
    ///
    /// # Errors
    ///
    /// The file cannot be written. What was there before is still there.
    pub fn save(&self, path: &Path, now: Nanoseconds) -> Result<(), SnapshotError> {
        snapshot::write(path, MARK, |out| {
            let Seed(seed) = self.table.seed();
            for word in seed {
                out.write_all(&word.to_le_bytes())?;
            }
            self.table.visit(now, |bits, [first, second, third]| {
                for word in [bits, first, second, third] {
                    out.write_all(&word.to_le_bytes())?;
                }
                Ok(())
            })
        })
    }

    /// Its rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many states it keeps.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it keeps no state.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Charges a call by the rule that it falls under; `None` when there is no such rule.
    #[inline]
    pub fn check(&self, caller: &Caller<'_>, now: Nanoseconds) -> Option<(&Rule, Decision)> {
        self.check_with(caller, None, now)
    }

    /// As [`check`](Self::check), with so many `calls` instead of the rule's if it counts by API keys and the caller
    /// has one: a key may have a rate of its own.
    #[inline]
    pub fn check_with(
        &self,
        caller: &Caller<'_>,
        calls: Option<u32>,
        now: Nanoseconds,
    ) -> Option<(&Rule, Decision)> {
        let place = self.rules.place(caller)?;
        let rule = &self.rules.all()[place];
        let limit = own_limit(rule, caller, calls);
        let limit = limit.as_ref().or(rule.limit.as_ref());
        let key = self.key(place, caller);
        Some((rule, self.charge((rule, limit), key, rule.cost, now)))
    }

    /// What [`check`](Self::check) would say, without a charge.
    pub fn peek(&self, caller: &Caller<'_>, now: Nanoseconds) -> Option<(&Rule, Decision)> {
        let place = self.rules.place(caller)?;
        let rule = &self.rules.all()[place];
        Some((
            rule,
            self.ask(
                (rule, rule.limit.as_ref()),
                self.key(place, caller),
                rule.cost,
                now,
            ),
        ))
    }

    /// What is left for a caller, without a charge: what [`check`](Self::check) said last, if nothing has
    /// happened since.
    pub fn left(&self, caller: &Caller<'_>, now: Nanoseconds) -> Option<(&Rule, Decision)> {
        self.left_with(caller, None, now)
    }

    /// As [`left`](Self::left), for [`check_with`](Self::check_with).
    pub fn left_with(
        &self,
        caller: &Caller<'_>,
        calls: Option<u32>,
        now: Nanoseconds,
    ) -> Option<(&Rule, Decision)> {
        let place = self.rules.place(caller)?;
        let rule = &self.rules.all()[place];
        let limit = own_limit(rule, caller, calls);
        let limit = limit.as_ref().or(rule.limit.as_ref());
        Some((
            rule,
            self.ask((rule, limit), self.key(place, caller), 0, now),
        ))
    }

    fn ask(
        &self,
        (rule, limit): (&Rule, Option<&Limit>),
        key: Key,
        cost: u32,
        now: Nanoseconds,
    ) -> Decision {
        let cells = [0, 1, 2, 3].map(|sibling| self.table.peek(key.sibling(sibling)));
        let rate = limit.map(|limit| (limit, limit.ask(&cells[0], now, cost)));
        decide(rate, &ask_quotas(rule, cost, &cells[1..], now))
    }

    /// Charges a call of this cost to a key of the application's own, for a limit of its own.
    ///
    /// States are kept by `name` and `key`, apart from those of rules.
    pub fn consume(
        &self,
        name: &str,
        limit: &Limit,
        key: &[u8],
        cost: u32,
        now: Nanoseconds,
    ) -> Decision {
        let key = Key::new(self.table.seed(), OF_APPLICATION, &[name.as_bytes(), key]);
        self.table.with([key], now, |[cell]| {
            let rate = charge_limit(limit, cell, now, cost, true);
            decide(Some((limit, rate)), &[])
        })
    }

    /// Charges a call of this cost to a rule, by its name, as if one of these had called; `None`: no rule has that
    /// name.
    ///
    /// Of `caller` counts what the rule goes by: the API key, the user or the address.
    pub fn consume_of_rule(
        &self,
        rule: &str,
        caller: &Caller<'_>,
        cost: u32,
        now: Nanoseconds,
    ) -> Option<Decision> {
        let place = self.named(rule)?;
        let rule = &self.rules.all()[place];
        Some(self.charge(
            (rule, rule.limit.as_ref()),
            self.key(place, caller),
            cost,
            now,
        ))
    }

    /// What [`consume_of_rule`](Self::consume_of_rule) would say, without a charge.
    pub fn ask_rule(
        &self,
        rule: &str,
        caller: &Caller<'_>,
        cost: u32,
        now: Nanoseconds,
    ) -> Option<Decision> {
        let place = self.named(rule)?;
        let rule = &self.rules.all()[place];
        Some(self.ask(
            (rule, rule.limit.as_ref()),
            self.key(place, caller),
            cost,
            now,
        ))
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.rules.all().iter().position(|rule| &*rule.name == name)
    }

    fn key(&self, place: usize, caller: &Caller<'_>) -> Key {
        let seed = self.table.seed();
        let kinds = &self.kinds[place];
        match (self.rules.all()[place].per, caller.api_key, caller.user) {
            (Per::ApiKey, Some(id), _) => Key::of_text(seed, kinds.api_key, id),
            (Per::User, _, Some(user)) => Key::of_text(seed, kinds.user, user),
            (Per::All, ..) => kinds.all,
            _ => match caller.address {
                Some(address) => {
                    let network = Network::of(address, self.v6_bits);
                    Key::of_network(seed, kinds.address, network)
                }
                None => kinds.unix,
            },
        }
    }

    fn charge(
        &self,
        (rule, limit): (&Rule, Option<&Limit>),
        key: Key,
        cost: u32,
        now: Nanoseconds,
    ) -> Decision {
        if !rule.has_quota() {
            return self.table.with([key], now, |[cell]| {
                let rate = limit.map(|limit| (limit, charge_limit(limit, cell, now, cost, true)));
                decide(rate, &[])
            });
        }
        let keys = [0, 1, 2, 3].map(|index| key.sibling(index));
        self.table.with(keys, now, |[cell, quotas @ ..]| {
            let asked = ask_quotas(rule, cost, quotas, now);
            let in_quota = asked
                .iter()
                .flatten()
                .all(|(_, quota)| quota.verdict.allowed);
            let rate = limit.map(|limit| (limit, charge_limit(limit, cell, now, cost, in_quota)));
            if in_quota && rate.is_none_or(|(_, verdict)| verdict.allowed) {
                for (period, cell) in Period::ALL.into_iter().zip(quotas) {
                    if rule.quota(period).is_some() {
                        charge_quota(period, cell, now, cost);
                    }
                }
            }
            decide(rate, &asked)
        })
    }
}

/// The limit of a rule with a key's own number of calls.
fn own_limit(rule: &Rule, caller: &Caller<'_>, calls: Option<u32>) -> Option<Limit> {
    let limit = rule
        .limit
        .filter(|_| rule.per == Per::ApiKey && caller.api_key.is_some())?;
    let calls = calls?.clamp(1, CALLS_MAX);
    Some(Limit {
        calls,
        burst: 0,
        ..limit
    })
}

/// Asks a limit, and charges it if it allows the call and nothing else forbids it.
fn charge_limit(
    limit: &Limit,
    cell: &mut Cell,
    now: Nanoseconds,
    cost: u32,
    is_free: bool,
) -> Verdict {
    let verdict = limit.ask(cell, now, cost);
    if !verdict.allowed {
        if !verdict.cools_down {
            limit.refuse(cell, now);
        }
    } else if is_free {
        limit.charge(cell, now, cost);
    }
    verdict
}

#[derive(Clone, Copy)]
struct Quota {
    calls: u32,
    window: Duration,
    verdict: Verdict,
}

/// What each quota says about a call.
fn ask_quotas(
    rule: &Rule,
    cost: u32,
    cells: &[Cell],
    now: Nanoseconds,
) -> [Option<(Period, Quota)>; 3] {
    Period::ALL.map(|period| {
        let calls = rule.quota(period)?;
        let (start, end) = period.around(now);
        let cell = &cells[period as usize];
        let used = if cell.at == start * SECOND {
            cell.count
        } else {
            0
        };
        let left = calls.saturating_sub(used);
        let cost = cost.min(calls);
        let until_end = end * SECOND - now;
        let allowed = cost <= left;
        let verdict = Verdict {
            allowed,
            cools_down: false,
            remaining: if allowed { left - cost } else { left },
            reset: until_end,
            retry_after: if allowed { 0 } else { until_end },
        };
        Some((
            period,
            Quota {
                calls,
                window: Duration::from_secs(end - start),
                verdict,
            },
        ))
    })
}

fn charge_quota(period: Period, cell: &mut Cell, now: Nanoseconds, cost: u32) {
    let (start, end) = period.around(now);
    if cell.at != start * SECOND {
        *cell = Cell {
            at: start * SECOND,
            fresh_at: seconds_up(end * SECOND),
            ..Cell::default()
        };
    }
    cell.count = cell.count.saturating_add(cost);
}

/// Of all that was asked: what refuses for longest, or else what has least left.
fn decide(rate: Option<(&Limit, Verdict)>, quotas: &[Option<(Period, Quota)>]) -> Decision {
    let rate = rate.map(|(limit, verdict)| {
        let cause = if verdict.cools_down {
            Cause::Cooldown
        } else {
            Cause::Limit
        };
        (cause, limit.capacity(), limit.window, verdict)
    });
    let quotas = quotas.iter().flatten();
    let quotas = quotas.map(|(period, quota)| {
        (
            Cause::Quota(*period),
            quota.calls,
            quota.window,
            quota.verdict,
        )
    });
    let all = rate.into_iter().chain(quotas);
    let tightest = all.min_by_key(|(_, _, _, verdict)| {
        // Those that refuse come first, then those with least left.
        let wait = Nanoseconds::MAX - verdict.retry_after;
        (
            verdict.allowed,
            if verdict.allowed { 0 } else { wait },
            verdict.remaining,
        )
    });
    let (cause, limit, window, verdict) = tightest.expect("a rule has a limit or a quota");
    Decision {
        allowed: verdict.allowed,
        cause: (!verdict.allowed).then_some(cause),
        limit,
        window,
        remaining: verdict.remaining,
        reset: Duration::from_nanos(verdict.reset),
        retry_after: Duration::from_nanos(verdict.retry_after),
    }
}

/// What a saved state begins with; the last is the version.
const MARK: Mark = *b"TGRATES\x02";

// The kinds of keys. They are in saved states.
const OF_ADDRESS: u32 = 1;
const OF_API_KEY: u32 = 2;
const OF_USER: u32 = 3;
const OF_ALL: u32 = 4;
const OF_UNIX: u32 = 5;
const OF_APPLICATION: u32 = 6;

#[cfg(test)]
mod tests;
