//! Requests and responses as an application sees them.

mod authorization;
mod charset;
mod content;
mod cookie;
mod date;
mod deferred;
mod detached;
mod events;
mod fields;
mod file;
mod form;
mod head;
pub(crate) mod media_type;
pub(crate) mod range;
mod request;
mod reset;
mod response;
mod source;
mod stream;
mod trailers;
mod vary;

pub use authorization::Credentials;
pub use content::{Body, ContentError, FormLimit};
pub use cookie::Cookies;
pub use events::{
    Event, EventFault, EventHub, EventHubOptions, EventSender, EventStreamOptions,
    EventStreamSettings, Replay, Subscription,
};
pub use fields::{CacheControl, Challenge, Link, SameSite, SetCookie};
pub use file::{FileError, FileFault};
pub use form::FormParams;
pub use request::{OwnedRequest, Request};
pub use response::{Content, Response, ResponseError};
pub use stream::{BodySender, SendError};

pub(crate) use charset::Charset;
pub(crate) use content::{ContentLimits, LeftContent};
pub(crate) use date::to_field_value as http_date;
pub(crate) use deferred::CatchPanic;
pub(crate) use detached::Detached;
pub(crate) use events::EventStreams;
pub(crate) use file::{etag, last_modified};
pub(crate) use reset::reset_of;
pub(crate) use stream::{Guarded, body_of_reader};
pub(crate) use vary::add_vary;
