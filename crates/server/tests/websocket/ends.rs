//! How connections end: the code, the reason, who began; told once, last, after all else.

use std::sync::Arc;
use std::time::Duration;

use tidegate::{Disconnect, EndedBy, Message, Opcode, WebSocketSettings};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::websocket::{Heard, Opening, WebSocket, encoded, frame};

pub(crate) fn ended(disconnect: &Disconnect) -> (u16, &str, EndedBy) {
    (disconnect.code, &disconnect.reason, disconnect.by)
}

/// A heart that beats fast and gives up soon.
pub(crate) fn beat(settings: &mut WebSocketSettings) {
    settings.heartbeat.enabled = true;
    settings.heartbeat.interval = Duration::from_millis(20);
    settings.heartbeat.timeout = Duration::from_millis(50);
}

#[test]
fn events_come_in_order() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let (noted, order) = std::sync::mpsc::channel();
        let noted = std::sync::Mutex::new(noted);
        let builder = journal
            .attach_echo(builder)
            .on_handshake(move |handshake, _| {
                let target = handshake.request().document().to_owned();
                noted.lock().unwrap().send(target).unwrap();
            });
        let server = start(builder);
        let mut client = WebSocket::connect(port);
        assert_eq!(order.recv().unwrap(), "/");
        for text in ["one", "two", "three"] {
            client.text(text);
        }
        client.binary(b"four");
        for text in ["one", "two", "three"] {
            assert_eq!(client.hear_text(), text);
        }
        assert_eq!(client.hear(), Heard::Binary(b"four".into()));
        assert_eq!(server.connections().count(), 1);
        client.leave();
        let end = journal.disconnect();
        assert_eq!(ended(&end), (1000, "", EndedBy::Peer));
        let expected = [
            Happened::Connect,
            Happened::Text("one".into()),
            Happened::Text("two".into()),
            Happened::Text("three".into()),
            Happened::Binary(b"four".into()),
            Happened::Disconnect(end),
        ];
        assert_eq!(journal.entries(), expected);
        assert_eq!(server.connections().count(), 0);
        stop(server);
        journal.check();
    });
}

#[test]
fn a_peer_that_closes_is_answered_with_its_code() {
    let cases = [
        (Some(1000), "bye", 1000),
        (Some(1001), "", 1001),
        (Some(3000), "registered", 3000),
        (Some(4999), &"x".repeat(123), 4999),
        (None, "", 1005),
    ];
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        for (index, (code, reason, told)) in cases.into_iter().enumerate() {
            let mut client = WebSocket::connect(port);
            client.close(code, reason);
            assert_eq!(client.hear(), Heard::Close(code, String::new()));
            client.hear_end();
            let ends = journal.disconnects(index + 1);
            assert_eq!(ended(&ends[index]), (told, reason, EndedBy::Peer));
        }
        stop(server);
        journal.check();
    });
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_why() {
    let unmasked = b"\x81\x02hi".to_vec();
    let text = |fin| frame(Opcode::Text, fin);
    let mut reserved = encoded(text(true), b"hi");
    reserved[0] |= 0x40;
    let mut unknown = encoded(text(true), b"hi");
    unknown[0] = 0x83;
    let mut both_parts = encoded(text(false), b"one");
    both_parts.extend(encoded(text(true), b"two"));
    let mut too_big_in_parts = encoded(text(false), &[b'x'; 600]);
    too_big_in_parts.extend(encoded(frame(Opcode::Continuation, true), &[b'x'; 600]));
    let cases: [(&str, Vec<u8>, u16); 14] = [
        ("NotMasked", unmasked, 1002),
        ("ReservedBits", reserved, 1002),
        ("UnknownOpcode(3)", unknown, 1002),
        (
            "FragmentedControl",
            encoded(frame(Opcode::Ping, false), b""),
            1002,
        ),
        (
            "ControlTooLong",
            encoded(frame(Opcode::Ping, true), &[0; 126]),
            1002,
        ),
        ("LengthNotMinimal", b"\x81\xFE\x00\x02abcdhi".to_vec(), 1002),
        (
            "LengthTopBit",
            b"\x82\xFF\x80\0\0\0\0\0\0\0abcd".to_vec(),
            1002,
        ),
        (
            "NothingToContinue",
            encoded(frame(Opcode::Continuation, true), b"hi"),
            1002,
        ),
        ("MessageInterrupted", both_parts, 1002),
        (
            "CloseLength",
            encoded(frame(Opcode::Close, true), b"\x03"),
            1002,
        ),
        (
            "CloseCode(1005)",
            encoded(frame(Opcode::Close, true), b"\x03\xED"),
            1002,
        ),
        ("TextNotUtf8", encoded(text(true), b"\xC3\x28"), 1007),
        ("MessageTooLarge", encoded(text(true), &[b'x'; 1001]), 1009),
        ("MessageTooLarge", too_big_in_parts, 1009),
    ];
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.max_message_size = 1000;
        let server = start(journal.attach_echo(builder).websocket(settings));
        for (index, (name, bytes, code)) in cases.iter().enumerate() {
            let mut client = WebSocket::connect(port);
            client.text("before");
            client.write(bytes);
            // What came before is answered before.
            assert_eq!(client.hear_text(), "before", "{name}");
            assert_eq!(client.hear(), Heard::Close(Some(*code), String::new()));
            client.hear_end();
            let ends = journal.disconnects(index + 1);
            let (end, reason, by) = ended(&ends[index]);
            assert_eq!((end, by), (*code, EndedBy::Server), "{name}");
            assert!(!reason.is_empty());
            let entries = journal.entries();
            let told = &entries[entries.len() - 2];
            assert_eq!(*told, Happened::Error((*name).to_owned()), "{entries:?}");
        }
        stop(server);
        journal.check();
    });
}

#[test]
fn a_close_of_the_server_waits_for_the_answer() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        for (index, answer) in [Some(4000), Some(1000), None].into_iter().enumerate() {
            let mut client = WebSocket::connect(port);
            let connection = journal.connection(index);
            connection.send_text("last words").unwrap();
            connection.close(4000, "enough").unwrap();
            assert!(!connection.is_open());
            assert!(connection.send_text("too late").is_err());
            assert!(connection.close(4001, "again").is_err());
            // Nobody hears what comes now.
            client.text("late");
            assert_eq!(client.hear_text(), "last words");
            assert_eq!(client.hear(), Heard::Close(Some(4000), "enough".into()));
            client.close(answer, "");
            client.hear_end();
            let ends = journal.disconnects(index + 1);
            assert_eq!(ended(&ends[index]), (4000, "enough", EndedBy::Server));
            assert_eq!(connection.ended().as_ref(), Some(&ends[index]));
        }
        stop(server);
        let entries = journal.entries();
        let texts = entries
            .iter()
            .filter(|happened| matches!(happened, Happened::Text(_)));
        assert_eq!(texts.count(), 0, "{entries:?}");
        journal.check();
    });
}

#[test]
fn a_peer_that_does_not_answer_a_close_is_dropped() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.close_timeout = Duration::from_millis(50);
        let server = start(journal.attach_echo(builder).websocket(settings));
        let mut client = WebSocket::connect(port);
        journal.connection(0).close(4000, "enough").unwrap();
        assert_eq!(client.hear(), Heard::Close(Some(4000), "enough".into()));
        client.hear_end();
        let end = journal.disconnect();
        assert_eq!(ended(&end), (1006, "enough", EndedBy::Server));
        // One that goes without an answer is no better.
        let mut client = WebSocket::connect(port);
        journal.connection(1).close(4000, "enough").unwrap();
        assert_eq!(client.hear(), Heard::Close(Some(4000), "enough".into()));
        client.end();
        client.hear_end();
        let ends = journal.disconnects(2);
        assert_eq!(ended(&ends[1]), (1006, "enough", EndedBy::Server));
        stop(server);
        journal.check();
    });
}

#[test]
fn a_disconnect_does_not_wait() {
    for is_clean in [true, false] {
        in_each_setting(|builder, port| {
            let journal = Arc::new(Journal::default());
            let mut settings = WebSocketSettings::default();
            settings.clean_disconnect = is_clean;
            let server = start(journal.attach_echo(builder).websocket(settings));
            let mut client = WebSocket::connect(port);
            journal.connection(0).disconnect(4001);
            if is_clean {
                assert_eq!(client.hear(), Heard::Close(Some(4001), String::new()));
            }
            assert_eq!(client.hear(), Heard::End);
            let end = journal.disconnect();
            assert_eq!(ended(&end), (4001, "", EndedBy::Server));
            // A code that may not stand in a frame is told, and not sent.
            let mut client = WebSocket::connect(port);
            journal.connection(1).disconnect(1006);
            if is_clean {
                assert_eq!(client.hear(), Heard::Close(None, String::new()));
            }
            assert_eq!(client.hear(), Heard::End);
            assert_eq!(journal.disconnects(2)[1].code, 1006);
            stop(server);
            journal.check();
        });
    }
}

#[test]
fn a_lost_connection_is_told() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        client.text("here");
        assert_eq!(client.hear_text(), "here");
        client.reset();
        let end = journal.disconnect();
        assert_eq!(ended(&end), (1006, "", EndedBy::Network));
        let mut client = WebSocket::connect(port);
        client.text("here");
        client.end();
        assert_eq!(client.hear_text(), "here");
        client.hear_end();
        let ends = journal.disconnects(2);
        assert_eq!(ended(&ends[1]), (1006, "", EndedBy::Network));
        stop(server);
        journal.check();
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_dropped() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        journal.connection(0).configure(beat);
        // It reads the pings, and says nothing.
        client.hear_end();
        let end = journal.disconnect();
        assert_eq!(ended(&end), (1006, "no pong in time", EndedBy::Server));
        assert!(
            journal
                .entries()
                .contains(&Happened::Error("NoPong".into()))
        );
        stop(server);
        journal.check();
    });
}

#[test]
fn a_peer_that_takes_nothing_is_dropped() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.write_timeout = Duration::from_millis(100);
        let server = start(journal.attach_echo(builder).websocket(settings));
        let client = Opening::new(port).narrow().open();
        let message = Message::binary(vec![0; 16 << 20]);
        journal.connection(0).send(message).unwrap();
        let end = journal.disconnect();
        assert_eq!((end.code, end.by), (1006, EndedBy::Server));
        let told = Happened::Error("SlowReader".into());
        assert!(journal.entries().contains(&told));
        drop(client);
        stop(server);
        journal.check();
    });
}
