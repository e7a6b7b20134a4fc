//! Pings that the server sends by itself, and what it makes of silence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::{HeartbeatKind, WebSocketSettings};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal, echo};
use crate::websocket::{Heard, PATIENCE, WebSocket, frame};

fn beats(milliseconds: u64) -> impl FnOnce(&mut WebSocketSettings) {
    move |settings| {
        settings.heartbeat.enabled = true;
        settings.heartbeat.interval = Duration::from_millis(milliseconds);
    }
}

#[test]
fn a_peer_that_answers_stays() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        connection.configure(beats(20));
        // A timeout that nobody exceeds who answers, however busy the machine is.
        connection.configure(|settings| settings.heartbeat.timeout = Duration::from_secs(20));
        for _ in 0..3 {
            assert_eq!(client.hear(), Heard::Ping(Vec::new()));
            client.frame(frame(tidegate::Opcode::Pong, true), b"");
        }
        assert!(connection.is_open());
        assert!(connection.first_ping_at().is_some() && connection.last_ping_at().is_some());
        // It beats no more when it is told to stop.
        connection.configure(|settings| settings.heartbeat.enabled = false);
        connection.send_text("enough").unwrap();
        while client.hear() != Heard::Text("enough".into()) {}
        client.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn an_application_may_beat_itself() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = journal.attach(builder, |connection, happened| {
            if *happened == Happened::Heartbeat {
                connection.send_text("beat").unwrap();
                return Err("sends what it likes instead of a ping".into());
            }
            echo(connection, happened)
        });
        let server = start(builder);
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        connection.configure(|settings| {
            beats(20)(settings);
            // A ping that was not sent is not waited for.
            settings.heartbeat.timeout = Duration::from_millis(50);
        });
        for _ in 0..4 {
            assert_eq!(client.hear_text(), "beat");
        }
        assert!(connection.first_ping_at().is_none());
        connection.configure(|settings| settings.heartbeat.enabled = false);
        connection.close(1000, "").unwrap();
        client.answer_close(1000);
        stop(server);
        let beats = |happened: &&Happened| **happened == Happened::Heartbeat;
        assert!(journal.entries().iter().filter(beats).count() >= 4);
        journal.check();
    });
}

#[test]
fn an_applications_own_ping_is_to_be_answered_as_well() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = journal.attach(builder, |connection, happened| {
            if *happened == Happened::Heartbeat {
                connection.ping(b"own").unwrap();
                return Err("has sent its own".into());
            }
            Ok(())
        });
        let server = start(builder);
        let mut client = WebSocket::connect(port);
        journal.connection(0).configure(|settings| {
            beats(20)(settings);
            settings.heartbeat.timeout = Duration::from_millis(50);
        });
        assert_eq!(client.hear(), Heard::Ping(b"own".into()));
        client.hear_end();
        let end = journal.disconnect();
        assert_eq!((end.code, &*end.reason), (1006, "no pong in time"));
        stop(server);
        journal.check();
    });
}

#[test]
fn only_silent_peers_may_be_pinged() {
    const INTERVAL: Duration = Duration::from_millis(400);
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut silent = WebSocket::connect(port);
        let first = journal.connection(0);
        let mut talking = WebSocket::connect(port);
        let second = journal.connection(1);
        for connection in [&first, &second] {
            connection.configure(|settings| {
                settings.heartbeat.enabled = true;
                settings.heartbeat.interval = INTERVAL;
                settings.heartbeat.kind = HeartbeatKind::OnlyIfNoMessageReceivedInInterval;
            });
        }
        let talk = std::thread::spawn({
            let first = first.clone();
            move || {
                let mut heard = None;
                let mut longest = Duration::ZERO;
                while first.first_ping_at().is_none() {
                    talking.text("still here");
                    loop {
                        let next = talking.hear();
                        let silence = heard.map(|at: Instant| at.elapsed());
                        longest = longest.max(silence.unwrap_or_default());
                        match next {
                            Heard::Text(text) => break assert_eq!(text, "still here"),
                            // However busy the machine is: it was silent for a part of an interval, which begins
                            // when it is due, and not later by what the server was late.
                            Heard::Ping(_) => assert!(silence.is_none() || longest >= INTERVAL / 4),
                            other => panic!("{other:?}"),
                        }
                    }
                    heard = Some(Instant::now());
                }
                talking.leave();
            }
        });
        assert_eq!(silent.hear(), Heard::Ping(Vec::new()));
        talk.join().unwrap();
        silent.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_peer_that_is_not_read_from_is_not_taken_for_dead() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let builder = journal.attach(builder, move |connection, happened| {
            match happened {
                Happened::Text(text) if text == "wait" => gate.lock().unwrap().recv().unwrap(),
                _ => echo(connection, happened)?,
            }
            Ok(())
        });
        let server = start(builder);
        let mut client = WebSocket::connect(port);
        let connection = journal.connection(0);
        client.text("wait");
        // More than handlers may leave waiting: nothing is received until they have caught up.
        for _ in 0..40 {
            client.binary(&[7; 60_000]);
        }
        connection.configure(|settings| {
            beats(20)(settings);
            settings.heartbeat.timeout = Duration::from_millis(50);
        });
        // Long enough that one that is read from would be taken for dead. Nothing tells of that.
        std::thread::sleep(Duration::from_millis(200));
        // From here on it is read from, by a client that may have to wait for its turn.
        connection.configure(|settings| settings.heartbeat.timeout = PATIENCE);
        open.send(()).unwrap();
        let mut count = 0;
        while count < 40 {
            match client.hear() {
                Heard::Binary(_) => count += 1,
                Heard::Ping(payload) => client.frame(frame(tidegate::Opcode::Pong, true), &payload),
                other => panic!("{other:?}"),
            }
        }
        client.leave();
        stop(server);
        journal.check();
    });
}
