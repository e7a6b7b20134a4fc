//! What connections have yet to answer: messages to be acknowledged, calls.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::super::message::release;
use super::super::scanner;
use super::super::session::{Asked, CallError, Delivery, OnResult, Session};
use super::super::settings::{ChannelSettings, DeliveryLevel};
use super::super::subscriptions::Audience;
use super::{Broker, State};
use crate::websocket::connection::Connection;
use crate::websocket::message::{Message, MessageKind, Recipients};

/// What an answer settled.
pub(in super::super) enum Settled {
    /// A message has been acknowledged.
    Acknowledged(Delivery),
    /// A call has been answered.
    Called(OnResult),
}

impl Broker {
    /// A client has answered a request of ours. Gives what that has settled, if it was one.
    pub(in super::super) fn answered(&self, connection: &Connection, id: u64) -> Option<Settled> {
        let connection_id = connection.id().0;
        let mut state = self.lock();
        let session = state.sessions.get_mut(&connection_id)?;
        let delivery = match session.answered(id)? {
            Asked::Call(on_result) => {
                state.forget_if_settled(connection_id);
                return Some(Settled::Called(on_result));
            }
            Asked::Message(delivery) if delivery.level == DeliveryLevel::ExactlyOnce => delivery,
            Asked::Message(delivery) | Asked::Release(delivery) => {
                state.forget_if_settled(connection_id);
                return Some(Settled::Acknowledged(delivery));
            }
        };
        let delivery = Delivery {
            // Nobody needs it any more.
            text: Bytes::new(),
            ..delivery
        };
        let release_id = state.next_number();
        let text = release(delivery.number, release_id);
        if let Some(session) = state.sessions.get_mut(&connection_id) {
            session.asked(release_id, Asked::Release(delivery), Instant::now());
        }
        drop(state);
        // If there is no room for it now, it is sent again.
        let _ = connection.send_text(&text);
        None
    }

    /// Has a call wait for its answer. Gives the id to ask with.
    pub(in super::super) fn call(
        self: &Arc<Self>,
        connection: &Connection,
        on_result: OnResult,
    ) -> Result<u64, CallError> {
        let connection_id = connection.id().0;
        let mut state = self.lock();
        let id = state.next_number();
        let session = state.sessions.get_mut(&connection_id);
        let session = session.ok_or(CallError::Closed)?;
        if !session.may_be_asked(1, 0, &self.settings) {
            return Err(CallError::LimitReached);
        }
        session.asked(id, Asked::Call(on_result), Instant::now());
        state.unsettled.insert(connection_id);
        self.scan(&mut state);
        Ok(id)
    }

    /// Sees to it that what is overdue is looked for.
    pub(super) fn scan(self: &Arc<Self>, state: &mut State) {
        if state.scanner.is_none() && !state.unsettled.is_empty() {
            state.scanner = scanner::start(self, self.settings.scan_interval);
        }
    }

    /// Sends again what is overdue, and gives the calls that have failed. When nothing is left to look
    /// for, the scanner is told to end.
    pub(in super::super) fn serve_overdue(&self, now: Instant) -> Vec<OnResult> {
        let mut again = Vec::new();
        let mut failed = Vec::new();
        {
            let mut state = self.lock();
            let State {
                sessions,
                unsettled,
                scanner,
                ..
            } = &mut *state;
            unsettled.retain(|id| {
                let Some(session) = sessions.get_mut(id) else {
                    return false;
                };
                let overdue = session.overdue(now, self.settings.answer_timeout);
                if !overdue.again.is_empty() {
                    again.push((session.connection.clone(), overdue.again));
                }
                failed.extend(overdue.failed);
                !session.is_settled()
            });
            if unsettled.is_empty() {
                *scanner = None;
            }
        }
        for (connection, texts) in again {
            let lanes = connection.connections();
            for text in texts {
                let message = Message::new(MessageKind::Text, text);
                let recipients = Recipients::all().include([connection.guid()]);
                // By way of the lane, so that no slow peer keeps this thread waiting.
                let _ = lanes.broadcast(message, &recipients);
            }
        }
        failed
    }
}

impl State {
    /// Notes a message that its audience has to answer. Gives those who may leave no more unanswered.
    pub(super) fn ask_all(
        &mut self,
        audience: &Audience,
        delivery: &Delivery,
        settings: &ChannelSettings,
    ) -> Vec<Connection> {
        let now = Instant::now();
        let mut too_slow = Vec::new();
        let ids = self.subscriptions.members(audience, &delivery.channel);
        for id in ids.into_iter().flatten() {
            let Some(session) = self.sessions.get_mut(id) else {
                continue;
            };
            if !session.may_be_asked(1, delivery.text.len() as u64, settings) {
                too_slow.push(session.connection.clone());
                continue;
            }
            session.asked(delivery.number, Asked::Message(delivery.clone()), now);
            self.unsettled.insert(*id);
        }
        too_slow
    }

    pub(super) fn forget_if_settled(&mut self, connection: u64) {
        if self
            .sessions
            .get(&connection)
            .is_some_and(Session::is_settled)
        {
            self.unsettled.remove(&connection);
        }
    }
}
