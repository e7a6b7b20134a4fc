//! The administration's settings: plain values, and whether they can be.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_httpapi::{Host, LimitError, PrefixError, Scheme, UrlPrefix};

use crate::binding::Binding;
use crate::operations::{settled, with_all_loopbacks};
use crate::settings::{Settings, format};

/// A page for whoever looks after the server, with live charts, and what programs are told under the same
/// prefix. `[administration]` in a settings file.
///
/// Whoever wants in has to show the token that is in a file; the page, to sign in with it. It has a request
/// queue and handler threads of its own, so that an application that is overloaded or held up does not silence
/// it. What is said is in the file `wire.md` beside its source.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdministrationSettings {
    /// Whether there is one. Default false.
    pub enabled: bool,
    /// Its URL prefix, http or https. Default `http://localhost:9180/tidegate/`.
    ///
    /// `localhost` is reached by the loopback addresses as well. One that is not on loopback must be https.
    pub url: String,
    /// Further names that it may be asked for by, such as `admin.example.com`, where the host in `url` is a
    /// wildcard. Default none: then `localhost` and addresses.
    ///
    /// Any other name is refused, since the page of whoever owns it could have made it lead here.
    pub hosts: Vec<String>,
    /// Whether it may be http on addresses that others can reach: because of a tunnel, or a proxy that speaks TLS.
    /// The token travels readable then. Default false.
    pub allow_insecure: bool,
    /// The file with the token: 32 to 256 letters, digits, `-` and `_`. It is made when it is missing, with a
    /// random one that only the user may read.
    ///
    /// Default `None`: `administration-token` in `/var/lib/tidegate` for the superuser, else in the user's state
    /// folder. Beside it is a file for each server that runs, by which programs find it.
    pub token_file: Option<PathBuf>,
    /// Time between two of the live values. Default 1 s, range 1 s to 60 s.
    #[serde(deserialize_with = "format::seconds")]
    pub interval: Duration,
    /// For how long the live values are kept, to be shown to whoever comes later. Default 5 minutes, range 0 to an
    /// hour.
    #[serde(deserialize_with = "format::seconds")]
    pub history: Duration,
    /// Most connections that are told of at once. Default 200, range 1 to 1000.
    pub connections_max: u32,
    /// How long a browser stays signed in. Default 12 hours, range 1 minute to 30 days.
    #[serde(deserialize_with = "format::seconds")]
    pub session_life: Duration,
}

impl Default for AdministrationSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            url: "http://localhost:9180/tidegate/".to_owned(),
            hosts: Vec::new(),
            allow_insecure: false,
            token_file: None,
            interval: Duration::from_secs(1),
            history: Duration::from_secs(300),
            connections_max: 200,
            session_life: Duration::from_secs(12 * 3600),
        }
    }
}

impl AdministrationSettings {
    pub(crate) fn check(&self) -> Result<(), LimitError> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let interval = seconds(self.interval);
        LimitError::check("administration.interval", interval, 1..=60)?;
        LimitError::check("administration.history", seconds(self.history), 0..=3600)?;
        let connections = self.connections_max;
        LimitError::check("administration.connections_max", connections, 1..=1000)?;
        let life = seconds(self.session_life);
        LimitError::check("administration.session_life", life, 60..=2_592_000)
    }

    /// The prefix, if there is an administration and it may be there.
    ///
    /// # Errors
    ///
    /// It is none, or readable by others on the way.
    pub(crate) fn prefix(&self) -> Result<Option<UrlPrefix>, AdministrationError> {
        if !self.enabled {
            return Ok(None);
        }
        let prefix = UrlPrefix::parse(&self.url).map_err(|source| AdministrationError::Url {
            url: self.url.clone(),
            source,
        })?;
        let is_open = prefix.scheme == Scheme::Http && !is_loopback(&prefix.host);
        if is_open && !self.allow_insecure {
            return Err(AdministrationError::Insecure {
                url: self.url.clone(),
            });
        }
        Ok(Some(prefix))
    }

    /// Where the token is; relative to where the program was started. `None` when the user has no home.
    pub fn token_path(&self) -> Option<PathBuf> {
        let path = match &self.token_file {
            Some(file) => file.clone(),
            None => tidegate_os::state_folder()?.join(TOKEN_FILE),
        };
        Some(std::path::absolute(&path).unwrap_or(path))
    }
}

impl Settings {
    /// Where the administration listens.
    pub(crate) fn administration_bindings(&self) -> Result<Vec<Binding>, AdministrationError> {
        let Some(prefix) = self.administration.prefix()? else {
            return Ok(Vec::new());
        };
        // What a client may be told instead of `localhost` takes no more sockets.
        let bindings = with_all_loopbacks(Binding::from(prefix));
        Ok(bindings
            .iter()
            .map(|binding| settled(binding, self))
            .collect())
    }

    /// What is served beside the application, but for the administration.
    pub(super) fn other_operation_urls(&self) -> Vec<String> {
        let bindings = self.operation_bindings().into_iter();
        let bindings = bindings.flat_map(with_all_loopbacks);
        bindings.map(|binding| binding.to_string()).collect()
    }
}

/// Whether nobody but this machine can connect there.
fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Address(address) => address.to_canonical().is_loopback(),
        Host::Name { address, .. } => {
            is_localhost(host) || address.is_some_and(|tied| tied.to_canonical().is_loopback())
        }
        Host::StrongWildcard | Host::WeakWildcard => false,
    }
}

pub(super) fn is_localhost(host: &Host) -> bool {
    matches!(host, Host::Name { name, subdomains: false, address: None } if **name == *"localhost")
}

/// Why there can be no administration as the settings say, or it cannot be reached. The caller's fault, or the
/// system's.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdministrationError {
    /// Its URL is no prefix.
    Url {
        /// The URL.
        url: String,
        /// Why.
        source: PrefixError,
    },
    /// Its URL is http, and others could read the token on the way.
    Insecure {
        /// The URL.
        url: String,
    },
    /// There is no folder for the token's file.
    NoStateFolder,
    /// The token's file cannot be used.
    Token(tidegate_admission::administrator::TokenError),
    /// A file by which programs find the server cannot be written.
    Announce {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another server has its administration there.
    Taken {
        /// The URL.
        url: String,
        /// The other's process.
        process: u32,
    },
}

impl AdministrationError {
    pub(crate) fn way_out(&self) -> Option<&'static str> {
        Some(match self {
            Self::Url { .. } => "write it as http://localhost:9180/tidegate/",
            Self::Insecure { .. } => {
                "make it https, or set `administration.allow_insecure` where TLS is spoken before it"
            }
            Self::NoStateFolder => "set `administration.token_file`",
            Self::Token(_) => {
                "set `administration.token_file` to another file, or remove it for a new one"
            }
            Self::Announce { .. } => "set `administration.token_file` to a file in another folder",
            Self::Taken { .. } => "set `administration.url` to another port",
        })
    }

    pub(super) fn announcing(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Announce {
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Display for AdministrationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => write!(formatter, "administration.url: `{url}` is no prefix"),
            Self::Insecure { url } => write!(
                formatter,
                "administration.url: {url} can be reached by others, and http lets them read the token"
            ),
            Self::NoStateFolder => {
                formatter.write_str("administration.token_file: the user has no folder for it")
            }
            Self::Token(error) => write!(formatter, "administration.token_file: {error}"),
            Self::Announce { path, .. } => {
                write!(formatter, "administration: cannot write {}", path.display())
            }
            Self::Taken { url, process } => write!(
                formatter,
                "administration.url: {url} is that of the server in process {process}"
            ),
        }
    }
}

impl std::error::Error for AdministrationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url { source, .. } => Some(source),
            Self::Token(error) => error.source(),
            Self::Announce { source, .. } => Some(source),
            Self::Insecure { .. } | Self::NoStateFolder | Self::Taken { .. } => None,
        }
    }
}

const TOKEN_FILE: &str = "administration-token";

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> AdministrationSettings {
        AdministrationSettings {
            enabled: true,
            url: url.to_owned(),
            ..AdministrationSettings::default()
        }
    }

    #[test]
    fn only_what_nobody_else_can_read_may_be_http() {
        for url in [
            "http://localhost:1/",
            "http://127.0.0.1:1/a/",
            "http://127.9.9.9:1/",
            "http://[::1]:1/",
            "http://admin.example:1:127.0.0.1/",
            "https://+:1/",
        ] {
            assert!(at(url).prefix().unwrap().is_some(), "{url}");
        }
        for url in [
            "http://+:1/",
            "http://*:1/",
            "http://10.0.0.1:1/",
            "http://admin.example:1/",
            "http://*.localhost:1/",
        ] {
            let error = at(url).prefix().unwrap_err();
            assert!(
                matches!(error, AdministrationError::Insecure { .. }),
                "{url}"
            );
        }
        let mut open = at("http://+:1/");
        open.allow_insecure = true;
        assert!(open.prefix().is_ok());
    }

    #[test]
    fn localhost_is_its_addresses_too() {
        let mut settings = Settings::default();
        assert!(settings.administration_bindings().unwrap().is_empty());
        settings.administration.enabled = true;
        let bindings = settings.administration_bindings().unwrap();
        let texts: Vec<_> = bindings.iter().map(Binding::to_string).collect();
        let wanted = [
            "http://localhost:9180/tidegate/",
            "http://127.0.0.1:9180/tidegate/",
            "http://[::1]:9180/tidegate/",
        ];
        assert_eq!(texts, wanted);
    }

    #[test]
    fn what_is_no_prefix_is_told_with_the_key() {
        let error = at("localhost:9180").prefix().unwrap_err();
        assert!(error.to_string().contains("administration.url"), "{error}");
        let mut off = at("?");
        off.enabled = false;
        assert!(off.prefix().unwrap().is_none());
    }

    #[test]
    fn times_have_their_ranges() {
        let mut settings = at("http://localhost:1/");
        assert!(settings.check().is_ok());
        settings.interval = Duration::from_millis(999);
        assert_eq!(
            settings.check().unwrap_err().name,
            "administration.interval"
        );
        settings.interval = Duration::from_secs(61);
        assert!(settings.check().is_err());
    }
}
