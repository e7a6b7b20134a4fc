//! The settings of the log of requests. Source: http-server-api §9.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use tidegate_httpapi::{
    LOG_ROLLOVER_BYTES_MIN, LimitError, LogFields, LogFormat, LogRollover, LogSelection,
    LoggingProperties,
};

use super::format;

/// The log of requests: one line for each that was answered, by a handler, from the cache, with a file, by
/// another server or by an upgrade to WebSocket. What the driver refuses itself is in the
/// [HTTPERR log](super::ErrorLog).
///
/// Records are written by a thread of their own, a tenth of a second after they came at the latest. Where a
/// disk is full or gone, a MiB of lines waits until it is there again; what comes faster than it can be
/// written is lost, counted ([`Server::log_counters`](crate::Server::log_counters)) and told in the log. A
/// file that was moved away is begun anew within a second, or at
/// [`Server::flush_log_buffer`](crate::Server::flush_log_buffer).
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Logging {
    /// Whether it is written. Default false. Source: the component's LogFile.Enabled.
    pub enabled: bool,
    /// How a line looks: `w3c` (the default), `ncsa`, `iis` or `json`.
    #[serde(with = "format::LogFormatNames")]
    pub format: LogFormat,
    /// The folder of the files, which no other log of this format may use. It is made when it is missing.
    /// Default `None`: `requests` in `/var/log/tidegate` for the superuser, else in the user's state folder.
    ///
    /// Names are those of the HTTP Server API: `exYYMMDD.log` for a day of W3C lines; `nc`, `in` and `js`
    /// for the other formats; `extendN.log`, `ncsaN.log`, `inetsvN.log` and `jsonN.log` by size.
    pub directory: Option<PathBuf>,
    /// Which fields W3C and JSON lines have; NCSA and IIS lines have theirs. Default
    /// [`LogFields::DEFAULT`]. In a settings file a list of W3C's names, such as `["date", "time", "c-ip"]`.
    #[serde(deserialize_with = "fields")]
    #[schemars(with = "Vec<String>")]
    pub fields: LogFields,
    /// Which answers are logged: `all` (the default), `errors-only` (from status 400 on) or `success-only`.
    #[serde(with = "format::LogSelectionNames")]
    pub selection: LogSelection,
    /// When the next file is begun: `size`, `hourly`, `daily` (the default), `weekly` or `monthly`.
    #[serde(with = "format::LogRolloverNames")]
    pub rollover: LogRollover,
    /// Largest file in bytes, with rollover by size only: 1 MiB or more. Default `None`, unlimited.
    pub rollover_bytes: Option<u64>,
    /// Whether files are named and rolled over by local time. Default false, UTC; NCSA and IIS, whose lines
    /// tell local time, always do.
    pub local_time_rollover: bool,
    /// Whether characters beyond ASCII are written, as UTF-8; else their bytes are `+`. JSON is UTF-8
    /// always. Default true.
    pub utf8: bool,
    /// What stands in `s-sitename`, and as IIS' service. Default `None`, a hyphen.
    pub site_name: Option<String>,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            enabled: false,
            format: LogFormat::W3c,
            directory: None,
            fields: LogFields::DEFAULT,
            selection: LogSelection::All,
            rollover: LogRollover::Daily,
            rollover_bytes: None,
            local_time_rollover: false,
            utf8: true,
            site_name: None,
        }
    }
}

impl Logging {
    /// Lines of this format, a file for each day, in this folder.
    pub fn new(format: LogFormat, directory: impl Into<PathBuf>) -> Self {
        Self {
            enabled: true,
            format,
            directory: Some(directory.into()),
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), LimitError> {
        match self.rollover_bytes {
            Some(value) if value < LOG_ROLLOVER_BYTES_MIN => Err(LimitError {
                name: "log.rollover_bytes",
                value,
                range: LOG_ROLLOVER_BYTES_MIN..=i64::MAX as u64,
            }),
            _ => Ok(()),
        }
    }

    /// The folder that is written to. A relative path is meant from where the program was started.
    pub fn folder(&self) -> PathBuf {
        let folder = match &self.directory {
            Some(directory) => directory.clone(),
            None => tidegate_os::log_folder()
                .unwrap_or_default()
                .join("requests"),
        };
        std::path::absolute(&folder).unwrap_or(folder)
    }

    /// The same as the driver has it; `None` when nothing is logged.
    pub(crate) fn properties(&self, software: Option<&str>) -> Option<LoggingProperties> {
        if !self.enabled {
            return None;
        }
        let mut properties = LoggingProperties::new(self.folder());
        properties.format = self.format;
        properties.fields = self.fields;
        properties.selection = self.selection;
        properties.rollover = self.rollover;
        properties.rollover_bytes = self.rollover_bytes;
        properties.local_time_rollover = self.local_time_rollover;
        properties.utf8 = self.utf8;
        properties.software_name = software.map(str::to_owned);
        properties.site_name.clone_from(&self.site_name);
        Some(properties)
    }
}

/// Reads a list of names.
fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFields, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let mut fields = LogFields::NONE;
    for name in &names {
        let field =
            LogFields::named(name).ok_or_else(|| D::Error::unknown_variant(name, &FIELD_NAMES))?;
        fields = fields | field;
    }
    if fields.is_empty() {
        return Err(D::Error::invalid_value(
            Unexpected::Other("an empty list"),
            &"at least one field",
        ));
    }
    Ok(fields)
}

const FIELD_NAMES: [&str; LogFields::NAMES.len()] = {
    let mut names = [""; LogFields::NAMES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = LogFields::NAMES[index].0;
        index += 1;
    }
    names
};
