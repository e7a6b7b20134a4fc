//! Finds which entry of a port gets a request.
//!
//! Holds only the order of the search: strong wildcard; explicit names, in which one tied to the
//! local address comes before one that is not, and an exact name before `*.name`; IP-bound weak
//! wildcard; weak wildcard. In each the longest path wins, and the first that has any decides, even
//! if it cannot serve. Who may register a prefix is `reservation`'s matter.
//! Source: "Routing Incoming Requests", HTTP Server API; http-server-api §2.3.

use std::net::IpAddr;

use super::bucket::Buckets;
use super::path_tree::{Leaf, PathTree};

/// Where a host and a local address lead on one port: what stays the same from request to request of
/// a connection.
///
/// Good for the snapshot that made it, and cheap to keep beside the bytes of a `Host` value.
#[derive(Clone, Copy, Debug)]
pub struct HostRoute {
    pub(crate) version: u64,
    /// The port, by index in the snapshot.
    pub(crate) port: u32,
    /// The winner of every path, if there is one; else [`Leaf::NONE`].
    pub(crate) fixed: Leaf,
    /// Whether any entry of the port is for this host.
    pub(crate) host_is_known: bool,
    name: Option<u32>,
    address: Option<u32>,
}

impl HostRoute {
    /// The route of a port that nothing stands on.
    pub(crate) fn nowhere(version: u64) -> Self {
        Self {
            version,
            port: u32::MAX,
            fixed: Leaf::NONE,
            host_is_known: false,
            name: None,
            address: None,
        }
    }
}

impl Buckets {
    /// Resolves a host and a local address.
    pub(crate) fn resolve(
        &self,
        version: u64,
        port: u32,
        host: &str,
        local: Option<IpAddr>,
    ) -> HostRoute {
        let mut route = HostRoute {
            port,
            name: self.find_name(host),
            address: local.and_then(|address| self.address_index(address.to_canonical())),
            ..HostRoute::nowhere(version)
        };
        let mut first = None;
        self.search(route, |paths| {
            first.get_or_insert(paths.only_root());
            Leaf::NONE
        });
        route.host_is_known = first.is_some();
        route.fixed = first.unwrap_or(Leaf::NONE);
        route
    }

    /// The entry that gets a request for `path`.
    pub(crate) fn winner(&self, route: HostRoute, path: &str) -> Leaf {
        self.search(route, |paths| paths.longest(path))
    }

    /// Asks the buckets in their order until one has an answer.
    fn search<'a>(&'a self, route: HostRoute, mut ask: impl FnMut(&'a PathTree) -> Leaf) -> Leaf {
        let mut ask = |paths: Option<&'a PathTree>| paths.map_or(Leaf::NONE, &mut ask);
        let mut leaf = ask(self.strong.as_ref());
        let mut name = route.name;
        while leaf == Leaf::NONE
            && let Some(index) = name
        {
            let host = &self.names[index as usize];
            let tied = |address| host.tied.iter().find(|(index, _)| *index == address);
            leaf = ask(route.address.and_then(tied).map(|(_, paths)| paths));
            if leaf == Leaf::NONE {
                leaf = ask(host.untied.as_ref());
            }
            name = host.wider;
        }
        if leaf == Leaf::NONE
            && let Some(index) = route.address
        {
            leaf = ask(self.addresses[index as usize].paths.as_ref());
        }
        if leaf == Leaf::NONE {
            leaf = ask(self.weak.as_ref());
        }
        leaf
    }
}
