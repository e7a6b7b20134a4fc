//! Why a benchmark could not be run.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a benchmark could not be run.
#[derive(Debug)]
pub(crate) enum BenchError {
    /// The command line has a word it should not have, or lacks one.
    Argument { word: String, expected: String },
    /// A program could not be started.
    Start { program: String, source: io::Error },
    /// A program ended with an error.
    Failed { program: String, output: String },
    /// The load generator gave up; what it said.
    Load { output: String },
    /// A server did not begin to listen; the end of what it said.
    Silent {
        server: &'static str,
        output: String,
    },
    /// A program or file that a server needs is not there, and how to get it.
    Missing {
        what: &'static str,
        remedy: &'static str,
    },
    /// A file could not be read or written.
    File { path: PathBuf, source: io::Error },
    /// The load generator's report could not be read.
    Report {
        text: String,
        source: serde_json::Error,
    },
}

impl BenchError {
    /// For `map_err` at a file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { word, expected } => write!(f, "{word:?}: expected {expected}"),
            Self::Start { program, source } => write!(f, "{program}: {source}"),
            Self::Failed { program, output } => write!(f, "{program} failed: {output}"),
            Self::Load { output } => write!(f, "{output}"),
            Self::Silent { server, output } => write!(f, "{server} does not listen: {output}"),
            Self::Missing { what, remedy } => write!(f, "{what} is missing; {remedy}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Report { text, source } => write!(f, "report {text:?}: {source}"),
        }
    }
}
