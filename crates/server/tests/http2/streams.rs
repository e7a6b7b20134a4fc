//! WebSocket on streams (RFC 8441): the same component, events and addressing as on connections.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tidegate::{
    Connection, Disconnect, EndedBy, Recipients, ServerBuilder, Transport, WebSocketSettings,
};
use tidegate_proto::websocket::{DeflateAgreement, DeflateSettings, Opcode};

use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client::{Client, run};
use crate::websocket::{Heard, PATIENCE, WebSocket as Upgraded};

const VERSION: (&str, &str) = ("sec-websocket-version", "13");

/// Echoes, and tells of beginnings and ends.
fn echo(
    builder: ServerBuilder,
) -> (
    ServerBuilder,
    Receiver<Connection>,
    Receiver<(Connection, Disconnect)>,
) {
    let (connects, connected) = channel();
    let (ends, ended) = channel();
    let (connects, ends) = (Mutex::new(connects), Mutex::new(ends));
    let builder = builder
        .on_http_request(|_, response| response.text("plain"))
        .on_connect(move |connection| {
            connects.lock().unwrap().send(connection.clone()).unwrap();
        })
        .on_message(|connection, text| connection.send_text(text))
        .on_binary(|connection, data| connection.send_binary(data))
        .on_disconnect(move |connection, end| {
            let end = (connection.clone(), end.clone());
            // A test that has heard enough listens no more.
            let _ = ends.lock().unwrap().send(end);
        });
    (builder, connected, ended)
}

#[test]
fn messages_go_both_ways_on_many_streams_beside_requests() {
    in_each_setting(|builder, port| {
        let (builder, connected, ended) = echo(builder);
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let sockets = (0..50).map(async |number: usize| {
                let path = format!("/chat?number={number}");
                let mut socket = client.connect_websocket(&path, &[VERSION]).await.unwrap();
                assert!(socket.fields.get("sec-websocket-accept").is_none());
                assert!(socket.fields.get("connection").is_none());
                for round in 0..10 {
                    let text = format!("{number}, {round}");
                    socket.text(&text).await;
                    assert_eq!(socket.hear_text().await, text);
                }
                let large = vec![number as u8; 1000 * (number + 1)];
                socket.say(Opcode::Binary, &large).await;
                assert_eq!(socket.hear().await, Heard::Binary(large));
                socket.say(Opcode::Ping, b"there?").await;
                assert_eq!(socket.hear().await, Heard::Pong(b"there?".to_vec()));
                assert_eq!(client.get("/").await.unwrap().text(), "plain");
                socket.leave().await;
            });
            join_all(sockets).await;
            assert_eq!(server.connection_count(), 1);
            client.end().await.unwrap();
        });
        for _ in 0..50 {
            let (connection, end) = ended.recv().unwrap();
            assert_eq!((end.code, end.by), (1000, EndedBy::Peer));
            assert_eq!(connection.transport(), Transport::Rfc8441);
        }
        assert_eq!(connected.try_iter().count(), 50);
        assert_eq!(server.connections().count(), 0);
        stop(server);
        assert!(ended.try_recv().is_err(), "each ends once");
    });
}

#[test]
fn a_large_message_passes_the_windows_of_both_sides() {
    in_each_setting(|builder, port| {
        let (builder, _connected, _ended) = echo(builder);
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let mut socket = client.connect_websocket("/", &[VERSION]).await.unwrap();
            let large: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
            socket.say(Opcode::Binary, &large).await;
            assert_eq!(socket.hear().await, Heard::Binary(large));
            socket.leave().await;
        });
        stop(server);
    });
}

#[test]
fn streams_and_upgraded_connections_are_addressed_alike() {
    in_each_setting(|builder, port| {
        let (builder, connected, _ended) = echo(builder);
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let mut sockets = Vec::new();
            let mut connections = Vec::new();
            for number in ["0", "1", "2"] {
                let fields = [VERSION, ("x-number", number)];
                let socket = client.connect_websocket("/chat", &fields).await.unwrap();
                sockets.push(socket);
                let connection = connected.recv().unwrap();
                let headers = connection.headers_request();
                assert_eq!(headers.header("X-Number").as_deref(), Some(number));
                assert_eq!(connection.url(), "/chat");
                connections.push(connection);
            }
            let mut upgraded = Upgraded::connect(port);
            let other = connected.recv().unwrap();
            assert_eq!(other.transport(), Transport::Rfc6455);

            assert!(server.write_data(connections[1].guid(), "for 1"));
            assert_eq!(sockets[1].hear_text().await, "for 1");
            connections[0].subscribe("news");
            connections[2].subscribe("news");
            other.subscribe("news");
            let news = Recipients::all().channel("news");
            server.broadcast("news", &news).unwrap();
            assert_eq!(sockets[0].hear_text().await, "news");
            assert_eq!(sockets[2].hear_text().await, "news");
            assert_eq!(upgraded.hear_text(), "news");
            let groups = server.connections().groups();
            assert!(groups.add("room", &connections[1]));
            assert!(groups.add("room", &other));
            groups.broadcast("room", "group").unwrap();
            assert_eq!(sockets[1].hear_text().await, "group");
            assert_eq!(upgraded.hear_text(), "group");
            server.broadcast("all", &Recipients::all()).unwrap();
            for socket in &mut sockets {
                assert_eq!(socket.hear_text().await, "all");
            }
            assert_eq!(upgraded.hear_text(), "all");
        });
        stop(server);
    });
}

#[test]
fn sub_protocols_and_compression_are_agreed_upon_as_ever() {
    in_each_setting(|builder, port| {
        let mut settings = WebSocketSettings::default();
        settings.per_message_deflate.enabled = true;
        let (builder, connected, _ended) = echo(builder);
        let builder = builder.websocket(settings).on_handshake(|_, response| {
            response.protocol("chat").header("X-Also", "this");
        });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let deflate = DeflateSettings {
                enabled: true,
                ..DeflateSettings::default()
            };
            let offer = DeflateAgreement::offer(&deflate);
            let fields = [
                VERSION,
                ("sec-websocket-protocol", "news, chat"),
                ("sec-websocket-extensions", &offer),
            ];
            let mut socket = client.connect_websocket("/", &fields).await.unwrap();
            assert_eq!(socket.fields["sec-websocket-protocol"], "chat");
            assert_eq!(socket.fields["x-also"], "this");
            let connection = connected.recv().unwrap();
            assert!(connection.is_compressed());
            assert_eq!(connection.protocol(), Some("chat"));
            socket.compress(&deflate);
            let text = "again and ".repeat(1000);
            socket.text(&text).await;
            assert_eq!(socket.hear_text().await, text);
            assert!(connection.received_bytes() < 1000);
        });
        stop(server);
    });
}

#[test]
fn a_handshake_is_refused_on_its_stream() {
    in_each_setting(|builder, port| {
        let (builder, _connected, _ended) = echo(builder);
        let builder = builder.on_handshake(|handshake, response| {
            if handshake.request().document() == "/no" {
                response.refuse(401);
            }
        });
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let cases = [
                ("/", vec![], 400),
                ("/", vec![("sec-websocket-version", "8")], 400),
                ("/no", vec![VERSION], 401),
            ];
            for (path, fields, status) in cases {
                let answer = client.connect_websocket(path, &fields).await;
                let answer = answer.err().unwrap();
                assert_eq!(answer.status, status, "{path} {fields:?}");
            }
            let answer = client.connect_for("connect-udp", "/", &[VERSION]).await;
            assert_eq!(answer.err().unwrap().status, 501);
            assert_eq!(client.get("/").await.unwrap().text(), "plain");
            let socket = client.connect_websocket("/", &[VERSION]).await.unwrap();
            socket.leave().await;
        });
        stop(server);
    });
}

// RFC 8441 §3: a browser that is not told goes by HTTP/1.1 instead of failing.
#[test]
fn what_is_switched_off_is_not_announced() {
    in_each_setting(|builder, port| {
        let mut settings = WebSocketSettings::default();
        settings.rfc8441 = false;
        let (builder, _connected, _ended) = echo(builder);
        let server = start(builder.websocket(settings));
        run(async {
            let client = Client::connect(port).await;
            assert_eq!(client.get("/").await.unwrap().text(), "plain");
            assert!(!client.may_connect());
        });
        Upgraded::connect(port).leave();
        stop(server);
    });
}

#[test]
fn a_stream_s_connection_ends_once_however_it_ends() {
    in_each_setting(|builder, port| {
        let (builder, connected, ended) = echo(builder);
        let ended = Arc::new(Mutex::new(ended));
        let server = start(builder);
        run(async {
            let wait = async || {
                let ended = Arc::clone(&ended);
                let end = tokio::task::spawn_blocking(move || {
                    ended.lock().unwrap().recv_timeout(PATIENCE)
                });
                end.await.unwrap().unwrap().1
            };
            let client = Client::connect(port).await;
            let open = async || client.connect_websocket("/", &[VERSION]).await.unwrap();

            // The server closes.
            let mut socket = open().await;
            let connection = connected.recv().unwrap();
            connection.close(4000, "enough").unwrap();
            let close = Heard::Close(Some(4000), "enough".into());
            assert_eq!(socket.hear().await, close);
            socket.close(4000).await;
            assert_eq!(socket.hear().await, Heard::End);
            let end = wait().await;
            assert_eq!((end.code, end.by), (4000, EndedBy::Server));

            // The client ends its side without a close frame.
            let mut socket = open().await;
            connected.recv().unwrap();
            socket.end().await;
            assert_eq!(socket.hear().await, Heard::End);
            let end = wait().await;
            assert_eq!((end.code, end.by), (1006, EndedBy::Network));

            // The client resets the stream.
            let mut socket = open().await;
            connected.recv().unwrap();
            socket.stream.send_reset(h2::Reason::CANCEL);
            let end = wait().await;
            assert_eq!((end.code, end.by), (1006, EndedBy::Network));

            // The server drops it: at once, with a close frame.
            let mut socket = open().await;
            connected.recv().unwrap().disconnect(1001);
            let close = Heard::Close(Some(1001), String::new());
            assert_eq!(socket.hear().await, close);
            assert_eq!(wait().await.code, 1001);

            // A frame that breaks a rule: 0x83 is none.
            let mut socket = open().await;
            connected.recv().unwrap();
            let bytes = bytes::Bytes::from_static(b"\x83\x80\0\0\0\0");
            crate::http2_client::send_all(&mut socket.stream, bytes, false)
                .await
                .unwrap();
            let close = Heard::Close(Some(1002), String::new());
            assert_eq!(socket.hear().await, close);
            let end = wait().await;
            assert_eq!((end.code, end.by), (1002, EndedBy::Server));

            // Its HTTP/2 connection breaks off, with two of them.
            let _sockets = [open().await, open().await];
            client.abort();
            for _ in 0..2 {
                let end = wait().await;
                assert_eq!((end.code, end.by), (1006, EndedBy::Network));
            }
        });
        assert_eq!(server.connections().count(), 0);
        stop(server);
    });
}

#[test]
fn a_stop_says_goodbye_on_each_stream() {
    in_each_setting(|builder, port| {
        let (builder, connected, ended) = echo(builder);
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let mut sockets = Vec::new();
            for _ in 0..3 {
                sockets.push(client.connect_websocket("/", &[VERSION]).await.unwrap());
                connected.recv().unwrap();
            }
            server.stop();
            for mut socket in sockets {
                let close = Heard::Close(Some(1001), String::new());
                assert_eq!(socket.hear().await, close);
                socket.close(1001).await;
                assert_eq!(socket.hear().await, Heard::End);
            }
        });
        server.wait_stopped();
        assert_eq!(ended.try_iter().count(), 3);
    });
}
