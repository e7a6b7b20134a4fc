//! Errors of the calls on sessions, groups, queues and URLs. Each keeps the code that the HTTP Server
//! API returns for it.

use std::fmt;
use std::net::IpAddr;

use crate::limits::LimitError;
use crate::logging::LoggingFault;
use crate::tls::TlsBindingKey;
use crate::url_prefix::{PrefixError, Scheme};

/// A Win32 error code, as the HTTP Server API returns it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u32)]
pub enum ErrorCode {
    /// `ERROR_FILE_NOT_FOUND`
    FileNotFound = 2,
    /// `ERROR_ACCESS_DENIED`
    AccessDenied = 5,
    /// `ERROR_INVALID_HANDLE`
    InvalidHandle = 6,
    /// `ERROR_SHARING_VIOLATION`
    SharingViolation = 32,
    /// `ERROR_NOT_SUPPORTED`
    NotSupported = 50,
    /// `ERROR_INVALID_PARAMETER`
    InvalidParameter = 87,
    /// `ERROR_ALREADY_EXISTS`
    AlreadyExists = 183,
    /// `ERROR_SERVICE_NOT_ACTIVE`
    ServiceNotActive = 1062,
    /// `ERROR_NO_SUCH_LOGON_SESSION`
    NoSuchLogonSession = 1312,
}

/// The system's own text for the code, as tools print it.
impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FileNotFound => "The system cannot find the file specified.",
            Self::AccessDenied => "Access is denied.",
            Self::InvalidHandle => "The handle is invalid.",
            Self::SharingViolation => {
                "The process cannot access the file because it is being used by another process."
            }
            Self::NotSupported => "The request is not supported.",
            Self::InvalidParameter => "The parameter is incorrect.",
            Self::AlreadyExists => "Cannot create a file when that file already exists.",
            Self::ServiceNotActive => "The service has not been started.",
            Self::NoSuchLogonSession => {
                "A specified logon session does not exist. It may already have been terminated."
            }
        })
    }
}

/// Why a call on a session, group, queue or URL failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApiError {
    /// The URL prefix is malformed.
    Prefix(PrefixError),
    /// The prefix is registered already.
    AlreadyRegistered {
        /// The prefix.
        prefix: String,
    },
    /// The prefix is reserved already.
    AlreadyReserved {
        /// The prefix.
        prefix: String,
    },
    /// The port carries the other scheme.
    SchemeConflict {
        /// The prefix refused.
        prefix: String,
        /// What the port carries.
        carried: Scheme,
    },
    /// The prefix is not registered in this group.
    NotRegistered {
        /// The prefix.
        prefix: String,
    },
    /// The prefix is not reserved.
    NotReserved {
        /// The prefix.
        prefix: String,
    },
    /// The prefix is kept for others.
    AccessDenied {
        /// The prefix.
        prefix: String,
        /// Who was refused.
        caller: String,
        /// The reservation that decided; `None`: it is the administrators'.
        reserved: Option<String>,
    },
    /// The address is in the list of those to listen on.
    AlreadyListed {
        /// The address.
        address: IpAddr,
    },
    /// The address is not in the list of those to listen on.
    NotListed {
        /// The address.
        address: IpAddr,
    },
    /// Another certificate is bound to this key.
    AlreadyBound {
        /// The key.
        key: TlsBindingKey,
    },
    /// No certificate is bound to this key.
    NotBound {
        /// The key.
        key: TlsBindingKey,
    },
    /// A certificate, its key or what belongs to them cannot be used.
    Certificate {
        /// What it is bound to.
        key: TlsBindingKey,
        /// Which file, and what is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No such server session, URL group or request queue, or it was closed.
    Unknown {
        /// What it should have been.
        object: &'static str,
        /// The id given.
        id: u64,
    },
    /// A property is out of its range.
    Limit(LimitError),
    /// A log cannot be as it is asked for.
    Logging(LoggingFault),
    /// The port, address or Unix socket cannot be listened on.
    Listen {
        /// The prefix or endpoint.
        endpoint: String,
        /// Whether another program has it.
        in_use: bool,
        /// What the system said, with the way out.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The backend cannot do this.
    NotSupported {
        /// What was asked.
        what: &'static str,
    },
    /// What is to be flushed from the response cache is no URL, or one that no response could have.
    CacheUrl {
        /// The URL given.
        url: Box<str>,
    },
    /// A connection cannot be given to the application in this way.
    Upgrade {
        /// Why not.
        what: &'static str,
    },
    /// The backend could not start.
    Start {
        /// What it was doing.
        what: &'static str,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The backend has been stopped.
    Stopped,
}

impl ApiError {
    /// The code that the HTTP Server API returns in this case.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Prefix(error) => error.code(),
            Self::AlreadyRegistered { .. }
            | Self::AlreadyReserved { .. }
            | Self::AlreadyBound { .. }
            | Self::AlreadyListed { .. }
            | Self::SchemeConflict { .. } => ErrorCode::AlreadyExists,
            Self::NotRegistered { .. }
            | Self::NotReserved { .. }
            | Self::NotBound { .. }
            | Self::NotListed { .. } => ErrorCode::FileNotFound,
            Self::AccessDenied { .. } => ErrorCode::AccessDenied,
            Self::Certificate { .. } => ErrorCode::NoSuchLogonSession,
            Self::Unknown { .. }
            | Self::Limit(_)
            | Self::Logging(_)
            | Self::CacheUrl { .. }
            | Self::Upgrade { .. } => ErrorCode::InvalidParameter,
            Self::Listen { in_use: true, .. } => ErrorCode::SharingViolation,
            Self::Listen { in_use: false, .. } => ErrorCode::AccessDenied,
            Self::NotSupported { .. } => ErrorCode::NotSupported,
            Self::Start { .. } | Self::Stopped => ErrorCode::ServiceNotActive,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(error) => error.fmt(formatter),
            Self::AlreadyRegistered { prefix } => {
                write!(formatter, "{prefix} is registered already")
            }
            Self::AlreadyReserved { prefix } => write!(formatter, "{prefix} is reserved already"),
            Self::SchemeConflict { prefix, carried } => write!(
                formatter,
                "{prefix} cannot be added: its port carries {carried}"
            ),
            Self::NotRegistered { prefix } => {
                write!(formatter, "{prefix} is not registered in this URL group")
            }
            Self::NotReserved { prefix } => write!(formatter, "{prefix} is not reserved"),
            Self::AccessDenied {
                prefix,
                caller,
                reserved: Some(reserved),
            } => write!(
                formatter,
                "{prefix} is not for {caller}: {reserved} is reserved for others"
            ),
            Self::AccessDenied { prefix, caller, .. } => write!(
                formatter,
                "{prefix} is not for {caller}: what nobody has reserved is for administrators"
            ),
            Self::AlreadyListed { address } => write!(formatter, "{address} is listed already"),
            Self::NotListed { address } => write!(formatter, "{address} is not listed"),
            Self::AlreadyBound { key } => {
                write!(formatter, "{key} has a certificate already")
            }
            Self::NotBound { key } => write!(formatter, "{key} has no certificate"),
            Self::Certificate { key, .. } => {
                write!(formatter, "the certificate for {key} cannot be used")
            }
            Self::Unknown { object, id } => write!(formatter, "there is no {object} {id}"),
            Self::Limit(error) => error.fmt(formatter),
            Self::Logging(fault) => fault.fmt(formatter),
            Self::Listen { endpoint, .. } => write!(formatter, "cannot listen on {endpoint}"),
            Self::NotSupported { what } => write!(formatter, "{what} is not supported"),
            Self::CacheUrl { url } => {
                write!(
                    formatter,
                    "{url:?} is no URL that could be in the response cache"
                )
            }
            Self::Upgrade { what } => formatter.write_str(what),
            Self::Start { what, .. } => write!(formatter, "cannot start: {what}"),
            Self::Stopped => formatter.write_str("the server has stopped"),
        }
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { source, .. }
            | Self::Start { source, .. }
            | Self::Certificate { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

impl From<PrefixError> for ApiError {
    fn from(error: PrefixError) -> Self {
        Self::Prefix(error)
    }
}

impl From<LoggingFault> for ApiError {
    fn from(fault: LoggingFault) -> Self {
        Self::Logging(fault)
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}
