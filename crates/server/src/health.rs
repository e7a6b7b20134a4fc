//! Whether the server lives and is ready, told to whoever orchestrates it.
//!
//! Two URLs beside the application's (`operations`), so that one that is overloaded does not silence them. What
//! lives need not be ready: a server that stops, or has no room for a while, is not to be sent requests, but is
//! not to be killed either.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::{Host, Scheme, UrlPrefix};

use crate::binding::Binding;
use crate::event::HandlerError;
use crate::http::{Request, Response};
use crate::operations::{Operation, settled};
use crate::server::{Server, WeakServer};
use crate::settings::Settings;

/// Whether it can be asked over HTTP how the server is. `[health]` in a settings file.
///
/// Both URLs answer 200, or 503 with a line of text that says why not. They have a request queue of their own,
/// and nothing of the application's rules about who may come in holds there, but for the firewall's about
/// connections and [`on_tcp_connect`](crate::Events::on_tcp_connect). A change takes a start.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthEndpointSettings {
    /// Whether it can. Default false.
    pub enabled: bool,
    /// Where it is asked whether the server lives: a binding with the path. Default
    /// `http://localhost:9181/livez/`, which answers on loopback addresses only. On a host and port of the
    /// application's bindings it is one path among theirs.
    ///
    /// 200 as long as all threads that read requests do what they are asked. One that does not within two
    /// seconds is the reason to start the process anew.
    #[schemars(with = "crate::settings::schema::TextOr<crate::binding::BindingParts>")]
    pub liveness: Binding,
    /// Where it is asked whether the server is ready for requests. Default `http://localhost:9181/readyz/`.
    ///
    /// 200 from when the server has started until it begins to stop, before
    /// [`shutdown_delay`](crate::Settings::shutdown_delay); but not while the request queue is full, nor while a
    /// path that is forwarded has no upstream that is up.
    #[schemars(with = "crate::settings::schema::TextOr<crate::binding::BindingParts>")]
    pub readiness: Binding,
    /// How long the request queue may be full before the server is not ready: at each time that is asked, one
    /// after the other. Default 5 s.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub queue_full_for: Duration,
}

impl Default for HealthEndpointSettings {
    fn default() -> Self {
        let at = |path: &str| {
            Binding::from(UrlPrefix {
                scheme: Scheme::Http,
                host: Host::Name {
                    name: "localhost".into(),
                    subdomains: false,
                    address: None,
                },
                port: 9181,
                path: path.into(),
            })
        };
        Self {
            enabled: false,
            liveness: at("/livez/"),
            readiness: at("/readyz/"),
            queue_full_for: Duration::from_secs(5),
        }
    }
}

impl HealthEndpointSettings {
    /// Where it can be asked.
    pub(crate) fn bindings(&self) -> Vec<Binding> {
        match self.enabled {
            true => vec![self.liveness.clone(), self.readiness.clone()],
            false => Vec::new(),
        }
    }
}

/// What answers, if the settings say that something does.
pub(crate) fn operations(server: &WeakServer, settings: &Settings) -> Vec<Operation> {
    let health = &settings.health;
    if !health.enabled {
        return Vec::new();
    }
    let (lives, is_ready) = (server.clone(), server.clone());
    let queue = QueueWatch {
        full_for: health.queue_full_for,
        full_since: Mutex::default(),
    };
    vec![
        Operation {
            binding: settled(&health.liveness, settings),
            answer: Box::new(move |request, response| {
                answer(request, response, || lives.upgrade()?.fault_in_life())
            }),
        },
        Operation {
            binding: settled(&health.readiness, settings),
            answer: Box::new(move |request, response| {
                answer(request, response, || match is_ready.upgrade() {
                    Some(server) => server.fault_in_readiness(&queue),
                    None => Some(HealthFault::Stopping),
                })
            }),
        },
    ]
}

fn answer(
    request: &Request<'_>,
    response: &mut Response,
    fault: impl FnOnce() -> Option<HealthFault>,
) -> Result<(), HandlerError> {
    // What it says is of the moment.
    response.header("Cache-Control", "no-store");
    let (_, rest) = request.base_and_rest();
    if !rest.is_empty() {
        response.status(404).empty();
    } else if !matches!(request.method(), "GET" | "HEAD") {
        response.status(405).allow(["GET", "HEAD"]).empty();
    } else {
        match fault() {
            None => response.text("ok\n"),
            Some(fault) => response.status(503).text(format!("{fault}\n")),
        };
    }
    Ok(())
}

/// Why a server does not live, or is not ready.
enum HealthFault {
    Worker(tidegate_httpapi::BackendFailure),
    Starting,
    Stopping,
    QueueFull,
    NoUpstream(String),
}

impl fmt::Display for HealthFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(failure) => failure.fmt(formatter),
            Self::Starting => formatter.write_str("starting"),
            Self::Stopping => formatter.write_str("stopping"),
            Self::QueueFull => formatter.write_str("the request queue is full"),
            Self::NoUpstream(path) => write!(formatter, "no upstream of {path} is up"),
        }
    }
}

/// Remembers since when the request queue is full.
struct QueueWatch {
    full_for: Duration,
    full_since: Mutex<Option<Instant>>,
}

impl QueueWatch {
    fn is_full_for_long(&self, is_full: bool) -> bool {
        let mut since = self
            .full_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !is_full {
            *since = None;
            return false;
        }
        since.get_or_insert_with(Instant::now).elapsed() >= self.full_for
    }
}

impl Server {
    fn fault_in_life(&self) -> Option<HealthFault> {
        let (backend, _) = self.serving()?;
        backend
            .probe(LIFE_SIGN_WITHIN)
            .err()
            .map(HealthFault::Worker)
    }

    fn fault_in_readiness(&self, queue: &QueueWatch) -> Option<HealthFault> {
        if self.is_stopping() {
            return Some(HealthFault::Stopping);
        }
        let Some((backend, id)) = self.serving() else {
            return Some(HealthFault::Starting);
        };
        let state = backend.service_state();
        let is_full = state
            .queues
            .iter()
            .any(|queue| queue.id == id && queue.counters.queued >= u64::from(queue.requests_max));
        if queue.is_full_for_long(is_full) {
            return Some(HealthFault::QueueFull);
        }
        let component = self.component()?;
        let path = component.path_without_upstream()?;
        Some(HealthFault::NoUpstream(path))
    }
}

/// A thread that reads requests and takes longer than this is held up.
const LIFE_SIGN_WITHIN: Duration = Duration::from_secs(2);
