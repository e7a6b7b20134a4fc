//! What an application has to say to the channel protocol: its hooks and methods.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::ChannelProtocol;
use super::json_rpc::RpcError;
use super::session::{CallError, OnResult};
use super::settings::DeliveryLevel;
use crate::event::{ExceptionCause, panic_message};
use crate::websocket::connection::Connection;
use crate::websocket::protocol::Taken;

type ChannelHook<R> = Option<Box<dyn Fn(&ChannelClient<'_>, &str) -> R + Send + Sync>>;

type PublishHook = Box<dyn Fn(&ChannelClient<'_>, &mut Publication<'_>) -> bool + Send + Sync>;

type AcknowledgmentHook = Box<dyn Fn(&ChannelClient<'_>, &Acknowledgment) + Send + Sync>;

type Method = Box<dyn Fn(&ChannelClient<'_>, Value) -> Result<Value, RpcError> + Send + Sync>;

/// A client of the channel protocol, as hooks and methods see it: its [`Connection`], and the protocol to
/// publish with.
#[derive(Clone, Copy, Debug)]
pub struct ChannelClient<'a> {
    pub(super) connection: &'a Connection,
    pub(super) protocol: &'a ChannelProtocol,
}

impl<'a> ChannelClient<'a> {
    /// The connection.
    pub fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// The protocol.
    pub fn protocol(&self) -> &'a ChannelProtocol {
        self.protocol
    }
}

impl Deref for ChannelClient<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// The application's hooks and methods. Called without any lock.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) before_subscription: ChannelHook<bool>,
    pub(super) subscription: ChannelHook<()>,
    pub(super) unsubscription: ChannelHook<()>,
    pub(super) before_publish: Option<PublishHook>,
    pub(super) acknowledgment: Option<AcknowledgmentHook>,
    pub(super) raw_message: ChannelHook<Taken>,
    pub(super) methods: HashMap<String, Method>,
}

impl Hooks {
    pub(super) fn tell(hook: &ChannelHook<()>, client: &ChannelClient<'_>, channel: &str) {
        if let Some(hook) = hook {
            hook(client, channel);
        }
    }

    /// Calls a method of the application's. One that panics fails for its caller alone.
    pub(super) fn call(
        &self,
        client: &ChannelClient<'_>,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Value, RpcError> {
        let Some(method) = self.methods.get(method) else {
            return Err(RpcError::new(
                RpcError::METHOD_NOT_FOUND,
                "method not found",
            ));
        };
        let params = match params {
            Some(params) => serde_json::from_str(params.get())
                .map_err(|error| RpcError::invalid_params(error.to_string()))?,
            None => Value::Null,
        };
        catch_unwind(AssertUnwindSafe(|| method(client, params))).unwrap_or_else(|payload| {
            let cause = ExceptionCause::Panic(panic_message(&*payload));
            let events = client.shared().events();
            events.connection_exception(client.id(), cause);
            Err(RpcError::internal_error())
        })
    }
}

/// Tells of a call's outcome. Whoever panics over it has nobody to be told to but the log.
pub(super) fn tell_result(on_result: OnResult, outcome: Result<Value, CallError>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| on_result(outcome))) {
        let message = panic_message(&*payload);
        tracing::error!("who called a client's method panicked over its result: {message}");
    }
}

/// A message that a client publishes, to be looked at, changed or refused.
#[derive(Debug)]
pub struct Publication<'a> {
    channel: &'a str,
    level: DeliveryLevel,
    message: Cow<'a, RawValue>,
}

impl<'a> Publication<'a> {
    pub(super) fn new(channel: &'a str, level: DeliveryLevel, message: &'a RawValue) -> Self {
        Self {
            channel,
            level,
            message: Cow::Borrowed(message),
        }
    }

    pub(super) fn raw(&self) -> &RawValue {
        &self.message
    }

    /// The channel.
    pub fn channel(&self) -> &str {
        self.channel
    }

    /// How surely it is to arrive.
    pub fn level(&self) -> DeliveryLevel {
        self.level
    }

    /// The message, as JSON text.
    pub fn json(&self) -> &str {
        self.message.get()
    }

    /// The message as a value of the application's. Text is to be read as a `String`: as it lies in
    /// JSON, some of it may be escaped.
    ///
    /// # Errors
    ///
    /// It is not one.
    pub fn parse<'b, T: Deserialize<'b>>(&'b self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.message.get())
    }

    /// Has this published in place of what the client sent.
    ///
    /// # Errors
    ///
    /// It cannot be made into JSON; nothing is changed then.
    pub fn replace(
        &mut self,
        message: &(impl Serialize + ?Sized),
    ) -> Result<(), serde_json::Error> {
        self.message = Cow::Owned(serde_json::value::to_raw_value(message)?);
        Ok(())
    }
}

/// A subscriber has acknowledged a message.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Acknowledgment {
    /// The message's number, as [`publish`](super::ChannelProtocol::publish) gave it.
    pub number: u64,
    /// The channel.
    pub channel: std::sync::Arc<str>,
    /// How surely it was to arrive.
    pub level: DeliveryLevel,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hooks")
            .field("methods", &self.methods.keys())
            .finish_non_exhaustive()
    }
}
