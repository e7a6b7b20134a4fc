//! What holds for the whole service: reservations with their lists, where to listen, timers.
//!
//! Source: the service configuration of the HTTP Server API; http-server-api §1, §3, §6 and §10.

use std::net::IpAddr;

use tidegate_httpapi::{ApiError, Caller, InheritedTimeouts, Reservation as Listed, Timeouts};

use super::{Control, check_timeouts};
use crate::listen::ListenChange;
use crate::namespace::{EntryKey, Owner, Reservation};

impl<Q> Control<Q> {
    /// Puts reservations in the place of those that were set before; those reserved one by one stay. `caller` is
    /// who registers from now on; `None`: nobody is asked.
    ///
    /// # Errors
    ///
    /// One is reserved already, or its port carries the other scheme; all is as it was then.
    pub fn set_reservations(
        &mut self,
        reservations: &[Listed],
        caller: Option<Caller>,
    ) -> Result<(), ApiError> {
        let before = self.take_listed();
        let listed = reservations.iter().map(|listed| Reservation {
            prefix: listed.prefix.clone(),
            owner: Owner::Listed(listed.list.clone()),
        });
        if let Err(error) = self.reserve_all(listed) {
            self.take_listed();
            // They stood beside each other before.
            let _ = self.reserve_all(before.into_iter());
            return Err(error);
        }
        self.caller = caller;
        Ok(())
    }

    fn reserve_all(
        &mut self,
        reservations: impl Iterator<Item = Reservation>,
    ) -> Result<(), ApiError> {
        for reservation in reservations {
            let key = EntryKey::of(&reservation.prefix);
            self.namespace.reserve(&key, reservation)?;
            self.stale_ports.insert(key.port);
        }
        Ok(())
    }

    /// Takes out what was set with a list.
    fn take_listed(&mut self) -> Vec<Reservation> {
        let reservations = self.namespace.reservations();
        let listed =
            reservations.filter(|reservation| matches!(reservation.owner, Owner::Listed(_)));
        let listed: Vec<_> = listed.cloned().collect();
        for reservation in &listed {
            let key = EntryKey::of(&reservation.prefix);
            self.namespace.delete_reservation(&key);
            self.stale_ports.insert(key.port);
        }
        listed
    }

    /// Has prefixes without an address of their own listen on these only; none: on all there are. When what the
    /// change says cannot be had, put back what this returns beside it.
    pub fn set_listen_addresses(&mut self, addresses: Vec<IpAddr>) -> (Vec<IpAddr>, ListenChange) {
        let before = self.namespace.all_endpoints();
        let replaced = self.namespace.set_listen_addresses(addresses);
        let after = self.namespace.all_endpoints();
        (replaced, ListenChange::between(&before, &after))
    }

    /// Sets the timers of sessions that set none.
    ///
    /// # Errors
    ///
    /// One is out of its range.
    pub fn set_machine_timeouts(&mut self, timeouts: Timeouts) -> Result<(), ApiError> {
        check_timeouts(&InheritedTimeouts {
            idle_connection: Some(timeouts.idle_connection),
            header_wait: Some(timeouts.header_wait),
            entity_body: Some(timeouts.entity_body),
            drain_entity_body: Some(timeouts.drain_entity_body),
            request_queue: Some(timeouts.request_queue),
            min_send_rate: Some(timeouts.min_send_rate),
        })?;
        self.machine_timeouts = timeouts;
        for group in self.groups.values_mut() {
            group.touch(&mut self.stale_ports);
        }
        Ok(())
    }
}
