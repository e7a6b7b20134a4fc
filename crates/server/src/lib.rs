//! Tidegate's component: an HTTP server with properties, methods and events.
//!
//! An application sets properties on [`Server::builder`], hears of requests and of the server's life
//! through closures or one value that implements [`Events`], and starts, stops and restarts the
//! server through [`Server`]. The component stands on a driver ([`Backend`]) that owns the ports,
//! routes URL prefixes to it and answers overload itself; it never learns which one.
//!
//! ```no_run
//! use tidegate::{FineTune, OperatingMode, Server};
//!
//! fn main() -> Result<(), tidegate::Error> {
//!     Server::builder()
//!         .host("0.0.0.0")
//!         .port(8080)
//!         .fine_tune(FineTune {
//!             queue_length: 10_000,
//!             operating_mode: OperatingMode::HighPerf,
//!             accepts_per_worker: 8,
//!             skip_completion_on_success: true,
//!         })
//!         .on_http_request(|request, response| match (request.method(), request.document()) {
//!             ("GET", "/test.html") => response.content_type("text/html; charset=UTF-8").text("OK"),
//!             ("GET", _) => response.status(404).empty(),
//!             _ => response.status(500).empty(),
//!         })
//!         .build()?
//!         .run()
//! }
//! ```
#![forbid(unsafe_code)]

mod binding;
mod builder;
mod component;
mod embedded;
mod error;
mod event;
mod handler;
mod http;
mod lifecycle;
mod runtime;
mod server;
mod settings;
mod tower;
mod websocket;

pub use binding::{Binding, BindingError, BindingFault};
pub use builder::ServerBuilder;
pub use error::Error;
pub use event::{
    BeforeHeartbeat, Events, Exception, ExceptionCause, Fragment, HandlerError, HandlerResult,
    MessageResult, PeerError, PeerFault, Sent,
};
pub use http::{
    Body, BodySender, Content, ContentError, Cookies, Credentials, FormParams, OwnedRequest,
    Request, Response, ResponseError, SendError,
};
pub use server::Server;
pub use settings::{ErrorLog, FineTune, Io, LogRollover, Settings, Timeouts};
pub use tower::{BoxError, RequestContext};
pub use websocket::{
    Acknowledgment, CallError, ChannelClient, ChannelProtocol, ChannelProtocolBuilder,
    ChannelSettings, Connection, ConnectionState, Connections, DeliveryLevel, Disconnect, EndedBy,
    FragmentedMessages, Groups, Guid, GuidError, Handshake, HandshakeError, HandshakeResponse,
    HeartbeatKind, HeartbeatSettings, Level, Message, MessageKind, NoSuchLevel, Opcode,
    OriginError, OriginList, Overflow, PerMessageDeflate, Publication, PublishError, QueueOptions,
    Recipients, RequestHeaders, Retention, RpcError, SecurityOptions, Streaming, SubProtocol,
    Taken, Violation, WebSocketSettings, WriteError, close_code,
};

pub use tidegate_httpapi::{
    Admission, ApiError, Backend, BackendInfo, BodyError, BodyReader, BodySource, ConnectionId,
    ConnectionInfo, Endpoint, Field, FieldBlock, FieldError, Fields, LimitError, OperatingMode,
    PeerAddress, PrefixError, RequestId, RequestLimits, ServerHeaderMode, Trailers, UrlPrefix,
    Verbosity503, Version,
};

#[cfg(test)]
mod tests;

/// Compiles the code in the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
