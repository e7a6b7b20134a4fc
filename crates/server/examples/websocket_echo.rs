//! Sends every message back: text as text, binary as binary, compressed where the client can.

use tidegate::{Server, WebSocketSettings};

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let mut websocket = WebSocketSettings::default();
    websocket.per_message_deflate.enabled = true;
    Server::builder()
        .port(port)
        .websocket(websocket)
        .on_message(|connection, text| connection.send_text(text))
        .on_binary(|connection, data| connection.send_binary(data))
        .build()?
        .run()
}
