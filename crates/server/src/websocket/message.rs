//! Messages to be sent, and to whom.

use std::sync::Arc;

use bytes::Bytes;

use super::registry::Guid;

/// What a message's data is. RFC 6455 §5.6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A message to be sent. Cheap to clone: its data is shared.
///
/// ```
/// use tidegate::Message;
///
/// let price = Message::text("EURUSD 1.0871").with_key("EURUSD");
/// let picture = Message::binary(vec![0; 4096]).in_fragments_of(1024);
/// ```
#[derive(Clone, Debug)]
pub struct Message {
    pub(super) kind: MessageKind,
    pub(super) data: Bytes,
    pub(super) key: Option<Arc<str>>,
    pub(super) fragment_bytes: usize,
    pub(super) context: u64,
}

impl Message {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(MessageKind::Text, text.into().into())
    }

    /// Bytes.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::new(MessageKind::Binary, data.into())
    }

    pub(super) fn new(kind: MessageKind, data: Bytes) -> Self {
        Self {
            kind,
            data,
            key: None,
            fragment_bytes: 0,
            context: 0,
        }
    }

    /// Gives it a key: with [`Overflow::Coalesce`](super::Overflow::Coalesce) it takes the place of a
    /// message with the same key that still waits on the same connection.
    pub fn with_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sends it in frames of at most so many bytes; 0, the default, in one.
    pub fn in_fragments_of(mut self, bytes: usize) -> Self {
        self.fragment_bytes = bytes;
        self
    }

    /// Gives it a number that [`on_asynchronous`](crate::Events::on_asynchronous) gets back.
    pub fn with_context(mut self, context: u64) -> Self {
        self.context = context;
        self
    }

    /// What the data is.
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(data: &[u8]) -> Self {
        Self::new(MessageKind::Binary, Bytes::copy_from_slice(data))
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::binary(data)
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::binary(data)
    }
}

/// Which part of a message that is sent in several calls a call has. Source: the component's streaming
/// modes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Streaming {
    /// The first part; more follow.
    First,
    /// A further part; more follow.
    Continue,
    /// The last part.
    Last,
}

/// Whom a broadcast goes to: every connection for which all that is set here holds.
///
/// ```
/// # fn example(sender: tidegate::Guid) {
/// let others_in_the_room = tidegate::Recipients::all().channel("room").exclude([sender]);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    pub(super) channel: Option<Arc<str>>,
    /// The channel is a mask for the names of channels.
    pub(super) by_mask: bool,
    pub(super) protocol: Option<Arc<str>>,
    pub(super) include: Option<Arc<[Guid]>>,
    pub(super) exclude: Arc<[Guid]>,
}

impl Recipients {
    /// Everybody.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only who has subscribed to `channel`.
    pub fn channel(mut self, channel: impl Into<Arc<str>>) -> Self {
        self.channel = Some(channel.into());
        self.by_mask = false;
        self
    }

    /// Only who has subscribed to a channel whose name matches `mask`, in which `*` stands for any
    /// characters and `?` for one. In place of [`channel`](Self::channel).
    pub fn channels(mut self, mask: impl Into<Arc<str>>) -> Self {
        self.channel = Some(mask.into());
        self.by_mask = true;
        self
    }

    /// Only who speaks this sub-protocol.
    pub fn protocol(mut self, name: impl Into<Arc<str>>) -> Self {
        self.protocol = Some(name.into());
        self
    }

    /// Only these.
    pub fn include(mut self, connections: impl IntoIterator<Item = Guid>) -> Self {
        self.include = Some(connections.into_iter().collect());
        self
    }

    /// None of these, whatever else holds.
    pub fn exclude(mut self, connections: impl IntoIterator<Item = Guid>) -> Self {
        self.exclude = connections.into_iter().collect();
        self
    }
}

/// Why something cannot be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WriteError {
    /// The connection has ended or is being closed.
    Closed,
    /// What waits to be sent has reached its bound, and the message was not taken.
    Full,
    /// The caller would have to wait where it must not: in a handler on the driver's thread.
    WouldBlock,
    /// No room came, or no reply, within the time given.
    TimedOut,
    /// A part of a message was sent without its first part, or a first part before the last one of
    /// the message before.
    OutOfSequence,
    /// The payload of a ping, or a close reason, is longer than a control frame holds (RFC 6455 §5.5).
    TooLong,
    /// The code may not stand in a close frame. RFC 6455 §7.4.
    BadCloseCode(u16),
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => formatter.write_str("the connection has ended"),
            Self::Full => formatter.write_str("too much waits to be sent on the connection"),
            Self::WouldBlock => {
                formatter.write_str("a handler on the driver's thread must not wait")
            }
            Self::TimedOut => formatter.write_str("the time for it has passed"),
            Self::OutOfSequence => {
                formatter.write_str("the parts of a message are out of sequence")
            }
            Self::TooLong => formatter.write_str("a control frame holds at most 125 bytes"),
            Self::BadCloseCode(code) => {
                write!(formatter, "{code} is no code for a close frame")
            }
        }
    }
}

impl std::error::Error for WriteError {}
