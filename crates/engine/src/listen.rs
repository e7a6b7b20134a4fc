//! Where to listen: which endpoints the registered prefixes need.
//!
//! An address literal, or a name tied to one, needs that address; `localhost` needs loopback of both
//! families; everything else needs any address. On one port the wider covers the narrower. Who opens
//! the sockets, and what happens when that fails, is the driver's matter. Reservations need none.
//! Source: http-server-api §1.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use tidegate_httpapi::Host;

/// Which listener a request came in by.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PortKey {
    /// A TCP port.
    Tcp(u16),
    /// A Unix socket, by the number that [`Control`](crate::Control) gave it. Numbers are not used
    /// again.
    Unix(u32),
}

/// One endpoint to listen on.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenNeed {
    /// The port.
    pub port: PortKey,
    /// Where on it.
    pub at: ListenAt,
}

/// Where on a port.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ListenAt {
    /// Any address, of both families. It is enough when one of them can be had.
    Any,
    /// The loopback addresses, of both families. It is enough when one of them can be had.
    Loopback,
    /// This address only.
    Address(IpAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl ListenNeed {
    /// The TCP addresses to listen on; none for a Unix socket.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let PortKey::Tcp(port) = self.port else {
            return Vec::new();
        };
        let addresses: &[IpAddr] = match &self.at {
            ListenAt::Any => &[
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            ],
            ListenAt::Loopback => &[
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ],
            ListenAt::Address(address) => &[*address],
            ListenAt::Unix(_) => &[],
        };
        addresses
            .iter()
            .map(|&address| SocketAddr::new(address, port))
            .collect()
    }
}

/// What a change of the namespace means for listeners.
///
/// When an endpoint in `open` cannot be had, take the change back (remove the prefix again) before a
/// snapshot is published. An endpoint in `close` may be covered by one in `open`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct ListenChange {
    /// Endpoints that came into use.
    pub open: Vec<ListenNeed>,
    /// Endpoints that fell out of use.
    pub close: Vec<ListenNeed>,
}

impl ListenChange {
    pub(crate) fn between(before: &[ListenNeed], after: &[ListenNeed]) -> Self {
        let only_in = |these: &[ListenNeed], those: &[ListenNeed]| {
            these
                .iter()
                .filter(|need| !those.contains(need))
                .cloned()
                .collect()
        };
        Self {
            open: only_in(after, before),
            close: only_in(before, after),
        }
    }
}

/// How many registrations of one port need each endpoint.
#[derive(Debug, Default)]
pub(crate) struct Needs(BTreeMap<ListenAt, usize>);

impl Needs {
    pub(crate) fn add(&mut self, at: ListenAt) {
        *self.0.entry(at).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, at: &ListenAt) {
        if let Some(count) = self.0.get_mut(at) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(at);
            }
        }
    }

    /// The endpoints, without those that another covers. Where `addresses` has any, these are what needs
    /// neither an address nor a loopback one.
    pub(crate) fn endpoints(&self, port: PortKey, addresses: &[IpAddr]) -> Vec<ListenNeed> {
        if self.0.contains_key(&ListenAt::Any) && !addresses.is_empty() {
            let mut listed = Self::default();
            let others = self.0.keys().filter(|at| **at != ListenAt::Any);
            let all = addresses.iter().map(|address| ListenAt::Address(*address));
            all.chain(others.cloned()).for_each(|at| listed.add(at));
            return listed.endpoints(port, &[]);
        }
        let wanted = |at: &ListenAt| self.0.contains_key(at);
        // One that was listed; a prefix has no such address.
        let is_covered = |address: &IpAddr| {
            let any: IpAddr = match address {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            *address != any && wanted(&ListenAt::Address(any))
        };
        // Loopback binds 127.0.0.1 and ::1, not the rest of 127.0.0.0/8.
        let is_loopback_bound = |address: &IpAddr| {
            wanted(&ListenAt::Loopback)
                && (*address == Ipv4Addr::LOCALHOST || *address == Ipv6Addr::LOCALHOST)
        };
        self.0
            .keys()
            .filter(|at| match at {
                ListenAt::Any | ListenAt::Unix(_) => true,
                ListenAt::Loopback => !wanted(&ListenAt::Any),
                ListenAt::Address(address) => {
                    !wanted(&ListenAt::Any) && !is_loopback_bound(address) && !is_covered(address)
                }
            })
            .map(|at| ListenNeed {
                port,
                at: at.clone(),
            })
            .collect()
    }
}

/// What a prefix with this host needs.
pub(crate) fn listen_at(host: &Host) -> ListenAt {
    match host {
        Host::Address(address)
        | Host::Name {
            address: Some(address),
            ..
        } => ListenAt::Address(*address),
        Host::Name {
            name,
            subdomains: false,
            ..
        } if **name == *"localhost" => ListenAt::Loopback,
        _ => ListenAt::Any,
    }
}
