//! What the tests of frames share: one place that touches the decoder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_proto::websocket::{
    Budget, CloseFrame, DecodeContext, Decoder, FrameHead, Opcode, Received, Role, Violation,
};

/// What was received, kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    Text(String),
    Binary(Vec<u8>),
    Fragment(Opcode, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Received<'_>> for Event {
    fn from(received: Received<'_>) -> Self {
        match received {
            Received::Text(text) => Self::Text(text.to_owned()),
            Received::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Received::Fragment {
                opcode,
                payload,
                fin,
            } => Self::Fragment(opcode, payload.to_vec(), fin),
            Received::Ping(payload) => Self::Ping(payload.to_vec()),
            Received::Pong(payload) => Self::Pong(payload.to_vec()),
            Received::Close(CloseFrame { code, reason }) => Self::Close(code, reason.to_owned()),
        }
    }
}

/// All that was received, and the violation that ended it.
pub(crate) type Outcome = (Vec<Event>, Option<Violation>);

/// Decodes these pieces, one after the other.
pub(crate) fn decode<'a>(
    decoder: &mut Decoder,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    context: &mut DecodeContext<'_>,
) -> Outcome {
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            match decoder.next(&mut rest, context) {
                Ok(Some(received)) => events.push(received.into()),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
        assert!(rest.is_empty(), "all bytes are taken");
    }
    (events, None)
}

/// Decodes as a server does, whole.
pub(crate) fn decode_whole(bytes: &[u8]) -> Outcome {
    let mut decoder = Decoder::new(Role::Server);
    decode(&mut decoder, [bytes], &mut DecodeContext::default())
}

/// A client's frame.
pub(crate) fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let head = FrameHead {
        fin,
        mask: Some([0x37, 0xFA, 0x21, 0x3D]),
        ..FrameHead::new(opcode)
    };
    head.encode_frame(&mut out, payload);
    out
}

/// A client's head, with a payload that is said to have this length.
pub(crate) fn head_of(opcode: Opcode, fin: bool, payload_len: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let head = FrameHead {
        fin,
        mask: Some([0; 4]),
        payload_len,
        ..FrameHead::new(opcode)
    };
    head.encode(&mut out);
    out
}

/// A budget that counts.
pub(crate) struct CountedBudget {
    pub(crate) taken: AtomicUsize,
    pub(crate) most: AtomicUsize,
    max: usize,
}

impl CountedBudget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            max,
        })
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Budget for CountedBudget {
    fn take(&self, bytes: usize) -> bool {
        let taken = self.taken.load(Ordering::Relaxed) + bytes;
        if taken > self.max {
            return false;
        }
        self.taken.store(taken, Ordering::Relaxed);
        self.most.fetch_max(taken, Ordering::Relaxed);
        true
    }

    fn give(&self, bytes: usize) {
        let before = self.taken.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "more is given back than was taken");
    }
}

/// Numbers that look random and are the same in each run (xorshift64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}
