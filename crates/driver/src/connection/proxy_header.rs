//! The PROXY header that connections of some ports begin with: before anything else looks at their bytes.
//!
//! Who may send one, and what it changes: both ends' addresses as the application and the log see them.
//! Which host and certificate are meant is still decided by the address that the connection really arrived
//! at. Source: HAProxy, "The PROXY protocol"; the bytes are `proto`'s matter.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use tidegate_engine::PortKey;
use tidegate_httpapi::{AddressRange, Admission, ConnectionInfo};
use tidegate_os::{EndpointAddress, Operations};
use tidegate_proto::proxy_protocol::{ProxiedEnds, parse_proxy_header};

use crate::connection::Connection;
use crate::connection::respond::Seen;
use crate::core::{Core, Shared};
use crate::view::View;

/// What a connection has that begins with a PROXY header.
#[derive(Debug)]
pub(crate) enum Proxied {
    /// The header is to come; this much of it is there.
    Awaited(Vec<u8>),
    /// It has come: who connected, and where to.
    Told(ProxiedEnds),
    /// It has come, and says nothing: the connection's own ends hold.
    Silent,
}

/// Whether a connection may stay, and goes on as others do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Entrance {
    Open,
    /// It has to say first whom it is passed on for.
    AwaitsHeader,
    Refused,
}

impl Shared {
    /// Whose header is awaited on a port; `None`: nobody's.
    fn proxies_of(&self, port: PortKey) -> Option<Arc<[AddressRange]>> {
        let PortKey::Tcp(port) = port else {
            return None;
        };
        let proxies = self.proxies.read();
        let proxies = proxies.unwrap_or_else(PoisonError::into_inner);
        proxies.get(&port).cloned()
    }
}

impl Connection {
    /// Whether its PROXY header is to come.
    #[inline(always)]
    pub(crate) fn awaits_proxy_header(&self) -> bool {
        matches!(self.proxied.as_deref(), Some(Proxied::Awaited(_)))
    }

    /// Who connected and where to, if a PROXY header says so.
    #[inline]
    pub(crate) fn told_ends(&self) -> Option<&ProxiedEnds> {
        match self.proxied.as_deref() {
            Some(Proxied::Told(ends)) => Some(ends),
            _ => None,
        }
    }
}

impl Core {
    /// Whether a new connection may stay.
    pub(crate) fn enter_port<O: Operations>(
        &mut self,
        operations: &O,
        conn: &mut Connection,
    ) -> Entrance {
        if self
            .shared
            .has_proxies
            .load(std::sync::atomic::Ordering::Acquire)
            && let Some(trusted) = self.shared.proxies_of(conn.port)
        {
            let peer = match operations.peer_address(conn.key) {
                Some(EndpointAddress::Tcp(address)) => Some(address.ip()),
                _ => None,
            };
            let is_among = |peer: IpAddr| trusted.iter().any(|range| range.contains(peer));
            if !peer.is_some_and(is_among) {
                return Entrance::Refused;
            }
            conn.proxied = Some(Box::new(Proxied::Awaited(Vec::new())));
            return Entrance::AwaitsHeader;
        }
        match self.lets_in(operations, conn) {
            true => Entrance::Open,
            false => Entrance::Refused,
        }
    }

    /// Asks the filter, if there is one.
    fn lets_in<O: Operations>(&mut self, operations: &O, conn: &Connection) -> bool {
        let Some(filter) = self.filter.clone() else {
            return true;
        };
        let connection = ConnectionInfo {
            connection_id: conn.id,
            peer: self.peer(operations, conn),
            local: self.local(operations, conn),
        };
        let admission = catch_unwind(AssertUnwindSafe(|| filter.connected(&connection)));
        // A filter that panics has not said that the connection may stay.
        matches!(admission, Ok(Admission::Accept))
    }

    /// Takes bytes of a connection whose PROXY header is to come.
    #[cold]
    pub(super) fn received_proxy_header<O: Operations>(
        &mut self,
        view: &mut View,
        operations: &mut O,
        conn: &mut Connection,
        bytes: &mut [u8],
        position: u32,
    ) {
        let Some(Proxied::Awaited(mut header)) = conn.proxied.take().map(|proxied| *proxied) else {
            return;
        };
        header.extend_from_slice(bytes);
        match parse_proxy_header(&header) {
            Ok(None) => conn.proxied = Some(Box::new(Proxied::Awaited(header))),
            Err(fault) => {
                tracing::debug!(%fault, "a connection does not begin as it must");
                self.log(operations, conn, "BadRequest", None, Seen::Nothing);
                self.close(operations, conn);
            }
            Ok(Some(parsed)) => {
                let proxied = parsed.ends.map_or(Proxied::Silent, Proxied::Told);
                conn.proxied = Some(Box::new(proxied));
                if !self.lets_in(operations, conn) {
                    self.counters.connections_refused.add(1);
                    return self.reset(operations, conn);
                }
                let mut rest = header.split_off(parsed.bytes);
                if !rest.is_empty() {
                    self.received(view, operations, conn, &mut rest, position);
                }
            }
        }
    }
}
