//! What may be set for streams of events.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::LimitError;

use crate::settings::format;

/// Streams of events, all of a server.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct EventStreamSettings {
    /// How long nothing may be sent on a stream before a comment is, which clients pass over; 0 sends
    /// none. Default 15 s, at most an hour. Source: the HTML standard, §9.2.7, for the sake of proxies that
    /// drop a connection on which nothing happens.
    ///
    /// It is also how long a client that has vanished without a word goes unnoticed.
    #[serde(deserialize_with = "format::seconds")]
    pub heartbeat: Duration,
}

impl Default for EventStreamSettings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
        }
    }
}

impl EventStreamSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        // Whole seconds are enough to tell what is wrong.
        let seconds = self.heartbeat.as_secs() + u64::from(self.heartbeat.subsec_nanos() != 0);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        LimitError::check("event_streams.heartbeat", seconds, 0..=3600)
    }
}

/// One stream of events.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventStreamOptions {
    /// Most events that wait for the client to take those before them. Default 64, at least 1.
    ///
    /// When it is full, [`try_send`](super::EventSender::try_send) fails and the other sends wait.
    pub buffer: usize,
    /// In place of the server's [`heartbeat`](EventStreamSettings::heartbeat); zero sends none. Default
    /// `None`: the server's.
    pub heartbeat: Option<Duration>,
    /// How long the client waits before it connects again, which is told first. Default `None`: as the
    /// client chooses, a few seconds mostly.
    pub retry: Option<Duration>,
}

impl Default for EventStreamOptions {
    fn default() -> Self {
        Self {
            buffer: 64,
            heartbeat: None,
            retry: None,
        }
    }
}
