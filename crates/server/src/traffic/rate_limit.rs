//! The rate limiter: how often requests may be made. Source: the component's RateLimiter.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashSet;
use tidegate_admission::api_keys::ValidKey;
use tidegate_admission::ban::offence::Offence;
use tidegate_admission::rate::{Caller, Cause, Decision, Limiter, LimiterBounds, Rule};
use tidegate_admission::snapshot::{self, SnapshotFault};
use tidegate_admission::table::Nanoseconds;
use tidegate_httpapi::{Admission, Exchange, RequestId, ResponseHead};

use super::clock::Clock;
use super::counters::RateCounts;
use super::error::TrafficError;
use super::firewall::{Firewall, address_of, guarded, random_seed};
use super::notice::RateLimited;
use super::rate_fields::{RateFields, RateNumbers, seconds_up};
use super::rate_settings::RateLimitSettings;
use crate::event::Events;

/// A server's rate limiter.
pub(crate) struct RateLimiter {
    clock: Clock,
    limiter: Limiter,
    /// Of each rule, what answers say of it.
    fields: Box<[Arc<RateFields>]>,
    status: u16,
    tells: bool,
    asks_for_keys: bool,
    asks_for_users: bool,
    stores: bool,
    /// Requests that were counted and are to be called with again, by their numbers. Locked when a request whose
    /// rule depends on its user goes to a thread that may block.
    counted: Mutex<FxHashSet<RequestId>>,
    state_file: Option<PathBuf>,
    pub(super) save_interval: Duration,
    pub(super) counts: RateCounts,
}

impl RateLimiter {
    pub(super) fn open(settings: &RateLimitSettings, clock: Clock) -> Result<Self, TrafficError> {
        let rules = settings.rules()?;
        let (asks_for_keys, asks_for_users) = (rules.ask_for_api_key(), rules.ask_for_user());
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
        let rules = limiter.rules().all().iter();
        Ok(Self {
            clock,
            fields: rules.map(|rule| Arc::new(RateFields::new(rule))).collect(),
            limiter,
            status: settings.status,
            tells: settings.headers,
            asks_for_keys,
            asks_for_users,
            stores: settings.cached_answers,
            counted: Mutex::default(),
            state_file: settings.state_file.clone(),
            save_interval: settings.save_interval,
            counts: RateCounts::default(),
        })
    }

    /// The allowances, and the time.
    pub(super) fn at_hand(&self) -> (&Limiter, Nanoseconds) {
        (&self.limiter, self.clock.now())
    }

    /// Whether a rule goes by API keys.
    pub(super) fn asks_for_keys(&self) -> bool {
        self.asks_for_keys
    }

    /// Whether a rule goes by users.
    pub(super) fn asks_for_users(&self) -> bool {
        self.asks_for_users
    }

    /// Whether answers to what is counted may be stored.
    pub(super) fn stores(&self) -> bool {
        self.stores
    }

    /// Whether a request is to be counted when it is known whose it is.
    #[inline]
    pub(super) fn awaits_user(&self, exchange: &Exchange<'_>, whose: Whose<'_>) -> bool {
        let rules = self.limiter.rules();
        let whose = Whose {
            user: None,
            ..whose
        };
        self.asks_for_users && rules.depend_on_user(&caller(exchange, whose))
    }

    /// A request that was counted goes to a thread that may block, where all is asked again.
    pub(super) fn keep_counted(&self, request: RequestId) {
        let mut counted = self.lock_counted();
        if counted.len() >= COUNTED_MAX {
            // Of connections that ended meanwhile, mostly.
            counted.clear();
        }
        counted.insert(request);
    }

    /// Whether a request was counted before it came to this thread.
    pub(super) fn take_counted(&self, request: RequestId) -> bool {
        self.lock_counted().remove(&request)
    }

    fn lock_counted(&self) -> MutexGuard<'_, FxHashSet<RequestId>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges a request; `None` when no rule is for it.
    pub(super) fn check(
        &self,
        events: &dyn Events,
        firewall: Option<&Firewall>,
        exchange: &Exchange<'_>,
        whose: Whose<'_>,
    ) -> Option<Checked<'_>> {
        let caller = caller(exchange, whose);
        let address = caller.address;
        let (rule, mut decision) =
            self.limiter
                .check_with(&caller, whose.rate(), self.clock.now())?;
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
        Some(self.checked(rule, decision))
    }

    /// What is left for a request that was charged before.
    pub(super) fn left(&self, exchange: &Exchange<'_>, whose: Whose<'_>) -> Option<Checked<'_>> {
        let caller = caller(exchange, whose);
        let now = self.clock.now();
        let (rule, mut decision) = self.limiter.left_with(&caller, whose.rate(), now)?;
        decision.allowed = true;
        Some(self.checked(rule, decision))
    }

    fn checked(&self, rule: &Rule, decision: Decision) -> Checked<'_> {
        let rules = self.limiter.rules().all().iter().zip(&self.fields);
        let mut of_rule = rules.filter(|(other, _)| std::ptr::eq(*other, rule));
        Checked {
            fields: of_rule
                .next()
                .filter(|_| self.tells)
                .map(|(_, fields)| fields),
            decision,
        }
    }

    /// Answers a request that may not be made.
    #[cold]
    pub(super) fn refuse(&self, exchange: Exchange<'_>, checked: &Checked<'_>) {
        let decision = &checked.decision;
        let is_quota = matches!(decision.cause, Some(Cause::Quota(_)));
        self.counts.count(is_quota);
        let mut head = ResponseHead::new(self.status);
        let seconds = seconds_up(decision.retry_after).max(1);
        let added = head.fields.append("Retry-After", seconds.to_string());
        debug_assert!(added.is_ok(), "digits are a value");
        checked.tell(&mut head);
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

/// What its rule says of a request.
pub(super) struct Checked<'a> {
    /// What answers say of the rule, if they do.
    fields: Option<&'a Arc<RateFields>>,
    decision: Decision,
}

/// What answers tell of a rule, and what that has left.
pub(super) type Told<'a> = (&'a Arc<RateFields>, RateNumbers);

impl<'a> Checked<'a> {
    pub(super) fn is_allowed(&self) -> bool {
        self.decision.allowed
    }

    pub(super) fn told(&self) -> Option<Told<'a>> {
        Some((self.fields?, RateNumbers::from(&self.decision)))
    }

    pub(super) fn tell(&self, head: &mut ResponseHead) {
        if let Some((fields, numbers)) = self.told() {
            numbers.tell(fields, head);
        }
    }
}

/// Whose a request is, as far as it is known.
#[derive(Clone, Copy, Default)]
pub(super) struct Whose<'a> {
    pub(super) api_key: Option<&'a ValidKey>,
    pub(super) user: Option<&'a str>,
}

impl Whose<'_> {
    /// The rate that its key has instead of the rule's.
    fn rate(self) -> Option<u32> {
        self.api_key?.rate()
    }
}

/// Requests that wait for a thread at the same time, far fewer than which do.
const COUNTED_MAX: usize = 65_536;

fn caller<'a>(exchange: &'a Exchange<'_>, whose: Whose<'a>) -> Caller<'a> {
    let head = exchange.head();
    Caller {
        method: head.method(),
        path: head.cooked_path,
        api_key: whose.api_key.map(ValidKey::name),
        user: whose.user,
        address: address_of(&exchange.peer()),
    }
}
