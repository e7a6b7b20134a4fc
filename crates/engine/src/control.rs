//! The one owner of the tables: server sessions, URL groups, request queues and the namespace.
//!
//! Applies each change, says what it means for listeners, and publishes the [`Snapshot`] that workers
//! read. The driver keeps it behind a lock of its own; `Q` is the driver's queue.
//! Source: HTTP Server API 2.0 functions; http-server-api §1, §3, §5.

mod publish;
mod service;
mod state;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use tidegate_httpapi::{
    ApiError, Caller, GroupProperties, Host, InheritedTimeouts, LimitError, QueueProperties,
    Registration, RequestQueueId, ReservationOwner, Scheme, ServerSessionId, SessionProperties,
    Timeouts, UrlGroupId, UrlPrefix,
};

use crate::bandwidth::{GroupBandwidth, SessionBandwidth};
use crate::counters::{GroupCounters, PerWorker};
use crate::listen::{ListenChange, ListenNeed, PortKey};
use crate::logging::{LogOwner, LogView, Logs};
use crate::namespace::{Claim, EntryKey, Namespace, Owner, Reservation};
use crate::quota::ConnectionCount;
use crate::snapshot::{GroupView, QueueView, Snapshot};

/// Owner of sessions, groups, queues and the namespace.
#[derive(Debug)]
pub struct Control<Q> {
    machine_timeouts: Timeouts,
    /// Who counts.
    workers: usize,
    sessions: FxHashMap<ServerSessionId, Session>,
    groups: FxHashMap<UrlGroupId, Group<Q>>,
    queues: FxHashMap<RequestQueueId, Arc<QueueView<Q>>>,
    namespace: Namespace,
    /// Who registers; `None`: nobody is asked.
    caller: Option<Caller>,
    logs: Logs,
    ids_ever: u64,
    published: Arc<Snapshot<Q>>,
    /// Ports whose tables in `published` are out of date.
    stale_ports: FxHashSet<PortKey>,
}

#[derive(Debug, Default)]
struct Session {
    properties: SessionProperties,
    bandwidth: Arc<SessionBandwidth>,
    log: Option<Arc<LogView>>,
    groups: FxHashSet<UrlGroupId>,
}

#[derive(Debug)]
struct Group<Q> {
    session: ServerSessionId,
    properties: GroupProperties,
    bandwidth: Arc<GroupBandwidth>,
    log: Option<Arc<LogView>>,
    queue: Option<RequestQueueId>,
    connections: Arc<ConnectionCount>,
    counters: Arc<PerWorker<GroupCounters>>,
    urls: FxHashSet<EntryKey>,
    /// Its view in the next snapshot; `None` when that is to be made anew.
    view: Option<Arc<GroupView<Q>>>,
}

impl<Q> Control<Q> {
    /// No sessions, an empty namespace. `machine_timeouts` are for sessions that set none; so many workers will
    /// route by it and count.
    pub fn new(machine_timeouts: Timeouts, workers: usize) -> Self {
        Self {
            machine_timeouts,
            workers,
            sessions: FxHashMap::default(),
            groups: FxHashMap::default(),
            queues: FxHashMap::default(),
            namespace: Namespace::default(),
            caller: None,
            logs: Logs::default(),
            ids_ever: 0,
            published: Arc::new(Snapshot {
                version: 0,
                machine_timeouts,
                limits_bandwidth: false,
                ports: Box::default(),
            }),
            stale_ports: FxHashSet::default(),
        }
    }

    /// Creates a server session.
    pub fn create_session(&mut self) -> ServerSessionId {
        let id = ServerSessionId(self.next_id());
        self.sessions.insert(id, Session::default());
        id
    }

    /// Closes a session and its groups.
    ///
    /// # Errors
    ///
    /// There is no such session.
    pub fn close_session(&mut self, id: ServerSessionId) -> Result<ListenChange, ApiError> {
        let session = self
            .sessions
            .remove(&id)
            .ok_or_else(|| unknown_session(id))?;
        let mut urls = Vec::new();
        for group in session.groups {
            if let Some(closed) = self.groups.remove(&group) {
                urls.extend(closed.urls.into_iter().map(|url| (group, url)));
            }
        }
        Ok(self.unregister(urls))
    }

    /// Sets a session's properties.
    ///
    /// # Errors
    ///
    /// There is no such session, a timer or a bandwidth is out of its range, or its log cannot be as it is asked for.
    pub fn set_session_properties(
        &mut self,
        id: ServerSessionId,
        properties: SessionProperties,
    ) -> Result<(), ApiError> {
        check_timeouts(&properties.timeouts)?;
        properties.check_bandwidth()?;
        if !self.sessions.contains_key(&id) {
            return Err(unknown_session(id));
        }
        let of_others = self.logs_in_use(|session| session == id, |_| false);
        let log = self
            .logs
            .find(properties.logging.as_ref(), LogOwner::Session, &of_others)?;
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or_else(|| unknown_session(id))?;
        let (send, receive) = properties.bandwidths();
        session.bandwidth.send.set(send);
        session.bandwidth.receive.set(receive);
        session.properties = properties;
        session.log = log;
        for group in &session.groups {
            if let Some(group) = self.groups.get_mut(group) {
                group.touch(&mut self.stale_ports);
            }
        }
        Ok(())
    }

    /// Creates a URL group of a session.
    ///
    /// # Errors
    ///
    /// There is no such session.
    pub fn create_group(&mut self, session: ServerSessionId) -> Result<UrlGroupId, ApiError> {
        let id = UrlGroupId(self.next_id());
        let owner = self
            .sessions
            .get_mut(&session)
            .ok_or_else(|| unknown_session(session))?;
        owner.groups.insert(id);
        let group = Group {
            session,
            bandwidth: Arc::new(GroupBandwidth {
                session: Arc::clone(&owner.bandwidth),
                ..GroupBandwidth::default()
            }),
            properties: GroupProperties::default(),
            log: None,
            queue: None,
            connections: Arc::default(),
            counters: Arc::new(PerWorker::new(self.workers)),
            urls: FxHashSet::default(),
            view: None,
        };
        self.groups.insert(id, group);
        Ok(id)
    }

    /// Closes a group; its prefixes are removed.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn close_group(&mut self, id: UrlGroupId) -> Result<ListenChange, ApiError> {
        let group = self.groups.remove(&id).ok_or_else(|| unknown_group(id))?;
        if let Some(session) = self.sessions.get_mut(&group.session) {
            session.groups.remove(&id);
        }
        Ok(self.unregister(group.urls.into_iter().map(|url| (id, url)).collect()))
    }

    /// Sets a group's properties.
    ///
    /// # Errors
    ///
    /// There is no such group, a timer or a bandwidth is out of its range, or its log cannot be as it is asked for.
    pub fn set_group_properties(
        &mut self,
        id: UrlGroupId,
        properties: GroupProperties,
    ) -> Result<(), ApiError> {
        check_timeouts(&properties.timeouts)?;
        properties.check_bandwidth()?;
        if !self.groups.contains_key(&id) {
            return Err(unknown_group(id));
        }
        let of_others = self.logs_in_use(|_| false, |group| group == id);
        let log = self
            .logs
            .find(properties.logging.as_ref(), LogOwner::Group, &of_others)?;
        let group = self.groups.get_mut(&id).ok_or_else(|| unknown_group(id))?;
        group.bandwidth.send.set(properties.bandwidth());
        group.properties = properties;
        group.log = log;
        group.touch(&mut self.stale_ports);
        Ok(())
    }

    /// All logs there have been, by their ids: what sessions and groups leave may still be written to.
    pub fn logs(&self) -> &[Arc<LogView>] {
        self.logs.all()
    }

    /// The logs of all sessions and groups but these.
    fn logs_in_use(
        &self,
        is_that_session: impl Fn(ServerSessionId) -> bool,
        is_that_group: impl Fn(UrlGroupId) -> bool,
    ) -> Vec<Arc<LogView>> {
        let sessions = self.sessions.iter();
        let sessions = sessions.filter(|(id, _)| !is_that_session(**id));
        let groups = self.groups.iter();
        let groups = groups.filter(|(id, _)| !is_that_group(**id));
        sessions
            .filter_map(|(_, session)| session.log.clone())
            .chain(groups.filter_map(|(_, group)| group.log.clone()))
            .collect()
    }

    /// Creates a request queue.
    ///
    /// # Errors
    ///
    /// A number is out of its range.
    pub fn create_queue(
        &mut self,
        properties: QueueProperties,
        queue: Arc<Q>,
    ) -> Result<RequestQueueId, ApiError> {
        properties.check()?;
        let id = RequestQueueId(self.next_id());
        let view = QueueView {
            id,
            counters: Arc::new(PerWorker::new(self.workers)),
            latency: properties
                .measures_latency
                .then(|| Arc::new(PerWorker::new(self.workers))),
            properties,
            queue,
        };
        self.queues.insert(id, Arc::new(view));
        Ok(id)
    }

    /// A queue with its properties.
    ///
    /// # Errors
    ///
    /// There is no such queue.
    pub fn queue(&self, id: RequestQueueId) -> Result<&Arc<QueueView<Q>>, ApiError> {
        self.queues.get(&id).ok_or_else(|| unknown_queue(id))
    }

    /// All queues with their properties.
    pub fn queues(&self) -> impl Iterator<Item = &Arc<QueueView<Q>>> {
        self.queues.values()
    }

    /// Sets a queue's state, length, verbosity and longest content, and whether it is measured how long its
    /// requests take; the rest stays as the queue was created.
    /// Returns the queue with the properties it has now.
    ///
    /// # Errors
    ///
    /// There is no such queue, or a number is out of its range.
    pub fn set_queue_properties(
        &mut self,
        id: RequestQueueId,
        properties: QueueProperties,
    ) -> Result<Arc<QueueView<Q>>, ApiError> {
        properties.check()?;
        let old = self.queue(id)?;
        let mut now = old.properties.clone();
        now.state = properties.state;
        now.queue_length = properties.queue_length;
        now.verbosity_503 = properties.verbosity_503;
        now.content_bytes_max = properties.content_bytes_max;
        now.measures_latency = properties.measures_latency;
        let latency = match (now.measures_latency, &old.latency) {
            (true, Some(kept)) => Some(Arc::clone(kept)),
            (true, None) => Some(Arc::new(PerWorker::new(self.workers))),
            (false, _) => None,
        };
        let view = Arc::new(QueueView {
            id,
            properties: now,
            counters: Arc::clone(&old.counters),
            latency,
            queue: Arc::clone(&old.queue),
        });
        self.queues.insert(id, Arc::clone(&view));
        self.touch_groups_of(id);
        Ok(view)
    }

    /// Closes a queue; groups bound to it become unbound. Returns it for the driver to empty.
    ///
    /// # Errors
    ///
    /// There is no such queue.
    pub fn close_queue(&mut self, id: RequestQueueId) -> Result<Arc<QueueView<Q>>, ApiError> {
        let view = self.queues.remove(&id).ok_or_else(|| unknown_queue(id))?;
        self.touch_groups_of(id);
        for group in self.groups.values_mut() {
            group.queue = group.queue.filter(|&queue| queue != id);
        }
        Ok(view)
    }

    /// Binds a group to a queue, or to none.
    ///
    /// # Errors
    ///
    /// There is no such group or queue.
    pub fn bind(
        &mut self,
        group: UrlGroupId,
        queue: Option<RequestQueueId>,
    ) -> Result<(), ApiError> {
        if let Some(queue) = queue {
            self.queue(queue)?;
        }
        let group = self
            .groups
            .get_mut(&group)
            .ok_or_else(|| unknown_group(group))?;
        group.queue = queue;
        group.touch(&mut self.stale_ports);
        Ok(())
    }

    /// Adds a prefix to a group.
    ///
    /// # Errors
    ///
    /// There is no such group, the prefix is registered already, or its port carries the other scheme.
    pub fn add_url(
        &mut self,
        group: UrlGroupId,
        prefix: &UrlPrefix,
        context: u64,
    ) -> Result<ListenChange, ApiError> {
        self.register(group, EntryKey::of(prefix), prefix.clone(), context, None)
    }

    /// Adds a path to a group for all requests that arrive at a Unix socket, whatever host they name.
    ///
    /// The registration's prefix is written `http://*:80/path/`: a Unix socket has no port.
    ///
    /// # Errors
    ///
    /// As [`add_url`](Self::add_url), and when the path is wrong.
    pub fn add_unix(
        &mut self,
        group: UrlGroupId,
        socket: &Path,
        path: &str,
        context: u64,
    ) -> Result<ListenChange, ApiError> {
        let prefix = UrlPrefix {
            scheme: Scheme::Http,
            host: Host::WeakWildcard,
            port: 80,
            path: UrlPrefix::parse_path(path)?,
        };
        if !self.groups.contains_key(&group) {
            return Err(unknown_group(group));
        }
        let key = EntryKey::of_unix(self.namespace.socket(socket), &prefix.path);
        self.register(group, key, prefix, context, Some(socket))
    }

    /// Removes a prefix from a group.
    ///
    /// # Errors
    ///
    /// There is no such group, or the prefix is not registered in it.
    pub fn remove_url(
        &mut self,
        group: UrlGroupId,
        prefix: &UrlPrefix,
    ) -> Result<ListenChange, ApiError> {
        let key = EntryKey::of(prefix);
        let registered = self.namespace.carries(key.port, prefix.scheme);
        let found = registered.then_some(key);
        self.remove(group, found, || prefix.to_string())
    }

    /// Removes a path of a Unix socket from a group.
    ///
    /// # Errors
    ///
    /// There is no such group, or the path is wrong or not registered in it.
    pub fn remove_unix(
        &mut self,
        group: UrlGroupId,
        socket: &Path,
        path: &str,
    ) -> Result<ListenChange, ApiError> {
        let path = UrlPrefix::parse_path(path)?;
        let known = self.namespace.known_socket(socket);
        let found = known.map(|port| EntryKey::of_unix(port, &path));
        self.remove(group, found, || format!("{}:{path}", socket.display()))
    }

    /// Removes all prefixes and Unix sockets from a group.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn remove_all(&mut self, group: UrlGroupId) -> Result<ListenChange, ApiError> {
        let urls = std::mem::take(&mut self.group(group)?.urls);
        Ok(self.unregister(urls.into_iter().map(|url| (group, url)).collect()))
    }

    /// Reserves a prefix: it blocks lower buckets and shorter paths even while nobody registers it.
    ///
    /// # Errors
    ///
    /// The prefix is reserved already, or its port carries the other scheme.
    pub fn reserve(&mut self, prefix: &UrlPrefix, owner: ReservationOwner) -> Result<(), ApiError> {
        let key = EntryKey::of(prefix);
        let reservation = Reservation {
            prefix: prefix.clone(),
            owner: Owner::Named(owner),
        };
        self.namespace.reserve(&key, reservation)?;
        self.stale_ports.insert(key.port);
        Ok(())
    }

    /// Deletes a reservation.
    ///
    /// # Errors
    ///
    /// The prefix is not reserved.
    pub fn delete_reservation(&mut self, prefix: &UrlPrefix) -> Result<(), ApiError> {
        let key = EntryKey::of(prefix);
        let deleted = match self.namespace.carries(key.port, prefix.scheme) {
            true => self.namespace.delete_reservation(&key),
            false => None,
        };
        if deleted.is_none() {
            return Err(ApiError::NotReserved {
                prefix: prefix.to_string(),
            });
        }
        self.stale_ports.insert(key.port);
        Ok(())
    }

    /// All reserved prefixes, in no particular order.
    pub fn reservations(&self) -> impl Iterator<Item = &UrlPrefix> {
        self.namespace
            .reservations()
            .map(|reservation| &reservation.prefix)
    }

    /// All endpoints that the registrations need, in order.
    pub fn needed_endpoints(&self) -> Vec<ListenNeed> {
        self.namespace.all_endpoints()
    }

    fn next_id(&mut self) -> u64 {
        self.ids_ever += 1;
        self.ids_ever
    }

    fn group(&mut self, id: UrlGroupId) -> Result<&mut Group<Q>, ApiError> {
        self.groups.get_mut(&id).ok_or_else(|| unknown_group(id))
    }

    fn register(
        &mut self,
        group: UrlGroupId,
        key: EntryKey,
        prefix: UrlPrefix,
        context: u64,
        socket: Option<&Path>,
    ) -> Result<ListenChange, ApiError> {
        let owner = self
            .groups
            .get_mut(&group)
            .ok_or_else(|| unknown_group(group))?;
        if let (Some(caller), None) = (&self.caller, socket) {
            self.namespace.may_register(caller, &key, &prefix)?;
        }
        let before = self.namespace.endpoints(key.port);
        let claim = Claim {
            registration: Arc::new(Registration { prefix, context }),
            group,
        };
        self.namespace.register(&key, claim, socket)?;
        self.stale_ports.insert(key.port);
        let after = self.namespace.endpoints(key.port);
        owner.urls.insert(key);
        Ok(ListenChange::between(&before, &after))
    }

    fn remove(
        &mut self,
        group: UrlGroupId,
        key: Option<EntryKey>,
        name: impl FnOnce() -> String,
    ) -> Result<ListenChange, ApiError> {
        let owner = self.group(group)?;
        match key.and_then(|key| owner.urls.take(&key)) {
            Some(key) => Ok(self.unregister(vec![(group, key)])),
            None => Err(ApiError::NotRegistered { prefix: name() }),
        }
    }

    fn unregister(&mut self, urls: Vec<(UrlGroupId, EntryKey)>) -> ListenChange {
        let ports: FxHashSet<PortKey> = urls.iter().map(|(_, key)| key.port).collect();
        let endpoints = |namespace: &Namespace| -> Vec<ListenNeed> {
            ports
                .iter()
                .flat_map(|&port| namespace.endpoints(port))
                .collect()
        };
        let before = endpoints(&self.namespace);
        for (group, key) in &urls {
            self.namespace.unregister(key, *group);
        }
        let after = endpoints(&self.namespace);
        self.stale_ports.extend(ports);
        ListenChange::between(&before, &after)
    }

    fn touch_groups_of(&mut self, queue: RequestQueueId) {
        for group in self.groups.values_mut() {
            if group.queue == Some(queue) {
                group.touch(&mut self.stale_ports);
            }
        }
    }
}

impl<Q> Group<Q> {
    /// Has its view made anew, in all ports where it stands.
    fn touch(&mut self, stale_ports: &mut FxHashSet<PortKey>) {
        self.view = None;
        stale_ports.extend(self.urls.iter().map(|url| url.port));
    }
}

/// Timers run from 1 ms to 65,534 s, the most that the HTTP Server API can tell; 0 would end every
/// connection at once.
fn check_timeouts(timeouts: &InheritedTimeouts) -> Result<(), LimitError> {
    let check = |name, value: Option<u64>, range: RangeInclusive<u64>| match value {
        Some(value) if !range.contains(&value) => Err(LimitError { name, value, range }),
        _ => Ok(()),
    };
    for (name, timer) in [
        ("idle_connection_ms", timeouts.idle_connection),
        ("header_wait_ms", timeouts.header_wait),
        ("entity_body_ms", timeouts.entity_body),
        ("drain_entity_body_ms", timeouts.drain_entity_body),
        ("request_queue_ms", timeouts.request_queue),
    ] {
        let milliseconds = |timer: Duration| u64::try_from(timer.as_millis()).unwrap_or(u64::MAX);
        check(name, timer.flatten().map(milliseconds), 1..=65_534_000)?;
    }
    let rate = timeouts.min_send_rate.flatten().map(u64::from);
    check("min_send_rate", rate, 1..=u32::MAX.into())
}

fn unknown_session(id: ServerSessionId) -> ApiError {
    ApiError::Unknown {
        object: "server session",
        id: id.0,
    }
}

fn unknown_group(id: UrlGroupId) -> ApiError {
    ApiError::Unknown {
        object: "URL group",
        id: id.0,
    }
}

fn unknown_queue(id: RequestQueueId) -> ApiError {
    ApiError::Unknown {
        object: "request queue",
        id: id.0,
    }
}
