//! The usual frame, found in few instructions: all of a message, and whole in the piece.
//!
//! What these decline is looked at again, rule by rule, by the others.

use super::split_front;
use crate::websocket::frame::{FIN, MASKED, Opcode, Role};
use crate::websocket::mask::apply_mask;

/// Takes a client's frame that is all of a text or binary message, has the shortest length, and is
/// whole. Gives its payload, unmasked, and whether it is text.
#[inline(always)]
pub(super) fn take_short<'i>(piece: &mut &'i mut [u8]) -> Option<(bool, &'i [u8])> {
    let (&[first, second], rest) = piece.split_first_chunk()?;
    let (&key, rest) = rest.split_first_chunk()?;
    let is_text = first == FIN | Opcode::Text as u8;
    // Large, if the mask is missing.
    let len = usize::from(second ^ MASKED);
    let is_short = len <= SHORT_MAX && len <= rest.len();
    if !is_short || (!is_text && first != FIN | Opcode::Binary as u8) {
        return None;
    }
    let (_, payload) = split_front(piece, SHORT_HEAD_BYTES + len).split_at_mut(SHORT_HEAD_BYTES);
    apply_mask(payload, key);
    Some((is_text, payload))
}

/// The lengths of head and payload of a frame that is all of a text or binary message, has one of the
/// two shorter lengths, and is whole.
#[inline(always)]
pub(super) fn usual_frame(piece: &[u8], role: Role) -> Option<(usize, usize)> {
    let (&[first, second], rest) = piece.split_first_chunk()?;
    if first != FIN | Opcode::Text as u8 && first != FIN | Opcode::Binary as u8 {
        return None;
    }
    // Large, if the mask is not as it must be.
    let (masked, key_len) = match role {
        Role::Server => (MASKED, 4),
        Role::Client => (0, 0),
    };
    let (len, at) = match second ^ masked {
        short @ 0..126 => (usize::from(short), 2),
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        _ => return None,
    };
    let is_minimal = at == 2 || len > SHORT_MAX;
    (is_minimal && piece.len() >= at + key_len + len).then_some((at + key_len, len))
}

/// The longest payload whose length stands in the second byte.
pub(super) const SHORT_MAX: usize = 125;

/// Two bytes and a key.
const SHORT_HEAD_BYTES: usize = 6;
