//! WebSocket connections that are passed on.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use tidegate::Server;
use tidegate_proto::websocket::Opcode;

use crate::client::setting::{in_each_setting, start, stop};
use crate::client::{Client, free_port};
use crate::upstream::PATIENCE;
use crate::websocket::{Heard, Opening, WebSocket, encoded, frame};
use crate::{http2_client, to_port, with_upstream};

/// A server that echoes, and tells of its connections' ends.
fn echo(port: u16) -> (Server, std::sync::mpsc::Receiver<u16>) {
    let (sender, ends) = channel();
    let sender = Mutex::new(sender);
    let server = Server::builder()
        .host("127.0.0.1")
        .port(port)
        .on_handshake(|handshake, response| {
            if handshake.request().document() == "/refused" {
                response.refuse(403);
            }
            if handshake.protocols().any(|name| name == "chat") {
                response.protocol("chat");
            }
        })
        .on_message(|connection, text| connection.send_text(text))
        .on_binary(|connection, data| connection.send_binary(data))
        .on_disconnect(move |_, disconnect| {
            sender.lock().unwrap().send(disconnect.code).unwrap();
        });
    (start(server), ends)
}

#[test]
fn messages_go_both_ways() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let (inner, ends) = echo(inner_port);
        let server = start(builder.forward(to_port(inner_port)));
        let mut socket = Opening::new(port).target("/chat?x=y").open();
        socket.text("hello");
        assert_eq!(socket.hear_text(), "hello");
        let large = "x".repeat(3_000_000);
        socket.write_later(&encoded(frame(Opcode::Text, true), large.as_bytes()));
        assert_eq!(socket.hear_text(), large);
        for index in 0..100 {
            socket.text(&index.to_string());
        }
        for index in 0..100 {
            assert_eq!(socket.hear_text(), index.to_string());
        }
        socket.close(Some(1000), "");
        assert_eq!(socket.hear(), Heard::Close(Some(1000), String::new()));
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), 1000);
        assert_eq!(socket.hear(), Heard::End);
        stop(server);
        stop(inner);
    });
}

#[test]
fn a_refusal_is_passed_on() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let (inner, _ends) = echo(inner_port);
        let server = start(builder.forward(to_port(inner_port)));
        let request = b"GET /refused HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\n\r\n";
        let answer = WebSocket::answer_to(port, request);
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        stop(server);
        stop(inner);
    });
}

#[test]
fn either_end_ends_the_other() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let (inner, ends) = echo(inner_port);
        let server = start(builder.forward(to_port(inner_port)));
        // The client breaks off.
        let mut socket = WebSocket::connect(port);
        socket.text("hello");
        assert_eq!(socket.hear_text(), "hello");
        drop(socket);
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), 1006);
        // The upstream says goodbye.
        let mut socket = WebSocket::connect(port);
        inner.disconnect_all().unwrap();
        assert_eq!(socket.hear(), Heard::Close(Some(1000), String::new()));
        socket.close(Some(1000), "");
        assert_eq!(socket.hear(), Heard::End);
        // The server in between stops.
        let mut socket = WebSocket::connect(port);
        server.stop();
        assert_eq!(socket.hear(), Heard::End);
        server.wait_stopped();
        stop(inner);
    });
}

// What reaches the upstream, and what comes back, byte by byte.
#[test]
fn the_handshake_is_passed_on_untouched() {
    with_upstream(
        |connection| {
            connection.head();
            connection.say(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: odd\r\nSec-WebSocket-Extensions: x; y=1\r\n\r\nfirst",
            );
            assert_eq!(connection.take(4), "ping");
            connection.say("pong");
            // Half of the connection may still be used.
            assert_eq!(connection.take_to_end().unwrap(), b"last");
            connection.say("bye");
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            client.send_bytes(
                b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                  Sec-WebSocket-Extensions: x; y\r\nSec-WebSocket-Protocol: a, b\r\n\r\n",
            );
            let head = upstream.head();
            assert!(
                head.ends_with(
                    "Via: 1.1 edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                ) && head.contains(
                    "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Extensions: x; y\r\nSec-WebSocket-Protocol: a, b\r\n"
                ),
                "{head}"
            );
            let answer = client.receive_upgrade();
            assert_eq!(answer.field("Sec-WebSocket-Accept"), Some("odd"));
            assert_eq!(answer.field("Sec-WebSocket-Extensions"), Some("x; y=1"));
            assert_eq!(answer.field("Upgrade"), Some("websocket"));
            assert_eq!(client.take(5), b"first");
            client.send_bytes(b"ping");
            assert_eq!(client.take(4), b"pong");
            client.send_bytes(b"last");
            client.finish();
            assert_eq!(client.take(3), b"bye");
            assert!(client.is_closed_by_peer());
            stop(server);
        },
    );
}

#[test]
fn a_client_that_takes_nothing_holds_the_upstream_up_and_the_other_way_round() {
    let (sender, stalled) = channel();
    let sender = std::sync::Arc::new(Mutex::new(sender));
    let stalled = Mutex::new(stalled);
    with_upstream(
        move |connection| {
            connection.head();
            connection.say(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            );
            let total = 64 << 20;
            let sent = connection.say_until_stalled(total);
            sender.lock().unwrap().send(sent).unwrap();
            connection.say(vec![b'x'; total - sent]);
            connection.take(64 << 20);
            connection.finish();
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            client.send_bytes(
                b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            );
            assert_eq!(client.receive_upgrade().status, 101);
            let sent = stalled.lock().unwrap().recv_timeout(PATIENCE * 2).unwrap();
            assert!(sent < 48 << 20, "{sent} bytes were taken");
            // The upstream takes nothing before all it had to say was taken.
            let sent = client.send_until_stalled(64 << 20);
            assert!(sent < 48 << 20, "{sent} bytes were taken");
            assert_eq!(client.take(64 << 20).len(), 64 << 20);
            client.send_bytes(&vec![b'y'; (64 << 20) - sent]);
            assert!(client.is_closed_by_peer());
            stop(server);
        },
    );
}

#[test]
fn other_protocols_are_not_passed_on() {
    with_upstream(
        |connection| {
            while let Some(head) = connection.head() {
                assert!(!head.to_lowercase().contains("upgrade"), "{head}");
                connection.answer("plain");
            }
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            let mut client = Client::connect(port);
            for protocol in ["h2c", "TLS/1.0", "websocket, h2c"] {
                let fields = [
                    format!("Upgrade: {protocol}"),
                    "Connection: Upgrade".to_owned(),
                ];
                let fields = fields.each_ref().map(|field| &**field);
                assert_eq!(client.request("GET", "/", &fields, "").text(), "plain");
            }
            let mut settings = to_port(upstream.port);
            settings.websockets = false;
            drop(client);
            stop(server);
        },
    );
}

#[test]
fn a_stream_of_http2_becomes_an_upgrade() {
    in_each_setting(|builder, port| {
        let inner_port = free_port();
        let (inner, ends) = echo(inner_port);
        let server = start(builder.forward(to_port(inner_port)));
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            let fields = [
                ("sec-websocket-version", "13"),
                ("sec-websocket-protocol", "chat"),
            ];
            let mut socket = client.connect_websocket("/", &fields).await.unwrap();
            assert_eq!(socket.fields["sec-websocket-protocol"], "chat");
            assert!(!socket.fields.contains_key("sec-websocket-accept"));
            socket.text("hello").await;
            assert_eq!(socket.hear_text().await, "hello");
            socket.say(Opcode::Binary, &vec![7; 200_000]).await;
            assert_eq!(socket.hear().await, Heard::Binary(vec![7; 200_000]));
            socket.leave().await;
            let refused = client.connect_websocket("/refused", &fields[..1]).await;
            assert_eq!(refused.err().unwrap().status, 403);
            drop(client);
        });
        assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), 1000);
        stop(server);
        stop(inner);
    });
}

// RFC 8441 §5: a 2xx would tell the client that its stream is a WebSocket connection.
#[test]
fn an_upstream_that_does_not_change_protocols_does_not_open_a_stream() {
    with_upstream(
        |connection| {
            let head = connection.head().unwrap();
            connection.say(match head.contains("/wrong-key") {
                true => {
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Accept: odd\r\n\r\n"
                }
                false => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            });
            connection.take_to_end();
        },
        |builder, port, upstream| {
            let server = start(builder.forward(to_port(upstream.port)));
            http2_client::run(async {
                let client = http2_client::Client::connect(port).await;
                for path in ["/", "/wrong-key"] {
                    let answer = client.connect_websocket(path, &[]).await.err().unwrap();
                    assert_eq!(answer.status, 502);
                }
            });
            stop(server);
        },
    );
}
