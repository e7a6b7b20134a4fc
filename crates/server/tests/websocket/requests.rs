//! Handlers of requests that speak to WebSocket connections: on a driver's thread they must not wait for
//! it.

use std::sync::{Arc, Mutex};

use tidegate::{Connection, Message, OperatingMode, Recipients, WebSocketSettings, WriteError};

use crate::client::Client;
use crate::client::free_port;
use crate::client::setting::{all_settings, builder, start, stop};
use crate::journal::Journal;
use crate::websocket::{Heard, Opening, WebSocket};

const MEBIBYTE: usize = 1 << 20;

#[test]
fn a_request_may_send_more_than_there_is_room_for() {
    for (io, mode) in all_settings() {
        let port = free_port();
        let journal = Arc::new(Journal::default());
        let to: Arc<Mutex<Option<Connection>>> = Arc::default();
        let mut settings = WebSocketSettings::default();
        settings.queue.bytes = 4 * MEBIBYTE as u32;
        let builder = journal
            .attach_echo(builder(io, mode, port))
            .websocket(settings)
            .on_http_request({
                let to = Arc::clone(&to);
                move |_, response| {
                    let connection = to.lock().unwrap().clone().unwrap();
                    let message = Message::binary(vec![0; MEBIBYTE]);
                    let sent = (0..24).filter(|_| match connection.send(message.clone()) {
                        Ok(()) => true,
                        Err(error) => {
                            assert_eq!(error, WriteError::Full);
                            false
                        }
                    });
                    response.text(sent.count().to_string());
                }
            });
        let server = start(builder);
        let mut slow = Opening::new(port).narrow().open();
        let connection = journal.connection(0);
        *to.lock().unwrap() = Some(connection.clone());
        let reading = std::thread::spawn(move || {
            let mut count = 0;
            while slow.hear() != Heard::Text("enough".into()) {
                count += 1;
            }
            (count, slow)
        });
        let answer = Client::connect(port).get("/");
        let sent: usize = answer.text().parse().unwrap();
        match mode {
            OperatingMode::Classic => assert_eq!(sent, 24),
            _ => assert!((4..24).contains(&sent), "{sent}"),
        }
        connection.send_text("enough").unwrap();
        let (received, slow) = reading.join().unwrap();
        assert_eq!(received, sent);
        slow.leave();
        stop(server);
        journal.check();
    }
}

#[test]
fn a_request_may_broadcast_more_than_may_wait() {
    for (io, mode) in all_settings() {
        let port = free_port();
        let journal = Arc::new(Journal::default());
        let server: Arc<Mutex<Option<tidegate::Connections>>> = Arc::default();
        let builder = journal
            .attach_echo(builder(io, mode, port))
            .on_http_request({
                let server = Arc::clone(&server);
                move |_, response| {
                    let all = server.lock().unwrap().clone().unwrap();
                    let sent = (0..10_000).filter(|number: &usize| {
                        let told = all.broadcast(number.to_string(), &Recipients::all());
                        assert!(matches!(told, Ok(()) | Err(WriteError::Full)));
                        told.is_ok()
                    });
                    response.text(sent.count().to_string());
                }
            });
        let running = start(builder);
        *server.lock().unwrap() = Some(running.connections());
        let mut client = WebSocket::connect(port);
        journal.connection(0);
        let reading = std::thread::spawn(move || {
            let mut numbers = Vec::new();
            loop {
                match client.hear_text() {
                    text if text == "enough" => return (numbers, client),
                    text => numbers.push(text.parse::<usize>().unwrap()),
                }
            }
        });
        let answer = Client::connect(port).get("/");
        let sent: usize = answer.text().parse().unwrap();
        match mode {
            OperatingMode::Classic => assert_eq!(sent, 10_000),
            _ => assert!((1..10_000).contains(&sent), "{sent}"),
        }
        running.broadcast("enough", &Recipients::all()).unwrap();
        let (numbers, client) = reading.join().unwrap();
        assert_eq!(numbers.len(), sent);
        assert!(numbers.is_sorted());
        client.leave();
        stop(running);
        journal.check();
    }
}
