//! Properties of server sessions, URL groups and request queues.
//!
//! Inheritance: a group's unset property is its session's, a session's unset property is the
//! machine's default. Queue properties stand alone. Source: HTTP Server API,
//! `HTTP_SERVER_PROPERTY`; http-server-api §5 and §6.

use std::time::Duration;

use crate::limits::LimitError;
use crate::logging::LoggingProperties;

/// Whether an object takes requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum EnabledState {
    /// It does.
    #[default]
    Enabled,
    /// It refuses every new request with 503, reason `Disabled`.
    Disabled,
}

/// How a queue's 503 answers look. Source: `HTTP_503_RESPONSE_VERBOSITY`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Verbosity503 {
    /// No answer: the connection is reset.
    #[default]
    Basic,
    /// 503 with the generic reason phrase.
    Limited,
    /// 503 with a reason phrase that tells the cause.
    Full,
}

/// What stands in the `Server` field. Source: the `DisableServerHeader` setting, 0 to 2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ServerHeaderMode {
    /// The application's value, then the backend's own token.
    #[default]
    Full,
    /// As `Full`, but answers made by the backend itself carry none.
    NotOnErrors,
    /// Only what the application sets.
    Never,
}

/// The six timers of a connection, resolved: `None` is off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// Longest idle time between two requests. Default 120 s.
    pub idle_connection: Option<Duration>,
    /// Longest time for a head to arrive, from its first byte. Default 120 s.
    pub header_wait: Option<Duration>,
    /// Longest pause while content arrives. Default 120 s.
    pub entity_body: Option<Duration>,
    /// Longest time to drain content nobody reads, after the answer. Default 120 s.
    pub drain_entity_body: Option<Duration>,
    /// Longest wait in the request queue. Default 120 s.
    pub request_queue: Option<Duration>,
    /// Slowest average at which a peer may take a response, in bytes per second. Default 150.
    pub min_send_rate: Option<u32>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let default = Some(Duration::from_secs(120));
        Self {
            idle_connection: default,
            header_wait: default,
            entity_body: default,
            drain_entity_body: default,
            request_queue: default,
            min_send_rate: Some(150),
        }
    }
}

/// Timers as set on a session or a group: `None` inherits, `Some(None)` is off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct InheritedTimeouts {
    /// See [`Timeouts::idle_connection`].
    pub idle_connection: Option<Option<Duration>>,
    /// See [`Timeouts::header_wait`].
    pub header_wait: Option<Option<Duration>>,
    /// See [`Timeouts::entity_body`].
    pub entity_body: Option<Option<Duration>>,
    /// See [`Timeouts::drain_entity_body`].
    pub drain_entity_body: Option<Option<Duration>>,
    /// See [`Timeouts::request_queue`].
    pub request_queue: Option<Option<Duration>>,
    /// See [`Timeouts::min_send_rate`].
    pub min_send_rate: Option<Option<u32>>,
}

impl InheritedTimeouts {
    /// These timers, with those not set taken from `parent`.
    pub fn resolve(&self, parent: &Timeouts) -> Timeouts {
        Timeouts {
            idle_connection: self.idle_connection.unwrap_or(parent.idle_connection),
            header_wait: self.header_wait.unwrap_or(parent.header_wait),
            entity_body: self.entity_body.unwrap_or(parent.entity_body),
            drain_entity_body: self.drain_entity_body.unwrap_or(parent.drain_entity_body),
            request_queue: self.request_queue.unwrap_or(parent.request_queue),
            min_send_rate: self.min_send_rate.unwrap_or(parent.min_send_rate),
        }
    }
}

/// The transfer rate of a response: its first `burst_size` bytes go at `max_peak_bandwidth` at most, the rest at
/// `max_bandwidth`. What fell behind may catch up, never above the peak.
///
/// Rates are bytes per second. Source: `HTTP_FLOWRATE_INFO`; http-server-api §12.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FlowRate {
    /// Bytes per second after the burst, 1,024 to 4,294,967,295.
    pub max_bandwidth: u32,
    /// Bytes per second in the burst and when catching up; not below `max_bandwidth`.
    pub max_peak_bandwidth: u32,
    /// Length of the burst, in bytes.
    pub burst_size: u32,
}

impl FlowRate {
    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        check_bandwidth("flow_rate.max_bandwidth", Some(self.max_bandwidth))?;
        LimitError::check(
            "flow_rate.max_peak_bandwidth",
            self.max_peak_bandwidth,
            self.max_bandwidth..=u32::MAX,
        )
    }
}

/// Whether a bandwidth can be: at least [`BANDWIDTH_MIN`].
fn check_bandwidth(name: &'static str, bandwidth: Option<u32>) -> Result<(), LimitError> {
    match bandwidth {
        Some(rate) => LimitError::check(name, rate, BANDWIDTH_MIN..=u32::MAX),
        None => Ok(()),
    }
}

/// The lowest bandwidth that can be set, in bytes per second. Source: `HTTP_MIN_ALLOWED_BANDWIDTH_THROTTLING_RATE`.
pub const BANDWIDTH_MIN: u32 = 1024;

/// A bandwidth without a limit, as the HTTP Server API writes it; the same as `None`.
pub const BANDWIDTH_INFINITE: u32 = u32::MAX;

/// A bandwidth as a rate: `None` is no limit.
fn finite(bandwidth: Option<u32>) -> Option<u32> {
    bandwidth.filter(|&rate| rate != BANDWIDTH_INFINITE)
}

/// Properties of a server session.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SessionProperties {
    /// Whether the session's groups take requests. Default enabled.
    pub state: EnabledState,
    /// Timers of all groups that do not set their own.
    pub timeouts: InheritedTimeouts,
    /// Logs the requests of all groups that do not set their own, together. Default `None`, not at all.
    pub logging: Option<LoggingProperties>,
    /// What all connections of the session's groups may be sent together, in bytes per second. Default `None`,
    /// unlimited, as is [`BANDWIDTH_INFINITE`]; else at least [`BANDWIDTH_MIN`].
    ///
    /// Counted are responses with their heads, answers from the response cache, and what upgraded connections
    /// are sent; what TLS adds is not. It holds beside the groups' own limits, and a change acts at once.
    /// Source: `HTTP_BANDWIDTH_LIMIT_INFO`.
    pub max_bandwidth: Option<u32>,
    /// What may be received from all connections whose requests were routed to the session's groups, in bytes
    /// per second: where it is more, they are not read from for a while. Default and range as of
    /// `max_bandwidth`.
    pub max_bandwidth_in: Option<u32>,
}

impl SessionProperties {
    /// Whether its bandwidths can be.
    ///
    /// # Errors
    ///
    /// The first that cannot, with its range.
    pub fn check_bandwidth(&self) -> Result<(), LimitError> {
        check_bandwidth("max_bandwidth", self.max_bandwidth)?;
        check_bandwidth("max_bandwidth_in", self.max_bandwidth_in)
    }

    /// What may be sent and received in a second; `None` is no limit.
    pub fn bandwidths(&self) -> (Option<u32>, Option<u32>) {
        (finite(self.max_bandwidth), finite(self.max_bandwidth_in))
    }
}

/// Properties of a URL group.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GroupProperties {
    /// Whether the group takes requests. Default enabled.
    pub state: EnabledState,
    /// Timers of requests routed here; those not set are the session's.
    pub timeouts: InheritedTimeouts,
    /// Most connections whose requests are routed here at once. Default `None`, unlimited.
    ///
    /// Counted from a connection's first routed request. One more gets 503 `ConnLimit`; lowering the
    /// limit keeps those there are. Source: QoS connection limit, http-server-api §12.
    pub connections_max: Option<u32>,
    /// Logs the requests routed here. Default `None`, as the session says.
    pub logging: Option<LoggingProperties>,
    /// What all connections whose last request was routed here may be sent together, in bytes per second. As
    /// the session's [`max_bandwidth`](SessionProperties::max_bandwidth), beside which it holds.
    pub max_bandwidth: Option<u32>,
    /// How fast each response goes, for those that begin after it was set. Default `None`, as fast as its client
    /// takes it.
    pub flow_rate: Option<FlowRate>,
}

impl GroupProperties {
    /// Whether its bandwidths can be.
    ///
    /// # Errors
    ///
    /// The first that cannot, with its range.
    pub fn check_bandwidth(&self) -> Result<(), LimitError> {
        check_bandwidth("max_bandwidth", self.max_bandwidth)?;
        self.flow_rate.as_ref().map_or(Ok(()), FlowRate::check)
    }

    /// What may be sent in a second; `None` is no limit.
    pub fn bandwidth(&self) -> Option<u32> {
        finite(self.max_bandwidth)
    }
}

/// How a queue's requests reach the application. Source: the component's FineTune.OperatingMode.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum OperatingMode {
    /// Workers read, parse, route and queue; handler threads take from the queue and may block.
    #[default]
    Classic,
    /// The application is called on the worker that read the request.
    HighPerf,
}

/// Properties of a request queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueProperties {
    /// Whether the queue takes requests. Default enabled.
    pub state: EnabledState,
    /// Most requests that wait to be taken by the application. Default 1000, 1 to 2³¹−1.
    ///
    /// The next one is refused with 503 `QueueFull`; lowering the limit evicts nobody.
    pub queue_length: u32,
    /// How refusals look. Default basic: the connection is reset.
    pub verbosity_503: Verbosity503,
    /// How requests reach the application. Default classic.
    pub operating_mode: OperatingMode,
    /// Handler threads. Default 32, 1 to 1024.
    ///
    /// Classic: they take from the queue. HighPerf: they serve the requests that the application
    /// moves to where it may block, and count into the most that are with the application at once.
    pub thread_pool_size: u32,
    /// HighPerf: `thread_pool_size × accepts_per_worker` requests may be with the application at once,
    /// answered later or async; further ones wait in the queue. Default 4, 1 to 1024.
    pub accepts_per_worker: u32,
    /// HighPerf: true calls the application as each request is read; false calls it after the whole
    /// batch of completions has been taken, so that requests wait in the queue meanwhile and a batch
    /// longer than the queue is refused in part. Default false.
    pub skip_completion_on_success: bool,
    /// Content up to this length is received whole before the application is called, unless the peer
    /// waits for `100 Continue`. Bytes, default 16 KiB, 0 to 16 MiB.
    pub content_gathered_max: u32,
    /// Longest content accepted, in bytes; a longer one is refused with 413. Default 64 MiB; `None`
    /// is unlimited.
    pub content_bytes_max: Option<u64>,
    /// Whether it is measured how long requests take, to be told by
    /// [`service_state`](crate::Backend::service_state). Default false.
    pub measures_latency: bool,
}

impl Default for QueueProperties {
    fn default() -> Self {
        Self {
            state: EnabledState::Enabled,
            queue_length: 1000,
            verbosity_503: Verbosity503::Basic,
            operating_mode: OperatingMode::Classic,
            thread_pool_size: 32,
            accepts_per_worker: 4,
            skip_completion_on_success: false,
            content_gathered_max: 16 * 1024,
            content_bytes_max: Some(64 * 1024 * 1024),
            measures_latency: false,
        }
    }
}

impl QueueProperties {
    /// Most requests that may be with the application at once in HighPerf.
    pub fn with_application_max(&self) -> u32 {
        self.thread_pool_size
            .saturating_mul(self.accepts_per_worker)
    }

    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// The first number that is not, with its range.
    pub fn check(&self) -> Result<(), LimitError> {
        LimitError::check("queue_length", self.queue_length, 1..=0x7FFF_FFFF)?;
        LimitError::check("thread_pool_size", self.thread_pool_size, 1..=1024)?;
        LimitError::check("accepts_per_worker", self.accepts_per_worker, 1..=1024)?;
        LimitError::check(
            "content_gathered_max",
            self.content_gathered_max,
            0..=16 * 1024 * 1024,
        )
    }
}
