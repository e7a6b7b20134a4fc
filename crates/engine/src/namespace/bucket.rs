//! The hosts of one port, sorted into buckets and made ready to be searched.
//!
//! Finds which entries a host name and a local address lead to; in which order they are searched is
//! [`route`](super::route)'s matter. Source: "UrlPrefix Strings", HTTP Server API: host categories.

use std::net::IpAddr;

use rustc_hash::FxHashMap;
use tidegate_httpapi::{Host, canonical_host_name};

use super::path_tree::PathTree;

/// The paths of all hosts of one port.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    pub(super) strong: Option<PathTree>,
    pub(super) names: Vec<NamedHost>,
    /// Sorted by address.
    pub(super) addresses: Vec<LocalAddress>,
    pub(super) weak: Option<PathTree>,
    by_name: FxHashMap<Box<str>, NameIndexes>,
    has_subdomains: bool,
}

/// A name, or all sub-domains of a name.
#[derive(Debug)]
pub(super) struct NamedHost {
    /// Paths only for connections that arrived at this address, by index in `addresses`.
    pub(super) tied: Vec<(u32, PathTree)>,
    /// Paths for every local address.
    pub(super) untied: Option<PathTree>,
    /// The next to search: the sub-domains of the longest name that ends this one.
    pub(super) wider: Option<u32>,
}

/// An address that something on this port depends on.
#[derive(Debug)]
pub(super) struct LocalAddress {
    address: IpAddr,
    pub(super) paths: Option<PathTree>,
}

#[derive(Clone, Copy, Debug, Default)]
struct NameIndexes {
    exact: Option<u32>,
    subdomains: Option<u32>,
}

impl Buckets {
    pub(crate) fn new<'a>(hosts: impl Iterator<Item = (&'a Host, PathTree)>) -> Self {
        let mut buckets = Self::default();
        let mut tied = Vec::new();
        let mut literals = Vec::new();
        for (host, paths) in hosts {
            match host {
                Host::StrongWildcard => buckets.strong = Some(paths),
                Host::WeakWildcard => buckets.weak = Some(paths),
                Host::Address(address) => literals.push((*address, paths)),
                Host::Name {
                    name,
                    subdomains,
                    address,
                } => {
                    let index = buckets.name_index(name, *subdomains);
                    match address {
                        None => buckets.names[index as usize].untied = Some(paths),
                        Some(address) => tied.push((index, *address, paths)),
                    }
                }
            }
        }
        let mut addresses: Vec<IpAddr> = literals.iter().map(|(address, _)| *address).collect();
        addresses.extend(tied.iter().map(|(_, address, _)| *address));
        addresses.sort_unstable();
        addresses.dedup();
        buckets.addresses = addresses
            .into_iter()
            .map(|address| LocalAddress {
                address,
                paths: None,
            })
            .collect();
        for (address, paths) in literals {
            if let Some(index) = buckets.address_index(address) {
                buckets.addresses[index as usize].paths = Some(paths);
            }
        }
        for (name, address, paths) in tied {
            if let Some(index) = buckets.address_index(address) {
                buckets.names[name as usize].tied.push((index, paths));
            }
        }
        buckets.link();
        buckets
    }

    /// Whether any entry counts only for connections that arrived at a certain address.
    pub(crate) fn depend_on_local_address(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// Where the search of the names begins for a host as a peer wrote it, in any letter case.
    ///
    /// A port after the name does not count (http-server-api §2.3); an address is no name.
    pub(super) fn find_name(&self, host: &str) -> Option<u32> {
        if self.by_name.is_empty() || host.starts_with('[') {
            return None;
        }
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        if !name.is_ascii() {
            return self.find_canonical(&canonical_host_name(name)?);
        }
        // No name is longer; see `canonical_host_name`.
        let mut lower = [0; 253];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        self.find_canonical(std::str::from_utf8(lower).ok()?)
    }

    pub(super) fn address_index(&self, address: IpAddr) -> Option<u32> {
        self.addresses
            .binary_search_by_key(&address, |local| local.address)
            .ok()
            .map(|index| index as u32)
    }

    fn find_canonical(&self, name: &str) -> Option<u32> {
        let exact = self.by_name.get(name).and_then(|indexes| indexes.exact);
        exact.or_else(|| self.find_subdomains(name))
    }

    /// The sub-domains of the longest name that `name` ends with, but is not.
    fn find_subdomains(&self, name: &str) -> Option<u32> {
        if !self.has_subdomains {
            return None;
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            let found = self.by_name.get(parent);
            if let Some(index) = found.and_then(|indexes| indexes.subdomains) {
                return Some(index);
            }
            rest = parent;
        }
        None
    }

    fn name_index(&mut self, name: &str, subdomains: bool) -> u32 {
        let new = self.names.len() as u32;
        let indexes = self.by_name.entry(name.into()).or_default();
        let index = match subdomains {
            true => &mut indexes.subdomains,
            false => &mut indexes.exact,
        };
        if let Some(index) = *index {
            return index;
        }
        *index = Some(new);
        self.has_subdomains |= subdomains;
        self.names.push(NamedHost {
            tied: Vec::new(),
            untied: None,
            wider: None,
        });
        new
    }

    fn link(&mut self) {
        if !self.has_subdomains {
            return;
        }
        let wider: Vec<_> = self
            .by_name
            .iter()
            .flat_map(|(name, indexes)| {
                let wider = self.find_subdomains(name);
                [indexes.exact, indexes.subdomains].map(|index| index.map(|index| (index, wider)))
            })
            .flatten()
            .collect();
        for (index, wider) in wider {
            self.names[index as usize].wider = wider;
        }
    }
}
