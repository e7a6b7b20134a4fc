//! What the application is told of who comes in, and what it may say.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate_admission::api_keys::{ApiKey, Issued, KeyRefusal, ValidKey};
use tidegate_admission::jwt::{Claims, JwtError};
use tidegate_httpapi::Exchange;

use super::refusal::Refusal;
use crate::component::Shared;
use crate::event::{Events, RequestIds};
use crate::http::{ContentLimits, Request};

/// An API key that came with a request, and what the store says of it.
///
/// Source: the component's validated and validation-override events.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApiKeyValidation<'a> {
    /// The key, if it is one of the store's, accepted or not.
    pub key: Option<&'a ValidKey>,
    /// Why it is refused; `None` if it is accepted.
    pub refusal: Option<KeyRefusal>,
    /// The scope that is needed here.
    pub scope: Option<&'a str>,
}

/// A key that is to come after another, which is due.
///
/// Source: the component's Rotate with auto-rotate days.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApiKeyRotation<'a> {
    /// The key that is due.
    pub due: &'a ApiKey,
    /// The new one, which is good already. It cannot be had again.
    pub new: &'a Issued,
}

/// A token that came with a request, and what was found.
///
/// Source: the JWT validator's events before and after the validation of a token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenValidation<'a> {
    /// The token as it came. Who has it can come in as long as it lives: not for logs.
    pub token: &'a str,
    /// What it says, if it is to be believed, or why it is not.
    pub result: Result<&'a Claims, JwtError>,
}

/// What [`Events::on_before_authentication`] says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BeforeAuthentication {
    /// It is found out who the request is of.
    #[default]
    Check,
    /// Nothing is looked at, and the request comes in as nobody's.
    Bypass,
}

/// The answer to who does not come in, before it is sent.
///
/// Source: the JWT validator's Unauthorized and ResponseError events.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unauthorized {
    /// 401 or 403; may be any from 400 to 599.
    pub status: u16,
    /// Its content, as plain text. Empty, unless it is changed.
    pub text: String,
    /// Fields that it has besides, by name and value. Those that are none are left out, with a line in the log.
    pub headers: Vec<(String, String)>,
}

/// Asks the application. After a panic the request is answered with 500.
pub(super) fn ask<R>(
    shared: &Shared,
    exchange: &Exchange<'_>,
    question: impl FnOnce(&dyn Events, &Request<'_>) -> R,
) -> Result<R, Refusal> {
    let events = shared.events();
    let request = Request::without_content(exchange, &ContentLimits::NONE);
    catch_unwind(AssertUnwindSafe(|| question(events, &request))).map_err(|payload| {
        let ids = RequestIds {
            connection: request.connection_id(),
            request: request.request_id(),
        };
        events.panicked(Some(ids), &*payload);
        Refusal::failed()
    })
}
