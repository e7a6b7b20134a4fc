//! Settings of the embedded backend: plain values that never act.

use std::path::PathBuf;
use std::time::Duration;

use tidegate_httpapi::{
    CacheLimits, Http2Limits, LimitError, LogRollover, RequestLimits, ServerHeaderMode,
    ServiceLimits, Timeouts,
};
use tidegate_os::KeptListeners;

/// Which event loop the workers run on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Io {
    /// `Uring` where the kernel offers it, else `Poll`, with one log line that says why. The default.
    #[default]
    Auto,
    /// io_uring, Linux only. Starting fails where the kernel does not offer it.
    Uring,
    /// Readiness: epoll, kqueue or what the platform has.
    Poll,
}

/// How the embedded backend is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EmbeddedSettings {
    /// The event loop. Default auto.
    pub io: Io,
    /// Worker threads. Default `None`: one for each processor the process may use.
    pub io_threads: Option<u32>,
    /// Limits on requests.
    pub request_limits: RequestLimits,
    /// Limits on HTTP/2 connections.
    pub http2_limits: Http2Limits,
    /// Limits of the response cache.
    pub cache: CacheLimits,
    /// Limits of the whole backend.
    pub limits: ServiceLimits,
    /// Timers of sessions that set none. On a connection whose first request has not been routed yet,
    /// these are all there is. Source: the HTTP Server API's service-wide timeouts; http-server-api §6.
    pub timeouts: Timeouts,
    /// What stands in the `Server` field.
    pub server_header: ServerHeaderMode,
    /// The backend's own token in the `Server` field. Default `Tidegate/` and the version.
    pub server_token: String,
    /// Waiting connections that the system holds for each listener. Default 4096.
    pub listen_backlog: u32,
    /// Listening sockets that outlive this backend: they are used in place of ones that it would open, and what
    /// it opens is stored with who keeps them. With any, nothing is accepted before
    /// [`begin_accepting`](tidegate_httpapi::Backend::begin_accepting). Default none.
    pub listeners: KeptListeners,
    /// How often the files of certificates are looked at, whether they have changed. Default 5 s, at least
    /// 100 ms.
    pub certificates_looked_at_every: Duration,
    /// The HTTPERR log.
    pub error_log: ErrorLogSettings,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        Self {
            io: Io::Auto,
            io_threads: None,
            request_limits: RequestLimits::default(),
            http2_limits: Http2Limits::default(),
            cache: CacheLimits::default(),
            limits: ServiceLimits::default(),
            timeouts: Timeouts::default(),
            server_header: ServerHeaderMode::Full,
            server_token: concat!("Tidegate/", env!("CARGO_PKG_VERSION")).to_owned(),
            listen_backlog: 4096,
            listeners: KeptListeners::default(),
            certificates_looked_at_every: Duration::from_secs(5),
            error_log: ErrorLogSettings::default(),
        }
    }
}

impl EmbeddedSettings {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        self.request_limits.check()?;
        self.http2_limits.check()?;
        self.cache.check()?;
        self.limits.check()?;
        if let Some(threads) = self.io_threads {
            LimitError::check("io_threads", threads, 1..=256)?;
        }
        LimitError::check("listen_backlog", self.listen_backlog, 1..=65_535)?;
        LimitError::check(
            "error_log.rollover_bytes",
            self.error_log.rollover_bytes,
            1_048_576..=u32::MAX,
        )
    }
}

/// The HTTPERR log: one line for each request or connection that the driver itself ended.
///
/// Source: "Error Logging in HTTP APIs", HTTP Server API; http-server-api §9.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ErrorLogSettings {
    /// Whether it is written. Default true. Source: `EnableErrorLogging`.
    pub enabled: bool,
    /// The folder in which a folder `HTTPERR` is made. Default `None`: `/var/log/tidegate` for the
    /// superuser, else the user's state folder. Source: `ErrorLoggingDir`.
    pub directory: Option<PathBuf>,
    /// When the next file is begun. Default by size. Source: `ErrorLoggingRolloverType`.
    pub rollover: LogRollover,
    /// Largest file when rolling over by size, in bytes. Default and least 1 MiB. Source:
    /// `ErrorLogFileTruncateSize`.
    pub rollover_bytes: u32,
    /// Whether files are named and rolled over by local time. Default false, UTC. Source:
    /// `ErrorLoggingLocaltimeRollover`.
    pub local_time_rollover: bool,
    /// Which fields are written, as bits; see http-server-api §9. Default 0x7C884C7. Source:
    /// `ErrorLoggingFields`.
    pub fields: u32,
}

impl Default for ErrorLogSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: None,
            rollover: LogRollover::Size,
            rollover_bytes: 1_048_576,
            local_time_rollover: false,
            fields: 0x07C8_84C7,
        }
    }
}
