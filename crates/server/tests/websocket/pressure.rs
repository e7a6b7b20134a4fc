//! Peers that are too slow: what waits is bounded, as its connection's options say, and others go on.

use std::sync::Arc;
use std::sync::mpsc::channel;

use tidegate::{
    Connection, EndedBy, Level, Message, Overflow, Recipients, Server, ServerBuilder,
    WebSocketSettings, WriteError,
};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::wait_until;
use crate::websocket::{Heard, Opening, WebSocket};

pub(crate) const MEBIBYTE: usize = 1 << 20;

/// More than the system takes for a peer that does not read.
const PILE: usize = 24;

/// A numbered message that is long enough to fill what the system takes.
fn numbered(number: u8) -> Message {
    Message::binary(vec![number; MEBIBYTE])
}

fn number(heard: &Heard) -> u8 {
    match heard {
        Heard::Binary(data) => {
            assert_eq!(data.len(), MEBIBYTE);
            data[0]
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn with_queue(
    builder: ServerBuilder,
    overflow: Overflow,
    messages: u32,
    bytes: usize,
) -> ServerBuilder {
    let mut settings = WebSocketSettings::default();
    settings.queue.overflow = overflow;
    settings.queue.messages = messages;
    settings.queue.bytes = bytes as u32;
    builder.websocket(settings)
}

/// The next messages up to the text that says that it is enough.
fn numbers_until_enough(client: &mut WebSocket) -> Vec<u8> {
    let mut numbers = Vec::new();
    loop {
        match client.hear() {
            Heard::Text(text) => {
                assert_eq!(text, "enough");
                return numbers;
            }
            heard => numbers.push(number(&heard)),
        }
    }
}

/// Has a peer read all that waits for it, and gives it with its numbers.
fn read_all(server: &Server, connection: &Connection, mut slow: WebSocket) -> (Vec<u8>, WebSocket) {
    let reading = std::thread::spawn(move || (numbers_until_enough(&mut slow), slow));
    wait_until("the queue is read", || connection.queued_messages() == 0);
    // By the way that broadcasts go, after all of them.
    server.broadcast("enough", &Recipients::all()).unwrap();
    reading.join().unwrap()
}

fn is_increasing(numbers: &[u8]) -> bool {
    numbers.is_sorted_by(|one, next| one < next)
}

#[test]
fn who_sends_to_a_slow_peer_waits_and_others_go_on() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::Wait, 4, 4 * MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let mut slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        let (told, progress) = channel();
        let sending = std::thread::spawn({
            let connection = connection.clone();
            move || {
                for count in 0..PILE {
                    connection.send(numbered(count as u8)).unwrap();
                    told.send(count).unwrap();
                }
            }
        });
        // At first messages go to the system, then into the queue, then the thread waits.
        assert_eq!(progress.recv(), Ok(0));
        wait_until("a full queue", || connection.queued_messages() == 4);
        assert!(connection.queued_bytes() <= 4 * MEBIBYTE);
        let mut other = WebSocket::connect(port);
        for _ in 0..100 {
            other.text("still here");
            assert_eq!(other.hear_text(), "still here");
        }
        journal.connection(1).send_text("you too").unwrap();
        assert_eq!(other.hear_text(), "you too");
        assert!(!sending.is_finished());
        for count in 0..PILE {
            assert_eq!(number(&slow.hear()), count as u8);
            assert!(connection.queued_messages() <= 4);
        }
        sending.join().unwrap();
        slow.leave();
        other.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn who_waits_is_woken_by_the_end() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::Wait, 1, MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        let sending: Vec<_> = (0..2)
            .map(|_| {
                let connection = connection.clone();
                std::thread::spawn(move || {
                    loop {
                        if let Err(error) = connection.send(numbered(0)) {
                            return error;
                        }
                    }
                })
            })
            .collect();
        wait_until("a full queue", || connection.queued_messages() == 1);
        slow.reset();
        for thread in sending {
            assert_eq!(thread.join().unwrap(), WriteError::Closed);
        }
        journal.disconnect();
        stop(server);
        journal.check();
    });
}

#[test]
fn clearing_a_queue_makes_room() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::Wait, 2, 2 * MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let mut slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        let sending = std::thread::spawn({
            let connection = connection.clone();
            move || {
                for count in 0..PILE {
                    connection.send(numbered(count as u8)).unwrap();
                }
                connection.send_text("enough").unwrap();
            }
        });
        let mut cleared = 0;
        wait_until("everything is sent", || {
            cleared += connection.clear_queue();
            sending.is_finished()
        });
        sending.join().unwrap();
        // The last text may have been cleared away as well.
        cleared += connection.clear_queue();
        connection.send_text("enough").unwrap();
        let numbers = numbers_until_enough(&mut slow);
        assert!(is_increasing(&numbers), "{numbers:?}");
        assert!(numbers.len() + cleared >= PILE && numbers.len() < PILE);
        slow.reset();
        stop(server);
        journal.check();
    });
}

#[test]
fn the_oldest_is_dropped() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::DropOldest, 4, 16 * MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        for count in 0..PILE {
            connection.send(numbered(count as u8)).unwrap();
            assert!(connection.queued_messages() <= 4);
        }
        server
            .broadcast(numbered(PILE as u8), &Recipients::all())
            .unwrap();
        // What came last is there, and all that is there is in order.
        let (numbers, slow) = read_all(&server, &connection, slow);
        assert!(is_increasing(&numbers), "{numbers:?}");
        let last: Vec<_> = (PILE as u8 - 2..=PILE as u8).collect();
        assert!(numbers.ends_with(&last), "{numbers:?}");
        assert!(numbers.len() < PILE, "{numbers:?}");
        slow.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn the_newest_is_dropped() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::DropNewest, 100, 4 * MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        let mut taken = Vec::new();
        for count in 0..PILE as u8 {
            match connection.send(numbered(count)) {
                Ok(()) => taken.push(count),
                Err(error) => assert_eq!(error, WriteError::Full),
            }
            assert!(connection.queued_bytes() <= 4 * MEBIBYTE);
        }
        assert!(taken.len() < PILE);
        let (numbers, slow) = read_all(&server, &connection, slow);
        assert_eq!(numbers, taken);
        slow.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn values_take_the_place_of_older_ones() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::Coalesce, 3, 4 * MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        // Three values, of which number modulo three says which one is meant.
        for count in 0..2 * PILE as u8 {
            let key = format!("value {}", count % 3);
            connection.send(numbered(count).with_key(key)).unwrap();
            assert!(connection.queued_messages() <= 3);
        }
        let newest = 2 * PILE as u8;
        let by_broadcast = numbered(newest).with_key("value 0");
        server.broadcast(by_broadcast, &Recipients::all()).unwrap();
        let (numbers, slow) = read_all(&server, &connection, slow);
        assert!(numbers.len() < 2 * PILE, "{numbers:?}");
        for value in 0..3 {
            let of_value = numbers.iter().filter(|number| **number % 3 == value);
            let of_value: Vec<_> = of_value.copied().collect();
            assert!(is_increasing(&of_value), "{numbers:?}");
            let expected = if value == 0 {
                newest
            } else {
                newest - 3 + value
            };
            assert_eq!(of_value.last(), Some(&expected), "{numbers:?}");
        }
        slow.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_slow_peer_is_dropped_if_asked_for() {
    for by_broadcast in [false, true] {
        in_each_setting(|builder, port| {
            let journal = Arc::new(Journal::default());
            // What waits for a broadcast ends its connection, whatever else its senders wait for.
            let overflow = match by_broadcast {
                true => Overflow::Wait,
                false => Overflow::Disconnect,
            };
            let builder = with_queue(builder, overflow, 2, 2 * MEBIBYTE);
            let server = start(journal.attach_echo(builder));
            let slow = Opening::new(port).narrow().open();
            let connection = journal.connection(0);
            let everybody = Recipients::all();
            wait_until("it is too much", || {
                let sent = match by_broadcast {
                    true => server.broadcast(numbered(0), &everybody),
                    false => connection.send(numbered(0)),
                };
                assert!(matches!(
                    sent,
                    Ok(()) | Err(WriteError::Full | WriteError::Closed)
                ));
                assert!(connection.queued_messages() <= 2);
                !connection.is_open()
            });
            let end = journal.disconnect();
            assert_eq!((end.code, end.by), (1008, EndedBy::Server));
            assert_eq!(&*end.reason, "too much waits to be sent");
            let told = Happened::Error("SlowReader".into());
            assert!(journal.entries().contains(&told));
            drop(slow);
            stop(server);
            journal.check();
        });
    }
}

#[test]
fn levels_say_what_goes_first() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::Wait, 100, 64 * MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let mut slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        for count in 0..PILE as u8 {
            connection.send(numbered(count)).unwrap();
        }
        connection.configure(|options| {
            options.queue.text = Level::Level3;
            options.queue.binary = Level::Level2;
            options.queue.ping = Level::Level1;
        });
        connection.send_text("three").unwrap();
        connection.send_text("four").unwrap();
        connection.send_binary(b"one").unwrap();
        connection.send_binary(b"two").unwrap();
        connection.ping(b"first").unwrap();
        for count in 0..PILE as u8 {
            assert_eq!(number(&slow.hear()), count);
        }
        assert_eq!(slow.hear(), Heard::Ping(b"first".into()));
        assert_eq!(slow.hear(), Heard::Binary(b"one".into()));
        assert_eq!(slow.hear(), Heard::Binary(b"two".into()));
        assert_eq!(slow.hear_text(), "three");
        assert_eq!(slow.hear_text(), "four");
        slow.leave();
        stop(server);
        journal.check();
    });
}
