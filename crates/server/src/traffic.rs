//! Who may come in, and how often: what is asked about each connection, request and message.
//!
//! The rules are `tidegate-admission`'s; here they meet connections, requests, events and settings. Of all that, a
//! server that has none of it switched on does nothing. In their order: the firewall when a connection is made,
//! the firewall and then the rate limiter for each request, the firewall for each WebSocket message.

mod ban_list;
mod bans;
mod clock;
mod counters;
mod error;
mod firewall;
mod firewall_settings;
mod keeper;
mod limited;
mod notice;
mod parsed;
mod rate_limit;
mod rate_settings;

use std::io;
use std::sync::Arc;

use tidegate_httpapi::{Exchange, OperatingMode};

pub use ban_list::BanList;
pub use counters::TrafficCounters;
pub use error::TrafficError;
pub(crate) use firewall::{Firewall, MessageRefusal};
pub use firewall_settings::{
    BanSettings, BruteForceSettings, CountrySettings, FirewallSettings, FloodSettings,
    MessageSettings, PatternSettings, ThreatScoreSettings, WeightSettings,
};
pub use notice::{
    FilterReason, FirewallFiltered, FirewallViolation, RateLimited, RequestPart, ScoreChanged,
    ViolationKind,
};
pub use rate_settings::{RateLimitSettings, RateRuleSettings, RateStrategy, RateWhom};

use crate::component::Shared;
use crate::settings::Settings;
use clock::Clock;
use keeper::Keeper;
use rate_limit::RateLimiter;

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
    /// request has, and the rate that is its own.
    pub(crate) fn pass(
        &self,
        shared: &Shared,
        mut exchange: Exchange<'_>,
        key_of: impl FnOnce(&Exchange<'_>) -> Option<(String, Option<u32>)>,
        answer: impl FnOnce(Exchange<'_>),
    ) {
        let has_passed = self.is_high_perf && exchange.may_block();
        if let Some(firewall) = &self.firewall
            && !has_passed
            && let Err(refusal) = firewall.request(shared.events(), &exchange)
        {
            return firewall::refuse(exchange, refusal);
        }
        let Some(limiter) = &self.limiter else {
            return answer(exchange);
        };
        let key = limiter.asks_for_keys().then(|| key_of(&exchange)).flatten();
        let key = key.as_ref().map(|(id, rate)| (&**id, *rate));
        let firewall = self.firewall.as_deref();
        let checked = match has_passed {
            true => limiter.left(&exchange, key),
            false => limiter.check(shared.events(), firewall, &exchange, key),
        };
        match checked {
            None => answer(exchange),
            Some((rule, decision)) if !decision.allowed => limiter.refuse(exchange, rule, decision),
            Some(_) if !limiter.tells() => answer(exchange),
            Some((rule, decision)) => {
                let mut around =
                    limited::LimitedExchange::new(exchange.take_over(), rule, decision);
                answer(Exchange::new(&mut around));
            }
        }
    }
}
