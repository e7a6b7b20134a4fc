//! The response cache's settings. Source: http-server-api §5 and §8.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::{CacheLimits, LimitError};

use super::format;

/// What of responses is kept in the driver, to be served again without the application.
///
/// Only responses are that ask for it by [`Response::cache`](crate::Response::cache).
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CacheSettings {
    /// Whether any are kept. Default true. Source: `UriEnableCache`.
    pub enabled: bool,
    /// Longest content of a response that is kept, in bytes. Default 262,144, range 4,096 to 16,777,216.
    /// Source: `UriMaxUriBytes`.
    ///
    /// A longer one is sent and not kept.
    pub max_response_bytes: u32,
    /// Longest head of a response that is kept, in bytes. Default 1,024, range 256 to 65,536.
    ///
    /// A response with a longer one is sent and not kept.
    pub max_head_bytes: u32,
    /// Most memory that all of them take, in bytes. Default 64 MiB, range 1 MiB to 1 TiB.
    ///
    /// Where there is no room for another, those go that were not asked for lately.
    pub max_bytes: u64,
    /// How often those are dropped that are too old, or that have a time to live and were not asked for in
    /// so long. Default 120 s, range 10 s to 1 day. Source: `UriScavengerPeriod`.
    #[serde(deserialize_with = "format::seconds")]
    pub scavenger_period: Duration,
}

impl Default for CacheSettings {
    fn default() -> Self {
        let CacheLimits {
            enabled,
            content_bytes_max,
            head_bytes_max,
            total_bytes_max,
            scavenger_period,
            ..
        } = CacheLimits::default();
        Self {
            enabled,
            max_response_bytes: content_bytes_max,
            max_head_bytes: head_bytes_max,
            max_bytes: total_bytes_max,
            scavenger_period,
        }
    }
}

impl CacheSettings {
    pub(super) fn check(&self) -> Result<(), LimitError> {
        self.limits().check().map_err(|error| LimitError {
            name: match error.name {
                "cache.content_bytes_max" => "cache.max_response_bytes",
                "cache.head_bytes_max" => "cache.max_head_bytes",
                "cache.total_bytes_max" => "cache.max_bytes",
                name => name,
            },
            ..error
        })
    }

    /// The same as the driver has them.
    pub(crate) fn limits(&self) -> CacheLimits {
        let mut limits = CacheLimits::default();
        limits.enabled = self.enabled;
        limits.content_bytes_max = self.max_response_bytes;
        limits.head_bytes_max = self.max_head_bytes;
        limits.total_bytes_max = self.max_bytes;
        limits.scavenger_period = self.scavenger_period;
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_is_told_by_its_own_name() {
        let refused = |set: fn(&mut CacheSettings)| {
            let mut settings = CacheSettings::default();
            assert!(settings.check().is_ok());
            set(&mut settings);
            settings.check().unwrap_err().name
        };
        assert_eq!(
            [
                refused(|cache| cache.max_response_bytes = 4_095),
                refused(|cache| cache.max_head_bytes = 65_537),
                refused(|cache| cache.max_bytes = 1_048_575),
                refused(|cache| cache.scavenger_period = Duration::from_millis(9_999)),
            ],
            [
                "cache.max_response_bytes",
                "cache.max_head_bytes",
                "cache.max_bytes",
                "cache.scavenger_period"
            ]
        );
    }
}
