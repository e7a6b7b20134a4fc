//! Compresses the messages of one connection, or one message for many.
//!
//! Source: RFC 7692 §7.2.1 and §7.2.3.

use super::bit_writer::BitWriter;
use super::block_writer::{SHORT_BYTES, write_block, write_flush, write_short_block};
use super::matcher::Matcher;
use super::settings::DeflateSettings;
use super::workspace::DeflateWorkspace;

/// The compressor of one side of a connection.
///
/// With context takeover it holds, from its first message on, up to one and a half windows of what
/// was sent, and the search table of [`mem_level`](DeflateSettings::mem_level); without, nothing.
///
/// A compressor may forget what was sent at any time, without the peer knowing: what comes later just
/// does not refer to it. Three uses:
///
/// - [`forget`](Self::forget) before the first message after one that was not compressed here.
/// - [`release`](Self::release) gives the memory of an idle connection back.
/// - [`shared`](Self::shared) compresses one message for many connections.
#[derive(Debug)]
pub struct Deflater {
    window_bits: u8,
    mem_level: u8,
    takeover: bool,
    message_bytes_min: usize,
    /// With takeover, what was sent before; without, what was sent of a message in pieces.
    matcher: Option<Matcher>,
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
            window_bits,
            mem_level: settings.mem_level,
            takeover,
            message_bytes_min: settings.message_bytes_min,
            matcher: None,
        }
    }

    /// A compressor for messages that go to many connections: each forgets what was before it.
    ///
    /// A payload of it may go to any connection whose server (or client, whichever this is) may use a
    /// window as large as [`window_bits`](Self::window_bits). Then call [`forget`](Self::forget) on
    /// that connection's own compressor: the payload has gone into the peer's window, which is no
    /// longer what our compressor takes it for.
    pub fn shared(window_bits: u8, settings: &DeflateSettings) -> Self {
        Self::new(window_bits.clamp(8, 15), false, settings)
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
        let mut matcher = self.take_matcher(workspace);
        compress(&mut matcher, message, workspace, out);
        // With context takeover it is sent so however long it is: later messages then refer to it.
        let is_shorter = out.len() - start < message.len();
        let deflated = match self.takeover || is_shorter {
            true => Deflated::Compressed,
            false => {
                out.truncate(start);
                Deflated::Uncompressed
            }
        };
        self.give_matcher(matcher, workspace);
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
        let mut matcher = self.take_matcher(workspace);
        compress(&mut matcher, part, workspace, out);
        out.extend_from_slice(&TAIL);
        self.matcher = Some(matcher);
    }

    /// Compresses the last piece of a message, which may be empty.
    pub fn deflate_last(
        &mut self,
        part: &[u8],
        workspace: &mut DeflateWorkspace,
        out: &mut Vec<u8>,
    ) {
        let mut matcher = self.take_matcher(workspace);
        compress(&mut matcher, part, workspace, out);
        self.give_matcher(matcher, workspace);
    }

    /// Forgets all that was sent: nothing that comes refers to it.
    ///
    /// Also right in the middle of a message.
    pub fn forget(&mut self) {
        if let Some(matcher) = &mut self.matcher {
            matcher.forget();
        }
    }

    /// Forgets all that was sent, and gives its memory back. It is taken again with the next message.
    pub fn release(&mut self, workspace: &mut DeflateWorkspace) {
        if let Some(matcher) = self.matcher.take() {
            workspace.give_matcher(matcher);
        }
    }

    /// Heap memory held by this connection alone, in bytes.
    pub fn heap_bytes(&self) -> usize {
        let matcher = self.matcher.as_ref();
        matcher.map_or(0, Matcher::heap_bytes)
    }

    fn take_matcher(&mut self, workspace: &mut DeflateWorkspace) -> Matcher {
        let own = self.matcher.take();
        own.unwrap_or_else(|| workspace.take_matcher(self.window_bits, self.mem_level))
    }

    fn give_matcher(&mut self, matcher: Matcher, workspace: &mut DeflateWorkspace) {
        match self.takeover {
            true => self.matcher = Some(matcher),
            false => workspace.give_matcher(matcher),
        }
    }
}

/// Appends the blocks of these bytes and the flush, without the tail.
fn compress(
    matcher: &mut Matcher,
    bytes: &[u8],
    workspace: &mut DeflateWorkspace,
    out: &mut Vec<u8>,
) {
    let mut bits = BitWriter::new(out);
    match bytes.len() {
        0 => {}
        1..=SHORT_BYTES => write_short_block(&mut bits, bytes, matcher),
        _ => {
            for block in bytes.chunks(BLOCK_BYTES) {
                write_block(&mut bits, block, matcher, &mut workspace.tokens);
            }
        }
    }
    write_flush(&mut bits);
}

/// What a message's payload is sent without. RFC 7692 §7.2.1.
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Most bytes in a block: codes fit a text better when it is not too long, and the tokens of a block
/// are in memory at once.
const BLOCK_BYTES: usize = 64 * 1024 - 1;
