//! The contract of the event loops, checked on each.

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "contract/files.rs"]
mod files;
mod rig;

use std::collections::HashSet;
use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::Duration;

use bytes::Bytes;
use files::*;
use rig::*;
use tidegate_os::*;

macro_rules! contract {
    ($($name:ident)*) => {
        #[cfg(target_os = "linux")]
        mod uring {
            $(#[test]
            fn $name() {
                match tidegate_os::uring_available() {
                    Ok(()) => super::$name::<tidegate_os::UringLoop>(),
                    Err(reason) => eprintln!("not run: {reason}"),
                }
            })*
        }
        mod poll {
            $(#[test]
            fn $name() {
                super::$name::<tidegate_os::PollLoop>();
            })*
        }
    };
}

contract! {
    bytes_go_both_ways
    bytes_may_be_changed_in_place
    bytes_arrive_in_the_order_sent_however_they_are_split
    position_counts_the_receives_of_a_turn
    big_send_to_a_slow_reader_goes_on_and_shows_progress
    pieces_are_sent_in_order
    big_send_in_pieces_to_a_slow_reader_goes_on
    empty_send_is_done_at_once
    pause_holds_bytes_back_and_resume_loses_none
    pause_while_accepting_holds_the_first_bytes_back
    pause_and_resume_at_once_loses_nothing
    end_of_a_paused_connection_comes_after_resume
    peer_may_stop_sending_and_go_on_receiving
    bytes_before_the_end_come_first
    shutdown_follows_what_was_sent
    shutdown_follows_a_pending_send
    reset_by_the_peer_is_a_failure
    reset_by_us_is_seen_by_the_peer
    close_sends_what_the_system_has_and_ends
    close_while_sending_gives_no_event
    close_while_receiving_gives_no_event
    close_in_the_event_of_the_connection_is_allowed
    send_to_a_broken_connection_fails
    keys_are_never_used_twice
    operations_on_a_closed_key_do_nothing
    many_wakes_make_one_event
    wake_ends_a_wait
    wake_during_a_turn_is_handed_over
    wake_while_woken_is_handed_over_in_the_same_turn
    wakes_without_end_hold_up_nobody
    waker_outlives_its_loop
    timeout_ends_a_wait
    shorter_timeout_holds_after_a_longer_one
    stop_listening_loses_nobody
    stopped_listener_refuses
    stop_listening_leaves_connections_alone
    more_ready_connections_than_buffers
    one_connection_that_sends_without_end_takes_no_more_buffers
    others_are_handed_over_before_receives
    completions_of_a_turn_are_bounded
    addresses_are_those_of_the_client
    unix_socket_works_alike
    shared_listener_serves_two_loops
    ipv6_works_alike
    dropped_loop_closes_its_connections
    one_connection_does_not_starve_another
    adopted_connection_is_like_an_accepted_one
    file_follows_the_buffer
    parts_of_a_file_are_sent
    file_to_a_slow_reader_goes_on_and_shows_progress
    bytes_are_received_while_a_file_is_sent
    files_share_a_turn
    file_that_ends_early_fails_its_send
    file_cut_while_it_is_sent_fails_its_send
    file_that_cannot_be_read_fails_its_send
    peer_that_resets_fails_the_send_of_a_file
    close_while_a_file_is_sent_gives_no_event
    shutdown_follows_a_file
    file_goes_over_a_unix_socket
    dropped_loop_lets_files_go
}

fn bytes_go_both_ways<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    write(&client, b"request");
    rig.await_received(key, b"request");
    let buffer = rig.send_all(key, b"answer".to_vec().into());
    assert_eq!(buffer.head, b"answer");
    assert_eq!(read(&client, 6), b"answer");
    assert_eq!(rig.operations().bytes_sent(key), 6);
    assert_eq!(rig.operations().connection_count(), 1);
}

fn bytes_may_be_changed_in_place<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, _) = rig.pair();
    write(&client, b"abc");
    let mut done = false;
    while !done {
        let mut answer = |operations: &mut L::Operations, event: Event<'_>| {
            if let Event::Received {
                connection, bytes, ..
            } = event
            {
                bytes.make_ascii_uppercase();
                let _ = operations.send(connection, bytes.to_vec().into());
                done = true;
            }
        };
        rig.event_loop.turn(None, &mut answer).unwrap();
    }
    rig.settle();
    assert_eq!(read(&client, 3), b"ABC");
}

fn bytes_arrive_in_the_order_sent_however_they_are_split<L: EventLoop>() {
    let mut rig = Rig::<L>::with(&LoopSettings {
        receive_buffer_bytes: 512,
        ..LoopSettings::default()
    });
    let (client, key) = rig.pair();
    let bytes = pattern(100_000);
    let mut sent = 0;
    for length in [1, 2, 511, 512, 513, 1_024, 30_000, 67_437] {
        write(&client, &bytes[sent..sent + length]);
        sent += length;
        rig.await_received(key, &bytes[..sent]);
    }
}

fn position_counts_the_receives_of_a_turn<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let clients: Vec<_> = (0..20).map(|_| rig.connect(address).0).collect();
    for client in &clients {
        write(client, b"x");
    }
    let mut total = 0;
    while total < clients.len() {
        rig.seen.clear();
        rig.turn(MOMENT);
        let positions: Vec<_> = rig
            .seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Received(_, _, position) => Some(*position as usize),
                _ => None,
            })
            .collect();
        assert!(
            positions.iter().copied().eq(0..positions.len()),
            "{positions:?}"
        );
        total += positions.len();
    }
}

fn big_send_to_a_slow_reader_goes_on_and_shows_progress<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    assert!(rig.operations().send(key, pattern(BIG).into()).is_none());
    rig.until("progress", |rig| rig.operations().bytes_sent(key) > 0);
    rig.settle();
    let given = rig.operations().bytes_sent(key);
    assert!(given < BIG as u64);
    assert_eq!(rig.operations().unsent(key) as u64, BIG as u64 - given);
    assert_eq!(rig.sent(key), 0);
    let reader = read_to_end(client);
    rig.until("the whole", |rig| rig.sent(key) == 1);
    assert_eq!(rig.operations().bytes_sent(key), BIG as u64);
    assert_eq!(rig.operations().unsent(key), 0);
    rig.operations().close(key);
    rig.settle();
    assert!(reader.join().unwrap().unwrap() == pattern(BIG));
}

fn pieces_are_sent_in_order<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let bytes = Bytes::from(pattern(20_000));
    // Empty pieces, more pieces than one call takes, and an empty head the second time.
    let tail: Vec<_> = (0..200)
        .map(|place| bytes.slice(place * 50..(place + place % 2) * 50))
        .collect();
    for head in [b"head".to_vec(), Vec::new()] {
        let wanted = [&head[..], &tail.concat()].concat();
        let buffer = SendBuffer {
            head: head.clone(),
            tail: tail.clone(),
        };
        assert_eq!(buffer.len(), wanted.len());
        let returned = rig.send_all(key, buffer);
        assert_eq!((returned.head, returned.tail), (head, tail.clone()));
        assert!(read(&client, wanted.len()) == wanted);
    }
}

fn big_send_in_pieces_to_a_slow_reader_goes_on<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let bytes = Bytes::from(pattern(BIG));
    let tail = (0..BIG)
        .step_by(100_003)
        .map(|start| bytes.slice(start..BIG.min(start + 100_003)));
    let buffer = SendBuffer {
        head: b"head".to_vec(),
        tail: tail.collect(),
    };
    assert!(rig.operations().send(key, buffer).is_none());
    rig.settle();
    assert!(rig.operations().bytes_sent(key) < BIG as u64);
    let reader = read_to_end(client);
    rig.until("the whole", |rig| rig.sent(key) == 1);
    rig.operations().shutdown_send(key);
    let received = reader.join().unwrap().unwrap();
    assert!(received[..4] == *b"head" && received[4..] == bytes);
}

fn empty_send_is_done_at_once<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_client, key) = rig.pair();
    let buffer = SendBuffer {
        head: Vec::with_capacity(100),
        tail: vec![Bytes::new()],
    };
    let buffer = rig.operations().send(key, buffer).unwrap();
    assert_eq!(buffer.head.capacity(), 100);
    rig.settle();
    assert_eq!(rig.sent(key), 0);
}

fn pause_holds_bytes_back_and_resume_loses_none<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    write(&client, b"before");
    rig.await_received(key, b"before");
    rig.operations().pause_receive(key);
    rig.settle();
    let bytes = pattern(1 << 20);
    let copy = bytes.clone();
    let writer = std::thread::spawn(move || {
        write(&client, &copy);
        client
    });
    rig.settle();
    assert_eq!(rig.received(key), b"before");
    rig.operations().resume_receive(key);
    rig.await_received(key, &[b"before", &bytes[..]].concat());
    writer.join().unwrap();
}

fn pause_while_accepting_holds_the_first_bytes_back<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let client = client(address);
    write(&client, b"early");
    let mut accepted = None;
    while accepted.is_none() {
        let mut pause = |operations: &mut L::Operations, event: Event<'_>| {
            let Event::Accepted { connection, .. } = event else {
                panic!("{event:?}");
            };
            operations.pause_receive(connection);
            accepted = Some(connection);
        };
        rig.event_loop.turn(None, &mut pause).unwrap();
    }
    let key = accepted.unwrap();
    rig.settle();
    assert_eq!(rig.received(key), b"");
    rig.operations().resume_receive(key);
    rig.await_received(key, b"early");
}

fn pause_and_resume_at_once_loses_nothing<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let mut wanted = Vec::new();
    for byte in 0..50 {
        rig.operations().pause_receive(key);
        if byte % 2 == 0 {
            rig.turn(Duration::ZERO);
        }
        write(&client, &[byte]);
        if byte % 3 == 0 {
            rig.turn(Duration::ZERO);
        }
        rig.operations().resume_receive(key);
        if byte % 5 == 0 {
            rig.operations().pause_receive(key);
            rig.operations().resume_receive(key);
        }
        wanted.push(byte);
        rig.await_received(key, &wanted);
    }
}

fn end_of_a_paused_connection_comes_after_resume<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    rig.operations().pause_receive(key);
    rig.settle();
    write(&client, b"last");
    drop(client);
    rig.settle();
    assert!(!rig.peer_closed(key));
    rig.operations().resume_receive(key);
    rig.until("the end", |rig| rig.peer_closed(key));
    assert_eq!(rig.received(key), b"last");
}

fn peer_may_stop_sending_and_go_on_receiving<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    write(&client, b"all");
    client.shutdown(Shutdown::Write).unwrap();
    rig.until("the end", |rig| rig.peer_closed(key));
    assert_eq!(rig.received(key), b"all");
    rig.send_all(key, b"answer".to_vec().into());
    assert_eq!(read(&client, 6), b"answer");
    rig.operations().close(key);
    rig.settle();
    assert_eq!((&client).read(&mut [0; 8]).unwrap(), 0);
    let ends = rig
        .seen
        .iter()
        .filter(|seen| matches!(seen, Seen::PeerClosed(_)))
        .count();
    assert_eq!(ends, 1);
}

fn bytes_before_the_end_come_first<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    for _ in 0..20 {
        let client = client(address);
        write(&client, &pattern(40_000));
    }
    rig.until("the ends", |rig| {
        rig.seen
            .iter()
            .filter(|seen| matches!(seen, Seen::PeerClosed(_)))
            .count()
            == 20
    });
    for key in rig.accepted() {
        assert!(rig.received(key) == pattern(40_000));
        let end = rig
            .seen
            .iter()
            .position(|seen| matches!(seen, Seen::PeerClosed(k) if *k == key));
        let last = rig
            .seen
            .iter()
            .rposition(|seen| matches!(seen, Seen::Received(k, ..) if *k == key));
        assert!(last < end);
    }
}

fn shutdown_follows_what_was_sent<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (mut client, key) = rig.pair();
    rig.send_all(key, b"answer".to_vec().into());
    rig.operations().shutdown_send(key);
    rig.settle();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"answer");
    write(&client, b"still heard");
    rig.await_received(key, b"still heard");
    drop(client);
    rig.until("the end", |rig| rig.peer_closed(key));
}

fn shutdown_follows_a_pending_send<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    assert!(rig.operations().send(key, pattern(BIG).into()).is_none());
    rig.operations().shutdown_send(key);
    let reader = read_to_end(client);
    rig.until("the whole", |rig| rig.sent(key) == 1);
    assert!(reader.join().unwrap().unwrap() == pattern(BIG));
}

fn reset_by_the_peer_is_a_failure<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    rig.until("the failure", |rig| rig.failed(key).is_some());
    let error = rig.failed(key).unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(rig.operations().connection_count(), 1);
    rig.operations().close(key);
    assert_eq!(rig.operations().connection_count(), 0);
    rig.settle();
}

fn reset_by_us_is_seen_by_the_peer<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (mut client, key) = rig.pair();
    rig.operations().reset(key);
    rig.settle();
    let error = client.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(rig.operations().connection_count(), 0);
}

fn close_sends_what_the_system_has_and_ends<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let reader = read_to_end(client);
    rig.send_all(key, pattern(100_000).into());
    rig.operations().close(key);
    rig.settle();
    assert!(reader.join().unwrap().unwrap() == pattern(100_000));
}

fn close_while_sending_gives_no_event<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let buffer = SendBuffer {
        head: pattern(BIG),
        tail: vec![Bytes::from_static(b"tail")],
    };
    assert!(rig.operations().send(key, buffer).is_none());
    rig.settle();
    rig.operations().close(key);
    assert_eq!(rig.operations().connection_count(), 0);
    let reader = read_to_end(client);
    rig.settle();
    let received = reader.join().unwrap().unwrap_or_default();
    assert!(received.len() < BIG);
    rig.settle();
    assert_eq!(rig.sent(key), 0);
}

fn close_while_receiving_gives_no_event<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    rig.operations().close(key);
    // Whether it arrives before the system ends the receive or after it.
    let _ = std::io::Write::write(&mut &client, b"too late");
    rig.settle();
    assert_eq!(rig.received(key), b"");
    assert_eq!(rig.seen.len(), 1, "{:?}", rig.seen);
}

fn close_in_the_event_of_the_connection_is_allowed<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let clients: Vec<_> = (0..30).map(|_| client(address)).collect();
    for client in &clients {
        write(client, &pattern(100_000));
    }
    let mut closed = 0;
    let mut at_accept = 0;
    while closed < clients.len() {
        let mut close = |operations: &mut L::Operations, event: Event<'_>| match event {
            Event::Accepted { connection, .. } => {
                at_accept += 1;
                if at_accept % 3 == 0 {
                    operations.close(connection);
                    closed += 1;
                }
            }
            Event::Received { connection, .. } => {
                closed += 1;
                if closed % 2 == 0 {
                    operations.close(connection);
                } else {
                    let _ = operations.send(connection, b"answer".to_vec().into());
                    operations.reset(connection);
                }
            }
            event => panic!("{event:?}"),
        };
        rig.event_loop.turn(None, &mut close).unwrap();
    }
    assert_eq!(rig.operations().connection_count(), 0);
    rig.settle();
    assert!(rig.seen.is_empty(), "{:?}", rig.seen);
}

fn send_to_a_broken_connection_fails<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    rig.until("the failure", |rig| rig.failed(key).is_some());
    for _ in 0..2 {
        rig.seen.clear();
        let buffer = rig.operations().send(key, b"nobody hears".to_vec().into());
        assert!(buffer.is_none());
        rig.until("the send", |rig| rig.sent(key) == 1);
        let failed = |seen: &Seen| matches!(seen, Seen::Sent(_, buffer, Err(_)) if buffer.head == b"nobody hears");
        assert!(rig.seen.iter().any(failed), "{:?}", rig.seen);
    }
}

fn keys_are_never_used_twice<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    for _ in 0..100 {
        let (_client, key) = rig.connect(address);
        rig.operations().close(key);
    }
    let keys: HashSet<_> = rig.accepted().into_iter().collect();
    assert_eq!(keys.len(), 100);
    let indexes: HashSet<_> = keys.iter().map(|key| key.index()).collect();
    assert!(indexes.len() < 20, "places are reused: {}", indexes.len());
}

fn operations_on_a_closed_key_do_nothing<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let (first, old) = rig.connect(address);
    drop(first);
    rig.until("the end", |rig| rig.peer_closed(old));
    rig.operations().close(old);
    rig.settle();
    let (client, key) = rig.connect(address);
    assert_eq!((old.index(), old == key), (key.index(), false));
    let operations = rig.operations();
    operations.pause_receive(old);
    operations.resume_receive(old);
    operations.shutdown_send(old);
    operations.reset(old);
    operations.close(old);
    assert!(operations.send(old, b"stray".to_vec().into()).is_some());
    assert_eq!(operations.bytes_sent(old), 0);
    assert_eq!(operations.peer_address(old), None);
    assert_eq!(operations.connection_count(), 1);
    rig.send_all(key, b"right".to_vec().into());
    assert_eq!(read(&client, 5), b"right");
}

fn woken<L: EventLoop>(rig: &Rig<L>) -> usize {
    rig.seen
        .iter()
        .filter(|seen| matches!(seen, Seen::Woken))
        .count()
}

fn many_wakes_make_one_event<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    for round in 1..4 {
        let waker = rig.operations().waker();
        let wake = move || (0..1_000).for_each(|_| waker.wake());
        std::thread::spawn(wake).join().unwrap();
        rig.settle();
        assert_eq!(woken(&rig), round);
    }
}

fn wake_ends_a_wait<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    for round in 1..100 {
        let waker = rig.operations().waker();
        let thread = std::thread::spawn(move || waker.wake());
        while woken(&rig) < round {
            rig.turn(Duration::from_secs(3_600));
        }
        thread.join().unwrap();
    }
}

fn wake_during_a_turn_is_handed_over<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let waker = rig.operations().waker();
    let (client, _) = rig.pair();
    write(&client, b"x");
    let (mut woken, mut received) = (0, 0);
    while woken == 0 {
        let mut wake = |_: &mut L::Operations, event: Event<'_>| match event {
            Event::Received { .. } => {
                received += 1;
                waker.wake();
            }
            Event::Woken => woken += 1,
            event => panic!("{event:?}"),
        };
        rig.event_loop.turn(None, &mut wake).unwrap();
    }
    assert_eq!((woken, received), (1, 1));
}

fn wake_while_woken_is_handed_over_in_the_same_turn<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let waker = rig.operations().waker();
    waker.wake();
    let mut woken = 0;
    let mut wake = |_: &mut L::Operations, event: Event<'_>| match event {
        Event::Woken => {
            woken += 1;
            if woken < 3 {
                waker.wake();
            }
        }
        event => panic!("{event:?}"),
    };
    assert_eq!(rig.event_loop.turn(None, &mut wake).unwrap(), 3);
    assert_eq!(woken, 3);
}

fn wakes_without_end_hold_up_nobody<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let waker = rig.operations().waker();
    let (client, _) = rig.pair();
    write(&client, b"x");
    waker.wake();
    let mut has_received = false;
    while !has_received {
        let mut wake = |_: &mut L::Operations, event: Event<'_>| match event {
            Event::Woken => waker.wake(),
            Event::Received { .. } => has_received = true,
            event => panic!("{event:?}"),
        };
        // Each turn ends, and none sleeps as long as a wake was not handed over.
        rig.event_loop.turn(None, &mut wake).unwrap();
    }
}

fn waker_outlives_its_loop<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let waker = rig.operations().waker();
    rig.settle();
    drop(rig);
    waker.wake();
    waker.clone().wake();
}

fn timeout_ends_a_wait<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    assert_eq!(rig.turn(MOMENT), 0);
    assert_eq!(rig.turn(Duration::ZERO), 0);
    assert_eq!(rig.turn(MOMENT), 0);
    assert!(rig.seen.is_empty());
}

fn shorter_timeout_holds_after_a_longer_one<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    for _ in 0..3 {
        rig.operations().waker().wake();
        rig.turn(Duration::from_secs(3_600));
        rig.turn(MOMENT);
        rig.turn(MOMENT / 2);
        rig.turn(MOMENT / 4);
        rig.turn(MOMENT * 2);
    }
}

fn stop_listening_loses_nobody<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (key, address) = rig.listen();
    let (_first, _) = rig.connect(address);
    let clients: Vec<_> = (0..200).map(|_| client(address)).collect();
    for client in &clients {
        write(client, b"request");
    }
    rig.operations().stop_listening(key);
    rig.operations().stop_listening(key);
    rig.until("the stop", |rig| rig.operations().listener_count() == 0);
    assert_eq!(rig.accepted().len(), 201);
    let keys = rig.accepted();
    rig.until("requests", |rig| {
        keys[1..].iter().all(|key| rig.received(*key) == b"request")
    });
    assert_eq!(rig.operations().connection_count(), 201);
}

fn stopped_listener_refuses<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (key, address) = rig.listen();
    rig.operations().stop_listening(key);
    rig.until("the stop", |rig| rig.operations().listener_count() == 0);
    let error = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let (next, _) = rig.listen();
    assert_ne!(next, key);
}

fn stop_listening_leaves_connections_alone<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (listener, address) = rig.listen();
    let (client, key) = rig.connect(address);
    rig.operations().stop_listening(listener);
    rig.until("the stop", |rig| rig.operations().listener_count() == 0);
    write(&client, b"still here");
    rig.await_received(key, b"still here");
}

fn more_ready_connections_than_buffers<L: EventLoop>() {
    let mut rig = Rig::<L>::with(&LoopSettings {
        receive_buffers: 2,
        receive_buffers_max: 4,
        receive_buffer_bytes: 512,
        submission_entries: 8,
        ..LoopSettings::default()
    });
    let (_, address) = rig.listen();
    let pairs: Vec<_> = (0..100).map(|_| rig.connect(address)).collect();
    for _ in 0..3 {
        rig.seen.clear();
        for (client, _) in &pairs {
            write(client, &pattern(2_000));
        }
        for (_, key) in &pairs {
            rig.await_received(*key, &pattern(2_000));
        }
    }
}

fn one_connection_that_sends_without_end_takes_no_more_buffers<L: EventLoop>() {
    let mut rig = Rig::<L>::with(&LoopSettings {
        receive_buffers: 16,
        receive_buffers_max: 256,
        receive_buffer_bytes: 512,
        ..LoopSettings::default()
    });
    let (client, _) = rig.pair();
    let (mut received, mut places) = (0, HashSet::new());
    while received < 1_000_000 {
        write(&client, &pattern(100_000));
        let before = received;
        while received < before + 100_000 {
            let mut take = |_: &mut L::Operations, event: Event<'_>| {
                if let Event::Received { bytes, .. } = event {
                    received += bytes.len();
                    places.insert(bytes.as_ptr() as usize);
                }
            };
            rig.event_loop.turn(None, &mut take).unwrap();
        }
    }
    assert!(places.len() <= 16, "{}", places.len());
}

fn others_are_handed_over_before_receives<L: EventLoop>() {
    let mut rig = Rig::<L>::with(&LoopSettings {
        receive_order: ReceiveOrder::AfterOthers,
        ..LoopSettings::default()
    });
    let (_, address) = rig.listen();
    let (first, key) = rig.connect(address);
    for round in 1..20 {
        rig.seen.clear();
        write(&first, b"x");
        let _second = client(address);
        rig.turn(Duration::ZERO);
        let place = |wanted: fn(&Seen) -> bool| rig.seen.iter().position(wanted);
        let accept = place(|seen| matches!(seen, Seen::Accepted(..)));
        let receive = place(|seen| matches!(seen, Seen::Received(..)));
        if let (Some(accept), Some(receive)) = (accept, receive) {
            assert!(accept < receive, "{:?}", rig.seen);
        }
        rig.until("both", |rig| {
            rig.received(key) == b"x" && rig.accepted().len() == 1
        });
        assert_eq!(rig.operations().connection_count(), 1 + round);
    }
}

fn completions_of_a_turn_are_bounded<L: EventLoop>() {
    let mut rig = Rig::<L>::with(&LoopSettings {
        completions_max: 4,
        ..LoopSettings::default()
    });
    let (_, address) = rig.listen();
    let pairs: Vec<_> = (0..40).map(|_| rig.connect(address)).collect();
    for (client, _) in &pairs {
        write(client, b"x");
    }
    rig.seen.clear();
    rig.until("all", |rig| {
        let before = rig.seen.len();
        rig.turn(MOMENT);
        assert!(rig.seen.len() - before <= 4);
        rig.seen.len() >= 40
    });
}

fn addresses_are_those_of_the_client<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (client, key) = rig.pair();
    let peer = EndpointAddress::Tcp(client.local_addr().unwrap());
    let local = EndpointAddress::Tcp(client.peer_addr().unwrap());
    assert_eq!(rig.operations().peer_address(key), Some(peer));
    assert_eq!(rig.operations().local_address(key), Some(local));
}

#[cfg(not(unix))]
fn unix_socket_works_alike<L: EventLoop>() {}

#[cfg(unix)]
fn unix_socket_works_alike<L: EventLoop>() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let address = ListenAddress::Unix(path.clone());
    let listener = Listener::bind(&address, &ListenOptions::default()).unwrap();
    let mut rig = Rig::<L>::new();
    let listener = rig.operations().listen(listener).unwrap();
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    rig.until("accept", |rig| rig.accepted().len() == 1);
    let key = rig.accepted()[0];
    assert_eq!(
        rig.operations().peer_address(key),
        Some(EndpointAddress::Unix)
    );
    client.write_all(b"request").unwrap();
    rig.await_received(key, b"request");
    let buffer = SendBuffer {
        head: b"an".to_vec(),
        tail: vec![Bytes::from_static(b"swer")],
    };
    rig.send_all(key, buffer);
    let mut bytes = [0; 6];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"answer");
    drop(client);
    rig.until("the end", |rig| rig.peer_closed(key));
    rig.operations().stop_listening(listener);
    rig.until("the stop", |rig| rig.operations().listener_count() == 0);
    assert!(!path.exists());
}

fn shared_listener_serves_two_loops<L: EventLoop>() {
    let listener = bind_local();
    let address = tcp_address(&listener);
    let mut first = Rig::<L>::new();
    let mut second = Rig::<L>::new();
    let copy = listener.try_clone().unwrap();
    let key = first.operations().listen(listener).unwrap();
    second.operations().listen(copy).unwrap();
    first.settle();
    second.settle();
    let _clients: Vec<_> = (0..10).map(|_| client(address)).collect();
    while first.accepted().len() + second.accepted().len() < 10 {
        first.turn(MOMENT);
        second.turn(MOMENT);
    }
    first.operations().stop_listening(key);
    first.until("the stop", |rig| rig.operations().listener_count() == 0);
    let before = second.accepted().len();
    let _client = client(address);
    second.until("accept", |rig| rig.accepted().len() > before);
}

fn ipv6_works_alike<L: EventLoop>() {
    let address = ListenAddress::Tcp("[::1]:0".parse().unwrap());
    let listener = match Listener::bind(&address, &ListenOptions::default()) {
        Err(error) if error.kind == BindErrorKind::NotAvailable => return,
        outcome => outcome.unwrap(),
    };
    let address = tcp_address(&listener);
    let mut rig = Rig::<L>::new();
    rig.operations().listen(listener).unwrap();
    let (client, key) = rig.connect(address);
    write(&client, b"request");
    rig.await_received(key, b"request");
    let peer = EndpointAddress::Tcp(client.local_addr().unwrap());
    assert_eq!(rig.operations().peer_address(key), Some(peer));
}

fn dropped_loop_closes_its_connections<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    let (_, address) = rig.listen();
    let (idle, _) = rig.connect(address);
    let (busy, key) = rig.connect(address);
    assert!(rig.operations().send(key, pattern(BIG).into()).is_none());
    rig.settle();
    let reader = read_to_end(busy);
    drop(rig);
    assert_eq!((&idle).read(&mut [0; 8]).unwrap(), 0);
    assert!(reader.join().unwrap().unwrap_or_default().len() < BIG);
    let error = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

fn one_connection_does_not_starve_another<L: EventLoop>() {
    let mut rig = Rig::<L>::with(&LoopSettings {
        receive_buffer_bytes: 512,
        ..LoopSettings::default()
    });
    let (_, address) = rig.listen();
    let (greedy, greedy_key) = rig.connect(address);
    let (modest, modest_key) = rig.connect(address);
    let writer = std::thread::spawn(move || write(&greedy, &pattern(4 << 20)));
    rig.until("the greedy one", |rig| !rig.received(greedy_key).is_empty());
    write(&modest, b"me too");
    rig.until("the modest one", |rig| {
        rig.received(modest_key) == b"me too"
    });
    rig.until("the whole", |rig| rig.received(greedy_key).len() == 4 << 20);
    writer.join().unwrap();
}

fn adopted_connection_is_like_an_accepted_one<L: EventLoop>() {
    let mut rig = Rig::<L>::new();
    // However it was set before.
    for is_nonblocking in [true, false] {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(is_nonblocking).unwrap();
        let (peer, _) = server.accept().unwrap();
        let count = rig.operations().connection_count();
        let key = rig.operations().adopt(stream).unwrap();
        assert_eq!(rig.operations().connection_count(), count + 1);
        let mut wanted = Vec::new();
        for _ in 0..3 {
            write(&peer, b"abc");
            wanted.extend_from_slice(b"abc");
            rig.await_received(key, &wanted);
            rig.send_all(key, b"def".to_vec().into());
            assert_eq!(read(&peer, 3), b"def");
        }
        drop(peer);
        rig.until("the end", |rig| rig.peer_closed(key));
        rig.operations().close(key);
        rig.settle();
        assert_eq!(rig.operations().connection_count(), count);
    }
}
