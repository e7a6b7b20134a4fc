//! What is counted where: for the whole driver, for the group that a connection's last request was routed to,
//! and for the request queue; and how long requests take, where that is measured.
//!
//! Each worker writes counts of its own (`engine`'s `Count`); who reads them needs nothing of it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use tidegate_engine::{
    GroupView, LatencyHistogram, Method, PerWorker, QueueView, Unavailable, WorkerCounters,
};
use tidegate_proto::http2::StreamKey;

use crate::connection::Connection;
use crate::core::Core;
use crate::queue::Queue;

/// A worker's own counts, and which of groups' and queues' are its own.
pub(crate) struct OwnCounters {
    own: Arc<WorkerCounters>,
    /// Which worker this is.
    worker: usize,
}

impl OwnCounters {
    /// Those of this worker, by its number.
    pub(crate) fn new(all: &[Arc<WorkerCounters>], worker: usize) -> Self {
        Self {
            own: all.get(worker).cloned().unwrap_or_default(),
            worker,
        }
    }

    /// Counts a request that goes to its application.
    #[inline]
    pub(crate) fn count_request(
        &self,
        group: &GroupView<Queue>,
        queue: &QueueView<Queue>,
        method: Method,
    ) {
        self.count_served(group, method);
        queue.counters.of(self.worker).arrived.add(1);
    }

    /// Counts a request that is answered, by its application or in its place.
    #[inline]
    pub(crate) fn count_served(&self, group: &GroupView<Queue>, method: Method) {
        WorkerCounters::count_request(self, method);
        group.counters.of(self.worker).count_request(method);
    }

    /// Counts a connection's request for its group's limit.
    pub(crate) fn count_attempt(&self, group: &GroupView<Queue>) {
        group.counters.of(self.worker).connection_attempts.add(1);
    }

    /// Counts a request that nobody can take now, of this group if it was routed to one.
    pub(crate) fn count_refused(&self, group: Option<&GroupView<Queue>>, cause: Unavailable) {
        self.count_unavailable(cause);
        let Some(group) = group else {
            return;
        };
        let (counts, queue) = (group.counters.of(self.worker), group.queue.as_ref());
        let queue = queue.map(|queue| queue.counters.of(self.worker));
        match cause {
            // It was not routed.
            Unavailable::ReservedOnly => {}
            // It came no further.
            Unavailable::ConnectionLimit | Unavailable::NotBound => counts.requests.add(1),
            Unavailable::Disabled => {
                counts.requests.add(1);
                if let Some(queue) = queue {
                    queue.arrived.add(1);
                    queue.rejected.add(1);
                }
            }
            // It was counted when it came.
            _ => {
                if let Some(queue) = queue {
                    queue.rejected.add(1);
                }
            }
        }
    }

    /// Bytes were received on a connection.
    #[inline]
    pub(crate) fn count_received(&self, conn: &mut Connection, bytes: usize) {
        conn.bytes_received += bytes as u64;
        if let Some(group) = &conn.group {
            let counts = group.counters.of(self.worker);
            counts.bytes_received.add(bytes as u64);
        }
    }

    /// Bytes of a connection were taken by the system.
    #[inline]
    pub(crate) fn count_sent(&self, conn: &mut Connection, bytes: u64) {
        conn.bytes_sent += bytes;
        if let Some(group) = &conn.group {
            group.counters.of(self.worker).bytes_sent.add(bytes);
        }
    }

    /// A connection's first request has been routed: what came and went before is its group's as well.
    pub(crate) fn count_earlier(&self, conn: &Connection, group: &GroupView<Queue>) {
        let counts = group.counters.of(self.worker);
        counts.bytes_received.add(conn.bytes_received);
        counts.bytes_sent.add(conn.bytes_sent);
    }
}

impl Deref for OwnCounters {
    type Target = WorkerCounters;

    #[inline]
    fn deref(&self) -> &WorkerCounters {
        &self.own
    }
}

/// A stream's request of which it is measured how long it takes.
pub(crate) struct Measured {
    since: Instant,
    histogram: Arc<PerWorker<LatencyHistogram>>,
}

/// How long requests take. The clock is read for that, since a turn of the worker may be longer.
impl Core {
    /// The head of a request is whole.
    #[inline]
    pub(crate) fn begin_measure(&self, conn: &mut Connection, queue: &QueueView<Queue>) {
        if queue.latency.is_some() {
            conn.measured_since = Some(Instant::now());
        }
    }

    /// Its answer is all in the output.
    #[inline]
    pub(crate) fn end_measure(&self, conn: &mut Connection) {
        if conn.measured_since.is_some() {
            self.measure(conn);
        }
    }

    #[inline(never)]
    fn measure(&self, conn: &mut Connection) {
        let group = conn.group.as_ref();
        let queue = group.and_then(|group| group.queue.as_ref());
        let histogram = queue.and_then(|queue| queue.latency.as_ref());
        if let (Some(since), Some(histogram)) = (conn.measured_since.take(), histogram) {
            add(histogram, self.counters.worker, since);
        }
    }

    /// As [`begin_measure`](Self::begin_measure), for a stream.
    #[inline]
    pub(crate) fn begin_stream_measure(
        &self,
        measured: &mut Vec<Option<Measured>>,
        stream: StreamKey,
        queue: &QueueView<Queue>,
    ) {
        if let Some(histogram) = &queue.latency {
            let slot = stream.slot as usize;
            if slot >= measured.len() {
                measured.resize_with(slot + 1, || None);
            }
            measured[slot] = Some(Measured {
                since: Instant::now(),
                histogram: Arc::clone(histogram),
            });
        }
    }

    /// As [`end_measure`](Self::end_measure), for a stream.
    #[inline]
    pub(crate) fn end_stream_measure(&self, measured: &mut [Option<Measured>], stream: StreamKey) {
        if let Some(ended) = measured
            .get_mut(stream.slot as usize)
            .and_then(Option::take)
        {
            add(&ended.histogram, self.counters.worker, ended.since);
        }
    }
}

fn add(histogram: &PerWorker<LatencyHistogram>, worker: usize, since: Instant) {
    let nanoseconds = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
    histogram.of(worker).add(nanoseconds);
}

/// A stream's request has ended without an answer, or with one of ours.
pub(crate) fn forget_measure(measured: &mut [Option<Measured>], stream: StreamKey) {
    if let Some(slot) = measured.get_mut(stream.slot as usize) {
        *slot = None;
    }
}
