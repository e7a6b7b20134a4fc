//! The messages that the protocol sends of itself, as text.

use serde::Serialize;
use serde_json::value::RawValue;

use super::json_rpc::{json, request};
use super::settings::DeliveryLevel;

/// A channel's message that lacks its number yet: that is given when it is published.
pub(super) struct Unnumbered {
    text: String,
    level: DeliveryLevel,
}

impl Unnumbered {
    pub(super) fn new(channel: &str, level: DeliveryLevel, message: &RawValue) -> Self {
        let mut text = String::with_capacity(message.get().len() + channel.len() + 128);
        text.push_str(r#"{"jsonrpc":"2.0","method":"message","params":{"channel":"#);
        text.push_str(&json(channel));
        if level > DeliveryLevel::AtMostOnce {
            text.push_str(&format!(r#","level":{}"#, level.number()));
        }
        text.push_str(r#","message":"#);
        text.push_str(message.get());
        Self { text, level }
    }

    /// The whole message. One that is to be answered has its number for an id.
    pub(super) fn with_number(mut self, number: u64) -> String {
        self.text.push_str(&match self.level {
            DeliveryLevel::AtMostOnce => format!(r#","id":{number}}}}}"#),
            DeliveryLevel::AtLeastOnce | DeliveryLevel::ExactlyOnce => {
                format!(r#","id":{number}}},"id":{number}}}"#)
            }
        });
        self.text
    }
}

/// The second step of an exactly-once delivery.
pub(super) fn release(number: u64, id: u64) -> String {
    #[derive(Serialize)]
    struct Params {
        id: u64,
    }
    request(Some(id), "release", &json(&Params { id: number }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_encoded() {
        let raw: &RawValue = serde_json::from_str(r#"{"b":1.10,"a":[]}"#).unwrap();
        let text = |level| Unnumbered::new("a\"b", level, raw).with_number(17);
        assert_eq!(
            text(DeliveryLevel::AtMostOnce),
            r#"{"jsonrpc":"2.0","method":"message","params":{"channel":"a\"b","message":{"b":1.10,"a":[]},"id":17}}"#
        );
        assert_eq!(
            text(DeliveryLevel::ExactlyOnce),
            r#"{"jsonrpc":"2.0","method":"message","params":{"channel":"a\"b","level":2,"message":{"b":1.10,"a":[]},"id":17},"id":17}"#
        );
        assert_eq!(
            release(17, 18),
            r#"{"jsonrpc":"2.0","method":"release","params":{"id":17},"id":18}"#
        );
    }
}
