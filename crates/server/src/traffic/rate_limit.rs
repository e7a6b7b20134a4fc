//! The rate limiter: how often requests may be made. Source: the component's RateLimiter.

use std::path::PathBuf;
use std::time::Duration;

use tidegate_admission::ban::offence::Offence;
use tidegate_admission::rate::{Caller, Cause, Decision, Limiter, LimiterBounds, Rule};
use tidegate_admission::snapshot::{self, SnapshotFault};
use tidegate_httpapi::{Admission, Exchange, ResponseHead};

use super::clock::Clock;
use super::counters::RateCounts;
use super::error::TrafficError;
use super::firewall::{Firewall, address_of, guarded, random_seed};
use super::limited;
use super::notice::RateLimited;
use super::rate_settings::RateLimitSettings;
use crate::event::Events;

/// A server's rate limiter.
pub(crate) struct RateLimiter {
    clock: Clock,
    limiter: Limiter,
    status: u16,
    tells: bool,
    asks_for_keys: bool,
    state_file: Option<PathBuf>,
    pub(super) save_interval: Duration,
    pub(super) counts: RateCounts,
}

impl RateLimiter {
    pub(super) fn open(settings: &RateLimitSettings, clock: Clock) -> Result<Self, TrafficError> {
        let rules = settings.rules()?;
        let asks_for_keys = rules.ask_for_api_key();
        let bounds = LimiterBounds {
            keys_max: settings.states_max as usize,
            v6_bits: settings.ipv6_prefix_length,
        };
        let limiter = match &settings.state_file {
            None => Limiter::new(rules, bounds, random_seed()),
            Some(path) => {
                let (limiter, loaded) =
                    Limiter::load(path, rules, bounds, random_seed(), clock.now());
                if let Err(error) = loaded {
                    // Allowances are no reason not to start.
                    tracing::warn!("{error}; all allowances begin anew");
                    if !matches!(error.fault, SnapshotFault::Io(_))
                        && let Err(error) = snapshot::set_aside(path)
                    {
                        tracing::warn!("it cannot be set aside: {error}");
                    }
                }
                limiter
            }
        };
        Ok(Self {
            clock,
            limiter,
            status: settings.status,
            tells: settings.headers,
            asks_for_keys,
            state_file: settings.state_file.clone(),
            save_interval: settings.save_interval,
            counts: RateCounts::default(),
        })
    }

    /// Whether answers say what is left.
    pub(super) fn tells(&self) -> bool {
        self.tells
    }

    /// Whether a rule goes by API keys.
    pub(super) fn asks_for_keys(&self) -> bool {
        self.asks_for_keys
    }

    /// Charges a request; `None` when no rule is for it.
    pub(super) fn check(
        &self,
        events: &dyn Events,
        firewall: Option<&Firewall>,
        exchange: &Exchange<'_>,
        api_key: Option<(&str, Option<u32>)>,
    ) -> Option<(&Rule, Decision)> {
        let (caller, rate) = (
            caller(exchange, api_key),
            api_key.and_then(|(_, rate)| rate),
        );
        let address = caller.address;
        let (rule, mut decision) = self.limiter.check_with(&caller, rate, self.clock.now())?;
        if !decision.allowed {
            let limited = RateLimited {
                rule: &rule.name,
                address,
                method: caller.method,
                path: caller.path,
                decision,
            };
            if matches!(decision.cause, Some(Cause::Quota(_))) {
                guarded(events, || events.on_quota_exceeded(&limited));
            }
            let answer = guarded(events, || events.on_rate_limited(&limited));
            if answer == Some(Admission::Accept) {
                decision.allowed = true;
            } else if let (Some(firewall), Some(address)) = (firewall, address) {
                firewall.offence(events, address, Offence::RateLimit);
            }
        }
        Some((rule, decision))
    }

    /// What is left for a request that was charged before.
    pub(super) fn left(
        &self,
        exchange: &Exchange<'_>,
        api_key: Option<(&str, Option<u32>)>,
    ) -> Option<(&Rule, Decision)> {
        let (caller, rate) = (
            caller(exchange, api_key),
            api_key.and_then(|(_, rate)| rate),
        );
        let (rule, mut decision) = self.limiter.left_with(&caller, rate, self.clock.now())?;
        decision.allowed = true;
        Some((rule, decision))
    }

    /// Answers a request that may not be made.
    #[cold]
    pub(super) fn refuse(&self, exchange: Exchange<'_>, rule: &Rule, decision: Decision) {
        let is_quota = matches!(decision.cause, Some(Cause::Quota(_)));
        self.counts.count(is_quota);
        let mut head = ResponseHead::new(self.status);
        let seconds = limited::seconds_up(decision.retry_after).max(1);
        limited::append(&mut head, "Retry-After", format_args!("{seconds}"));
        if self.tells {
            limited::tell(&mut head, &rule.name, &decision);
        }
        exchange.respond(head, Default::default());
    }

    /// Writes what is to outlive a restart. For the keeper.
    pub(super) fn save(&self) {
        if let Some(path) = &self.state_file
            && let Err(error) = self.limiter.save(path, self.clock.now())
        {
            tracing::error!("allowances cannot be kept: {error}; it is tried again");
        }
    }

    /// Whether anything is to be written.
    pub(super) fn saves(&self) -> bool {
        self.state_file.is_some()
    }
}

/// Who makes a request, as far as it is known here.
fn caller<'a>(exchange: &'a Exchange<'_>, api_key: Option<(&'a str, Option<u32>)>) -> Caller<'a> {
    let head = exchange.head();
    Caller {
        method: head.method(),
        path: head.cooked_path,
        api_key: api_key.map(|(id, _)| id),
        // Who it is, is found out later.
        user: None,
        address: address_of(&exchange.peer()),
    }
}
