//! A lane of the component: WebSocket connections that are served here, and those that are passed on.

use std::sync::Arc;

use tidegate_httpapi::{
    LaneHost, OpaqueConnection, OpaqueConnections, OpaqueEnd, OpaqueKey, OpaqueLane, Opening,
};

use crate::component::Shared;
use crate::forward::Tunnels;
use crate::traffic::Firewall;
use crate::websocket::{Gate, Lane};

/// All upgraded connections of one of the driver's threads.
pub(crate) struct ComponentLane {
    websockets: Lane,
    tunnels: Tunnels,
}

impl ComponentLane {
    pub(crate) fn open(
        shared: &Arc<Shared>,
        gate: &Gate,
        firewall: Option<Arc<Firewall>>,
        host: LaneHost,
    ) -> Self {
        Self {
            tunnels: Tunnels::open(&host),
            websockets: Lane::open(shared, gate.settings(), firewall, host),
        }
    }
}

impl OpaqueLane for ComponentLane {
    fn opened(&mut self, connection: &mut dyn OpaqueConnection, opening: Opening) {
        if let Err(opening) = self.tunnels.take(connection, opening) {
            self.websockets.opened(connection, opening);
        }
    }

    #[inline]
    fn received(&mut self, connection: &mut dyn OpaqueConnection, bytes: &mut [u8]) {
        match self.tunnels.has(connection.key()) {
            true => self.tunnels.received(connection, bytes),
            false => self.websockets.received(connection, bytes),
        }
    }

    fn peer_ended(&mut self, connection: &mut dyn OpaqueConnection) {
        match self.tunnels.has(connection.key()) {
            true => self.tunnels.peer_ended(connection),
            false => self.websockets.peer_ended(connection),
        }
    }

    fn sent(&mut self, connection: &mut dyn OpaqueConnection) {
        match self.tunnels.has(connection.key()) {
            true => self.tunnels.sent(connection),
            false => self.websockets.sent(connection),
        }
    }

    fn due(&mut self, connection: &mut dyn OpaqueConnection) {
        match self.tunnels.has(connection.key()) {
            true => self.tunnels.due(connection),
            false => self.websockets.due(connection),
        }
    }

    fn closed(&mut self, key: OpaqueKey, end: OpaqueEnd) {
        match self.tunnels.has(key) {
            true => self.tunnels.closed(key),
            false => self.websockets.closed(key, end),
        }
    }

    fn woken(&mut self, connections: &mut dyn OpaqueConnections) {
        self.tunnels.woken(connections);
        self.websockets.woken(connections);
    }

    fn stop(&mut self, connections: &mut dyn OpaqueConnections) {
        self.tunnels.stop(connections);
        self.websockets.stop(connections);
    }
}
