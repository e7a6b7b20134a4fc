//! Why a step did not pass.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a step did not pass, or was not run.
#[derive(Debug)]
pub(crate) enum StepError {
    /// Nobody can have what the step needs on this platform.
    Platform { needs: &'static str },
    /// What the step needs is not here and could not be installed.
    Missing { what: String, way_out: String },
    /// A word of the command is not known.
    Word(String),
    /// Not inside the workspace.
    NoWorkspace,
    /// A program could not be started.
    Start {
        program: String,
        source: std::io::Error,
    },
    /// A program ended with a failure.
    Ended { program: String, status: ExitStatus },
    /// A file or folder could not be read or made.
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// What cargo says of the workspace could not be understood.
    Metadata(serde_json::Error),
    /// Rules about the crates that do not hold.
    Walls(Vec<String>),
}

impl fmt::Display for StepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform { needs } => write!(formatter, "this platform has no {needs}"),
            Self::Missing { what, way_out } => {
                write!(formatter, "{what} is missing; to get it: {way_out}")
            }
            Self::Word(word) => write!(
                formatter,
                "unknown word '{word}'; {}",
                super::options::USAGE
            ),
            Self::NoWorkspace => write!(formatter, "run this inside the checkout"),
            Self::Start { program, source } => {
                write!(formatter, "{program} could not be started: {source}")
            }
            Self::Ended { program, status } => write!(formatter, "{program}: {status}"),
            Self::File { path, source } => {
                write!(formatter, "{} could not be used: {source}", path.display())
            }
            Self::Metadata(source) => write!(formatter, "the output of cargo metadata: {source}"),
            Self::Walls(broken) => write!(formatter, "{}", broken.join("; ")),
        }
    }
}

impl std::error::Error for StepError {}
