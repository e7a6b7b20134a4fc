//! What the system or a person asks of the running program: Unix signals.

use std::io;

use tokio::signal::unix::{self, SignalKind, signal};

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Signal {
    /// To stop: Ctrl-C (SIGINT) or SIGTERM.
    Stop,
    /// SIGUSR2: to start the program anew.
    Upgrade,
    /// SIGHUP, which ends a program that does not listen to it.
    Hangup,
}

/// Listens from when it is made. Belongs to a tokio runtime.
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
    upgrade: unix::Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Hangup,
            _ = self.upgrade.recv() => Signal::Upgrade,
        }
    }

    /// The next one to stop; others are of no use any more.
    pub(crate) async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}
