//! HTTP/2 and WebSocket.

use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client::{self, Client};
use crate::websocket::{Heard, WebSocket};
use crate::{LOW, folder, limit, long, site};

#[test]
fn streams_take_turns_under_a_limit_and_come_whole_when_there_is_none() {
    let (_folder, file) = folder();
    in_each_setting(|builder, port| {
        let server = start(site(builder.max_bandwidth(LOW), file.clone()));
        http2_client::run(async {
            let client = Client::connect(port).await;
            let mut responses = Vec::new();
            for path in ["/bytes", "/source", "/file"] {
                let request = client.request("GET", path).body(()).unwrap();
                responses.push(client.send(request, true).await.0);
            }
            let mut reads = Vec::new();
            for response in responses {
                let response = response.await.unwrap();
                assert_eq!(response.status(), 200);
                let mut body = response.into_body();
                // All at the same time: they share the connection's window.
                reads.push(tokio::spawn(async move {
                    let mut content = Vec::new();
                    while let Some(piece) = body.data().await {
                        let piece = piece.unwrap();
                        body.flow_control().release_capacity(piece.len()).unwrap();
                        content.extend_from_slice(&piece);
                    }
                    assert!(content == long());
                }));
            }
            // A stream beside the long ones, on the connection that they fill.
            assert_eq!(client.get("/short").await.unwrap().text(), "short");
            assert!(reads.iter().all(|read| !read.is_finished()));
            limit(&server, 0, 0);
            for read in reads {
                read.await.unwrap();
            }
        });
        stop(server);
    });
}

#[test]
fn messages_wait_for_the_rate_in_order_and_come_whole_when_there_is_none() {
    const MESSAGES: usize = 40;
    const LENGTH: usize = 10_000;
    in_each_setting(|builder, port| {
        let server = start(builder.max_bandwidth(LOW).on_message(|connection, text| {
            if text == "short" {
                return connection.send_text("short");
            }
            for number in 0..MESSAGES {
                let text = format!("{number:05}").repeat(LENGTH / 5);
                connection.send_text(&text)?;
            }
            Ok(())
        }));
        let mut slow = WebSocket::connect(port);
        slow.text("all");
        let mut other = WebSocket::connect(port);
        other.text("short");
        assert_eq!(other.hear(), Heard::Text("short".to_owned()));
        limit(&server, 0, 0);
        for number in 0..MESSAGES {
            let text = slow.hear_text();
            assert_eq!(text.len(), LENGTH);
            assert!(text.starts_with(&format!("{number:05}")), "{number}");
        }
        slow.leave();
        other.leave();
        stop(server);
    });
}

#[test]
fn a_websocket_on_a_stream_is_limited_like_the_others() {
    in_each_setting(|builder, port| {
        let server = start(
            builder
                .max_bandwidth(LOW)
                .on_message(|connection, text| connection.send_text(&text.repeat(100))),
        );
        http2_client::run(async {
            let client = Client::connect(port).await;
            let mut socket = client
                .connect_websocket("/", &[("sec-websocket-version", "13")])
                .await
                .unwrap();
            let text = "0123456789".repeat(50);
            socket.text(&text).await;
            socket.text("b").await;
            limit(&server, 0, 0);
            assert_eq!(socket.hear_text().await, text.repeat(100));
            assert_eq!(socket.hear_text().await, "b".repeat(100));
            socket.leave().await;
        });
        stop(server);
    });
}
