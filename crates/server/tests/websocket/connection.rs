//! The connection object: what it tells of itself, what is kept with it, options of its own.

use std::sync::Arc;

use tidegate::{
    Connection, ConnectionState, FragmentedMessages, Opcode, PeerAddress, WebSocketSettings,
    WriteError,
};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal, echo};
use crate::wait_until;
use crate::websocket::{Heard, Opening, PATIENCE, WebSocket, frame};

#[test]
fn a_connection_tells_of_itself_also_after_its_end() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = journal.attach_echo(builder).on_handshake(|_, response| {
            response.protocol("chat").header("X-Served-By", "me");
        });
        let server = start(builder);
        let mut client = Opening::new(port)
            .target("/chat?room=1")
            .protocols(&["other", "chat"])
            .field("X-Client", "test")
            .open();
        let connection = journal.connection(0);
        assert_eq!(connection.state(), ConnectionState::Open);
        assert!(connection.is_open() && connection.ended().is_none());
        assert!(connection.last_message_at().is_none());
        let found = server.connections().find(connection.guid());
        assert_eq!(found.as_ref(), Some(&connection));
        let name = connection.guid().to_string();
        assert_eq!(name.parse(), Ok(connection.guid()));
        client.text("hello");
        assert_eq!(client.hear_text(), "hello");
        client.ping(b"there?");
        assert_eq!(client.hear(), Heard::Pong(b"there?".into()));
        connection.subscribe("news");
        assert_eq!(connection.subscriptions(), ["news".into()]);
        let local = client.local();
        client.leave();
        journal.disconnect();

        assert_eq!(connection.url(), "/chat?room=1");
        assert_eq!(connection.protocol(), Some("chat"));
        assert_eq!(connection.peer(), PeerAddress::Tcp(local));
        let own = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(*connection.local(), PeerAddress::Tcp(own));
        let headers = connection.headers_request();
        assert_eq!(headers.header("x-client").as_deref(), Some("test"));
        assert_eq!(headers.header("x-other"), None);
        let headers = connection.headers_response();
        assert_eq!(headers.value("x-served-by"), Some(b"me"[..].into()));
        assert!(!connection.is_compressed());
        assert!(connection.last_message_at().is_some());
        assert_eq!(connection.received_messages(), 1);
        // A head of six bytes each: hello, there?, and the close frame's code.
        assert_eq!(connection.received_bytes(), 6 + 5 + 6 + 6 + 6 + 2);
        assert_eq!(connection.sent_bytes(), 2 + 5 + 2 + 6 + 2 + 2);

        assert_eq!(connection.state(), ConnectionState::Closed);
        assert_eq!(connection.ended().unwrap().code, 1000);
        assert!(server.connections().find(connection.guid()).is_none());
        assert_eq!(connection.send_text("late"), Err(WriteError::Closed));
        assert_eq!(connection.send_binary(b"late"), Err(WriteError::Closed));
        assert_eq!(connection.ping(b""), Err(WriteError::Closed));
        assert_eq!(connection.close(1000, ""), Err(WriteError::Closed));
        let replied = connection.write_and_wait("late", PATIENCE);
        assert_eq!(replied, Err(WriteError::Closed));
        assert!(!connection.subscribe("news"));
        assert!(connection.subscriptions().is_empty());
        assert!(!server.connections().groups().add("late", &connection));
        connection.disconnect(1000);
        stop(server);
        assert_eq!(connection.url(), "/chat?room=1");
        assert_eq!(journal.disconnects(1).len(), 1);
        journal.check();
    });
}

#[test]
fn pings_and_pongs_are_remembered() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        assert!(connection.first_ping_at().is_none() && connection.last_pong_at().is_none());
        connection.ping(b"one").unwrap();
        assert_eq!(client.hear(), Heard::Ping(b"one".into()));
        assert!(connection.first_ping_at().is_some() && connection.last_ping_at().is_some());
        client.frame(frame(Opcode::Pong, true), b"one");
        wait_until("a pong", || connection.last_pong_at().is_some());
        assert_eq!(connection.ping(&[0; 126]), Err(WriteError::TooLong));
        connection.ping(&[7; 125]).unwrap();
        assert_eq!(client.hear(), Heard::Ping(vec![7; 125]));
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn an_application_keeps_what_it_likes_with_a_connection() {
    /// Looks at its connection when it is dropped.
    struct Curious(Connection);
    impl Drop for Curious {
        fn drop(&mut self) {
            assert!(self.0.data::<Self>().is_none());
        }
    }
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach(builder, |connection, happened| {
            if let Happened::Text(text) = happened {
                let before = connection.data::<String>();
                connection.set_data(text.clone());
                connection.send_text(before.as_deref().map_or("nothing", String::as_str))?;
            }
            Ok(())
        }));
        let mut client = WebSocket::connect(port);
        for (says, hears) in [("one", "nothing"), ("two", "one"), ("three", "two")] {
            client.text(says);
            assert_eq!(client.hear_text(), hears);
        }
        let connection = journal.connection(0);
        assert!(connection.data::<u32>().is_none());
        assert_eq!(*connection.data::<String>().unwrap(), "three");
        connection.set_data(Curious(connection.clone()));
        connection.set_data("in its place".to_owned());
        client.leave();
        journal.disconnect();
        assert_eq!(*connection.data::<String>().unwrap(), "in its place");
        stop(server);
        journal.check();
    });
}

#[test]
fn options_of_one_connection_leave_others_alone() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut one = WebSocket::connect(port);
        let connection = journal.connection(0);
        let mut other = WebSocket::connect(port);
        connection.configure(|options| {
            options.max_message_size = 10;
            options.validate_utf8 = false;
            options.fragmented_messages = FragmentedMessages::Fragments;
        });
        assert_eq!(connection.options().max_message_size, 10);
        // They hold for what is received after the connection's thread has heard of them.
        connection.ping(b"heard").unwrap();
        assert_eq!(one.hear(), Heard::Ping(b"heard".into()));
        one.text("0123456789");
        assert_eq!(one.hear_text(), "0123456789");
        one.frame(frame(Opcode::Text, true), b"\xFF");
        assert_eq!(one.hear_text(), "\u{FFFD}");
        one.frame(frame(Opcode::Text, false), b"abc");
        one.frame(frame(Opcode::Continuation, true), b"def");
        let fragments = [
            Happened::Fragment(Opcode::Text, b"abc".into(), false),
            Happened::Fragment(Opcode::Continuation, b"def".into(), true),
        ];
        journal.wait("both fragments", |pages| {
            pages.of(&connection).ends_with(&fragments).then_some(())
        });
        wait_until("the third message counts", || {
            connection.received_messages() == 3
        });
        one.text("0123456789a");
        one.answer_close(1009);
        other.frame(frame(Opcode::Text, false), b"0123456789");
        other.frame(frame(Opcode::Continuation, true), b"0123456789");
        assert_eq!(other.hear_text(), "01234567890123456789");
        other.frame(frame(Opcode::Text, true), b"\xFF");
        other.answer_close(1007);
        stop(server);
        journal.check();
    });
}

#[test]
fn a_handshake_sets_options_of_its_connection() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let mut settings = WebSocketSettings::default();
        settings.max_message_size = 1000;
        let builder = journal
            .attach_echo(builder)
            .websocket(settings)
            .on_handshake(|handshake, response| {
                if handshake.request().document() == "/small" {
                    response.configure(|options| options.max_message_size = 10);
                }
            });
        let server = start(builder);
        let mut small = Opening::new(port).target("/small").open();
        let mut usual = WebSocket::connect(port);
        small.text("0123456789a");
        small.answer_close(1009);
        usual.text("0123456789a");
        assert_eq!(usual.hear_text(), "0123456789a");
        usual.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_reply_is_waited_for() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach(builder, |connection, happened| {
            if *happened != Happened::Text("ask me".into()) {
                return echo(connection, happened);
            }
            match connection.write_and_wait("question", PATIENCE) {
                Ok(answer) => connection.send_text(&format!("heard {answer}"))?,
                Err(error) => connection.send_text(&format!("{error:?}"))?,
            }
            Ok(())
        }));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        // A handler that may block waits; one on the driver's thread may not.
        client.text("ask me");
        match client.hear_text().as_str() {
            "question" => {
                client.text("answer");
                assert_eq!(client.hear_text(), "heard answer");
            }
            other => assert_eq!(other, "WouldBlock"),
        }
        // Another thread always waits; who gives up does not take another's reply.
        let given_up = connection.write_and_wait("one", std::time::Duration::from_millis(1));
        assert_eq!(given_up, Err(WriteError::TimedOut));
        assert_eq!(client.hear_text(), "one");
        let asking = std::thread::spawn({
            let connection = connection.clone();
            move || connection.write_and_wait("two", PATIENCE)
        });
        assert_eq!(client.hear_text(), "two");
        client.text("reply");
        assert_eq!(asking.join().unwrap(), Ok("reply".into()));
        client.text("no reply");
        assert_eq!(client.hear_text(), "no reply");
        // The end is no reply.
        let asking = std::thread::spawn({
            let connection = connection.clone();
            move || connection.write_and_wait("three", PATIENCE)
        });
        assert_eq!(client.hear_text(), "three");
        client.leave();
        assert_eq!(asking.join().unwrap(), Err(WriteError::Closed));
        stop(server);
        let texts = journal.texts(2);
        assert_eq!(texts, ["ask me", "no reply"]);
        journal.check();
    });
}
