//! Connections over server-sent events: to the application like all others.

use std::sync::Arc;
use std::time::Duration;

use tidegate::{ChannelProtocol, EndedBy, Message, Opcode, Recipients, Streaming, Transport};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::ends::{beat, ended};
use crate::events_client::{ASKS, Events, heard, with_fallback};
use crate::journal::{Happened, Journal};
use crate::websocket::WebSocket;

#[test]
fn a_connection_is_like_any_other() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::open(port, "/chat", "&room=%20a&tidegate-protocol=none");
        assert_eq!((client.session.len(), &client.protocol), (32, &None));
        let connection = journal.connection(0);
        assert_eq!(connection.transport(), Transport::ServerSentEvents);
        assert_eq!(connection.transport().to_string(), "SSE");
        assert_eq!(connection.url(), "/chat?room=%20a");
        let headers = connection.headers_request();
        assert_eq!(headers.header("host").as_deref(), Some("127.0.0.1"));
        assert!(!connection.is_compressed() && connection.is_open());
        assert_eq!(server.connections().count(), 1);
        client.say(r#"[{"text":"one\r\n\u0000\"ä"},{"binary":"AAH/"},{"text":""}]"#);
        client.say(r#"[]"#);
        client.say(r#"[{"text":"four"}]"#);
        assert_eq!(client.hear_text(), "one\r\n\0\"ä");
        assert_eq!(client.hear(), heard("binary", "AAH/"));
        assert_eq!(client.hear_text(), "");
        assert_eq!(client.hear_text(), "four");
        assert_eq!(connection.received_messages(), 4);
        assert!(connection.sent_bytes() > 0 && connection.last_message_at().is_some());
        client.say(r#"[{"text":"last"},{"close":{"code":4000,"reason":"bye"}},{"text":"late"}]"#);
        assert_eq!(client.hear_text(), "last");
        assert_eq!(
            client.hear(),
            heard("close", r#"{"code":4000,"reason":""}"#)
        );
        assert_eq!(client.hear(), None);
        let end = journal.disconnect();
        assert_eq!(ended(&end), (4000, "bye", EndedBy::Peer));
        let expected = [
            Happened::Connect,
            Happened::Text("one\r\n\0\"ä".into()),
            Happened::Binary(vec![0, 1, 255]),
            Happened::Text(String::new()),
            Happened::Text("four".into()),
            Happened::Text("last".into()),
            Happened::Disconnect(end),
        ];
        assert_eq!(journal.entries(), expected);
        assert!(connection.send_text("too late").is_err());
        assert_eq!(server.connections().count(), 0);
        // A client that has not closed is closed with the code that stands for none.
        let mut client = Events::connect(port);
        client.say(r#"[{"close":{}}]"#);
        assert_eq!(
            client.hear(),
            heard("close", r#"{"code":1005,"reason":""}"#)
        );
        assert_eq!(client.hear(), None);
        assert_eq!(ended(&journal.disconnects(2)[1]), (1005, "", EndedBy::Peer));
        stop(server);
        journal.check();
    });
}

#[test]
fn a_close_of_the_server_needs_no_answer() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::connect(port);
        let connection = journal.connection(0);
        connection.send_text("last words").unwrap();
        connection.close(4001, "enough").unwrap();
        assert_eq!(client.hear_text(), "last words");
        assert_eq!(
            client.hear(),
            heard("close", r#"{"code":4001,"reason":"enough"}"#)
        );
        assert_eq!(client.hear(), None);
        assert_eq!(
            ended(&journal.disconnect()),
            (4001, "enough", EndedBy::Server)
        );
        let mut client = Events::connect(port);
        journal.connection(1).disconnect(4002);
        assert_eq!(
            client.hear(),
            heard("close", r#"{"code":4002,"reason":""}"#)
        );
        assert_eq!(client.hear(), None);
        assert_eq!(
            ended(&journal.disconnects(2)[1]),
            (4002, "", EndedBy::Server)
        );
        // One that is not clean breaks off.
        let client = Events::connect(port);
        let connection = journal.connection(2);
        connection.configure(|options| options.clean_disconnect = false);
        connection.disconnect(4003);
        assert!(client.breaks_off());
        assert_eq!(journal.disconnects(3)[2].code, 4003);
        stop(server);
        journal.check();
    });
}

#[test]
fn a_stream_that_breaks_ends_the_connection() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::connect(port);
        client.say_text("here");
        let (session, number) = (client.session.clone(), client.next_number());
        drop(client);
        assert_eq!(ended(&journal.disconnect()), (1006, "", EndedBy::Network));
        let other = Events::connect(port);
        let answer = other.post(&session, &number, r#"[{"text":"late"}]"#);
        assert_eq!(answer.status, 404);
        drop(other);
        assert_eq!(journal.disconnects(2)[1].code, 1006);
        stop(server);
        journal.check();
    });
}

#[test]
fn groups_broadcasts_and_sub_protocols_reach_it() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = builder.register_protocol(ChannelProtocol::builder().build());
        let server = start(with_fallback(
            journal.attach(builder, |_, _| Ok(())),
            |_| {},
        ));
        let mut speaker = Events::open(
            port,
            "/",
            "&tidegate-protocol=x&tidegate-protocol=tidegate.channels",
        );
        assert_eq!(speaker.protocol.as_deref(), Some("tidegate.channels"));
        // One after the other: they are told of on threads of their own.
        let mut connections = vec![journal.connection(0)];
        let mut plain = Events::connect(port);
        connections.push(journal.connection(1));
        let mut socket = WebSocket::connect(port);
        connections.push(journal.connection(2));
        assert_eq!(connections[0].protocol(), Some("tidegate.channels"));
        speaker.say(
            r#"[{"text":"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"channel\":\"news\"}}"},
                {"text":"{\"jsonrpc\":\"2.0\",\"method\":\"publish\",\"params\":{\"channel\":\"news\",\"message\":7}}"}]"#,
        );
        assert_eq!(
            speaker.hear_text(),
            r#"{"jsonrpc":"2.0","id":1,"result":true}"#
        );
        let published = speaker.hear_text();
        assert!(
            published.contains(r#""channel":"news","message":7"#),
            "{published}"
        );

        server
            .broadcast(Message::text("to all"), &Recipients::default())
            .unwrap();
        assert_eq!(speaker.hear_text(), "to all");
        assert_eq!(plain.hear_text(), "to all");
        assert_eq!(socket.hear_text(), "to all");
        let groups = server.connections().groups();
        for member in &connections[1..] {
            groups.add("some", member);
        }
        groups
            .broadcast("some", Message::binary(&b"\0"[..]))
            .unwrap();
        assert_eq!(plain.hear(), heard("binary", "AA=="));
        assert!(server.write_data(connections[1].guid(), Message::text("to one")));
        assert_eq!(plain.hear_text(), "to one");
        server.disconnect_all().unwrap();
        for client in [&mut speaker, &mut plain] {
            assert_eq!(
                client.hear(),
                heard("close", r#"{"code":1000,"reason":""}"#)
            );
            assert_eq!(client.hear(), None);
        }
        socket.leave();
        journal.disconnects(3);
        stop(server);
        journal.check();
    });
}

#[test]
fn messages_in_parts_come_whole() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::connect(port);
        let connection = journal.connection(0);
        connection.send_text_part("one ", Streaming::First).unwrap();
        connection.ping(b"x").unwrap();
        connection
            .send_text_part("two ", Streaming::Continue)
            .unwrap();
        connection.send_text_part("three", Streaming::Last).unwrap();
        let long = "水".repeat(100_000);
        let message = Message::text(long.clone()).in_fragments_of(1000);
        connection.send(message).unwrap();
        let mut texts = Vec::new();
        while texts.len() < 2 {
            match client.hear().unwrap() {
                (name, data) if name == "text" => {
                    texts.push(serde_json::from_str::<String>(&data).unwrap())
                }
                ping => assert_eq!(Some(ping), heard("ping", "eA==")),
            }
        }
        assert!(texts == ["one two three", &long]);
        drop(client);
        journal.disconnect();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_heart_beats() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::connect(port);
        let connection = journal.connection(0);
        connection.configure(|options| {
            beat(options);
            options.heartbeat.timeout = Duration::from_secs(20);
        });
        for _ in 0..3 {
            assert_eq!(client.hear(), heard("ping", ""));
            client.say(r#"[{"pong":""}]"#);
        }
        assert!(connection.last_pong_at().is_some());
        // It reads the pings, and says nothing.
        connection.configure(beat);
        assert!(client.breaks_off());
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
fn who_does_not_read_is_not_heard() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::connect(port);
        // Far more than the system and the queues between take, both ways.
        let text = "x".repeat(200_000);
        let batch = format!(
            "[{}]",
            vec![format!(r#"{{"text":"{text}"}}"#); 60].join(",")
        );
        client.begin(&batch);
        assert_eq!(client.hear_text(), text);
        let busy = client.post(&client.session.clone(), "1", "[]");
        // Unless all has gone its way already.
        assert!(matches!(busy.status, 429 | 204), "{}", busy.status);
        for _ in 1..60 {
            assert_eq!(client.hear_text(), text);
        }
        assert_eq!(client.answer().status, 204);
        let again = client.post(&client.session.clone(), "1", "[]");
        assert_eq!(again.status, 204);
        client.say_text("after");
        assert_eq!(client.hear_text(), "after");
        drop(client);
        assert_eq!(journal.disconnect().code, 1006);
        stop(server);
        journal.check();
    });
}

#[test]
fn a_peer_that_takes_nothing_is_dropped() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |settings| {
            settings.write_timeout = Duration::from_millis(100);
        }));
        let client = Events::connect(port);
        let message = Message::binary(vec![0; 16 << 20]);
        journal.connection(0).send(message).unwrap();
        let end = journal.disconnect();
        assert_eq!((end.code, end.by), (1006, EndedBy::Server));
        assert!(
            journal
                .entries()
                .contains(&Happened::Error("SlowReader".into()))
        );
        drop(client);
        stop(server);
        journal.check();
    });
}

#[test]
fn a_stop_says_goodbye() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut clients: Vec<_> = (0..3).map(|_| Events::connect(port)).collect();
        for index in 0..3 {
            journal.connection(index);
        }
        stop(server);
        for client in &mut clients {
            assert_eq!(
                client.hear(),
                heard("close", r#"{"code":1001,"reason":""}"#)
            );
            assert_eq!(client.hear(), None);
        }
        for end in journal.disconnects(3) {
            assert_eq!(ended(&end), (1001, "", EndedBy::Server));
        }
        journal.check();
    });
}

#[test]
fn a_server_that_starts_again_has_new_ones() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut first = Events::connect(port);
        first.say_text("one");
        assert_eq!(first.hear_text(), "one");
        stop(server.clone());
        server.start().unwrap();
        server.wait_started().unwrap();
        let mut second = Events::connect(port);
        second.say_text("two");
        assert_eq!(second.hear_text(), "two");
        assert_eq!(second.post(&first.session, "2", "[]").status, 404);
        stop(server);
        assert_eq!(journal.disconnects(2).len(), 2);
        journal.check();
    });
}

#[test]
fn the_handshake_is_the_applications_to_judge() {
    in_each_setting(|builder, port| {
        let builder = builder
            .on_handshake(|handshake, response| match handshake.request().document() {
                "/refused" => response.refuse(401),
                "/ordinary" => response.pass(),
                _ => {
                    let offered: Vec<_> = handshake.protocols().map(str::to_owned).collect();
                    response.protocol(&*offered[1]).header("X-Own", "1");
                    response.header("Cache-Control", "max-age=60");
                }
            })
            .on_message(|connection, text| connection.send_text(text))
            .on_http_request(|request, response| {
                response.text(format!("ordinary {}", request.method()));
            });
        let server = start(with_fallback(builder, |_| {}));
        let answer = Client::connect(port).get(&format!("/refused?{ASKS}"));
        assert_eq!(
            (answer.status, answer.field("Cache-Control")),
            (401, Some("no-store"))
        );
        let answer = Client::connect(port).get(&format!("/ordinary?{ASKS}"));
        assert_eq!(answer.text(), "ordinary GET");
        let client = Events::open(port, "/", "&tidegate-protocol=a&tidegate-protocol=b%21");
        assert_eq!(client.protocol.as_deref(), Some("b!"));
        drop(client);
        stop(server);
    });
}

#[test]
fn without_it_a_request_is_an_ordinary_one() {
    in_each_setting(|builder, port| {
        let builder = builder
            .on_message(|connection, text| connection.send_text(text))
            .on_http_request(|request, response| response.text(request.method().to_owned()));
        let server = start(builder);
        for method in ["GET", "POST", "OPTIONS"] {
            let answer = Client::connect(port).request(method, &format!("/?{ASKS}"), &[], "");
            assert_eq!(answer.text(), method);
        }
        stop(server);
    });
}

#[test]
fn events_of_both_ways_keep_their_order() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(journal.attach_echo(builder), |_| {}));
        let mut client = Events::connect(port);
        for batch in 0..20 {
            let messages = (0..50).map(|index| format!(r#"{{"text":"{}"}}"#, batch * 50 + index));
            client.say(&format!("[{}]", messages.collect::<Vec<_>>().join(",")));
        }
        for number in 0..1000 {
            assert_eq!(client.hear_text(), number.to_string());
        }
        drop(client);
        journal.disconnect();
        stop(server);
        journal.check();
    });
}

#[test]
fn frames_of_messages_are_told_as_asked_for() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(with_fallback(
            journal.attach(builder, |_, _| Ok(())),
            |settings| {
                settings.fragmented_messages = tidegate::FragmentedMessages::Fragments;
            },
        ));
        let mut client = Events::connect(port);
        client.say_text("whole");
        let told = Happened::Fragment(Opcode::Text, b"whole".to_vec(), true);
        journal.wait("the message", |pages| {
            pages
                .entries
                .iter()
                .any(|(_, happened)| {
                    *happened == told || *happened == Happened::Text("whole".into())
                })
                .then_some(())
        });
        drop(client);
        journal.disconnect();
        stop(server);
        journal.check();
    });
}
