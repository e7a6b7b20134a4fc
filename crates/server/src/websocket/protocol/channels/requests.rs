//! What becomes of a client's text message: requests done, answers sent.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ChannelProtocol;
use super::broker::{NamedPublish, Settled};
use super::hooks::{Acknowledgment, ChannelClient, Hooks, Publication, tell_result};
use super::json_rpc::{self, Incoming, Item, Request, Response, RpcError, answer};
use super::message::Unnumbered;
use super::session::CallError;
use super::settings::DeliveryLevel;
use crate::websocket::connection::Connection;

/// The methods that are the protocol's own.
pub(super) const OWN_METHODS: [&str; 4] = ["subscribe", "unsubscribe", "publish", "release"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelParams<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishParams<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(default)]
    level: u8,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseParams<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// Whether a request came by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Company {
    Alone,
    InBatch,
}

/// What a request has come to.
enum Done {
    /// Its result, as JSON.
    Result(Cow<'static, str>),
    /// It has been answered.
    Answered,
}

const TRUE: Done = Done::Result(Cow::Borrowed("true"));
const FALSE: Done = Done::Result(Cow::Borrowed("false"));

impl ChannelProtocol {
    pub(super) fn client<'a>(&'a self, connection: &'a Connection) -> ChannelClient<'a> {
        ChannelClient {
            connection,
            protocol: self,
        }
    }

    /// Takes a text message.
    pub(super) fn take(&self, connection: &Connection, text: &str) {
        let reply = match json_rpc::parse(text, self.broker.settings.batch_requests) {
            Err(error) => Some(answer(None, Err(&error))),
            Ok(Incoming::One(item)) => self.item(connection, item, Company::Alone),
            Ok(Incoming::Batch(items)) => {
                let items = items.into_iter();
                let answers: Vec<String> = items
                    .filter_map(|item| self.item(connection, item, Company::InBatch))
                    .collect();
                (!answers.is_empty()).then(|| json_rpc::batch(&answers))
            }
        };
        if let Some(reply) = reply {
            // The peer has gone meanwhile, which on_disconnect tells; or there is no room, and the
            // connection's options say what becomes of it.
            let _ = connection.send_text(&reply);
        }
    }

    /// Gives the answer, if there is to be one.
    fn item(&self, connection: &Connection, item: Item<'_>, company: Company) -> Option<String> {
        match item {
            Item::Invalid(id, error) => Some(answer(id, Err(&error))),
            Item::Response(response) => {
                self.response(connection, response);
                None
            }
            Item::Request(request) => {
                match (self.request(connection, &request, company), request.id) {
                    (Ok(Done::Answered), _) | (_, None) => None,
                    (Ok(Done::Result(result)), id) => Some(answer(id, Ok(&result))),
                    (Err(error), id) => Some(answer(id, Err(&error))),
                }
            }
        }
    }

    fn request(
        &self,
        connection: &Connection,
        request: &Request<'_>,
        company: Company,
    ) -> Result<Done, RpcError> {
        // What the broker sends itself, in the order of all that it sends.
        let own_answer = |result: bool| match company {
            Company::InBatch => None,
            Company::Alone => {
                let result = if result { "true" } else { "false" };
                request.id.map(|id| answer(Some(id), Ok(result)))
            }
        };
        let done = |result| match company {
            Company::Alone => Done::Answered,
            Company::InBatch if result => TRUE,
            Company::InBatch => FALSE,
        };
        let params = request.params;
        let client = self.client(connection);
        match &*request.method {
            "subscribe" => {
                let ChannelParams { channel } = read(params)?;
                self.broker.check_name(&channel)?;
                let may = self.hooks.before_subscription.as_ref();
                if may.is_some_and(|may| !may(&client, &channel)) {
                    return Err(RpcError::refused("the subscription is refused"));
                }
                let is_new = self.broker.subscribe(connection, &channel, own_answer)?;
                if is_new {
                    Hooks::tell(&self.hooks.subscription, &client, &channel);
                }
                Ok(done(is_new))
            }
            "unsubscribe" => {
                let ChannelParams { channel } = read(params)?;
                let was = self.broker.unsubscribe(connection, &channel, own_answer)?;
                if was {
                    Hooks::tell(&self.hooks.unsubscription, &client, &channel);
                }
                Ok(done(was))
            }
            "publish" => self.publish_for(connection, &read(params)?),
            "release" => {
                let ReleaseParams { id } = read(params)?;
                self.broker.release_publish(&id);
                Ok(TRUE)
            }
            method => {
                let result = self.hooks.call(&client, method, params)?;
                Ok(Done::Result(json_rpc::json(&result).into()))
            }
        }
    }

    fn publish_for(
        &self,
        connection: &Connection,
        params: &PublishParams<'_>,
    ) -> Result<Done, RpcError> {
        let channel = &*params.channel;
        self.broker.check_channel(channel)?;
        let level = DeliveryLevel::try_from(params.level)
            .map_err(|error| RpcError::invalid_params(error.to_string()))?;
        let named = match (&params.id, level) {
            (Some(name), DeliveryLevel::ExactlyOnce) => {
                self.broker.check_name(name)?;
                Some(NamedPublish {
                    connection: connection.id().0,
                    name,
                })
            }
            (None, DeliveryLevel::ExactlyOnce) => {
                return Err(RpcError::invalid_params("level 2 needs an `id`"));
            }
            (Some(_), _) => return Err(RpcError::invalid_params("`id` is for level 2")),
            (None, _) => None,
        };
        if let Some(number) = named.and_then(|named| self.broker.find_publish(named.name)) {
            return Ok(Done::Result(number.to_string().into()));
        }
        let mut publication = Publication::new(channel, level, params.message);
        if let Some(may) = &self.hooks.before_publish
            && !may(&self.client(connection), &mut publication)
        {
            return Err(RpcError::refused("the message is refused"));
        }
        let message = Unnumbered::new(channel, level, publication.raw());
        let number = self.broker.publish(channel, level, message, named)?;
        Ok(Done::Result(number.to_string().into()))
    }

    fn response(&self, connection: &Connection, response: Response<'_>) {
        let settled = response
            .id
            .and_then(|id| self.broker.answered(connection, id));
        match settled {
            None => {}
            Some(Settled::Acknowledged(delivery)) => {
                if let Some(hook) = &self.hooks.acknowledgment {
                    let acknowledgment = Acknowledgment {
                        number: delivery.number,
                        channel: delivery.channel,
                        level: delivery.level,
                    };
                    hook(&self.client(connection), &acknowledgment);
                }
            }
            Some(Settled::Called(on_result)) => {
                let outcome = response.outcome.and_then(|result| {
                    serde_json::from_str(result.get())
                        .map_err(|error| RpcError::new(RpcError::PARSE_ERROR, error.to_string()))
                });
                tell_result(on_result, outcome.map_err(CallError::Failed));
            }
        }
    }
}

/// A method's parameters, by name or in their order.
fn read<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Result<T, RpcError> {
    let params = params.map_or("{}", RawValue::get);
    serde_json::from_str(params).map_err(|error| RpcError::invalid_params(error.to_string()))
}
