//! What the administration tells of a server: plain values, to be written as JSON by the server and read by the
//! client. `wire.md` says what they mean.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_httpapi::{
    Backend, CachedResponse, CertificateInfo, Endpoint, Latency, LatencyBucket, OpenConnection,
    PeerAddress, RequestQueueId, RequestQueueState, TlsBindingInfo,
};

use crate::server::Server;
use crate::websocket::{Connection, Transport};

/// What runs, and how.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The version of the package.
    pub version: String,
    /// Its process.
    pub process: u32,
    /// When it was started, in seconds since 1970.
    pub started: f64,
    /// The administration's URL.
    pub url: String,
    /// `classic` or `high-perf`.
    pub mode: String,
    /// The event loop; `None` if the driver does not say.
    pub event_loop: Option<String>,
    /// Threads that read requests; `None` if the driver does not say.
    pub io_threads: Option<usize>,
    /// Handler threads.
    pub handler_threads: u32,
    /// Where it listens, the administration's addresses among them.
    pub endpoints: Vec<String>,
    /// Time between two of the live values, in seconds.
    pub interval: f64,
    /// Most connections told of at once.
    pub connections_max: u32,
}

/// What is going on: what is so now, and what was counted since the start. What the driver does not count is 0.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Live {
    /// When, in seconds since 1970.
    pub at: f64,
    /// Requests to the application.
    pub requests: u64,
    /// Responses by the first digit of their status, of the whole driver.
    pub responses: [u64; 5],
    /// Requests that are with the application.
    pub active: u64,
    /// Requests that wait in the queue.
    pub queued: u64,
    /// Most requests that may wait.
    pub queue_length: u32,
    /// How long the first of them has waited, in seconds.
    pub queue_age: f64,
    /// Requests that came for the queue.
    pub arrived: u64,
    /// Of these, the ones that were refused with 503.
    pub refused: u64,
    /// Requests that the driver refused with 503, by cause. Those that were are there.
    pub unavailable: BTreeMap<String, u64>,
    /// Requests that the driver refused for what they are, by status.
    pub rejected: BTreeMap<String, u64>,
    /// Connections and streams that a timer ended, by timer. Those that did are there.
    pub timed_out: BTreeMap<String, u64>,
    /// Connections open now, the administration's among them.
    pub connections: u64,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections refused.
    pub connections_refused: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Requests answered from the response cache.
    pub cache_hits: u64,
    /// Requests that the response cache could have answered and did not.
    pub cache_misses: u64,
    /// Responses in the cache now.
    pub cached: u64,
    /// What these take, in bytes.
    pub cached_bytes: u64,
    /// WebSocket connections open now.
    pub websockets: u64,
    /// Messages received on these.
    pub messages_received: u64,
    /// Messages sent on these, those of broadcasts among them: one for each connection.
    pub messages_sent: u64,
    /// Messages that were sent to many at once.
    pub broadcasts: u64,
    /// To how many connections these went, together.
    pub broadcast_deliveries: u64,
    /// Messages that wait to be sent.
    pub messages_queued: u64,
    /// Messages that were dropped since a queue was full.
    pub messages_dropped: u64,
    /// Records of logs that were lost.
    pub log_records_lost: u64,
    /// How long requests took that ended since the values before.
    pub latency: LatencySummary,
}

/// How long some requests took, in seconds; all 0 when there were none.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LatencySummary {
    /// How many requests there were.
    pub count: u64,
    /// On average.
    pub mean: f64,
    /// Half of them took no longer.
    pub p50: f64,
    /// Nine tenths of them took no longer.
    pub p90: f64,
    /// Of a hundred, 99 took no longer.
    pub p99: f64,
}

impl LatencySummary {
    /// Of the requests that are in `now` and were not in `before`.
    pub(super) fn between(before: &Latency, now: &Latency) -> Self {
        let mut fresh = Latency::default();
        let mut known = before.buckets.iter().peekable();
        for bucket in &now.buckets {
            while known.next_if(|known| known.up_to < bucket.up_to).is_some() {}
            let known = known.next_if(|known| known.up_to == bucket.up_to);
            let count = bucket
                .count
                .saturating_sub(known.map_or(0, |known| known.count));
            if count > 0 {
                fresh.buckets.push(LatencyBucket {
                    up_to: bucket.up_to,
                    count,
                });
            }
        }
        fresh.count = fresh.buckets.iter().map(|bucket| bucket.count).sum();
        fresh.sum = now.sum.saturating_sub(before.sum);
        if fresh.count == 0 {
            return Self::default();
        }
        let quantile = |share| fresh.quantile(share).as_secs_f64();
        Self {
            count: fresh.count,
            mean: fresh.sum.as_secs_f64() / fresh.count as f64,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
        }
    }
}

/// A response in the cache.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Cached {
    /// Its URL.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// For how long it is still good, in seconds; `None`: until it is flushed.
    pub time_left: Option<f64>,
    /// When it was stored, in seconds since 1970.
    pub created: f64,
    /// Its type.
    pub content_type: String,
    /// Its coding.
    pub content_encoding: Option<String>,
    /// Length of its head, in bytes.
    pub head_bytes: u64,
    /// Length of its content, in bytes.
    pub content_bytes: u64,
    /// How often it has been served.
    pub hits: u64,
    /// Whether a connection ends after it was served on it.
    pub force_disconnect: bool,
}

impl From<&CachedResponse> for Cached {
    fn from(response: &CachedResponse) -> Self {
        Self {
            url: response.url.clone(),
            status: response.status,
            time_left: response.time_left.map(|left| left.as_secs_f64()),
            created: unix_seconds(response.created),
            content_type: response.content_type.clone(),
            content_encoding: response.content_encoding.clone(),
            head_bytes: response.head_bytes as u64,
            content_bytes: response.content_bytes as u64,
            hits: response.hits,
            force_disconnect: response.force_disconnect,
        }
    }
}

/// A WebSocket connection.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WebSocketConnection {
    /// Its Guid.
    pub id: String,
    /// The peer's address.
    pub peer: String,
    /// What carries it: `websocket`, `websocket over HTTP/2` or `server-sent events`.
    pub transport: String,
    /// The target of its handshake.
    pub url: String,
    /// The sub-protocol agreed upon.
    pub protocol: Option<String>,
    /// Who the peer has proved to be.
    pub user: Option<String>,
    /// When its handshake was done, in seconds since 1970.
    pub since: f64,
    /// Messages received.
    pub messages_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Messages that wait to be sent.
    pub queued: u64,
}

impl From<&Connection> for WebSocketConnection {
    fn from(connection: &Connection) -> Self {
        Self {
            id: connection.guid().to_string(),
            peer: connection.peer().to_string(),
            transport: match connection.transport() {
                Transport::Rfc6455 => "websocket",
                Transport::Rfc8441 => "websocket over HTTP/2",
                _ => "server-sent events",
            }
            .to_owned(),
            // What follows may be a secret, as a session's id is.
            url: connection
                .url()
                .split('?')
                .next()
                .unwrap_or_default()
                .to_owned(),
            protocol: connection.protocol().map(str::to_owned),
            user: connection.user().map(str::to_owned),
            since: unix_seconds(connection.created_at()),
            messages_received: connection.received_messages(),
            bytes_received: connection.received_bytes(),
            bytes_sent: connection.sent_bytes(),
            queued: connection.queued_messages() as u64,
        }
    }
}

/// Connections that are open now, as many as are told of at once.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ConnectionList {
    /// All connections of the driver, of which upgraded ones are among `websocket` too.
    pub http: Vec<OpenConnection>,
    /// WebSocket connections of the server.
    pub websocket: Vec<WebSocketConnection>,
    /// How many of the former there are.
    pub http_count: u64,
    /// How many of the latter there are.
    pub websocket_count: u64,
}

/// What is registered, and which certificates are bound.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Namespace {
    /// Registered URLs.
    pub urls: Vec<NamespaceUrl>,
    /// Reserved URL prefixes, registered or not, in order.
    pub reservations: Vec<String>,
    /// Where the driver listens.
    pub endpoints: Vec<String>,
    /// Certificates, by what they are bound to.
    pub tls: Vec<NamespaceTls>,
}

/// A registered URL.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NamespaceUrl {
    /// The URL prefix, or the Unix socket with its path.
    pub url: String,
    /// The number of its URL group.
    pub group: u64,
    /// Whose it is: `application`, `administration`, `operations` for metrics and health, or `other` for whoever
    /// shares the driver.
    pub owner: String,
    /// Whether requests are taken.
    pub active: bool,
    /// Requests to its URL group.
    pub requests: u64,
    /// Whether its requests are logged.
    pub logged: bool,
}

/// A TLS binding.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NamespaceTls {
    /// What it is bound to.
    pub key: String,
    /// The certificates in use.
    pub certificates: Vec<NamespaceCertificate>,
}

/// A certificate.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NamespaceCertificate {
    /// Its subject.
    pub subject: String,
    /// Names and addresses that it is good for.
    pub names: Vec<String>,
    /// SHA-1 over it.
    pub thumbprint: String,
    /// From when it is good, in seconds since 1970.
    pub not_before: f64,
    /// Until when it is good, in seconds since 1970.
    pub not_after: f64,
}

impl From<&CertificateInfo> for NamespaceCertificate {
    fn from(certificate: &CertificateInfo) -> Self {
        Self {
            subject: certificate.subject.clone(),
            names: certificate.names.clone(),
            thumbprint: certificate.thumbprint.clone(),
            not_before: unix_seconds(certificate.not_before),
            not_after: unix_seconds(certificate.not_after),
        }
    }
}

impl Namespace {
    /// What a driver has, of which this queue is the application's, and these URLs are served beside it.
    pub(super) fn of(
        backend: &dyn Backend,
        application: RequestQueueId,
        of_administration: &[String],
        of_operations: &[String],
    ) -> Self {
        let state = backend.service_state();
        let groups = state.sessions.iter().flat_map(|session| &session.groups);
        let urls = groups.flat_map(|group| {
            let is_application = group.queue == Some(application);
            group.urls.iter().map(move |url| NamespaceUrl {
                url: url.to_string(),
                group: group.id.0,
                owner: match url.to_string() {
                    _ if is_application => "application",
                    url if of_administration.contains(&url) => "administration",
                    url if of_operations.contains(&url) => "operations",
                    _ => "other",
                }
                .to_owned(),
                active: group.state == tidegate_httpapi::EnabledState::Enabled,
                requests: group.counters.requests,
                logged: group.is_logged,
            })
        });
        let reserved = backend.reserved_urls().into_iter();
        let mut reservations: Vec<_> = reserved.map(|prefix| prefix.to_string()).collect();
        reservations.sort();
        let tls = backend.tls_bindings();
        Self {
            urls: urls.collect(),
            reservations,
            endpoints: endpoints(backend),
            tls: tls.iter().map(NamespaceTls::from).collect(),
        }
    }
}

impl From<&TlsBindingInfo> for NamespaceTls {
    fn from(binding: &TlsBindingInfo) -> Self {
        Self {
            key: binding.key.to_string(),
            certificates: binding.certificates.iter().map(Into::into).collect(),
        }
    }
}

/// Where a driver listens, as texts in order.
pub(super) fn endpoints(backend: &dyn Backend) -> Vec<String> {
    let endpoints = backend.endpoints().into_iter();
    let mut texts: Vec<_> = endpoints
        .map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => address.to_string(),
            Endpoint::Unix(path) => format!("unix:{}", path.display()),
        })
        .collect();
    texts.sort();
    texts
}

/// The live values of the server whose queue this is, and how long its requests took so far.
pub(super) fn take(backend: &dyn Backend, queue: RequestQueueId) -> (Live, Latency) {
    let state = backend.service_state();
    let counters = backend.counters();
    let cache = backend.cache_counters();
    let logs = backend.log_counters();
    let groups = state.sessions.iter().flat_map(|session| &session.groups);
    let ours = groups.filter(|group| group.queue == Some(queue));
    let found = state.queues.into_iter().find(|found| found.id == queue);
    let requests = ours.map(|group| group.counters.requests).sum();
    let mut own = found.unwrap_or_else(|| RequestQueueState::new(queue));
    let some = |counts: &mut dyn Iterator<Item = (String, u64)>| {
        counts.filter(|(_, count)| *count > 0).collect()
    };
    let unavailable = counters.unavailable.iter();
    let timed_out = counters.timed_out.iter();
    let rejected = counters.rejected.iter();
    let live = Live {
        at: unix_seconds(SystemTime::now()),
        requests,
        responses: counters.responses,
        active: own.counters.active,
        queued: own.counters.queued,
        queue_length: own.requests_max,
        queue_age: own.counters.age_max.as_secs_f64(),
        arrived: own.counters.arrived,
        refused: own.counters.rejected,
        unavailable: some(&mut unavailable.map(|(cause, count)| (cause.to_string(), *count))),
        rejected: some(&mut rejected.map(|(status, count)| (status.to_string(), *count))),
        timed_out: some(&mut timed_out.map(|(timer, count)| (timer.to_string(), *count))),
        connections: backend.connection_count(),
        connections_accepted: counters.connections_accepted,
        connections_refused: counters.connections_refused,
        bytes_received: counters.bytes_received,
        bytes_sent: counters.bytes_sent,
        cache_hits: cache.hits,
        cache_misses: cache.misses,
        cached: cache.cached,
        cached_bytes: cache.bytes,
        log_records_lost: logs.requests_lost + logs.errors_lost,
        ..Live::default()
    };
    (live, own.latency.take().unwrap_or_default())
}

/// Adds what is known of a server's WebSocket connections.
pub(super) fn add_websockets(live: &mut Live, server: &Server) {
    let counters = server.websocket_counters();
    live.websockets = counters.connections;
    live.messages_received = counters.messages_received;
    live.messages_sent = counters.messages_sent;
    live.broadcasts = counters.broadcasts;
    live.broadcast_deliveries = counters.broadcast_deliveries;
    live.messages_queued = counters.queued_messages;
    live.messages_dropped = counters.dropped;
}

pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}

/// Whether a connection is from an address, or one that begins like that.
pub(super) fn is_from(peer: &PeerAddress, address: &str) -> bool {
    peer.to_string().starts_with(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(buckets: &[(u64, u64)]) -> Latency {
        let mut latency = Latency::default();
        for (milliseconds, count) in buckets {
            let up_to = Duration::from_millis(*milliseconds);
            latency.buckets.push(LatencyBucket {
                up_to,
                count: *count,
            });
            latency.count += count;
            latency.sum += up_to * *count as u32;
        }
        latency
    }

    #[test]
    fn only_what_came_since_is_told() {
        let before = latency(&[(1, 1000), (5, 10)]);
        let now = latency(&[(1, 1050), (2, 40), (5, 10), (10, 10)]);
        let between = LatencySummary::between(&before, &now);
        assert_eq!(between.count, 100);
        assert_eq!(
            (between.p50, between.p90, between.p99),
            (0.001, 0.002, 0.010)
        );
        assert!((between.mean - 0.0023).abs() < 1e-9, "{between:?}");
        let none = LatencySummary::between(&now, &now);
        assert_eq!(none, LatencySummary::default());
    }
}
