//! What one worker has counted since it began.
//!
//! Plain numbers that only their worker writes; whoever wants the whole adds them up.
//! Source: performance counters of the HTTP service; http-server-api §13.

use crate::timers::Timer;
use crate::unavailable::Unavailable;

/// Counts of one worker, or the sum of several.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections refused before their first byte: over the backend's limit, or by a filter.
    pub connections_refused: u64,
    /// Connections ended.
    pub connections_closed: u64,
    /// Heads received whole and well formed.
    pub requests: u64,
    /// Of these, the ones with the method GET.
    pub requests_get: u64,
    /// Of these, the ones with the method HEAD.
    pub requests_head: u64,
    /// Responses of the application, and copies of them, finished.
    pub responses: u64,
    /// Connections given to the application with 101.
    pub upgraded: u64,
    /// Requests that the application dropped without an answer, or in which it panicked.
    pub abandoned: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Sends given to the system. What a connection has for its peer in one turn is one send.
    pub sends: u64,
    /// Requests refused with 503, by cause, in the order of [`Unavailable::ALL`].
    pub unavailable: [u64; Unavailable::ALL.len()],
    /// Requests refused for what they are, by status, in the order of [`Counters::REJECT_STATUSES`].
    pub rejected: [u64; Self::REJECT_STATUSES.len()],
    /// Requests refused with another status than those.
    pub rejected_otherwise: u64,
    /// Connections ended by a timer, by timer, in the order of [`Timer::ALL`].
    pub timed_out: [u64; Timer::ALL.len()],
}

impl Counters {
    /// The statuses of refusals that are counted one by one. http-server-api §7.
    pub const REJECT_STATUSES: [u16; 9] = [400, 404, 411, 413, 414, 417, 500, 501, 505];

    /// Counts a request refused with 503.
    pub fn count_unavailable(&mut self, cause: Unavailable) {
        self.unavailable[cause.index()] += 1;
    }

    /// Counts a request refused with another status.
    pub fn count_rejected(&mut self, status: u16) {
        let index = Self::REJECT_STATUSES
            .iter()
            .position(|&known| known == status);
        match index {
            Some(index) => self.rejected[index] += 1,
            None => self.rejected_otherwise += 1,
        }
    }

    /// Counts a connection ended by a timer.
    pub fn count_timed_out(&mut self, timer: Timer) {
        self.timed_out[timer.index()] += 1;
    }

    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Self) {
        // Taken apart whole, so that a new field cannot be forgotten.
        let Self {
            connections_accepted,
            connections_refused,
            connections_closed,
            requests,
            requests_get,
            requests_head,
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
        } = other;
        self.connections_accepted += connections_accepted;
        self.connections_refused += connections_refused;
        self.connections_closed += connections_closed;
        self.requests += requests;
        self.requests_get += requests_get;
        self.requests_head += requests_head;
        self.responses += responses;
        self.upgraded += upgraded;
        self.abandoned += abandoned;
        self.bytes_received += bytes_received;
        self.bytes_sent += bytes_sent;
        self.sends += sends;
        add_each(&mut self.unavailable, unavailable);
        add_each(&mut self.rejected, rejected);
        self.rejected_otherwise += rejected_otherwise;
        add_each(&mut self.timed_out, timed_out);
    }
}

fn add_each(sums: &mut [u64], counts: &[u64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_workers_add_up() {
        let mut one = Counters {
            requests: 3,
            bytes_sent: 100,
            ..Counters::default()
        };
        one.count_unavailable(Unavailable::QueueFull);
        one.count_rejected(400);
        one.count_rejected(418);
        one.count_timed_out(Timer::HeaderWait);
        let mut sum = Counters::default();
        sum.add(&one);
        sum.add(&one);
        assert_eq!((sum.requests, sum.bytes_sent), (6, 200));
        assert_eq!(sum.unavailable[Unavailable::QueueFull.index()], 2);
        assert_eq!((sum.rejected[0], sum.rejected_otherwise), (2, 2));
        assert_eq!(sum.timed_out[Timer::HeaderWait.index()], 2);
    }
}
