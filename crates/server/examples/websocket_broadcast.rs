//! Pushes the time to everybody, once a second. A message is framed once for all of them.

use std::thread;
use std::time::{Duration, Instant};

use tidegate::{Message, Overflow, Recipients, Server, WebSocketSettings};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut websocket = WebSocketSettings::default();
    // A client that is slow gets the newest second only, when it can.
    websocket.queue.overflow = Overflow::Coalesce;
    let server = Server::builder()
        .port(port)
        .websocket(websocket)
        .on_connect(|connection| println!("{} is here", connection.peer()))
        .on_disconnect(|connection, end| println!("{} left: {}", connection.peer(), end.code))
        .build()?;
    let started = Instant::now();
    let pushing = server.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            let seconds = started.elapsed().as_secs();
            let message = Message::text(format!("{seconds} s")).with_key("seconds");
            if let Err(error) = pushing.broadcast(message, &Recipients::all()) {
                eprintln!("not sent: {error}");
            }
        }
    });
    server.run()
}
