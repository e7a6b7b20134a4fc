//! Properties of the channel protocol: names, retention, limits, times.
//!
//! Source: the component's default sub-protocol (UseMatchesMask, publish levels, QoS); the limits are ours.

use std::fmt;
use std::time::Duration;

/// Properties of a [`ChannelProtocol`](super::ChannelProtocol).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ChannelSettings {
    /// The name in `Sec-WebSocket-Protocol`. Default `tidegate.channels`.
    pub name: String,
    /// Whether a client may subscribe to a mask, in which `*` stands for any characters and `?` for one.
    /// Default false. True: nobody may publish to a channel whose name has one of these.
    ///
    /// Each publish is compared with every mask that anyone has subscribed to.
    pub use_matches_mask: bool,
    /// What is kept for late subscribers of channels that
    /// [`retain`](super::ChannelProtocolBuilder::retain) does not name. Default none.
    pub retention: Retention,
    /// Most messages kept for one channel with [`Retention::All`]; the oldest goes. Default 1000.
    pub retained_messages: u32,
    /// Most bytes kept for all channels together; the oldest message goes, whatever its channel. Default
    /// 16 MiB.
    pub retained_bytes: u64,
    /// Most channels and masks that one connection may have subscribed to. Default 128. Beyond,
    /// subscribing is refused.
    pub channels_per_connection: u32,
    /// Longest name of a channel, mask, or exactly-once publish, in bytes. Default 256.
    pub name_bytes: u32,
    /// Most requests in a batch. Default 100. A longer one is refused as a whole.
    pub batch_requests: u32,
    /// Most messages and calls that one connection may leave unanswered, and most exactly-once publishes
    /// it may leave unreleased. Default 1024. A connection that leaves more messages unanswered is closed
    /// with 1008; more calls and publishes are refused.
    pub unanswered_messages: u32,
    /// Most bytes of messages that one connection may leave unanswered. Default 16 MiB. As above.
    pub unanswered_bytes: u64,
    /// Time after which a message without an answer is sent again, and a call without one has failed.
    /// Default 30 s. Source: the component's QoS Timeout.
    pub answer_timeout: Duration,
    /// How often that is looked for. Default 10 s. Source: the component's QoS Interval.
    pub scan_interval: Duration,
    /// How long the names of unreleased exactly-once publishes are remembered after their connection has
    /// ended, so that a client which comes back can settle them. Default 5 minutes; at most 65,536 are.
    pub publish_memory: Duration,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            name: "tidegate.channels".to_owned(),
            use_matches_mask: false,
            retention: Retention::None,
            retained_messages: 1000,
            retained_bytes: 16 * 1024 * 1024,
            channels_per_connection: 128,
            name_bytes: 256,
            batch_requests: 100,
            unanswered_messages: 1024,
            unanswered_bytes: 16 * 1024 * 1024,
            answer_timeout: Duration::from_secs(30),
            scan_interval: Duration::from_secs(10),
            publish_memory: Duration::from_secs(300),
        }
    }
}

/// What is kept of a channel's messages for late subscribers. Source: the component's publish levels.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Retention {
    /// Nothing.
    #[default]
    None,
    /// The last message.
    Last,
    /// All messages, within [`retained_messages`](ChannelSettings::retained_messages) and
    /// [`retained_bytes`](ChannelSettings::retained_bytes).
    All,
}

/// How surely a message arrives. Source: the component's QoS, which is MQTT's.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum DeliveryLevel {
    /// Level 0: it is sent, and that is all.
    #[default]
    AtMostOnce,
    /// Level 1: it is sent again until it is answered, so it may arrive more than once.
    AtLeastOnce,
    /// Level 2: as level 1, and its number is known to both sides until both have said that they have
    /// done with it, so that one that comes again is known for what it is.
    ExactlyOnce,
}

impl DeliveryLevel {
    /// 0, 1 or 2.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for DeliveryLevel {
    type Error = NoSuchLevel;

    fn try_from(number: u8) -> Result<Self, NoSuchLevel> {
        match number {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            number => Err(NoSuchLevel(number)),
        }
    }
}

/// The number of no [`DeliveryLevel`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoSuchLevel(pub u8);

impl fmt::Display for NoSuchLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "level is {}, allowed are 0, 1 and 2", self.0)
    }
}

impl std::error::Error for NoSuchLevel {}
