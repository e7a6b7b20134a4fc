//! `/chat` and `/ws/chat`: a chat over the channel protocol, which shows what that can do.
//!
//! Channel `chat` keeps what was said last for who comes later; `people` keeps how many there are. The
//! method `connections` says how many WebSocket connections the server has.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate::{
    ChannelClient, ChannelProtocol, ChannelSettings, Publication, Request, Response, Retention,
};

/// Its name on the wire.
pub(super) const PROTOCOL: &str = "tidegate.channels";

/// The protocol, to be registered with the server.
pub(crate) fn protocol() -> ChannelProtocol {
    let mut settings = ChannelSettings::default();
    settings.name = PROTOCOL.to_owned();
    settings.retained_messages = MESSAGES_KEPT;
    ChannelProtocol::builder()
        .settings(settings)
        .retain("chat", Retention::All)
        .retain("people", Retention::Last)
        .before_subscription(|_, channel| matches!(channel, "chat" | "people"))
        .on_subscription(tell_people)
        .on_unsubscription(tell_people)
        .before_publish(is_fit)
        .on_rpc("connections", |client, _| {
            Ok(client.connections().count().into())
        })
        .build()
}

/// Somebody has come or gone.
fn tell_people(client: &ChannelClient<'_>, channel: &str) {
    if channel == "chat" {
        let people = client.protocol().subscriber_count("chat");
        // One that cannot be told now is told with the next.
        let _ = client.protocol().publish("people", &people);
    }
}

/// Whether a message may be published. What was said gets the time at which it was.
fn is_fit(_: &ChannelClient<'_>, publication: &mut Publication<'_>) -> bool {
    if publication.channel() != "chat" {
        return false;
    }
    let Ok(said) = publication.parse::<Said>() else {
        return false;
    };
    let (name, text) = (said.name.trim(), said.text.trim());
    let is_short = |text: &str, max| (1..=max).contains(&text.chars().count());
    if !is_short(name, NAME_CHARS_MAX) || !is_short(text, TEXT_CHARS_MAX) {
        return false;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let at = now.map_or(0, |now| now.as_millis() as u64);
    publication
        .replace(&json!({"name": name, "text": text, "at": at}))
        .is_ok()
}

/// What a client publishes to `chat`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Said {
    name: String,
    text: String,
}

const MESSAGES_KEPT: u32 = 100;
const NAME_CHARS_MAX: usize = 40;
const TEXT_CHARS_MAX: usize = 1000;

pub(super) fn page(_: &Request<'_>, response: &mut Response) {
    super::send_page(response, include_bytes!("chat.html"));
}
