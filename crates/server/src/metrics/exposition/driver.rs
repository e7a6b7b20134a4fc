//! What is told of the driver: connections, requests, URL groups, request queues, its cache and its logs.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Error;
use std::time::Duration;

use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use tidegate_httpapi::{
    BackendCounters, CacheCounters, Latency, LogCounters, RequestQueueId, RequestQueueState,
    ServiceState, UrlGroupCounters, UrlGroupState,
};

use super::{Labels, Writer, alone};

impl Writer<'_> {
    pub(super) fn connections(&mut self, counters: &BackendCounters) -> Result<(), Error> {
        self.gauge(
            "tidegate_connections",
            "Connections open now",
            alone(counters.connections),
        )?;
        self.counter(
            "tidegate_connections_accepted",
            "Connections accepted",
            alone(counters.connections_accepted),
        )?;
        self.counter(
            "tidegate_connections_refused",
            "Connections refused before their first byte: over the limit, by the firewall or a handler",
            alone(counters.connections_refused),
        )?;
        self.counter(
            "tidegate_connections_closed",
            "Accepted connections that have ended",
            alone(counters.connections_closed),
        )?;
        self.counter(
            "tidegate_http2_connections",
            "Accepted connections that spoke HTTP/2",
            alone(counters.connections_http2),
        )?;
        self.counter(
            "tidegate_tls_handshakes",
            "TLS handshakes, by what came of them",
            [
                ([("result", "completed")], counters.tls_handshakes),
                ([("result", "failed")], counters.tls_handshakes_failed),
            ],
        )?;
        self.counter_in(
            "tidegate_received",
            "Bytes received from clients, as they came over the wire",
            Some(&Unit::Bytes),
            alone(counters.bytes_received),
        )?;
        self.counter_in(
            "tidegate_sent",
            "Bytes sent to clients, as they went over the wire",
            Some(&Unit::Bytes),
            alone(counters.bytes_sent),
        )
    }

    pub(super) fn requests(&mut self, counters: &BackendCounters) -> Result<(), Error> {
        let BackendCounters {
            requests,
            requests_get,
            requests_head,
            ..
        } = *counters;
        self.counter(
            "tidegate_http_requests",
            "Requests that went to an application or were answered from the response cache, by method",
            by_method(requests, requests_get, requests_head),
        )?;
        self.counter(
            "tidegate_http2_requests",
            "Of these requests, those on streams of HTTP/2",
            alone(counters.requests_http2),
        )?;
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter();
        self.counter(
            "tidegate_http_responses",
            "Responses sent, the server's own error pages among them, by the class of their status",
            classes
                .zip(counters.responses)
                .map(|(class, count)| ([("class", class)], count)),
        )?;
        self.counter(
            "tidegate_http_unavailable",
            "Requests that nobody could take, answered with 503 or a reset, by cause",
            labelled("cause", &counters.unavailable),
        )?;
        let rejected: Vec<_> = counters
            .rejected
            .iter()
            .map(|(status, count)| (status.to_string(), *count))
            .chain([("other".to_owned(), counters.rejected_otherwise)])
            .collect();
        self.counter(
            "tidegate_http_rejected",
            "Malformed or misdirected requests that no application saw, by status",
            rejected
                .iter()
                .map(|(status, count)| ([("status", status.as_str())], *count)),
        )?;
        self.counter(
            "tidegate_timeouts",
            "Connections and streams ended since the peer took too long, by timer",
            labelled("timer", &counters.timed_out),
        )?;
        self.counter(
            "tidegate_http_upgrades",
            "Connections and streams given to another protocol, WebSocket mostly",
            alone(counters.upgraded),
        )?;
        self.counter(
            "tidegate_http_requests_abandoned",
            "Requests that a handler dropped unanswered or panicked in; the client got 500",
            alone(counters.abandoned),
        )
    }

    pub(super) fn groups(&mut self, service: &ServiceState) -> Result<(), Error> {
        let groups: Vec<(String, &UrlGroupCounters)> = groups_of(service)
            .map(|group| (group_name(group), &group.counters))
            .collect();
        let each = |value: fn(&UrlGroupCounters) -> u64| {
            let groups = groups.iter();
            groups.map(move |(name, counters)| ([("group", name.as_str())], value(counters)))
        };
        let by_method = groups.iter().flat_map(|(name, counters)| {
            let UrlGroupCounters {
                requests,
                requests_get,
                requests_head,
                ..
            } = **counters;
            by_method(requests, requests_get, requests_head)
                .map(|([method], count)| ([("group", name.as_str()), method], count))
        });
        self.counter(
            "tidegate_url_group_requests",
            "Requests routed to a URL group, whatever became of them, by method",
            by_method,
        )?;
        self.gauge(
            "tidegate_url_group_connections",
            "Open connections whose last request was routed to the URL group",
            each(|counters| counters.connections),
        )?;
        self.gauge(
            "tidegate_url_group_connections_most",
            "The most of these connections that there have been at once",
            each(|counters| counters.connections_most),
        )?;
        self.counter(
            "tidegate_url_group_connection_attempts",
            "How often a connection came to the URL group, let in or not",
            each(|counters| counters.connection_attempts),
        )?;
        self.counter_in(
            "tidegate_url_group_received",
            "Bytes received on connections of the URL group",
            Some(&Unit::Bytes),
            each(|counters| counters.bytes_received),
        )?;
        self.counter_in(
            "tidegate_url_group_sent",
            "Bytes sent on connections of the URL group",
            Some(&Unit::Bytes),
            each(|counters| counters.bytes_sent),
        )
    }

    pub(super) fn queues(&mut self, service: &ServiceState) -> Result<(), Error> {
        let queues: Vec<(String, &RequestQueueState)> = service
            .queues
            .iter()
            .map(|queue| (queue_name(service, queue), queue))
            .collect();
        let each = |value: fn(&RequestQueueState) -> u64| {
            let queues = queues.iter();
            queues.map(move |(name, queue)| ([("queue", name.as_str())], value(queue)))
        };
        self.gauge(
            "tidegate_request_queue_length",
            "Requests that wait to be taken by the application",
            each(|queue| queue.counters.queued),
        )?;
        self.gauge(
            "tidegate_request_queue_limit",
            "Most requests that may wait; the next one is refused with QueueFull",
            each(|queue| queue.requests_max.into()),
        )?;
        self.gauge(
            "tidegate_request_queue_active_requests",
            "Requests taken by the application and not answered",
            each(|queue| queue.counters.active),
        )?;
        let seconds = Some(&Unit::Seconds);
        self.gauge_in(
            "tidegate_request_queue_oldest",
            "How long the first request in the queue has waited",
            seconds,
            queues.iter().map(|(name, queue)| {
                let age = queue.counters.age_max.as_secs_f64();
                ([("queue", name.as_str())], age)
            }),
        )?;
        self.counter(
            "tidegate_request_queue_arrived",
            "Requests that came for the queue, those rejected among them",
            each(|queue| queue.counters.arrived),
        )?;
        self.counter(
            "tidegate_request_queue_rejected",
            "Requests that the queue could not take",
            each(|queue| queue.counters.rejected),
        )?;
        self.counter(
            "tidegate_request_queue_cache_hits",
            "Requests answered from the response cache in place of the queue's application",
            each(|queue| queue.counters.cache_hits),
        )?;
        let measured = queues
            .iter()
            .filter_map(|(name, queue)| Some((name, queue.latency.as_ref()?)));
        self.latency(measured)
    }

    fn latency<'l>(
        &mut self,
        queues: impl Iterator<Item = (&'l String, &'l Latency)>,
    ) -> Result<(), Error> {
        let mut metric = self.0.encode_descriptor(
            "tidegate_http_request_duration",
            "From the end of a request's head until all of its answer was given out to be sent",
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (name, latency) in queues {
            let labels = [("queue", name.as_str())];
            let buckets = buckets_of(latency);
            metric
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(
                    latency.sum.as_secs_f64(),
                    latency.count,
                    &buckets,
                    None::<&HashMap<_, _>>,
                )?;
        }
        Ok(())
    }

    pub(super) fn cache(&mut self, cache: &CacheCounters) -> Result<(), Error> {
        self.gauge(
            "tidegate_cache_responses",
            "Responses in the response cache",
            alone(cache.cached),
        )?;
        self.gauge_in(
            "tidegate_cache_size",
            "Memory that these responses take",
            Some(&Unit::Bytes),
            alone(cache.bytes),
        )?;
        self.counter(
            "tidegate_cache_added",
            "Responses put into the response cache",
            alone(cache.added),
        )?;
        self.counter(
            "tidegate_cache_removed",
            "Responses that have left the response cache, by cause",
            [
                ([("cause", "flushed")], cache.flushed),
                ([("cause", "scavenged")], cache.scavenged),
                ([("cause", "evicted")], cache.evicted),
            ],
        )?;
        self.counter(
            "tidegate_cache_lookups",
            "Requests looked up in the response cache, by what came of it",
            [
                ([("result", "hit")], cache.hits),
                ([("result", "miss")], cache.misses),
            ],
        )
    }

    pub(super) fn logs(&mut self, counters: &LogCounters) -> Result<(), Error> {
        self.counter(
            "tidegate_log_records_written",
            "Lines written into the logs of requests",
            alone(counters.requests_written),
        )?;
        self.counter(
            "tidegate_log_records_lost",
            "Lines that could not be written: the disk is full, broken or too slow",
            [
                ([("log", "requests")], counters.requests_lost),
                ([("log", "httperr")], counters.errors_lost),
            ],
        )
    }
}

fn by_method(all: u64, get: u64, head: u64) -> [(Labels<'static, 1>, u64); 3] {
    // They are read one after the other while they grow.
    let other = all.saturating_sub(get).saturating_sub(head);
    [
        ([("method", "GET")], get),
        ([("method", "HEAD")], head),
        ([("method", "other")], other),
    ]
}

fn labelled<'c, K: AsRef<str> + Ord>(
    name: &'static str,
    counts: &'c BTreeMap<K, u64>,
) -> impl Iterator<Item = (Labels<'c, 1>, u64)> {
    let counts = counts.iter();
    counts.map(move |(value, count)| ([(name, value.as_ref())], *count))
}

fn groups_of(service: &ServiceState) -> impl Iterator<Item = &UrlGroupState> {
    let sessions = service.sessions.iter();
    sessions.flat_map(|session| &session.groups)
}

/// The first of its URLs, which no other group has; of one without, its number.
fn group_name(group: &UrlGroupState) -> String {
    match group.urls.first() {
        Some(url) => url.to_string(),
        None => group.id.0.to_string(),
    }
}

/// Its own name; of one without, that of the first group bound to it; else its number.
fn queue_name(service: &ServiceState, queue: &RequestQueueState) -> String {
    let is_bound = |id: RequestQueueId| {
        let mut groups = groups_of(service);
        groups.find(move |group| group.queue == Some(id))
    };
    match (&queue.name, is_bound(queue.id)) {
        (Some(name), _) => name.clone(),
        (None, Some(group)) => group_name(group),
        (None, None) => queue.id.0.to_string(),
    }
}

/// Each twice as long as the one before. These are the ends of buckets that were counted by: nothing is guessed.
fn buckets_of(latency: &Latency) -> Vec<(f64, u64)> {
    let mut before = 0;
    let mut buckets = Vec::with_capacity(24);
    for bits in BUCKETS_BITS {
        let end = Duration::from_micros(1 << bits);
        let within = latency.count_up_to(end);
        buckets.push((end.as_secs_f64(), within - before));
        before = within;
    }
    buckets.push((f64::INFINITY, latency.count - before));
    buckets
}

/// From 16 µs to 33.6 s.
const BUCKETS_BITS: std::ops::RangeInclusive<u32> = 4..=25;
