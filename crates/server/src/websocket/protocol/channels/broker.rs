//! Who has subscribed to what, and every change to that: one after the other, under one lock.
//!
//! Under the lock nothing waits and no application is called. What is sent there is left with the lanes
//! (the threads that write to connections), each of which keeps the order it was left in: a subscriber
//! gets the answer, what is kept, and from then on each message, none twice and none not at all. When
//! the lanes have no room, nothing is done: whoever may wait does so without the lock, and tries again.

mod unanswered;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;

use super::json_rpc::RpcError;
use super::message::Unnumbered;
use super::publishes::Publishes;
use super::retained::{Kept, Retained};
use super::session::{Asked, Delivery, OnResult, Session};
use super::settings::{ChannelSettings, DeliveryLevel, Retention};
use super::subscriptions::{Audience, Subscriptions};
use crate::component::Shared;
use crate::websocket::connection::Connection;
use crate::websocket::connections::Connections;
use crate::websocket::message::{Message, MessageKind, Recipients};
use crate::websocket::{close_code, inline, mask};

pub(super) use self::unanswered::Settled;

/// The protocol's state.
pub(super) struct Broker {
    pub(super) settings: ChannelSettings,
    /// By channel, in place of the settings' one.
    retentions: HashMap<String, Retention>,
    /// Guards everything below. No lock but those of connections and lanes is taken with it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sessions: HashMap<u64, Session>,
    subscriptions: Subscriptions,
    retained: Retained,
    publishes: Publishes,
    /// The number of the message, and the id of the request, that was last.
    last_number: u64,
    /// Whose connections these are; mostly one.
    servers: Vec<Weak<Shared>>,
    /// Connections that have something to answer.
    unsettled: HashSet<u64>,
    /// While there is a thread that looks for what is overdue; it ends when this is dropped.
    scanner: Option<Sender<Infallible>>,
}

/// Nothing was done, since too much waits to be sent and the caller must not wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Busy;

impl From<Busy> for RpcError {
    fn from(_: Busy) -> Self {
        Self::busy()
    }
}

/// An exactly-once publish that a client makes.
#[derive(Clone, Copy)]
pub(super) struct NamedPublish<'a> {
    pub(super) connection: u64,
    pub(super) name: &'a str,
}

impl Broker {
    /// Messages have numbers above `first_number`.
    pub(super) fn new(
        settings: ChannelSettings,
        retentions: HashMap<String, Retention>,
        first_number: u64,
    ) -> Self {
        let state = State {
            last_number: first_number,
            ..State::default()
        };
        Self {
            settings,
            retentions,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_mask(&self, channel: &str) -> bool {
        self.settings.use_matches_mask && mask::is_mask(channel)
    }

    /// Why no channel may be called so, if none may.
    pub(super) fn check_name(&self, name: &str) -> Result<(), RpcError> {
        let name_max = self.settings.name_bytes as usize;
        if name.is_empty() || name.len() > name_max {
            let message = format!("a name has 1 to {name_max} bytes");
            return Err(RpcError::invalid_params(message));
        }
        if name.contains(char::is_control) {
            return Err(RpcError::invalid_params("a name has no control characters"));
        }
        Ok(())
    }

    /// As [`check_name`](Self::check_name), for a channel that is published to.
    pub(super) fn check_channel(&self, name: &str) -> Result<(), RpcError> {
        self.check_name(name)?;
        if self.is_mask(name) {
            return Err(RpcError::invalid_params("a mask cannot be published to"));
        }
        Ok(())
    }

    pub(super) fn connected(&self, connection: &Connection) {
        let mut state = self.lock();
        let server = connection.shared();
        let is_known = |known: &Weak<Shared>| std::ptr::eq(known.as_ptr(), Arc::as_ptr(server));
        if !state.servers.iter().any(is_known) {
            state.servers.retain(|known| known.strong_count() > 0);
            state.servers.push(Arc::downgrade(server));
        }
        let session = Session::new(connection.clone());
        state.sessions.insert(connection.id().0, session);
    }

    /// Gives the channels it had subscribed to, and the calls it has not answered.
    pub(super) fn disconnected(&self, connection: &Connection) -> (Vec<Arc<str>>, Vec<OnResult>) {
        let id = connection.id().0;
        let mut state = self.lock();
        let memory = self.settings.publish_memory;
        state.publishes.connection_ended(id, Instant::now(), memory);
        state.unsettled.remove(&id);
        let Some(session) = state.sessions.remove(&id) else {
            return Default::default();
        };
        for name in &session.channels {
            state.subscriptions.leave(name, id);
        }
        let channels = session.channels.iter().cloned().collect();
        (channels, session.into_calls())
    }

    /// Has a connection get what is published to a channel, or to all that match a mask, after what is
    /// kept of it. `answer` is given whether it did not yet, and makes what is sent before all that.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        connection: &Connection,
        channel: &str,
        answer: impl FnOnce(bool) -> Option<String>,
    ) -> Result<bool, RpcError> {
        let id = connection.id().0;
        let lanes = connection.connections();
        let is_mask = self.is_mask(channel);
        let mut state = self.lock_with_room(&lanes)?;
        let state = &mut *state;
        let Some(session) = state.sessions.get_mut(&id) else {
            return Ok(false);
        };
        if session.channels.contains(channel) {
            send(&lanes, connection, answer(false));
            return Ok(false);
        }
        let channels_max = self.settings.channels_per_connection;
        if session.channels.len() >= channels_max as usize {
            let message = format!("{channels_max} channels are the most for a connection");
            return Err(RpcError::limit_reached(message));
        }
        // What it has had by another subscription does not come again.
        let kept = if is_mask {
            let is_new = |name: &str| mask::matches(channel, name) && !self.gets(session, name);
            state.retained.of_channels(is_new)
        } else if self.gets(session, channel) {
            Vec::new()
        } else {
            state.retained.of_channel(channel)
        };
        let to_answer = || {
            kept.iter()
                .filter(|(_, kept)| kept.level > DeliveryLevel::AtMostOnce)
        };
        let bytes = to_answer().map(|(_, kept)| kept.text.len() as u64).sum();
        if !session.may_be_asked(to_answer().count(), bytes, &self.settings) {
            let message = "more is kept than the connection may leave unanswered".to_owned();
            return Err(RpcError::limit_reached(message));
        }
        send(&lanes, connection, answer(true));
        for text in batches(&kept) {
            send(&lanes, connection, Some(text));
        }
        let now = Instant::now();
        let mut is_unsettled = false;
        for (number, kept) in to_answer() {
            session.asked(*number, Asked::Message(delivery(*number, kept)), now);
            is_unsettled = true;
        }
        let name: Arc<str> = channel.into();
        session.channels.insert(Arc::clone(&name));
        if is_mask {
            state.subscriptions.join_mask(name, id);
        } else {
            let lane_name = || format!("{}/{channel}", self.settings.name);
            connection.subscribe(state.subscriptions.join_channel(name, id, lane_name));
        }
        if is_unsettled {
            state.unsettled.insert(id);
            self.scan(state);
        }
        Ok(true)
    }

    /// Has a connection get no more of a channel. `answer` as with [`subscribe`](Self::subscribe): it is
    /// sent after all that the connection gets of the channel.
    pub(super) fn unsubscribe(
        &self,
        connection: &Connection,
        channel: &str,
        answer: impl FnOnce(bool) -> Option<String>,
    ) -> Result<bool, RpcError> {
        let id = connection.id().0;
        let lanes = connection.connections();
        let mut state = self.lock_with_room(&lanes)?;
        let Some(session) = state.sessions.get_mut(&id) else {
            return Ok(false);
        };
        if !session.channels.remove(channel) {
            send(&lanes, connection, answer(false));
            return Ok(false);
        }
        session.forget_messages(|session, name| !self.gets(session, name));
        state.forget_if_settled(id);
        if let Some(lane_name) = state.subscriptions.leave(channel, id) {
            connection.unsubscribe(&lane_name);
        }
        send(&lanes, connection, answer(true));
        Ok(true)
    }

    /// Publishes, unless it was published before. Gives the message's number.
    pub(super) fn publish(
        self: &Arc<Self>,
        channel: &str,
        level: DeliveryLevel,
        message: Unnumbered,
        named: Option<NamedPublish<'_>>,
    ) -> Result<u64, RpcError> {
        // Dropped after the lock, since a server may end with its last handle.
        let mut servers: Vec<Connections> = Vec::new();
        let mut too_slow = Vec::new();
        let (mut state, audience) = loop {
            servers.clear();
            let state = self.lock();
            if let Some(named) = named {
                if let Some(number) = state.publishes.find(named.name) {
                    return Ok(number);
                }
                let unreleased_max = self.settings.unanswered_messages;
                if state.publishes.count(named.connection) >= unreleased_max as usize {
                    let message = format!("{unreleased_max} unreleased publishes are the most");
                    return Err(RpcError::limit_reached(message));
                }
            }
            let audience = state.subscriptions.audience(channel);
            if !matches!(audience, Audience::Nobody) {
                servers.extend(state.servers());
            }
            let Some(full) = servers.iter().find(|lanes| !lanes.has_room()) else {
                break (state, audience);
            };
            drop(state);
            wait_for_room(full)?;
        };
        let number = state.next_number();
        let text = Bytes::from(message.with_number(number));
        if let Some(named) = named
            // It may have ended while it waited for room.
            && state.sessions.contains_key(&named.connection)
        {
            state.publishes.insert(named.name, named.connection, number);
        }
        let retention = self.retention(channel);
        let kept = (level, text.clone());
        state
            .retained
            .keep(number, channel, kept, retention, &self.settings);
        if level > DeliveryLevel::AtMostOnce {
            let delivery = Delivery {
                number,
                channel: channel.into(),
                level,
                text: text.clone(),
            };
            too_slow = state.ask_all(&audience, &delivery, &self.settings);
            self.scan(&mut state);
        }
        let recipients = match &audience {
            Audience::Nobody => None,
            Audience::Channel(name) => Some(Recipients::all().channel(Arc::clone(name))),
            Audience::These(ids) => {
                let sessions = ids.iter().filter_map(|id| state.sessions.get(id));
                let guids = sessions.map(|session| session.connection.guid());
                Some(Recipients::all().include(guids))
            }
        };
        if let Some(recipients) = recipients {
            for lanes in &servers {
                let message = Message::new(MessageKind::Text, text.clone());
                lanes.broadcast_at_once(message, &recipients);
            }
        }
        drop(state);
        for connection in too_slow {
            let reason = "too many messages are not acknowledged";
            connection.close_with(close_code::POLICY_VIOLATION, reason);
        }
        Ok(number)
    }

    /// As which number an exactly-once publish was made, if it was and is not released.
    pub(super) fn find_publish(&self, name: &str) -> Option<u64> {
        self.lock().publishes.find(name)
    }

    /// A client has done with an exactly-once publish.
    pub(super) fn release_publish(&self, name: &str) {
        self.lock().publishes.release(name);
    }

    /// Forgets what is kept of a channel. Says how many messages that was.
    pub(super) fn clear_queue(&self, channel: &str) -> usize {
        self.lock().retained.clear(channel)
    }

    /// How many connections have subscribed to a channel, by name or mask.
    pub(super) fn subscriber_count(&self, channel: &str) -> usize {
        let state = self.lock();
        let audience = state.subscriptions.audience(channel);
        let members = state.subscriptions.members(&audience, channel);
        members.map_or(0, HashSet::len)
    }

    /// The channels that have subscribers by name.
    pub(super) fn channels(&self) -> Vec<Arc<str>> {
        self.lock().subscriptions.channels()
    }

    /// All servers that it has connections of.
    pub(super) fn servers(&self) -> Vec<Connections> {
        self.lock().servers()
    }

    /// Whether a connection gets what is published to a channel.
    fn gets(&self, session: &Session, channel: &str) -> bool {
        let mut subscribed = session.channels.iter();
        subscribed.any(|known| match self.is_mask(known) {
            true => mask::matches(known, channel),
            false => **known == *channel,
        })
    }

    fn retention(&self, channel: &str) -> Retention {
        let own = self.retentions.get(channel).copied();
        own.unwrap_or(self.settings.retention)
    }

    /// The state, at a time when the lanes have room.
    fn lock_with_room(&self, lanes: &Connections) -> Result<MutexGuard<'_, State>, Busy> {
        loop {
            let state = self.lock();
            if lanes.has_room() {
                return Ok(state);
            }
            drop(state);
            wait_for_room(lanes)?;
        }
    }
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn servers(&self) -> Vec<Connections> {
        let living = self.servers.iter().filter_map(Weak::upgrade);
        living.map(Connections::new).collect()
    }
}

/// Leaves a message for one connection with its lane, after all that was left there before.
fn send(lanes: &Connections, connection: &Connection, text: Option<String>) {
    if let Some(text) = text {
        let recipients = Recipients::all().include([connection.guid()]);
        lanes.broadcast_at_once(text.into(), &recipients);
    }
}

fn wait_for_room(lanes: &Connections) -> Result<(), Busy> {
    if inline::is_on_lane() {
        return Err(Busy);
    }
    lanes.wait_for_room();
    Ok(())
}

/// Kept messages as few JSON-RPC batches: each is one message to queues and to peers, and none is so
/// long that a peer's own limit would stop it unless one message alone is.
fn batches(kept: &[(u64, &Kept)]) -> Vec<String> {
    let mut batches: Vec<String> = Vec::new();
    for (_, kept) in kept {
        // It was text when it was kept.
        let text = std::str::from_utf8(&kept.text).unwrap_or("null");
        match batches.last_mut() {
            Some(batch) if batch.len() + text.len() < BATCH_BYTES_MAX => {
                batch.push(',');
                batch.push_str(text);
            }
            _ => batches.push(format!("[{text}")),
        }
    }
    for batch in &mut batches {
        batch.push(']');
    }
    batches
}

fn delivery(number: u64, kept: &Kept) -> Delivery {
    Delivery {
        number,
        channel: Arc::clone(&kept.channel),
        level: kept.level,
        text: kept.text.clone(),
    }
}

/// Libraries of peers take messages of 1 MiB and less without being told to.
const BATCH_BYTES_MAX: usize = 64 * 1024;
