//! Which connections there are: a worker looks through its own, a part in each turn.

use std::collections::BinaryHeap;
use std::sync::mpsc::Sender;
use std::time::{Duration, UNIX_EPOCH};

use tidegate_httpapi::{
    ConnectionActivity, ConnectionId, ConnectionPage, OpaqueEnd, OpenConnection, Version,
};
use tidegate_os::{ConnectionKey, Operations};

use crate::connection::log::ERROR_CONNECTION_ABORTED;
use crate::connection::respond::Seen;
use crate::connection::{Connection, Receive, Respond};
use crate::core::Core;

/// A question for connections, while a worker answers it.
pub(crate) struct Listing {
    page: ConnectionPage,
    /// Where the worker goes on to look.
    pub(crate) next: usize,
    /// Of those found the ones with the lowest numbers, the highest of these on top.
    found: BinaryHeap<(ConnectionId, Place)>,
    asker: Sender<Vec<OpenConnection>>,
}

/// Where a connection is; says nothing about its order.
#[derive(Clone, Copy, Debug)]
struct Place(ConnectionKey);

impl Listing {
    pub(crate) fn new(page: ConnectionPage, asker: Sender<Vec<OpenConnection>>) -> Self {
        Self {
            page,
            next: 0,
            found: BinaryHeap::new(),
            asker,
        }
    }

    /// Looks at a connection.
    pub(crate) fn look(&mut self, conn: &Connection) {
        if self.page.after.is_some_and(|after| conn.id <= after) {
            return;
        }
        self.found.push((conn.id, Place(conn.key)));
        if self.found.len() > self.page.limit {
            self.found.pop();
        }
    }

    /// The connections found, to be told of.
    pub(crate) fn into_keys(self) -> (Vec<ConnectionKey>, Sender<Vec<OpenConnection>>) {
        let found = self.found.into_sorted_vec();
        let keys = found.into_iter().map(|(_, Place(key))| key).collect();
        (keys, self.asker)
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Core {
    /// What is told of a connection.
    pub(crate) fn describe<O: Operations>(
        &self,
        operations: &O,
        conn: &Connection,
    ) -> OpenConnection {
        let mut told = OpenConnection::new(conn.id);
        told.peer = self.peer(operations, conn);
        told.local = self.local(operations, conn);
        told.version = conn.version();
        told.tls = self.tls_info(conn).map(|tls| tls.version.to_owned());
        told.since = UNIX_EPOCH + Duration::from_secs(conn.since);
        told.bytes_received = conn.bytes_received;
        told.bytes_sent = conn.bytes_sent;
        told.requests = conn.requests;
        told.group = conn.group.as_ref().map(|group| group.id);
        told.activity = conn.activity();
        told
    }

    /// Ends a connection because whoever looks after the driver says so.
    pub(crate) fn disconnect<O: Operations>(&mut self, operations: &mut O, conn: &mut Connection) {
        conn.ends_by(OpaqueEnd::Ended);
        if !conn.is_between_requests() && conn.lane().is_none() {
            self.log(operations, conn, "Connection_Dropped", None, Seen::Nothing);
        }
        self.break_log(conn, ERROR_CONNECTION_ABORTED);
        self.reset(operations, conn);
    }
}

impl Connection {
    fn version(&self) -> Option<Version> {
        match &self.receive {
            Receive::Http2(_) => Some(Version::Http2),
            _ => (self.requests > 0).then_some(self.asked.version),
        }
    }

    fn activity(&self) -> ConnectionActivity {
        if self.lane().is_some() {
            return ConnectionActivity::Opaque;
        }
        if self.closing || self.ended {
            return ConnectionActivity::Closing;
        }
        match &self.receive {
            Receive::Discard => ConnectionActivity::Closing,
            Receive::Http2(Some(http2)) => match http2.requests() {
                0 => ConnectionActivity::Idle,
                open => ConnectionActivity::Requests(open),
            },
            Receive::Head if matches!(self.respond, Respond::Ready) => {
                match self.input.is_empty() && !self.shakes_hands() {
                    true => ConnectionActivity::Idle,
                    false => ConnectionActivity::Receiving,
                }
            }
            _ => ConnectionActivity::Requests(1),
        }
    }
}

/// Connections looked at in one turn.
pub(crate) const LOOKED_AT: usize = 4096;
