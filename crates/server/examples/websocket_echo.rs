//! Sends every message back: text as text, binary as binary, compressed where the client can.

use tidegate::{Server, WebSocketSettings};

fn main() -> Result<(), tidegate::Error> {
    let mut websocket = WebSocketSettings::default();
    websocket.per_message_deflate.enabled = true;
    Server::builder()
        .port(8080)
        .websocket(websocket)
        .on_message(|connection, text| connection.send_text(text))
        .on_binary(|connection, data| connection.send_binary(data))
        .build()?
        .run()
}
