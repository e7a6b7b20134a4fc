//! What a backend counts, as whole numbers since it was started, and how long requests take.
//!
//! Source: the HTTP Server API's performance counters; http-server-api §4.1, §7, §13.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a whole backend has counted since it was started. What it does not count is 0 or missing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct BackendCounters {
    /// Connections open now.
    pub connections: u64,
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections refused before their first byte: over the backend's limit, or by a filter.
    pub connections_refused: u64,
    /// Connections that were accepted and have ended.
    pub connections_closed: u64,
    /// Of those accepted, the ones that spoke HTTP/2.
    pub connections_http2: u64,
    /// TLS handshakes completed.
    pub tls_handshakes: u64,
    /// TLS handshakes that failed.
    pub tls_handshakes_failed: u64,
    /// Requests whose heads came whole and well formed, and that were let in.
    pub requests: u64,
    /// Of these, the ones with the method GET.
    pub requests_get: u64,
    /// Of these, the ones with the method HEAD.
    pub requests_head: u64,
    /// Of these, the ones on streams of HTTP/2.
    pub requests_http2: u64,
    /// Responses by the first digit of their status, in order: 1xx (only 101), 2xx, 3xx, 4xx, 5xx. The
    /// backend's own are among them.
    pub responses: [u64; 5],
    /// Connections and streams given to the application with 101, or with 200 to an extended CONNECT.
    pub upgraded: u64,
    /// Requests that the application dropped without an answer, or in which it panicked.
    pub abandoned: u64,
    /// Bytes received, as they came over the wire.
    pub bytes_received: u64,
    /// Bytes sent, as they went over the wire.
    pub bytes_sent: u64,
    /// Sends given to the system.
    pub sends: u64,
    /// Requests refused with 503, or for that reason with a reset, by the reason in the HTTPERR log.
    /// All are there.
    pub unavailable: BTreeMap<Cow<'static, str>, u64>,
    /// Requests refused for what they are, by status; the usual ones are all there.
    pub rejected: BTreeMap<u16, u64>,
    /// Requests refused with another status than those.
    pub rejected_otherwise: u64,
    /// Connections and streams ended by a timer, by its name in the HTTPERR log. All timers are there.
    pub timed_out: BTreeMap<Cow<'static, str>, u64>,
}

/// How long requests took, from the end of their heads until all of their answers was in their
/// connections' output, which goes to the system in the same turn.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Latency {
    /// How many requests there were, by how long they took: the times grow, those of no request are left
    /// out.
    pub buckets: Vec<LatencyBucket>,
    /// All of them.
    pub count: u64,
    /// The sum of their times.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::seconds"))]
    pub sum: Duration,
}

/// Requests that took nearly the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LatencyBucket {
    /// None of them took longer, and none as short as the bucket before; in the last one a few may have
    /// taken longer than a minute. An eighth longer than the shortest of them at most.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::seconds"))]
    pub up_to: Duration,
    /// How many there were.
    pub count: u64,
}

impl Latency {
    /// The time that a share of the requests, from 0 to 1, took at most; zero when there were none.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (share.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for bucket in &self.buckets {
            seen += bucket.count;
            if seen >= wanted {
                return bucket.up_to;
            }
        }
        Duration::ZERO
    }

    /// How many requests took no longer than that, as far as the buckets tell: one that holds both is
    /// counted to the longer ones.
    pub fn count_up_to(&self, time: Duration) -> u64 {
        let within = self
            .buckets
            .iter()
            .take_while(|bucket| bucket.up_to <= time);
        within.map(|bucket| bucket.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_the_buckets_they_fall_into() {
        let bucket = |milliseconds, count| LatencyBucket {
            up_to: Duration::from_millis(milliseconds),
            count,
        };
        let latency = Latency {
            buckets: vec![bucket(1, 50), bucket(2, 40), bucket(10, 10)],
            count: 100,
            sum: Duration::from_millis(200),
        };
        let milliseconds = |share| latency.quantile(share).as_millis();
        assert_eq!(milliseconds(0.0), 1);
        assert_eq!(milliseconds(0.5), 1);
        assert_eq!(milliseconds(0.51), 2);
        assert_eq!(milliseconds(0.9), 2);
        assert_eq!(milliseconds(1.0), 10);
        assert_eq!(latency.count_up_to(Duration::from_millis(2)), 90);
        assert_eq!(latency.count_up_to(Duration::from_micros(1_500)), 50);
        assert_eq!(Latency::default().quantile(0.99), Duration::ZERO);
    }
}
