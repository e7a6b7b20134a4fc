//! permessage-deflate: any payload in any split gives the same, within the limit, and what another
//! decompressor makes of it; any message comes back as it was, and the other reads it the same.
//!
//! The first byte of the input says what the rest is, and how it is split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use tidegate_proto::websocket::{
    DeflateAgreement, DeflateSettings, DeflateWorkspace, Deflated, Deflater, InflateError, Inflater,
};

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_first() else {
        return;
    };
    match how & 1 {
        0 => check_payload(bytes, usize::from(how >> 1)),
        _ => check_messages(bytes, how),
    }
});

/// A payload of which nothing is known.
fn check_payload(bytes: &[u8], split: usize) {
    let whole = inflate([bytes], LIMIT);
    assert_eq!(inflate(bytes.chunks(1), LIMIT), whole);
    assert_eq!(inflate(bytes.chunks(1 + split), LIMIT), whole);
    if let Some(judged) = judge(bytes) {
        match (&whole, judged) {
            (Ok(message), Some(other)) => assert_eq!(*message, other),
            (Err(InflateError::TooLarge { .. }), _) => {}
            (Err(_), None) => {}
            (ours, other) => panic!("{ours:?}, but {other:?}"),
        }
    }
    let Ok(message) = whole else { return };
    assert!(inflate([bytes], message.len()).is_ok());
    if let Some(limit) = message.len().checked_sub(1) {
        let error = Err(InflateError::TooLarge { limit });
        assert_eq!(inflate(bytes.chunks(1 + split), limit), error);
    }
}

/// Messages of up to 255 bytes, whose lengths stand before them, and the rest as one.
fn check_messages(mut bytes: &[u8], how: u8) {
    let agreement = DeflateAgreement {
        server_max_window_bits: 8 + (how >> 1 & 7),
        client_max_window_bits: 15,
        server_no_context_takeover: how & 16 != 0,
        client_no_context_takeover: false,
    };
    let settings = DeflateSettings {
        mem_level: 1 + (how >> 5),
        message_bytes_min: 0,
        ..DeflateSettings::default()
    };
    let mut workspace = DeflateWorkspace::new();
    let (_, mut deflater) = agreement.server(&settings);
    let (mut inflater, _) = agreement.client(&settings);
    let mut other = Other::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let length = match length {
            // Forgetting takes no byte of the message.
            255 => {
                deflater.forget();
                rest.len()
            }
            length => usize::from(length).min(rest.len()),
        };
        let (message, rest) = rest.split_at(length);
        bytes = rest;
        let payload = deflate(&mut deflater, &mut workspace, message, length % 3);
        let mut found = Vec::new();
        inflater
            .inflate_last(&payload, message.len(), &mut workspace, &mut found)
            .expect("what ours has written");
        assert_eq!(found, message);
        if agreement.server_no_context_takeover {
            other = Other::new();
        }
        let start = other.end;
        let read = other.read(&[&payload, TAIL].concat(), message.len() + 1);
        assert_eq!(read, (TINFLStatus::NeedsMoreInput, true, message.len()));
        assert_eq!(other.made[start..other.end], *message);
    }
}

/// A message's payload, in one or in two pieces. What would be sent as it is also goes in pieces.
fn deflate(
    deflater: &mut Deflater,
    workspace: &mut DeflateWorkspace,
    message: &[u8],
    pieces: usize,
) -> Vec<u8> {
    let mut payload = Vec::new();
    if pieces > 0 && deflater.deflate(message, workspace, &mut payload) == Deflated::Compressed {
        return payload;
    }
    let (first, last) = message.split_at(message.len() / 2);
    deflater.deflate_part(first, workspace, &mut payload);
    deflater.deflate_last(last, workspace, &mut payload);
    payload
}

/// Takes the pieces as a message, and "Hello" after it, which must not refer to a failed one.
fn inflate<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> Result<Vec<u8>, InflateError> {
    let mut workspace = DeflateWorkspace::new();
    let agreement = DeflateAgreement {
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        server_no_context_takeover: false,
        client_no_context_takeover: false,
    };
    let mut inflater: Inflater = agreement.server(&DeflateSettings::default()).0;
    let mut message = Vec::new();
    for piece in pieces {
        inflater.inflate_part(piece, limit, &mut workspace, &mut message)?;
        assert!(message.len() <= limit);
    }
    inflater.inflate_last(&[], limit, &mut workspace, &mut message)?;
    assert!(message.len() <= limit && message.capacity() <= limit);
    let mut hello = Vec::new();
    let payload = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    inflater
        .inflate_last(&payload, 5, &mut workspace, &mut hello)
        .expect("a good message after a good one");
    assert_eq!(hello, b"Hello");
    Ok(message)
}

/// What the other makes of a message: `Some(None)` if it is refused, `None` if that cannot be said: a
/// block says that it is the last, after which the other reads nothing, or the message is too long.
fn judge(payload: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut other = Other::new();
    match other.read(payload, LIMIT + 1).0 {
        TINFLStatus::Done | TINFLStatus::HasMoreOutput => return None,
        TINFLStatus::NeedsMoreInput => {}
        _ => return Some(None),
    }
    // The tail makes nothing; and between blocks, only there, an empty last one can follow.
    match other.read(TAIL, 1) {
        (TINFLStatus::Done, ..) => return None,
        (TINFLStatus::NeedsMoreInput, true, 0) => {}
        _ => return Some(None),
    }
    let end = other.read(&[1, 0, 0, 0xff, 0xff], 1);
    other.made.truncate(other.end);
    let is_whole = end == (TINFLStatus::Done, true, 0);
    Some(is_whole.then_some(other.made))
}

/// The other decompressor, which has all that it made before at hand.
struct Other {
    state: DecompressorOxide,
    made: Vec<u8>,
    end: usize,
}

impl Other {
    fn new() -> Self {
        Self {
            state: DecompressorOxide::new(),
            made: Vec::new(),
            end: 0,
        }
    }

    /// Whether all was read, and how many bytes were made, at most `room`.
    fn read(&mut self, input: &[u8], room: usize) -> (TINFLStatus, bool, usize) {
        self.made.resize(self.end + room, 0);
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | inflate_flags::TINFL_FLAG_IGNORE_ADLER32
            | inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let (status, read, made) =
            decompress(&mut self.state, input, &mut self.made, self.end, flags);
        self.end += made;
        (status, read == input.len(), made)
    }
}

const LIMIT: usize = 20_000;

/// What messages are sent without.
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];
