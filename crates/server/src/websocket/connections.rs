//! All WebSocket connections of a server: who there is, and messages to many of them.
//!
//! Nothing here stops anyone: a snapshot is taken part by part, a broadcast is left with each lane and
//! written by it. Source: the component's Broadcast, WriteData, Ping, DisconnectAll, ShareList, Groups.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use bytes::Bytes;
use tidegate_httpapi::OpaqueKey;
use tidegate_proto::websocket::{Budget, may_be_sent};

use super::broadcast::Broadcast;
use super::connection::Connection;
use super::group::GroupTable;
use super::message::{Message, Recipients, WriteError};
use super::post::{Post, Target};
use super::protocol::SubProtocol;
use super::registry::{Guid, Registry};
use super::totals::Totals;
use crate::component::Shared;

/// What a server's WebSocket connections share.
pub(crate) struct Hub {
    pub(super) registry: Registry<Connection>,
    pub(super) groups: GroupTable<Connection>,
    lanes: Mutex<Vec<Weak<Post>>>,
    protocols: RwLock<Arc<[Arc<dyn SubProtocol>]>>,
    budget: Arc<MemoryBudget>,
    totals: Totals,
}

impl Hub {
    pub(crate) fn new(protocols: Vec<Arc<dyn SubProtocol>>) -> Self {
        Self {
            registry: Registry::default(),
            groups: GroupTable::default(),
            lanes: Mutex::default(),
            protocols: RwLock::new(protocols.into()),
            budget: Arc::default(),
            totals: Totals::default(),
        }
    }

    /// Sets the bound on what messages in progress may hold; 0: none.
    pub(crate) fn set_memory_budget(&self, bytes: u64) {
        let bytes = match bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        self.budget.limit.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    pub(super) fn budget(&self) -> Arc<dyn Budget> {
        Arc::clone(&self.budget) as Arc<dyn Budget>
    }

    pub(super) fn charge(&self, bytes: usize) -> bool {
        self.budget.take(bytes)
    }

    pub(super) fn discharge(&self, bytes: usize) {
        self.budget.give(bytes);
    }

    /// A copy of what a handler sends. Long ones are charged to the budget for as long as they wait;
    /// `None`: it is spent.
    pub(super) fn copy(&self, data: &[u8]) -> Option<Bytes> {
        if data.len() < CHARGED_MIN {
            return Some(Bytes::copy_from_slice(data));
        }
        if !self.budget.take(data.len()) {
            return None;
        }
        Some(Bytes::from_owner(Charged {
            data: data.into(),
            budget: Arc::clone(&self.budget),
        }))
    }

    pub(super) fn protocols(&self) -> Arc<[Arc<dyn SubProtocol>]> {
        let protocols = self.protocols.read();
        Arc::clone(&protocols.unwrap_or_else(PoisonError::into_inner))
    }

    /// A registered sub-protocol's JavaScript client.
    pub(crate) fn script(&self, name: &str) -> Option<&'static str> {
        self.protocols()
            .iter()
            .find(|protocol| protocol.name() == name)?
            .script()
    }

    pub(crate) fn register_protocol(&self, protocol: Arc<dyn SubProtocol>) {
        let mut protocols = self
            .protocols
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let others = protocols
            .iter()
            .filter(|known| known.name() != protocol.name());
        *protocols = others.cloned().chain([Arc::clone(&protocol)]).collect();
    }

    pub(crate) fn unregister_protocol(&self, name: &str) -> bool {
        let mut protocols = self
            .protocols
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = protocols.len();
        *protocols = protocols
            .iter()
            .filter(|known| known.name() != name)
            .cloned()
            .collect();
        protocols.len() < before
    }

    pub(super) fn add_lane(&self, post: &Arc<Post>) {
        let mut lanes = self.lock_lanes();
        lanes.retain(|lane| lane.strong_count() > 0);
        lanes.push(Arc::downgrade(post));
    }

    fn lanes(&self) -> Vec<Arc<Post>> {
        self.lock_lanes().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock_lanes(&self) -> MutexGuard<'_, Vec<Weak<Post>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a broadcast with every lane.
    fn broadcast_to_all(
        &self,
        broadcast: Broadcast,
        target: impl Fn() -> Target,
        leave: Leave,
    ) -> Result<(), WriteError> {
        if broadcast.kind().is_some() {
            self.totals.count_broadcast();
        }
        let broadcast = Arc::new(broadcast);
        let mut result = Ok(());
        for lane in self.lanes() {
            match leave(&lane, &broadcast, target()) {
                // A lane that ends has nobody left.
                Ok(()) | Err(WriteError::Closed) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Leaves a broadcast with the lanes of these connections.
    fn broadcast_to(
        &self,
        broadcast: Broadcast,
        connections: impl IntoIterator<Item = Connection>,
        leave: Leave,
    ) -> Result<(), WriteError> {
        let mut lanes: HashMap<*const Post, (Arc<Post>, Vec<OpaqueKey>)> = HashMap::new();
        for connection in connections {
            let post = &connection.0.post;
            let (_, keys) = lanes
                .entry(Arc::as_ptr(post))
                .or_insert_with(|| (Arc::clone(post), Vec::new()));
            keys.push(connection.0.key);
        }
        if broadcast.kind().is_some() {
            self.totals.count_broadcast();
        }
        let broadcast = Arc::new(broadcast);
        let mut result = Ok(());
        for (post, keys) in lanes.into_values() {
            match leave(&post, &broadcast, Target::These(keys.into())) {
                Ok(()) | Err(WriteError::Closed) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }
}

/// How a broadcast is left with a lane.
type Leave = fn(&Post, &Arc<Broadcast>, Target) -> Result<(), WriteError>;

/// A bound on memory that all connections share.
#[derive(Debug)]
struct MemoryBudget {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self {
            limit: AtomicUsize::new(usize::MAX),
            taken: AtomicUsize::new(0),
        }
    }
}

impl Budget for MemoryBudget {
    fn take(&self, bytes: usize) -> bool {
        // Relaxed: a count that nothing else depends on.
        let limit = self.limit.load(Ordering::Relaxed);
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed);
        let fits = taken.checked_add(bytes).is_some_and(|sum| sum <= limit);
        if !fits {
            self.give(bytes);
        }
        fits
    }

    fn give(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that the budget is charged with for as long as anyone holds them, the system's send included.
struct Charged {
    data: Box<[u8]>,
    budget: Arc<MemoryBudget>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.budget.give(self.data.len());
    }
}

/// Shorter copies are bounded well enough by how many of them may wait.
const CHARGED_MIN: usize = 16 * 1024;

/// All WebSocket connections of a server. A handle: cheap to clone, good on every thread.
#[derive(Clone)]
pub struct Connections {
    shared: Arc<Shared>,
}

impl Connections {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn hub(&self) -> &Hub {
        self.shared.websockets()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.hub().registry.count()
    }

    /// All there are now. Nobody waits for this, and nobody is held up by it. Source: the component's
    /// ShareList, without its lock.
    pub fn snapshot(&self) -> Vec<Connection> {
        self.hub().registry.snapshot()
    }

    /// So many of those there are now, in no order.
    pub(crate) fn some(&self, count: usize) -> Vec<Connection> {
        self.hub().registry.some(count)
    }

    /// The connection of this name, if it lives.
    pub fn find(&self, guid: Guid) -> Option<Connection> {
        self.hub().registry.get(guid.id()?)
    }

    /// Sends a message to one connection. Says whether it was there and took it. Source: the
    /// component's WriteData.
    pub fn write_data(&self, guid: Guid, message: impl Into<Message>) -> bool {
        self.find(guid)
            .is_some_and(|connection| connection.send(message).is_ok())
    }

    /// Sends a message to all that `recipients` names. It is framed once, and compressed at most once
    /// for each size of window.
    ///
    /// Returns when it has been left with the threads that write. A connection that has no room for it
    /// is dealt with as its [`overflow`](super::QueueOptions::overflow) says, except that nobody waits
    /// for it: where it says wait, the connection is ended, with 1008. The others go on.
    ///
    /// What one thread broadcasts and what it sends to a connection come there in that thread's order.
    ///
    /// # Errors
    ///
    /// [`WriteError::Full`]: so many broadcasts wait to be written that this one was not taken (by all
    /// threads), and the caller is a handler that must not wait. Elsewhere the caller waits.
    pub fn broadcast(
        &self,
        message: impl Into<Message>,
        recipients: &Recipients,
    ) -> Result<(), WriteError> {
        self.broadcast_by(Post::broadcast, message.into(), recipients)
    }

    /// As [`broadcast`](Self::broadcast), but without waiting and whether there is room or not: for who
    /// holds a lock, and has asked before whether there is.
    pub(super) fn broadcast_at_once(&self, message: Message, recipients: &Recipients) {
        // Lanes that end have nobody left.
        let _ = self.broadcast_by(Post::broadcast_at_once, message, recipients);
    }

    /// Whether all threads that write have room for a broadcast.
    pub(super) fn has_room(&self) -> bool {
        self.hub().lanes().iter().all(|lane| lane.has_room())
    }

    /// Waits until each had room once. Not for handlers that must not wait.
    pub(super) fn wait_for_room(&self) {
        for lane in self.hub().lanes() {
            lane.wait_for_room();
        }
    }

    fn broadcast_by(
        &self,
        leave: Leave,
        message: Message,
        recipients: &Recipients,
    ) -> Result<(), WriteError> {
        let broadcast =
            Broadcast::message(message, recipients.protocol.clone(), &recipients.exclude);
        match (&recipients.include, &recipients.channel) {
            (Some(include), channel) => {
                let named: HashSet<_> = include.iter().collect();
                let found = named
                    .into_iter()
                    .filter_map(|guid| self.find(*guid))
                    .filter(|found| match channel {
                        Some(mask) if recipients.by_mask => found.matches(mask),
                        Some(channel) => found.is_subscribed(channel),
                        None => true,
                    })
                    .collect::<Vec<_>>();
                self.hub().broadcast_to(broadcast, found, leave)
            }
            (None, Some(mask)) if recipients.by_mask => {
                let target = || Target::Mask(Arc::clone(mask));
                self.hub().broadcast_to_all(broadcast, target, leave)
            }
            (None, Some(channel)) => {
                let target = || Target::Channel(Arc::clone(channel));
                self.hub().broadcast_to_all(broadcast, target, leave)
            }
            (None, None) => {
                let target = || Target::All;
                self.hub().broadcast_to_all(broadcast, target, leave)
            }
        }
    }

    /// Sends a ping to all, with a payload of at most 125 bytes.
    ///
    /// # Errors
    ///
    /// The payload is too long; or as [`broadcast`](Self::broadcast).
    pub fn ping(&self, payload: &[u8]) -> Result<(), WriteError> {
        if payload.len() > 125 {
            return Err(WriteError::TooLong);
        }
        self.hub()
            .broadcast_to_all(Broadcast::ping(payload), || Target::All, Post::broadcast)
    }

    /// Closes all with a close frame each. Whoever does not answer within
    /// [`close_timeout`](super::WebSocketSettings::close_timeout) is dropped. The server goes on taking
    /// new ones.
    ///
    /// # Errors
    ///
    /// The code is none for a close frame, or the reason is longer than 123 bytes; or as
    /// [`broadcast`](Self::broadcast).
    pub fn disconnect_all(&self, code: u16, reason: &str) -> Result<(), WriteError> {
        if !may_be_sent(code) {
            return Err(WriteError::BadCloseCode(code));
        }
        if reason.len() > 123 {
            return Err(WriteError::TooLong);
        }
        self.hub().broadcast_to_all(
            Broadcast::close(code, reason.into()),
            || Target::All,
            Post::broadcast,
        )
    }

    /// Named groups of connections. Members leave by themselves when they end.
    pub fn groups(&self) -> Groups {
        Groups {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connections")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

/// Named groups of connections. Source: the component's Groups.
#[derive(Clone)]
pub struct Groups {
    shared: Arc<Shared>,
}

impl Groups {
    fn table(&self) -> &GroupTable<Connection> {
        &self.shared.websockets().groups
    }

    /// Adds a connection to a group, which is made if there is none. Says whether it was no member.
    pub fn add(&self, group: &str, connection: &Connection) -> bool {
        let id = connection.0.id.0;
        let is_new = self.table().add(group, id, connection.clone());
        // One that ended meanwhile has left all groups it was in, and must not stay in this.
        if is_new && !connection.is_open() {
            self.table().remove(group, id);
            return false;
        }
        is_new
    }

    /// Takes a connection out of a group. Says whether it was a member.
    pub fn remove(&self, group: &str, connection: &Connection) -> bool {
        self.table().remove(group, connection.0.id.0)
    }

    /// Makes a group that stays when it has no members. Says whether there was none of this name.
    pub fn create(&self, group: &str) -> bool {
        self.table().create(group)
    }

    /// How many members a group has.
    pub fn len(&self, group: &str) -> usize {
        self.table().len(group)
    }

    /// The members of a group.
    pub fn members(&self, group: &str) -> Vec<Connection> {
        self.table().members(group)
    }

    /// The names of all groups.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.table().names()
    }

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.table().count()
    }

    /// Sends a message to the members of all groups whose names match `mask`, in which `*` stands for
    /// any characters and `?` for one. A member of several gets it once.
    ///
    /// # Errors
    ///
    /// As [`Connections::broadcast`].
    pub fn broadcast(&self, mask: &str, message: impl Into<Message>) -> Result<(), WriteError> {
        let broadcast = Broadcast::message(message.into(), None, &[]);
        let members = self.table().matching(mask);
        let hub = self.shared.websockets();
        hub.broadcast_to(broadcast, members, Post::broadcast)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Groups")
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}
