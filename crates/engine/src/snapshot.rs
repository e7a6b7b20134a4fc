//! The immutable view of the namespace that workers read.
//!
//! A worker holds one snapshot and takes the next between two turns of its loop. Nothing in it
//! changes but the atomic counts that its parts share with the snapshots before and after.

use std::net::IpAddr;
use std::sync::Arc;

use tidegate_httpapi::{
    EnabledState, FlowRate, QueueProperties, Registration, RequestQueueId, Scheme, Timeouts,
    UrlGroupId,
};

use crate::bandwidth::GroupBandwidth;
use crate::counters::{GroupCounters, PerWorker, QueueCounters};
use crate::latency::LatencyHistogram;
use crate::listen::PortKey;
use crate::logging::LogView;
use crate::namespace::{Buckets, HostRoute, Leaf};
use crate::quota::ConnectionCount;
use crate::unavailable::Unavailable;

/// The namespace and its properties at one moment.
#[derive(Debug)]
pub struct Snapshot<Q> {
    pub(crate) version: u64,
    pub(crate) machine_timeouts: Timeouts,
    pub(crate) limits_bandwidth: bool,
    /// Sorted by key.
    pub(crate) ports: Box<[Arc<PortTable<Q>>]>,
}

/// All that stands on one port.
#[derive(Debug)]
pub struct PortTable<Q> {
    pub(crate) key: PortKey,
    pub(crate) scheme: Scheme,
    pub(crate) entries: Box<[RegistrationEntry<Q>]>,
    pub(crate) buckets: Buckets,
}

/// Who gets a request.
#[derive(Debug)]
pub enum Outcome<'s, Q> {
    /// This registration's group.
    Registered(&'s RegistrationEntry<Q>),
    /// Nobody: the best match is a reservation that nobody has registered. 503, http-server-api C1.
    ReservedOnly,
    /// Nobody: the host is known here, the path is not. 404.
    UnknownPath,
    /// Nobody: the host is not known on this port. 400 `Hostname`.
    UnknownHost,
}

/// A registration and the group it belongs to.
#[derive(Debug)]
pub struct RegistrationEntry<Q> {
    /// The prefix and its context.
    pub registration: Arc<Registration>,
    /// Its group.
    pub group: Arc<GroupView<Q>>,
}

/// A URL group's properties, with those of its session and the machine where it has none.
#[derive(Debug)]
pub struct GroupView<Q> {
    /// Names the group.
    pub id: UrlGroupId,
    /// Whether the group and its session take requests.
    pub enabled: bool,
    /// Timers of requests routed here.
    pub timeouts: Timeouts,
    /// Most connections at once; `None` is unlimited.
    pub connections_max: Option<u32>,
    /// Where its answered requests are logged; `None` is nowhere.
    pub log: Option<Arc<LogView>>,
    /// How much may be sent and received in a second; the same in all snapshots.
    pub bandwidth: Arc<GroupBandwidth>,
    /// How fast each response goes; `None` is no limit.
    pub flow_rate: Option<FlowRate>,
    /// Connections counted to this group; the same in all snapshots.
    pub connections: Arc<ConnectionCount>,
    /// What workers have counted for it; the same in all snapshots.
    pub counters: Arc<PerWorker<GroupCounters>>,
    /// The queue it is bound to.
    pub queue: Option<Arc<QueueView<Q>>>,
}

/// A request queue's properties, and the queue itself.
#[derive(Debug)]
pub struct QueueView<Q> {
    /// Names the queue.
    pub id: RequestQueueId,
    /// Its properties.
    pub properties: QueueProperties,
    /// What workers have counted for it; the same in all snapshots.
    pub counters: Arc<PerWorker<QueueCounters>>,
    /// How long its requests take, if that is measured.
    pub latency: Option<Arc<PerWorker<LatencyHistogram>>>,
    /// The driver's queue.
    pub queue: Arc<Q>,
}

impl<Q> Snapshot<Q> {
    /// A number that is different for each snapshot of one [`Control`](crate::Control).
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether any group or session has a limit on bandwidth.
    pub fn limits_bandwidth(&self) -> bool {
        self.limits_bandwidth
    }

    /// The timers before a connection's first request has been routed.
    pub fn machine_timeouts(&self) -> &Timeouts {
        &self.machine_timeouts
    }

    /// What stands on a port; `None` when nothing does.
    pub fn port(&self, key: PortKey) -> Option<&PortTable<Q>> {
        self.port_index(key).map(|index| &*self.ports[index])
    }

    /// Whether routing on a port asks for the connection's local address.
    pub fn depends_on_local_address(&self, port: PortKey) -> bool {
        self.port(port)
            .is_some_and(PortTable::depends_on_local_address)
    }

    /// Resolves a host, in any letter case, and the address the connection arrived at.
    ///
    /// `host` is empty when the request has none; a port after it does not count. The answer depends
    /// on nothing else: it may be kept for the next request with the same three arguments.
    pub fn hosts(&self, port: PortKey, host: &str, local: Option<IpAddr>) -> HostRoute {
        match self.port_index(port) {
            Some(index) => {
                let buckets = &self.ports[index].buckets;
                buckets.resolve(self.version, index as u32, host, local)
            }
            None => HostRoute::nowhere(self.version),
        }
    }

    /// Who gets a request for `cooked_path`: percent-decoded, without dot segments or empty ones.
    ///
    /// The path of `OPTIONS *` is empty: it goes to the host's root.
    #[inline]
    pub fn route(&self, hosts: HostRoute, cooked_path: &str) -> Outcome<'_, Q> {
        debug_assert_eq!(hosts.version, self.version, "a route of another snapshot");
        let Some(port) = self.ports.get(hosts.port as usize) else {
            return Outcome::UnknownHost;
        };
        // One registration at the root, and nothing searched before it: the common case.
        if let Some(entry) = port.entries.get(hosts.fixed.index()) {
            return Outcome::Registered(entry);
        }
        port.search(hosts, cooked_path)
    }

    /// All registrations with their groups, in no particular order.
    pub fn entries(&self) -> impl Iterator<Item = &RegistrationEntry<Q>> {
        self.ports.iter().flat_map(|port| &port.entries)
    }

    /// Whether a registration stands on this port and leads to this queue.
    pub fn leads_to(
        &self,
        port: PortKey,
        registration: &Arc<Registration>,
        queue: RequestQueueId,
    ) -> bool {
        let is_it = |entry: &RegistrationEntry<Q>| {
            Arc::ptr_eq(&entry.registration, registration) && entry.group.queue_id() == Some(queue)
        };
        self.port(port)
            .is_some_and(|port| port.entries.iter().any(is_it))
    }

    fn port_index(&self, key: PortKey) -> Option<usize> {
        self.ports.binary_search_by_key(&key, |port| port.key).ok()
    }
}

impl<Q> PortTable<Q> {
    /// The port.
    pub fn key(&self) -> PortKey {
        self.key
    }

    /// What the port carries.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether routing asks for the connection's local address.
    pub fn depends_on_local_address(&self) -> bool {
        self.buckets.depend_on_local_address()
    }

    /// The registrations, in no particular order.
    pub fn entries(&self) -> &[RegistrationEntry<Q>] {
        &self.entries
    }

    /// Kept out of line, so that the common case saves no registers for it.
    #[inline(never)]
    fn search(&self, hosts: HostRoute, cooked_path: &str) -> Outcome<'_, Q> {
        match self.buckets.winner(hosts, cooked_path) {
            Leaf::RESERVED => Outcome::ReservedOnly,
            Leaf::NONE if hosts.host_is_known => Outcome::UnknownPath,
            Leaf::NONE => Outcome::UnknownHost,
            leaf => match self.entries.get(leaf.index()) {
                Some(entry) => Outcome::Registered(entry),
                None => Outcome::UnknownPath,
            },
        }
    }
}

impl<Q> GroupView<Q> {
    /// Names the queue it is bound to, whether that takes requests or not.
    pub fn queue_id(&self) -> Option<RequestQueueId> {
        self.queue.as_ref().map(|queue| queue.id)
    }

    /// The queue that takes this group's requests.
    ///
    /// # Errors
    ///
    /// [`NotBound`](Unavailable::NotBound) without a queue; [`Disabled`](Unavailable::Disabled) when
    /// the queue, the group or its session is disabled.
    #[inline]
    pub fn queue(&self) -> Result<&Arc<QueueView<Q>>, Unavailable> {
        let queue = self.queue.as_ref().ok_or(Unavailable::NotBound)?;
        if !self.enabled || queue.properties.state == EnabledState::Disabled {
            return Err(Unavailable::Disabled);
        }
        Ok(queue)
    }
}
