//! WebSocket: the component's connections, who is addressed by a message, and what waits to be sent.
//!
//! A request that asks for it goes through `handshake` and becomes a [`Connection`], which others hold,
//! and a `socket`, which its `lane` has: the driver's thread that owns the connection. What others want
//! of it waits in its `outbox`, or with the lane in its `post`. Events reach the application through
//! `delivery`. A client that cannot open a WebSocket comes by way of `fallback`. The bytes are `tidegate_proto::websocket`'s matter.
//! Source: the component's WebSocket behaviour, methods, events and connection object.

mod broadcast;
mod connection;
mod connections;
mod delivery;
mod fallback;
mod group;
mod handshake;
mod headers;
mod heartbeat;
mod index;
mod inline;
mod lane;
mod mask;
mod message;
mod outbox;
mod post;
mod protocol;
mod registry;
mod scripts;
mod send_queue;
mod settings;
mod socket;
mod totals;
mod transport;

pub use connection::{Connection, ConnectionState, Disconnect, EndedBy};
pub use connections::{Connections, Groups};
pub use handshake::{Handshake, HandshakeError, HandshakeResponse};
pub use headers::RequestHeaders;
pub use heartbeat::{HeartbeatKind, HeartbeatSettings};
pub use message::{Message, MessageKind, Recipients, Streaming, WriteError};
pub use protocol::{
    Acknowledgment, CallError, ChannelClient, ChannelProtocol, ChannelProtocolBuilder,
    ChannelSettings, DeliveryLevel, NoSuchLevel, Publication, PublishError, Retention, RpcError,
    SubProtocol, Taken,
};
pub use registry::{Guid, GuidError};
pub use send_queue::{Level, Overflow};
pub use settings::{
    FallbackOptions, PerMessageDeflate, QueueOptions, SecurityOptions, ServerSentEventsFallback,
    WebSocketSettings,
};
pub use totals::WebSocketCounters;
pub use transport::Transport;

pub use tidegate_proto::websocket::{
    FragmentedMessages, Opcode, OriginError, OriginList, Violation, close_code,
};

pub(crate) use connections::Hub;
pub(crate) use fallback::Fallback;
pub(crate) use handshake::Gate;
pub(crate) use lane::Lane;
pub(crate) use scripts::Scripts;
