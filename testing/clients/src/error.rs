//! Why a client was not content.

use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a case failed.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The command cannot be understood.
    Word(String),
    /// The system refused something.
    Io {
        what: &'static str,
        source: std::io::Error,
    },
    /// A request got no answer that could be read.
    Unanswered {
        request: String,
        source: std::io::Error,
    },
    /// A program could not be started.
    Start {
        program: String,
        source: std::io::Error,
    },
    /// A program ended with a failure.
    Failed {
        program: String,
        status: ExitStatus,
        output: String,
    },
    /// Something did not happen in time.
    TooLate { what: String, after: Duration },
    /// The program under test ended.
    ServerEnded { output: String },
    /// Something is other than it must be.
    Differs {
        what: String,
        expected: String,
        found: String,
    },
    /// A case of a suite failed.
    Case {
        name: &'static str,
        source: Box<ClientError>,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) => write!(formatter, "{text}"),
            Self::Io { what, source } => write!(formatter, "{what}: {source}"),
            Self::Unanswered { request, source } => {
                write!(formatter, "the answer to {request:?}: {source}")
            }
            Self::Start { program, source } => {
                write!(formatter, "{program} could not be started: {source}")
            }
            Self::Failed {
                program,
                status,
                output,
            } => write!(formatter, "{program}: {status}\n{output}"),
            Self::TooLate { what, after } => write!(formatter, "{what}: not within {after:?}"),
            Self::ServerEnded { output } => write!(formatter, "the server ended:\n{output}"),
            Self::Differs {
                what,
                expected,
                found,
            } => write!(formatter, "{what}: expected {expected}, found {found}"),
            Self::Case { name, source } => write!(formatter, "{name}: {source}"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. }
            | Self::Unanswered { source, .. }
            | Self::Start { source, .. } => Some(source),
            Self::Case { source, .. } => Some(source),
            _ => None,
        }
    }
}
