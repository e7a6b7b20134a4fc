//! Opening and closing listeners as the namespace needs them. One for each worker at each address.
//!
//! What is kept for us (`KeptListeners`) is used instead of opened, as many sockets as there are: the system
//! hands connections to each of them, so each has a worker.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tidegate_engine::{ListenAt, ListenNeed, PortKey};
use tidegate_httpapi::{ApiError, Endpoint};
use tidegate_os::{
    BindError, BindErrorKind, KeptListeners, ListenAddress, ListenOptions, Listener,
    REUSE_PORT_BALANCES, SystemError,
};

use crate::mailbox::{ListenerId, Mailbox, Message};

/// The addresses listened on.
#[derive(Default)]
pub(crate) struct Listeners {
    open: HashMap<ListenAddress, Open>,
    next: u32,
    kept: KeptListeners,
    /// What workers are told when they may accept, and which.
    waiting: Vec<(usize, ListenerId, Message)>,
    /// Nobody has said yet that they may accept from what was kept for us.
    is_kept_held: bool,
    /// How many are still adding URLs.
    holds: u32,
}

struct Open {
    id: ListenerId,
    port: PortKey,
    /// Each worker's own listener once more, should the worker be unable to end it.
    stoppers: Vec<Assigned>,
}

/// What was bound, before anybody accepts from it.
struct Bound {
    address: ListenAddress,
    port: PortKey,
    listeners: Vec<Assigned>,
    /// It was opened here, and not kept for us.
    is_new: bool,
}

/// A listener, and the worker that accepts from it.
type Assigned = (usize, Listener);

impl Listeners {
    pub(crate) fn new(kept: KeptListeners) -> Self {
        Self {
            // Clients wait there already, for URLs that are still to be added.
            is_kept_held: !kept.is_empty(),
            kept,
            ..Self::default()
        }
    }

    /// Has workers accept from no further listener until this is [released](Self::release).
    pub(crate) fn hold(&mut self) {
        self.holds += 1;
    }

    /// Has workers accept from now on, unless others hold them still.
    pub(crate) fn release(&mut self, workers: &[Arc<Mailbox>]) {
        self.is_kept_held = false;
        self.holds = self.holds.saturating_sub(1);
        self.begin(workers);
    }

    /// Has workers accept where they may and do not.
    pub(crate) fn begin(&mut self, workers: &[Arc<Mailbox>]) {
        if self.is_kept_held || self.holds > 0 {
            return;
        }
        for (worker, _, message) in self.waiting.drain(..) {
            workers[worker].post(message);
        }
    }

    /// Opens what is needed and not open. When something cannot be opened, nothing is. Nobody accepts before it
    /// is [begun](Self::begin).
    pub(crate) fn open(
        &mut self,
        needs: &[ListenNeed],
        workers: usize,
        backlog: u32,
    ) -> Result<(), ApiError> {
        let mut bound = Vec::new();
        for need in needs {
            self.bind(need, workers, backlog, &mut bound)?;
        }
        for Bound {
            address,
            port,
            listeners,
            is_new,
        } in bound
        {
            let id = ListenerId(self.next);
            self.next += 1;
            tracing::info!(%address, "listening");
            if is_new {
                self.keep(&address, &listeners);
            }
            let stoppers = self.stoppers(&listeners);
            for (worker, listener) in listeners {
                let listen = Message::Listen {
                    id,
                    port,
                    local: specified_ip(&address),
                    listener,
                };
                self.waiting.push((worker, id, listen));
            }
            self.open.insert(address, Open { id, port, stoppers });
        }
        Ok(())
    }

    /// Closes what is open and not needed.
    ///
    /// What an endpoint of any address covers stays open beside it: closing it could lose connections
    /// that have just arrived there.
    pub(crate) fn close_unneeded(&mut self, needs: &[ListenNeed], workers: &[Arc<Mailbox>]) {
        let needed: Vec<ListenAddress> = needs.iter().flat_map(addresses).collect();
        let (kept, waiting) = (&self.kept, &mut self.waiting);
        let any_on = |port| {
            needs
                .iter()
                .any(|need| need.port == port && need.at == ListenAt::Any)
        };
        self.open.retain(|address, open| {
            let keep = needed.contains(address) || any_on(open.port);
            if !keep {
                tracing::info!(%address, "no longer listening");
                waiting.retain(|(_, id, _)| *id != open.id);
                for mailbox in workers {
                    mailbox.post(Message::StopListening(open.id));
                }
                kept.give_up(address);
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
        bound: &mut Vec<Bound>,
    ) -> Result<(), ApiError> {
        let mut missing = None;
        let mut have = 0;
        for address in addresses(need) {
            let is_bound = bound.iter().any(|other| other.address == address);
            if is_bound || self.open.contains_key(&address) {
                have += 1;
                continue;
            }
            let is_ours = self.open.values().any(|open| open.port == need.port)
                || bound.iter().any(|bound| bound.port == need.port);
            let kept = self.kept.find(&address).map_err(|error| {
                listen_error(BindError {
                    address: address.clone(),
                    kind: BindErrorKind::System(error),
                })
            })?;
            let is_new = kept.is_empty();
            let listeners = match is_new {
                true => bind_for_all(&address, count, backlog, is_ours)
                    .map(|listeners| listeners.into_iter().enumerate().collect()),
                false => shared_out(kept, count).map_err(|error| BindError {
                    address: address.clone(),
                    kind: BindErrorKind::System(error),
                }),
            };
            match listeners {
                Ok(listeners) => {
                    bound.push(Bound {
                        address,
                        port: need.port,
                        listeners,
                        is_new,
                    });
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

    fn keep(&self, address: &ListenAddress, listeners: &[Assigned]) {
        if self.kept.is_empty() {
            return;
        }
        let listeners = listeners.iter().map(|(_, listener)| listener);
        if let Err(error) = self.kept.keep(listeners) {
            tracing::error!(%address, %error, "a socket cannot be stored; it will end with this process");
        }
    }

    /// Sockets that are kept go on without us. Where workers share one, it cannot end for one of them alone.
    fn stoppers(&self, listeners: &[Assigned]) -> Vec<Assigned> {
        if !self.kept.is_empty() || !REUSE_PORT_BALANCES {
            return Vec::new();
        }
        let own = listeners.iter().filter_map(|(worker, listener)| {
            matches!(listener.local_address(), ListenAddress::Tcp(_))
                .then(|| Some((*worker, listener.try_clone().ok()?)))?
        });
        own.collect()
    }

    /// Has the system hand no more connections to listeners of this worker, which does not end them itself.
    pub(crate) fn stop_for(&self, worker: usize) {
        let all = self.open.values().flat_map(|open| &open.stoppers);
        for (_, listener) in all.filter(|(of, _)| *of == worker) {
            listener.refuse_connections();
        }
    }
}

/// Shares sockets out among workers: each socket has at least one, and each worker has.
fn shared_out(sockets: Vec<Listener>, workers: usize) -> Result<Vec<Assigned>, SystemError> {
    let mut assigned = Vec::with_capacity(sockets.len().max(workers));
    for worker in sockets.len()..workers {
        assigned.push((worker, sockets[worker % sockets.len()].try_clone()?));
    }
    let own = sockets.into_iter().enumerate();
    assigned.extend(own.map(|(index, socket)| (index % workers, socket)));
    Ok(assigned)
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
