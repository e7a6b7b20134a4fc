//! Which commands there are, and how their words are read.
//!
//! Verbs, nouns, names of parameters and their fixed values are read without regard to letter case; verbs and nouns
//! may be cut where that leaves one. A parameter stands by its name, `url=…`, or by its place.
//! Source: `netsh http`; http-server-api §13.

use std::collections::BTreeMap;
use std::fmt;

use super::Failure;
use super::running::Question;

/// What a command does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    AddUrlAcl,
    DeleteUrlAcl,
    ShowUrlAcl,
    AddSslCert,
    UpdateSslCert,
    DeleteSslCert,
    ShowSslCert,
    UpdateSslPropertyEx,
    AddIpListen,
    DeleteIpListen,
    ShowIpListen,
    AddTimeout,
    DeleteTimeout,
    ShowTimeout,
    AddCacheParam,
    ShowCacheParam,
    AddSetting,
    DeleteSetting,
    ShowSetting,
    Dump,
    /// What a server that runs is asked.
    Ask(Question),
}

/// A command.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) verb: &'static str,
    /// Empty where the verb says all.
    pub(super) noun: &'static str,
    pub(super) action: Action,
    /// In the order of their places.
    pub(super) parameters: &'static [&'static str],
    pub(super) summary: &'static str,
    /// The sentence when it was done.
    pub(super) success: &'static str,
    /// How the sentence begins when it was not.
    pub(super) failure: &'static str,
    /// Above what it shows.
    pub(super) heading: Option<&'static str>,
}

/// What the words of a command line come to.
#[derive(Debug)]
pub(super) enum Line {
    /// Help about all commands, those of a verb, or one.
    Help(Vec<&'static Command>),
    /// The commands of a file.
    Exec(String),
    Call(Call),
}

/// A command with its parameters.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) command: &'static Command,
    values: BTreeMap<&'static str, String>,
    /// Those that were given by their place.
    placed: Vec<&'static str>,
}

impl Call {
    /// A parameter, if it was given.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A parameter that has to be given.
    pub(super) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.value(name)
            .ok_or_else(|| Failure::parameter(format_args!("`{name}` is missing")))
    }

    /// Whether it was given by its place.
    pub(super) fn is_placed(&self, name: &str) -> bool {
        self.placed.contains(&name)
    }

    /// A parameter that is one of two words: whether it is the first.
    pub(super) fn switch(&self, name: &str, words: [&str; 2]) -> Result<Option<bool>, Failure> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        match (is(words[0]), is(words[1])) {
            (true, _) => Ok(Some(true)),
            (_, true) => Ok(Some(false)),
            _ => Err(Failure::parameter(format_args!(
                "`{name}` is `{value}`; it is {} or {}",
                words[0], words[1]
            ))),
        }
    }

    /// A parameter that is one of some words.
    pub(super) fn one_of(
        &self,
        name: &str,
        words: &[&'static str],
    ) -> Result<&'static str, Failure> {
        let value = self.required(name)?;
        let found = words.iter().find(|word| value.eq_ignore_ascii_case(word));
        found.copied().ok_or_else(|| {
            Failure::parameter(format_args!(
                "`{name}` is `{value}`; it is {}",
                words.join(" or ")
            ))
        })
    }

    /// A word and its value: as `name=WORD value=VALUE`, or as `WORD=VALUE`.
    pub(super) fn choice(
        &self,
        name: &str,
        words: &[&'static str],
    ) -> Result<(&'static str, String), Failure> {
        let mut direct = words
            .iter()
            .filter_map(|word| Some((*word, self.value(word)?.to_owned())));
        match (direct.next(), self.value(name), self.value("value")) {
            (Some(choice), None, None) => match direct.next() {
                None => Ok(choice),
                Some(_) => Err(Failure::parameter("one at a time can be set")),
            },
            (None, ..) => Ok((
                self.one_of(name, words)?,
                self.required("value")?.to_owned(),
            )),
            _ => Err(Failure::parameter(format_args!(
                "`{name}` and a value by its own name exclude each other"
            ))),
        }
    }
}

/// Words that are no command. The user's fault.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum GrammarError {
    /// There is no such verb or noun.
    Unknown {
        word: String,
        after: String,
    },
    /// The word could be several.
    Ambiguous {
        word: String,
        could_be: String,
    },
    /// There is no such parameter.
    Parameter {
        name: String,
        command: String,
    },
    Twice {
        name: &'static str,
    },
    TooMany {
        word: String,
        command: String,
    },
}

impl fmt::Display for GrammarError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { word, after } => write!(
                formatter,
                "`{word}` is no command{}{after}; `tidegate http help` lists them",
                if after.is_empty() { "" } else { " after " },
            ),
            Self::Ambiguous { word, could_be } => {
                write!(formatter, "`{word}` could be {could_be}")
            }
            Self::Parameter { name, command } => write!(
                formatter,
                "`{name}` is no parameter; `tidegate http {command} ?` lists them"
            ),
            Self::Twice { name } => write!(formatter, "`{name}` is given twice"),
            Self::TooMany { word, command } => write!(
                formatter,
                "`{word}` is one too many; `tidegate http {command} ?` lists the parameters"
            ),
        }
    }
}

/// Reads a command line.
pub(super) fn read(words: &[String]) -> Result<Line, GrammarError> {
    let all: Vec<_> = COMMANDS.iter().collect();
    let Some((verb, rest)) = words.split_first() else {
        return Ok(Line::Help(all));
    };
    if is_help(verb) {
        return Ok(Line::Help(all));
    }
    if verb.eq_ignore_ascii_case("exec") {
        return match rest {
            [file] => Ok(Line::Exec(file.clone())),
            [] => Err(GrammarError::Unknown {
                word: String::new(),
                after: "exec".to_owned(),
            }),
            [_, word, ..] => Err(GrammarError::TooMany {
                word: word.clone(),
                command: "exec".to_owned(),
            }),
        };
    }
    let of_verb = matching(all, verb, |command| command.verb, "")?;
    let name = of_verb.first().map_or("", |command| command.verb);
    if let [command] = of_verb[..]
        && command.noun.is_empty()
    {
        return parameters(command, rest);
    }
    let Some((noun, rest)) = rest.split_first() else {
        return Ok(Line::Help(of_verb));
    };
    if is_help(noun) {
        return Ok(Line::Help(of_verb));
    }
    match matching(of_verb, noun, |command| command.noun, name)?[..] {
        [command] => parameters(command, rest),
        _ => Err(GrammarError::Unknown {
            word: noun.clone(),
            after: name.to_owned(),
        }),
    }
}

fn is_help(word: &str) -> bool {
    ["?", "/?", "help"]
        .iter()
        .any(|help| word.eq_ignore_ascii_case(help))
}

/// The commands whose `part` is the word, or begins with it where that is no other's.
fn matching(
    commands: Vec<&'static Command>,
    word: &str,
    part: fn(&Command) -> &'static str,
    after: &str,
) -> Result<Vec<&'static Command>, GrammarError> {
    let word = word.to_ascii_lowercase();
    let mut names: Vec<_> = commands.iter().map(|command| part(command)).collect();
    names.retain(|name| name.starts_with(&word));
    names.dedup();
    let name = match names[..] {
        [name] => name,
        _ if names.contains(&&*word) => &*word,
        [] => {
            return Err(GrammarError::Unknown {
                word,
                after: after.to_owned(),
            });
        }
        _ => {
            return Err(GrammarError::Ambiguous {
                word,
                could_be: names.join(" or "),
            });
        }
    };
    let mut commands = commands;
    commands.retain(|command| part(command) == name);
    Ok(commands)
}

fn parameters(command: &'static Command, words: &[String]) -> Result<Line, GrammarError> {
    if words.first().is_some_and(|word| is_help(word)) {
        return Ok(Line::Help(vec![command]));
    }
    let name_of = |command: &Command| format!("{} {}", command.verb, command.noun);
    let mut call = Call {
        command,
        values: BTreeMap::new(),
        placed: Vec::new(),
    };
    for word in words {
        let named = word
            .split_once('=')
            .filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let (name, value) = match named {
            Some((name, value)) => {
                let mut known = command.parameters.iter();
                let known = known.find(|known| known.eq_ignore_ascii_case(name));
                let known = known.ok_or_else(|| GrammarError::Parameter {
                    name: name.to_owned(),
                    command: name_of(command),
                })?;
                (*known, value)
            }
            None => {
                let mut free = command.parameters.iter();
                let free = free.find(|name| !call.values.contains_key(*name));
                let free = free.ok_or_else(|| GrammarError::TooMany {
                    word: word.clone(),
                    command: name_of(command),
                })?;
                call.placed.push(free);
                (*free, word.as_str())
            }
        };
        if call.values.insert(name, value.to_owned()).is_some() {
            return Err(GrammarError::Twice { name });
        }
    }
    Ok(Line::Call(call))
}

/// Parameters of certificates; the last seven, and the thumbprint's folder, are this platform's own.
const SSLCERT: &[&str] = &[
    "ipport",
    "certhash",
    "appid",
    "certstorename",
    "verifyclientcertrevocation",
    "verifyrevocationwithcachedclientcertonly",
    "usagecheck",
    "revocationfreshnesstime",
    "urlretrievaltimeout",
    "sslctlidentifier",
    "sslctlstorename",
    "dsmapperusage",
    "clientcertnegotiation",
    "reject",
    "disablehttp2",
    "disablequic",
    "disablelegacytls",
    "disabletls12",
    "disabletls13",
    "disableocspstapling",
    "enabletokenbinding",
    "logextendedevents",
    "enablesessionticket",
    "disablesessionid",
    "hostnameport",
    "ccs",
    "scopedccs",
    "json",
    "certfile",
    "keyfile",
    "pkcs12",
    "passwordfile",
    "clientca",
    "clientcrl",
    "ocspresponse",
];

const SSLCERT_KEY: &[&str] = &["ipport", "hostnameport", "ccs", "scopedccs"];

macro_rules! command {
    ($verb:literal $noun:literal, $action:expr, $parameters:expr, $summary:literal, $success:literal, $failure:literal) => {
        Command {
            verb: $verb,
            noun: $noun,
            action: $action,
            parameters: $parameters,
            summary: $summary,
            success: $success,
            failure: $failure,
            heading: None,
        }
    };
    ($verb:literal $noun:literal, $action:expr, $parameters:expr, $summary:literal, heading $heading:literal) => {
        Command {
            heading: Some($heading),
            ..command!($verb $noun, $action, $parameters, $summary, "", "")
        }
    };
}

/// All commands, by verb and noun.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    command!("add" "cacheparam", Action::AddCacheParam, &["type", "value", "maxcacheresponsesize", "cacherangechunksize"],
        "Sets the longest content of a cached response, in bytes: type=maxcacheresponsesize value=N.",
        "Cache parameter successfully added", "Cache parameter add failed"),
    command!("add" "iplisten", Action::AddIpListen, &["ipaddress"],
        "Adds an address to those that URLs with + or * or a name listen on; 0.0.0.0 and :: are all of a family.",
        "IP address successfully added", "IP address add failed"),
    command!("add" "setting", Action::AddSetting, &["settingtype", "value"],
        "Sets sslthrottle, which there is not here.",
        "Setting successfully added", "Setting add failed"),
    command!("add" "sslcert", Action::AddSslCert, SSLCERT,
        "Binds a certificate: ipport=ADDRESS:PORT, hostnameport=NAME:PORT or ccs=PORT, with certfile= and keyfile=, \
         pkcs12= and passwordfile=, or certhash= with the folder certstorename=; for ccs, certstorename= alone.",
        "SSL Certificate successfully added", "SSL Certificate add failed"),
    command!("add" "timeout", Action::AddTimeout, &["timeouttype", "value", "idleconnectiontimeout", "headerwaittimeout"],
        "Sets a timeout in seconds: timeouttype=idleconnectiontimeout or headerwaittimeout, value=1 to 65535 (off).",
        "Timeout successfully added", "Timeout add failed"),
    command!("add" "urlacl", Action::AddUrlAcl, &["url", "user", "listen", "delegate", "sddl"],
        "Reserves a URL for a user or group: url=http://+:80/path/ user=NAME listen=yes|no delegate=yes|no, or sddl=.",
        "URL reservation successfully added", "Url reservation add failed"),
    command!("delete" "cache", Action::Ask(Question::DeleteCache), &["url", "recursive"],
        "Deletes cached responses of a server that runs: one URL, with recursive=yes all below it, or everything.",
        "Cache entries successfully deleted", "Cache delete failed"),
    command!("delete" "iplisten", Action::DeleteIpListen, &["ipaddress"],
        "Takes an address out of those that are listened on.",
        "IP address successfully deleted", "IP address delete failed"),
    command!("delete" "setting", Action::DeleteSetting, &["settingtype"],
        "Takes back sslthrottle, which there is not here.",
        "Setting successfully deleted", "Setting delete failed"),
    command!("delete" "sslcert", Action::DeleteSslCert, SSLCERT_KEY,
        "Removes a certificate's binding: ipport=, hostnameport= or ccs=.",
        "SSL Certificate successfully deleted", "SSL Certificate deletion failed"),
    command!("delete" "timeout", Action::DeleteTimeout, &["timeouttype"],
        "Restores a timeout to 120 seconds: timeouttype=idleconnectiontimeout or headerwaittimeout.",
        "Timeout successfully deleted", "Timeout delete failed"),
    command!("delete" "urlacl", Action::DeleteUrlAcl, &["url"],
        "Deletes a URL's reservation.",
        "URL reservation successfully deleted", "Url reservation delete failed"),
    command!("dump" "", Action::Dump, &[],
        "Prints commands that make what there is; `tidegate http exec FILE` does them.",
        "", "Dump failed"),
    command!("flush" "logbuffer", Action::Ask(Question::FlushLogBuffer), &[],
        "Has a server that runs write what its logs have gathered.",
        "Log buffers successfully flushed", "Log buffer flush failed"),
    command!("show" "cacheparam", Action::ShowCacheParam, &[],
        "Shows the cache's parameters.", heading "Cache parameters:"),
    command!("show" "cachestate", Action::Ask(Question::CacheState), &["url"],
        "Shows cached responses of a server that runs, all or those of a URL and below it.",
        heading "Snapshot of HTTP response cache:"),
    command!("show" "iplisten", Action::ShowIpListen, &[],
        "Shows the addresses that are listened on; none: all.",
        heading "IP addresses present in the IP listen list:"),
    command!("show" "servicestate", Action::Ask(Question::ServiceState), &["view", "verbose"],
        "Shows sessions, URL groups and request queues of a server that runs: view=session|requestq verbose=yes|no.",
        heading "Snapshot of HTTP service state:"),
    command!("show" "setting", Action::ShowSetting, &[],
        "Shows settings of the service.", heading "Setting parameters:"),
    command!("show" "sslcert", Action::ShowSslCert, &["ipport", "hostnameport", "ccs", "scopedccs", "json"],
        "Shows certificates, all or that of one key.", heading "SSL Certificate bindings:"),
    command!("show" "timeout", Action::ShowTimeout, &[],
        "Shows the timeouts of the service.", heading "Timeout parameters:"),
    command!("show" "urlacl", Action::ShowUrlAcl, &["url"],
        "Shows reservations, all or that of one URL.", heading "URL Reservations:"),
    command!("update" "sslcert", Action::UpdateSslCert, SSLCERT,
        "Changes a certificate's binding: what is given, the rest stays.",
        "SSL Certificate successfully updated", "SSL Certificate update failed"),
    command!("update" "sslpropertyex", Action::UpdateSslPropertyEx,
        &["ipport", "propertyid", "receivewindow", "maxsettingsperframe", "maxsettingsperminute",
          "hostnameport", "ccs", "scopedccs"],
        "Sets limits on HTTP/2 for one certificate, which there are not here.",
        "SSL Property Ex successfully updated", "SSL Property Ex update failed"),
];
