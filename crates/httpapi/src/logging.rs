//! The logging property of server sessions and URL groups: one line for each request that was answered.
//!
//! Plain values. How a line looks is `proto`'s matter, which file it goes to `engine`'s.
//! Source: HTTP Server API, `HTTP_LOGGING_INFO`; http-server-api §9.

use std::fmt;
use std::ops::BitOr;
use std::path::PathBuf;

/// How the requests of a server session or a URL group are logged. Source: `HTTP_LOGGING_INFO`.
///
/// Set on a session, all its groups that set none of their own log into the same files. Logs with equal
/// properties share their files, whoever set them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoggingProperties {
    /// How a line looks. Default W3C.
    pub format: LogFormat,
    /// The folder of the files: absolute, at most 424 bytes. It is made, with those above it, with the first
    /// record.
    pub directory: PathBuf,
    /// Which fields W3C and JSON lines have; NCSA and IIS lines have theirs. Default
    /// [`LogFields::DEFAULT`].
    pub fields: LogFields,
    /// Which answers are logged. Default all.
    pub selection: LogSelection,
    /// When the next file is begun. Default each day.
    pub rollover: LogRollover,
    /// Largest file in bytes, with [`LogRollover::Size`] only: at least 1 MiB. `None` is unlimited, the
    /// default.
    pub rollover_bytes: Option<u64>,
    /// Whether files are named and begun by local time in place of UTC. NCSA and IIS always do.
    pub local_time_rollover: bool,
    /// Whether characters beyond ASCII are written, as UTF-8; else each of their bytes is `+`. JSON is UTF-8
    /// always. Default true.
    pub utf8: bool,
    /// What stands behind `#Software:`, at most 260 bytes. Default `None`, the backend's name and version.
    pub software_name: Option<String>,
    /// What stands in `s-sitename`, IIS' service name. Default `None`, a hyphen.
    pub site_name: Option<String>,
}

impl LoggingProperties {
    /// W3C lines with the default fields, a file for each day (UTC), in this folder.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            format: LogFormat::W3c,
            directory: directory.into(),
            fields: LogFields::DEFAULT,
            selection: LogSelection::All,
            rollover: LogRollover::Daily,
            rollover_bytes: None,
            local_time_rollover: false,
            utf8: true,
            software_name: None,
            site_name: None,
        }
    }
}

/// How a line of a request log looks. Source: `HTTP_LOGGING_TYPE`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LogFormat {
    /// W3C extended: fields that were chosen, with directives that name them. The default.
    #[default]
    W3c,
    /// NCSA common. URL groups only.
    Ncsa,
    /// Fifteen values with commas, as IIS writes them. URL groups only.
    Iis,
    /// One JSON object a line, with members for the chosen fields. Not of the HTTP Server API.
    Json,
}

/// When a log file is closed and the next begun. Source: `HTTP_LOGGING_ROLLOVER_TYPE`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LogRollover {
    /// When it has so many bytes. The default of the HTTPERR log.
    #[default]
    Size,
    /// Each hour.
    Hourly,
    /// Each day.
    Daily,
    /// Each week of the month.
    Weekly,
    /// Each month.
    Monthly,
}

/// Which answers are logged. Source: `HTTP_LOGGING_FLAG_LOG_ERRORS_ONLY` and `_SUCCESS_ONLY`, which exclude
/// each other.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LogSelection {
    /// All. The default.
    #[default]
    All,
    /// Those with a status from 400 on.
    ErrorsOnly,
    /// Those with a status below 400.
    SuccessOnly,
}

/// A set of fields of a log. The bits are `HTTP_LOG_FIELD_*`.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct LogFields(u32);

impl LogFields {
    /// No field.
    pub const NONE: Self = Self(0);
    /// `date`: when the answer was sent, UTC.
    pub const DATE: Self = Self(0x1);
    /// `time`: when the answer was sent, UTC.
    pub const TIME: Self = Self(0x2);
    /// `c-ip`: the client's address.
    pub const CLIENT_IP: Self = Self(0x4);
    /// `cs-username`: who the client is, if the application has said so.
    pub const USER_NAME: Self = Self(0x8);
    /// `s-sitename`: [`LoggingProperties::site_name`].
    pub const SITE_NAME: Self = Self(0x10);
    /// `s-computername`: this machine's name.
    pub const COMPUTER_NAME: Self = Self(0x20);
    /// `s-ip`: the address that the request came to.
    pub const SERVER_IP: Self = Self(0x40);
    /// `cs-method`
    pub const METHOD: Self = Self(0x80);
    /// `cs-uri-stem`: the path as received.
    pub const URI_STEM: Self = Self(0x100);
    /// `cs-uri-query`: the query as received.
    pub const URI_QUERY: Self = Self(0x200);
    /// `sc-status`
    pub const STATUS: Self = Self(0x400);
    /// `sc-win32-status`: 0, or why the answer did not reach the client.
    pub const WIN32_STATUS: Self = Self(0x800);
    /// `sc-bytes`: bytes sent, head included.
    pub const BYTES_SENT: Self = Self(0x1000);
    /// `cs-bytes`: bytes received, head included.
    pub const BYTES_RECEIVED: Self = Self(0x2000);
    /// `time-taken`: milliseconds from the request's first byte to the answer's last.
    pub const TIME_TAKEN: Self = Self(0x4000);
    /// `s-port`
    pub const SERVER_PORT: Self = Self(0x8000);
    /// `cs(User-Agent)`
    pub const USER_AGENT: Self = Self(0x1_0000);
    /// `cs(Cookie)`
    pub const COOKIE: Self = Self(0x2_0000);
    /// `cs(Referer)`
    pub const REFERER: Self = Self(0x4_0000);
    /// `cs-version`
    pub const VERSION: Self = Self(0x8_0000);
    /// `cs-host`
    pub const HOST: Self = Self(0x10_0000);
    /// `sc-substatus`
    pub const SUBSTATUS: Self = Self(0x20_0000);
    /// `streamid`: the stream of HTTP/2.
    pub const STREAM_ID: Self = Self(0x800_0000);

    /// All fields of a request log.
    pub const ALL: Self = {
        let mut all = 0;
        let mut index = 0;
        while index < Self::NAMES.len() {
            all |= Self::NAMES[index].1.0;
            index += 1;
        }
        Self(all)
    };

    /// All but `s-sitename`, `s-computername`, `cs(Cookie)`, which may hold secrets, and `streamid`.
    pub const DEFAULT: Self = Self(
        Self::ALL.0
            & !(Self::SITE_NAME.0 | Self::COMPUTER_NAME.0 | Self::COOKIE.0 | Self::STREAM_ID.0),
    );

    /// The fields of a request log by their names, in the order in which they stand in a line.
    pub const NAMES: [(&'static str, Self); 23] = [
        ("date", Self::DATE),
        ("time", Self::TIME),
        ("s-sitename", Self::SITE_NAME),
        ("s-computername", Self::COMPUTER_NAME),
        ("s-ip", Self::SERVER_IP),
        ("cs-method", Self::METHOD),
        ("cs-uri-stem", Self::URI_STEM),
        ("cs-uri-query", Self::URI_QUERY),
        ("s-port", Self::SERVER_PORT),
        ("cs-username", Self::USER_NAME),
        ("c-ip", Self::CLIENT_IP),
        ("cs-version", Self::VERSION),
        ("cs(User-Agent)", Self::USER_AGENT),
        ("cs(Cookie)", Self::COOKIE),
        ("cs(Referer)", Self::REFERER),
        ("cs-host", Self::HOST),
        ("sc-status", Self::STATUS),
        ("sc-substatus", Self::SUBSTATUS),
        ("sc-win32-status", Self::WIN32_STATUS),
        ("sc-bytes", Self::BYTES_SENT),
        ("cs-bytes", Self::BYTES_RECEIVED),
        ("time-taken", Self::TIME_TAKEN),
        ("streamid", Self::STREAM_ID),
    ];

    /// The set with these bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits, `HTTP_LOG_FIELD_*`.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The field of this name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        let (_, field) = Self::NAMES.iter().find(|(known, _)| *known == name)?;
        Some(*field)
    }

    /// Whether it has all fields of `other`.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it has no field.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of its fields, in the order in which they stand in a line.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let chosen =
            move |(name, field): &(&'static str, Self)| self.contains(*field).then_some(*name);
        Self::NAMES.iter().filter_map(chosen)
    }
}

impl BitOr for LogFields {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for LogFields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

/// A moment as the clock on the wall shows it somewhere, for names of files and for lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogTime {
    /// The year.
    pub year: i16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// By how many minutes this clock is before UTC.
    pub utc_offset_minutes: i16,
}

/// What an application has logs of requests say of an answer. Source: `HTTP_LOG_FIELDS_DATA`, of which the
/// backend knows the rest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LogData {
    /// `cs-username`: who the client is. What is longer than 4,096 bytes is cut.
    pub user_name: Option<Box<str>>,
    /// `sc-substatus`: what the status does not tell.
    pub substatus: u16,
    /// `sc-win32-status`, unless the answer does not reach the client: then it is why.
    pub win32_status: u32,
}

/// What has become of the records of all request logs, and of those of the HTTPERR log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LogCounters {
    /// Records of request logs that were given to the system.
    pub requests_written: u64,
    /// Records of request logs that were lost: they came faster than they could be written, or there was no
    /// room for them on the disk.
    pub requests_lost: u64,
    /// Records of the HTTPERR log that were lost.
    pub errors_lost: u64,
}

/// Why a logging property cannot be set. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LoggingFault {
    /// The folder's path is relative.
    DirectoryRelative(PathBuf),
    /// The folder's path has so many bytes; 424 are allowed.
    DirectoryTooLong(usize),
    /// The software's name has so many bytes; 260 are allowed.
    SoftwareNameTooLong(usize),
    /// There is a control character in the software's or the site's name.
    NameControl,
    /// No field is chosen, or one that a request log does not have: the bits that are wrong.
    Fields(u32),
    /// NCSA and IIS are for URL groups, not for server sessions.
    FormatOfSession(LogFormat),
    /// Less than 1 MiB a file.
    RolloverBytes(u64),
    /// A size was given for files that roll over by time.
    RolloverBytesByTime,
    /// Another log, with other properties, has its files of this format in the same folder.
    DirectoryTaken(PathBuf),
}

impl fmt::Display for LoggingFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectoryRelative(path) => write!(
                formatter,
                "the folder of a log must be an absolute path, and {} is not",
                path.display()
            ),
            Self::DirectoryTooLong(bytes) => write!(
                formatter,
                "the path of a log's folder has {bytes} bytes; at most {LOG_DIRECTORY_BYTES_MAX} are allowed"
            ),
            Self::SoftwareNameTooLong(bytes) => write!(
                formatter,
                "the software name of a log has {bytes} bytes; at most {LOG_SOFTWARE_BYTES_MAX} are allowed"
            ),
            Self::NameControl => {
                formatter.write_str("the software or site name of a log has a control character")
            }
            Self::Fields(0) => {
                formatter.write_str("a log without fields says nothing; choose some")
            }
            Self::Fields(bits) => {
                write!(
                    formatter,
                    "the bits {bits:#x} are no fields of a request log"
                )
            }
            Self::FormatOfSession(format) => write!(
                formatter,
                "the format {format:?} can be set on URL groups only; a server session's is W3C or JSON"
            ),
            Self::RolloverBytes(bytes) => write!(
                formatter,
                "log files of {bytes} bytes are too small; at least {LOG_ROLLOVER_BYTES_MIN}, or unlimited"
            ),
            Self::RolloverBytesByTime => {
                formatter.write_str(
                "log files that roll over by time have no largest size; leave it out, or have them roll over \
                 by size",
            )
            }
            Self::DirectoryTaken(path) => write!(
                formatter,
                "another log writes its files into {}; give each a folder of its own",
                path.display()
            ),
        }
    }
}

impl std::error::Error for LoggingFault {}

/// Longest path of a log's folder, in bytes. Source: `HTTP_LOGGING_INFO`, `DirectoryNameLength`.
pub const LOG_DIRECTORY_BYTES_MAX: usize = 424;
/// Longest software name of a log, in bytes. Source: `HTTP_LOGGING_INFO`, `MAX_PATH`.
pub const LOG_SOFTWARE_BYTES_MAX: usize = 260;
/// Smallest file that rolls over by size, in bytes. Source: `HTTP_MIN_ALLOWED_LOG_FILE_ROLLOVER_SIZE`.
pub const LOG_ROLLOVER_BYTES_MIN: u64 = 1_048_576;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_the_http_server_api() {
        assert_eq!(LogFields::ALL.bits(), 0x083F_FFFF);
        assert_eq!(LogFields::named("cs(Cookie)"), Some(LogFields::COOKIE));
        assert_eq!(LogFields::named("cookie"), None);
    }

    #[test]
    fn names_stand_in_the_order_of_a_line() {
        let fields = LogFields::STATUS | LogFields::DATE | LogFields::CLIENT_IP;
        let names: Vec<_> = fields.names().collect();
        assert_eq!(names, ["date", "c-ip", "sc-status"]);
    }

    #[test]
    fn cookies_are_not_logged_by_default() {
        assert!(!LogFields::DEFAULT.contains(LogFields::COOKIE));
        assert!(LogFields::DEFAULT.contains(LogFields::TIME_TAKEN | LogFields::BYTES_SENT));
    }
}
