//! WebSocket connections over server-sent events, several on one connection of HTTP/2 with their requests.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use tidegate::{EndedBy, Transport};

use crate::client::setting::{in_each_setting, start, stop};
use crate::http2_client::{Client, run};

/// A connection from the client's side.
struct Events {
    body: RecvStream,
    unread: String,
    session: String,
}

const TARGET: &str = "/ws?tidegate-transport=sse";

impl Events {
    async fn open(client: &Client) -> Self {
        let request = client.request("GET", TARGET).body(()).unwrap();
        let response = client.send(request, true).await.0.await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut events = Self {
            body: response.into_body(),
            unread: String::new(),
            session: String::new(),
        };
        let open = events.next().await.unwrap();
        assert!(open.starts_with("retry: 3000\nevent: open\n"), "{open}");
        open.split('"')
            .nth(3)
            .unwrap()
            .clone_into(&mut events.session);
        events
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = event.to_owned();
                self.unread = rest.to_owned();
                return Some(event);
            }
            let piece = self.body.data().await?.unwrap();
            self.body
                .flow_control()
                .release_capacity(piece.len())
                .unwrap();
            self.unread.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    async fn say(&self, client: &Client, number: u32, messages: &'static str) -> u16 {
        let request = client
            .request("POST", TARGET)
            .header("tidegate-session", &self.session)
            .header("tidegate-number", number)
            .body(())
            .unwrap();
        let (response, mut content) = client.send(request, false).await;
        // One that is refused need not be read.
        let _ = content.send_data(Bytes::from_static(messages.as_bytes()), true);
        response.await.unwrap().status().as_u16()
    }
}

#[test]
fn connections_share_one_of_http2() {
    in_each_setting(|builder, port| {
        let (ends, ended) = channel();
        let ends = Mutex::new(ends);
        let transports = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&transports);
        let mut settings = tidegate::WebSocketSettings::default();
        settings.fallback.server_sent_events.enabled = true;
        let builder = builder
            .websocket(settings)
            .on_connect(move |connection| seen.lock().unwrap().push(connection.transport()))
            .on_message(|connection, text| connection.send_text(text))
            .on_disconnect(move |_, end| ends.lock().unwrap().send((end.code, end.by)).unwrap());
        let server = start(builder);
        run(async {
            let client = Client::connect(port).await;
            let mut one = Events::open(&client).await;
            let mut other = Events::open(&client).await;
            for events in [&mut one, &mut other] {
                let messages = r#"[{"text":"first"},{"text":"second"}]"#;
                assert_eq!(events.say(&client, 1, messages).await, 204);
                assert_eq!(events.next().await.unwrap(), "event: text\ndata: \"first\"");
                assert_eq!(
                    events.next().await.unwrap(),
                    "event: text\ndata: \"second\""
                );
                assert_eq!(events.say(&client, 3, "[]").await, 409);
            }
            assert_eq!(server.connections().count(), 2);
            // A stream that is given up ends its connection, and no other.
            let session = one.session.clone();
            drop(one);
            let end = tokio::task::spawn_blocking(move || (ended.recv().unwrap(), ended));
            let (end, ended) = end.await.unwrap();
            assert_eq!(end, (1006, EndedBy::Network));
            let own = std::mem::replace(&mut other.session, session);
            assert_eq!(other.say(&client, 2, "[]").await, 404);
            other.session = own;
            let close = r#"[{"close":{"code":4000}}]"#;
            assert_eq!(other.say(&client, 2, close).await, 204);
            let wanted = "event: close\ndata: {\"code\":4000,\"reason\":\"\"}";
            assert_eq!(other.next().await.unwrap(), wanted);
            assert_eq!(other.next().await, None);
            assert_eq!(ended.recv().unwrap(), (4000, EndedBy::Peer));
            drop(other);
            let end = client.end().await;
            assert!(end.is_ok() || end.unwrap_err().reason() == Some(Reason::NO_ERROR));
        });
        stop(server);
        assert_eq!(
            *transports.lock().unwrap(),
            [Transport::ServerSentEvents; 2]
        );
    });
}
