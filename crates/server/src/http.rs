//! Requests and responses as an application sees them.

mod authorization;
mod charset;
mod content;
mod cookie;
mod date;
mod deferred;
mod form;
mod head;
mod request;
mod response;
mod source;
mod stream;

pub use authorization::Credentials;
pub use content::{Body, ContentError};
pub use cookie::Cookies;
pub use form::FormParams;
pub use request::{OwnedRequest, Request};
pub use response::{Content, Response, ResponseError};
pub use stream::{BodySender, SendError};

pub(crate) use deferred::CatchPanic;
pub(crate) use stream::Guarded;
