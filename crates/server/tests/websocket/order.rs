//! Broadcasts and sends of one thread: they come in the order in which that thread made them.

use std::sync::Arc;

use tidegate::{Connection, Recipients, Server, Streaming};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::websocket::{Heard, Opening, WebSocket};

/// Sends and broadcasts in turn, numbered, in every way.
fn speak(server: &Server, connection: &Connection, count: usize) {
    let everybody = Recipients::all();
    let to_it = Recipients::all().include([connection.guid()]);
    let mut number = 0;
    let mut next = || {
        number += 1;
        (number - 1).to_string()
    };
    for round in 0..count {
        connection.send_text(&next()).unwrap();
        if round % 5 == 0 {
            server.broadcast(next(), &everybody).unwrap();
            server.broadcast(next(), &to_it).unwrap();
        }
        connection.send(next()).unwrap();
        if round % 7 == 0 {
            server.broadcast(next(), &everybody).unwrap();
            let parts = [Streaming::First, Streaming::Continue, Streaming::Last];
            for (text, part) in [next().as_str(), "", ""].into_iter().zip(parts) {
                connection.send_text_part(text, part).unwrap();
            }
        }
        if round % 11 == 0 {
            std::thread::yield_now();
        }
    }
    server.broadcast("enough", &to_it).unwrap();
}

/// Hears numbers in order until it is enough.
fn hear_in_order(client: &mut WebSocket) -> usize {
    let mut number = 0;
    loop {
        match client.hear_text() {
            text if text == "enough" => return number,
            text => assert_eq!(text.parse(), Ok(number)),
        }
        number += 1;
    }
}

#[test]
fn a_threads_broadcasts_and_sends_come_in_its_order() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        for _ in 0..20 {
            speak(&server, &connection, 50);
            assert!(hear_in_order(&mut client) > 100);
        }
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_slow_peer_gets_them_in_order_as_well() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        // More than the system takes: all that comes after waits in the queue.
        for _ in 0..12 {
            connection.send_binary(&[0; 1 << 20]).unwrap();
        }
        speak(&server, &connection, 50);
        for _ in 0..12 {
            assert!(matches!(client.hear(), Heard::Binary(_)));
        }
        assert!(hear_in_order(&mut client) > 100);
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_handlers_broadcasts_and_sends_come_in_its_order() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = journal.attach(builder, |connection, happened| {
            if let Happened::Text(text) = happened {
                let to_it = Recipients::all().include([connection.guid()]);
                connection.send_text(&format!("{text} one"))?;
                connection
                    .connections()
                    .broadcast(format!("{text} two"), &to_it)?;
                connection.send_text(&format!("{text} three"))?;
            }
            Ok(())
        });
        let server = start(builder);
        let mut client = WebSocket::connect(port);
        for round in 0..200 {
            client.text(&round.to_string());
        }
        for round in 0..200 {
            for word in ["one", "two", "three"] {
                assert_eq!(client.hear_text(), format!("{round} {word}"));
            }
        }
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_close_comes_after_what_was_sent_before() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = journal.attach(builder, |connection, happened| {
            if *happened == Happened::Text("close".into()) {
                let to_it = Recipients::all().include([connection.guid()]);
                connection.connections().broadcast("one", &to_it)?;
                connection.send_text("two")?;
                connection.close(4000, "enough")?;
                connection.send_text("too late").unwrap_err();
            } else if let Happened::Text(text) = happened {
                let to_it = Recipients::all().include([connection.guid()]);
                connection.connections().broadcast("one", &to_it)?;
                connection.send_text(text)?;
            }
            Ok(())
        });
        let server = start(builder);
        for _ in 0..20 {
            let mut client = WebSocket::connect(port);
            client.text("close");
            assert_eq!(client.hear_text(), "one");
            assert_eq!(client.hear_text(), "two");
            assert_eq!(client.answer_close(4000), "enough");
            // Nor does the answer to the peer's close overtake the answer to what it said before.
            let mut client = WebSocket::connect(port);
            client.text("two");
            client.close(Some(1000), "");
            assert_eq!(client.hear_text(), "one");
            assert_eq!(client.hear_text(), "two");
            assert_eq!(client.hear_close().0, Some(1000));
            client.hear_end();
        }
        stop(server);
        journal.check();
    });
}

#[test]
fn a_broadcast_comes_after_what_was_sent_before() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        for count in 0..200 {
            connection.send_text(&format!("to it {count}")).unwrap();
            let everybody = Recipients::all();
            server
                .broadcast(format!("to all {count}"), &everybody)
                .unwrap();
            if count % 7 == 0 {
                std::thread::yield_now();
            }
        }
        let (mut own, mut all) = (0, 0);
        while all < 200 {
            let text = client.hear_text();
            if let Some(count) = text.strip_prefix("to it ") {
                assert_eq!(count.parse(), Ok(own));
                own += 1;
            } else {
                assert_eq!(text, format!("to all {all}"));
                all += 1;
            }
            assert!(own >= all, "{text} comes before what was sent before it");
        }
        client.leave();
        stop(server);
        journal.check();
    });
}
