//! Properties of WebSocket connections. Source: the component's Options, Extensions, QueueOptions,
//! HeartBeat, SecurityOptions and MaxMessageSize.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tidegate_httpapi::LimitError;
use tidegate_proto::websocket::{DeflateSettings, FragmentedMessages, OriginList};

use crate::settings::schema::TextOr;

use super::heartbeat::HeartbeatSettings;
use super::send_queue::{Level, Overflow, QueueLimits};

/// All properties of a server's WebSocket connections.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WebSocketSettings {
    /// Whether connections of HTTP/1.1 may become WebSockets (RFC 6455). Default true. Source: the
    /// component's Specifications.
    ///
    /// False: a request for it is an ordinary request.
    pub rfc6455: bool,
    /// Whether streams of HTTP/2 may become WebSockets (RFC 8441). Default true. Source: the component's
    /// Specifications.
    ///
    /// False: a request for it, which can be nothing else, is answered with 501.
    pub rfc8441: bool,
    /// How messages that come in several frames are delivered. Default whole. Source: the component's
    /// FragmentedMessages, whose frgOnlyBuffer, frgOnlyFragmented and frgAll these are.
    #[serde(with = "FragmentedMessagesNames")]
    pub fragmented_messages: FragmentedMessages,
    /// Whether text that is not UTF-8 ends the connection with 1007 (RFC 6455 §8.1). Default true.
    ///
    /// False: what is not UTF-8 is delivered as U+FFFD.
    pub validate_utf8: bool,
    /// Whether [`Connection::disconnect`](super::Connection::disconnect) sends a close frame before it
    /// drops the connection. Default true.
    pub clean_disconnect: bool,
    /// Longest message in bytes, over its frames and after decompression; 0 is unlimited. Default
    /// 64 MiB. A longer one ends the connection with 1009.
    pub max_message_size: u64,
    /// Most bytes that messages on their way in may hold over all connections together; 0 is unlimited.
    /// Default 256 MiB. Whoever would exceed it is closed with 1013, the others go on.
    pub memory_budget: u64,
    /// Longest time in which the peer takes nothing of what is being sent to it; 0 is unlimited.
    /// Default 30 s. Then the connection is reset. Source: the component's WriteTimeOut, in every mode.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub write_timeout: Duration,
    /// Longest wait for the peer's close frame after ours. Default 5 s. Then the connection is dropped.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub close_timeout: Duration,
    /// Whether a send never waits and its end is told by
    /// [`on_asynchronous`](crate::Events::on_asynchronous). Default false.
    pub asynchronous: bool,
    /// What waits to be sent on a connection.
    pub queue: QueueOptions,
    /// Compression, RFC 7692.
    pub per_message_deflate: PerMessageDeflate,
    /// Pings to idle peers.
    pub heartbeat: HeartbeatSettings,
    /// Who may connect.
    pub security: SecurityOptions,
    /// Whether the server serves its JavaScript client, at `/tidegate/websocket.js`, and those of its
    /// sub-protocols beside it. Default true. Source: the component's Options.JavascriptFiles.
    pub javascript_files: bool,
    /// What carries connections of clients that cannot open a WebSocket.
    pub fallback: FallbackOptions,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            rfc6455: true,
            rfc8441: true,
            fragmented_messages: FragmentedMessages::Whole,
            validate_utf8: true,
            clean_disconnect: true,
            max_message_size: 64 * 1024 * 1024,
            memory_budget: 256 * 1024 * 1024,
            write_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            asynchronous: false,
            queue: QueueOptions::default(),
            per_message_deflate: PerMessageDeflate::default(),
            heartbeat: HeartbeatSettings::default(),
            security: SecurityOptions::default(),
            javascript_files: true,
            fallback: FallbackOptions::default(),
        }
    }
}

impl WebSocketSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let deflate = &self.per_message_deflate;
        LimitError::check(
            "websocket.per_message_deflate.server_max_window_bits",
            deflate.server_max_window_bits.into(),
            8..=15,
        )?;
        LimitError::check(
            "websocket.per_message_deflate.client_max_window_bits",
            deflate.client_max_window_bits.into(),
            8..=15,
        )?;
        LimitError::check(
            "websocket.per_message_deflate.mem_level",
            deflate.mem_level.into(),
            1..=9,
        )?;
        LimitError::check("websocket.queue.messages", self.queue.messages, 1..=1 << 24)?;
        LimitError::check("websocket.queue.bytes", self.queue.bytes, 1024..=1 << 31)?;
        self.fallback.server_sent_events.check()?;
        self.heartbeat.check()
    }
}

/// What waits to be sent on a connection while its peer is slow. Source: the component's QueueOptions.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QueueOptions {
    /// Level of text messages. Default none.
    pub text: Level,
    /// Level of binary messages. Default none.
    pub binary: Level,
    /// Level of pings. Default none.
    pub ping: Level,
    /// Most messages that wait on one connection. Default 1024, range 1 to 16,777,216.
    pub messages: u32,
    /// Most bytes that wait on one connection; one longer message may wait alone. Default 16 MiB,
    /// range 1024 to 2 GiB.
    pub bytes: u32,
    /// What becomes of a message for which there is no room. Default wait.
    pub overflow: Overflow,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            text: Level::None,
            binary: Level::None,
            ping: Level::None,
            messages: 1024,
            bytes: 16 * 1024 * 1024,
            overflow: Overflow::Wait,
        }
    }
}

impl QueueOptions {
    pub(super) fn limits(&self) -> QueueLimits {
        QueueLimits {
            messages: self.messages as usize,
            bytes: self.bytes as usize,
        }
    }
}

/// Compression of messages, RFC 7692. Source: the component's Extensions.PerMessage_Deflate.
///
/// A peer that does not offer it is spoken to without.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PerMessageDeflate {
    /// Whether it is agreed to. Default false: it costs processor time and memory, and pays for long
    /// messages only.
    pub enabled: bool,
    /// Largest window that messages to the peer refer to, as a power of two. Default 15, range 8 to 15.
    ///
    /// At 8 they refer to the byte before only, because zlib does not have so small a window.
    pub server_max_window_bits: u8,
    /// Largest window that messages from the peer may refer to. Default 15, range 8 to 15.
    pub client_max_window_bits: u8,
    /// Whether each message to the peer is compressed on its own. Default false.
    ///
    /// While false, at most 256 connections of a worker hold what they sent before; whoever has held it
    /// longest begins anew then, which costs compression, not correctness.
    ///
    /// True spares the memory that a connection's compression holds between messages, 260 KiB with the
    /// other defaults.
    pub server_no_context_takeover: bool,
    /// Whether the peer is asked to compress each message on its own. Default false.
    pub client_no_context_takeover: bool,
    /// zlib's memory level, 1 to 9. Default 1; more gains next to nothing at the speed that is used.
    pub mem_level: u8,
    /// Shortest message that is compressed, in bytes. Default 16.
    pub message_bytes_min: u32,
}

impl Default for PerMessageDeflate {
    fn default() -> Self {
        Self {
            enabled: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            mem_level: 1,
            message_bytes_min: 16,
        }
    }
}

impl PerMessageDeflate {
    pub(super) fn to_proto(&self) -> DeflateSettings {
        DeflateSettings {
            enabled: self.enabled,
            server_max_window_bits: self.server_max_window_bits,
            client_max_window_bits: self.client_max_window_bits,
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            mem_level: self.mem_level,
            message_bytes_min: self.message_bytes_min as usize,
        }
    }
}

/// What carries connections of clients that cannot open a WebSocket, mostly because a proxy on the way lets
/// none pass. Source: the component's FallBack.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FallbackOptions {
    /// Server-sent events, with requests the other way.
    pub server_sent_events: ServerSentEventsFallback,
}

/// Connections over server-sent events: what the server says comes as events, what the client says goes as
/// requests. To the application they are like others; [`Connection::transport`](super::Connection::transport)
/// tells. Source: the component's FallBack.ServerSentEvents.
///
#[doc = include_str!("fallback/wire.md")]
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerSentEventsFallback {
    /// Whether there are such connections. Default false: a request for one is an ordinary request.
    pub enabled: bool,
    /// How long a client waits before it connects again after its connection broke, if it goes by what the
    /// stream says, as `EventSource` does. Default 3 s, at most a day; told in whole milliseconds.
    #[serde(deserialize_with = "crate::settings::format::seconds")]
    pub retry: Duration,
}

impl Default for ServerSentEventsFallback {
    fn default() -> Self {
        Self {
            enabled: false,
            retry: Duration::from_secs(3),
        }
    }
}

impl ServerSentEventsFallback {
    fn check(&self) -> Result<(), LimitError> {
        // Whole seconds are enough to tell what is wrong.
        let seconds = self.retry.as_secs() + u64::from(self.retry.subsec_nanos() != 0);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let name = "websocket.fallback.server_sent_events.retry";
        LimitError::check(name, seconds, 0..=24 * 60 * 60)
    }
}

/// Who may open a WebSocket. Source: the component's SecurityOptions.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SecurityOptions {
    /// Origins of pages that may connect, such as `https://example.com, localhost:*`; empty: all.
    /// Default empty. Another origin is answered with 403. A program that is no browser sends none,
    /// and is let in.
    #[serde(deserialize_with = "origins")]
    #[schemars(with = "TextOr<Vec<String>>")]
    pub origins_allowed: OriginList,
    /// Whether a version other than 13 is answered with 426. Default true.
    pub enforce_websocket_version: bool,
    /// Whether a key that is missing or is not 16 bytes in base64 is answered with 400. Default true.
    pub validate_websocket_key: bool,
}

impl Default for SecurityOptions {
    fn default() -> Self {
        Self {
            origins_allowed: OriginList::default(),
            enforce_websocket_version: true,
            validate_websocket_key: true,
        }
    }
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(remote = "FragmentedMessages", rename_all = "kebab-case")]
enum FragmentedMessagesNames {
    Whole,
    Fragments,
    Both,
}

/// Reads origins: one text with commas, or a list of texts.
fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OriginList, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "origins such as \"https://example.com\"")]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    let text = match Texts::deserialize(deserializer)? {
        Texts::One(text) => text,
        Texts::Many(texts) => texts.join(","),
    };
    text.parse().map_err(serde::de::Error::custom)
}
