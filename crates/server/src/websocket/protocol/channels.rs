//! The component's own sub-protocol: channels to publish to, and methods to call, in JSON-RPC 2.0.
//!
//! Not the sub-protocol of the component that this one is modelled on, whose messages are nowhere
//! described: the same things can be done. Source: the component's default sub-protocol; JSON-RPC 2.0;
//! MQTT 3.1.1 §4.3 for the three levels.
//!
//! What goes over the wire is told in `channels/wire.md`, which is part of [`ChannelProtocol`]'s
//! documentation. A text message is taken apart by `json_rpc`, done by `requests`, and what it changes is
//! `broker`'s, whose parts (`session`, `subscriptions`, `retained`, `publishes`) are plain values.
//! `scanner` is the thread that looks for what has not been answered.

mod broker;
mod builder;
mod hooks;
mod json_rpc;
mod message;
mod publishes;
mod requests;
mod retained;
mod scanner;
mod session;
mod settings;
mod subscriptions;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use self::broker::Broker;
use self::hooks::{Hooks, tell_result};
use self::message::Unnumbered;
use super::{SubProtocol, Taken};
use crate::event::HandlerError;
use crate::websocket::connection::{Connection, Disconnect};
use crate::websocket::message::{Recipients, WriteError};

pub use self::builder::ChannelProtocolBuilder;
pub use self::hooks::{Acknowledgment, ChannelClient, Publication};
pub use self::json_rpc::RpcError;
pub use self::session::CallError;
pub use self::settings::{ChannelSettings, DeliveryLevel, NoSuchLevel, Retention};

/// The component's own sub-protocol: channels that clients subscribe and publish to, and methods that
/// both sides may call, in JSON-RPC 2.0 over text messages.
///
/// A handle: clones are the same protocol. One is registered with the server, another kept to publish.
///
/// ```
/// use tidegate::{ChannelProtocol, Retention, Server};
///
/// let channels = ChannelProtocol::builder()
///     .retain("prices", Retention::Last)
///     .before_publish(|_, publication| publication.channel() != "prices")
///     .on_rpc("time", |_, _| Ok("late".into()))
///     .build();
/// let builder = Server::builder().register_protocol(channels.clone());
/// channels.publish("prices", &1.0871).unwrap();
/// ```
///
#[doc = include_str!("channels/wire.md")]
#[derive(Clone)]
pub struct ChannelProtocol {
    broker: Arc<Broker>,
    hooks: Arc<Hooks>,
}

/// Why something was not published.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// No channel may be called so: it is empty, too long, has control characters, or is a mask.
    ChannelName(RpcError),
    /// The message cannot be made into JSON.
    Message(serde_json::Error),
    /// So much waits to be sent that it was not taken, and the caller is a handler that must not wait.
    Busy,
}

impl fmt::Display for PublishError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChannelName(error) => error.fmt(formatter),
            Self::Message(_) => formatter.write_str("the message cannot be made into JSON"),
            Self::Busy => formatter.write_str("too much waits to be sent"),
        }
    }
}

impl std::error::Error for PublishError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Message(error) => Some(error),
            Self::ChannelName(_) | Self::Busy => None,
        }
    }
}

impl ChannelProtocol {
    /// A protocol without hooks and methods.
    pub fn new(settings: ChannelSettings) -> Self {
        Self::builder().settings(settings).build()
    }

    /// Begins to set a protocol up.
    pub fn builder() -> ChannelProtocolBuilder {
        ChannelProtocolBuilder::default()
    }

    /// The settings.
    pub fn settings(&self) -> &ChannelSettings {
        &self.broker.settings
    }

    /// Publishes a message. No hook is asked. Gives its number.
    ///
    /// Waits while so much waits to be sent that it cannot be taken, unless the caller is a handler in
    /// HighPerf mode.
    ///
    /// # Errors
    ///
    /// The channel's name is none, the message cannot be made into JSON, or it cannot be taken now.
    pub fn publish(
        &self,
        channel: &str,
        message: &(impl Serialize + ?Sized),
    ) -> Result<u64, PublishError> {
        self.publish_at(DeliveryLevel::AtMostOnce, channel, message)
    }

    /// As [`publish`](Self::publish), so that it arrives as surely as `level` says.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_at(
        &self,
        level: DeliveryLevel,
        channel: &str,
        message: &(impl Serialize + ?Sized),
    ) -> Result<u64, PublishError> {
        self.broker
            .check_channel(channel)
            .map_err(PublishError::ChannelName)?;
        let message = serde_json::value::to_raw_value(message).map_err(PublishError::Message)?;
        let message = Unnumbered::new(channel, level, &message);
        let published = self.broker.publish(channel, level, message, None);
        // There is no other reason without a connection.
        published.map_err(|_| PublishError::Busy)
    }

    /// Sends a notification to every connection that speaks the protocol, whatever it has subscribed to.
    ///
    /// # Errors
    ///
    /// The parameters cannot be made into JSON, or it cannot be taken now, by one of several threads
    /// perhaps; as with [`Connections::broadcast`](crate::Connections::broadcast).
    pub fn broadcast(&self, method: &str, params: &impl Serialize) -> Result<(), PublishError> {
        let params = serde_json::to_string(params).map_err(PublishError::Message)?;
        let text = json_rpc::request(None, method, &params);
        let recipients = Recipients::all().protocol(self.name());
        for connections in self.broker.servers() {
            match connections.broadcast(&*text, &recipients) {
                Ok(()) | Err(WriteError::Closed) => {}
                Err(_) => return Err(PublishError::Busy),
            }
        }
        Ok(())
    }

    /// Calls a method of a client's. `on_result` is told of the outcome once, by the thread that has it:
    /// it must not block.
    ///
    /// # Errors
    ///
    /// The parameters cannot be made into JSON, or the connection has ended, does not speak the protocol
    /// or leaves too much unanswered. Then `on_result` is not called.
    pub fn call(
        &self,
        connection: &Connection,
        method: &str,
        params: &impl Serialize,
        on_result: impl FnOnce(Result<Value, CallError>) + Send + 'static,
    ) -> Result<(), CallError> {
        let params = serde_json::to_string(params).map_err(CallError::Params)?;
        let id = self.broker.call(connection, Box::new(on_result))?;
        let text = json_rpc::request(Some(id), method, &params);
        // If it does not arrive, there is no answer in time.
        let _ = connection.send_text(&text);
        Ok(())
    }

    /// Forgets what is kept of a channel for late subscribers. Says how many messages that was.
    pub fn clear_queue(&self, channel: &str) -> usize {
        self.broker.clear_queue(channel)
    }

    /// How many connections get what is published to a channel.
    pub fn subscriber_count(&self, channel: &str) -> usize {
        self.broker.subscriber_count(channel)
    }

    /// The channels that connections have subscribed to, masks left out.
    pub fn channels(&self) -> Vec<Arc<str>> {
        self.broker.channels()
    }
}

impl SubProtocol for ChannelProtocol {
    fn name(&self) -> &str {
        &self.broker.settings.name
    }

    fn on_connect(&self, connection: &Connection) {
        self.broker.connected(connection);
    }

    fn on_message(&self, connection: &Connection, text: &str) -> Result<Taken, HandlerError> {
        let hook = self.hooks.raw_message.as_ref();
        let client = self.client(connection);
        if hook.is_none_or(|hook| hook(&client, text) == Taken::Passed) {
            self.take(connection, text);
        }
        Ok(Taken::Handled)
    }

    fn on_disconnect(&self, connection: &Connection, _: &Disconnect) {
        let (channels, calls) = self.broker.disconnected(connection);
        for on_result in calls {
            tell_result(on_result, Err(CallError::Closed));
        }
        for channel in channels {
            Hooks::tell(
                &self.hooks.unsubscription,
                &self.client(connection),
                &channel,
            );
        }
    }

    fn script(&self) -> Option<&'static str> {
        Some(include_str!("../script/channels.js"))
    }
}

impl fmt::Debug for ChannelProtocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ChannelProtocol")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
