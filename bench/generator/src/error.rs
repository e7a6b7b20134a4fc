//! Why a run of the load generator failed.

use std::fmt;
use std::io;

/// Why a run failed: a wrong command line, the system, or a server that does not answer as it should.
#[derive(Debug)]
pub(crate) enum GeneratorError {
    /// The command line has a word it should not have, or lacks one.
    Argument {
        word: String,
        expected: &'static str,
    },
    /// A system call failed.
    System {
        call: &'static str,
        source: io::Error,
    },
    /// TLS could not be set up.
    Tls(rustls::Error),
    /// The server's answer is not the one the workload asks for.
    Answer { fault: AnswerFault, head: String },
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AnswerFault {
    /// The connection ended inside the answer.
    Ended,
    /// The status is not 200, or the status line is not HTTP/1.1's.
    Status,
    /// No `Content-Length` that can be read.
    Length,
    /// `Connection: close` where the connection should stay.
    Closing,
    /// The content is not the route's content.
    Content,
    /// More bytes than the first answer had, or an answer that does not begin where it should.
    Framing,
    /// A handshake's answer to another key.
    Accept,
    /// Compression was not agreed on as asked for, or was without being asked for.
    Extensions,
    /// Not a whole message in a frame of the kind that was sent; of HTTP/2, a frame that cannot be
    /// or that no load needs.
    Frame,
    /// The server ended a stream before its answer's end.
    Reset,
    /// The server does not keep, or lend, the windows that the load needs.
    Window,
    /// ALPN did not agree on the protocol of the load.
    Protocol,
    /// The server did not resume sessions, or did when they were not offered.
    Resumption,
}

impl From<rustls::Error> for GeneratorError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

impl fmt::Display for GeneratorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { word, expected } => write!(f, "{word:?}: expected {expected}"),
            Self::System { call, source } => write!(f, "{call}: {source}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Answer { fault, head } => write!(f, "the answer is wrong ({fault:?}): {head:?}"),
        }
    }
}
