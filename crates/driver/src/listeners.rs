//! Opening and closing listeners as the namespace needs them. One for each worker at each address.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tidegate_engine::{ListenAt, ListenNeed, PortKey};
use tidegate_httpapi::{ApiError, Endpoint};
use tidegate_os::{
    BindError, BindErrorKind, ListenAddress, ListenOptions, Listener, REUSE_PORT_BALANCES,
};

use crate::mailbox::{ListenerId, Mailbox, Message};

/// The addresses listened on.
#[derive(Default)]
pub(crate) struct Listeners {
    open: HashMap<ListenAddress, (ListenerId, PortKey)>,
    next: u32,
}

impl Listeners {
    /// Opens what is needed and not open. When something cannot be opened, nothing is.
    pub(crate) fn open(
        &mut self,
        needs: &[ListenNeed],
        workers: &[Arc<Mailbox>],
        backlog: u32,
    ) -> Result<(), ApiError> {
        let mut bound = Vec::new();
        for need in needs {
            self.bind(need, workers.len(), backlog, &mut bound)?;
        }
        for (address, port, listeners) in bound {
            let id = ListenerId(self.next);
            self.next += 1;
            tracing::info!(%address, "listening");
            for (mailbox, listener) in workers.iter().zip(listeners) {
                mailbox.post(Message::Listen {
                    id,
                    port,
                    local: specified_ip(&address),
                    listener,
                });
            }
            self.open.insert(address, (id, port));
        }
        Ok(())
    }

    /// Closes what is open and not needed.
    ///
    /// What an endpoint of any address covers stays open beside it: closing it could lose connections
    /// that have just arrived there.
    pub(crate) fn close_unneeded(&mut self, needs: &[ListenNeed], workers: &[Arc<Mailbox>]) {
        let needed: Vec<ListenAddress> = needs.iter().flat_map(addresses).collect();
        let any_on = |port| {
            needs
                .iter()
                .any(|need| need.port == port && need.at == ListenAt::Any)
        };
        self.open.retain(|address, (id, port)| {
            let keep = needed.contains(address) || any_on(*port);
            if !keep {
                tracing::info!(%address, "no longer listening");
                for mailbox in workers {
                    mailbox.post(Message::StopListening(*id));
                }
            }
            keep
        });
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.open
            .keys()
            .map(|address| match address {
                ListenAddress::Tcp(address) => Endpoint::Tcp(*address),
                ListenAddress::Unix(path) => Endpoint::Unix(path.clone()),
            })
            .collect()
    }

    fn bind(
        &self,
        need: &ListenNeed,
        count: usize,
        backlog: u32,
        bound: &mut Vec<(ListenAddress, PortKey, Vec<Listener>)>,
    ) -> Result<(), ApiError> {
        let mut missing = None;
        let mut have = 0;
        for address in addresses(need) {
            let is_bound = bound.iter().any(|(other, ..)| *other == address);
            if is_bound || self.open.contains_key(&address) {
                have += 1;
                continue;
            }
            let is_ours = self.open.values().any(|(_, port)| *port == need.port)
                || bound.iter().any(|(_, port, _)| *port == need.port);
            match bind_for_all(&address, count, backlog, is_ours) {
                Ok(listeners) => {
                    bound.push((address, need.port, listeners));
                    have += 1;
                }
                // A machine without IPv6, or without IPv4, still has the other.
                Err(error) if is_missing_family(&error) => missing = Some(error),
                Err(error) => return Err(listen_error(error)),
            }
        }
        match missing {
            Some(error) if have == 0 => Err(listen_error(error)),
            _ => Ok(()),
        }
    }
}

fn addresses(need: &ListenNeed) -> Vec<ListenAddress> {
    match &need.at {
        ListenAt::Unix(path) => vec![ListenAddress::Unix(path.clone())],
        _ => need
            .addresses()
            .into_iter()
            .map(ListenAddress::Tcp)
            .collect(),
    }
}

/// Binds an address once for each worker.
///
/// Where the system does not balance several sockets at one address, or for a Unix socket, the workers
/// share one.
fn bind_for_all(
    address: &ListenAddress,
    count: usize,
    backlog: u32,
    is_ours: bool,
) -> Result<Vec<Listener>, BindError> {
    let shares = REUSE_PORT_BALANCES && matches!(address, ListenAddress::Tcp(_));
    let mut options = ListenOptions {
        backlog,
        reuse_port: shares,
        address_is_ours: is_ours,
        ..ListenOptions::default()
    };
    let mut listeners = vec![Listener::bind(address, &options)?];
    options.address_is_ours = true;
    for _ in 1..count {
        let next = if shares {
            Listener::bind(address, &options)?
        } else {
            listeners[0].try_clone().map_err(|error| BindError {
                address: address.clone(),
                kind: BindErrorKind::System(error),
            })?
        };
        listeners.push(next);
    }
    Ok(listeners)
}

fn specified_ip(address: &ListenAddress) -> Option<IpAddr> {
    match address {
        ListenAddress::Tcp(address) => Some(address.ip()).filter(|ip| !ip.is_unspecified()),
        ListenAddress::Unix(_) => None,
    }
}

fn is_missing_family(error: &BindError) -> bool {
    match error.kind {
        BindErrorKind::NotAvailable => true,
        BindErrorKind::System(error) => {
            error.call == "socket" || error.kind() == io::ErrorKind::Unsupported
        }
        _ => false,
    }
}

fn listen_error(error: BindError) -> ApiError {
    ApiError::Listen {
        endpoint: error.address.to_string(),
        in_use: matches!(error.kind, BindErrorKind::InUse { .. }),
        // The endpoint above has the address.
        source: Box::new(error.kind),
    }
}
