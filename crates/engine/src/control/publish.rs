//! Makes the snapshots that workers read.
//!
//! A port's table is made anew when something on it changed; the others are shared with the snapshot
//! before. A group's view is made once for all its ports.

use std::sync::Arc;

use tidegate_httpapi::{EnabledState, UrlGroupId};

use super::{Control, Group};
use crate::listen::PortKey;
use crate::namespace::{Buckets, Leaf, PathTree};
use crate::snapshot::{GroupView, PortTable, RegistrationEntry, Snapshot};

impl<Q> Control<Q> {
    /// The view that workers are to read now: the last one, if nothing has changed since.
    pub fn snapshot(&mut self) -> Arc<Snapshot<Q>> {
        if self.stale_ports.is_empty() {
            return Arc::clone(&self.published);
        }
        let stale = std::mem::take(&mut self.stale_ports);
        let fresh = self.published.ports.iter();
        let mut ports: Vec<_> = fresh
            .filter(|port| !stale.contains(&port.key))
            .cloned()
            .collect();
        for key in stale {
            ports.extend(self.port_table(key).map(Arc::new));
        }
        ports.sort_unstable_by_key(|port| port.key);
        self.published = Arc::new(Snapshot {
            version: self.published.version + 1,
            machine_timeouts: self.machine_timeouts,
            limits_bandwidth: self.limits_bandwidth(),
            ports: ports.into(),
        });
        Arc::clone(&self.published)
    }

    fn limits_bandwidth(&self) -> bool {
        let limits =
            |group: &Group<Q>| group.properties.flow_rate.is_some() || group.bandwidth.is_limited();
        self.groups.values().any(limits)
    }

    fn port_table(&mut self, key: PortKey) -> Option<PortTable<Q>> {
        let port = self.namespace.port(key)?;
        let mut entries = Vec::new();
        let mut hosts = Vec::with_capacity(port.hosts.len());
        for (host, paths) in &port.hosts {
            let leaves = paths.iter().map(|(path, entry)| {
                // Where both stand, the registration serves.
                let leaf = match &entry.claim {
                    None => Leaf::RESERVED,
                    Some(claim) => {
                        entries.push((Arc::clone(&claim.registration), claim.group));
                        Leaf::registered(entries.len() - 1)
                    }
                };
                (&**path, leaf)
            });
            hosts.push((host, PathTree::new(leaves)));
        }
        let scheme = port.scheme;
        let buckets = Buckets::new(hosts.into_iter());
        let entries = entries
            .into_iter()
            .map(|(registration, group)| {
                Some(RegistrationEntry {
                    registration,
                    group: self.group_view(group)?,
                })
            })
            .collect::<Option<_>>()?;
        Some(PortTable {
            key,
            scheme,
            entries,
            buckets,
        })
    }

    fn group_view(&mut self, id: UrlGroupId) -> Option<Arc<GroupView<Q>>> {
        let group = self.groups.get_mut(&id)?;
        if let Some(view) = &group.view {
            return Some(Arc::clone(view));
        }
        let owner = self.sessions.get(&group.session)?;
        let (session, session_log) = (&owner.properties, owner.log.as_ref());
        let properties = &group.properties;
        let session_timeouts = session.timeouts.resolve(&self.machine_timeouts);
        let view = Arc::new(GroupView {
            id,
            enabled: session.state == EnabledState::Enabled
                && properties.state == EnabledState::Enabled,
            timeouts: properties.timeouts.resolve(&session_timeouts),
            connections_max: properties.connections_max,
            log: group.log.as_ref().or(session_log).cloned(),
            bandwidth: Arc::clone(&group.bandwidth),
            flow_rate: properties.flow_rate,
            connections: Arc::clone(&group.connections),
            counters: Arc::clone(&group.counters),
            queue: group
                .queue
                .and_then(|queue| self.queues.get(&queue))
                .cloned(),
        });
        group.view = Some(Arc::clone(&view));
        Some(view)
    }
}
