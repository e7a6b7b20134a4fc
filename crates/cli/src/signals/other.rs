//! What the system or a person asks of the running program: Ctrl-C, where there are no Unix signals.

use std::io;

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Signal {
    /// To stop: Ctrl-C.
    Stop,
    /// A Unix signal; never here.
    #[allow(dead_code, reason = "the caller treats all platforms alike")]
    Hangup,
    /// A Unix signal; never here.
    #[allow(dead_code, reason = "the caller treats all platforms alike")]
    Upgrade,
}

/// Listens once it is asked for the first. Belongs to a tokio runtime.
pub(crate) struct Signals;

impl Signals {
    #[allow(
        clippy::unnecessary_wraps,
        reason = "it can fail on the other platforms"
    )]
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Stop,
            // Nothing will ever be asked: the program runs until it is ended from outside.
            Err(_) => std::future::pending().await,
        }
    }

    /// The next one to stop; others are of no use any more.
    pub(crate) async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}
