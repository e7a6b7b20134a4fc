//! What arrives: whole messages, fragments, text and what is not, and how much of it is taken.

use std::sync::Arc;

use tidegate::{FragmentedMessages, Opcode, WebSocketSettings};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::websocket::{Heard, WebSocket, encoded, frame};

/// A text in three frames, between which others come.
fn in_three(client: &mut WebSocket, parts: [&[u8]; 3]) {
    client.frame(frame(Opcode::Text, false), parts[0]);
    client.ping(b"1");
    client.frame(frame(Opcode::Continuation, false), parts[1]);
    client.frame(frame(Opcode::Continuation, true), parts[2]);
    assert_eq!(client.hear(), Heard::Pong(b"1".into()));
}

#[test]
fn messages_in_several_frames_are_delivered_as_asked() {
    let fragments = [
        Happened::Fragment(Opcode::Text, b"one \xC3".into(), false),
        Happened::Fragment(Opcode::Continuation, b"\xA9 ".into(), false),
        Happened::Fragment(Opcode::Continuation, b"two".into(), true),
    ];
    let whole = [Happened::Text("one é two".into())];
    for (mode, expected) in [
        (FragmentedMessages::Whole, whole.to_vec()),
        (FragmentedMessages::Fragments, fragments.to_vec()),
        (FragmentedMessages::Both, [&fragments[..], &whole].concat()),
    ] {
        in_each_setting(|builder, port| {
            let journal = Arc::new(Journal::default());
            let mut settings = WebSocketSettings::default();
            settings.fragmented_messages = mode;
            let builder = journal.attach(builder, |_, _| Ok(()));
            let server = start(builder.websocket(settings));
            let mut client = WebSocket::connect(port);
            in_three(&mut client, [b"one \xC3", b"\xA9 ", b"two"]);
            // What comes in one frame is whole always.
            client.text("three");
            journal.wait("the last text", |pages| {
                let last = pages.entries.last().map(|(_, happened)| happened.clone());
                (last == Some(Happened::Text("three".into()))).then_some(())
            });
            client.leave();
            let end = Happened::Disconnect(journal.disconnect());
            let mut all = vec![Happened::Connect];
            all.extend(expected.clone());
            all.extend([Happened::Text("three".into()), end]);
            assert_eq!(journal.entries(), all);
            assert_eq!(journal.connection(0).received_messages(), 2);
            stop(server);
            journal.check();
        });
    }
}

#[test]
fn text_that_is_none_is_replaced_where_it_is_let_in() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.validate_utf8 = false;
        let server = start(journal.attach_echo(builder).websocket(settings));
        let mut client = WebSocket::connect(port);
        client.frame(frame(Opcode::Text, true), b"a\xC3(\xFFb");
        assert_eq!(client.hear_text(), "a\u{FFFD}(\u{FFFD}b");
        in_three(&mut client, [b"\xC3", b"\xA9\xFF", b"!"]);
        assert_eq!(client.hear_text(), "é\u{FFFD}!");
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_message_as_long_as_allowed_is_taken() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.max_message_size = 1000;
        let server = start(journal.attach_echo(builder).websocket(settings));
        let text = "x".repeat(1000);
        let mut client = WebSocket::connect(port);
        client.text(&text);
        assert_eq!(client.hear_text(), text);
        in_three(&mut client, [&[b'x'; 400], &[b'x'; 400], &[b'x'; 200]]);
        assert_eq!(client.hear_text(), text);
        // Refused by what its head says, before it has come.
        let head = &encoded(frame(Opcode::Binary, true), &[0; 1001])[..8];
        client.write(head);
        client.answer_close(1009);
        let mut client = WebSocket::connect(port);
        client.frame(frame(Opcode::Text, false), &[b'x'; 1000]);
        client.frame(frame(Opcode::Continuation, false), b"");
        client.frame(frame(Opcode::Continuation, true), b"x");
        client.answer_close(1009);
        stop(server);
        journal.check();
    });
}

#[test]
fn frames_may_be_split_anywhere() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let mut bytes = encoded(frame(Opcode::Text, true), "é and more".as_bytes());
        bytes.extend(encoded(frame(Opcode::Ping, true), b"there?"));
        bytes.extend(encoded(frame(Opcode::Binary, false), &[7; 130]));
        bytes.extend(encoded(frame(Opcode::Continuation, true), &[8; 3]));
        for byte in &bytes {
            client.write(&[*byte]);
        }
        let binary = [&[7; 130][..], &[8; 3]].concat();
        let heard: Vec<_> = (0..3).map(|_| client.hear()).collect();
        let position = |wanted: Heard| heard.iter().position(|found| *found == wanted);
        let text = position(Heard::Text("é and more".into()));
        assert!(text.is_some() && text < position(Heard::Binary(binary)));
        assert!(position(Heard::Pong(b"there?".into())).is_some());
        client.leave();
        stop(server);
        journal.check();
    });
}
