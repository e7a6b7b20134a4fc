//! The firewall's settings. Source: the component's Firewall.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_admission::ban::BanRules;
use tidegate_admission::ban::offence::{OffenceRules, Weights};
use tidegate_admission::country::Country;
use tidegate_admission::flood::FloodAction;
use tidegate_httpapi::{AddressRange, LimitError};

use super::bots::BotSettings;
use super::parsed;
use crate::settings::format;

/// Who is kept out, by address and by what they do. `[firewall]` in a settings file.
///
/// Each part does nothing until it is switched on or given something. Connections of Unix sockets have no address
/// and pass all that goes by addresses. What the response cache serves is not looked at.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FirewallSettings {
    /// Whether there is a firewall at all. Default false.
    pub enabled: bool,
    /// Addresses and ranges that pass the firewall whatever they do. Default none.
    #[serde(deserialize_with = "parsed::list")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<AddressRange>,
    /// Files with more of them, one a line; `#` and `;` begin a comment. Default none.
    pub allow_files: Vec<PathBuf>,
    /// Addresses and ranges whose connections are closed at once. Default none.
    #[serde(deserialize_with = "parsed::list")]
    #[schemars(with = "Vec<String>")]
    pub block: Vec<AddressRange>,
    /// Files with more of them. Default none.
    pub block_files: Vec<PathBuf>,
    /// Whether answers may be kept by the response cache, which serves them, on connections that there are, without
    /// asking. Default false: they are not kept.
    pub cached_answers: bool,
    /// Common bits of the IPv6 addresses that count as one. Default 64, range 16 to 128.
    pub ipv6_prefix_length: u8,
    /// Most states of addresses that are kept, 32 bytes each. Default 1,000,000, range 1,024 to 100,000,000.
    ///
    /// Where there is no room, what is known of those is forgotten who have done least.
    pub states_max: u32,
    /// Most connections of an address. Off by default; when on, 10 in 60 s. Source: the component's
    /// RateLimit.
    pub connections: FloodSettings,
    /// What WebSocket messages may be.
    pub messages: MessageSettings,
    /// Longest content of a request that says how long it is, in bytes; 0 is unlimited. Default 0.
    ///
    /// A longer one is answered with 413 and counts as an offence. `max_request_body_size` holds beside it.
    pub max_request_bytes: u64,
    /// What attacks look like.
    pub patterns: PatternSettings,
    /// Which requests are of programs.
    pub bots: BotSettings,
    /// Attempts to log in that fail.
    pub brute_force: BruteForceSettings,
    /// What each offence counts, and when it is enough.
    pub threat_score: ThreatScoreSettings,
    /// How long bans are, and where they are kept.
    pub bans: BanSettings,
    /// Which countries may come in.
    pub country: CountrySettings,
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            allow: Vec::new(),
            allow_files: Vec::new(),
            block: Vec::new(),
            block_files: Vec::new(),
            cached_answers: false,
            ipv6_prefix_length: 64,
            states_max: 1_000_000,
            connections: FloodSettings::default(),
            messages: MessageSettings::default(),
            max_request_bytes: 0,
            patterns: PatternSettings::default(),
            bots: BotSettings::default(),
            brute_force: BruteForceSettings::default(),
            threat_score: ThreatScoreSettings::default(),
            bans: BanSettings::default(),
            country: CountrySettings::default(),
        }
    }
}

/// So many in a time.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct FloodSettings {
    /// Whether they are counted. Default false.
    pub enabled: bool,
    /// How many. Default 10, range 1 to 1,000,000,000.
    pub limit: u32,
    /// In how long a time. Default 60 s, range above 0, up to 40 days.
    #[serde(deserialize_with = "format::seconds")]
    pub window: Duration,
}

impl Default for FloodSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            limit: 10,
            window: Duration::from_secs(60),
        }
    }
}

/// What WebSocket messages may be. A connection that breaks a rule is closed with 1008.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MessageSettings {
    /// Whether the messages of an address are counted. Default false.
    pub enabled: bool,
    /// How many messages an address may send in `window` on all its connections. Default 100, range 1 to
    /// 1,000,000,000. Source: the
    /// component's FloodProtection.
    pub limit: u32,
    /// In how long a time. Default 1 s, range above 0, up to 40 days.
    #[serde(deserialize_with = "format::seconds")]
    pub window: Duration,
    /// What becomes of a message that is too much: `deny` closes the connection, `log` lets it through and tells
    /// of it, `allow` lets it through. Default deny.
    #[serde(deserialize_with = "flood_action")]
    #[schemars(with = "FloodActionNames")]
    pub action: FloodAction,
    /// Longest message, in bytes; 0 is unlimited. Default 0. `websocket.max_message_size` holds beside it.
    pub max_bytes: u64,
}

impl Default for MessageSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            limit: 100,
            window: Duration::from_secs(1),
            action: FloodAction::Deny,
            max_bytes: 0,
        }
    }
}

/// What attacks look like, and where it is looked for.
///
/// It is a net with holes: it keeps common probes away, and is no substitute for code that is safe.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PatternSettings {
    /// SQL in a value. Default false.
    pub sql_injection: bool,
    /// Script in a value. Default false.
    pub cross_site_scripting: bool,
    /// A path that leaves its folder. Default false.
    pub path_traversal: bool,
    /// A command of a shell in a value. Default false.
    pub command_injection: bool,
    /// Regular expressions that are looked for as well, letter case ignored, in paths and queries once escapes are
    /// resolved. Default none.
    pub custom: Vec<String>,
    /// Fields of requests whose values are looked at, besides path and query. Default none.
    pub fields: Vec<String>,
    /// Whether the beginning of a request's content is looked at, if it is a form without files or JSON. Default
    /// false.
    ///
    /// Who reads it gets it when it has been looked at. Content of other types is not looked at.
    pub content: bool,
    /// Whether texts of WebSocket messages are looked at. Default false.
    pub messages: bool,
    /// Of a message, field or content, how many bytes from its beginning are looked at. Default 65,536, range 256 to
    /// 16,777,216.
    pub scan_bytes_max: u32,
    /// Whether what is found is let through and only told of, and counted. Default false: a request is
    /// answered with 403, a WebSocket connection closed with 1008.
    pub log_only: bool,
}

impl Default for PatternSettings {
    fn default() -> Self {
        Self {
            sql_injection: false,
            cross_site_scripting: false,
            path_traversal: false,
            command_injection: false,
            custom: Vec::new(),
            fields: Vec::new(),
            content: false,
            messages: false,
            scan_bytes_max: 65_536,
            log_only: false,
        }
    }
}

/// Attempts to log in that fail.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BruteForceSettings {
    /// Whether they lead to a ban. Default false.
    pub enabled: bool,
    /// With this many within `window` an address is banned. Default 5, range 1 to 1,000,000,000.
    pub attempts: u32,
    /// In how long a time. Default 300 s, range above 0, up to 40 days.
    #[serde(deserialize_with = "format::seconds")]
    pub window: Duration,
}

impl Default for BruteForceSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            attempts: 5,
            window: Duration::from_secs(300),
        }
    }
}

/// What each offence counts, and when it is enough.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ThreatScoreSettings {
    /// Whether offences are counted. Default false.
    pub enabled: bool,
    /// The score at which an address is banned; 0 is never. Default 100, at most 1,000,000.
    pub threshold: u32,
    /// What a score loses in an hour; 0 is nothing. Default 10, at most 1,000,000.
    pub decay_per_hour: u32,
    /// What each offence adds.
    pub weights: WeightSettings,
}

impl Default for ThreatScoreSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            threshold: 100,
            decay_per_hour: 10,
            weights: WeightSettings::default(),
        }
    }
}

/// What each offence adds to the score of an address. Each at most 1,000,000.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WeightSettings {
    /// A wrong password or key. Default 10.
    pub authentication_failure: u32,
    /// A request or message that looks like an attack. Default 25.
    pub attack: u32,
    /// Too many connections or messages. Default 5.
    pub flood: u32,
    /// A request that the rate limiter refused. Default 1.
    pub rate_limit: u32,
    /// A request or message that is too long. Default 10.
    pub payload: u32,
    /// A WebSocket frame that breaks a rule. Default 5.
    pub protocol: u32,
}

impl Default for WeightSettings {
    fn default() -> Self {
        let weights = OffenceRules::default().weights;
        Self {
            authentication_failure: weights.authentication_failure,
            attack: weights.attack,
            flood: weights.flood,
            rate_limit: weights.rate_limit,
            payload: weights.payload,
            protocol: weights.protocol,
        }
    }
}

/// How long bans are, and where they are kept.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BanSettings {
    /// How long the first ban of an address is, the second, and so on; the last for all after. Default 900 s,
    /// 3,600 s, a day, a week; 1 to 255 of them.
    #[serde(deserialize_with = "parsed::times")]
    pub durations: Vec<Duration>,
    /// How long after its end a ban makes the next one longer. Default 30 days.
    #[serde(deserialize_with = "format::seconds")]
    pub remember: Duration,
    /// Most bans kept, those included that have ended and are remembered. Default 100,000, range 64 to
    /// 10,000,000.
    pub max: u32,
    /// The file that bans are kept in, so that they outlive a restart. Default none: they do not.
    ///
    /// It is written within a second. `tidegate firewall` changes it while the server runs.
    pub file: Option<PathBuf>,
}

impl Default for BanSettings {
    fn default() -> Self {
        let rules = BanRules::default();
        Self {
            durations: rules.durations,
            remember: rules.remember,
            max: rules.bans_max as u32,
            file: None,
        }
    }
}

/// Which countries may come in, by a database that you supply.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CountrySettings {
    /// A MaxMind DB file of countries. Default none: only `on_resolve_country` says which country it is.
    ///
    /// It is read again when it has been replaced.
    pub database: Option<PathBuf>,
    /// Countries that may, by their two letters; empty is all. Default all.
    #[serde(deserialize_with = "parsed::list")]
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<Country>,
    /// Countries that may not, also when they are allowed. Default none.
    #[serde(deserialize_with = "parsed::list")]
    #[schemars(with = "Vec<String>")]
    pub block: Vec<Country>,
    /// Whether addresses are kept out whose country is not known, such as private ones. Default false.
    pub block_unknown: bool,
}

impl FirewallSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let bits = u32::from(self.ipv6_prefix_length);
        LimitError::check("firewall.ipv6_prefix_length", bits, 16..=128)?;
        LimitError::check("firewall.states_max", self.states_max, 1_024..=100_000_000)?;
        let counts = [
            ("firewall.connections.limit", self.connections.limit),
            ("firewall.messages.limit", self.messages.limit),
            ("firewall.brute_force.attempts", self.brute_force.attempts),
        ];
        for (key, count) in counts {
            LimitError::check(key, count, 1..=1_000_000_000)?;
        }
        let windows = [
            ("firewall.connections.window", self.connections.window),
            ("firewall.messages.window", self.messages.window),
            ("firewall.brute_force.window", self.brute_force.window),
        ];
        for (key, window) in windows {
            // Rounded up: a part of a second may be.
            let seconds = window.as_secs() + u64::from(window.subsec_nanos() > 0);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            LimitError::check(key, seconds, 1..=3_456_000)?;
        }
        let scan = self.patterns.scan_bytes_max;
        LimitError::check("firewall.patterns.scan_bytes_max", scan, 256..=16_777_216)?;
        let score = &self.threat_score;
        let weights = &score.weights;
        let scores = [
            ("firewall.threat_score.threshold", score.threshold),
            ("firewall.threat_score.decay_per_hour", score.decay_per_hour),
            (
                "firewall.threat_score.weights.authentication_failure",
                weights.authentication_failure,
            ),
            ("firewall.threat_score.weights.attack", weights.attack),
            ("firewall.threat_score.weights.flood", weights.flood),
            (
                "firewall.threat_score.weights.rate_limit",
                weights.rate_limit,
            ),
            ("firewall.threat_score.weights.payload", weights.payload),
            ("firewall.threat_score.weights.protocol", weights.protocol),
        ];
        for (key, value) in scores {
            LimitError::check(key, value, 0..=1_000_000)?;
        }
        LimitError::check("firewall.bans.max", self.bans.max, 64..=10_000_000)?;
        // As many of them.
        let durations = self.bans.durations.len() as u32;
        LimitError::check("firewall.bans.durations", durations, 1..=255)
    }

    /// How bans are made.
    pub(super) fn ban_rules(&self) -> BanRules {
        BanRules {
            durations: self.bans.durations.clone(),
            remember: self.bans.remember,
            bans_max: self.bans.max as usize,
            v6_bits: self.ipv6_prefix_length,
        }
    }

    /// How offences are counted; `None` when they are not.
    pub(super) fn offence_rules(&self) -> Option<OffenceRules> {
        let (brute_force, score) = (&self.brute_force, &self.threat_score);
        if !brute_force.enabled && !score.enabled {
            return None;
        }
        let weights = &score.weights;
        Some(OffenceRules {
            brute_force: brute_force
                .enabled
                .then_some((brute_force.attempts, brute_force.window)),
            threshold: if score.enabled { score.threshold } else { 0 },
            decay_per_hour: score.decay_per_hour,
            weights: match score.enabled {
                true => Weights {
                    authentication_failure: weights.authentication_failure,
                    attack: weights.attack,
                    flood: weights.flood,
                    rate_limit: weights.rate_limit,
                    payload: weights.payload,
                    protocol: weights.protocol,
                },
                false => Weights::default(),
            },
        })
    }
}

fn flood_action<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<FloodAction, D::Error> {
    Ok(match FloodActionNames::deserialize(deserializer)? {
        FloodActionNames::Deny => FloodAction::Deny,
        FloodActionNames::Allow => FloodAction::Allow,
        FloodActionNames::Log => FloodAction::Log,
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum FloodActionNames {
    Deny,
    Allow,
    Log,
}
