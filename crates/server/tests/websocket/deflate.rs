//! Compressed messages: agreed upon with each client, bounded, shared by broadcasts.

use std::sync::Arc;

use tidegate::{Message, Opcode, Recipients, ServerBuilder, WebSocketSettings};
use tidegate_proto::websocket::{DeflateSettings, FrameHead};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::websocket::{Heard, Opening, WebSocket, frame};

fn with_deflate(
    builder: ServerBuilder,
    change: impl FnOnce(&mut WebSocketSettings),
) -> ServerBuilder {
    let mut settings = WebSocketSettings::default();
    settings.per_message_deflate.enabled = true;
    change(&mut settings);
    builder.websocket(settings)
}

/// Text that compresses well, and other one for each number.
fn text(number: usize) -> String {
    format!(
        "the number {number} is followed by {} and so on. ",
        number + 1
    )
    .repeat(100)
}

fn opening(port: u16, wish: usize) -> Opening {
    Opening::new(port).deflate(|settings: &mut DeflateSettings| match wish {
        0 => {}
        1 => settings.server_no_context_takeover = true,
        2 => settings.client_no_context_takeover = true,
        3 => settings.server_max_window_bits = 9,
        4 => settings.client_max_window_bits = 10,
        5 => {
            settings.server_max_window_bits = 8;
            settings.server_no_context_takeover = true;
            settings.client_no_context_takeover = true;
        }
        _ => settings.server_max_window_bits = 12,
    })
}

#[test]
fn compressed_text_comes_back_compressed() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_deflate(journal.attach_echo(builder), |_| {}));
        for wish in 0..7 {
            let mut client = opening(port, wish).open();
            let agreement = client.agreement.unwrap();
            assert_eq!(agreement.server_no_context_takeover, matches!(wish, 1 | 5));
            assert_eq!(agreement.client_no_context_takeover, matches!(wish, 2 | 5));
            let bits = [15, 15, 15, 9, 15, 8, 12][wish];
            assert_eq!(agreement.server_max_window_bits, bits);
            for number in 0..5 {
                client.compressed(&text(number));
                assert_eq!(client.hear_text(), text(number));
            }
            // What is not compressed is taken as well, and so is a compressed one in parts.
            client.text("short");
            assert_eq!(client.hear_text(), "short");
            let connection = journal.connection(wish);
            assert!(connection.is_compressed());
            // The smallest window is too small to be worth it.
            let plain = 5 * text(0).len() as u64;
            assert!(wish == 5 || connection.sent_bytes() < plain / 2, "{wish}");
            let parts = Message::text(text(9)).in_fragments_of(10);
            connection.send(parts).unwrap();
            assert_eq!(client.hear_text(), text(9));
            client.leave();
        }
        stop(server);
        journal.check();
    });
}

#[test]
fn what_the_server_wants_is_agreed_upon() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_deflate(journal.attach_echo(builder), |settings| {
            settings.per_message_deflate.server_max_window_bits = 10;
            settings.per_message_deflate.client_max_window_bits = 11;
            settings.per_message_deflate.server_no_context_takeover = true;
            settings.per_message_deflate.client_no_context_takeover = true;
        });
        let builder = builder.on_handshake(|handshake, response| {
            if handshake.request().document() == "/plain" {
                response.configure(|options| options.per_message_deflate.enabled = false);
            }
        });
        let server = start(builder);
        let mut client = opening(port, 0).open();
        let agreement = client.agreement.unwrap();
        assert_eq!(agreement.server_max_window_bits, 10);
        assert_eq!(agreement.client_max_window_bits, 11);
        assert!(agreement.server_no_context_takeover && agreement.client_no_context_takeover);
        client.compressed(&text(1));
        assert_eq!(client.hear_text(), text(1));
        client.leave();
        // Whoever does not offer it, or is not to have it, does without.
        for mut client in [
            WebSocket::connect(port),
            opening(port, 0).target("/plain").open(),
        ] {
            assert!(client.agreement.is_none());
            client.text(&text(1));
            assert_eq!(client.hear_text(), text(1));
            client.leave();
        }
        assert!(!journal.connection(2).is_compressed());
        stop(server);
        journal.check();
    });
}

#[test]
fn a_broadcast_is_compressed_once_for_all() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_deflate(journal.attach_echo(builder), |_| {});
        let server = start(builder.io_threads(2));
        let mut clients: Vec<_> = (0..7).map(|wish| opening(port, wish).open()).collect();
        clients.push(WebSocket::connect(port));
        journal.connection(7);
        for number in 0..10 {
            // Between broadcasts, each has messages of its own, which refer to what was before.
            for (index, client) in clients.iter_mut().enumerate() {
                match index {
                    7 => client.text(&text(number)),
                    _ => client.compressed(&text(number)),
                }
                assert_eq!(client.hear_text(), text(number));
            }
            let everybody = Recipients::all();
            server.broadcast(text(number + 1), &everybody).unwrap();
            server.broadcast("short", &everybody).unwrap();
            let parts = Message::text(text(number)).in_fragments_of(10);
            server.broadcast(parts, &everybody).unwrap();
            for client in &mut clients {
                assert_eq!(client.hear_text(), text(number + 1));
                assert_eq!(client.hear_text(), "short");
                assert_eq!(client.hear_text(), text(number));
            }
        }
        for index in 0..8 {
            let connection = journal.connection(index);
            let plain = 30 * text(0).len() as u64;
            let is_small = connection.sent_bytes() < plain / 2;
            assert!(index == 5 || is_small == (index < 7), "{index}");
        }
        clients.into_iter().for_each(WebSocket::leave);
        stop(server);
        journal.check();
    });
}

#[test]
fn fragments_are_as_long_as_asked_when_compressed() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_deflate(journal.attach_echo(builder), |_| {}));
        let mut client = opening(port, 0).open();
        let connection = journal.connection(0);
        let message = Message::text(text(1)).in_fragments_of(10);
        connection.send(message.clone()).unwrap();
        server.broadcast(message, &Recipients::all()).unwrap();
        for _ in 0..2 {
            let mut is_first = true;
            loop {
                let head: FrameHead = client.hear_frame_head();
                assert_eq!(head.rsv1, is_first);
                assert!(head.payload_len <= 10, "{head:?}");
                is_first = false;
                if head.fin {
                    break;
                }
            }
        }
        client.reset();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_message_is_inflated_no_further_than_allowed() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_deflate(journal.attach_echo(builder), |settings| {
            settings.max_message_size = 100_000;
        });
        let server = start(builder);
        let mut client = opening(port, 0).open();
        let longest = "x".repeat(100_000);
        client.compressed(&longest);
        assert_eq!(client.hear_text(), longest);
        client.compressed(&"x".repeat(100_001));
        client.answer_close(1009);
        let mut client = opening(port, 0).open();
        let malformed = FrameHead {
            rsv1: true,
            ..frame(Opcode::Text, true)
        };
        client.frame(malformed, b"\xFF\xFF\xFF");
        client.answer_close(1007);
        let mut client = WebSocket::connect(port);
        client.frame(malformed, b"");
        client.answer_close(1002);
        stop(server);
        journal.check();
    });
}

#[test]
fn what_exceeds_the_memory_of_all_is_refused_with_1013() {
    const BOMBS: usize = 64;
    const EACH: usize = 256 << 10;
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_deflate(journal.attach_echo(builder), |settings| {
            settings.memory_budget = 16 * EACH as u64;
        });
        let server = start(builder.io_threads(2));
        let mut other = WebSocket::connect(port);
        // Each is all but finished: what it inflates to is held, as far as there is room for it.
        let payload = opening(port, 0).open().deflated(&"x".repeat(EACH));
        let mut bombs: Vec<_> = (0..BOMBS)
            .map(|_| {
                let mut client = opening(port, 0).open();
                let head = FrameHead {
                    rsv1: true,
                    ..frame(Opcode::Text, false)
                };
                client.frame(head, &payload);
                client
            })
            .collect();
        other.text("still here");
        assert_eq!(other.hear_text(), "still here");
        let (mut refused, mut served) = (0, 0);
        for client in &mut bombs {
            client.frame_if_open(frame(Opcode::Continuation, true), b"");
            match client.hear() {
                Heard::Close(code, _) => {
                    assert_eq!(code, Some(1013));
                    refused += 1;
                }
                Heard::Text(text) => {
                    assert_eq!(text.len(), EACH);
                    served += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(
            refused > 0 && served > 0,
            "{refused} refused, {served} served"
        );
        assert!(refused >= BOMBS - 16, "{refused} refused");
        // As the peer's error, or as the handler's when it was for its answer that there was no room.
        let is_told = |entry: &&Happened| match entry {
            Happened::Error(text) => text == "BudgetSpent",
            Happened::Exception(text) => text.contains("too much waits"),
            _ => false,
        };
        let entries = journal.entries();
        assert_eq!(entries.iter().filter(is_told).count(), refused);
        other.text("still here");
        assert_eq!(other.hear_text(), "still here");
        // All of it is given back.
        drop(bombs);
        journal.disconnects(BOMBS + 1);
        let mut client = opening(port, 0).open();
        client.compressed(&"x".repeat(4 * EACH));
        assert_eq!(client.hear_text().len(), 4 * EACH);
        client.leave();
        other.leave();
        stop(server);
        journal.check();
    });
}
