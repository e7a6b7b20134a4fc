//! Which connections are open, and the end of one.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use tidegate::{ConnectionActivity, ConnectionId, ConnectionPage, OpenConnection, Server, Version};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::websocket::{Heard, WebSocket};
use crate::{http2_client, wait_until};

const ALL: ConnectionPage = ConnectionPage {
    after: None,
    limit: 1000,
};

/// The connection from this port.
fn from(server: &Server, port: u16) -> Option<OpenConnection> {
    let open = server.open_connections(ALL);
    let ends = format!(":{port}");
    open.into_iter()
        .find(|connection| connection.peer.to_string().ends_with(&ends))
}

#[test]
fn connections_are_told_with_what_they_are_doing() {
    in_each_setting(|builder, port| {
        let server = start(
            builder
                .on_http_request(|_, response| response.text("hello"))
                .on_message(|connection, text| connection.send_text(text)),
        );
        let mut idle = Client::connect(port);
        idle.get("/");
        idle.get("/");
        let fresh = Client::connect(port);
        let mut begun = Client::connect(port);
        begun.write(b"GET / HT");
        let mut websocket = WebSocket::connect(port);
        websocket.text("a");
        websocket.hear_text();
        let port_of = |client: &Client| client.stream.get_ref().local_addr().unwrap().port();
        let told = |port| from(&server, port).unwrap();
        wait_until("all are there", || {
            server.open_connections(ALL).len() == 4
                && told(port_of(&begun)).activity == ConnectionActivity::Receiving
        });
        let one = told(port_of(&idle));
        assert_eq!(one.activity, ConnectionActivity::Idle);
        assert_eq!((one.requests, one.version), (2, Some(Version::Http11)));
        assert_eq!(one.tls, None);
        assert!(one.bytes_received > 0 && one.bytes_sent > 0 && one.group.is_some());
        assert_eq!(one.local.to_string(), format!("127.0.0.1:{port}"));
        let now = std::time::SystemTime::now();
        assert!(now.duration_since(one.since).unwrap().as_secs() < 60);
        let one = told(port_of(&fresh));
        assert_eq!((one.requests, one.version, one.group), (0, None, None));
        assert_eq!(one.activity, ConnectionActivity::Idle);
        let one = told(websocket.local().port());
        assert_eq!(one.activity, ConnectionActivity::Opaque);
        drop((begun, fresh, websocket));
        stop(server);
    });
}

#[test]
fn a_request_in_progress_is_told_on_each_version() {
    in_each_setting(|builder, port| {
        let (sender, held) = channel();
        let sender = Mutex::new(sender);
        let server = start(builder.on_http_request(move |_, response| {
            let (end, ended) = channel::<()>();
            sender.lock().unwrap().send(end).unwrap();
            response.defer(move |_, mut response| {
                std::thread::spawn(move || {
                    let _ = ended.recv();
                    response.text("late");
                    response.send();
                });
            });
        }));
        let mut client = Client::connect(port);
        client.send("GET", "/", &[], "");
        let ends = held.recv().unwrap();
        let port_of = client.stream.get_ref().local_addr().unwrap().port();
        wait_until("it is with the application", || {
            from(&server, port_of).unwrap().activity == ConnectionActivity::Requests(1)
        });
        drop(ends);
        client.receive();
        http2_client::run(async {
            let client = http2_client::Client::connect(port).await;
            let mut asked = Vec::new();
            for path in ["/a", "/b"] {
                let request = client.request("GET", path).body(()).unwrap();
                asked.push(client.send(request, true).await.0);
            }
            let ends = tokio::task::spawn_blocking(move || {
                let ends = [held.recv().unwrap(), held.recv().unwrap()];
                (ends, held)
            });
            let (ends, _held) = ends.await.unwrap();
            wait_until("both are with the application", || {
                let open = server.open_connections(ALL);
                open.iter().any(|connection| {
                    connection.version == Some(Version::Http2)
                        && connection.activity == ConnectionActivity::Requests(2)
                })
            });
            drop(ends);
            for response in asked {
                let answer = http2_client::answer(response).await.unwrap();
                assert_eq!(answer.text(), "late");
            }
        });
        stop(server);
    });
}

#[test]
fn pages_follow_each_other() {
    in_each_setting(|builder, port| {
        let server = start(builder);
        let clients: Vec<_> = (0..7).map(|_| Client::connect(port)).collect();
        wait_until("all are there", || server.open_connections(ALL).len() == 7);
        let mut page = ConnectionPage {
            after: None,
            limit: 3,
        };
        let mut sizes = Vec::new();
        let mut seen: Vec<ConnectionId> = Vec::new();
        loop {
            let told = server.open_connections(page);
            sizes.push(told.len());
            seen.extend(told.iter().map(|connection| connection.id));
            match told.last() {
                Some(last) => page.after = Some(last.id),
                None => break,
            }
        }
        assert_eq!(sizes, [3, 3, 1, 0]);
        assert!(seen.is_sorted());
        let all = server.open_connections(ALL);
        assert_eq!(seen, all.iter().map(|one| one.id).collect::<Vec<_>>());
        drop(clients);
        stop(server);
    });
}

#[test]
fn a_connection_is_ended_whatever_it_does() {
    in_each_setting(|builder, port| {
        let (sender, ends) = channel();
        let sender = Mutex::new(sender);
        let server = start(
            builder
                .on_http_request(|_, response| response.text("hello"))
                .on_message(|connection, text| connection.send_text(text))
                .on_disconnect(move |_, end| sender.lock().unwrap().send(end.code).unwrap()),
        );
        let mut idle = Client::connect(port);
        idle.get("/");
        let mut stays = Client::connect(port);
        stays.get("/");
        let mut websocket = WebSocket::connect(port);
        websocket.text("a");
        websocket.hear_text();
        let port_of = |client: &Client| client.stream.get_ref().local_addr().unwrap().port();
        let one = from(&server, port_of(&idle)).unwrap();
        assert!(server.disconnect_connection(one.id));
        assert!(idle.is_closed_by_peer());
        assert!(!server.disconnect_connection(one.id));
        let one = from(&server, websocket.local().port()).unwrap();
        assert!(server.disconnect_connection(one.id));
        assert_eq!(websocket.hear(), Heard::End);
        assert_eq!(ends.recv().unwrap(), 1006);
        assert_eq!(stays.get("/").text(), "hello");
        assert_eq!(server.open_connections(ALL).len(), 1);
        assert!(!server.disconnect_connection(ConnectionId(u64::MAX)));
        stop(server);
    });
}
