//! Why a server cannot be built, started, restarted or stopped.
//!
//! Each error names its cause and, where there is one, the way out; a program's `main` may return it.
//! What goes wrong while a request is served is in `event`.

use std::fmt;
use std::io;
use std::sync::Arc;

use tidegate_httpapi::{ApiError, LimitError};

use crate::administration::AdministrationError;
use crate::admission::AdmissionError;
use crate::binding::BindingError;
use crate::cors::CorsError;
use crate::files::FilesError;
use crate::forward::ForwardSettingsError;
use crate::metrics::MetricsError;
use crate::store::StoreError;
use crate::tls::SslError;
use crate::traffic::TrafficError;
use crate::upload::UploadSetupError;

/// Why a call on a server failed.
///
/// `Debug` prints the message with all its causes, so that `fn main() -> Result<(), tidegate::Error>`
/// tells a person what to do.
#[derive(Clone)]
#[non_exhaustive]
pub enum Error {
    /// A binding is malformed.
    Binding(BindingError),
    /// A number is out of its range.
    Setting(LimitError),
    /// Rules for pages of other origins cannot be.
    Cors(CorsError),
    /// A part of the paths cannot be forwarded as the settings say.
    Forward(ForwardSettingsError),
    /// What is asked of https bindings, or of a binding's protocols, cannot be.
    Ssl(SslError),
    /// A static site cannot be served.
    Files(FilesError),
    /// Nobody can be let in as the settings say.
    Admission(Arc<AdmissionError>),
    /// There can be no administration as the settings say.
    Administration(Arc<AdministrationError>),
    /// Uploads cannot be taken in as the settings say.
    Upload(UploadSetupError),
    /// The firewall or the rate limiter cannot be as the settings say.
    Traffic(TrafficError),
    /// Metrics cannot be told as the settings say.
    Metrics(MetricsError),
    /// The settings of the whole service cannot be read.
    Store(Arc<StoreError>),
    /// The server has been started already, or is being started.
    AlreadyStarted,
    /// The server is being started, restarted or stopped; this can be asked for once it is done.
    Busy,
    /// The server has been stopped, or was never started.
    NotStarted,
    /// Settings have changed that only a start puts into effect, with their names.
    NeedsStart(Vec<&'static str>),
    /// There is nothing to listen on: the handler of `on_before_binding` left no binding.
    NoBinding,
    /// Sockets were handed over that no binding listens on: their names and addresses.
    UnusedListeners(Vec<String>),
    /// The address of a binding is taken by another program.
    AddressInUse(Arc<ApiError>),
    /// A binding's address or port cannot be listened on for another reason, such as permission.
    Listen(Arc<ApiError>),
    /// A certificate, or what belongs to it, cannot be used; the cause says which file and why.
    Certificate(Arc<ApiError>),
    /// The driver refused a call.
    Driver(Arc<ApiError>),
    /// A thread could not be started.
    Thread(Arc<io::Error>),
    /// The application's handler of this event panicked.
    HandlerPanicked {
        /// The event.
        event: &'static str,
        /// The message of the panic.
        message: Box<str>,
    },
}

impl Error {
    /// What to do about it, where that does not go without saying.
    fn way_out(&self) -> Option<&'static str> {
        Some(match self {
            Self::Binding(_) => "write it as scheme://host:port/path/, or as unix:/path",
            Self::AlreadyStarted => "call stop() first, or restart()",
            Self::Busy => "wait with wait_started() or wait_stopped()",
            Self::NotStarted => "call start() or run() first",
            Self::NeedsStart(_) => "change the others alone, or stop the server and start it",
            Self::UnusedListeners(_) => {
                "make the addresses of the socket unit and of the bindings the same"
            }
            Self::Ssl(error) => error.way_out(),
            Self::Files(error) => error.way_out(),
            Self::Upload(error) => error.way_out(),
            Self::Store(error) => return error.way_out(),
            Self::Metrics(error) => return error.way_out(),
            Self::Administration(error) => return error.way_out(),
            Self::Driver(error) => match &**error {
                ApiError::AlreadyRegistered { .. } => "each binding may be given once",
                ApiError::SchemeConflict { .. } => "choose another port",
                ApiError::AccessDenied { .. } => {
                    "have an administrator give the right with `tidegate http add urlacl`, serve another URL, or \
                     heed no store"
                }
                ApiError::AlreadyBound { .. } => {
                    "set `binding_options.configure_ssl_certificate` to false to use what is bound"
                }
                _ => return None,
            },
            _ => return None,
        })
    }
}

impl From<BindingError> for Error {
    fn from(error: BindingError) -> Self {
        Self::Binding(error)
    }
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        Self::Setting(error)
    }
}

impl From<CorsError> for Error {
    fn from(error: CorsError) -> Self {
        Self::Cors(error)
    }
}

impl From<ForwardSettingsError> for Error {
    fn from(error: ForwardSettingsError) -> Self {
        Self::Forward(error)
    }
}

impl From<SslError> for Error {
    fn from(error: SslError) -> Self {
        Self::Ssl(error)
    }
}

impl From<FilesError> for Error {
    fn from(error: FilesError) -> Self {
        Self::Files(error)
    }
}

impl From<AdmissionError> for Error {
    fn from(error: AdmissionError) -> Self {
        Self::Admission(Arc::new(error))
    }
}

impl From<AdministrationError> for Error {
    fn from(error: AdministrationError) -> Self {
        Self::Administration(Arc::new(error))
    }
}

impl From<UploadSetupError> for Error {
    fn from(error: UploadSetupError) -> Self {
        Self::Upload(error)
    }
}

impl From<TrafficError> for Error {
    fn from(error: TrafficError) -> Self {
        Self::Traffic(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Limit(error) => Self::Setting(error),
            ApiError::Listen { in_use: true, .. } => Self::AddressInUse(Arc::new(error)),
            ApiError::Listen { in_use: false, .. } => Self::Listen(Arc::new(error)),
            ApiError::Certificate { .. } => Self::Certificate(Arc::new(error)),
            error => Self::Driver(Arc::new(error)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binding(error) => error.fmt(formatter),
            Self::Setting(error) => error.fmt(formatter),
            Self::Cors(error) => error.fmt(formatter),
            Self::Forward(error) => error.fmt(formatter),
            Self::Ssl(error) => error.fmt(formatter),
            Self::Files(error) => error.fmt(formatter),
            Self::Admission(error) => error.fmt(formatter),
            Self::Administration(error) => error.fmt(formatter),
            Self::Upload(error) => error.fmt(formatter),
            Self::Traffic(error) => error.fmt(formatter),
            Self::Metrics(error) => error.fmt(formatter),
            Self::Store(error) => error.fmt(formatter),
            Self::AlreadyStarted => formatter.write_str("the server has been started already"),
            Self::Busy => formatter.write_str("the server is starting, restarting or stopping"),
            Self::NotStarted => formatter.write_str("the server is not started"),
            Self::NeedsStart(names) => {
                let names = names.join(", ");
                write!(
                    formatter,
                    "only a start puts a change of these into effect: {names}"
                )
            }
            Self::UnusedListeners(names) => write!(
                formatter,
                "no binding listens on sockets that were handed over: {}",
                names.join(", ")
            ),
            Self::NoBinding => formatter.write_str("there is no binding to listen on"),
            Self::AddressInUse(error)
            | Self::Listen(error)
            | Self::Certificate(error)
            | Self::Driver(error) => error.fmt(formatter),
            Self::Thread(_) => formatter.write_str("cannot start a thread"),
            Self::HandlerPanicked { event, message } => {
                write!(formatter, "the handler of {event} panicked: {message}")
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(formatter, "\n  because: {error}")?;
            cause = error.source();
        }
        match self.way_out() {
            Some(way_out) => write!(formatter, "\n  to do: {way_out}"),
            None => Ok(()),
        }
    }
}

/// The message is the wrapped error's own, so the chain goes on behind it.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Binding(error) => error.source(),
            Self::Files(error) => error.source(),
            Self::Admission(error) => std::error::Error::source(&**error),
            Self::Administration(error) => std::error::Error::source(&**error),
            Self::Upload(error) => error.source(),
            Self::Traffic(error) => error.source(),
            Self::Metrics(error) => error.source(),
            Self::Store(error) => std::error::Error::source(&**error),
            Self::AddressInUse(error)
            | Self::Listen(error)
            | Self::Certificate(error)
            | Self::Driver(error) => error.source(),
            Self::Thread(error) => Some(&**error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_the_causes_and_the_way_out() {
        let error = Error::from(ApiError::Listen {
            endpoint: "http://localhost:80/".to_owned(),
            in_use: true,
            source: "port 80 is taken by nginx (process 7); stop it".into(),
        });
        let text = format!("{error:?}");
        assert!(
            text.starts_with("cannot listen on http://localhost:80/\n"),
            "{text}"
        );
        assert!(
            text.contains("because: port 80 is taken by nginx (process 7)"),
            "{text}"
        );
        let text = format!("{:?}", Error::Busy);
        assert!(
            text.ends_with("to do: wait with wait_started() or wait_stopped()"),
            "{text}"
        );
    }
}
