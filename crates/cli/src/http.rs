//! `tidegate http`: the administration of the HTTP service, in the manner of `netsh http`.
//!
//! What is kept is the component's store ([`tidegate::HttpStore`]). Here are the commands; how they are read is in
//! `grammar`, what they print in `show` and `certificate`, which scripts scrape: labels are a contract.
//! What a command prints goes to the output, also that and why it failed, as there; what a person can do about it
//! goes to the error output. Source: `netsh http`; http-server-api §13.

mod certificate;
mod grammar;
mod help;
mod running;
mod script;
mod show;
mod state;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueHint};
use tidegate::{
    AccessControlList, Account, ApiError, Caller, ErrorCode, HttpConfiguration, HttpStore,
    Reservation, StoreError, UrlPrefix, UrlRights,
};

use self::grammar::{Action, Call, Line};
use self::running::Running;
use crate::console::{print, say};

/// Administers the HTTP service: URL reservations, certificates, addresses to listen on, timeouts.
///
/// The words are those of `netsh http`: `tidegate http add urlacl url=http://+:80/shop/ user=alice`. Parameters
/// are given by name or by position. `tidegate http help` lists the commands, `tidegate http add urlacl ?` says more
/// of one.
///
/// What is set is kept in the store and heeded by every `tidegate serve` that reads the same store, also by those
/// that run.
#[derive(Args, Debug)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Options {
    /// The store; without it TIDEGATE_STORE, else /var/lib/tidegate/http.toml for the superuser and the user's
    /// state folder for others
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    store: Option<PathBuf>,

    #[command(flatten)]
    running: Running,

    /// A command, such as `show urlacl`
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

/// Does what the command line asks for.
pub(crate) fn run(options: &Options) -> ExitCode {
    let path = options.store.clone().or_else(default_store);
    let Some(path) = path.filter(|path| path.as_os_str() != "none") else {
        say("error: there is no store: name a file with --store");
        return ExitCode::FAILURE;
    };
    let store = HttpStore::at(path);
    match grammar::read(&options.words) {
        Ok(Line::Help(topic)) => {
            print(help::text(topic));
            ExitCode::SUCCESS
        }
        Ok(Line::Exec(file)) => exec(&store, &options.running, &file),
        Ok(Line::Call(call)) => perform(&store, &options.running, &call),
        Err(error) => {
            print(ErrorCode::InvalidParameter);
            say(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The store of who names none: that of the environment, else the program's.
pub(crate) fn default_store() -> Option<PathBuf> {
    match std::env::var_os(STORE_VARIABLE) {
        Some(path) if !path.is_empty() => Some(path.into()),
        _ => HttpStore::default_path(),
    }
}

/// Names the store where no flag does.
pub(crate) const STORE_VARIABLE: &str = "TIDEGATE_STORE";

/// Does a script's commands, one after the other, up to the first that fails.
fn exec(store: &HttpStore, running: &Running, file: &str) -> ExitCode {
    let lines = match script::read(file) {
        Ok(lines) => lines,
        Err(error) => {
            print(ErrorCode::FileNotFound);
            say(format_args!("error: {file}: {error}"));
            return ExitCode::FAILURE;
        }
    };
    for (number, words) in lines {
        let done = match grammar::read(&words) {
            Ok(Line::Call(call)) => perform(store, running, &call),
            Ok(_) => continue,
            Err(error) => {
                print(ErrorCode::InvalidParameter);
                say(format_args!("error: {error}"));
                ExitCode::FAILURE
            }
        };
        if done != ExitCode::SUCCESS {
            say(format_args!("  in line {number} of {file}"));
            return done;
        }
    }
    ExitCode::SUCCESS
}

fn perform(store: &HttpStore, running: &Running, call: &Call) -> ExitCode {
    match answer(store, running, call) {
        Ok(text) => {
            // An empty line at the end, as there.
            print(format_args!("{}\n", text.trim_end_matches('\n')));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let code = failure.code;
            let number = code as u32;
            // What is asked for is shown under its heading, also when there is nothing.
            match call.command.heading {
                Some(heading) => print(format_args!("{}{code}\n", show::heading(heading))),
                None => print(format_args!(
                    "{}, Error: {number}\n{code}\n",
                    call.command.failure
                )),
            }
            say(format_args!("error: {}", failure.reason));
            ExitCode::FAILURE
        }
    }
}

/// Why a command was not done.
#[derive(Debug)]
struct Failure {
    code: ErrorCode,
    /// For a person, with the way out.
    reason: String,
}

impl Failure {
    fn new(code: ErrorCode, reason: impl fmt::Display) -> Self {
        Self {
            code,
            reason: reason.to_string(),
        }
    }

    /// What was given cannot be.
    fn parameter(reason: impl fmt::Display) -> Self {
        Self::new(ErrorCode::InvalidParameter, reason)
    }

    /// What was asked for is not done here.
    fn unsupported(reason: impl fmt::Display) -> Self {
        Self::new(ErrorCode::NotSupported, reason)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.code(), with_causes(&error))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::new(error.code(), with_causes(&error))
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// What a command prints when it was done.
fn answer(store: &HttpStore, running: &Running, call: &Call) -> Result<String, Failure> {
    match call.command.action {
        Action::AddUrlAcl => {
            let reservation = reservation(call)?;
            let caller = store.caller();
            store.change(|all| all.reserve(reservation, caller.as_ref()))?;
        }
        Action::DeleteUrlAcl => {
            let prefix = prefix(call.required("url")?)?;
            let caller = store.caller();
            store.change(|all| all.delete_reservation(&prefix, caller.as_ref()))?;
        }
        Action::ShowUrlAcl => {
            let wanted = call.value("url").map(prefix).transpose()?;
            return show::reservations(&store.read()?, wanted.as_ref());
        }
        Action::AddSslCert => {
            let certificate = certificate::read(call, None)?;
            change(store, |all| all.bind_certificate(certificate))?;
        }
        Action::UpdateSslCert => {
            let key = certificate::key(call)?;
            let kept = store.read()?;
            let mut kept = kept.certificates().iter();
            let kept = kept.find(|kept| kept.key == key);
            let kept = kept.ok_or(ApiError::NotBound { key })?;
            let certificate = certificate::read(call, Some(kept))?;
            change(store, |all| all.update_certificate(certificate))?;
        }
        Action::DeleteSslCert => {
            let key = certificate::key(call)?;
            change(store, |all| all.unbind_certificate(&key))?;
        }
        Action::ShowSslCert => return certificate::show(&store.read()?, call),
        Action::UpdateSslPropertyEx => {
            return Err(Failure::unsupported(
                "limits on HTTP/2 are not set for one certificate; set them for a server, in [http2] of its settings \
                 file",
            ));
        }
        Action::AddIpListen => {
            let address = address(call)?;
            change(store, |all| all.add_listen_address(address))?;
        }
        Action::DeleteIpListen => {
            let address = address(call)?;
            change(store, |all| all.delete_listen_address(address))?;
        }
        Action::ShowIpListen => return Ok(show::listen_addresses(&store.read()?)),
        Action::AddTimeout => {
            let (which, value) = call.choice("timeouttype", &TIMEOUTS)?;
            let seconds = seconds(&value)?;
            change(store, |all| set_timeout(all, which, Some(seconds)))?;
        }
        Action::DeleteTimeout => {
            let which = call.one_of("timeouttype", &TIMEOUTS)?;
            change(store, |all| set_timeout(all, which, None))?;
        }
        Action::ShowTimeout => return Ok(show::timeouts(&store.read()?)),
        Action::AddCacheParam => {
            let (which, value) = call.choice("type", &CACHE_PARAMETERS)?;
            if which == "cacherangechunksize" {
                return Err(Failure::unsupported(
                    "ranges are cut from whole responses here, and have no chunks of a size",
                ));
            }
            let bytes = number(&value, u32::MAX)?;
            change(store, |all| {
                all.set_cache_response_bytes_max(Some(bytes))
                    .map_err(ApiError::from)
            })?;
        }
        Action::ShowCacheParam => return Ok(show::cache_parameters(&store.read()?)),
        Action::AddSetting | Action::DeleteSetting => {
            call.one_of("settingtype", &["sslthrottle"])?;
            return Err(Failure::unsupported(
                "handshakes are not throttled here; limit connections with `max_connections` or the firewall of a \
                 server's settings",
            ));
        }
        Action::ShowSetting => return Ok(show::settings()),
        Action::Dump => return Ok(script::write(&store.read()?)),
        Action::Ask(question) => return running.answer(question, call),
    }
    Ok(call.command.success.to_owned())
}

/// Changes what only administrators may.
fn change(
    store: &HttpStore,
    change: impl FnOnce(&mut HttpConfiguration) -> Result<(), ApiError>,
) -> Result<(), Failure> {
    if let Some(caller) = store.caller()
        && !caller.is_administrator
    {
        return Err(not_administrator(store, &caller));
    }
    Ok(store.change(change)?)
}

fn not_administrator(store: &HttpStore, caller: &Caller) -> Failure {
    Failure::new(
        ErrorCode::AccessDenied,
        format_args!(
            "{caller} is no administrator of {}: that is the superuser, or who owns the file",
            store.path().display()
        ),
    )
}

fn prefix(url: &str) -> Result<UrlPrefix, Failure> {
    // Only here: programs have to write the scheme in lower case.
    let url = match url.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => url.to_owned(),
    };
    UrlPrefix::parse(&url).map_err(|error| ApiError::from(error).into())
}

fn reservation(call: &Call) -> Result<Reservation, Failure> {
    let prefix = prefix(call.required("url")?)?;
    let list = match (call.value("user"), call.value("sddl")) {
        (Some(user), None) => {
            let rights = UrlRights {
                listen: call.switch("listen", YES)?.unwrap_or(true),
                delegate: call.switch("delegate", YES)?.unwrap_or(false),
            };
            if rights == UrlRights::default() {
                return Err(Failure::parameter(
                    "with listen=no and delegate=no there is nothing to reserve",
                ));
            }
            AccessControlList::of(Account::parse(user).map_err(Failure::parameter)?, rights)
        }
        (None, Some(_)) if call.value("listen").or(call.value("delegate")).is_some() => {
            return Err(Failure::parameter("`sddl` says the rights itself"));
        }
        (None, Some(sddl)) => sddl.parse().map_err(Failure::parameter)?,
        _ => {
            return Err(Failure::parameter(
                "for whom it is to be reserved is said by one of `user` and `sddl`",
            ));
        }
    };
    Ok(Reservation { prefix, list })
}

fn address(call: &Call) -> Result<IpAddr, Failure> {
    let text = call.required("ipaddress")?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse();
    address.map_err(|_| Failure::parameter(format_args!("`{text}` is no IP address")))
}

fn set_timeout(
    all: &mut HttpConfiguration,
    which: &str,
    seconds: Option<u16>,
) -> Result<(), ApiError> {
    match which {
        "headerwaittimeout" => all.set_header_wait_timeout(seconds)?,
        _ => all.set_idle_connection_timeout(seconds)?,
    }
    Ok(())
}

fn seconds(text: &str) -> Result<u16, Failure> {
    let seconds = number(text, u16::MAX.into())?;
    // It was at most that.
    Ok(u16::try_from(seconds).unwrap_or(u16::MAX))
}

/// A number in decimal, or in hexadecimal after `0x`.
fn number(text: &str, max: u32) -> Result<u32, Failure> {
    let lower = text.to_ascii_lowercase();
    let parsed = match lower.strip_prefix("0x") {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        None if !lower.starts_with('+') => lower.parse().ok(),
        _ => None,
    };
    parsed
        .filter(|number| *number <= max)
        .ok_or_else(|| Failure::parameter(format_args!("`{text}` is no number up to {max}")))
}

const TIMEOUTS: [&str; 2] = ["idleconnectiontimeout", "headerwaittimeout"];
const CACHE_PARAMETERS: [&str; 2] = ["maxcacheresponsesize", "cacherangechunksize"];
/// What is and what is not, in words.
const YES: [&str; 2] = ["yes", "no"];
const ENABLE: [&str; 2] = ["enable", "disable"];

#[cfg(test)]
mod tests;
