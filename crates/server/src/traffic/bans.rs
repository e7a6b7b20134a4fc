//! Bans by hand: what an application asks of its server's firewall.

use std::net::IpAddr;
use std::time::Duration;

use tidegate_admission::ban::Ban;

use crate::error::Error;
use crate::server::Server;

impl Server {
    /// Bans an address until further notice, or for a time; an IPv6 address with its network. A ban that it has is
    /// replaced.
    ///
    /// It holds for new connections, and for the requests and messages of those there are. `None` when there is no
    /// room left beside bans without an end, or no firewall is switched on.
    ///
    /// # Errors
    ///
    /// The server is not started.
    pub fn ban(&self, address: IpAddr, duration: Option<Duration>) -> Result<Option<Ban>, Error> {
        let doors = self.doors()?;
        let firewall = doors.as_deref().and_then(|doors| doors.firewall());
        Ok(firewall.and_then(|firewall| firewall.ban(address, duration)))
    }

    /// Lets an address in again. Says whether it was banned.
    ///
    /// # Errors
    ///
    /// The server is not started.
    pub fn unban(&self, address: IpAddr) -> Result<bool, Error> {
        let doors = self.doors()?;
        let firewall = doors.as_deref().and_then(|doors| doors.firewall());
        Ok(firewall.is_some_and(|firewall| firewall.unban(address)))
    }

    /// All bans that are on, those without an end first; none while the server is not started.
    pub fn bans(&self) -> Vec<Ban> {
        let doors = self.doors().ok().flatten();
        let firewall = doors.as_deref().and_then(|doors| doors.firewall());
        firewall.map_or_else(Vec::new, |firewall| firewall.list())
    }
}
