//! Compressed messages among others: in place, cut, fragmented, limited, and charged to the budget.

use std::sync::Arc;

use tidegate_proto::websocket::{
    Budget, DecodeContext, Decoder, DeflateAgreement, DeflateSettings, DeflateWorkspace, Deflated,
    Deflater, FragmentedMessages, FrameHead, Inflater, Opcode, Role, Violation,
};

use crate::support::{CountedBudget, Event, Numbers, Outcome, decode, frame};

/// The client's compressor and the server's decompressor.
fn ends(takeover: bool) -> (Deflater, Inflater) {
    let settings = DeflateSettings {
        enabled: true,
        message_bytes_min: 0,
        ..DeflateSettings::default()
    };
    let agreement = DeflateAgreement {
        server_max_window_bits: 15,
        client_max_window_bits: 15,
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
    };
    (agreement.client(&settings).1, agreement.server(&settings).0)
}

/// A client that compresses.
struct Client {
    deflater: Deflater,
    workspace: DeflateWorkspace,
}

impl Client {
    /// A message in so many frames.
    fn message(&mut self, opcode: Opcode, payload: &[u8], frames: usize) -> Vec<u8> {
        let mut compressed = Vec::new();
        let deflated = self
            .deflater
            .deflate(payload, &mut self.workspace, &mut compressed);
        if deflated == Deflated::Uncompressed {
            return frame(opcode, true, payload);
        }
        compressed_message(opcode, &compressed, frames)
    }
}

/// A compressed message in so many frames.
fn compressed_message(opcode: Opcode, compressed: &[u8], frames: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let size = compressed.len().div_ceil(frames);
    for index in 0..frames {
        let start = (index * size).min(compressed.len());
        let end = (start + size).min(compressed.len());
        let head = FrameHead {
            fin: index + 1 == frames,
            rsv1: index == 0,
            mask: Some([index as u8, 3, 2, 1]),
            ..FrameHead::new(if index == 0 {
                opcode
            } else {
                Opcode::Continuation
            })
        };
        head.encode_frame(&mut out, &compressed[start..end]);
    }
    out
}

fn client(deflater: Deflater) -> Client {
    Client {
        deflater,
        workspace: DeflateWorkspace::new(),
    }
}

/// Decodes with permessage-deflate, and a budget that must be whole again in the end.
fn decode_with<'a>(
    inflater: Inflater,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    context: DecodeContext<'_>,
) -> Outcome {
    let budget = CountedBudget::new(usize::MAX);
    let shared: Arc<dyn Budget> = Arc::clone(&budget) as _;
    let mut workspace = DeflateWorkspace::new();
    let mut context = DecodeContext {
        budget: context.budget.or(Some(&shared)),
        deflate: Some(&mut workspace),
        ..context
    };
    let mut decoder = Decoder::with_inflater(Role::Server, inflater);
    let outcome = decode(&mut decoder, pieces, &mut context);
    if decoder.is_idle() {
        assert_eq!(budget.taken(), 0);
    }
    drop(decoder);
    assert_eq!(budget.taken(), 0);
    outcome
}

// RFC 7692 §7.2.3.1 and §7.2.3.2.
#[test]
fn the_standard_s_examples_are_read() {
    let hello = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00];
    let again = [0xF2, 0x00, 0x11, 0x00, 0x00];
    let mut bytes = compressed_message(Opcode::Text, &hello, 1);
    bytes.extend(compressed_message(Opcode::Text, &hello, 2));
    bytes.extend(compressed_message(Opcode::Text, &again, 1));
    let (_, inflater) = ends(true);
    let outcome = decode_with(inflater, [&bytes[..]], DecodeContext::default());
    assert_eq!(outcome, (vec![Event::Text("Hello".into()); 3], None));
}

#[test]
fn any_split_gives_the_same_messages() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for takeover in [true, false] {
        for fragments in [
            FragmentedMessages::Whole,
            FragmentedMessages::Fragments,
            FragmentedMessages::Both,
        ] {
            let (deflater, _) = ends(takeover);
            let mut client = client(deflater);
            let (mut bytes, mut sent) = (Vec::new(), Vec::new());
            for _ in 0..12 {
                let length = [numbers.below(20), numbers.below(9000), 30_000][numbers.below(3)];
                let text: String = (0..length)
                    .map(|_| ['a', 'b', 'é', '€'][numbers.below(4)])
                    .collect();
                let opcode = [Opcode::Text, Opcode::Binary][numbers.below(2)];
                bytes.extend(client.message(opcode, text.as_bytes(), 1 + numbers.below(4)));
                bytes.extend(frame(Opcode::Ping, true, b"between"));
                sent.push((opcode, text));
            }
            let mut whole = None;
            for size in [bytes.len(), 5000, 100] {
                let (_, inflater) = ends(takeover);
                let context = DecodeContext {
                    fragments,
                    ..DecodeContext::default()
                };
                let outcome = decode_with(inflater, bytes.chunks(size), context);
                assert_eq!(outcome.1, None);
                check_messages(&outcome.0, &sent, fragments);
                // Where a fragment's inflated bytes end depends on the compressor alone.
                assert!(
                    *whole.get_or_insert(outcome.clone()) == outcome,
                    "by {size}"
                );
            }
        }
    }
}

#[track_caller]
fn check_messages(events: &[Event], sent: &[(Opcode, String)], mode: FragmentedMessages) {
    let mut joined: Vec<(Opcode, Vec<u8>)> = Vec::new();
    let mut whole: Vec<(Opcode, Vec<u8>)> = Vec::new();
    let mut in_fragments = false;
    for event in events {
        match event {
            Event::Fragment(opcode, payload, fin) => {
                if !in_fragments {
                    joined.push((*opcode, Vec::new()));
                }
                in_fragments = !fin;
                joined.last_mut().expect("begun").1.extend(payload);
            }
            Event::Text(text) => whole.push((Opcode::Text, text.clone().into_bytes())),
            Event::Binary(bytes) => whole.push((Opcode::Binary, bytes.clone())),
            _ => {}
        }
    }
    let sent = sent
        .iter()
        .map(|(opcode, text)| (*opcode, text.clone().into_bytes()));
    match mode {
        FragmentedMessages::Fragments => {
            assert_eq!(joined.len() + whole.len(), sent.len());
        }
        _ => assert!(whole.into_iter().eq(sent)),
    }
}

#[test]
fn rsv1_is_for_the_first_frame_of_a_message() {
    let compressed = |opcode, fin| {
        let mut out = Vec::new();
        let head = FrameHead {
            fin,
            rsv1: true,
            mask: Some([0; 4]),
            ..FrameHead::new(opcode)
        };
        head.encode_frame(&mut out, &[0]);
        out
    };
    let plain = frame(Opcode::Text, false, b"a");
    for bytes in [
        compressed(Opcode::Ping, true),
        compressed(Opcode::Close, true),
        [plain, compressed(Opcode::Continuation, true)].concat(),
        [
            compressed(Opcode::Text, false),
            compressed(Opcode::Continuation, true),
        ]
        .concat(),
    ] {
        let (_, inflater) = ends(true);
        let outcome = decode_with(inflater, [&bytes[..]], DecodeContext::default());
        assert_eq!(outcome.1, Some(Violation::ReservedBits), "{bytes:X?}");
    }
    // Not agreed on.
    let mut decoder = Decoder::new(Role::Server);
    let bytes = compressed(Opcode::Text, true);
    let outcome = decode(&mut decoder, [&bytes[..]], &mut DecodeContext::default());
    assert_eq!(outcome.1, Some(Violation::ReservedBits));
}

#[test]
fn what_cannot_be_inflated_is_refused_with_1007() {
    for (compressed, violation) in [
        (&[0xFF, 0xFF, 0xFF, 0xFF][..], Violation::Deflate),
        (&[0x03, 0x02, 0x00], Violation::Deflate),
        // The beginning of "Hello".
        (&[0xF2, 0x48, 0xCD], Violation::Deflate),
    ] {
        for frames in [1, 2] {
            let bytes = compressed_message(Opcode::Binary, compressed, frames);
            for size in [1, 100] {
                let (_, inflater) = ends(true);
                let outcome = decode_with(inflater, bytes.chunks(size), DecodeContext::default());
                assert_eq!(outcome, (vec![], Some(violation)));
            }
        }
    }
    assert_eq!(Violation::Deflate.close_code(), 1007);
}

#[test]
fn inflated_text_is_checked() {
    for fragments in [
        FragmentedMessages::Whole,
        FragmentedMessages::Fragments,
        FragmentedMessages::Both,
    ] {
        for (validate_utf8, frames, size) in [
            (true, 1, 1000),
            (true, 1, 1),
            (true, 3, 1000),
            (false, 1, 1000),
            (false, 1, 1),
            (false, 3, 1000),
        ] {
            let (deflater, inflater) = ends(true);
            let bytes = client(deflater).message(Opcode::Text, b"aaaaaaaaaaaaaaaa\xFF", frames);
            let context = DecodeContext {
                validate_utf8,
                fragments,
                ..DecodeContext::default()
            };
            let (events, violation) = decode_with(inflater, bytes.chunks(size), context);
            assert_eq!(violation, validate_utf8.then_some(Violation::TextNotUtf8));
            if !validate_utf8 && (frames == 1 || fragments != FragmentedMessages::Fragments) {
                let expected = Event::Text("aaaaaaaaaaaaaaaa\u{FFFD}".into());
                assert_eq!(events.last(), Some(&expected));
            }
        }
    }
}

#[test]
fn the_limit_is_for_what_is_inflated() {
    for (length, frames) in [(1000, 1), (1000, 3), (200_000, 1), (200_000, 2)] {
        for (max_message_size, violation) in [
            (length, None),
            (length - 1, Some(Violation::MessageTooLarge)),
            (0, None),
        ] {
            for size in [3, 100_000] {
                let (deflater, inflater) = ends(true);
                let zeroes = vec![0; length as usize];
                let bytes = client(deflater).message(Opcode::Binary, &zeroes, frames);
                let context = DecodeContext {
                    max_message_size,
                    ..DecodeContext::default()
                };
                let outcome = decode_with(inflater, bytes.chunks(size), context);
                assert_eq!(outcome.1, violation, "{length} in {frames} by {size}");
                assert_eq!(outcome.0.len(), usize::from(violation.is_none()));
            }
        }
    }
}

#[test]
fn a_bomb_is_stopped_by_the_budget() {
    let bytes = {
        let (deflater, _) = ends(true);
        client(deflater).message(Opcode::Binary, &vec![0; 20 << 20], 1)
    };
    for size in [1000, bytes.len()] {
        let budget = CountedBudget::new(8 << 20);
        let shared: Arc<dyn Budget> = Arc::clone(&budget) as _;
        let (_, inflater) = ends(true);
        let context = DecodeContext {
            budget: Some(&shared),
            ..DecodeContext::default()
        };
        let outcome = decode_with(inflater, bytes.chunks(size), context);
        assert_eq!(outcome, (vec![], Some(Violation::BudgetSpent)));
        assert_eq!(budget.taken(), 0);
    }
}

#[test]
fn a_long_message_from_a_short_frame_is_charged() {
    let budget = CountedBudget::new(300_000);
    let shared: Arc<dyn Budget> = Arc::clone(&budget) as _;
    for (length, fits) in [(150_000, true), (400_000, false)] {
        let (deflater, inflater) = ends(false);
        let bytes = client(deflater).message(Opcode::Binary, &vec![0; length], 1);
        assert!(bytes.len() < 4096);
        let context = DecodeContext {
            budget: Some(&shared),
            ..DecodeContext::default()
        };
        let outcome = decode_with(inflater, [&bytes[..]], context);
        assert_eq!(outcome.1.is_none(), fits);
        assert!(budget.most() >= 150_000);
        assert_eq!(budget.taken(), 0);
    }
}
