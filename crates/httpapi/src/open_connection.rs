//! A backend's open connections, as whoever looks after it sees them.

use std::time::SystemTime;

use crate::application::PeerAddress;
use crate::backend::UrlGroupId;
use crate::request::{ConnectionId, Version};

/// Which connections are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionPage {
    /// Only connections with higher numbers; `None` begins with the first.
    pub after: Option<ConnectionId>,
    /// How many at most, 1 to 1000.
    pub limit: usize,
}

impl ConnectionPage {
    /// The most connections that are told at once.
    pub const LIMIT_MAX: usize = 1000;
}

/// One open connection.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct OpenConnection {
    /// Names the connection.
    pub id: ConnectionId,
    /// The peer's address; what a PROXY header said, where one was read.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::peer"))]
    pub peer: PeerAddress,
    /// The local address it arrived at.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::peer"))]
    pub local: PeerAddress,
    /// The version of HTTP spoken; `None` before that is known.
    pub version: Option<Version>,
    /// The version of TLS, such as `TLSv1.3`; `None` without TLS, and before the handshake is done.
    pub tls: Option<String>,
    /// When it was accepted.
    #[cfg_attr(feature = "serde", serde(with = "crate::serial::unix_seconds"))]
    pub since: SystemTime,
    /// Bytes received, as they came over the wire.
    pub bytes_received: u64,
    /// Bytes sent, as they went over the wire.
    pub bytes_sent: u64,
    /// Requests taken from it.
    pub requests: u64,
    /// The URL group that its last request was routed to.
    pub group: Option<UrlGroupId>,
    /// What it is doing.
    pub activity: ConnectionActivity,
}

impl OpenConnection {
    /// A connection of which nothing is known but its name.
    pub fn new(id: ConnectionId) -> Self {
        Self {
            id,
            peer: PeerAddress::Unknown,
            local: PeerAddress::Unknown,
            version: None,
            tls: None,
            since: SystemTime::UNIX_EPOCH,
            bytes_received: 0,
            bytes_sent: 0,
            requests: 0,
            group: None,
            activity: ConnectionActivity::Idle,
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ConnectionActivity {
    /// No request is in progress.
    Idle,
    /// A head is arriving, or a handshake of TLS.
    Receiving,
    /// Requests are in progress, so many; in HTTP/1 one.
    Requests(u32),
    /// It is upgraded: its bytes belong to another protocol, WebSocket mostly.
    Opaque,
    /// It ends, and has still something to send or to wait for.
    Closing,
}
