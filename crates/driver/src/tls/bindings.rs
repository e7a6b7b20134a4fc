//! Which certificate a connection gets.
//!
//! An immutable snapshot of all bindings, made by the store and read by workers. Only the order of the
//! search is here. Source: http-server-api §10, "Selection on ClientHello".

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tidegate_httpapi::TlsBindingKey;

use super::bound::Bound;

/// All bindings as they are now. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    table: Arc<Table>,
}

#[derive(Debug, Default)]
struct Table {
    addresses: HashMap<SocketAddr, Arc<Bound>>,
    /// By port.
    names: HashMap<u16, Names>,
    /// By port.
    directories: HashMap<u16, Names>,
}

/// Certificates by whom they are good for.
#[derive(Debug, Default)]
struct Names {
    exact: HashMap<Box<str>, Arc<Bound>>,
    /// `*.example.com` as `example.com`.
    wildcard: HashMap<Box<str>, Arc<Bound>>,
    addresses: HashMap<IpAddr, Arc<Bound>>,
}

impl Bindings {
    /// The certificate for a connection that arrived at `local`, where it is the same whatever the client
    /// asks for.
    pub(super) fn select_unasked(&self, local: SocketAddr) -> Option<Arc<Bound>> {
        self.table.select_unasked(local).cloned()
    }

    /// The certificate for a connection that arrived at `local` and asks for `server_name`.
    pub(crate) fn select(
        &self,
        local: SocketAddr,
        server_name: Option<&str>,
    ) -> Option<Arc<Bound>> {
        self.table.select(local, server_name).cloned()
    }
}

impl Table {
    fn select_unasked(&self, local: SocketAddr) -> Option<&Arc<Bound>> {
        let (ip, port) = (local.ip().to_canonical(), local.port());
        self.addresses.get(&SocketAddr::new(ip, port)).or_else(|| {
            let has_names = self.names.contains_key(&port) || self.directories.contains_key(&port);
            match has_names {
                true => None,
                false => self.wildcard_address(ip, port),
            }
        })
    }

    fn select(&self, local: SocketAddr, server_name: Option<&str>) -> Option<&Arc<Bound>> {
        let (ip, port) = (local.ip().to_canonical(), local.port());
        let server_name = server_name.map(lower_case);
        let server_name = server_name.as_deref();
        self.addresses
            .get(&SocketAddr::new(ip, port))
            .or_else(|| self.names.get(&port)?.find(server_name?))
            .or_else(|| {
                let directory = self.directories.get(&port)?;
                match server_name {
                    Some(name) => directory.find(name),
                    // RFC 6066 §3: a client that goes to an address names nobody.
                    None => directory.addresses.get(&ip),
                }
            })
            .or_else(|| self.wildcard_address(ip, port))
    }

    /// `0.0.0.0` for IPv4, `[::]` for IPv6, and for IPv4 where there is no `0.0.0.0`.
    fn wildcard_address(&self, ip: IpAddr, port: u16) -> Option<&Arc<Bound>> {
        let any = |ip: IpAddr| self.addresses.get(&SocketAddr::new(ip, port));
        let v6 = || any(Ipv6Addr::UNSPECIFIED.into());
        match ip {
            IpAddr::V4(_) => any(Ipv4Addr::UNSPECIFIED.into()).or_else(v6),
            IpAddr::V6(_) => v6(),
        }
    }
}

impl Names {
    /// The exact name, else the name with its first label a wildcard (RFC 6125 §6.4.3).
    fn find(&self, name: &str) -> Option<&Arc<Bound>> {
        self.exact.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        })
    }

    fn add(&mut self, name: &str, bound: &Arc<Bound>) {
        let name = lower_case(name);
        let (names, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, &*name),
        };
        // The first that has the name keeps it.
        names
            .entry(name.into())
            .or_insert_with(|| Arc::clone(bound));
    }
}

/// Puts a snapshot together.
#[derive(Default)]
pub(super) struct BindingsBuilder {
    table: Table,
}

impl BindingsBuilder {
    /// Adds the certificate of an address or a name.
    pub(super) fn add(&mut self, key: &TlsBindingKey, bound: &Arc<Bound>) {
        match key {
            TlsBindingKey::Address(address) => {
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                self.table.addresses.insert(address, Arc::clone(bound));
            }
            TlsBindingKey::Name { name, port } => {
                self.table.names.entry(*port).or_default().add(name, bound);
            }
            TlsBindingKey::Directory { .. } => {
                debug_assert!(false, "a directory's certificates are added one by one");
            }
        }
    }

    /// Adds one certificate of a directory, for the names and addresses that it is good for.
    pub(super) fn add_of_directory<'a>(
        &mut self,
        port: u16,
        names: impl Iterator<Item = &'a str>,
        bound: &Arc<Bound>,
    ) {
        let directory = self.table.directories.entry(port).or_default();
        for name in names {
            match name.parse::<IpAddr>() {
                Ok(ip) => {
                    let addresses = &mut directory.addresses;
                    addresses.entry(ip).or_insert_with(|| Arc::clone(bound));
                }
                Err(_) => directory.add(name, bound),
            }
        }
    }

    pub(super) fn build(self) -> Bindings {
        Bindings {
            table: Arc::new(self.table),
        }
    }
}

/// Names of hosts are compared without case (RFC 4343). Clients send them in lower case, as a rule.
fn lower_case(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    }
}
