//! The site's WebSockets: `/ws` sends each message back.

use tidegate::{Handshake, HandshakeResponse};

/// Accepts a handshake at a path that has a WebSocket. Elsewhere it is an ordinary request.
pub(super) fn handshake(handshake: &Handshake<'_>, response: &mut HandshakeResponse) {
    match super::path(handshake.request()) {
        "/ws" => {
            response.configure(|options| options.per_message_deflate.enabled = true);
        }
        _ => response.pass(),
    }
}
