//! WebSocket messages that break a rule of the firewall close their connection with 1008.

use std::time::Duration;

use tidegate::{FloodAction, FragmentedMessages, ServerBuilder, WebSocketSettings};
use tidegate_proto::websocket::Opcode;

use crate::client::setting::{in_each_setting, start, stop};
use crate::firewall::firewall;
use crate::websocket::{Heard, Opening, encoded, frame};

fn echo(builder: ServerBuilder) -> ServerBuilder {
    builder
        .on_message(|connection, text| connection.send_text(text))
        .on_binary(|connection, data| connection.send_binary(data))
}

fn closed(reason: &str) -> Heard {
    Heard::Close(Some(1008), reason.to_owned())
}

#[test]
fn a_text_that_looks_like_an_attack_reaches_nobody() {
    in_each_setting(|builder, port| {
        let settings = firewall(|settings| {
            settings.patterns.sql_injection = true;
            settings.patterns.messages = true;
        });
        let server = start(echo(builder).firewall(settings));
        let mut socket = Opening::new(port).open();
        for ordinary in ["it's 1 or 2", "select a union; drop me a line"] {
            socket.text(ordinary);
            assert_eq!(socket.hear(), Heard::Text(ordinary.to_owned()));
        }
        socket.text("' or '1'='1");
        assert_eq!(socket.hear(), closed("forbidden content"));
        // In frames as in one.
        let mut socket = Opening::new(port).open();
        socket.write(&encoded(frame(Opcode::Text, false), b"' or '1"));
        socket.write(&encoded(frame(Opcode::Continuation, true), b"'='1"));
        assert_eq!(socket.hear(), closed("forbidden content"));
        stop(server);
    });
}

#[test]
fn messages_of_an_address_are_counted_over_its_connections() {
    in_each_setting(|builder, port| {
        let settings = firewall(|settings| {
            settings.messages.enabled = true;
            settings.messages.limit = 4;
            settings.messages.window = Duration::from_secs(3_600);
        });
        let server = start(echo(builder).firewall(settings));
        let mut first = Opening::new(port).open();
        let mut second = Opening::new(port).open();
        for _ in 0..2 {
            for socket in [&mut first, &mut second] {
                socket.text("hello");
                assert_eq!(socket.hear(), Heard::Text("hello".to_owned()));
            }
        }
        second.text("hello");
        assert_eq!(second.hear(), closed("too many messages"));
        first.write(&encoded(frame(Opcode::Binary, true), b"hello"));
        assert_eq!(first.hear(), closed("too many messages"));
        stop(server);
    });
}

#[test]
fn what_is_only_logged_goes_through() {
    in_each_setting(|builder, port| {
        let settings = firewall(|settings| {
            settings.messages.enabled = true;
            settings.messages.limit = 1;
            settings.messages.window = Duration::from_secs(3_600);
            settings.messages.action = FloodAction::Log;
        });
        let told = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counted = std::sync::Arc::clone(&told);
        let builder = echo(builder).on_firewall_violation(move |violation| {
            assert!(!violation.is_refused);
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        let server = start(builder.firewall(settings));
        let mut socket = Opening::new(port).open();
        for _ in 0..4 {
            socket.text("hello");
            assert_eq!(socket.hear(), Heard::Text("hello".to_owned()));
        }
        assert_eq!(told.load(std::sync::atomic::Ordering::Relaxed), 3);
        stop(server);
    });
}

#[test]
fn a_message_that_is_too_long_and_a_ban_close_the_connection() {
    in_each_setting(|builder, port| {
        let settings = firewall(|settings| settings.messages.max_bytes = 10);
        let server = start(echo(builder).firewall(settings));
        let mut socket = Opening::new(port).open();
        socket.text("0123456789");
        assert_eq!(socket.hear(), Heard::Text("0123456789".to_owned()));
        socket.text("0123456789a");
        assert_eq!(socket.hear(), closed("message too long"));
        let mut socket = Opening::new(port).open();
        server.ban("127.0.0.1".parse().unwrap(), None).unwrap();
        socket.text("a");
        assert_eq!(socket.hear(), closed("banned"));
        stop(server);
    });
}

#[test]
fn frames_that_are_delivered_alone_are_looked_at_alone() {
    in_each_setting(|builder, port| {
        let mut websocket = WebSocketSettings::default();
        websocket.fragmented_messages = FragmentedMessages::Fragments;
        let settings = firewall(|settings| settings.messages.max_bytes = 4);
        let builder =
            builder.on_fragmented(|connection, part| connection.send_binary(part.payload));
        let server = start(builder.websocket(websocket).firewall(settings));
        let mut socket = Opening::new(port).open();
        socket.write(&encoded(frame(Opcode::Binary, false), b"1234"));
        assert_eq!(socket.hear(), Heard::Binary(b"1234".to_vec()));
        socket.write(&encoded(frame(Opcode::Continuation, true), b"12345"));
        assert_eq!(socket.hear(), closed("message too long"));
        stop(server);
    });
}
