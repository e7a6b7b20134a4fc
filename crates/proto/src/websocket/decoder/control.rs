//! Control frames: what they hold, and one that was cut.

use crate::websocket::close::CloseFrame;
use crate::websocket::frame::Opcode;
use crate::websocket::received::Received;
use crate::websocket::violation::Violation;

/// A control frame's payload, put together.
#[derive(Debug)]
pub(super) struct ControlPayload {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: usize,
}

impl Default for ControlPayload {
    fn default() -> Self {
        Self {
            bytes: [0; CONTROL_BYTES_MAX],
            len: 0,
        }
    }
}

impl ControlPayload {
    pub(super) fn append(&mut self, payload: &[u8]) {
        let end = self.len + payload.len();
        self.bytes[self.len..end].copy_from_slice(payload);
        self.len = end;
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What a control frame says.
pub(super) fn received_control(opcode: Opcode, payload: &[u8]) -> Result<Received<'_>, Violation> {
    Ok(match opcode {
        Opcode::Close => Received::Close(CloseFrame::parse(payload)?),
        Opcode::Ping => Received::Ping(payload),
        _ => Received::Pong(payload),
    })
}

/// RFC 6455 §5.5.
const CONTROL_BYTES_MAX: usize = 125;
