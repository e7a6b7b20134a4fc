//! Messages to one, to some, to all: who is meant gets them once, and nobody else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate::{Connection, Message, Recipients, Server, ServerBuilder, WriteError};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::websocket::{Heard, Opening, WebSocket};

/// Connections that subscribe and join groups by their URLs, such as `/?news,sport&Room1,Room2`.
fn join(builder: ServerBuilder, journal: &Arc<Journal>) -> ServerBuilder {
    let builder = journal.attach(builder, |connection, happened| {
        if *happened == Happened::Connect {
            let names = connection
                .url()
                .split_once('?')
                .map_or("", |(_, names)| names);
            let (channels, groups) = names.split_once('&').unwrap_or((names, ""));
            for channel in channels.split(',').filter(|name| !name.is_empty()) {
                assert!(connection.subscribe(channel));
            }
            let all = connection.connections().groups();
            for group in groups.split(',').filter(|name| !name.is_empty()) {
                assert!(all.add(group, connection));
            }
        }
        Ok(())
    });
    builder.on_handshake(|handshake, response| {
        let offered = handshake.protocols().next().map(str::to_owned);
        if let Some(protocol) = offered {
            response.protocol(protocol);
        }
    })
}

/// What each client hears before everybody is told that it is enough.
fn heard_by(server: &Server, clients: &mut [WebSocket]) -> Vec<Vec<String>> {
    let everybody = Recipients::all();
    server.broadcast("enough", &everybody).unwrap();
    let heard = clients.iter_mut().map(|client| {
        let mut heard = Vec::new();
        loop {
            match client.hear_text() {
                text if text == "enough" => return heard,
                text => heard.push(text),
            }
        }
    });
    heard.collect()
}

/// Which clients hear a broadcast.
fn hearers(server: &Server, clients: &mut [WebSocket], recipients: &Recipients) -> Vec<usize> {
    server.broadcast("you", recipients).unwrap();
    let heard = heard_by(server, clients);
    for texts in &heard {
        assert!(texts.is_empty() || *texts == ["you"], "{heard:?}");
    }
    let has_heard = |index: &usize| !heard[*index].is_empty();
    (0..heard.len()).filter(has_heard).collect()
}

#[test]
fn a_broadcast_goes_to_whom_all_filters_hold_for() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(join(builder, &journal).io_threads(2));
        let wishes = [
            ("/?news", None),
            ("/?news,sport", Some("chat")),
            ("/?sport", Some("chat")),
            ("/", Some("chat")),
            ("/", Some("other")),
            ("/?news", Some("other")),
        ];
        let mut clients = Vec::new();
        let mut guids = Vec::new();
        for (index, (target, protocol)) in wishes.into_iter().enumerate() {
            let protocols: Vec<_> = protocol.into_iter().collect();
            let opening = Opening::new(port).target(target);
            clients.push(opening.protocols(&protocols).open());
            guids.push(journal.connection(index).guid());
        }
        let all = Recipients::all;
        let cases = [
            (all(), vec![0, 1, 2, 3, 4, 5]),
            (all().channel("news"), vec![0, 1, 5]),
            (all().channel("nobody"), vec![]),
            (all().protocol("chat"), vec![1, 2, 3]),
            (all().protocol("nobody"), vec![]),
            (all().channel("news").protocol("chat"), vec![1]),
            (all().include([guids[0], guids[3]]), vec![0, 3]),
            (all().include([guids[3], guids[3]]), vec![3]),
            (all().include([]), vec![]),
            (all().exclude([guids[1], guids[4]]), vec![0, 2, 3, 5]),
            (
                all().include([guids[0], guids[3]]).exclude([guids[3]]),
                vec![0],
            ),
            (all().include([guids[0], guids[2]]).channel("news"), vec![0]),
            (
                all().include([guids[0], guids[1]]).protocol("chat"),
                vec![1],
            ),
            (all().channel("news").exclude([guids[0]]), vec![1, 5]),
            (
                all()
                    .channel("news")
                    .protocol("other")
                    .include(guids.clone())
                    .exclude([guids[0]]),
                vec![5],
            ),
            (all().exclude(guids.clone()), vec![]),
        ];
        for (recipients, expected) in cases {
            let found = hearers(&server, &mut clients, &recipients);
            assert_eq!(found, expected, "{recipients:?}");
        }
        clients.into_iter().for_each(WebSocket::leave);
        server
            .broadcast("nobody is left", &Recipients::all())
            .unwrap();
        stop(server);
        journal.check();
    });
}

#[test]
fn data_goes_to_one() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(join(builder, &journal).io_threads(2));
        let mut clients: Vec<_> = (0..3).map(|_| WebSocket::connect(port)).collect();
        let connections: Vec<_> = (0..3).map(|index| journal.connection(index)).collect();
        let meant = clients.iter().map(|client| {
            let address = client.local().to_string();
            let is_its = |connection: &&Connection| connection.peer().to_string() == address;
            connections.iter().find(is_its).unwrap().guid()
        });
        for (index, guid) in meant.enumerate() {
            assert!(server.write_data(guid, format!("for {index}")));
            assert!(server.write_data(guid, Message::text("and this")));
        }
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.hear_text(), format!("for {index}"));
            assert_eq!(client.hear_text(), "and this");
        }
        let gone = connections[0].guid();
        clients.into_iter().for_each(WebSocket::leave);
        journal.disconnects(3);
        assert!(!server.write_data(gone, "too late"));
        let stranger = "00000000-0000-8000-8000-000000000000".parse().unwrap();
        assert!(!server.write_data(stranger, "who"));
        stop(server);
        journal.check();
    });
}

#[test]
fn a_ping_goes_to_all() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(join(builder, &journal).io_threads(2));
        let mut clients: Vec<_> = (0..5).map(|_| WebSocket::connect(port)).collect();
        let last = journal.connection(4);
        let all = server.connections();
        assert_eq!(all.ping(&[0; 126]), Err(WriteError::TooLong));
        all.ping(b"there?").unwrap();
        server.ping().unwrap();
        for client in &mut clients {
            assert_eq!(client.hear(), Heard::Ping(b"there?".into()));
            assert_eq!(client.hear(), Heard::Ping(Vec::new()));
        }
        assert!(last.last_ping_at().is_some());
        clients.into_iter().for_each(WebSocket::leave);
        stop(server);
        journal.check();
    });
}

#[test]
fn groups_are_addressed_by_masks_and_left_at_the_end() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(join(builder, &journal).io_threads(2));
        let mut clients = Vec::new();
        for (index, groups) in ["Room1", "Room2", "Room1,Room2", "Hall", ""]
            .into_iter()
            .enumerate()
        {
            clients.push(Opening::new(port).target(&format!("/?&{groups}")).open());
            journal.connection(index);
        }
        let connections: Vec<_> = (0..5).map(|index| journal.connection(index)).collect();
        let groups = server.connections().groups();
        assert_eq!(groups.count(), 3);
        assert_eq!(groups.len("Room1") + groups.len("Room2"), 4);
        for (mask, expected) in [
            ("Room*", vec![0, 1, 2]),
            ("Room1", vec![0, 2]),
            ("*", vec![0, 1, 2, 3]),
            ("H?ll", vec![3]),
            ("Nobody*", vec![]),
        ] {
            groups.broadcast(mask, "you").unwrap();
            let heard = heard_by(&server, &mut clients);
            let found: Vec<_> = (0..5).filter(|index| !heard[*index].is_empty()).collect();
            assert_eq!(found, expected, "{mask}");
            assert!(heard.iter().all(|texts| texts.len() <= 1), "{mask}");
        }
        let own: BTreeSet<_> = connections[2].groups().into_iter().collect();
        assert_eq!(own, BTreeSet::from(["Room1".into(), "Room2".into()]));
        assert!(!groups.add("Room1", &connections[2]));
        assert!(groups.remove("Room1", &connections[2]));
        assert!(!groups.remove("Room1", &connections[2]));
        assert!(groups.members("Room1") == [connections[0].clone()]);
        clients.into_iter().for_each(WebSocket::leave);
        journal.disconnects(5);
        assert_eq!(groups.count(), 0);
        assert!(connections[2].groups().is_empty());
        stop(server);
        journal.check();
    });
}

#[test]
fn nobody_stays_in_a_group_after_its_end() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let groups = server.connections().groups();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Adds all it finds, while they go.
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for connection in server.connections().snapshot() {
                        for count in 0..10 {
                            groups.add(&format!("Room{count}"), &connection);
                        }
                    }
                }
            });
            for _ in 0..100 {
                WebSocket::connect(port).leave();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        journal.disconnects(100);
        assert_eq!(groups.count(), 0, "{:?}", groups.names());
        stop(server);
        journal.check();
    });
}

#[test]
fn a_snapshot_is_taken_while_connections_come_and_go() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder.io_threads(2)));
        let staying: Vec<_> = (0..4).map(|_| WebSocket::connect(port)).collect();
        let stayers: Vec<_> = (0..4).map(|index| journal.connection(index)).collect();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..50 {
                    WebSocket::connect(port).leave();
                }
                is_over.store(true, Ordering::Relaxed);
            });
            while !is_over.load(Ordering::Relaxed) {
                let all = server.connections().snapshot();
                assert!(stayers.iter().all(|stayer| all.contains(stayer)));
                assert!(all.len() <= 6, "{all:?}");
                let names: BTreeSet<_> = all.iter().map(|one| one.guid().to_string()).collect();
                assert_eq!(names.len(), all.len());
            }
        });
        journal.disconnects(50);
        assert_eq!(server.connections().count(), 4);
        staying.into_iter().for_each(WebSocket::leave);
        journal.disconnects(54);
        assert_eq!(server.connections().count(), 0);
        stop(server);
        journal.check();
    });
}

#[test]
fn a_handler_may_broadcast() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = journal.attach(builder, |connection, happened| {
            if let Happened::Text(text) = happened {
                let others = Recipients::all().exclude([connection.guid()]);
                connection.connections().broadcast(text.as_str(), &others)?;
                connection.send_text("said")?;
            }
            Ok(())
        });
        let server = start(builder.io_threads(2));
        let mut clients: Vec<_> = (0..4).map(|_| WebSocket::connect(port)).collect();
        journal.connection(3);
        for speaker in 0..4 {
            for count in 0..20 {
                clients[speaker].text(&format!("{speaker} says {count}"));
            }
            for (index, client) in clients.iter_mut().enumerate() {
                for count in 0..20 {
                    let expected = match index == speaker {
                        true => "said".to_owned(),
                        false => format!("{speaker} says {count}"),
                    };
                    assert_eq!(client.hear_text(), expected);
                }
            }
        }
        clients.into_iter().for_each(WebSocket::leave);
        stop(server);
        journal.check();
    });
}

#[test]
fn who_subscribes_gets_what_is_broadcast_after() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        let news = Recipients::all().channel("news");
        for count in 0..200 {
            assert!(connection.subscribe("news"));
            assert!(!connection.subscribe("news"));
            assert!(connection.is_subscribed("news"));
            let both = news.clone().include([connection.guid()]);
            let recipients = if count % 2 == 0 { &news } else { &both };
            server.broadcast(count.to_string(), recipients).unwrap();
            assert!(connection.unsubscribe("news"));
            assert!(!connection.unsubscribe("news"));
            server.broadcast("not for it", recipients).unwrap();
        }
        let to_it = Recipients::all().include([connection.guid()]);
        server.broadcast("enough", &to_it).unwrap();
        for count in 0..200 {
            assert_eq!(client.hear_text(), count.to_string());
        }
        assert_eq!(client.hear_text(), "enough");
        client.leave();
        stop(server);
        journal.check();
    });
}
