//! Tells what there is, for whoever looks after the backend.

use tidegate_httpapi::{
    RegisteredUrl, RequestQueueState, ServerSessionState, ServiceState, UrlGroupCounters,
    UrlGroupId, UrlGroupState,
};

use super::{Control, Group};
use crate::latency::latency;
use crate::listen::PortKey;
use crate::namespace::EntryKey;
use crate::snapshot::QueueView;

impl<Q> Control<Q> {
    /// Sessions, groups and queues, in the order in which they were made. `complete` adds to each queue what its
    /// owner knows.
    pub fn service_state(
        &self,
        complete: impl Fn(&QueueView<Q>, &mut RequestQueueState),
    ) -> ServiceState {
        let mut state = ServiceState::default();
        for (&id, session) in &self.sessions {
            let mut told = ServerSessionState::new(id);
            told.state = session.properties.state;
            told.timeouts = session.properties.timeouts.resolve(&self.machine_timeouts);
            let groups = session.groups.iter();
            told.groups = groups
                .filter_map(|&group| {
                    let is_logged = session.log.is_some();
                    Some(self.group_state(group, self.groups.get(&group)?, is_logged))
                })
                .collect();
            told.groups.sort_unstable_by_key(|group| group.id.0);
            state.sessions.push(told);
        }
        state.sessions.sort_unstable_by_key(|session| session.id.0);
        for view in self.queues.values() {
            let mut told = view.state();
            complete(view, &mut told);
            state.queues.push(told);
        }
        state.queues.sort_unstable_by_key(|queue| queue.id.0);
        state
    }

    fn group_state(
        &self,
        id: UrlGroupId,
        group: &Group<Q>,
        session_is_logged: bool,
    ) -> UrlGroupState {
        let mut told = UrlGroupState::new(id);
        told.state = group.properties.state;
        told.queue = group.queue;
        told.connections_max = group.properties.connections_max;
        told.timeouts = group.properties.timeouts;
        told.is_logged = group.log.is_some() || session_is_logged;
        let urls = group.urls.iter();
        told.urls = urls.filter_map(|key| self.registered(key)).collect();
        told.urls.sort_by_cached_key(RegisteredUrl::to_string);
        told.counters = group.counters();
        told
    }

    fn registered(&self, key: &EntryKey) -> Option<RegisteredUrl> {
        let port = self.namespace.port(key.port)?;
        let entry = port.hosts.get(&key.host)?.get(&key.path)?;
        let prefix = &entry.claim.as_ref()?.registration.prefix;
        Some(match key.port {
            PortKey::Tcp(_) => RegisteredUrl::Prefix(prefix.clone()),
            PortKey::Unix(_) => RegisteredUrl::Unix {
                socket: port.socket.clone()?,
                path: prefix.path.clone(),
            },
        })
    }
}

impl<Q> Group<Q> {
    fn counters(&self) -> UrlGroupCounters {
        let mut sum = UrlGroupCounters::default();
        sum.connections = self.connections.count();
        sum.connections_most = self.connections.most();
        for worker in self.counters.iter() {
            sum.connection_attempts += worker.connection_attempts.get();
            sum.requests += worker.requests.get();
            sum.requests_get += worker.requests_get.get();
            sum.requests_head += worker.requests_head.get();
            sum.bytes_received += worker.bytes_received.get();
            sum.bytes_sent += worker.bytes_sent.get();
        }
        sum
    }
}

impl<Q> QueueView<Q> {
    fn state(&self) -> RequestQueueState {
        let mut told = RequestQueueState::new(self.id);
        told.state = self.properties.state;
        told.verbosity_503 = self.properties.verbosity_503;
        told.operating_mode = self.properties.operating_mode;
        told.requests_max = self.properties.queue_length;
        for worker in self.counters.iter() {
            told.counters.arrived += worker.arrived.get();
            told.counters.rejected += worker.rejected.get();
        }
        told.latency = self.latency.as_deref().map(latency);
        told
    }
}
