//! Handlers that fail: their connection ends, the others go on.

use std::sync::Arc;

use tidegate::{EndedBy, FragmentedMessages, Opcode, WebSocketSettings};

use crate::client::setting::{in_each_setting, start, stop};
use crate::ends::{beat, ended};
use crate::journal::{Happened, Journal, echo};
use crate::websocket::{Opening, encoded, frame};

#[test]
fn a_failing_handler_ends_its_connection_with_1011() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.fragmented_messages = FragmentedMessages::Both;
        let builder = journal.attach(builder, |connection, happened| match happened {
            Happened::Connect if connection.url() == "/connect" => panic!("in connect"),
            Happened::Text(text) if text == "panic" => panic!("in text"),
            Happened::Text(text) if text == "fail" => Err("failed".into()),
            Happened::Binary(data) if data == b"panic" => panic!("in binary"),
            Happened::Binary(data) if data == b"fail" => Err("failed".into()),
            Happened::Fragment(_, data, _) if data == b"panic" => panic!("in fragment"),
            Happened::Fragment(_, data, _) if data == b"fail" => Err("failed".into()),
            Happened::Heartbeat if connection.url() == "/heartbeat" => panic!("in heartbeat"),
            Happened::Disconnect(_) if connection.url() == "/end" => panic!("in disconnect"),
            _ => echo(connection, happened),
        });
        let server = start(builder.websocket(settings));
        let whole = |opcode, payload: &[u8]| encoded(frame(opcode, true), payload);
        let part = |payload: &[u8]| encoded(frame(Opcode::Text, false), payload);
        let cases = [
            ("/connect", Vec::new(), "in connect"),
            ("/", whole(Opcode::Text, b"panic"), "in text"),
            ("/", whole(Opcode::Text, b"fail"), "failed"),
            ("/", whole(Opcode::Binary, b"panic"), "in binary"),
            ("/", whole(Opcode::Binary, b"fail"), "failed"),
            ("/", part(b"panic"), "in fragment"),
            ("/", part(b"fail"), "failed"),
            ("/heartbeat", Vec::new(), "in heartbeat"),
        ];
        for (index, (target, bytes, message)) in cases.iter().enumerate() {
            let mut client = Opening::new(port).target(target).open();
            if *target == "/heartbeat" {
                journal.connection(index).configure(beat);
            }
            if *target == "/heartbeat" {
                client.answer_close(1011);
                journal.disconnects(index + 1);
                continue;
            }
            client.write(bytes);
            // Nobody hears what comes after; a part of a message goes on.
            let late = match message_goes_on(bytes) {
                true => frame(Opcode::Continuation, true),
                false => frame(Opcode::Text, true),
            };
            client.frame(late, b"late");
            assert_eq!(client.answer_close(1011), "");
            let ends = journal.disconnects(index + 1);
            assert_eq!(ended(&ends[index]), (1011, "", EndedBy::Server));
            let told = journal.entries().into_iter().any(
                |happened| matches!(happened, Happened::Exception(text) if text.contains(message)),
            );
            assert!(told, "{message}");
        }
        let panics = journal.entries().into_iter().filter(
            |happened| matches!(happened, Happened::Exception(text) if text.contains("in heartbeat")),
        );
        assert_eq!(panics.count(), 1);
        // Others go on, and the last event may fail as well.
        let mut client = Opening::new(port).target("/end").open();
        client.text("still here");
        assert_eq!(client.hear_text(), "still here");
        client.leave();
        journal.wait("the panic's exception", |pages| {
            let panics = |happened: &Happened| matches!(happened, Happened::Exception(text) if text.contains("in disconnect"));
            pages.entries.iter().any(|(_, happened)| panics(happened)).then_some(())
        });
        stop(server);
        let late = |happened: &Happened| format!("{happened:?}").contains("late");
        assert!(!journal.entries().iter().any(late));
        journal.check();
    });
}

fn message_goes_on(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first & 0x80 == 0)
}
