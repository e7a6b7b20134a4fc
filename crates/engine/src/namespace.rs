//! The URL namespace: all registrations and reservations, and what may stand beside what.
//!
//! Holds the tables and their conflict rules. Who gets a request is [`route`]'s matter.
//! Source: "Namespace Reservations, Registrations, and Routing", HTTP Server API; http-server-api
//! §2.2 and §3.

mod bucket;
mod path_tree;
mod registration;
mod reservation;
mod route;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use tidegate_httpapi::{ApiError, Caller, Host, Scheme, UrlGroupId, UrlPrefix};

use crate::listen::{ListenAt, ListenNeed, Needs, PortKey, listen_at};

pub(crate) use bucket::Buckets;
pub(crate) use path_tree::{Leaf, PathTree};
pub(crate) use registration::{Claim, EntryKey};
pub(crate) use reservation::{Owner, Reservation};
pub use route::HostRoute;

/// Registrations and reservations of all ports.
#[derive(Debug, Default)]
pub(crate) struct Namespace {
    ports: FxHashMap<PortKey, Port>,
    sockets: FxHashMap<PathBuf, u32>,
    sockets_ever: u32,
    /// Where prefixes without an address of their own listen; everywhere, if it is empty.
    listen_addresses: Vec<IpAddr>,
}

/// What stands on one port. Exists while there is anything.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) scheme: Scheme,
    /// By host, then by folded path.
    pub(crate) hosts: FxHashMap<Host, BTreeMap<Box<str>, Entry>>,
    needs: Needs,
    pub(crate) socket: Option<PathBuf>,
}

/// What stands at one path of one host: at least one of the two.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) claim: Option<Claim>,
    pub(crate) reservation: Option<Reservation>,
}

impl Namespace {
    pub(crate) fn port(&self, port: PortKey) -> Option<&Port> {
        self.ports.get(&port)
    }

    /// Endpoints that the registrations of one port need.
    pub(crate) fn endpoints(&self, port: PortKey) -> Vec<ListenNeed> {
        self.ports
            .get(&port)
            .map(|table| table.needs.endpoints(port, &self.listen_addresses))
            .unwrap_or_default()
    }

    pub(crate) fn all_endpoints(&self) -> Vec<ListenNeed> {
        let mut endpoints: Vec<_> = self
            .ports
            .keys()
            .flat_map(|&port| self.endpoints(port))
            .collect();
        endpoints.sort_unstable();
        endpoints
    }

    /// Has prefixes without an address of their own listen on these only. Gives those before.
    pub(crate) fn set_listen_addresses(&mut self, addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        std::mem::replace(&mut self.listen_addresses, addresses)
    }

    /// The number of a Unix socket; a new one when it has none.
    pub(crate) fn socket(&mut self, socket: &Path) -> PortKey {
        if let Some(&number) = self.sockets.get(socket) {
            return PortKey::Unix(number);
        }
        self.sockets_ever += 1;
        self.sockets.insert(socket.to_owned(), self.sockets_ever);
        PortKey::Unix(self.sockets_ever)
    }

    pub(crate) fn known_socket(&self, socket: &Path) -> Option<PortKey> {
        self.sockets
            .get(socket)
            .map(|&number| PortKey::Unix(number))
    }

    /// Adds a registration; `socket` is where its port listens when that is no TCP port.
    pub(crate) fn register(
        &mut self,
        key: &EntryKey,
        claim: Claim,
        socket: Option<&Path>,
    ) -> Result<(), ApiError> {
        let prefix = &claim.registration.prefix;
        self.check_scheme(key.port, prefix)?;
        let already = |entry: &Entry| entry.claim.is_some();
        if self.entry(key).is_some_and(already) {
            return Err(ApiError::AlreadyRegistered {
                prefix: prefix.to_string(),
            });
        }
        let port = self.port_of(key.port, prefix.scheme);
        port.socket = socket.map(Path::to_owned);
        port.needs.add(port.listen_at(&key.host));
        port.entry_of(key).claim = Some(claim);
        Ok(())
    }

    /// Takes a registration of this group away.
    pub(crate) fn unregister(&mut self, key: &EntryKey, group: UrlGroupId) -> Option<Claim> {
        let port = self.ports.get_mut(&key.port)?;
        let entry = port.hosts.get_mut(&key.host)?.get_mut(&key.path)?;
        let claim = entry.claim.take_if(|claim| claim.group == group)?;
        port.needs.remove(&port.listen_at(&key.host));
        self.clear(key);
        Some(claim)
    }

    pub(crate) fn reserve(
        &mut self,
        key: &EntryKey,
        reservation: Reservation,
    ) -> Result<(), ApiError> {
        let prefix = &reservation.prefix;
        self.check_scheme(key.port, prefix)?;
        let already = |entry: &Entry| entry.reservation.is_some();
        if self.entry(key).is_some_and(already) {
            return Err(ApiError::AlreadyReserved {
                prefix: prefix.to_string(),
            });
        }
        let scheme = prefix.scheme;
        let entry = self.port_of(key.port, scheme).entry_of(key);
        entry.reservation = Some(reservation);
        Ok(())
    }

    pub(crate) fn delete_reservation(&mut self, key: &EntryKey) -> Option<Reservation> {
        let port = self.ports.get_mut(&key.port)?;
        let entry = port.hosts.get_mut(&key.host)?.get_mut(&key.path)?;
        let reservation = entry.reservation.take()?;
        self.clear(key);
        Some(reservation)
    }

    /// Whether `caller` may register a prefix: the longest reservation decides that covers it.
    pub(crate) fn may_register(
        &self,
        caller: &Caller,
        key: &EntryKey,
        prefix: &UrlPrefix,
    ) -> Result<(), ApiError> {
        let port = self
            .ports
            .get(&key.port)
            .filter(|port| port.scheme == prefix.scheme);
        let paths = port.and_then(|port| port.hosts.get(&key.host));
        let covering = paths.into_iter().flatten().filter_map(|(path, entry)| {
            let reservation = entry.reservation.as_ref()?;
            key.path.starts_with(&**path).then_some((path, reservation))
        });
        let longest = covering.max_by_key(|(path, _)| path.len());
        reservation::may_register(caller, prefix, longest.map(|(_, reservation)| reservation))
    }

    pub(crate) fn reservations(&self) -> impl Iterator<Item = &Reservation> {
        self.ports
            .values()
            .flat_map(|port| port.hosts.values())
            .flat_map(BTreeMap::values)
            .filter_map(|entry| entry.reservation.as_ref())
    }

    /// Whether a port carries this scheme.
    pub(crate) fn carries(&self, port: PortKey, scheme: Scheme) -> bool {
        self.ports
            .get(&port)
            .is_some_and(|port| port.scheme == scheme)
    }

    fn entry(&self, key: &EntryKey) -> Option<&Entry> {
        self.ports
            .get(&key.port)?
            .hosts
            .get(&key.host)?
            .get(&key.path)
    }

    /// One port carries one scheme, for registrations and reservations alike.
    fn check_scheme(&self, port: PortKey, prefix: &UrlPrefix) -> Result<(), ApiError> {
        match self.ports.get(&port) {
            Some(port) if port.scheme != prefix.scheme => Err(ApiError::SchemeConflict {
                prefix: prefix.to_string(),
                carried: port.scheme,
            }),
            _ => Ok(()),
        }
    }

    fn port_of(&mut self, port: PortKey, scheme: Scheme) -> &mut Port {
        self.ports.entry(port).or_insert_with(|| Port {
            scheme,
            hosts: FxHashMap::default(),
            needs: Needs::default(),
            socket: None,
        })
    }

    /// Removes what has become empty at `key`.
    fn clear(&mut self, key: &EntryKey) {
        let Some(port) = self.ports.get_mut(&key.port) else {
            return;
        };
        if let Some(paths) = port.hosts.get_mut(&key.host) {
            if paths.get(&key.path).is_some_and(Entry::is_empty) {
                paths.remove(&key.path);
            }
            if paths.is_empty() {
                port.hosts.remove(&key.host);
            }
        }
        if port.hosts.is_empty()
            && let Some(port) = self.ports.remove(&key.port)
            && let Some(socket) = port.socket
        {
            self.sockets.remove(&socket);
        }
    }
}

impl Port {
    fn entry_of(&mut self, key: &EntryKey) -> &mut Entry {
        self.hosts
            .entry(key.host.clone())
            .or_default()
            .entry(key.path.clone())
            .or_default()
    }

    fn listen_at(&self, host: &Host) -> ListenAt {
        match &self.socket {
            Some(socket) => ListenAt::Unix(socket.clone()),
            None => listen_at(host),
        }
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.claim.is_none() && self.reservation.is_none()
    }
}
