//! What a server makes of the store.
//!
//! Where a server's own settings speak, they win: a certificate of its own for the same key, timeouts that are
//! enabled, a limit of the cache that is not the default.

use std::path::Path;
use std::time::Duration;

use tidegate_httpapi::{
    ApiError, Backend, CacheLimits, Caller, InheritedTimeouts, Timeouts, TlsBinding, TlsBindingKey,
};

use super::{HttpConfiguration, HttpStore, StoreError};
use crate::settings::Settings;

/// What was read of a store; nothing, where a server has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    configuration: HttpConfiguration,
    /// Who the server runs as; `None`: nobody is asked.
    caller: Option<Caller>,
}

impl Stored {
    /// Reads the store at `path`, if there is to be one.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, StoreError> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let store = HttpStore::at(path);
        Ok(Self {
            configuration: store.read()?,
            caller: store.caller(),
        })
    }

    /// The certificates of ports, as a driver binds them.
    pub(crate) fn tls(
        &self,
        is_used: impl Fn(u16) -> bool,
    ) -> Result<Vec<(TlsBindingKey, TlsBinding)>, ApiError> {
        let certificates = self.configuration.certificates.iter();
        certificates
            .filter(|certificate| is_used(certificate.key.port()))
            .map(|certificate| Ok((certificate.key.clone(), certificate.binding()?)))
            .collect()
    }

    /// The driver's timers.
    pub(crate) fn timeouts(&self, settings: &Settings) -> Timeouts {
        // 0xFFFF is off.
        let time =
            |seconds: u16| (seconds != u16::MAX).then(|| Duration::from_secs(seconds.into()));
        let kept = InheritedTimeouts {
            idle_connection: self.configuration.idle_connection_timeout.map(time),
            header_wait: self.configuration.header_wait_timeout.map(time),
            ..InheritedTimeouts::default()
        };
        let machine = kept.resolve(&Timeouts::default());
        settings.timeouts.inherited().resolve(&machine)
    }

    /// The limits of the driver's cache.
    pub(crate) fn cache_limits(&self, settings: &Settings) -> CacheLimits {
        let mut limits = settings.cache.limits();
        let default = CacheLimits::default().content_bytes_max;
        if let Some(bytes) = self.configuration.cache_response_bytes_max
            && limits.content_bytes_max == default
        {
            limits.content_bytes_max = bytes;
        }
        limits
    }

    /// Puts into effect what is not a matter of starting the driver, in the place of what `before` has put. When
    /// something cannot be had, all is as it was.
    pub(crate) fn apply(&self, backend: &dyn Backend, before: &Self) -> Result<(), ApiError> {
        let (new, old) = (&self.configuration, &before.configuration);
        let has_moved = new.listen_addresses != old.listen_addresses;
        if has_moved {
            backend.set_listen_addresses(&new.listen_addresses)?;
        }
        if new.reservations != old.reservations || self.caller != before.caller {
            let set = backend.set_reservations(&new.reservations, self.caller.clone());
            if set.is_err() && has_moved {
                // They could be had a moment ago.
                let _ = backend.set_listen_addresses(&old.listen_addresses);
            }
            return set;
        }
        Ok(())
    }

    /// What of a change only the next start puts into effect.
    pub(crate) fn differences_for_start(&self, before: &Self) -> Option<&'static str> {
        let limit = |stored: &Self| stored.configuration.cache_response_bytes_max;
        (limit(self) != limit(before)).then_some("maxcacheresponsesize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let mut stored = Stored::default();
        let configuration = &mut stored.configuration;
        configuration.set_idle_connection_timeout(Some(60)).unwrap();
        configuration.set_header_wait_timeout(Some(65_535)).unwrap();
        configuration
            .set_cache_response_bytes_max(Some(5_000))
            .unwrap();
        stored
    }

    #[test]
    fn a_servers_own_timeouts_come_first() {
        let mut settings = Settings::default();
        let timeouts = stored().timeouts(&settings);
        assert_eq!(timeouts.idle_connection, Some(Duration::from_secs(60)));
        assert_eq!(timeouts.header_wait, None);
        assert_eq!(timeouts.entity_body, Some(Duration::from_secs(120)));
        settings.timeouts.enabled = true;
        settings.timeouts.header_wait = Duration::from_secs(7);
        settings.timeouts.idle_connection = Duration::ZERO;
        let timeouts = stored().timeouts(&settings);
        assert_eq!(timeouts.idle_connection, Some(Duration::from_secs(60)));
        assert_eq!(timeouts.header_wait, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_servers_own_limit_of_the_cache_comes_first() {
        let mut settings = Settings::default();
        assert_eq!(stored().cache_limits(&settings).content_bytes_max, 5_000);
        settings.cache.max_response_bytes = 9_000;
        assert_eq!(stored().cache_limits(&settings).content_bytes_max, 9_000);
        let start = stored().differences_for_start(&Stored::default());
        assert_eq!(start, Some("maxcacheresponsesize"));
    }
}
