//! `tidegate firewall`: bans by hand, in the file that a server keeps them in.
//!
//! The server takes them from there while it runs.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueHint};
use tidegate::{Ban, BanList, FirewallSettings};

use crate::console::{print, say};
use crate::settings_file;

/// Bans addresses, lets them in again, and lists who is banned.
///
/// A server that runs takes changes within a second or two.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Settings file of the server (TOML), whose `firewall.bans.file` is used
    #[arg(long, value_name = "SITE.toml", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present = "bans", conflicts_with = "bans")]
    settings: Option<PathBuf>,

    /// The file that bans are kept in
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    bans: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bans an address; an IPv6 address with its network
    Ban {
        /// The address
        address: IpAddr,

        /// For how many seconds; without it, until it is taken back
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Lets an address in again
    Unban {
        /// The address
        address: IpAddr,
    },
    /// Lists all bans: address, seconds left, how many it has been, why
    List,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    match act(options) {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("error: {error}"));
            let mut cause = error.source();
            while let Some(error) = cause {
                say(format_args!("  because: {error}"));
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn act(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let settings = match (&options.settings, &options.bans) {
        (Some(path), _) => settings_file::read(path)?.firewall,
        (None, bans) => {
            let mut settings = FirewallSettings::default();
            settings.bans.file.clone_from(bans);
            settings
        }
    };
    let mut bans = BanList::open(&settings)?;
    match options.command {
        Command::Ban { address, seconds } => {
            match bans.ban(address, seconds.map(Duration::from_secs))? {
                Some(ban) => print(Line(ban)),
                None => {
                    say("error: there is no room left beside bans without an end; unban some");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        Command::Unban { address } => {
            if !bans.unban(address)? {
                say(format_args!("error: {address} is not banned"));
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::List => {
            for ban in bans.list() {
                print(Line(ban));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A ban in a line of its own.
struct Line(Ban);

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ban {
            address,
            until,
            level,
            reason,
            ..
        } = self.0;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let left = match until {
            Some(until) => until.saturating_sub(now.as_secs()).to_string(),
            None => "forever".to_owned(),
        };
        write!(formatter, "{address}\t{left}\t{level}\t{}", reason.name())
    }
}
