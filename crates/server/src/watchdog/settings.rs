//! The watchdog's settings: plain values that never act.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::LimitError;

/// Whether a server that has stopped by itself is started anew, and how often. `[watchdog]` in a settings
/// file. Source: the component's WatchDog.
///
/// A server stops by itself when a thread of its driver ends or cannot listen, when it does not answer the
/// [`monitor`](Self::monitor), and when a restart fails. One that is [stopped](crate::Server::stop), or whose
/// first start fails, is left alone. The whole server is started anew: connections end as at a stop, requests
/// in progress have [`shutdown_deadline`](crate::Settings::shutdown_deadline).
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct WatchDogSettings {
    /// Whether it is. Default false. Source: the component's WatchDog.Enabled.
    pub enabled: bool,
    /// Time between two attempts, and between two looks of the monitor. The first attempt comes at once.
    /// Default 60 s, more than 0 and at most 1,000,000 s. Source: the component's WatchDog.Interval.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub interval: Duration,
    /// Most attempts one after the other, after which the server stays as it is; 0 is unlimited. A server that
    /// has run for an interval has its attempts back. Default 0. Source: the component's WatchDog.Attempts.
    pub attempts: u32,
    /// Whether the server is asked like a client would ask it.
    pub monitor: WatchDogMonitor,
}

/// Whether the server is asked whether it answers. `[watchdog.monitor]` in a settings file. Source: the
/// component's WatchDog.Monitor.
///
/// Once in an interval a connection is made to each address that the server listens on, with TLS where
/// clients have to, whose certificate is not looked at, and a request is made to a URL of the monitor's own
/// under `/.well-known/`, which has a request queue of its own: rules about who may come in, logs and the
/// application see nothing of it, and however busy the application is, it is answered. The worker threads are
/// asked as well, each of them. What cannot be asked is left out: a port whose PROXY headers are believed of
/// others only. A connection to a Unix socket is told to
/// [`on_tcp_connect`](crate::Events::on_tcp_connect), since nothing tells it from others. A server that has as many connections as it may is not asked.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct WatchDogMonitor {
    /// Whether it is. Default false. Source: the component's WatchDog.Monitor.Enabled.
    pub enabled: bool,
    /// How long an answer may take before the server is started anew. Default 10 s, more than 0 and at most 3,600 s.
    /// Source: the component's WatchDog.Monitor.TimeOut.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub timeout: Duration,
}

impl Default for WatchDogSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_secs(60),
            attempts: 0,
            monitor: WatchDogMonitor::default(),
        }
    }
}

impl Default for WatchDogMonitor {
    fn default() -> Self {
        Self {
            enabled: false,
            timeout: Duration::from_secs(10),
        }
    }
}

impl WatchDogSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        LimitError::check("watchdog.interval", seconds(self.interval), 1..=1_000_000)?;
        let timeout = seconds(self.monitor.timeout);
        LimitError::check("watchdog.monitor.timeout", timeout, 1..=3_600)
    }

    /// How long the monitor waits, if it is to ask.
    pub(crate) fn monitor_timeout(&self) -> Option<Duration> {
        self.monitor.enabled.then_some(self.monitor.timeout)
    }
}

/// Begun seconds.
fn seconds(time: Duration) -> u32 {
    let begun = u64::from(time.subsec_nanos() > 0);
    u32::try_from(time.as_secs() + begun).unwrap_or(u32::MAX)
}
