//! Whatever both sides do at random: each connection's events are valid, and nothing is left of it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate::{
    Connection, EndedBy, HandlerError, Message, Opcode, Recipients, Server, Streaming,
    WebSocketSettings, WriteError,
};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal};
use crate::wait_until;
use crate::websocket::{Opening, WebSocket, frame};

/// S. Vigna's SplitMix64, public domain.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn within(&mut self, range: Range<usize>) -> usize {
        range.start + (self.next() % range.len() as u64) as usize
    }

    /// Mostly short, sometimes longer than what is sent at once.
    fn length(&mut self) -> usize {
        match self.within(0..20) {
            0 => self.within(60_000..200_000),
            1..4 => self.within(120..5_000),
            _ => self.within(0..120),
        }
    }
}

/// What a handler does when it is asked to: the first word of what came says it, the second numbers it.
fn obey(connection: &Connection, happened: &Happened) -> Result<(), HandlerError> {
    let Happened::Text(text) = happened else {
        return Ok(());
    };
    let all = connection.connections();
    match text.split(' ').next().unwrap() {
        "panic" => panic!("as asked for"),
        "fail" => return Err("as asked for".into()),
        "close" => connection.close(4000, "as asked for")?,
        "disconnect" => connection.disconnect(4001),
        "subscribe" => drop(connection.subscribe("news")),
        "unsubscribe" => drop(connection.unsubscribe("news")),
        "join" => drop(all.groups().add("Room1", connection)),
        "leave" => drop(all.groups().remove("Room1", connection)),
        "news" => all.broadcast(text.as_str(), &Recipients::all().channel("news"))?,
        "room" => all.groups().broadcast("Room*", text.as_str())?,
        "parts" => {
            connection.send_text_part(text, Streaming::First)?;
            connection.send_text("between")?;
            connection.send_text_part(text, Streaming::Last)?;
        }
        _ => connection.send_text(text)?,
    }
    Ok(())
}

/// One client's life.
fn live(port: u16, random: &mut Random) {
    let opening = match random.within(0..3) {
        0 => Opening::new(port).deflate(|_| {}),
        1 => Opening::new(port).target("/panic"),
        _ => Opening::new(port),
    };
    let mut client = opening.open();
    for number in 0..random.within(0..40) {
        let word = match random.within(0..60) {
            0 => "panic",
            1 => "fail",
            2 => "close",
            3 => "disconnect",
            4..8 => "subscribe",
            8..10 => "unsubscribe",
            10..14 => "join",
            14..16 => "leave",
            16..19 => "news",
            19..22 => "room",
            22..26 => "parts",
            _ => "echo",
        };
        let text = format!("{word} {number} {}", "x".repeat(random.length()));
        match random.within(0..8) {
            0 => {
                let middle = random.within(0..text.len() + 1);
                client.frame_if_open(frame(Opcode::Text, false), &text.as_bytes()[..middle]);
                client.frame_if_open(frame(Opcode::Ping, true), b"between");
                let rest = &text.as_bytes()[middle..];
                client.frame_if_open(frame(Opcode::Continuation, true), rest);
            }
            _ => client.frame_if_open(frame(Opcode::Text, true), text.as_bytes()),
        }
        match random.within(0..10) {
            0 => client.frame_if_open(frame(Opcode::Ping, true), b"there?"),
            1 => client.frame_if_open(frame(Opcode::Pong, true), b""),
            2..5 => client.pass_over(),
            _ => {}
        }
    }
    end(client, random);
}

fn end(mut client: WebSocket, random: &mut Random) {
    match random.within(0..8) {
        0 => client.reset(),
        1 => drop(client),
        2 => {
            client.end();
            client.hear_end();
        }
        3 => {
            // Not masked, not a head, a close frame of one byte.
            let wrong: [&[u8]; 3] = [b"\x81\x00", b"\xFF\xFF\xFF\xFF", b"\x88\x81abcdX"];
            let wrong = wrong[random.within(0..3)];
            client.write_if_open(wrong);
            client.hear_end();
        }
        4 => {
            // The rest of a message never comes.
            client.frame_if_open(frame(Opcode::Text, false), b"never");
            client.reset();
        }
        _ => {
            client.frame_if_open(frame(Opcode::Close, true), b"\x03\xE8bye");
            client.hear_end();
        }
    }
}

/// Does something to connections that others hold.
fn meddle(server: &Server, random: &mut Random) {
    let connections = server.connections();
    let all = connections.snapshot();
    let everybody = Recipients::all();
    match random.within(0..40) {
        0 => connections.disconnect_all(1012, "").unwrap(),
        1..4 => connections.ping(b"all").unwrap(),
        4..8 => connections.broadcast("to all", &everybody).unwrap(),
        8..10 => {
            let long = Message::binary(vec![0; random.length()]).in_fragments_of(1000);
            connections.broadcast(long, &everybody).unwrap();
        }
        _ if all.is_empty() => std::thread::yield_now(),
        chosen => {
            let connection = &all[random.within(0..all.len())];
            // Each may have ended in this moment.
            let sent = match chosen {
                10 => connection.close(4002, "meddled"),
                12..20 => connection.send_text("meddled"),
                20..25 => connection.ping(b"meddled"),
                25..30 => connection.send_binary(&vec![0; random.length()]),
                _ => {
                    match chosen {
                        11 => connection.disconnect(4003),
                        30..35 => drop(connections.groups().add("Room2", connection)),
                        _ => drop(connection.subscribe("news")),
                    }
                    Ok(())
                }
            };
            assert!(matches!(sent, Ok(()) | Err(WriteError::Closed)), "{sent:?}");
        }
    }
}

/// The numbers of the texts that came.
fn numbers(happened: &[Happened]) -> Vec<usize> {
    let texts = happened.iter().filter_map(|happened| match happened {
        Happened::Text(text) => Some(text),
        _ => None,
    });
    texts
        .map(|text| text.split(' ').nth(1).unwrap().parse().unwrap())
        .collect()
}

#[test]
fn events_are_valid_whatever_happens() {
    const THREADS: u64 = 4;
    const LIVES: usize = 12;
    for seed in [1, 2026] {
        in_each_setting(|builder, port| {
            println!("seed {seed}");
            let journal = Arc::new(Journal::default());
            let builder = journal.attach(builder, |connection, happened| {
                if connection.url() == "/panic"
                    && matches!(happened, Happened::Connect | Happened::Disconnect(_))
                {
                    panic!("as asked for");
                }
                obey(connection, happened)
            });
            let mut settings = WebSocketSettings::default();
            settings.per_message_deflate.enabled = true;
            settings.heartbeat.enabled = true;
            let server = start(builder.io_threads(2).websocket(settings));
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let lives: Vec<_> = (0..THREADS)
                    .map(|thread| {
                        let mut random = Random(seed << 8 | thread);
                        scope.spawn(move || (0..LIVES).for_each(|_| live(port, &mut random)))
                    })
                    .collect();
                scope.spawn(|| {
                    let mut random = Random(seed << 8 | 255);
                    while !is_over.load(Ordering::Relaxed) {
                        meddle(&server, &mut random);
                    }
                });
                for thread in lives {
                    thread.join().unwrap();
                }
                is_over.store(true, Ordering::Relaxed);
            });
            let count = THREADS as usize * LIVES;
            let ends = journal.disconnects(count);
            assert_eq!(ends.len(), count);
            assert_eq!(server.connections().count(), 0);
            assert!(server.connections().snapshot().is_empty());
            wait_until("nobody is in a group", || {
                server.connections().groups().count() == 0
            });
            stop(server);
            journal.check();
            for index in 0..count {
                let connection = journal.connection(index);
                let happened = journal.wait("its page", |pages| Some(pages.of(&connection)));
                // Each message once and in order, none left out.
                let numbers = numbers(&happened);
                assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
                let end = connection.ended().unwrap();
                let told = Happened::Disconnect(end.clone());
                assert!(happened.contains(&told), "{end:?}");
                match end.by {
                    EndedBy::Peer => assert_eq!((end.code, &*end.reason), (1000, "bye")),
                    EndedBy::Network => assert_eq!((end.code, &*end.reason), (1006, "")),
                    _ => assert_ne!(end.code, 1000),
                }
            }
        });
    }
}
