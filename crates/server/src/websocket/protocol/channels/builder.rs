//! Sets the channel protocol up: settings, hooks, methods.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::ChannelProtocol;
use super::broker::Broker;
use super::hooks::{Acknowledgment, ChannelClient, Hooks, Publication};
use super::json_rpc::RpcError;
use super::requests::OWN_METHODS;
use super::settings::{ChannelSettings, Retention};
use crate::websocket::protocol::Taken;

/// Sets a [`ChannelProtocol`] up.
///
/// Hooks and methods run where the server's WebSocket events do: in classic mode they may block, in
/// HighPerf mode they must not.
#[must_use = "nothing happens before build()"]
#[derive(Debug, Default)]
pub struct ChannelProtocolBuilder {
    settings: ChannelSettings,
    retentions: HashMap<String, Retention>,
    hooks: Hooks,
}

impl ChannelProtocolBuilder {
    /// Replaces all settings.
    pub fn settings(mut self, settings: ChannelSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the name in `Sec-WebSocket-Protocol`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Has clients subscribe to masks.
    pub fn use_matches_mask(mut self) -> Self {
        self.settings.use_matches_mask = true;
        self
    }

    /// Sets what is kept for late subscribers of one channel, in place of what is set for all.
    pub fn retain(mut self, channel: impl Into<String>, retention: Retention) -> Self {
        self.retentions.insert(channel.into(), retention);
        self
    }

    /// Asked before a client subscribes to a channel or mask: may it?
    pub fn before_subscription(
        mut self,
        hook: impl Fn(&ChannelClient<'_>, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.before_subscription = Some(Box::new(hook));
        self
    }

    /// Told when a client has subscribed to a channel or mask.
    pub fn on_subscription(
        mut self,
        hook: impl Fn(&ChannelClient<'_>, &str) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.subscription = Some(Box::new(hook));
        self
    }

    /// Told when a client has unsubscribed from a channel or mask, or has gone: then once for each it
    /// had subscribed to.
    pub fn on_unsubscription(
        mut self,
        hook: impl Fn(&ChannelClient<'_>, &str) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.unsubscription = Some(Box::new(hook));
        self
    }

    /// Asked before a client's message is published: may it be? The message may be changed.
    pub fn before_publish(
        mut self,
        hook: impl Fn(&ChannelClient<'_>, &mut Publication<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.before_publish = Some(Box::new(hook));
        self
    }

    /// Told when a client has acknowledged a message.
    pub fn on_acknowledgment(
        mut self,
        hook: impl Fn(&ChannelClient<'_>, &Acknowledgment) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.acknowledgment = Some(Box::new(hook));
        self
    }

    /// Shown each text message before anything is made of it; what it has handled goes no further.
    pub fn on_raw_message(
        mut self,
        hook: impl Fn(&ChannelClient<'_>, &str) -> Taken + Send + Sync + 'static,
    ) -> Self {
        self.hooks.raw_message = Some(Box::new(hook));
        self
    }

    /// Lets clients call a method. Only methods named here can be called. Its parameters are an object,
    /// an array, or null if there are none.
    ///
    /// ```
    /// use tidegate::{ChannelProtocol, RpcError};
    ///
    /// let protocol = ChannelProtocol::builder()
    ///     .on_rpc("add", |_, params| match (params[0].as_f64(), params[1].as_f64()) {
    ///         (Some(a), Some(b)) => Ok((a + b).into()),
    ///         _ => Err(RpcError::invalid_params("two numbers are added")),
    ///     })
    ///     .build();
    /// ```
    ///
    /// # Panics
    ///
    /// It is one of the protocol's own methods.
    pub fn on_rpc(
        mut self,
        method: impl Into<String>,
        handler: impl Fn(&ChannelClient<'_>, Value) -> Result<Value, RpcError> + Send + Sync + 'static,
    ) -> Self {
        let method = method.into();
        assert!(
            !OWN_METHODS.contains(&&*method),
            "`{method}` is a method of the protocol itself"
        );
        self.hooks.methods.insert(method, Box::new(handler));
        self
    }

    /// Makes the protocol.
    pub fn build(self) -> ChannelProtocol {
        // Microseconds: nobody publishes so much that a server which starts anew would fall behind, and
        // JavaScript keeps such numbers for two hundred years to come.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let first_number = since.map_or(0, |since| since.as_micros() as u64);
        ChannelProtocol {
            broker: Arc::new(Broker::new(self.settings, self.retentions, first_number)),
            hooks: Arc::new(self.hooks),
        }
    }
}
