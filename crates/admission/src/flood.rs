//! How many connections and messages one address may make.
//!
//! Unlike the allowances of [`rate`](crate::rate), these are not for callers to plan with: nobody is told what is
//! left. Source: the component's Firewall, RateLimit and FloodProtection.

use std::net::IpAddr;
use std::time::Duration;

use crate::rate::Limit;
use crate::table::{Key, Nanoseconds, Network, Table};

/// What becomes of what is too much.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FloodAction {
    /// It is refused: the connection closes.
    #[default]
    Deny,
    /// It is let through.
    Allow,
    /// It is let through, and told of.
    Log,
}

/// How much one address may do. `None` is unlimited.
#[derive(Clone, Debug, PartialEq)]
pub struct FloodLimits {
    /// Connections. Default 10 in 60 s. Source: the component.
    pub connections: Option<Limit>,
    /// Messages on all its WebSocket connections together. Default 100 in a second. Source: the component.
    pub messages: Option<Limit>,
    /// What becomes of a message that is too much.
    pub action: FloodAction,
}

impl Default for FloodLimits {
    fn default() -> Self {
        Self {
            connections: Some(Limit::new(10, Duration::from_secs(60))),
            messages: Some(Limit::new(100, Duration::from_secs(1))),
            action: FloodAction::Deny,
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    /// A connection.
    Connection = 0x101,
    /// A message.
    Message = 0x102,
}

impl FloodLimits {
    /// Counts one of an address's; whether it is within the limit.
    #[inline]
    pub fn count(
        &self,
        table: &Table,
        counted: Counted,
        address: IpAddr,
        v6_bits: u8,
        now: Nanoseconds,
    ) -> bool {
        let limit = match counted {
            Counted::Connection => &self.connections,
            Counted::Message => &self.messages,
        };
        let Some(limit) = limit else {
            return true;
        };
        let network = Network::of(address, v6_bits).to_bytes();
        let key = Key::new(table.seed(), counted as u32, &[&network]);
        table.with([key], now, |[cell]| {
            let verdict = limit.ask(cell, now, 1);
            match verdict.allowed {
                true => limit.charge(cell, now, 1),
                false if !verdict.cools_down => limit.refuse(cell, now),
                false => {}
            }
            verdict.allowed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{SECOND, Seed};

    const START: Nanoseconds = 1_700_000_000 * SECOND;

    #[test]
    fn an_address_has_its_connections_and_apart_from_these_its_messages() {
        let (limits, table) = (FloodLimits::default(), Table::new(1_000, Seed([1, 2])));
        let count = |counted, address: &str, times: usize, now| {
            let address: IpAddr = address.parse().unwrap();
            (0..times)
                .filter(|_| limits.count(&table, counted, address, 64, now))
                .count()
        };
        assert_eq!(count(Counted::Connection, "192.0.2.1", 50, START), 10);
        assert_eq!(count(Counted::Message, "192.0.2.1", 500, START), 100);
        assert_eq!(count(Counted::Connection, "192.0.2.2", 50, START), 10);
        assert_eq!(
            count(Counted::Connection, "192.0.2.1", 50, START + 6 * SECOND),
            1
        );
        assert_eq!(count(Counted::Connection, "2001:db8::1", 8, START), 8);
        assert_eq!(count(Counted::Connection, "2001:db8::2", 8, START), 2);
    }

    #[test]
    fn what_is_unlimited_is_not_counted() {
        let limits = FloodLimits {
            connections: None,
            messages: None,
            ..FloodLimits::default()
        };
        let table = Table::new(1_000, Seed([1, 2]));
        for _ in 0..1_000 {
            assert!(limits.count(&table, Counted::Message, [192, 0, 2, 1].into(), 64, START));
        }
        assert!(table.is_empty());
    }
}
