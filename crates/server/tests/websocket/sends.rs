//! What the application sends: in order, whole, from any thread, and with what it is told of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tidegate::{
    Connection, Message, Opcode, Sent, Streaming, WebSocketSettings, WriteError, close_code,
};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal, Pages};
use crate::websocket::{Heard, Opening, WebSocket, frame};

#[test]
fn each_threads_messages_come_in_its_order() {
    const THREADS: usize = 4;
    const EACH: usize = 500;
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let connection = &connection;
                scope.spawn(move || {
                    for count in 0..EACH {
                        let text = format!("{thread} {count}");
                        match count % 3 {
                            0 => connection.send_text(&text).unwrap(),
                            1 => connection.send(text).unwrap(),
                            _ => connection.send(Message::text(text)).unwrap(),
                        }
                    }
                });
            }
            let mut next = HashMap::new();
            for _ in 0..THREADS * EACH {
                let text = client.hear_text();
                let (thread, count) = text.split_once(' ').unwrap();
                let expected = next.entry(thread.to_owned()).or_insert(0);
                assert_eq!(count.parse(), Ok(*expected), "{thread}");
                *expected += 1;
            }
        });
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn large_messages_go_both_ways() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let bytes: Vec<u8> = (0..16 << 20).map(|index| (index % 251) as u8).collect();
        let connection = journal.connection(0);
        let message = Message::binary(bytes.clone());
        let sending = std::thread::spawn(move || connection.send(message));
        assert!(client.hear() == Heard::Binary(bytes.clone()));
        sending.join().unwrap().unwrap();
        client.binary(&bytes[..4 << 20]);
        assert!(client.hear() == Heard::Binary(bytes[..4 << 20].to_vec()));
        let text = "0123456789abcdeé".repeat(1 << 16);
        client.text(&text);
        assert!(client.hear_text() == text);
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn parts_of_a_message_stay_together() {
    const MESSAGES: usize = 50;
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = Opening::new(port).in_fragments().open();
        let connection = journal.connection(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for message in 0..MESSAGES {
                    let parts = [Streaming::First, Streaming::Continue, Streaming::Last];
                    for (index, part) in parts.into_iter().enumerate() {
                        let text = format!("{message} {index}");
                        match message % 2 {
                            0 => connection.send_text_part(&text, part).unwrap(),
                            _ => connection.send_binary_part(text.as_bytes(), part).unwrap(),
                        }
                        // Others come in between, if they may.
                        std::thread::yield_now();
                    }
                }
                connection.send_text("end of parts").unwrap();
            });
            scope.spawn(|| {
                for count in 0..MESSAGES {
                    connection.send_text(&format!("whole {count}")).unwrap();
                    connection.ping(b"").unwrap();
                }
                connection.send_text("end of wholes").unwrap();
            });
            let mut parts = Vec::new();
            let (mut messages, mut wholes, mut ends) = (0, 0, 0);
            while ends < 2 {
                match client.hear() {
                    Heard::Ping(_) => {}
                    Heard::Text(text) => {
                        assert!(parts.is_empty(), "{text} within {parts:?}");
                        match text.starts_with("end") {
                            true => ends += 1,
                            false => {
                                assert_eq!(text, format!("whole {wholes}"));
                                wholes += 1;
                            }
                        }
                    }
                    Heard::Fragment(opcode, payload, fin) => {
                        let first = match messages % 2 {
                            0 => Opcode::Text,
                            _ => Opcode::Binary,
                        };
                        let expected = [first, Opcode::Continuation, Opcode::Continuation];
                        assert_eq!(opcode, expected[parts.len()]);
                        let text = format!("{messages} {}", parts.len());
                        assert_eq!(payload, text.as_bytes());
                        parts.push(text);
                        if fin {
                            assert_eq!(parts.len(), 3);
                            parts.clear();
                            messages += 1;
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((messages, wholes), (MESSAGES, MESSAGES));
        });
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_message_may_be_sent_while_others_come() {
    // The parts of the answer are given one for each message that comes.
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach(builder, |connection, happened| {
            if let Happened::Text(text) = happened {
                let part = match text.as_str() {
                    "first" => Streaming::First,
                    "last" => Streaming::Last,
                    "between" => return Ok(connection.send_text("between")?),
                    _ => Streaming::Continue,
                };
                connection.send_text_part(text, part)?;
            }
            Ok(())
        }));
        let mut client = Opening::new(port).in_fragments().open();
        for (text, opcode) in [
            ("first", Opcode::Text),
            ("next", Opcode::Continuation),
            ("another", Opcode::Continuation),
        ] {
            client.text(text);
            let fragment = Heard::Fragment(opcode, text.into(), false);
            assert_eq!(client.hear(), fragment);
        }
        // A message that is not a part of it waits until it has ended; a ping's answer does not.
        client.text("between");
        client.ping(b"here");
        assert_eq!(client.hear(), Heard::Pong(b"here".into()));
        client.text("last");
        let fragment = Heard::Fragment(Opcode::Continuation, b"last".into(), true);
        assert_eq!(client.hear(), fragment);
        assert_eq!(client.hear_text(), "between");
        // One that never ends does not keep a connection from closing.
        client.text("first");
        client.hear();
        client.text("between");
        client.ping(b"here");
        assert_eq!(client.hear(), Heard::Pong(b"here".into()));
        journal.connection(0).close(4000, "enough").unwrap();
        assert_eq!(client.answer_close(4000), "enough");
        assert_eq!(journal.disconnect().code, 4000);
        stop(server);
        journal.check();
    });
}

#[test]
fn parts_out_of_sequence_are_refused() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        let out = Err(WriteError::OutOfSequence);
        assert_eq!(connection.send_text_part("a", Streaming::Continue), out);
        assert_eq!(connection.send_text_part("a", Streaming::Last), out);
        connection.send_text_part("a", Streaming::First).unwrap();
        assert_eq!(connection.send_text_part("b", Streaming::First), out);
        connection.send_text_part("b", Streaming::Last).unwrap();
        assert_eq!(connection.send_text_part("c", Streaming::Last), out);
        assert_eq!(client.hear_text(), "ab");
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_message_is_sent_in_fragments_as_asked() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = Opening::new(port).in_fragments().open();
        let connection = journal.connection(0);
        let sent = Message::binary(vec![7; 10]).in_fragments_of(4);
        connection.send(sent.clone()).unwrap();
        server
            .broadcast(sent, &tidegate::Recipients::all())
            .unwrap();
        for _ in 0..2 {
            for (opcode, len, fin) in [
                (Opcode::Binary, 4, false),
                (Opcode::Continuation, 4, false),
                (Opcode::Continuation, 2, true),
            ] {
                assert_eq!(client.hear(), Heard::Fragment(opcode, vec![7; len], fin));
            }
        }
        let short = Message::text("0123").in_fragments_of(4);
        connection.send(short).unwrap();
        assert_eq!(client.hear_text(), "0123");
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn what_cannot_be_sent_is_refused() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        assert_eq!(connection.ping(&[0; 126]), Err(WriteError::TooLong));
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            let refused = Err(WriteError::BadCloseCode(code));
            assert_eq!(connection.close(code, ""), refused);
        }
        let reason = "x".repeat(124);
        let code = close_code::NORMAL;
        assert_eq!(connection.close(code, &reason), Err(WriteError::TooLong));
        client.text("still here");
        assert_eq!(client.hear_text(), "still here");
        connection.close(code, &reason[1..]).unwrap();
        assert_eq!(client.answer_close(code), reason[1..]);
        stop(server);
        journal.check();
    });
}

/// How often each context was told of, and whether it was sent.
fn told(pages: &Pages, connection: &Connection) -> BTreeMap<u64, Vec<bool>> {
    let mut told = BTreeMap::<_, Vec<_>>::new();
    for happened in pages.of(connection) {
        if let Happened::Sent(Sent {
            context, is_sent, ..
        }) = happened
        {
            told.entry(context).or_default().push(is_sent);
        }
    }
    told
}

#[test]
fn each_asynchronous_send_is_told_of_once() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.asynchronous = true;
        let builder = journal.attach(builder, |connection, happened| {
            if let Happened::Text(text) = happened {
                connection.send(Message::text(text.clone()).with_context(1000))?;
            }
            Ok(())
        });
        let server = start(builder.websocket(settings));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        for context in 0..100 {
            let message = Message::text(context.to_string()).with_context(context);
            connection.send(message).unwrap();
        }
        for context in 0..100 {
            assert_eq!(client.hear_text(), context.to_string());
        }
        client.text("from a handler");
        assert_eq!(client.hear_text(), "from a handler");
        let all = journal.wait("the last send", |pages| {
            let told = told(pages, &connection);
            (told.len() == 101).then_some(told)
        });
        assert!(all.values().all(|sent| *sent == [true]), "{all:?}");
        let bytes = journal
            .entries()
            .into_iter()
            .find_map(|happened| match happened {
                Happened::Sent(sent) if sent.context == 1000 => Some(sent.bytes),
                _ => None,
            });
        assert_eq!(bytes, Some("from a handler".len()));
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_lost_asynchronous_send_is_told_of_as_well() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.asynchronous = true;
        let server = start(journal.attach_echo(builder).websocket(settings));
        let client = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        let mut taken = Vec::new();
        for context in 0..20 {
            let message = Message::binary(vec![0; 1 << 20]).with_context(context);
            match connection.send(message) {
                Ok(()) => taken.push(context),
                // It never waits.
                Err(error) => assert_eq!(error, WriteError::Full),
            }
        }
        assert!(taken.len() >= 16, "{taken:?}");
        let dropped = connection.clear_queue();
        client.reset();
        journal.disconnect();
        let told = journal.wait("all sends", |pages| Some(told(pages, &connection)));
        let contexts: Vec<_> = told.keys().copied().collect();
        assert_eq!(contexts, taken);
        assert!(told.values().all(|sent| sent.len() == 1), "{told:?}");
        let lost = told.values().filter(|sent| **sent == [false]).count();
        assert!(lost >= dropped && lost > 0, "{told:?}");
        stop(server);
        journal.check();
    });
}

#[test]
fn a_ping_of_the_peer_is_answered_in_the_midst_of_a_message() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        client.frame(frame(Opcode::Text, false), b"one ");
        client.ping(b"in between");
        assert_eq!(client.hear(), Heard::Pong(b"in between".into()));
        client.frame(frame(Opcode::Continuation, true), b"two");
        assert_eq!(client.hear_text(), "one two");
        client.leave();
        stop(server);
        journal.check();
    });
}
