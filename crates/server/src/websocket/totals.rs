//! What all WebSocket connections of a server have done, since it was made.
//!
//! Each lane writes counts of its own, without waiting for others; when it ends they go to those of lanes that
//! have ended before. What is rare is counted together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::connection::EndedBy;
use super::connections::Hub;

/// What all WebSocket connections of a server have done since it was made, those by way of the fallback too.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WebSocketCounters {
    /// Connections open now.
    pub connections: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections that the peer closed.
    pub closed_by_peer: u64,
    /// Connections that this side closed.
    pub closed_by_server: u64,
    /// Connections that broke off without being closed by either side.
    pub lost: u64,
    /// Of those that this side closed, the ones whose peers broke a rule of the protocol.
    pub violations: u64,
    /// Of those that this side closed, the ones whose peers took too little of what they were sent.
    pub slow_readers: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Messages sent, to each connection that got one.
    pub messages_sent: u64,
    /// Bytes received, as they came in frames.
    pub bytes_received: u64,
    /// Bytes sent, as they went in frames.
    pub bytes_sent: u64,
    /// Messages that were sent to many at once.
    pub broadcasts: u64,
    /// To how many connections these went, together.
    pub broadcast_deliveries: u64,
    /// Connections for which something waits to be sent.
    pub backlogged: u64,
    /// Messages that wait to be sent.
    pub queued_messages: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Messages that gave way to later ones of the same key ([`Overflow::Coalesce`](super::Overflow)).
    pub coalesced: u64,
    /// Messages dropped since the queue was full.
    pub dropped: u64,
}

/// What one lane has counted. Written by it alone.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct LaneTotals {
    pub(super) opened: Total,
    closed_by_peer: Total,
    closed_by_server: Total,
    lost: Total,
    pub(super) violations: Total,
    pub(super) slow_readers: Total,
    pub(super) messages_received: Total,
    pub(super) messages_sent: Total,
    pub(super) bytes_received: Total,
    pub(super) bytes_sent: Total,
    pub(super) broadcast_deliveries: Total,
}

/// A count that one thread writes.
#[derive(Debug, Default)]
pub(super) struct Total(AtomicU64);

impl Total {
    #[inline]
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.get() + more, Ordering::Relaxed);
    }

    #[inline]
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl LaneTotals {
    pub(super) fn count_end(&self, by: EndedBy) {
        match by {
            EndedBy::Peer => self.closed_by_peer.add(1),
            EndedBy::Server => self.closed_by_server.add(1),
            EndedBy::Network => self.lost.add(1),
        }
    }

    fn add_to(&self, sum: &mut WebSocketCounters) {
        sum.opened += self.opened.get();
        sum.closed_by_peer += self.closed_by_peer.get();
        sum.closed_by_server += self.closed_by_server.get();
        sum.lost += self.lost.get();
        sum.violations += self.violations.get();
        sum.slow_readers += self.slow_readers.get();
        sum.messages_received += self.messages_received.get();
        sum.messages_sent += self.messages_sent.get();
        sum.bytes_received += self.bytes_received.get();
        sum.bytes_sent += self.bytes_sent.get();
        sum.broadcast_deliveries += self.broadcast_deliveries.get();
    }
}

/// The totals of a server.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Held to add or to take out a lane, and to read.
    lanes: Mutex<Lanes>,
    broadcasts: AtomicU64,
    coalesced: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Lanes {
    open: Vec<Arc<LaneTotals>>,
    /// Of those that have ended.
    ended: WebSocketCounters,
}

impl Totals {
    /// Those of a lane that begins.
    pub(super) fn begin(&self) -> Arc<LaneTotals> {
        let totals = Arc::new(LaneTotals::default());
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.open.push(Arc::clone(&totals));
        totals
    }

    /// The lane of these has ended.
    pub(super) fn end(&self, totals: &Arc<LaneTotals>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        totals.add_to(&mut lanes.ended);
        lanes.open.retain(|open| !Arc::ptr_eq(open, totals));
    }

    pub(super) fn count_broadcast(&self) {
        self.broadcasts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_coalesced(&self) {
        self.coalesced.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dropped(&self, messages: usize) {
        self.dropped.fetch_add(messages as u64, Ordering::Relaxed);
    }
}

impl Hub {
    /// What has been counted, and what waits to be sent now. Looks at each connection for which something does.
    pub(crate) fn counters(&self) -> WebSocketCounters {
        let totals = self.totals();
        let lanes = totals.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = lanes.ended.clone();
        for lane in &lanes.open {
            lane.add_to(&mut sum);
        }
        drop(lanes);
        sum.broadcasts = totals.broadcasts.load(Ordering::Relaxed);
        sum.coalesced = totals.coalesced.load(Ordering::Relaxed);
        sum.dropped = totals.dropped.load(Ordering::Relaxed);
        sum.connections = self.registry.count() as u64;
        for connection in self.registry.snapshot() {
            if let Some((messages, bytes)) = connection.backlog() {
                sum.backlogged += 1;
                sum.queued_messages += messages as u64;
                sum.queued_bytes += bytes as u64;
            }
        }
        sum
    }
}
