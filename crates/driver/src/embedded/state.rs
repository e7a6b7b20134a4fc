//! What is told of the driver: what it holds, what it has counted, its connections.
//!
//! Counts are read where workers write them. Connections are their workers' alone: these are asked, and look
//! through them a part at a time, so that nobody is kept waiting.

use std::borrow::Cow;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidegate_engine::{Control, Counters, REJECT_STATUSES, Timer, Unavailable};
use tidegate_httpapi::{
    BackendCounters, ConnectionId, ConnectionPage, OpenConnection, RequestQueueId, ServiceState,
    ServingProcess,
};

use super::Embedded;
use crate::core::Shared;
use crate::listing::Listing;
use crate::mailbox::Message;
use crate::queue::Queue;

/// Sessions, groups and queues. `hits` is what the response cache has served in place of which queue.
pub(super) fn service(control: &Control<Queue>, hits: &[(RequestQueueId, u64)]) -> ServiceState {
    let process = ServingProcess::this();
    control.service_state(|view, told| {
        view.queue.look(&mut told.counters);
        let served = hits.iter().find(|(queue, _)| *queue == view.id);
        told.counters.cache_hits = served.map_or(0, |(_, hits)| *hits);
        told.processes = vec![process.clone()];
    })
}

/// What all workers have counted.
pub(super) fn counters(shared: &Shared) -> BackendCounters {
    let mut sum = Counters::default();
    for worker in shared.counters.iter() {
        sum.add(worker);
    }
    let mut told = BackendCounters::default();
    told.connections = shared.connections.count();
    told.connections_accepted = sum.connections_accepted;
    told.connections_refused = sum.connections_refused;
    told.connections_closed = sum.connections_closed;
    told.connections_http2 = sum.connections_http2;
    told.tls_handshakes = sum.tls_handshakes;
    told.tls_handshakes_failed = sum.tls_handshakes_failed;
    told.requests = sum.requests;
    told.requests_get = sum.requests_get;
    told.requests_head = sum.requests_head;
    told.requests_http2 = sum.requests_http2;
    told.responses = sum.responses;
    told.upgraded = sum.upgraded;
    told.abandoned = sum.abandoned;
    told.bytes_received = sum.bytes_received;
    told.bytes_sent = sum.bytes_sent;
    told.sends = sum.sends;
    for (cause, count) in Unavailable::ALL.into_iter().zip(sum.unavailable) {
        told.unavailable.insert(Cow::Borrowed(cause.name()), count);
    }
    for (status, count) in REJECT_STATUSES.into_iter().zip(sum.rejected) {
        told.rejected.insert(status, count);
    }
    told.rejected_otherwise = sum.rejected_otherwise;
    for (timer, count) in Timer::ALL.into_iter().zip(sum.timed_out) {
        told.timed_out.insert(Cow::Borrowed(timer.name()), count);
    }
    told
}

impl Embedded {
    pub(super) fn list_connections(&self, page: ConnectionPage) -> Vec<OpenConnection> {
        let limit = page.limit.clamp(1, ConnectionPage::LIMIT_MAX);
        let page = ConnectionPage { limit, ..page };
        let (sender, told) = mpsc::channel();
        self.post_all(|| Message::List(Box::new(Listing::new(page, sender.clone()))));
        drop(sender);
        let mut all: Vec<OpenConnection> = answers(&told).flatten().collect();
        all.sort_unstable_by_key(|connection| connection.id);
        all.truncate(limit);
        all
    }

    pub(super) fn disconnect_connection(&self, connection: ConnectionId) -> bool {
        let (sender, told) = mpsc::channel();
        self.post_all(|| Message::Disconnect(connection, 0, sender.clone()));
        drop(sender);
        answers(&told).any(|was_there: bool| was_there)
    }
}

/// What workers answer, of those that do in time. Ends when all have: each drops its end then.
fn answers<T>(told: &mpsc::Receiver<T>) -> impl Iterator<Item = T> {
    let until = Instant::now() + ANSWER_WAIT_MAX;
    std::iter::from_fn(move || {
        let left = until.saturating_duration_since(Instant::now());
        told.recv_timeout(left).ok()
    })
}

/// How long workers may take to say which connections they have. One that an application holds up takes longer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
