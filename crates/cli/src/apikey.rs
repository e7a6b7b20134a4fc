//! `tidegate apikey`: the database of keys that `api_keys.file` names, also while a server has it.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueHint};
use tidegate::api_keys::{
    ApiKey, ApiKeyId, ApiKeyState, ApiKeys, Export, FileStorage, Issued, NewApiKey,
};
use tidegate::{AddressRange, ApiKeyStorage};

use crate::console::{fail, print, say};
use crate::settings_file;

/// Issues, lists, revokes and moves API keys.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The database, instead of the settings'; `issue`, `adopt` and `import` make it where it is missing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// A settings file, for what its `api_keys` say: where keys are, what they look like, how they are kept
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    settings: Option<PathBuf>,

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
    /// Issues a key in the place of another and prints it; or in the place of each that is due, into files
    Rotate {
        #[arg(value_name = "KEY", required_unless_present = "due_into")]
        id: Option<ApiKeyId>,
        /// A folder: each key that is due gets a file OWNER-KEY there with the new one, for who runs it to pick up
        #[arg(long, value_name = "FOLDER", conflicts_with = "id", value_hint = ValueHint::DirPath)]
        due_into: Option<PathBuf>,
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
    /// Prints how many keys there are, in which state, and how often they were used and refused
    Statistics,
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

    /// In how many days it ends; without it, as the settings say, or never
    #[arg(long, value_name = "N")]
    days: Option<u32>,

    /// How many requests a rate limiter allows it in its time, instead of a rule for keys
    #[arg(long, value_name = "N")]
    rate: Option<u32>,

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
        let settings = match &self.settings {
            Some(file) => settings_file::read(file)?.api_keys,
            None => tidegate::ApiKeySettings::default(),
        };
        let of_settings = settings
            .file
            .as_ref()
            .filter(|_| settings.storage == ApiKeyStorage::File);
        let Some(file) = self.file.as_ref().or(of_settings) else {
            return Err(
                "name the database with --file, or a settings file whose `api_keys.file` does"
                    .into(),
            );
        };
        if !makes && !file.exists() {
            return Err(format!("there is no {}", file.display()).into());
        }
        let keys = ApiKeys::open(settings.store(Arc::new(FileStorage::new(file)))?, now)?;
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
            Command::Rotate {
                id,
                due_into,
                grace_hours,
            } => {
                let grace = Duration::from_secs(u64::from(*grace_hours) * 3600);
                if let Some(id) = id {
                    tell(&keys.rotate(*id, grace, now)?);
                } else if let Some(folder) = due_into {
                    rotate_due(&keys, folder, grace, now)?;
                }
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
            Command::Statistics => {
                let statistics = keys.statistics(now);
                let list = keys.list(None, now);
                let sum = |count: fn(&ApiKey) -> u64| list.iter().map(count).sum::<u64>();
                for (what, count) in [
                    ("keys", statistics.total as u64),
                    ("active", statistics.active as u64),
                    ("revoked", statistics.revoked as u64),
                    ("expired", statistics.expired as u64),
                    ("due", keys.due(now).len() as u64),
                    ("validations", sum(|key| key.uses)),
                    ("failures of known keys", sum(|key| key.failures)),
                ] {
                    print(format_args!("{count:>12}  {what}"));
                }
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
            rate: self.rate,
            note: self.note.clone(),
        }
    }
}

/// Replaces all keys that are due. What is in a file is on the disk before the old key begins to end.
fn rotate_due(
    keys: &ApiKeys,
    folder: &Path,
    grace: Duration,
    now: SystemTime,
) -> Result<(), Box<dyn Error>> {
    let mut failure = None;
    let report = keys.rotate_due(grace, now, |due, new| {
        let written = write_key(folder, due, new);
        match written {
            Ok(path) => {
                say(format_args!(
                    "key {} in the place of {}: {}",
                    new.id,
                    due.id,
                    path.display()
                ));
                true
            }
            Err(error) => {
                failure.get_or_insert(error);
                false
            }
        }
    })?;
    say(format_args!("{} rotated", report.rotated.len()));
    match failure {
        None => Ok(()),
        Some(error) => Err(format!(
            "{} of the keys that are due stay as they were: {}: {error}",
            report.not_taken.len(),
            folder.display()
        )
        .into()),
    }
}

/// A new file each time, for its owner alone.
fn write_key(folder: &Path, due: &ApiKey, new: &Issued) -> io::Result<PathBuf> {
    // An owner is any text.
    let owner: String = due
        .owner
        .chars()
        .map(|character| match character.is_ascii_alphanumeric() {
            true => character,
            false => '_',
        })
        .take(64)
        .collect();
    let path = folder.join(format!("{owner}-{}", new.id));
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path)?;
    writeln!(file, "{}", new.key)?;
    file.sync_all()?;
    // The name is on the disk when the folder is. Windows opens no folder as a file.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(path)
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
