//! The end of all connections at once: by the application, by the server's stop; and who starts again.

use std::sync::Arc;
use std::time::Duration;

use tidegate::{EndedBy, WebSocketSettings, WriteError};

use crate::client::Client;
use crate::client::setting::{in_each_setting, start, stop};
use crate::ends::ended;
use crate::journal::{Happened, Journal};
use crate::websocket::{Heard, WebSocket};

#[test]
fn all_are_closed_at_once_and_others_may_come() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder.io_threads(2)));
        let mut clients: Vec<_> = (0..10).map(|_| WebSocket::connect(port)).collect();
        journal.connection(9);
        let all = server.connections();
        assert_eq!(
            all.disconnect_all(1006, ""),
            Err(WriteError::BadCloseCode(1006))
        );
        assert_eq!(
            all.disconnect_all(1012, &"x".repeat(124)),
            Err(WriteError::TooLong)
        );
        all.disconnect_all(1012, "come again").unwrap();
        for client in &mut clients {
            assert_eq!(client.answer_close(1012), "come again");
        }
        for end in journal.disconnects(10) {
            assert_eq!(ended(&end), (1012, "come again", EndedBy::Server));
        }
        let mut client = WebSocket::connect(port);
        client.text("again");
        assert_eq!(client.hear_text(), "again");
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_stop_says_goodbye_to_all() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder.io_threads(2)));
        let mut clients: Vec<_> = (0..10).map(|_| WebSocket::connect(port)).collect();
        journal.connection(9);
        server.stop();
        for client in &mut clients {
            assert_eq!(client.answer_close(1001), "");
        }
        server.wait_stopped();
        // All of it is told before the stop is.
        let ends = journal.disconnects(0);
        assert_eq!(ends.len(), 10);
        for end in ends {
            assert_eq!(ended(&end), (1001, "", EndedBy::Server));
        }
        assert_eq!(server.connections().count(), 0);
        journal.check();
    });
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.close_timeout = Duration::from_secs(60);
        let builder = builder.shutdown_deadline(Duration::from_millis(200));
        let server = start(journal.attach_echo(builder).websocket(settings));
        let mut clients: Vec<_> = (0..3).map(|_| WebSocket::connect(port)).collect();
        journal.connection(2);
        stop(server);
        for client in &mut clients {
            assert_eq!(client.hear(), Heard::Close(Some(1001), String::new()));
            client.hear_end();
        }
        for end in journal.disconnects(3) {
            assert_eq!((end.code, end.by), (1006, EndedBy::Server));
        }
        journal.check();
    });
}

#[test]
fn a_server_that_starts_again_has_new_connections() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let first = journal.connection(0);
        // Bindings alone change: connections stay.
        server.restart().unwrap();
        server.wait_started().unwrap();
        client.text("still here");
        assert_eq!(client.hear_text(), "still here");
        server.stop();
        client.answer_close(1001);
        server.wait_stopped();
        server.start().unwrap();
        server.wait_started().unwrap();
        let mut client = WebSocket::connect(port);
        client.text("again");
        assert_eq!(client.hear_text(), "again");
        assert_ne!(journal.connection(1).guid(), first.guid());
        assert_eq!(first.ended().unwrap().code, 1001);
        assert_eq!(server.connections().count(), 1);
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn what_is_no_connection_does_not_end() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = journal
            .attach_echo(builder)
            .on_http_request(|_, response| response.text("plain"))
            .on_handshake(|handshake, response| {
                if handshake.request().document() == "/no" {
                    response.refuse(403);
                }
            });
        let server = start(builder);
        let mut client = Client::connect(port);
        assert_eq!(client.get("/").text(), "plain");
        let upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
        assert_eq!(client.request("GET", "/", &upgrade, "").status, 426);
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        let upgrade = [&upgrade[..], &[key, "Sec-WebSocket-Version: 13"]].concat();
        assert_eq!(client.request("GET", "/no", &upgrade, "").status, 403);
        assert_eq!(client.get("/").text(), "plain");
        drop(client);
        stop(server);
        assert_eq!(journal.disconnects(0), []);
        let connected = journal.entries().contains(&Happened::Connect);
        assert!(!connected);
    });
}
