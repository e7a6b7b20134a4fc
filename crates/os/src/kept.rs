//! Listening sockets that outlive who listens on them: handed over by a service manager, or stored there.
//!
//! Holds only which there are and whose they are; who listens asks here first and binds what is not here.
//! What is said to the service manager, and how descriptors come to a process, is `platform`'s matter.
//! Source: `sd_listen_fds(3)`, `sd_notify(3)`, `sd_pid_notify_with_fds(3)` of systemd.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::SystemError;
use crate::platform::Notifier;
use crate::socket::{ListenAddress, Listener};

/// Listening sockets that outlive a server. Clones are the same.
///
/// Some were handed to this process by its service manager, which keeps them (socket activation); others
/// were opened here and stored with the service manager, for the process that comes after this one. The
/// default holds none and stores none.
#[derive(Clone, Debug, Default)]
pub struct KeptListeners(Option<Arc<Kept>>);

#[derive(Debug)]
struct Kept {
    /// Held to look and to change only.
    sockets: Mutex<Vec<KeptSocket>>,
    /// Takes what is opened here.
    store: Option<Notifier>,
}

#[derive(Debug)]
struct KeptSocket {
    name: String,
    listener: Listener,
    /// The service manager has it from us, or from one before us, and gives it up when we say so.
    is_stored: bool,
}

impl KeptListeners {
    /// Sockets that were handed over, each with its name, and where to store others.
    pub(crate) fn new(inherited: Vec<(String, Listener)>, store: Option<Notifier>) -> Self {
        if inherited.is_empty() && store.is_none() {
            return Self(None);
        }
        let sockets = inherited
            .into_iter()
            .map(|(name, listener)| KeptSocket {
                is_stored: name == store_name(listener.local_address()),
                name,
                listener,
            })
            .collect();
        Self(Some(Arc::new(Kept {
            sockets: Mutex::new(sockets),
            store,
        })))
    }

    /// Whether there are any, or could be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            None => true,
            Some(kept) => kept.store.is_none() && kept.sockets().is_empty(),
        }
    }

    /// The sockets at an address: all of them have to be accepted from, since the system hands connections
    /// to each.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn find(&self, address: &ListenAddress) -> Result<Vec<Listener>, SystemError> {
        let Some(kept) = &self.0 else {
            return Ok(Vec::new());
        };
        let sockets = kept.sockets();
        let at = sockets
            .iter()
            .filter(|socket| socket.listener.local_address() == address);
        at.map(|socket| socket.listener.try_clone()).collect()
    }

    /// Stores sockets that were opened here with the service manager, if it takes any. It then looks after
    /// the file of a Unix domain socket as well.
    ///
    /// # Errors
    ///
    /// The service manager cannot be told, or out of descriptors.
    pub fn keep<'a>(
        &self,
        listeners: impl IntoIterator<Item = &'a Listener>,
    ) -> Result<(), SystemError> {
        let Some(kept) = &self.0 else {
            return Ok(());
        };
        let listeners: Vec<&Listener> = listeners.into_iter().collect();
        let (Some(store), Some(first)) = (&kept.store, listeners.first()) else {
            return Ok(());
        };
        let name = store_name(first.local_address());
        // Clones of one socket are stored once.
        let listeners = match first.local_address() {
            ListenAddress::Tcp(_) if crate::REUSE_PORT_BALANCES => &listeners[..],
            _ => &listeners[..1],
        };
        store.store(&name, listeners)?;
        let mut sockets = kept.sockets();
        for listener in listeners {
            listener.leave_file();
            sockets.push(KeptSocket {
                name: name.clone(),
                listener: listener.try_clone()?,
                is_stored: true,
            });
        }
        Ok(())
    }

    /// Nobody needs the sockets at this address any more: those that were stored are given up. Those that the
    /// service manager keeps by itself stay, for a server that needs them again.
    pub fn give_up(&self, address: &ListenAddress) {
        let Some(kept) = &self.0 else {
            return;
        };
        let mut sockets = kept.sockets();
        let is_meant =
            |socket: &KeptSocket| socket.is_stored && socket.listener.local_address() == address;
        let Some(first) = sockets.iter().find(|socket| is_meant(socket)) else {
            return;
        };
        if let Some(store) = &kept.store {
            // The service manager gone: then nobody keeps it.
            let _ = store.forget(&first.name);
        }
        first.listener.take_file();
        sockets.retain(|socket| !is_meant(socket));
    }

    /// Who is not among `used`, of those that were handed over: its name and address. What one before us has
    /// stored, and nobody uses now, is given up instead.
    #[must_use]
    pub fn unused(&self, used: &[ListenAddress]) -> Vec<(String, ListenAddress)> {
        let Some(kept) = &self.0 else {
            return Vec::new();
        };
        let (mut of_manager, mut stored) = (Vec::new(), Vec::new());
        for socket in &*kept.sockets() {
            let address = socket.listener.local_address();
            match used.contains(address) {
                true => {}
                false if socket.is_stored => stored.push(address.clone()),
                false => of_manager.push((socket.name.clone(), address.clone())),
            }
        }
        stored.iter().for_each(|address| self.give_up(address));
        of_manager.dedup();
        of_manager
    }
}

impl Kept {
    fn sockets(&self) -> MutexGuard<'_, Vec<KeptSocket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What sockets at an address are called in the service manager's store. A name there has no colon and no
/// control characters, is ASCII, and has 255 bytes at most.
fn store_name(address: &ListenAddress) -> String {
    let mut name = "tidegate.".to_owned();
    for byte in address.to_string().bytes() {
        match byte {
            b':' => name.push('_'),
            b'%' | b'_' | 0..=0x20 | 0x7F.. => name.push_str(&format!("%{byte:02X}")),
            byte => name.push(char::from(byte)),
        }
        if name.len() > 250 {
            break;
        }
    }
    name
}

/// Why what the service manager handed over cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandoverError {
    /// A variable that says what was handed over is none of ours to read.
    Variable {
        /// Its name.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// A descriptor is no stream socket that listens, at an address of the internet or a file.
    NotAListener {
        /// Its name.
        name: String,
    },
    /// A socket takes connections by IPv6 and IPv4, whose addresses could not be told apart.
    TwoFamilies {
        /// Its name.
        name: String,
        /// Its address.
        address: ListenAddress,
    },
    /// The system refused a call.
    System(SystemError),
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable { name, value } => {
                write!(
                    f,
                    "the environment variable {name} is `{value}`, which says nothing"
                )
            }
            Self::NotAListener { name } => write!(
                f,
                "the socket `{name}` that was handed over does not listen for stream connections; in a \
                 systemd socket unit, use ListenStream= with Accept=no"
            ),
            Self::TwoFamilies { name, address } => write!(
                f,
                "the socket `{name}` at {address} that was handed over takes IPv4 connections too; in a \
                 systemd socket unit, say BindIPv6Only=ipv6-only, and ListenStream= for each family"
            ),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl Error for HandoverError {}

impl From<SystemError> for HandoverError {
    fn from(error: SystemError) -> Self {
        Self::System(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_store_are_what_they_may_be() {
        let tcp = ListenAddress::Tcp("[::1]:80".parse().unwrap());
        assert_eq!(store_name(&tcp), "tidegate.[__1]_80");
        let unix = ListenAddress::Unix("/run/a_b é.sock".into());
        assert_eq!(store_name(&unix), "tidegate.unix_/run/a%5Fb%20%C3%A9.sock");
    }
}
