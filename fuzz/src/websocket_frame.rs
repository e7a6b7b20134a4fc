//! Frames, any bytes in any split, on both sides: no panic, the same events, the same violation, all
//! memory given back; and what was received, sent again, is received as the same.
//!
//! The first two bytes of the input say how to decode and how to split the rest.
#![no_main]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;
use tidegate_proto::websocket::{
    Budget, CloseFrame, DecodeContext, Decoder, DeflateAgreement, DeflateSettings,
    DeflateWorkspace, FragmentedMessages, FrameHead, Opcode, Received, Role, Violation,
};

fuzz_target!(|input: &[u8]| {
    let Some((&[how, split], bytes)) = input.split_first_chunk() else {
        return;
    };
    let settings = Settings::of(how);
    let whole = decode([bytes], &settings, usize::MAX);
    let size = 1 + usize::from(split);
    for outcome in [
        decode(bytes.chunks(1), &settings, usize::MAX),
        decode(bytes.chunks(size), &settings, usize::MAX),
    ] {
        assert_eq!(outcome.0, whole.0);
        check_same_violation(outcome.1, whole.1, &settings);
    }
    decode(bytes.chunks(size), &settings, 64 * size);
    check_sent_again(&whole.0, settings.role);
});

struct Settings {
    role: Role,
    deflate: bool,
    validate_utf8: bool,
    fragments: FragmentedMessages,
    max_message_size: u64,
}

impl Settings {
    fn of(how: u8) -> Self {
        Self {
            role: match how & 1 {
                0 => Role::Server,
                _ => Role::Client,
            },
            deflate: how & 2 != 0,
            validate_utf8: how & 4 == 0,
            fragments: match how >> 3 & 3 {
                0 => FragmentedMessages::Fragments,
                1 => FragmentedMessages::Both,
                _ => FragmentedMessages::Whole,
            },
            max_message_size: match how >> 5 & 3 {
                0 => 100,
                1 => 0,
                // Bombs are not this target's matter.
                _ => 1 << 20,
            },
        }
    }

    fn decoder(&self) -> Decoder {
        if !self.deflate {
            return Decoder::new(self.role);
        }
        let agreement = DeflateAgreement {
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
        };
        let settings = DeflateSettings::default();
        let (inflater, _) = match self.role {
            Role::Server => agreement.server(&settings),
            Role::Client => agreement.client(&settings),
        };
        Decoder::with_inflater(self.role, inflater)
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Event {
    Text(String),
    Binary(Vec<u8>),
    Fragment(Opcode, Vec<u8>, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    settings: &Settings,
    budget: usize,
) -> (Vec<Event>, Option<Violation>) {
    let left = Arc::new(Left(AtomicUsize::new(budget)));
    let shared: Arc<dyn Budget> = Arc::clone(&left) as _;
    let mut workspace = DeflateWorkspace::new();
    let mut context = DecodeContext {
        max_message_size: settings.max_message_size,
        validate_utf8: settings.validate_utf8,
        fragments: settings.fragments,
        budget: Some(&shared),
        deflate: Some(&mut workspace),
    };
    let mut decoder = settings.decoder();
    let (mut events, mut violation) = (Vec::new(), None);
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            match decoder.next(&mut rest, &mut context) {
                Ok(Some(received)) => {
                    assert!(violation.is_none(), "something after a violation");
                    assert!(!matches!(events.last(), Some(Event::Close(..))));
                    events.push(event(received));
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(violation.replace(error).is_none(), "two violations");
                    assert!((1000..5000).contains(&error.close_code()));
                }
            }
        }
        assert!(rest.is_empty());
    }
    drop(decoder);
    assert_eq!(left.0.load(Ordering::Relaxed), budget);
    (events, violation)
}

/// What is left of a budget.
struct Left(AtomicUsize);

impl Budget for Left {
    fn take(&self, bytes: usize) -> bool {
        let left = self.0.load(Ordering::Relaxed).checked_sub(bytes);
        left.is_some_and(|left| {
            self.0.store(left, Ordering::Relaxed);
            true
        })
    }

    fn give(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn event(received: Received<'_>) -> Event {
    match received {
        Received::Text(text) => Event::Text(text.to_owned()),
        Received::Binary(bytes) => Event::Binary(bytes.to_vec()),
        Received::Fragment {
            opcode,
            payload,
            fin,
        } => Event::Fragment(opcode, payload.to_vec(), fin),
        Received::Ping(payload) => Event::Ping(payload.to_vec()),
        Received::Pong(payload) => Event::Pong(payload.to_vec()),
        Received::Close(close) => Event::Close(close.code, close.reason.to_owned()),
    }
}

/// Where several things are wrong with a compressed message, the split says which is seen first.
fn check_same_violation(split: Option<Violation>, whole: Option<Violation>, settings: &Settings) {
    let of_content = |violation| {
        matches!(
            violation,
            Some(Violation::TextNotUtf8 | Violation::Deflate | Violation::MessageTooLarge)
        )
    };
    if !(settings.deflate && of_content(split) && of_content(whole)) {
        assert_eq!(split, whole);
    }
}

fn check_sent_again(events: &[Event], role: Role) {
    let mut bytes = Vec::new();
    let mask = (role == Role::Server).then_some([7, 0, 0xFF, 0x55]);
    for event in events {
        let mut send = |opcode, payload: &[u8], fin| {
            let head = FrameHead {
                fin,
                mask,
                ..FrameHead::new(opcode)
            };
            head.encode_frame(&mut bytes, payload);
        };
        match event {
            Event::Text(text) => send(Opcode::Text, text.as_bytes(), true),
            Event::Binary(payload) => send(Opcode::Binary, payload, true),
            // Alone they are no messages.
            Event::Fragment(..) => return,
            Event::Ping(payload) => send(Opcode::Ping, payload, true),
            Event::Pong(payload) => send(Opcode::Pong, payload, true),
            Event::Close(code, reason) => {
                let close = CloseFrame {
                    code: *code,
                    reason,
                };
                close.encode(&mut bytes, mask);
            }
        }
    }
    let settings = Settings {
        role,
        deflate: false,
        validate_utf8: true,
        fragments: FragmentedMessages::Whole,
        max_message_size: 0,
    };
    let (again, violation) = decode([&bytes[..]], &settings, usize::MAX);
    assert_eq!((&again[..], violation), (events, None));
}
