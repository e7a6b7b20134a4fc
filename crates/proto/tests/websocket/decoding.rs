//! Messages, fragments and control frames: what is accepted, what is refused and with which code.

use std::sync::Arc;

use tidegate_proto::websocket::{
    Budget, DecodeContext, Decoder, FragmentedMessages, Opcode, Role, Violation,
};

use crate::support::{CountedBudget, Event, decode, decode_whole, frame, head_of};

/// Checks that these bytes are refused for this rule, at once and byte by byte, with this close code.
#[track_caller]
fn check_refused(bytes: &[u8], violation: Violation, close_code: u16) {
    assert_eq!(decode_whole(bytes).1, Some(violation), "{bytes:X?}");
    assert_eq!(violation.close_code(), close_code);
    let mut decoder = Decoder::new(Role::Server);
    let outcome = decode(&mut decoder, bytes.chunks(1), &mut DecodeContext::default());
    assert_eq!(outcome.1, Some(violation), "{bytes:X?} byte by byte");
}

fn text(text: &str) -> Event {
    Event::Text(text.to_owned())
}

// RFC 6455 §5.7.
#[test]
fn the_standard_s_examples_are_read() {
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(decode_whole(masked), (vec![text("Hello")], None));
    let mut client = Decoder::new(Role::Client);
    let mut context = DecodeContext::default();
    for (bytes, event) in [
        (&b"\x81\x05Hello"[..], text("Hello")),
        (b"\x01\x03Hel\x80\x02lo", text("Hello")),
        (b"\x89\x05Hello", Event::Ping(b"Hello".to_vec())),
    ] {
        let outcome = decode(&mut client, [bytes], &mut context);
        assert_eq!(outcome, (vec![event], None));
    }
    for (length, head) in [
        (256, &b"\x82\x7E\x01\0"[..]),
        (65536, b"\x82\x7F\0\0\0\0\0\x01\0\0"),
    ] {
        let mut bytes = head.to_vec();
        bytes.resize(head.len() + length, 7);
        let outcome = decode(&mut client, [&bytes[..]], &mut context);
        assert_eq!(outcome, (vec![Event::Binary(vec![7; length])], None));
    }
}

#[test]
fn every_rule_of_frames_is_enforced() {
    let rules: [(&[u8], Violation); 12] = [
        (b"\xC1\x80\0\0\0\0", Violation::ReservedBits),
        (b"\xA1\x80\0\0\0\0", Violation::ReservedBits),
        (b"\x91\x80\0\0\0\0", Violation::ReservedBits),
        (b"\xC9\x80\0\0\0\0", Violation::ReservedBits),
        (b"\x85\x80\0\0\0\0", Violation::UnknownOpcode(5)),
        (b"\x8D\x80\0\0\0\0", Violation::UnknownOpcode(13)),
        (b"\x81\x05Hello", Violation::NotMasked),
        (b"\x89\x00", Violation::NotMasked),
        (b"\x09\x80\0\0\0\0", Violation::FragmentedControl),
        (b"\x89\xFE\0\x7E\0\0\0\0", Violation::ControlTooLong),
        (b"\x82\xFE\0\x7D\0\0\0\0", Violation::LengthNotMinimal),
        (
            b"\x82\xFF\x80\0\0\0\0\0\0\0\0\0\0\0",
            Violation::LengthTopBit,
        ),
    ];
    for (bytes, violation) in rules {
        check_refused(bytes, violation, 1002);
    }
    let mut client = Decoder::new(Role::Client);
    let outcome = decode(
        &mut client,
        [&b"\x81\x80\0\0\0\0"[..]],
        &mut DecodeContext::default(),
    );
    assert_eq!(outcome.1, Some(Violation::Masked));
}

#[test]
fn fragments_follow_one_another() {
    let continuation = frame(Opcode::Continuation, true, b"x");
    check_refused(&continuation, Violation::NothingToContinue, 1002);
    let mut after_a_message = frame(Opcode::Text, true, b"x");
    after_a_message.extend(continuation);
    check_refused(&after_a_message, Violation::NothingToContinue, 1002);
    let mut interrupted = frame(Opcode::Text, false, b"x");
    interrupted.extend(frame(Opcode::Binary, true, b"y"));
    check_refused(&interrupted, Violation::MessageInterrupted, 1002);
}

#[test]
fn close_frames_are_checked() {
    let close = |payload: &[u8]| frame(Opcode::Close, true, payload);
    check_refused(&close(b"\x03"), Violation::CloseLength, 1002);
    for code in [
        0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535,
    ] {
        let payload = code.to_be_bytes();
        check_refused(&close(&payload), Violation::CloseCode(code), 1002);
    }
    check_refused(&close(b"\x03\xE8\xFF"), Violation::CloseReason, 1007);
    let (events, violation) = decode_whole(&close(b"\x0F\xA0bye"));
    assert_eq!(
        (events, violation),
        (vec![Event::Close(Some(4000), "bye".into())], None)
    );
    let (events, _) = decode_whole(&close(b""));
    assert_eq!(events, [Event::Close(None, String::new())]);
}

#[test]
fn what_comes_after_a_close_is_ignored() {
    let mut bytes = frame(Opcode::Close, true, b"\x03\xE8");
    bytes.extend(frame(Opcode::Text, true, b"late"));
    bytes.extend(b"\xFF\xFF\xFF");
    let mut context = DecodeContext::default();
    for size in [1, 3, bytes.len()] {
        let mut decoder = Decoder::new(Role::Server);
        let outcome = decode(&mut decoder, bytes.chunks(size), &mut context);
        assert_eq!(
            outcome,
            (vec![Event::Close(Some(1000), String::new())], None)
        );
    }
}

#[test]
fn what_comes_after_a_violation_is_ignored() {
    let mut decoder = Decoder::new(Role::Server);
    let mut context = DecodeContext::default();
    let outcome = decode(
        &mut decoder,
        [&b"\xFF\xFF\x81\x80\0\0\0\0"[..]],
        &mut context,
    );
    assert!(outcome.1.is_some());
    let again = frame(Opcode::Text, true, b"x");
    assert_eq!(
        decode(&mut decoder, [&again[..]], &mut context),
        (vec![], None)
    );
}

#[test]
fn control_frames_come_between_fragments() {
    let mut bytes = frame(Opcode::Text, false, b"He");
    bytes.extend(frame(Opcode::Ping, true, b"1"));
    bytes.extend(frame(Opcode::Continuation, false, b""));
    bytes.extend(frame(Opcode::Pong, true, &[b'2'; 125]));
    bytes.extend(frame(Opcode::Continuation, true, b"llo"));
    let expected = [
        Event::Ping(b"1".to_vec()),
        Event::Pong(vec![b'2'; 125]),
        text("Hello"),
    ];
    assert_eq!(decode_whole(&bytes), (expected.to_vec(), None));
}

#[test]
fn text_is_refused_at_its_first_bad_byte() {
    // The bad byte is the third of a frame of a hundred, of which no more comes.
    let mut cut = head_of(Opcode::Text, true, 100);
    cut.extend(b"a\xC3\xC3");
    check_refused(&cut, Violation::TextNotUtf8, 1007);
    check_refused(
        &frame(Opcode::Text, true, b"\xC3"),
        Violation::TextNotUtf8,
        1007,
    );
    check_refused(
        &frame(Opcode::Text, false, b"\xFF"),
        Violation::TextNotUtf8,
        1007,
    );
    let mut fragmented = frame(Opcode::Text, false, b"\xE2\x82");
    fragmented.extend(frame(Opcode::Continuation, true, b""));
    check_refused(&fragmented, Violation::TextNotUtf8, 1007);
}

#[test]
fn bad_text_is_replaced_where_that_is_asked_for() {
    let mut context = DecodeContext {
        validate_utf8: false,
        ..DecodeContext::default()
    };
    let bad = frame(Opcode::Text, true, b"a\xFFb");
    let mut fragmented = frame(Opcode::Text, false, b"\xE2\x82");
    fragmented.extend(frame(Opcode::Continuation, true, b"\xAC\x80"));
    for (bytes, expected) in [(bad, "a\u{FFFD}b"), (fragmented, "€\u{FFFD}")] {
        for size in [1, 4, 100] {
            let mut decoder = Decoder::new(Role::Server);
            let outcome = decode(&mut decoder, bytes.chunks(size), &mut context);
            assert_eq!(outcome, (vec![text(expected)], None));
        }
    }
}

#[test]
fn fragments_are_delivered_as_asked_for() {
    let mut bytes = frame(Opcode::Text, false, b"\xC3");
    bytes.extend(frame(Opcode::Ping, true, b""));
    bytes.extend(frame(Opcode::Continuation, false, b"\xA9t"));
    bytes.extend(frame(Opcode::Continuation, true, b""));
    bytes.extend(frame(Opcode::Binary, true, b"one"));
    let first = Event::Fragment(Opcode::Text, b"\xC3".to_vec(), false);
    let rest = [
        Event::Fragment(Opcode::Continuation, b"\xA9t".to_vec(), false),
        Event::Fragment(Opcode::Continuation, vec![], true),
    ];
    let ping = Event::Ping(vec![]);
    let (whole, one) = (text("ét"), Event::Binary(b"one".to_vec()));
    for (fragments, expected) in [
        (
            FragmentedMessages::Whole,
            vec![ping.clone(), whole.clone(), one.clone()],
        ),
        (
            FragmentedMessages::Fragments,
            [
                &[first.clone(), ping.clone()][..],
                &rest,
                std::slice::from_ref(&one),
            ]
            .concat(),
        ),
        (
            FragmentedMessages::Both,
            [&[first, ping][..], &rest, &[whole, one]].concat(),
        ),
    ] {
        for size in [1, 2, 5, 7, bytes.len()] {
            let mut decoder = Decoder::new(Role::Server);
            let mut context = DecodeContext {
                fragments,
                ..DecodeContext::default()
            };
            let outcome = decode(&mut decoder, bytes.chunks(size), &mut context);
            assert_eq!(outcome, (expected.clone(), None), "{fragments:?} by {size}");
            assert!(decoder.is_idle());
        }
    }
}

#[test]
fn fragments_of_text_are_checked_though_never_together() {
    let mut context = DecodeContext {
        fragments: FragmentedMessages::Fragments,
        ..DecodeContext::default()
    };
    for (second, fin) in [(&b"\x28"[..], false), (b"", true)] {
        let mut bytes = frame(Opcode::Text, false, b"\xE2\x82");
        bytes.extend(frame(Opcode::Continuation, fin, second));
        let mut decoder = Decoder::new(Role::Server);
        let (events, violation) = decode(&mut decoder, [&bytes[..]], &mut context);
        assert_eq!(violation, Some(Violation::TextNotUtf8));
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit() {
    let limited = |max_message_size, bytes: &[u8]| {
        let mut context = DecodeContext {
            max_message_size,
            ..DecodeContext::default()
        };
        decode(&mut Decoder::new(Role::Server), [bytes], &mut context).1
    };
    for length in [1_usize, 125, 126, 65535, 65536] {
        let one = frame(Opcode::Binary, true, &vec![0; length]);
        let mut two = frame(Opcode::Binary, false, &vec![0; length - 1]);
        two.extend(frame(Opcode::Continuation, true, b"x"));
        for bytes in [one, two] {
            assert_eq!(limited(length as u64, &bytes), None);
            assert_eq!(limited(0, &bytes), None);
            if length > 1 {
                let violation = limited(length as u64 - 1, &bytes);
                assert_eq!(violation, Some(Violation::MessageTooLarge));
            }
        }
    }
    assert_eq!(Violation::MessageTooLarge.close_code(), 1009);
    // Already the head is enough.
    let declared = head_of(Opcode::Text, true, 1001);
    assert_eq!(limited(1000, &declared), Some(Violation::MessageTooLarge));
}

#[test]
fn fragments_are_limited_by_bytes_not_by_count() {
    let mut bytes = frame(Opcode::Binary, false, b"");
    for _ in 0..65_536 {
        bytes.extend(frame(Opcode::Continuation, false, b"x"));
    }
    bytes.extend(frame(Opcode::Continuation, true, b""));
    let expected = Event::Binary(vec![b'x'; 65_536]);
    assert_eq!(decode_whole(&bytes), (vec![expected], None));
}

#[test]
fn memory_grows_with_what_has_arrived() {
    let budget = CountedBudget::new(usize::MAX);
    let shared: Arc<dyn Budget> = Arc::clone(&budget) as _;
    let mut context = DecodeContext {
        budget: Some(&shared),
        ..DecodeContext::default()
    };
    let mut decoder = Decoder::new(Role::Server);
    decode(
        &mut decoder,
        [&head_of(Opcode::Binary, true, 1 << 20)[..]],
        &mut context,
    );
    assert_eq!(budget.taken(), 0);
    let piece = [0; 1000];
    for arrived in 1..=500 {
        decode(&mut decoder, [&piece[..]], &mut context);
        assert!(budget.taken() <= 2 * arrived * piece.len() + 1024);
        assert!(budget.taken() >= arrived * piece.len());
    }
    drop(decoder);
    assert_eq!(budget.taken(), 0);
}

#[test]
fn what_was_taken_from_the_budget_is_given_back() {
    let budget = CountedBudget::new(10_000);
    let shared: Arc<dyn Budget> = Arc::clone(&budget) as _;
    let mut context = DecodeContext {
        budget: Some(&shared),
        ..DecodeContext::default()
    };
    let mut decoder = Decoder::new(Role::Server);
    for payload in [&[b'a'; 5000][..], b"a"] {
        for opcode in [Opcode::Text, Opcode::Binary] {
            let bytes = frame(opcode, true, payload);
            let (events, _) = decode(&mut decoder, bytes.chunks(7), &mut context);
            assert_eq!(events.len(), 1);
            assert_eq!(budget.taken(), 0);
            let most = budget.most();
            decode(&mut decoder, [&bytes[..]], &mut context);
            assert_eq!(budget.most(), most, "in place nothing is taken");
        }
    }
    // Spent.
    let bytes = frame(Opcode::Binary, true, &[0; 20_000]);
    let (_, violation) = decode(&mut decoder, bytes.chunks(7), &mut context);
    assert_eq!(violation, Some(Violation::BudgetSpent));
    assert_eq!(Violation::BudgetSpent.close_code(), 1013);
    assert_eq!(budget.taken(), 0);
}
