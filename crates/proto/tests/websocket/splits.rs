//! Any split of the bytes gives the same events.

use std::sync::Arc;

use tidegate_proto::websocket::{
    Budget, DecodeContext, Decoder, FragmentedMessages, FrameHead, Opcode, Role,
};

use crate::support::{CountedBudget, Event, Numbers, Outcome, decode};

/// A stream of frames as random as the numbers, mostly well-formed, with the key of each at random.
fn stream(numbers: &mut Numbers, role: Role) -> Vec<u8> {
    let mut out = Vec::new();
    let mut in_message = false;
    for _ in 0..1 + numbers.below(12) {
        let length = match numbers.below(8) {
            0 => 0,
            1 => 125 + numbers.below(3),
            2 => 65_534 + numbers.below(4),
            3 => numbers.below(2000),
            _ => numbers.below(40),
        };
        let fin = numbers.below(2) == 0;
        let (opcode, fin, length) = match numbers.below(8) {
            0 => (Opcode::Ping, true, length.min(125)),
            1 => (Opcode::Pong, true, length.min(125)),
            2 if numbers.below(8) == 0 => (Opcode::Close, true, length.min(125)),
            _ if in_message != (numbers.below(50) == 0) => (Opcode::Continuation, fin, length),
            3 => (Opcode::Binary, fin, length),
            _ => (Opcode::Text, fin, length),
        };
        if !opcode.is_control() {
            in_message = !fin;
        }
        let payload = payload(numbers, opcode, length);
        let key = std::array::from_fn(|_| numbers.below(256) as u8);
        let head = FrameHead {
            fin,
            mask: (role == Role::Server).then_some(key),
            ..FrameHead::new(opcode)
        };
        head.encode_frame(&mut out, &payload);
    }
    if numbers.below(4) == 0 {
        let index = numbers.below(out.len());
        out[index] ^= 1 << numbers.below(8);
    }
    out
}

fn payload(numbers: &mut Numbers, opcode: Opcode, length: usize) -> Vec<u8> {
    if opcode == Opcode::Close {
        let mut payload = (1000 + numbers.below(20) as u16).to_be_bytes().to_vec();
        payload.resize(length.max(2), b'r');
        return payload;
    }
    if numbers.below(2) == 0 {
        return vec![b'a'; length];
    }
    let text = "κόσμε €\u{10FFFF} ".repeat(length / 10 + 1);
    // Half of the time cut within a character, which may go on in the next frame, or not.
    text.as_bytes()[..length.min(text.len())].to_vec()
}

/// Pieces of random length: the bytes of heads alone as often as whole frames.
fn split<'a>(numbers: &mut Numbers, bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let longest = [3, 20, 300, 70_000][numbers.below(4)];
        let (piece, after) = rest.split_at(numbers.below(longest).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn decode_new(role: Role, pieces: &[&[u8]], context: &DecodeContext<'_>) -> Outcome {
    let budget = CountedBudget::new(usize::MAX);
    let shared: Arc<dyn Budget> = Arc::clone(&budget) as _;
    let mut context = DecodeContext {
        budget: Some(&shared),
        max_message_size: context.max_message_size,
        validate_utf8: context.validate_utf8,
        fragments: context.fragments,
        deflate: None,
    };
    let mut decoder = Decoder::new(role);
    let outcome = decode(&mut decoder, pieces.iter().copied(), &mut context);
    if decoder.is_idle() {
        assert_eq!(budget.taken(), 0);
    }
    drop(decoder);
    assert_eq!(budget.taken(), 0);
    outcome
}

#[test]
fn any_split_gives_the_same_events() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let (mut violations, mut events) = (0, 0);
    for round in 0..300 {
        let role = if round % 3 == 0 {
            Role::Client
        } else {
            Role::Server
        };
        let bytes = stream(&mut numbers, role);
        let context = DecodeContext {
            max_message_size: [0, 60_000, 64 << 20][numbers.below(3)],
            validate_utf8: numbers.below(4) != 0,
            fragments: [
                FragmentedMessages::Whole,
                FragmentedMessages::Fragments,
                FragmentedMessages::Both,
            ][numbers.below(3)],
            ..DecodeContext::default()
        };
        let whole = decode_new(role, &[&bytes], &context);
        violations += usize::from(whole.1.is_some());
        events += whole.0.len();
        for _ in 0..4 {
            let pieces = split(&mut numbers, &bytes);
            assert_same(&decode_new(role, &pieces, &context), &whole, round);
        }
        if bytes.len() < 5000 {
            let pieces: Vec<_> = bytes.chunks(1).collect();
            assert_same(&decode_new(role, &pieces, &context), &whole, round);
        }
    }
    assert!(violations > 30 && events > 600, "{violations} {events}");
}

/// The same violation, and the same events but for a fragment that a violation within it keeps back.
#[track_caller]
fn assert_same(split: &Outcome, whole: &Outcome, round: usize) {
    assert_eq!(split.1, whole.1, "round {round}");
    assert!(
        split.0 == whole.0,
        "round {round}: {:?} {:?}",
        kinds(split),
        kinds(whole)
    );
}

fn kinds(outcome: &Outcome) -> Vec<String> {
    let short = |event: &Event| format!("{event:?}").chars().take(30).collect();
    outcome.0.iter().map(short).collect()
}

#[test]
fn what_is_encoded_is_decoded() {
    for role in [Role::Server, Role::Client] {
        for length in (0..300).chain([65_535, 65_536, 100_000]) {
            let payload: Vec<u8> = (0..length).map(|index| (index % 95 + 32) as u8).collect();
            for opcode in [Opcode::Text, Opcode::Binary] {
                let mut bytes = Vec::new();
                let head = FrameHead {
                    mask: (role == Role::Server).then_some([length as u8, 2, 3, 4]),
                    ..FrameHead::new(opcode)
                };
                head.encode_frame(&mut bytes, &payload);
                let expected = match opcode {
                    Opcode::Text => Event::Text(String::from_utf8(payload.clone()).unwrap()),
                    _ => Event::Binary(payload.clone()),
                };
                let context = DecodeContext::default();
                let expected = (vec![expected], None);
                assert!(
                    decode_new(role, &[&bytes], &context) == expected,
                    "{length}"
                );
                for at in 0..bytes.len().min(20) {
                    let (first, second) = bytes.split_at(at);
                    assert!(decode_new(role, &[first, second], &context) == expected);
                }
            }
        }
    }
}
