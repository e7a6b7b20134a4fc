//! Whoever asks for too much is stopped, one above each limit. RFC 9113 §10.5, http-server-api §15.

use tidegate_httpapi::{FloodAnswer, Http2Limits};
use tidegate_proto::http2::ErrorCode;

use crate::support::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GET, HEADERS, PADDED, PING, PRIORITY,
    PRIORITY_UPDATE, SETTINGS, Told, frame, settings_frame,
};

/// Does `act` as often as the limit allows, then once more; and after a minute as often again.
fn check(limits: &Http2Limits, max: u32, mut act: impl FnMut(&mut Client, u32) -> Vec<Told>) {
    let is_failed = |told: &[Told]| told.iter().any(|told| matches!(told, Told::Failed(_)));
    for minutes in [1, 3] {
        let mut client = Client::with(limits);
        let mut number = 0;
        for _ in 0..minutes {
            client.minute += 1;
            for _ in 0..max {
                let told = act(&mut client, number);
                assert!(!is_failed(&told), "{number}: {told:?}");
                number += 1;
            }
        }
        let told = act(&mut client, number);
        let failure = client.check_failed(&told, ErrorCode::EnhanceYourCalm);
        assert!(failure.is_flood && !failure.abrupt);
    }
}

// CVE-2023-44487: rapid reset.
#[test]
fn resets_by_the_client_are_counted() {
    let mut limits = Http2Limits::default();
    for max in [0, 1, 10] {
        limits.client_resets_per_minute_max = max;
        check(&limits, max, |client, number| {
            let stream = 2 * number + 1;
            let key = client.get(stream);
            let told = client.reset(stream);
            client.release(key);
            told
        });
    }
}

#[test]
fn resets_of_what_was_answered_are_not_counted() {
    let mut limits = Http2Limits::default();
    limits.client_resets_per_minute_max = 0;
    let mut client = Client::with(&limits);
    for stream in (1..100).step_by(2) {
        let key = client.post(stream);
        client.answer(key, Some(0));
        assert_eq!(client.reset(stream), [Told::Reset(key, 8)]);
        client.release(key);
        assert_eq!(client.reset(stream), []);
    }
}

// CVE-2025-8671: MadeYouReset, in each of its ways.
#[test]
fn provoked_resets_are_counted() {
    let mut limits = Http2Limits::default();
    limits.server_resets_per_minute_max = 10;
    let provocations: [fn(&mut Client, u32) -> Vec<Told>; 7] = [
        |client, stream| client.window_update(stream, 0),
        |client, stream| client.window_update(stream, 0x7FFF_FFFF),
        |client, stream| client.send_frame(DATA, END_STREAM, stream, b"late"),
        |client, stream| client.send_fields(stream, END_STREAM, &GET),
        |client, stream| client.send_frame(PRIORITY, 0, stream, &[0; 4]),
        |client, stream| {
            let itself = [&stream.to_be_bytes()[..], &[0]].concat();
            client.send_frame(PRIORITY, 0, stream, &itself)
        },
        |client, stream| client.send_fields(stream + 2, END_STREAM, &[("x", "y")]),
    ];
    for provoke in provocations {
        check(&limits, 10, |client, number| {
            let stream = 4 * number + 1;
            let key = client.get(stream);
            let told = provoke(client, stream);
            client.release(key);
            told
        });
    }
}

#[test]
fn resets_by_the_application_are_not_counted() {
    let mut limits = Http2Limits::default();
    limits.server_resets_per_minute_max = 0;
    let mut client = Client::with(&limits);
    for stream in (1..100).step_by(4) {
        let key = client.post(stream);
        client.connection.reset(key, 8, &mut client.out);
        client.release(key);
        let key = client.post(stream + 2);
        client.answer(key, Some(0));
        client.release(key);
    }
    client.check_alive();
}

// CVE-2019-9515, CVE-2016-0150.
#[test]
fn settings_are_counted() {
    let mut limits = Http2Limits::default();
    limits.settings_per_minute_max = 20;
    check(&limits, 20, |client, _| client.send(&settings_frame(&[])));
    check(&limits, 20, |client, _| {
        client.send(&settings_frame(&[(4, 1)]))
    });
    check(&limits, 20, |client, _| {
        client.send_frame(SETTINGS, ACK, 0, &[])
    });
    check(&limits, 10, |client, _| {
        client.send(&settings_frame(&[(4, 1), (4, 2)]))
    });
}

#[test]
fn settings_in_a_frame_are_counted() {
    let mut limits = Http2Limits::default();
    limits.settings_per_frame_max = 7;
    let mut client = Client::with(&limits);
    client.settings(&[(4, 1); 7]);
    let told = client.send(&settings_frame(&[(4, 1); 8]));
    assert!(
        client
            .check_failed(&told, ErrorCode::EnhanceYourCalm)
            .is_flood
    );
}

// CVE-2019-9512.
#[test]
fn pings_are_counted() {
    let mut limits = Http2Limits::default();
    limits.pings_per_minute_max = 60;
    check(&limits, 60, |client, _| {
        client.send_frame(PING, 0, 0, &[0; 8])
    });
    check(&limits, 60, |client, _| {
        client.send_frame(PING, ACK, 0, &[0; 8])
    });
}

// CVE-2019-9518.
#[test]
fn empty_frames_are_counted() {
    let mut limits = Http2Limits::default();
    limits.empty_frames_per_minute_max = 16;
    limits.continuations_max = 1_000;
    check(&limits, 16, |client, number| {
        if number == 0 {
            client.post(1);
        }
        client.send_frame(DATA, 0, 1, b"")
    });
    // What has padding only carries nothing either.
    check(&limits, 16, |client, number| {
        if number == 0 {
            client.post(1);
        }
        client.send_frame(DATA, PADDED, 1, b"\x02\0\0")
    });
    check(&limits, 16, |client, number| match number {
        0 => client.send_frame(HEADERS, 0, 1, &[]),
        _ => client.send_frame(CONTINUATION, 0, 1, &[]),
    });
}

#[test]
fn the_end_of_a_stream_is_not_empty() {
    let mut limits = Http2Limits::default();
    limits.empty_frames_per_minute_max = 0;
    let mut client = Client::with(&limits);
    client.post(1);
    assert_eq!(client.send_frame(DATA, END_STREAM, 1, b"").len(), 1);
}

// CVE-2019-9513.
#[test]
fn changes_of_priority_are_counted() {
    let mut limits = Http2Limits::default();
    limits.priorities_per_minute_max = 100;
    check(&limits, 100, |client, _| {
        client.send_frame(PRIORITY, 0, 1, &[0; 5])
    });
    check(&limits, 100, |client, _| {
        client.send_frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")
    });
}

// CVE-2019-9511.
#[test]
fn window_updates_are_counted() {
    let mut limits = Http2Limits::default();
    limits.window_updates_per_minute_max = 100;
    check(&limits, 100, |client, _| client.window_update(0, 1));
    // On closed streams as well.
    check(&limits, 100, |client, number| {
        if number == 0 {
            client.get(3);
        }
        client.window_update(1, 1)
    });
}

#[test]
fn what_was_sent_accounts_for_window_updates() {
    let mut limits = Http2Limits::default();
    limits.window_updates_per_minute_max = 100;
    // Sixteen for the bytes of each frame and two for the frame.
    check(&limits, 100 + 54, |client, number| {
        if number % 154 == 1 {
            let key = client.get(number + number % 2 + 1);
            client.answer(key, None);
            for _ in 0..3 {
                assert_eq!(client.write(key, 16_384, false), Some(16_384));
            }
        }
        client.window_update(0, 16_384)
    });
}

// As HAProxy does, which gives back what each frame took, however short.
#[test]
fn short_answers_account_for_window_updates() {
    let mut limits = Http2Limits::default();
    limits.window_updates_per_minute_max = 100;
    let mut client = Client::with(&limits);
    for number in 0..1_000 {
        let key = client.get(2 * number + 1);
        client.answer(key, Some(13));
        assert_eq!(client.write(key, 13, true), Some(13));
        client.release(key);
        let told = client.window_update(0, 13);
        assert!(!told.iter().any(|told| matches!(told, Told::Failed(_))));
    }
}

// CVE-2019-9511: data dribble.
#[test]
fn a_window_opened_byte_by_byte_accounts_for_nothing() {
    let mut limits = Http2Limits::default();
    limits.window_updates_per_minute_max = 100;
    let mut client = Client::with(&limits);
    let key = client.get(1);
    client.answer(key, None);
    while client.write(key, 1_000_000, false).is_some() {}
    let failed_after = (0..1_000).find(|_| {
        let mut told = client.window_update(1, 1);
        told.extend(client.window_update(0, 1));
        let is_failed = told.iter().any(|told| matches!(told, Told::Failed(_)));
        if !is_failed {
            assert_eq!(client.write(key, 1_000_000, false), Some(1));
        }
        is_failed
    });
    // 64 for the bytes, two for each of the three whole frames of the first window.
    assert_eq!(failed_after, Some((100 + 64 + 6) / 2));
}

// CERT VU#421644.
#[test]
fn continuations_are_counted() {
    let mut limits = Http2Limits::default();
    limits.continuations_max = 3;
    for count in 1..=4 {
        let mut client = Client::with(&limits);
        let block = client.block(&GET);
        assert_eq!(client.send_frame(HEADERS, END_STREAM, 1, &block), []);
        for _ in 1..count {
            assert_eq!(client.send_frame(CONTINUATION, 0, 1, &[]), []);
        }
        let told = client.send_frame(CONTINUATION, END_HEADERS, 1, &[]);
        if count <= 3 {
            assert!(matches!(told[..], [Told::Request(..)]));
        } else {
            assert!(
                client
                    .check_failed(&told, ErrorCode::EnhanceYourCalm)
                    .is_flood
            );
        }
    }
}

#[test]
fn a_flood_may_end_the_connection_abruptly() {
    let mut limits = Http2Limits::default();
    limits.on_flood = FloodAnswer::Close;
    limits.pings_per_minute_max = 0;
    let mut client = Client::with(&limits);
    let told = client.send(&frame(PING, 0, 0, &[0; 8]));
    let [Told::Failed(failure)] = told[..] else {
        panic!("{told:?}");
    };
    assert!(failure.abrupt && failure.is_flood);
    assert_eq!(client.sent(), []);
    // Other failures have their GOAWAY.
    let mut client = Client::with(&limits);
    let told = client.send(&frame(PING, 0, 1, &[0; 8]));
    assert!(!client.check_failed(&told, ErrorCode::Protocol).abrupt);
}
