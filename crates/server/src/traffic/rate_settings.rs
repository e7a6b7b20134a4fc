//! The rate limiter's settings. Source: the component's RateLimiter.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_admission::rate::{Applies, EndpointPattern, Limit, Per, Rule, Rules, Strategy};
use tidegate_httpapi::{AddressRange, LimitError};

use super::error::TrafficError;
use super::parsed;
use crate::settings::format;

/// How often requests may be made. `[rate_limit]` in a settings file.
///
/// A request falls under one rule at most: of those for endpoints, then those for API keys, then those for users,
/// then those for addresses, the first that applies. Where it depends on the user, it is counted when the user has
/// proved to be it, else before anybody is asked who it is; a proof that fails counts to the address.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RateLimitSettings {
    /// Whether requests are counted. Default false.
    pub enabled: bool,
    /// The status of what is refused. Default 429, range 400 to 599.
    pub status: u16,
    /// Whether answers say what is left: `RateLimit`, `RateLimit-Policy` and `X-RateLimit-Limit`,
    /// `-Remaining`, `-Reset`, the last in seconds from now. Default true. Responses that the response cache is to
    /// keep, where it may, say nothing. Source: draft-ietf-httpapi-ratelimit-headers-10.
    pub headers: bool,
    /// Common bits of the IPv6 addresses that count as one. Default 64, range 16 to 128.
    pub ipv6_prefix_length: u8,
    /// Most states that are kept, 32 bytes each. Default 1,000,000, range 1,024 to 100,000,000.
    ///
    /// Each caller has one for its rule, and three more if that has quotas. Where there is no room, those are
    /// forgotten that have used least.
    pub states_max: u32,
    /// The file that allowances are kept in, so that a restart gives nobody a new one. Default none.
    pub state_file: Option<PathBuf>,
    /// How often it is written; also when the server stops. Default 10 s, range 1 s to a day.
    #[serde(deserialize_with = "format::seconds")]
    pub save_interval: Duration,
    /// Whether answers to requests under a rule may be kept by the response cache, which serves them without
    /// counting. Default false: they are not kept.
    pub cached_answers: bool,
    /// The rules. `[[rate_limit.rule]]` in a settings file.
    pub rule: Vec<RateRuleSettings>,
}

impl Default for RateLimitSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            status: 429,
            headers: true,
            ipv6_prefix_length: 64,
            states_max: 1_000_000,
            state_file: None,
            save_interval: Duration::from_secs(10),
            cached_answers: false,
            rule: Vec::new(),
        }
    }
}

/// A rule: for which requests, and what is allowed.
///
/// Of `endpoint`, `api_key`, `user` and `addresses` one may be given; without any, it is for all addresses.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct RateRuleSettings {
    /// Names it, to clients as well. Letters, digits, `-`, `_` and `.`; each name once.
    pub name: String,
    /// Requests for these endpoints: `/api/*`, `POST /login`.
    #[serde(deserialize_with = "parsed::option")]
    #[schemars(with = "Option<String>")]
    pub endpoint: Option<EndpointPattern>,
    /// Requests with the API key of this id; `*` is any. Without API keys no request has one.
    pub api_key: Option<String>,
    /// Requests of this user; `*` is any. Without authentication no request has one.
    pub user: Option<String>,
    /// Requests from these addresses.
    #[serde(deserialize_with = "parsed::list")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<AddressRange>,
    /// Who shares an allowance. Default: of a rule for API keys the key, of one for users the user, else the
    /// address.
    pub per: Option<RateWhom>,
    /// How requests are counted. Default token-bucket.
    pub strategy: RateStrategy,
    /// Requests in a window; 0 is unlimited, for a rule that has quotas only. At most 1,000,000,000.
    pub limit: u32,
    /// The window. Range 1 ms to 366 days.
    #[serde(deserialize_with = "format::seconds")]
    pub window: Duration,
    /// Most requests at once of a token bucket; 0 is as many as `limit`.
    pub burst: u32,
    /// How long whoever has been refused is refused everything. Default 0: not at all.
    #[serde(deserialize_with = "format::seconds")]
    pub cooldown: Duration,
    /// Most requests in an hour by the clock, UTC; 0 is unlimited.
    pub quota_hour: u32,
    /// Most requests in a day, UTC; 0 is unlimited.
    pub quota_day: u32,
    /// Most requests in a month, UTC; 0 is unlimited.
    pub quota_month: u32,
    /// What a request costs. Default 1.
    pub cost: Option<u32>,
}

/// Who shares an allowance.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateWhom {
    /// Whoever has the same API key; without one, the same address.
    ApiKey,
    /// The same user; without one, the same address.
    User,
    /// The same address.
    Address,
    /// All together.
    All,
}

/// How requests are counted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateStrategy {
    /// The allowance grows back steadily.
    #[default]
    TokenBucket,
    /// So many in any window up to now.
    SlidingWindow,
    /// So many in each window by the clock.
    FixedWindow,
}

impl RateLimitSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        LimitError::check("rate_limit.status", self.status.into(), 400..=599)?;
        let bits = u32::from(self.ipv6_prefix_length);
        LimitError::check("rate_limit.ipv6_prefix_length", bits, 16..=128)?;
        LimitError::check(
            "rate_limit.states_max",
            self.states_max,
            1_024..=100_000_000,
        )?;
        let interval = u32::try_from(self.save_interval.as_secs()).unwrap_or(u32::MAX);
        LimitError::check("rate_limit.save_interval", interval, 1..=86_400)
    }

    pub(super) fn rules(&self) -> Result<Rules, TrafficError> {
        let rules: Result<Vec<_>, _> = self.rule.iter().map(RateRuleSettings::rule).collect();
        Rules::new(rules?).map_err(TrafficError::Rule)
    }
}

impl RateRuleSettings {
    fn rule(&self) -> Result<Rule, TrafficError> {
        let of = |name: &String| (name != "*").then(|| name.as_str().into());
        let (applies, per) = match (
            &self.endpoint,
            &self.api_key,
            &self.user,
            &self.addresses[..],
        ) {
            (Some(endpoint), None, None, []) => (Applies::Endpoint(endpoint.clone()), Per::Address),
            (None, Some(key), None, []) => (Applies::ApiKey(of(key)), Per::ApiKey),
            (None, None, Some(user), []) => (Applies::User(of(user)), Per::User),
            (None, None, None, addresses) => (Applies::Address(addresses.to_vec()), Per::Address),
            _ => {
                return Err(TrafficError::Setting {
                    key: "rate_limit.rule",
                    wanted: "may have one of endpoint, api_key, user and addresses: make two rules of it",
                });
            }
        };
        let limit = Limit {
            strategy: match self.strategy {
                RateStrategy::TokenBucket => Strategy::TokenBucket,
                RateStrategy::SlidingWindow => Strategy::SlidingWindow,
                RateStrategy::FixedWindow => Strategy::FixedWindow,
            },
            calls: self.limit,
            window: self.window,
            burst: self.burst,
            cooldown: self.cooldown,
        };
        let is_unlimited = self.limit == 0 && self.window.is_zero();
        Ok(Rule {
            name: self.name.as_str().into(),
            applies,
            per: match self.per {
                None => per,
                Some(RateWhom::ApiKey) => Per::ApiKey,
                Some(RateWhom::User) => Per::User,
                Some(RateWhom::Address) => Per::Address,
                Some(RateWhom::All) => Per::All,
            },
            limit: (!is_unlimited).then_some(limit),
            quotas: [self.quota_hour, self.quota_day, self.quota_month],
            cost: self.cost.unwrap_or(1),
        })
    }
}
