//! What a backend holds: sessions with their URL groups, request queues, and what these have counted.
//!
//! Copies of one moment, for whoever looks after a server. Source: the administration tool's
//! `show servicestate` and the HTTP Server API's performance counters; http-server-api §13.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::backend::{RequestQueueId, ServerSessionId, UrlGroupId};
use crate::counters::Latency;
use crate::property::{EnabledState, InheritedTimeouts, OperatingMode, Timeouts, Verbosity503};
use crate::url_prefix::UrlPrefix;

/// All sessions and request queues of a backend, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ServiceState {
    /// Server sessions, with their URL groups.
    pub sessions: Vec<ServerSessionState>,
    /// Request queues; groups name the ones they are bound to.
    pub queues: Vec<RequestQueueState>,
}

/// One server session.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ServerSessionState {
    /// Names the session.
    pub id: ServerSessionId,
    /// Whether its groups take requests.
    pub state: EnabledState,
    /// Most bytes sent in a second by all its groups; `None` is unlimited.
    pub bandwidth_max: Option<u32>,
    /// The timers of its groups that have none of their own.
    pub timeouts: Timeouts,
    /// Its URL groups.
    pub groups: Vec<UrlGroupState>,
}

impl ServerSessionState {
    /// A session with the properties of a new one and without groups.
    pub fn new(id: ServerSessionId) -> Self {
        Self {
            id,
            state: EnabledState::default(),
            bandwidth_max: None,
            timeouts: Timeouts::default(),
            groups: Vec::new(),
        }
    }
}

/// One URL group.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct UrlGroupState {
    /// Names the group.
    pub id: UrlGroupId,
    /// Whether it takes requests. Its session must do so as well.
    pub state: EnabledState,
    /// The queue it is bound to; `None`: its requests get 503.
    pub queue: Option<RequestQueueId>,
    /// Most bytes sent in a second; `None` is unlimited, or as its session says.
    pub bandwidth_max: Option<u32>,
    /// Most connections at once; `None` is unlimited.
    pub connections_max: Option<u32>,
    /// Its timers; those not set are its session's.
    pub timeouts: InheritedTimeouts,
    /// Whether its requests are logged, by its own property or its session's.
    pub is_logged: bool,
    /// What is registered in it.
    pub urls: Vec<RegisteredUrl>,
    /// What it has counted.
    pub counters: UrlGroupCounters,
}

impl UrlGroupState {
    /// A group with the properties of a new one.
    pub fn new(id: UrlGroupId) -> Self {
        Self {
            id,
            state: EnabledState::default(),
            queue: None,
            bandwidth_max: None,
            connections_max: None,
            timeouts: InheritedTimeouts::default(),
            is_logged: false,
            urls: Vec::new(),
            counters: UrlGroupCounters::default(),
        }
    }
}

/// What is registered in a URL group.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RegisteredUrl {
    /// A URL prefix.
    Prefix(#[cfg_attr(feature = "serde", serde(with = "crate::serial::text"))] UrlPrefix),
    /// The requests under a path that arrive at a Unix socket, whatever host they name.
    Unix {
        /// The socket's file.
        socket: PathBuf,
        /// The path.
        path: Box<str>,
    },
}

impl fmt::Display for RegisteredUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => prefix.fmt(formatter),
            Self::Unix { socket, path } => write!(formatter, "unix:{}:{path}", socket.display()),
        }
    }
}

/// What a URL group has counted since it was made.
///
/// Bytes are counted to the group that the connection's last request was routed to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct UrlGroupCounters {
    /// Connections whose last request was routed here and that are open.
    pub connections: u64,
    /// The most of them there have been at once.
    pub connections_most: u64,
    /// How often a connection came to the group, whether it was let in or not.
    pub connection_attempts: u64,
    /// Requests routed here, whatever became of them.
    pub requests: u64,
    /// Of these, the ones with the method GET.
    pub requests_get: u64,
    /// Of these, the ones with the method HEAD.
    pub requests_head: u64,
    /// Bytes received, as they came over the wire.
    pub bytes_received: u64,
    /// Bytes sent, as they went over the wire.
    pub bytes_sent: u64,
}

/// One request queue.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RequestQueueState {
    /// Names the queue.
    pub id: RequestQueueId,
    /// The name that processes find it by; `None`: it has none, and only its creator serves it.
    pub name: Option<String>,
    /// Whether it takes requests.
    pub state: EnabledState,
    /// How its refusals look.
    pub verbosity_503: Verbosity503,
    /// How requests reach the application.
    pub operating_mode: OperatingMode,
    /// Most requests that wait.
    pub requests_max: u32,
    /// What it has counted.
    pub counters: RequestQueueCounters,
    /// How long its requests take; `None` unless that is
    /// [measured](crate::QueueProperties::measures_latency).
    pub latency: Option<Latency>,
    /// The processes that serve it.
    pub processes: Vec<ServingProcess>,
}

impl RequestQueueState {
    /// A queue with the properties of a new one.
    pub fn new(id: RequestQueueId) -> Self {
        let properties = crate::property::QueueProperties::default();
        Self {
            id,
            name: None,
            state: properties.state,
            verbosity_503: properties.verbosity_503,
            operating_mode: properties.operating_mode,
            requests_max: properties.queue_length,
            counters: RequestQueueCounters::default(),
            latency: None,
            processes: Vec::new(),
        }
    }
}

/// What a request queue has counted since it was made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RequestQueueCounters {
    /// Requests that are with the application: taken and not answered. Those that it answers while it is
    /// called on a worker (HighPerf) are not counted.
    pub active: u64,
    /// Requests that wait to be taken.
    pub queued: u64,
    /// How long the first of them has waited; zero when none waits.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::seconds"))]
    pub age_max: Duration,
    /// Requests that came for it: those that waited, those that did not, and those rejected. Not those
    /// answered from the response cache.
    pub arrived: u64,
    /// Of these, the ones refused with 503.
    pub rejected: u64,
    /// Requests answered from the response cache in its place.
    pub cache_hits: u64,
}

/// A process that serves a request queue.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ServingProcess {
    /// Its number in the system.
    pub id: u32,
    /// The file that it runs.
    pub image: Option<PathBuf>,
}

impl ServingProcess {
    /// The calling process.
    pub fn this() -> Self {
        Self {
            id: std::process::id(),
            image: std::env::current_exe().ok(),
        }
    }
}
