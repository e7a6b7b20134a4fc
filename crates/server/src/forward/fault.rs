//! Why settings of a forwarded path cannot be used.

use std::fmt;

use tidegate_httpapi::FieldError;

/// Why a part of the paths cannot be forwarded as the settings say. The caller's fault.
#[derive(Clone, Debug)]
pub struct ForwardSettingsError {
    /// The part.
    pub path: String,
    /// What is wrong.
    pub fault: ForwardFault,
}

/// What is wrong with the settings of a forwarded path.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ForwardFault {
    /// `to` names no upstream.
    NoUpstream,
    /// A field's name or value cannot be sent.
    Field {
        /// The setting.
        key: &'static str,
        /// Why.
        error: FieldError,
    },
    /// The field is not one that may be set or removed: it says how the message is framed, or has a setting
    /// of its own.
    OwnField {
        /// The setting.
        key: &'static str,
        /// The field.
        name: String,
    },
    /// `via` is no token.
    Via(String),
    /// `health.path` is no path.
    HealthPath(String),
    /// Of `tls.certificate` and `tls.key` one is missing.
    HalfCertificate,
    /// A file of `tls` cannot be used.
    Tls {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for ForwardSettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`forward` of {}: ", self.path)?;
        match &self.fault {
            ForwardFault::NoUpstream => formatter.write_str("`to` names no upstream"),
            ForwardFault::Field { key, error } => write!(formatter, "`{key}`: {error}"),
            ForwardFault::OwnField { key, name } => {
                write!(
                    formatter,
                    "`{key}`: {name} is not to be set or removed here"
                )
            }
            ForwardFault::Via(via) => write!(formatter, "`via` is {via:?}, which is no token"),
            ForwardFault::HealthPath(path) => {
                write!(formatter, "`health.path` is {path:?}, which is no path")
            }
            ForwardFault::HalfCertificate => {
                formatter.write_str("`tls.certificate` and `tls.key` need each other")
            }
            ForwardFault::Tls { key, reason } => write!(formatter, "`tls.{key}`: {reason}"),
        }
    }
}

impl std::error::Error for ForwardSettingsError {}
