//! What a server has counted and what it is doing, for whoever looks after it.
//!
//! Each part keeps counts of its own; here they are read together. They are told over HTTP by `endpoint`, in
//! the words of `exposition`.

mod endpoint;
mod exposition;
mod process;
mod settings;

use serde::{Deserialize, Serialize};
use tidegate_httpapi::{
    BackendCounters, CacheCounters, ConnectionId, ConnectionPage, LogCounters, OpenConnection,
    ServiceState,
};

pub(crate) use endpoint::operation;
pub use process::ProcessUsage;
pub use settings::{MetricsError, MetricsFault, MetricsSettings};

use crate::admission::AdmissionCounters;
use crate::forward::UpstreamState;
use crate::server::Server;
use crate::traffic::TrafficCounters;
use crate::websocket::WebSocketCounters;

/// What a server has counted since it was started, and what it holds now.
///
/// What belongs to one driver (`backend`, `service`, `cache`, `logs`) begins anew with each start, and what
/// depends on settings (`upstreams`, `uploads`) with each reload as well.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Metrics {
    /// The driver's, for all that uses it.
    pub backend: BackendCounters,
    /// The driver's sessions, URL groups and request queues.
    pub service: ServiceState,
    /// The driver's response cache.
    pub cache: CacheCounters,
    /// The driver's logs.
    pub logs: LogCounters,
    /// WebSocket connections.
    pub websockets: WebSocketCounters,
    /// Who was let in.
    pub admission: AdmissionCounters,
    /// The firewall and the rate limiter.
    pub traffic: TrafficCounters,
    /// Servers that requests are forwarded to.
    pub upstreams: Vec<UpstreamState>,
    /// Uploads that go to files.
    pub uploads: UploadCounters,
    /// The process.
    pub process: ProcessUsage,
}

/// Uploads that go to files.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UploadCounters {
    /// Those in progress.
    pub active: u64,
    /// Those that have begun.
    pub begun: u64,
}

impl Server {
    /// The driver's server sessions, URL groups and request queues, with what they have counted: this server's,
    /// and those of others that use the same driver. Empty while the server is not started.
    pub fn service_state(&self) -> ServiceState {
        let serving = self.serving();
        serving.map_or_else(ServiceState::default, |(backend, _)| {
            backend.service_state()
        })
    }

    /// What all WebSocket connections have done.
    pub(crate) fn websocket_counters(&self) -> WebSocketCounters {
        self.shared().websockets().counters()
    }

    /// What the server has counted, and what it holds now; of what is not started there is nothing.
    ///
    /// It takes no lock that a request waits for, and asks nothing of the threads that serve requests.
    pub fn metrics(&self) -> Metrics {
        let mut metrics = Metrics {
            websockets: self.shared().websockets().counters(),
            process: ProcessUsage::now(),
            admission: self.admission_counters(),
            ..Metrics::default()
        };
        if let Some((backend, _)) = self.serving() {
            metrics.backend = backend.counters();
            metrics.service = backend.service_state();
            metrics.cache = backend.cache_counters();
            metrics.logs = backend.log_counters();
        }
        if let Ok(Some(doors)) = self.doors() {
            metrics.traffic = doors.counters();
        }
        if let Some(component) = self.component() {
            metrics.upstreams = component.upstreams();
            let uploads = component.uploads_in_progress();
            metrics.uploads.active = uploads.count() as u64;
            metrics.uploads.begun = uploads.begun();
        }
        metrics
    }

    /// The driver's open connections, a page of them, in the order of their numbers. Empty while the server is
    /// not started.
    ///
    /// Threads that serve requests are asked for it, and look through their connections a part at a time. Not for
    /// handlers that run on one of them (HighPerf), which would wait for itself.
    pub fn open_connections(&self, page: ConnectionPage) -> Vec<OpenConnection> {
        let serving = self.serving();
        serving.map_or_else(Vec::new, |(backend, _)| backend.connections(page))
    }

    /// Resets one of the driver's connections, whatever it is doing; a WebSocket connection is lost to its
    /// handlers. False when there is none of this number. As [`open_connections`](Self::open_connections), not
    /// for handlers on the driver's threads.
    pub fn disconnect_connection(&self, connection: ConnectionId) -> bool {
        let serving = self.serving();
        serving.is_some_and(|(backend, _)| backend.disconnect(connection))
    }
}
