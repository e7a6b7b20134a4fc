//! What the protocol knows of one connection: its channels, and what it has yet to answer.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use super::json_rpc::RpcError;
use super::settings::{ChannelSettings, DeliveryLevel};
use crate::websocket::connection::Connection;

/// Why a call of a client's method failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The client says so.
    Failed(RpcError),
    /// There was no answer within [`answer_timeout`](ChannelSettings::answer_timeout).
    TimedOut,
    /// The connection has ended, or does not speak the protocol.
    Closed,
    /// The connection leaves too much unanswered already.
    LimitReached,
    /// The parameters cannot be made into JSON.
    Params(serde_json::Error),
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(formatter),
            Self::TimedOut => formatter.write_str("the client has not answered in time"),
            Self::Closed => formatter.write_str("the connection has ended"),
            Self::LimitReached => {
                formatter.write_str("the connection leaves too much unanswered already")
            }
            Self::Params(_) => formatter.write_str("the parameters cannot be made into JSON"),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            Self::Params(error) => Some(error),
            _ => None,
        }
    }
}

/// Whom the outcome of a call is told to.
pub(super) type OnResult = Box<dyn FnOnce(Result<Value, CallError>) + Send>;

/// One connection.
pub(super) struct Session {
    pub(super) connection: Connection,
    /// Channels and masks it has subscribed to.
    pub(super) channels: HashSet<Arc<str>>,
    unanswered: Unanswered,
}

/// What a connection has yet to answer, by the ids it was asked with.
#[derive(Default)]
struct Unanswered {
    /// In the order they were asked first, which is the order they are asked again.
    requests: BTreeMap<u64, (Asked, Instant)>,
    bytes: u64,
}

/// A request of ours.
pub(super) enum Asked {
    Message(Delivery),
    /// The second step of an exactly-once delivery; the message it is about.
    Release(Delivery),
    Call(OnResult),
}

/// A message that is to be acknowledged.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) number: u64,
    pub(super) channel: Arc<str>,
    pub(super) level: DeliveryLevel,
    /// As it was sent; empty once it is settled that it has arrived.
    pub(super) text: Bytes,
}

impl Asked {
    fn bytes(&self) -> u64 {
        match self {
            Self::Message(delivery) => delivery.text.len() as u64,
            Self::Release(_) | Self::Call(_) => 0,
        }
    }
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            channels: HashSet::new(),
            unanswered: Unanswered::default(),
        }
    }

    /// Whether `more` messages of these bytes may be left unanswered.
    pub(super) fn may_be_asked(&self, more: usize, bytes: u64, settings: &ChannelSettings) -> bool {
        let count = self.unanswered.requests.len() + more;
        count <= settings.unanswered_messages as usize
            && self.unanswered.bytes + bytes <= settings.unanswered_bytes
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unanswered.requests.is_empty()
    }

    pub(super) fn asked(&mut self, id: u64, asked: Asked, now: Instant) {
        self.unanswered.bytes += asked.bytes();
        self.unanswered.requests.insert(id, (asked, now));
    }

    /// What was asked with this id, if it is unanswered; it is answered now.
    pub(super) fn answered(&mut self, id: u64) -> Option<Asked> {
        let (asked, _) = self.unanswered.requests.remove(&id)?;
        self.unanswered.bytes -= asked.bytes();
        Some(asked)
    }

    /// Forgets the messages of channels that `is_left` names: nobody waits for their acknowledgement.
    pub(super) fn forget_messages(&mut self, is_left: impl Fn(&Self, &str) -> bool) {
        let requests = self.unanswered.requests.iter();
        let left = requests.filter(|(_, (asked, _))| match asked {
            Asked::Message(delivery) => is_left(self, &delivery.channel),
            Asked::Release(_) | Asked::Call(_) => false,
        });
        let left: Vec<u64> = left.map(|(id, _)| *id).collect();
        for id in left {
            self.answered(id);
        }
    }

    /// What has waited for its answer for too long: what is to be sent again, and whose call has failed.
    pub(super) fn overdue(&mut self, now: Instant, timeout: Duration) -> Overdue {
        let mut overdue = Overdue::default();
        // A message of which the last copy is still with us need not be sent again.
        let is_sent = self.connection.queued_messages() == 0;
        let mut failed = Vec::new();
        for (&id, (asked, since)) in &mut self.unanswered.requests {
            if now.saturating_duration_since(*since) < timeout {
                continue;
            }
            match asked {
                Asked::Call(_) => failed.push(id),
                Asked::Message(delivery) if is_sent => {
                    *since = now;
                    overdue.again.push(delivery.text.clone());
                }
                Asked::Release(delivery) if is_sent => {
                    *since = now;
                    overdue
                        .again
                        .push(super::message::release(delivery.number, id).into());
                }
                Asked::Message(_) | Asked::Release(_) => {}
            }
        }
        for id in failed {
            if let Some(Asked::Call(on_result)) = self.answered(id) {
                overdue.failed.push(on_result);
            }
        }
        overdue
    }

    /// The connection has ended: the calls that nobody will answer.
    pub(super) fn into_calls(self) -> Vec<OnResult> {
        let requests = self.unanswered.requests.into_values();
        let calls = requests.filter_map(|(asked, _)| match asked {
            Asked::Call(on_result) => Some(on_result),
            Asked::Message(_) | Asked::Release(_) => None,
        });
        calls.collect()
    }
}

/// What has waited for too long.
#[derive(Default)]
pub(super) struct Overdue {
    pub(super) again: Vec<Bytes>,
    pub(super) failed: Vec<OnResult>,
}
