//! A chat over the channel protocol: `http://localhost:8080/` is the page, in as many windows as you like.

use serde_json::json;
use tidegate::{ChannelProtocol, Retention, Server};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>Chat</title>
<form><input name="text" autofocus><button>Say</button></form><ul></ul>
<script src="tidegate/websocket.js"></script><script src="tidegate/tidegate.channels.js"></script>
<script>
const channels = new TidegateChannels("chat");
channels.subscribe("room", ({ who, text }) => {
  const line = document.createElement("li");
  line.textContent = `${who}: ${text}`;
  document.querySelector("ul").prepend(line);
});
document.forms[0].onsubmit = event => {
  event.preventDefault();
  channels.publish("room", event.target.text.value, { level: 1 });
  event.target.reset();
};
</script>"#;

fn main() -> Result<(), tidegate::Error> {
    let port = std::env::args()
        .nth(1)
        .map_or(8080, |port| port.parse().expect("a port"));
    let chat = ChannelProtocol::builder()
        // Who comes later gets what was said.
        .retain("room", Retention::All)
        .before_subscription(|_, channel| channel == "room")
        .before_publish(|client, publication| match publication.parse::<String>() {
            // Nobody speaks in another's name.
            Ok(text) if publication.channel() == "room" => {
                let said = json!({ "who": client.peer().to_string(), "text": text });
                publication.replace(&said).is_ok()
            }
            _ => false,
        })
        .build();
    Server::builder()
        .port(port)
        .register_protocol(chat)
        .on_http_request(|_, response| response.content_type("text/html; charset=utf-8").text(PAGE))
        .build()?
        .run()
}
