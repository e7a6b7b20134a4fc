//! What a run of the load generator found, as one JSON object.

use serde::Serialize;

use crate::histogram::Histogram;
use crate::window::Reading;

/// The figures of one measuring window.
///
/// "Request" is whatever the load repeats: a request and its answer, a message and its echo, one
/// delivery of a broadcast, a handshake. "Per request" means per request completed in the window.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Requests completed.
    pub(crate) requests: u64,
    /// Requests completed since the server was first loaded: the window's, and those before it.
    pub(crate) requests_total: u64,
    /// Length of the window.
    pub(crate) seconds: f64,
    /// Processor time of the server per request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Share of one processor that the server used.
    pub(crate) server_share: f64,
    /// Share of one processor that the generator used.
    pub(crate) generator_share: f64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) p999_us: Option<f64>,
    /// Per request; absent without counters.
    pub(crate) user_instructions: Option<f64>,
    /// Per request; absent without counters.
    pub(crate) kernel_instructions: Option<f64>,
    /// Per request; absent without counters.
    pub(crate) cycles: Option<f64>,
    /// Connections opened again because the server ended them.
    pub(crate) reopened: u64,
    /// Of a closed loop: the first answer, which all others equal in length.
    pub(crate) first: Option<First>,
    /// Of an open loop.
    pub(crate) open: Option<Open>,
    /// Of a storm.
    pub(crate) storm: Option<Storm>,
}

/// The first answer.
#[derive(Debug, Serialize)]
pub(crate) struct First {
    pub(crate) request_bytes: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) head: String,
}

/// How the requests of an open loop fared.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Open {
    /// Answered with 200.
    pub(crate) answered: u64,
    /// Answered with 503.
    pub(crate) refused: u64,
    /// Ended by a reset, or an end of the stream, without an answer.
    pub(crate) reset: u64,
    /// Answered with another status.
    pub(crate) other: u64,
    /// Due or on their way when the window closed.
    pub(crate) unfinished: u64,
    pub(crate) refused_p99_us: Option<f64>,
    /// How long after its instant a request was sent: waits for a free connection, and lateness of
    /// the generator itself.
    pub(crate) late_p99_us: Option<f64>,
}

/// How the connections of a storm fared.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Storm {
    /// Answered with a status other than 101.
    pub(crate) refused: u64,
    /// Refused by the system, reset, or ended before the answer.
    pub(crate) reset: u64,
    /// Without an answer when patience ended.
    pub(crate) unfinished: u64,
    /// Connections that the system dropped as the queue of the listener was full, and which had to
    /// try again; absent where the system does not count them.
    pub(crate) overflows: Option<u64>,
}

impl Report {
    /// The figures that every kind of run has.
    pub(crate) fn new(requests: u64, begin: &Reading, end: &Reading, latency: &Histogram) -> Self {
        let seconds = (end.at - begin.at).as_secs_f64();
        let per_request = |sum: u64| sum as f64 / requests.max(1) as f64;
        let counts = begin.counts.zip(end.counts);
        let server_ns = end.server_ns - begin.server_ns;
        let generator_ns = end.generator_ns - begin.generator_ns;
        Self {
            requests,
            requests_total: requests,
            seconds,
            cpu_us: per_request(server_ns) / 1e3,
            server_share: server_ns as f64 / 1e9 / seconds,
            generator_share: generator_ns as f64 / 1e9 / seconds,
            p50_us: latency.quantile_us(0.5),
            p99_us: latency.quantile_us(0.99),
            p999_us: latency.quantile_us(0.999),
            user_instructions: counts
                .map(|(a, b)| per_request(b.user_instructions - a.user_instructions)),
            kernel_instructions: counts
                .map(|(a, b)| per_request(b.kernel_instructions - a.kernel_instructions)),
            cycles: counts.map(|(a, b)| per_request(b.cycles - a.cycles)),
            reopened: 0,
            first: None,
            open: None,
            storm: None,
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report holds only numbers and text")
    }
}
