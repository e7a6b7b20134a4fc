//! The bans of a server from outside of it, by the file that they are kept in.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_admission::ban::file::BanFile;
use tidegate_admission::ban::{Ban, Bans};

use super::clock::Clock;
use super::error::TrafficError;
use super::firewall::random_seed;
use super::firewall_settings::FirewallSettings;

/// The bans in a server's file, to be read and changed by another process.
///
/// A server that runs takes changes within a second or two; one that does not, when it starts.
///
/// ```no_run
/// use tidegate::{BanList, FirewallSettings};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut settings = FirewallSettings::default();
/// settings.bans.file = Some("/var/lib/tidegate/bans".into());
/// let mut bans = BanList::open(&settings)?;
/// bans.ban("192.0.2.7".parse()?, None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BanList {
    clock: Clock,
    bans: Bans,
    file: BanFile,
}

impl BanList {
    /// Opens the file that the settings name, or makes it.
    ///
    /// # Errors
    ///
    /// They name none, or it cannot be used.
    pub fn open(settings: &FirewallSettings) -> Result<Self, TrafficError> {
        let Some(path) = &settings.bans.file else {
            return Err(TrafficError::Setting {
                key: "firewall.bans.file",
                wanted: "is not set: without a file, bans are known to the server alone",
            });
        };
        let (file, read) =
            BanFile::open(path).map_err(|error| TrafficError::Bans(Arc::new(error)))?;
        let clock = Clock::start();
        let bans = Bans::new(settings.ban_rules(), random_seed());
        for change in read.changes {
            bans.apply(change, clock.now());
        }
        Ok(Self { clock, bans, file })
    }

    /// Bans an address until further notice, or for a time; an IPv6 address with its network. `None` when there is no
    /// room left beside bans without an end.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn ban(&mut self, address: IpAddr, duration: Option<Duration>) -> io::Result<Option<Ban>> {
        let ban = self.bans.ban(address, duration, self.clock.now());
        self.write()?;
        Ok(ban)
    }

    /// Lets an address in again. Says whether it was known to be banned.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn unban(&mut self, address: IpAddr) -> io::Result<bool> {
        let was_banned = self.bans.unban(address);
        self.write()?;
        Ok(was_banned)
    }

    /// All bans that are on, those without an end first, then the longest.
    pub fn list(&self) -> Vec<Ban> {
        self.bans.list(self.clock.now())
    }

    fn write(&mut self) -> io::Result<()> {
        let changes = self.bans.take_changes();
        for change in self.file.exchange(&changes)?.changes {
            self.bans.apply(change, self.clock.now());
        }
        for change in changes {
            self.bans.apply(change, self.clock.now());
        }
        Ok(())
    }
}
