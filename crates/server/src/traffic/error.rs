//! Why the firewall or the rate limiter cannot be as the settings say.

use std::fmt;
use std::sync::Arc;

use tidegate_admission::address_list::ListError;
use tidegate_admission::country::DatabaseError;
use tidegate_admission::patterns::CustomPatternError;
use tidegate_admission::rate::RuleFault;
use tidegate_admission::snapshot::SnapshotError;

/// Why the firewall or the rate limiter cannot be as the settings say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrafficError {
    /// A list of addresses cannot be read.
    List(Arc<ListError>),
    /// A pattern of the application's own is none.
    Pattern(Arc<CustomPatternError>),
    /// The database of countries cannot be used.
    Countries(Arc<DatabaseError>),
    /// The file of bans cannot be used.
    Bans(Arc<SnapshotError>),
    /// A rule of the rate limiter cannot be.
    Rule(RuleFault),
    /// A key in the settings has a value that it cannot have, or lacks one.
    Setting {
        /// The key.
        key: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

impl fmt::Display for TrafficError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(error) => error.fmt(formatter),
            Self::Pattern(error) => write!(formatter, "firewall.patterns.custom: {error}"),
            Self::Countries(error) => write!(formatter, "firewall.country.database: {error}"),
            Self::Bans(error) => write!(formatter, "firewall.bans.file: {error}"),
            Self::Rule(error) => write!(formatter, "rate_limit.rule: {error}"),
            Self::Setting { key, wanted } => write!(formatter, "{key} {wanted}"),
        }
    }
}

impl std::error::Error for TrafficError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::List(error) => error.source(),
            Self::Countries(error) => error.source(),
            Self::Bans(error) => error.source(),
            Self::Pattern(_) | Self::Rule(_) | Self::Setting { .. } => None,
        }
    }
}
