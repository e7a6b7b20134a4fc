//! Sub-protocols: what speaks on a connection that agreed to one by name.
//!
//! Source: RFC 6455 §1.9; the component's RegisterProtocol.

mod channels;

use crate::event::HandlerError;

use super::connection::{Connection, Disconnect};

pub use channels::{
    Acknowledgment, CallError, ChannelClient, ChannelProtocol, ChannelProtocolBuilder,
    ChannelSettings, DeliveryLevel, NoSuchLevel, Publication, PublishError, Retention, RpcError,
};

/// A sub-protocol, registered under its name by
/// [`register_protocol`](crate::ServerBuilder::register_protocol).
///
/// A connection whose handshake agreed to it is delivered here first, in the order and on the threads
/// of the server's events.
pub trait SubProtocol: Send + Sync + 'static {
    /// The name in `Sec-WebSocket-Protocol`.
    fn name(&self) -> &str;

    /// A connection speaks it. Before the server's event.
    fn on_connect(&self, connection: &Connection) {
        let _ = connection;
    }

    /// Text has arrived.
    ///
    /// # Errors
    ///
    /// The connection is closed with 1011, and
    /// [`on_exception`](crate::Events::on_exception) hears of it.
    fn on_message(&self, connection: &Connection, text: &str) -> Result<Taken, HandlerError> {
        let _ = (connection, text);
        Ok(Taken::Passed)
    }

    /// Bytes have arrived.
    ///
    /// # Errors
    ///
    /// As [`on_message`](Self::on_message).
    fn on_binary(&self, connection: &Connection, data: &[u8]) -> Result<Taken, HandlerError> {
        let _ = (connection, data);
        Ok(Taken::Passed)
    }

    /// A connection that spoke it has ended. Before the server's event.
    fn on_disconnect(&self, connection: &Connection, disconnect: &Disconnect) {
        let _ = (connection, disconnect);
    }

    /// A JavaScript client for it, served at `/tidegate/NAME.js`.
    fn script(&self) -> Option<&'static str> {
        None
    }
}

/// Whether a sub-protocol has taken a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    /// It has.
    Handled,
    /// It is the server's to handle.
    Passed,
}
