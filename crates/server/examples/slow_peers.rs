//! Timers that end who is slow: 10 s for a head, 1000 bytes per second at least for an answer, and an end for
//! WebSockets that are gone.

use std::time::Duration;

use tidegate::{Server, Timeouts, WebSocketSettings};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut websocket = WebSocketSettings::default();
    // Takes nothing of what is sent to it.
    websocket.write_timeout = Duration::from_secs(10);
    // Says nothing for 20 s after a ping.
    websocket.heartbeat.enabled = true;
    websocket.heartbeat.interval = Duration::from_secs(60);
    websocket.heartbeat.timeout = Duration::from_secs(20);
    Server::builder()
        .port(port)
        .timeouts(Timeouts {
            enabled: true,
            header_wait: Duration::from_secs(10),
            min_send_rate: 1000,
            ..Timeouts::default()
        })
        .websocket(websocket)
        .on_http_request(|_, response| response.text("in time"))
        .on_message(|connection, text| connection.send_text(text))
        .on_error(|error| eprintln!("{error}"))
        .build()?
        .run()
}
