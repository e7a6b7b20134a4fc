//! What one worker has counted since it began.
//!
//! Only its worker writes a count, so that counting takes no instruction that waits for other processors;
//! anybody may read it, at any time, without the worker's help. Whoever wants the whole adds the workers' up.
//! Source: performance counters of the HTTP service; http-server-api §13.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::timers::Timer;
use crate::unavailable::Unavailable;

/// A count that one thread writes and any may read.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it. For the one thread that writes it.
    #[inline]
    pub fn add(&self, more: u64) {
        // Nobody else writes, so what is read here is what was written last. Relaxed: the number itself is
        // all there is to agree on.
        let now = self.0.load(Ordering::Relaxed).wrapping_add(more);
        self.0.store(now, Ordering::Relaxed);
    }

    /// What it is now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that is counted by several workers, each for itself.
///
/// What one writes is apart from what others do: no processor has to wait for another's cache.
#[derive(Debug)]
pub struct PerWorker<T>(Box<[Apart<T>]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> PerWorker<T> {
    /// One for each of so many workers; at least one.
    pub fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Apart::default()).collect())
    }
}

impl<T> PerWorker<T> {
    /// The one of this worker, by its number.
    #[inline]
    pub fn of(&self, worker: usize) -> &T {
        // A number that is none is a defect; the first would count for it then.
        match self.0.get(worker) {
            Some(apart) => &apart.0,
            None => &self.0[0].0,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}

/// Counts of one worker, or the sum of several.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters<N = u64> {
    /// Connections accepted.
    pub connections_accepted: N,
    /// Connections refused before their first byte: over the backend's limit, or by a filter.
    pub connections_refused: N,
    /// Connections ended.
    pub connections_closed: N,
    /// Connections that began to speak HTTP/2.
    pub connections_http2: N,
    /// TLS handshakes completed.
    pub tls_handshakes: N,
    /// TLS handshakes that failed.
    pub tls_handshakes_failed: N,
    /// Heads received whole and well formed.
    pub requests: N,
    /// Of these, the ones with the method GET.
    pub requests_get: N,
    /// Of these, the ones with the method HEAD.
    pub requests_head: N,
    /// Of these, the ones on streams of HTTP/2.
    pub requests_http2: N,
    /// Responses by the first digit of their status, 1 to 5: of the application, copies of them, and the
    /// driver's own.
    pub responses: [N; 5],
    /// Connections and streams given to the application with 101 or 200.
    pub upgraded: N,
    /// Requests that the application dropped without an answer, or in which it panicked.
    pub abandoned: N,
    /// Bytes received.
    pub bytes_received: N,
    /// Bytes sent.
    pub bytes_sent: N,
    /// Sends given to the system. What a connection has for its peer in one turn is one send.
    pub sends: N,
    /// Requests refused with 503, by cause, in the order of [`Unavailable::ALL`].
    pub unavailable: [N; Unavailable::ALL.len()],
    /// Requests refused for what they are, by status, in the order of [`REJECT_STATUSES`].
    pub rejected: [N; REJECT_STATUSES.len()],
    /// Requests refused with another status than those.
    pub rejected_otherwise: N,
    /// Connections ended by a timer, by timer, in the order of [`Timer::ALL`].
    pub timed_out: [N; Timer::ALL.len()],
}

/// The statuses of refusals that are counted one by one. http-server-api §7.
pub const REJECT_STATUSES: [u16; 9] = [400, 404, 411, 413, 414, 417, 500, 501, 505];

/// The counts of one worker, as it writes them.
pub type WorkerCounters = Counters<Count>;

impl WorkerCounters {
    /// Counts a response.
    #[inline]
    pub fn count_response(&self, status: u16) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(count) = self.responses.get(class) {
            count.add(1);
        }
    }

    /// Counts a request by its method.
    #[inline]
    pub fn count_request(&self, method: Method) {
        self.requests.add(1);
        match method {
            Method::Get => self.requests_get.add(1),
            Method::Head => self.requests_head.add(1),
            Method::Other => {}
        }
    }

    /// Counts a request refused with 503.
    pub fn count_unavailable(&self, cause: Unavailable) {
        self.unavailable[cause.index()].add(1);
    }

    /// Counts a request refused with another status.
    pub fn count_rejected(&self, status: u16) {
        let index = REJECT_STATUSES.iter().position(|&known| known == status);
        match index {
            Some(index) => self.rejected[index].add(1),
            None => self.rejected_otherwise.add(1),
        }
    }

    /// Counts a connection ended by a timer.
    pub fn count_timed_out(&self, timer: Timer) {
        self.timed_out[timer.index()].add(1);
    }
}

impl Counters {
    /// Adds what a worker has counted so far.
    pub fn add(&mut self, worker: &WorkerCounters) {
        // Taken apart whole, so that a new field cannot be forgotten.
        let Counters {
            connections_accepted,
            connections_refused,
            connections_closed,
            connections_http2,
            tls_handshakes,
            tls_handshakes_failed,
            requests,
            requests_get,
            requests_head,
            requests_http2,
            responses,
            upgraded,
            abandoned,
            bytes_received,
            bytes_sent,
            sends,
            unavailable,
            rejected,
            rejected_otherwise,
            timed_out,
        } = worker;
        self.connections_accepted += connections_accepted.get();
        self.connections_refused += connections_refused.get();
        self.connections_closed += connections_closed.get();
        self.connections_http2 += connections_http2.get();
        self.tls_handshakes += tls_handshakes.get();
        self.tls_handshakes_failed += tls_handshakes_failed.get();
        self.requests += requests.get();
        self.requests_get += requests_get.get();
        self.requests_head += requests_head.get();
        self.requests_http2 += requests_http2.get();
        add_each(&mut self.responses, responses);
        self.upgraded += upgraded.get();
        self.abandoned += abandoned.get();
        self.bytes_received += bytes_received.get();
        self.bytes_sent += bytes_sent.get();
        self.sends += sends.get();
        add_each(&mut self.unavailable, unavailable);
        add_each(&mut self.rejected, rejected);
        self.rejected_otherwise += rejected_otherwise.get();
        add_each(&mut self.timed_out, timed_out);
    }
}

fn add_each(sums: &mut [u64], counts: &[Count]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count.get();
    }
}

/// A request's method, as far as it is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// Any other.
    Other,
}

impl Method {
    /// Methods are case-sensitive (RFC 9110 §9.1).
    #[inline]
    pub fn of(method: &[u8]) -> Self {
        match method {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            _ => Self::Other,
        }
    }
}

/// What a worker counts for one URL group.
#[derive(Debug, Default)]
pub struct GroupCounters {
    /// How often a connection came to it.
    pub connection_attempts: Count,
    /// Requests routed to it.
    pub requests: Count,
    /// Of these, the ones with the method GET.
    pub requests_get: Count,
    /// Of these, the ones with the method HEAD.
    pub requests_head: Count,
    /// Bytes received on connections whose last request was routed to it.
    pub bytes_received: Count,
    /// Bytes sent on them.
    pub bytes_sent: Count,
}

impl GroupCounters {
    /// Counts a request by its method.
    #[inline]
    pub fn count_request(&self, method: Method) {
        self.requests.add(1);
        match method {
            Method::Get => self.requests_get.add(1),
            Method::Head => self.requests_head.add(1),
            Method::Other => {}
        }
    }
}

/// What a worker counts for one request queue.
#[derive(Debug, Default)]
pub struct QueueCounters {
    /// Requests that came for it, those rejected too.
    pub arrived: Count,
    /// Of these, the ones refused with 503.
    pub rejected: Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_workers_add_up() {
        let one = WorkerCounters::default();
        one.count_request(Method::of(b"GET"));
        one.count_request(Method::of(b"HEAD"));
        one.count_request(Method::of(b"get"));
        one.bytes_sent.add(100);
        one.count_response(204);
        one.count_response(503);
        one.count_response(999);
        one.count_unavailable(Unavailable::QueueFull);
        one.count_rejected(400);
        one.count_rejected(418);
        one.count_timed_out(Timer::HeaderWait);
        let mut sum = Counters::default();
        sum.add(&one);
        sum.add(&one);
        assert_eq!((sum.requests, sum.bytes_sent), (6, 200));
        assert_eq!((sum.requests_get, sum.requests_head), (2, 2));
        assert_eq!(sum.responses, [0, 2, 0, 0, 2]);
        assert_eq!(sum.unavailable[Unavailable::QueueFull.index()], 2);
        assert_eq!((sum.rejected[0], sum.rejected_otherwise), (2, 2));
        assert_eq!(sum.timed_out[Timer::HeaderWait.index()], 2);
    }

    #[test]
    fn each_worker_has_its_own() {
        let counters: PerWorker<QueueCounters> = PerWorker::new(2);
        counters.of(0).arrived.add(1);
        counters.of(1).arrived.add(2);
        let arrived: Vec<_> = counters.iter().map(|one| one.arrived.get()).collect();
        assert_eq!(arrived, [1, 2]);
        assert_eq!(PerWorker::<QueueCounters>::new(0).iter().count(), 1);
    }
}
