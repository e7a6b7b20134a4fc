//! Compresses the messages of one connection, or one message for many.
//!
//! Source: RFC 7692 §7.2.1 and §7.2.3.

use std::fmt;

use super::compressor::{Compressor, TAIL};
use super::settings::DeflateSettings;
use super::workspace::DeflateWorkspace;

/// The compressor of one side of a connection.
///
/// With context takeover it holds, from its first message on, zlib's compressor with what was sent
/// last: see [`DeflateSettings`] for what that takes. Without, it holds one only while it is between
/// the pieces of a message.
///
/// A compressor may forget what was sent at any time, without the peer knowing: what comes later just
/// does not refer to it. Three uses:
///
/// - [`forget`](Self::forget) before the first message after one that was not compressed here.
/// - [`release`](Self::release) gives the memory of an idle connection back.
/// - [`shared`](Self::shared) compresses one message for many connections.
pub struct Deflater {
    window_bits: u8,
    mem_level: u8,
    takeover: bool,
    message_bytes_min: usize,
    /// With takeover, what was sent before; without, what was sent of a message in pieces.
    compressor: Option<Box<Compressor>>,
}

/// How a message is to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Deflated {
    /// With the payload that was appended, and RSV1 set.
    Compressed,
    /// As it is, RSV1 not set: nothing was appended. The message is shorter than
    /// [`message_bytes_min`](DeflateSettings::message_bytes_min), or it would not get shorter and
    /// there is no context takeover.
    Uncompressed,
}

impl Deflater {
    pub(super) fn new(window_bits: u8, takeover: bool, settings: &DeflateSettings) -> Self {
        Self {
            window_bits: window_bits.clamp(8, 15),
            mem_level: settings.mem_level.clamp(1, 9),
            takeover,
            message_bytes_min: settings.message_bytes_min,
            compressor: None,
        }
    }

    /// A compressor for messages that go to many connections: each forgets what was before it.
    ///
    /// A payload of it may go to any connection whose server (or client, whichever this is) may use a
    /// window as large as [`window_bits`](Self::window_bits). Then call [`forget`](Self::forget) on
    /// that connection's own compressor: the payload has gone into the peer's window, which is no
    /// longer what our compressor takes it for.
    pub fn shared(window_bits: u8, settings: &DeflateSettings) -> Self {
        Self::new(window_bits, false, settings)
    }

    /// Largest window that is used, as a power of two.
    pub fn window_bits(&self) -> u8 {
        self.window_bits
    }

    /// Compresses a whole message: appends the payload, without the tail that is not sent.
    pub fn deflate(
        &mut self,
        message: &[u8],
        workspace: &mut DeflateWorkspace,
        out: &mut Vec<u8>,
    ) -> Deflated {
        if message.len() < self.message_bytes_min {
            return Deflated::Uncompressed;
        }
        let start = out.len();
        let mut compressor = self.take_compressor(workspace);
        compressor.compress(message, &mut workspace.produced, out);
        // With context takeover it is sent so however long it is: later messages then refer to it.
        let is_shorter = out.len() - start < message.len();
        let deflated = match self.takeover || is_shorter {
            true => Deflated::Compressed,
            false => {
                out.truncate(start);
                Deflated::Uncompressed
            }
        };
        self.give_compressor(compressor, workspace);
        deflated
    }

    /// Compresses a piece of a message, not its last: appends the payload of a frame of its own.
    ///
    /// Whatever is in it can be read at once by the peer.
    pub fn deflate_part(
        &mut self,
        part: &[u8],
        workspace: &mut DeflateWorkspace,
        out: &mut Vec<u8>,
    ) {
        let mut compressor = self.take_compressor(workspace);
        compressor.compress(part, &mut workspace.produced, out);
        out.extend_from_slice(&TAIL);
        self.compressor = Some(compressor);
    }

    /// Compresses the last piece of a message, which may be empty.
    pub fn deflate_last(
        &mut self,
        part: &[u8],
        workspace: &mut DeflateWorkspace,
        out: &mut Vec<u8>,
    ) {
        let mut compressor = self.take_compressor(workspace);
        compressor.compress(part, &mut workspace.produced, out);
        self.give_compressor(compressor, workspace);
    }

    /// Forgets all that was sent: nothing that comes refers to it.
    ///
    /// Also right in the middle of a message.
    pub fn forget(&mut self) {
        if let Some(compressor) = &mut self.compressor {
            compressor.forget();
        }
    }

    /// Forgets all that was sent, and gives its memory back. It is taken again with the next message.
    pub fn release(&mut self, workspace: &mut DeflateWorkspace) {
        if let Some(compressor) = self.compressor.take() {
            workspace.give_compressor(compressor);
        }
    }

    /// Heap memory held by this connection alone, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let compressor = self.compressor.as_ref();
        compressor.map_or(0, |compressor| compressor.heap_bytes())
    }

    fn take_compressor(&mut self, workspace: &mut DeflateWorkspace) -> Box<Compressor> {
        let own = self.compressor.take();
        own.unwrap_or_else(|| workspace.take_compressor(self.window_bits, self.mem_level))
    }

    fn give_compressor(&mut self, compressor: Box<Compressor>, workspace: &mut DeflateWorkspace) {
        match self.takeover {
            true => self.compressor = Some(compressor),
            false => workspace.give_compressor(compressor),
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater")
            .field("window_bits", &self.window_bits)
            .field("takeover", &self.takeover)
            .field("heap_bytes", &self.heap_bytes())
            .finish_non_exhaustive()
    }
}
