//! `/ws`: sends every message back, text as text and binary as binary, compressed where the client can.
//!
//! Which paths speak WebSocket is said here; what `/ws/chat` speaks is `chat`'s matter.

use tidegate::{Connection, Handshake, HandshakeResponse, Request, Response, WriteError};

use super::{chat, path};

/// Accepts a handshake, or leaves it to be an ordinary request.
pub(super) fn handshake(handshake: &Handshake<'_>, response: &mut HandshakeResponse) {
    match path(handshake.request()) {
        "/ws" => {
            response
                .no_protocol()
                .configure(|settings| settings.per_message_deflate.enabled = true);
        }
        "/ws/chat" if handshake.protocols().any(|name| name == chat::PROTOCOL) => {}
        // Without a common language there is nothing to be said.
        "/ws/chat" => response.refuse(400),
        _ => response.pass(),
    }
}

/// What an ordinary request to such a path gets. RFC 9110 §15.5.22.
pub(super) fn wanted(_: &Request<'_>, response: &mut Response) {
    response.status(426).header("Upgrade", "websocket");
    response.text("WebSocket is spoken here.\n");
}

/// Whether a connection is one of `/ws`.
pub(super) fn is_echo(connection: &Connection) -> bool {
    connection.protocol().is_none()
}

/// What became of an echo. A peer that has gone is told of elsewhere.
pub(super) fn echoed(sent: Result<(), WriteError>) -> Result<(), WriteError> {
    match sent {
        Err(WriteError::Closed) => Ok(()),
        sent => sent,
    }
}
