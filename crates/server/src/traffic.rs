//! Who may come in, and how often: what is asked about each connection, request and message.
//!
//! The rules are `tidegate-admission`'s; here they meet connections, requests, events and settings. Of all that, a
//! server that has none of it switched on does nothing. In their order: the firewall when a connection is made,
//! the firewall and then the rate limiter for each request, the firewall for each WebSocket message.

mod ban_list;
mod bans;
mod bots;
mod clock;
mod content;
mod counters;
mod error;
mod firewall;
mod firewall_settings;
mod keeper;
mod limited;
mod notice;
mod parsed;
mod rate_fields;
mod rate_limit;
mod rate_settings;
mod rates;
mod statistics;

use std::io;
use std::sync::Arc;

use tidegate_httpapi::{Body, Exchange, OperatingMode, ResponseHead};

pub use ban_list::BanList;
pub use bots::{BotFamilyKind, BotFamilySettings, BotSettings};
pub use counters::TrafficCounters;
pub use error::TrafficError;
pub(crate) use firewall::{Firewall, MessageRefusal};
pub use firewall_settings::{
    BanSettings, BruteForceSettings, CountrySettings, FirewallSettings, FloodSettings,
    MessageSettings, PatternSettings, ThreatScoreSettings, WeightSettings,
};
pub use notice::{
    BotDetected, FilterReason, FirewallFiltered, FirewallViolation, RateLimited, RequestPart,
    ScoreChanged, ViolationKind,
};
pub use rate_settings::{RateLimitSettings, RateRuleSettings, RateStrategy, RateWhom};
pub use rates::{RateCaller, RateLimits};
pub use statistics::FirewallStatistics;

use crate::admission::{Authentication, KnownKey};
use crate::component::Shared;
use crate::settings::Settings;
use clock::Clock;
use content::Scan;
use keeper::Keeper;
use limited::LimitedExchange;
use rate_limit::{RateLimiter, Told, Whose};

/// What of it is switched on, for as long as a server runs.
pub(crate) struct Doors {
    firewall: Option<Arc<Firewall>>,
    limiter: Option<Arc<RateLimiter>>,
    /// In HighPerf mode the driver calls with a request where nothing may block, and again where it may if the first
    /// call asked for that: such a request has passed.
    is_high_perf: bool,
    /// Ends with it, and keeps what is to be kept.
    keeper: Keeper,
}

impl Doors {
    /// Reads what the settings name, and writes nothing yet; `None` when nothing is switched on.
    pub(crate) fn open(settings: &Settings) -> Result<Option<Arc<Self>>, TrafficError> {
        if !settings.firewall.enabled && !settings.rate_limit.enabled {
            return Ok(None);
        }
        let clock = Clock::start();
        let firewall = match settings.firewall.enabled {
            true => Some(Arc::new(Firewall::open(&settings.firewall, clock)?)),
            false => None,
        };
        let limiter = match settings.rate_limit.enabled {
            true => Some(Arc::new(RateLimiter::open(&settings.rate_limit, clock)?)),
            false => None,
        };
        let is_high_perf = settings.fine_tune.operating_mode == OperatingMode::HighPerf;
        Ok(Some(Arc::new(Self {
            firewall,
            limiter,
            is_high_perf,
            keeper: Keeper::default(),
        })))
    }

    /// The firewall, if there is one.
    pub(crate) fn firewall(&self) -> Option<&Arc<Firewall>> {
        self.firewall.as_ref()
    }

    /// What has been counted.
    pub(crate) fn counters(&self) -> TrafficCounters {
        let mut counters = TrafficCounters::default();
        if let Some(firewall) = &self.firewall {
            firewall.add_counters(&mut counters);
        }
        if let Some(limiter) = &self.limiter {
            limiter.counts.add_to(&mut counters);
        }
        counters
    }

    /// The rate limiter, if there is one.
    fn limiter(&self) -> Option<&Arc<RateLimiter>> {
        self.limiter.as_ref()
    }

    /// Begins to write what is to be kept: not before these are the doors of a server that runs, since what another
    /// has written would be lost.
    pub(crate) fn begin(&self) -> io::Result<()> {
        self.keeper
            .begin(self.firewall.clone(), self.limiter.clone())
    }

    /// Writes what is to be kept, and ends.
    pub(crate) fn close(&self) {
        self.keeper.end();
    }

    /// Has `answer` answer a request that may be made, and answers others. `key_of` says which valid API key a
    /// request has; whoever answers is told, if it was asked for. `finds_users` whether it will be known which user makes it.
    pub(crate) fn pass(
        &self,
        shared: &Arc<Shared>,
        exchange: Exchange<'_>,
        finds_users: bool,
        key_of: impl FnOnce(&Exchange<'_>) -> Option<KnownKey>,
        answer: impl FnOnce(Exchange<'_>, Option<KnownKey>),
    ) {
        let has_passed = self.is_high_perf && exchange.may_block();
        if let Some(firewall) = &self.firewall
            && !has_passed
            && let Err(refusal) = firewall.request(shared.events(), &exchange)
        {
            return firewall::refuse(exchange, refusal);
        }
        let mut way = Way {
            told: None,
            stores: true,
            scan: None,
        };
        if let Some(firewall) = &self.firewall {
            way.stores = firewall.stores();
            if let Some((culprit, form)) = firewall.content_to_scan(&exchange) {
                match exchange.content() {
                    Some(content) => {
                        if !firewall.content(shared.events(), culprit, form, content) {
                            return firewall::refuse(exchange, firewall::Refusal::Forbidden);
                        }
                    }
                    None => {
                        let version = exchange.head().version();
                        way.scan = Some(Scan::new(firewall, shared, culprit, form, version));
                    }
                }
            }
        }
        let Some(limiter) = &self.limiter else {
            return way.go(exchange, |exchange| answer(exchange, None));
        };
        let key = limiter.asks_for_keys().then(|| key_of(&exchange)).flatten();
        let whose = Whose {
            api_key: key.as_ref().map(|known| &known.key),
            user: None,
        };
        if finds_users && limiter.awaits_user(&exchange, whose) {
            // Counted by `pass_user`, or where it is refused.
            return way.go(exchange, |exchange| answer(exchange, key));
        }
        let firewall = self.firewall.as_deref();
        let checked = match has_passed {
            true => limiter.left(&exchange, whose),
            false => limiter.check(shared.events(), firewall, &exchange, whose),
        };
        way.stores &= checked.is_none() || limiter.stores();
        match checked {
            Some(checked) if !checked.is_allowed() => limiter.refuse(exchange, &checked),
            checked => {
                way.told = checked.and_then(|checked| checked.told());
                way.go(exchange, |exchange| answer(exchange, key));
            }
        }
    }

    /// As [`pass`](Self::pass), for the requests whose rule depends on the user, now that it is known which one it
    /// is, or that it is none.
    pub(crate) fn pass_user(
        &self,
        shared: &Shared,
        mut exchange: Exchange<'_>,
        answer: impl FnOnce(Exchange<'_>),
    ) {
        let Some(limiter) = self.limiter.as_ref().filter(|of| of.asks_for_users()) else {
            return answer(exchange);
        };
        let found = Authentication::of(exchange.auth());
        let key = found.as_ref().and_then(Authentication::api_key);
        let key = key.filter(|_| limiter.asks_for_keys());
        let whose = Whose {
            api_key: key,
            user: found.as_ref().and_then(Authentication::user),
        };
        if !limiter.awaits_user(&exchange, whose) {
            return answer(exchange);
        }
        let may_move = self.is_high_perf && !exchange.may_block();
        let is_counted =
            self.is_high_perf && !may_move && limiter.take_counted(exchange.head().request_id);
        let firewall = self.firewall.as_deref();
        let checked = match is_counted {
            true => limiter.left(&exchange, whose),
            false => limiter.check(shared.events(), firewall, &exchange, whose),
        };
        let Some(checked) = checked else {
            return answer(exchange);
        };
        if !checked.is_allowed() {
            return limiter.refuse(exchange, &checked);
        }
        let told = checked.told();
        let (at_hand, inner) = exchange.take_over();
        let mut around = LimitedExchange::new(inner, told, limiter.stores(), None);
        if may_move {
            around = around.counted_by(limiter, at_hand.head.request_id);
        }
        answer(Exchange::new(at_hand, &mut around));
    }

    /// Answers a request of which it was not found out whose it is, as the guard would; unless there were too many
    /// such.
    pub(crate) fn answer_of_guard(
        &self,
        shared: &Shared,
        exchange: Exchange<'_>,
        key_of: impl FnOnce(&Exchange<'_>) -> Option<KnownKey>,
        (mut head, body): (ResponseHead, Body),
    ) {
        let Some(limiter) = self.limiter.as_ref().filter(|of| of.asks_for_users()) else {
            return exchange.respond(head, body);
        };
        let key = limiter.asks_for_keys().then(|| key_of(&exchange)).flatten();
        let whose = Whose {
            api_key: key.as_ref().map(|known| &known.key),
            user: None,
        };
        if limiter.awaits_user(&exchange, whose) {
            let firewall = self.firewall.as_deref();
            match limiter.check(shared.events(), firewall, &exchange, whose) {
                Some(checked) if !checked.is_allowed() => {
                    return limiter.refuse(exchange, &checked);
                }
                Some(checked) => checked.tell(&mut head),
                None => {}
            }
        }
        exchange.respond(head, body);
    }
}

/// How a request that may be made goes on.
struct Way<'a> {
    /// What answers tell.
    told: Option<Told<'a>>,
    /// Whether they may be stored.
    stores: bool,
    /// What looks at content that is read.
    scan: Option<Arc<Scan>>,
}

impl Way<'_> {
    #[inline]
    fn go(self, mut exchange: Exchange<'_>, answer: impl FnOnce(Exchange<'_>)) {
        let Self { told, stores, scan } = self;
        if told.is_none() && stores && scan.is_none() {
            return answer(exchange);
        }
        let (at_hand, inner) = exchange.take_over();
        let mut around = LimitedExchange::new(inner, told, stores, scan);
        answer(Exchange::new(at_hand, &mut around));
    }
}
