//! Peers that say more than they are heard: they have to wait, and what is held for them is bounded.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use tidegate::{Opcode, Overflow};

use crate::client::setting::{in_each_setting, start, stop};
use crate::journal::{Happened, Journal, echo};
use crate::pressure::{MEBIBYTE, with_queue};
use crate::websocket::{Heard, Opening, WebSocket, encoded, frame};

/// Writes until the other side takes no more.
fn write_until_stalled(client: &mut WebSocket, message: &[u8], most: usize) -> usize {
    let mut written = 0;
    let mut rest = message;
    let mut refused = 0;
    while refused < 300 {
        assert!(written < most, "it takes all that it is given");
        match client.try_write(&mut rest) {
            true => refused = 0,
            false => {
                refused += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if rest.is_empty() {
            written += 1;
            rest = message;
        }
    }
    // The rest of the last one is written when there is room.
    client.write_later(rest);
    written + 1
}

#[test]
fn a_peer_that_does_not_read_its_echo_is_not_read_from() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let builder = with_queue(builder, Overflow::Wait, 100, MEBIBYTE);
        let server = start(journal.attach_echo(builder));
        let mut client = Opening::new(port).narrow().open();
        let text = "x".repeat(60_000);
        let message = encoded(frame(Opcode::Text, true), text.as_bytes());
        let count = write_until_stalled(&mut client, &message, 64 * MEBIBYTE / text.len());
        let connection = journal.connection(0);
        assert!(connection.queued_bytes() <= 2 * MEBIBYTE);
        let mut other = WebSocket::connect(port);
        other.text("still here");
        assert_eq!(other.hear_text(), "still here");
        for _ in 0..count {
            assert!(client.hear_text() == text);
        }
        client.leave();
        other.leave();
        stop(server);
        journal.check();
    });
}

#[test]
fn a_peer_that_does_not_read_its_pongs_gets_few() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let server = start(journal.attach_echo(builder));
        let mut client = Opening::new(port).narrow().open();
        let mut message = Vec::new();
        for _ in 0..500 {
            message.extend(encoded(frame(Opcode::Ping, true), &[7; 125]));
        }
        let ping_bytes = 24 * MEBIBYTE;
        write_some(&mut client, &message, ping_bytes);
        let connection = journal.connection(0);
        assert!(
            connection.sent_bytes() < 8 << 20,
            "{}",
            connection.sent_bytes()
        );
        client.reset();
        journal.disconnect();
        stop(server);
        journal.check();
    });
}

/// Writes until so many bytes are written or the other side takes no more.
fn write_some(client: &mut WebSocket, message: &[u8], bytes: usize) {
    let (mut written, mut refused) = (0, 0);
    let mut rest = message;
    while written < bytes && refused < 300 {
        let before = rest.len();
        match client.try_write(&mut rest) {
            true => refused = 0,
            false => {
                refused += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        written += before - rest.len();
        if rest.is_empty() {
            rest = message;
        }
    }
}

#[test]
fn a_handler_slower_than_its_peer_keeps_it_waiting() {
    in_each_setting(|builder, port| {
        let journal = Arc::new(Journal::default());
        let (open, gate) = channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let builder = journal.attach(builder, move |connection, happened| {
            // The first message's handler waits; in HighPerf this makes its whole thread wait.
            if *happened == Happened::Binary(b"wait".into()) {
                gate.lock().unwrap().recv().unwrap();
            }
            echo(connection, happened)
        });
        let server = start(builder.io_threads(2));
        let mut client = WebSocket::connect(port);
        client.binary(b"wait");
        let text = "x".repeat(60_000);
        let message = encoded(frame(Opcode::Text, true), text.as_bytes());
        let count = write_until_stalled(&mut client, &message, 64 * MEBIBYTE / text.len());
        let connection = journal.connection(0);
        // What was taken of it is bounded, also in messages.
        assert!(connection.received_bytes() < 4 * MEBIBYTE as u64);
        open.send(()).unwrap();
        assert_eq!(client.hear(), Heard::Binary(b"wait".into()));
        for _ in 0..count {
            assert!(client.hear_text() == text);
        }
        client.leave();
        stop(server);
        journal.check();
    });
}
