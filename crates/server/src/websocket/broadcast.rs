//! One message for many connections: framed once, compressed at most once for each window.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tidegate_proto::websocket::{
    DeflateSettings, DeflateWorkspace, Deflated, Deflater, FrameHead, Opcode,
};

use super::message::{Message, MessageKind};
use super::registry::Guid;

/// What goes to every connection it is for.
pub(super) struct Broadcast {
    pub(super) content: Content,
    /// Coalescing key.
    pub(super) key: Option<Arc<str>>,
    /// Only for who speaks this sub-protocol.
    protocol: Option<Arc<str>>,
    /// Not for these, in order.
    exclude: Box<[u64]>,
    /// Longest frame; 0: any.
    fragment_bytes: usize,
    /// The message as one or more frames, uncompressed.
    frames: Bytes,
    /// The same compressed, by window bits; `None` where compressing does not pay.
    compressed: [OnceLock<Option<Bytes>>; WINDOWS],
}

/// What a broadcast says.
pub(super) enum Content {
    Message(MessageKind, Bytes),
    Ping,
    /// The connections are to be closed with this code and reason.
    Close(u16, Arc<str>),
}

/// RFC 7692 §7.1.2: windows have 8 to 15 bits.
const LEAST_WINDOW_BITS: u8 = 8;
const WINDOWS: usize = 8;

impl Broadcast {
    pub(super) fn message(message: Message, protocol: Option<Arc<str>>, exclude: &[Guid]) -> Self {
        let mut frames = Vec::with_capacity(message.data.len() + 14);
        encode_message(
            &mut frames,
            message.kind,
            &message.data,
            message.fragment_bytes,
        );
        let mut exclude: Box<[u64]> = exclude.iter().filter_map(|guid| guid.id()).collect();
        exclude.sort_unstable();
        Self {
            key: message.key,
            protocol,
            exclude,
            fragment_bytes: message.fragment_bytes,
            frames: frames.into(),
            content: Content::Message(message.kind, message.data),
            compressed: Default::default(),
        }
    }

    pub(super) fn ping(payload: &[u8]) -> Self {
        let mut frame = Vec::with_capacity(payload.len() + 2);
        FrameHead::new(Opcode::Ping).encode_frame(&mut frame, payload);
        Self::control(Content::Ping, frame)
    }

    pub(super) fn close(code: u16, reason: Arc<str>) -> Self {
        Self::control(Content::Close(code, reason), Vec::new())
    }

    fn control(content: Content, frame: Vec<u8>) -> Self {
        Self {
            content,
            key: None,
            protocol: None,
            exclude: Box::default(),
            fragment_bytes: 0,
            frames: frame.into(),
            compressed: Default::default(),
        }
    }

    /// What its data is, if it is a message.
    pub(super) fn kind(&self) -> Option<MessageKind> {
        match self.content {
            Content::Message(kind, _) => Some(kind),
            Content::Ping | Content::Close(..) => None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether it is for this connection, as far as it says itself.
    pub(super) fn is_for(&self, id: u64, protocol: Option<&str>) -> bool {
        let speaks = self
            .protocol
            .as_deref()
            .is_none_or(|wanted| protocol == Some(wanted));
        speaks && !self.excludes(id)
    }

    #[inline]
    fn excludes(&self, id: u64) -> bool {
        match &*self.exclude {
            few @ ([] | [_] | [_, _]) => few.contains(&id),
            many => many.binary_search(&id).is_ok(),
        }
    }

    /// The frames, uncompressed.
    pub(super) fn frames(&self) -> &Bytes {
        &self.frames
    }

    /// The frames, compressed without reference to anything before it, for whoever inflates with at
    /// least this window. `None` where that does not make it shorter.
    pub(super) fn compressed(
        &self,
        window_bits: u8,
        settings: &DeflateSettings,
        workspace: &mut DeflateWorkspace,
    ) -> Option<&Bytes> {
        let Content::Message(kind, data) = &self.content else {
            return None;
        };
        let slot = self
            .compressed
            .get(usize::from(window_bits.checked_sub(LEAST_WINDOW_BITS)?))?;
        slot.get_or_init(|| {
            let mut payload = Vec::new();
            let mut deflater = Deflater::shared(window_bits, settings);
            match deflater.deflate(data, workspace, &mut payload) {
                Deflated::Uncompressed => None,
                Deflated::Compressed => {
                    let mut frames = Vec::with_capacity(payload.len() + 14);
                    encode_compressed(&mut frames, *kind, &payload, self.fragment_bytes);
                    Some(frames.into())
                }
            }
        })
        .as_ref()
    }
}

pub(super) fn opcode(kind: MessageKind) -> Opcode {
    match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    }
}

/// Appends a message in one frame, or in several of at most `fragment_bytes`.
pub(super) fn encode_message(
    out: &mut Vec<u8>,
    kind: MessageKind,
    data: &[u8],
    fragment_bytes: usize,
) {
    if fragment_bytes == 0 || data.len() <= fragment_bytes {
        return FrameHead::new(opcode(kind)).encode_frame(out, data);
    }
    let last = (data.len() - 1) / fragment_bytes;
    for (index, piece) in data.chunks(fragment_bytes).enumerate() {
        let mut head = FrameHead::new(match index {
            0 => opcode(kind),
            _ => Opcode::Continuation,
        });
        head.fin = index == last;
        head.encode_frame(out, piece);
    }
}

/// Appends a compressed message in one frame, or in several.
pub(super) fn encode_compressed(
    out: &mut Vec<u8>,
    kind: MessageKind,
    payload: &[u8],
    fragment_bytes: usize,
) {
    let fragment_bytes = match fragment_bytes {
        0 => payload.len().max(1),
        bytes => bytes,
    };
    let last = payload.len().saturating_sub(1) / fragment_bytes;
    for (index, piece) in payload.chunks(fragment_bytes).enumerate() {
        let mut head = FrameHead::new(match index {
            0 => opcode(kind),
            _ => Opcode::Continuation,
        });
        head.rsv1 = index == 0;
        head.fin = index == last;
        head.encode_frame(out, piece);
    }
}
