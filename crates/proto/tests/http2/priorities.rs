//! Who sends next. RFC 9218.

use tidegate_httpapi::Http2Limits;
use tidegate_proto::http2::StreamKey;

use crate::support::{Client, END_STREAM, GET, PRIORITY_UPDATE, Told, with};

fn client() -> Client {
    let mut limits = Http2Limits::default();
    limits.concurrent_streams_max = 1_000;
    let mut client = Client::with(&limits);
    client.settings(&[(4, 1_000_000)]);
    client.window_update(0, 100_000_000);
    client
}

/// A stream with this priority, which wants to send.
fn stream(client: &mut Client, id: u32, priority: &str) -> StreamKey {
    let key = client.request(id, END_STREAM, &with(&GET, &[("priority", priority)]));
    client.answer(key, None);
    client.connection.want_send(key);
    key
}

fn update(client: &mut Client, id: u32, priority: &str) {
    let payload = [&id.to_be_bytes()[..], priority.as_bytes()].concat();
    assert_eq!(client.send_frame(PRIORITY_UPDATE, 0, 0, &payload), []);
}

/// Who sends the next so many frames, if everybody has enough.
fn turns(client: &mut Client, count: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let Some(key) = client.connection.next_to_send() else {
            break;
        };
        ids.push(key.id);
        assert_eq!(client.write(key, 100, false), Some(100));
        client.connection.want_send(key);
    }
    ids
}

#[test]
fn lower_urgencies_come_first() {
    let mut client = client();
    let low = stream(&mut client, 1, "u=7");
    let usual = stream(&mut client, 3, "");
    let high = stream(&mut client, 5, "u=0");
    assert_eq!(turns(&mut client, 3), [5, 5, 5]);
    client.write(high, 1, true);
    assert_eq!(turns(&mut client, 2), [3, 3]);
    client.write(usual, 1, true);
    assert_eq!(turns(&mut client, 2), [1, 1]);
    client.write(low, 1, true);
    assert_eq!(turns(&mut client, 2), Vec::<u32>::new());
}

#[test]
fn what_is_of_use_when_whole_comes_one_after_the_other() {
    let mut client = client();
    let keys = [1, 3, 5].map(|id| stream(&mut client, id, ""));
    assert_eq!(turns(&mut client, 3), [1, 1, 1]);
    client.write(keys[0], 1, true);
    assert_eq!(turns(&mut client, 2), [3, 3]);
    client.release(keys[1]);
    assert_eq!(turns(&mut client, 2), [5, 5]);
}

#[test]
fn what_is_of_use_in_pieces_comes_in_turn() {
    let mut client = client();
    for id in [1, 3, 5] {
        stream(&mut client, id, "i");
    }
    assert_eq!(turns(&mut client, 7), [1, 3, 5, 1, 3, 5, 1]);
    // What is of use when whole comes before.
    let whole = stream(&mut client, 7, "u=3");
    assert_eq!(turns(&mut client, 2), [7, 7]);
    client.write(whole, 1, true);
    assert_eq!(turns(&mut client, 3), [3, 5, 1]);
}

#[test]
fn a_stream_asks_once() {
    let mut client = client();
    let key = stream(&mut client, 1, "i");
    client.connection.want_send(key);
    client.connection.want_send(key);
    assert_eq!(client.connection.next_to_send(), Some(key));
    assert_eq!(client.connection.next_to_send(), None);
}

#[test]
fn priorities_change() {
    let mut client = client();
    for id in [1, 3, 5] {
        stream(&mut client, id, "");
    }
    update(&mut client, 5, "u=1");
    assert_eq!(turns(&mut client, 2), [5, 5]);
    update(&mut client, 5, "u=5");
    assert_eq!(turns(&mut client, 2), [1, 1]);
    update(&mut client, 5, "u=3, i");
    update(&mut client, 3, "i");
    update(&mut client, 1, "i");
    assert_eq!(turns(&mut client, 6), [5, 3, 1, 5, 3, 1]);
    // A whole field, not a change of parts.
    update(&mut client, 1, "u=2");
    assert_eq!(turns(&mut client, 2), [1, 1]);
}

// RFC 9218 §7: before the request, and it weighs more than the request's field.
#[test]
fn a_priority_may_come_before_its_request() {
    let mut client = client();
    update(&mut client, 5, "u=6");
    update(&mut client, 5, "u=0");
    update(&mut client, 7, "u=1");
    for (id, priority) in [(1, ""), (5, "u=7"), (7, "u=7")] {
        stream(&mut client, id, priority);
    }
    assert_eq!(turns(&mut client, 2), [5, 5]);
}

#[test]
fn the_same_head_has_the_same_priority() {
    let mut client = client();
    for id in [1, 3, 5, 7, 9] {
        stream(&mut client, id, "u=6, i");
    }
    let usual = stream(&mut client, 11, "");
    assert_eq!(turns(&mut client, 1), [11]);
    client.write(usual, 1, true);
    assert_eq!(turns(&mut client, 6), [1, 3, 5, 7, 9, 1]);
}

// Changing priorities over and over makes nothing grow and loses nobody.
#[test]
fn many_changes_lose_nobody() {
    let mut client = client();
    for id in [1, 3, 5] {
        stream(&mut client, id, "i");
    }
    for round in 0..3_000 {
        let id = 1 + 2 * (round % 3);
        update(
            &mut client,
            id,
            ["u=2", "u=3,i", "u=1", "i", "u=3"][round as usize % 5],
        );
    }
    for id in [1, 3, 5] {
        update(&mut client, id, "u=4,i");
    }
    assert_eq!(turns(&mut client, 6), [1, 3, 5, 1, 3, 5]);
}

#[test]
fn who_has_no_window_is_passed_over() {
    let mut client = client();
    client.settings(&[(4, 50)]);
    let first = stream(&mut client, 1, "u=0");
    let second = stream(&mut client, 3, "");
    assert_eq!(client.connection.next_to_send(), Some(first));
    assert_eq!(client.write(first, 100, false), Some(50));
    client.connection.want_send(first);
    assert_eq!(client.connection.next_to_send(), Some(second));
    client.connection.want_send(second);
    assert_eq!(client.window_update(1, 10), [Told::Writable]);
    assert_eq!(client.connection.next_to_send(), Some(first));
    assert_eq!(client.connection.next_to_send(), Some(second));
    assert_eq!(client.connection.next_to_send(), None);
}

#[test]
fn who_was_reset_is_passed_over() {
    let mut client = client();
    let keys = [1, 3, 5, 7].map(|id| stream(&mut client, id, "i"));
    client.reset(1);
    client.connection.reset(keys[1], 8, &mut client.out);
    client.release(keys[2]);
    assert_eq!(client.connection.next_to_send(), Some(keys[3]));
    assert_eq!(client.connection.next_to_send(), None);
}

#[test]
fn whoever_only_others_hold_up_waits_for_its_turn() {
    let mut client = Client::new();
    let first = stream(&mut client, 1, "");
    let second = stream(&mut client, 3, "");
    assert!(client.connection.waits_for_turn(second));
    // The windows of the first and of the connection are used up.
    assert_eq!(client.connection.next_to_send(), Some(first));
    let written = std::iter::from_fn(|| client.write(first, 65_535, false));
    assert_eq!(written.sum::<usize>(), 65_535);
    client.connection.want_send(first);
    assert_eq!(client.connection.next_to_send(), None);
    assert!(!client.connection.waits_for_turn(first));
    assert!(client.connection.waits_for_turn(second));
    client.window_update(1, 1);
    assert!(client.connection.waits_for_turn(first));
    client.sent();
    // A smaller initial window shuts it for whoever is in the queue.
    client.settings(&[(4, 0)]);
    assert!(!client.connection.waits_for_turn(second));
    client.settings(&[(4, 10)]);
    assert!(client.connection.waits_for_turn(second));
    client.reset(3);
    assert!(!client.connection.waits_for_turn(second));
}
