//! `tidegate apikey`: the database of keys that `api_keys.file` names, also while a server has it.

use std::error::Error;
use std::io::{self, BufRead as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueHint};
use tidegate::AddressRange;
use tidegate::api_keys::{
    ApiKey, ApiKeyId, ApiKeySettings, ApiKeyState, ApiKeys, Export, Issued, NewApiKey,
};

use crate::console::{fail, print, say};

/// Issues, lists, revokes and moves API keys.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The database; `issue`, `adopt` and `import` make it where it is missing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Issues a key and prints it: this once
    Issue(New),
    /// Takes in a key that was issued elsewhere: the first line of the standard input
    Adopt(New),
    /// Lists keys: name, state, beginning, owner, scopes, uses
    List {
        /// Only those of this owner
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        /// Only those that are to be rotated by now
        #[arg(long)]
        due: bool,
    },
    /// Revokes a key, for good
    Revoke {
        #[arg(value_name = "KEY")]
        id: ApiKeyId,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Issues a key in the place of another and prints it
    Rotate {
        #[arg(value_name = "KEY")]
        id: ApiKeyId,
        /// How many hours the old one still works
        #[arg(long, value_name = "N", default_value_t = 24)]
        grace_hours: u32,
    },
    /// Moves a key's end
    Renew {
        #[arg(value_name = "KEY")]
        id: ApiKeyId,
        /// In how many days it ends; without it, never
        #[arg(long, value_name = "N")]
        days: Option<u32>,
    },
    /// Gives a key scopes
    Grant {
        #[arg(value_name = "KEY")]
        id: ApiKeyId,
        #[arg(value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
    },
    /// Takes scopes from a key
    Withdraw {
        #[arg(value_name = "KEY")]
        id: ApiKeyId,
        #[arg(value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
    },
    /// Removes keys that ended or were revoked long ago
    Purge {
        /// How many days ago
        #[arg(long, value_name = "N", default_value_t = 30)]
        days: u32,
    },
    /// Prints all keys' hashes and what is known of them, as JSON
    Export,
    /// Takes in what `export` has printed, from the standard input
    Import,
    /// Prints what was done, the newest first
    Audit {
        /// How much of it
        #[arg(long, value_name = "N", default_value_t = 100)]
        last: usize,
    },
}

/// What a key is to be.
#[derive(Args, Debug)]
struct New {
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    owner: String,

    /// What it may be used for; * is all
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,

    /// From which addresses, such as 192.0.2.0/24; without one, from everywhere
    #[arg(long = "from", value_name = "RANGE")]
    addresses: Vec<AddressRange>,

    /// In how many days it ends; without it, never
    #[arg(long, value_name = "N")]
    days: Option<u32>,

    /// After how many days it is to be rotated
    #[arg(long, value_name = "N")]
    rotate_days: Option<u32>,

    /// What people should know of it
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    match options.run(SystemTime::now()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

impl Options {
    fn run(&self, now: SystemTime) -> Result<(), Box<dyn Error>> {
        let makes = matches!(
            self.command,
            Command::Issue(_) | Command::Adopt(_) | Command::Import
        );
        if !makes && !self.file.exists() {
            return Err(format!("there is no {}", self.file.display()).into());
        }
        let keys = ApiKeys::open(ApiKeySettings::new(&self.file), now)?;
        match &self.command {
            Command::Issue(new) => tell(&keys.issue(new.key(now), now)?),
            Command::Adopt(new) => {
                let mut line = String::new();
                io::stdin().lock().read_line(&mut line)?;
                let adopted = keys.adopt(line.trim_end(), new.key(now), now)?;
                say(format_args!("key {} is taken in", adopted.id));
            }
            Command::List { owner, due } => {
                let list = match due {
                    true => keys.due(now),
                    false => keys.list(owner.as_deref(), now),
                };
                let is_asked =
                    |key: &&ApiKey| owner.as_ref().is_none_or(|owner| key.owner == *owner);
                list.iter().filter(is_asked).for_each(list_key);
            }
            Command::Revoke { id, reason } => match keys.revoke(*id, reason, now)? {
                true => say(format_args!("key {id} is revoked")),
                false => say(format_args!("key {id} was revoked before")),
            },
            Command::Rotate { id, grace_hours } => {
                let grace = Duration::from_secs(u64::from(*grace_hours) * 3600);
                tell(&keys.rotate(*id, grace, now)?);
            }
            Command::Renew { id, days } => {
                keys.renew(*id, days.map(|days| now + of_days(days)), now)?
            }
            Command::Grant { id, scopes } => keys.grant_scopes(*id, scopes, now)?,
            Command::Withdraw { id, scopes } => keys.withdraw_scopes(*id, scopes, now)?,
            Command::Purge { days } => {
                let count = keys.purge_expired(of_days(*days), now)?;
                say(format_args!("{count} removed"));
            }
            Command::Export => print(keys.export()?.to_json()),
            Command::Import => {
                let mut text = String::new();
                io::stdin().lock().read_to_string(&mut text)?;
                let report = keys.import(&Export::from_json(&text)?, now)?;
                say(format_args!(
                    "{} added, {} known",
                    report.added, report.known
                ));
            }
            Command::Audit { last } => {
                for entry in keys.audit(*last)? {
                    let time = httpdate::fmt_http_date(entry.time());
                    let (action, key, owner) = (entry.action, &entry.key, &entry.owner);
                    print(format_args!(
                        "{time}  {action}  {key}  {owner}  {}",
                        entry.detail
                    ));
                }
            }
        }
        Ok(())
    }
}

impl New {
    fn key(&self, now: SystemTime) -> NewApiKey {
        NewApiKey {
            owner: self.owner.clone(),
            scopes: self.scopes.clone(),
            addresses: self.addresses.clone(),
            expires: self.days.map(|days| now + of_days(days)),
            rotate_after: self.rotate_days.map(of_days),
            rate: None,
            note: self.note.clone(),
        }
    }
}

/// The key alone on the output, for what reads it.
fn tell(issued: &Issued) {
    say(format_args!("key {}; it cannot be shown again:", issued.id));
    print(&issued.key);
}

fn list_key(key: &ApiKey) {
    let state = match key.state {
        ApiKeyState::Active => "active",
        ApiKeyState::Revoked => "revoked",
        _ => "expired",
    };
    let scopes = key.scopes.join(",");
    print(format_args!(
        "{}  {state:7}  {}…  {}  [{scopes}]  {} uses",
        key.id, key.hint, key.owner, key.uses
    ));
}

fn of_days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}
