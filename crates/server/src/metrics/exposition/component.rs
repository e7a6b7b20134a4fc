//! What is told of the component: WebSocket, who may come in, who is kept out, upstreams, uploads.

use std::fmt::Error;

use prometheus_client::registry::Unit;

use super::{Writer, alone};
use crate::admission::AdmissionCounters;
use crate::forward::UpstreamState;
use crate::metrics::UploadCounters;
use crate::traffic::TrafficCounters;
use crate::websocket::WebSocketCounters;

impl Writer<'_> {
    pub(super) fn websockets(&mut self, counters: &WebSocketCounters) -> Result<(), Error> {
        self.gauge(
            "tidegate_websocket_connections",
            "WebSocket connections open now",
            alone(counters.connections),
        )?;
        self.counter(
            "tidegate_websocket_opened",
            "WebSocket connections opened",
            alone(counters.opened),
        )?;
        let by = |by| [("by", by)];
        self.counter(
            "tidegate_websocket_closed",
            "WebSocket connections that have ended: closed by the peer, by the server, or lost",
            [
                (by("peer"), counters.closed_by_peer),
                (by("server"), counters.closed_by_server),
                (by("nobody"), counters.lost),
            ],
        )?;
        self.counter(
            "tidegate_websocket_violations",
            "WebSocket connections closed since the peer broke a rule of the protocol",
            alone(counters.violations),
        )?;
        self.counter(
            "tidegate_websocket_slow_readers",
            "WebSocket connections dropped since the peer took too little of what it was sent",
            alone(counters.slow_readers),
        )?;
        let direction = |direction| [("direction", direction)];
        self.counter(
            "tidegate_websocket_messages",
            "WebSocket messages; one that was sent to many counts for each",
            [
                (direction("received"), counters.messages_received),
                (direction("sent"), counters.messages_sent),
            ],
        )?;
        self.counter_in(
            "tidegate_websocket_frame",
            "Bytes of WebSocket frames",
            Some(&Unit::Bytes),
            [
                (direction("received"), counters.bytes_received),
                (direction("sent"), counters.bytes_sent),
            ],
        )?;
        self.counter(
            "tidegate_websocket_broadcasts",
            "Messages sent to many WebSocket connections at once",
            alone(counters.broadcasts),
        )?;
        self.counter(
            "tidegate_websocket_broadcast_deliveries",
            "WebSocket connections that broadcasts went to, together",
            alone(counters.broadcast_deliveries),
        )?;
        self.gauge(
            "tidegate_websocket_backlogged_connections",
            "WebSocket connections for which messages wait to be sent",
            alone(counters.backlogged),
        )?;
        self.gauge(
            "tidegate_websocket_queued_messages",
            "Messages that wait to be sent to WebSocket connections",
            alone(counters.queued_messages),
        )?;
        self.gauge_in(
            "tidegate_websocket_queued",
            "Bytes of these messages",
            Some(&Unit::Bytes),
            alone(counters.queued_bytes),
        )?;
        self.counter(
            "tidegate_websocket_messages_dropped",
            "Messages never sent: the queue was full, or a later one of the same key took their place",
            [
                ([("cause", "full")], counters.dropped),
                ([("cause", "coalesced")], counters.coalesced),
            ],
        )
    }

    pub(super) fn admission(&mut self, counters: &AdmissionCounters) -> Result<(), Error> {
        let result = |result| [("result", result)];
        self.counter(
            "tidegate_authentications",
            "Requests with proof of who makes them, or without one that was needed",
            [
                (result("admitted"), counters.admitted),
                (result("refused"), counters.refused),
            ],
        )?;
        self.counter(
            "tidegate_authentications_wrong",
            "Of the refused ones, those whose password, token or key was wrong",
            alone(counters.failed_proofs),
        )?;
        self.counter(
            "tidegate_api_keys",
            "Requests judged by their API key",
            [
                (result("admitted"), counters.keys_admitted),
                (result("refused"), counters.keys_refused),
            ],
        )
    }

    pub(super) fn traffic(&mut self, counters: &TrafficCounters) -> Result<(), Error> {
        let firewall = &counters.firewall;
        let reason = |reason| [("reason", reason)];
        self.counter(
            "tidegate_firewall_filtered",
            "Connections and requests that the firewall kept out for where they come from",
            [
                (reason("block_list"), firewall.blocked),
                (reason("banned"), firewall.banned),
                (reason("country"), firewall.countries),
                (reason("connection_rate"), firewall.connection_floods),
            ],
        )?;
        let kind = |kind| [("kind", kind)];
        self.counter(
            "tidegate_firewall_violations",
            "What peers sent that the firewall's rules forbid",
            [
                (kind("attack"), firewall.attacks),
                (kind("payload"), firewall.payloads),
                (kind("message_flood"), firewall.message_floods),
                (kind("rule"), firewall.rules),
            ],
        )?;
        self.gauge(
            "tidegate_firewall_bans",
            "Addresses that are banned now",
            alone(counters.bans),
        )?;
        self.counter(
            "tidegate_firewall_bans_made",
            "Bans that offences have led to",
            alone(firewall.bans),
        )?;
        let window = counters.rate_limited.saturating_sub(counters.over_quota);
        self.counter(
            "tidegate_rate_limited_requests",
            "Requests refused since their caller makes too many, by the rule's kind",
            [(kind("rate"), window), (kind("quota"), counters.over_quota)],
        )
    }

    pub(super) fn upstreams(&mut self, upstreams: &[UpstreamState]) -> Result<(), Error> {
        let mut told: Vec<&UpstreamState> = Vec::with_capacity(upstreams.len());
        for upstream in upstreams {
            // One that several paths are forwarded to is told of once, as the first has it.
            if !told.iter().any(|other| other.url == upstream.url) {
                told.push(upstream);
            }
        }
        let sum = |url: &str, value: fn(&UpstreamState) -> u64| {
            let same = upstreams.iter().filter(|upstream| upstream.url == url);
            same.map(value).sum::<u64>()
        };
        let each = |value: fn(&UpstreamState) -> u64| {
            let told = told.iter();
            told.map(move |upstream| {
                let url = upstream.url.as_str();
                ([("upstream", url)], sum(url, value))
            })
        };
        self.gauge(
            "tidegate_upstream_up",
            "1 while the upstream is given requests, 0 while it is unwell",
            told.iter().map(|upstream| {
                let labels = [("upstream", upstream.url.as_str())];
                (labels, u64::from(upstream.is_up))
            }),
        )?;
        self.gauge(
            "tidegate_upstream_active_requests",
            "Requests that are with the upstream",
            each(|upstream| upstream.active),
        )?;
        self.gauge(
            "tidegate_upstream_pooled_connections",
            "Connections to the upstream that are kept for the next request",
            each(|upstream| upstream.pooled),
        )?;
        self.counter(
            "tidegate_upstream_requests",
            "Requests given to the upstream, second tries among them",
            each(|upstream| upstream.requests),
        )?;
        self.counter(
            "tidegate_upstream_failures",
            "Requests that failed by the upstream's fault",
            each(|upstream| upstream.failures),
        )
    }

    pub(super) fn uploads(&mut self, counters: UploadCounters) -> Result<(), Error> {
        self.gauge(
            "tidegate_uploads_active",
            "Uploads to files in progress",
            alone(counters.active),
        )?;
        self.counter(
            "tidegate_uploads_begun",
            "Uploads to files begun",
            alone(counters.begun),
        )
    }
}
