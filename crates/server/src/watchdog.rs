//! The watchdog: starts the server anew when it has stopped though nobody asked it to.
//!
//! Holds when that is to be done and how often; how a server is started is `server`'s matter, whether it
//! answers is found out by `monitor`. The watchdog lives on a thread of its own from the first start that
//! succeeds to the stop that somebody asks for. It does not survive the process: a supervisor does.
//! Source: the component's WatchDog.

mod monitor;
mod settings;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidegate_httpapi::{BackendFailure, FailureListener};

pub(crate) use monitor::{Monitor, MonitorPeers, ask};
pub use monitor::{ProbeError, ProbeFault};
pub use settings::{WatchDogMonitor, WatchDogSettings};

use crate::error::Error;

/// Why the watchdog starts a server anew, and how often it has tried.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchDogRestart {
    /// What has happened.
    pub reason: WatchDogReason,
    /// Which attempt it is, from 1 on. A server that has run for an interval begins anew with 1.
    pub attempt: u32,
}

/// What the watchdog has seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchDogReason {
    /// A part of the driver serves no more.
    Failed(BackendFailure),
    /// The server does not answer a client.
    Silent(ProbeError),
    /// Starting it again has failed, for this reason.
    NotStarted(Error),
}

impl std::fmt::Display for WatchDogReason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(formatter),
            Self::Silent(error) => error.fmt(formatter),
            Self::NotStarted(error) => write!(formatter, "it could not be started: {error}"),
        }
    }
}

/// What a server's watchdog knows, and is woken by. Has a lock of its own, under which nothing is called.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The server has been started and nobody has asked it to stop.
    is_wanted: bool,
    /// The thread is there.
    is_watched: bool,
    /// Which of the server's drivers runs now.
    generation: u64,
    /// What of it has failed, once.
    failure: Option<BackendFailure>,
}

/// What ended a wait of the watchdog.
enum Wake {
    Unwanted,
    Failure(BackendFailure),
    Time,
}

/// What the watchdog does to its server.
pub(crate) trait Watched {
    /// The settings now; `None` once the server is gone.
    fn settings(&self) -> Option<WatchDogSettings>;

    /// Whether something is wrong with it, as far as nobody has told.
    fn look(&self, monitor: Option<Duration>) -> Option<WatchDogReason>;

    /// Starts it anew, and waits for that. False: somebody else is about to start or stop it.
    fn restart(&self, restart: &WatchDogRestart) -> bool;

    /// There will be no further attempt.
    fn give_up(&self);
}

impl Watch {
    /// The server is to run from now on.
    pub(crate) fn want(&self) {
        self.state().is_wanted = true;
    }

    /// The server is not to run any more.
    pub(crate) fn dismiss(&self) {
        self.state().is_wanted = false;
        self.changed.notify_all();
    }

    /// Whether a server that cannot be started will be tried again.
    pub(crate) fn tries_again(&self) -> bool {
        let state = self.state();
        state.is_wanted && state.is_watched
    }

    /// The listener of the next driver, in place of that of the last.
    pub(crate) fn next_listener(self: &Arc<Self>, tell: Tell) -> Arc<dyn FailureListener> {
        let mut state = self.state();
        state.generation += 1;
        state.failure = None;
        Arc::new(Listener {
            watch: Arc::clone(self),
            generation: state.generation,
            tell,
        })
    }

    /// Begins to watch, unless somebody does or nobody wants the server: then `run` is to be called.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state();
        let begins = state.is_wanted && !state.is_watched;
        state.is_watched |= begins;
        begins
    }

    /// The thread could not be made.
    pub(crate) fn has_not_begun(&self) {
        self.state().is_watched = false;
    }

    /// Watches until the server is not wanted any more.
    pub(crate) fn run(&self, server: &dyn Watched) {
        let (mut attempts, mut last) = (0, None::<Instant>);
        loop {
            let settings = server.settings().filter(|settings| settings.enabled);
            let Some(settings) = settings else {
                return self.state().is_watched = false;
            };
            let reason = match self.wait(settings.interval) {
                Wake::Unwanted => return,
                Wake::Failure(failure) => Some(WatchDogReason::Failed(failure)),
                Wake::Time => server.look(settings.monitor_timeout()),
            };
            let since = |last: Option<Instant>| last.map(|last: Instant| last.elapsed());
            let Some(reason) = reason else {
                if since(last).is_none_or(|since| since >= settings.interval) {
                    attempts = 0;
                }
                continue;
            };
            if settings.attempts != 0 && attempts >= settings.attempts {
                tracing::error!(attempts, "the watchdog gives up: {reason}");
                self.state().is_watched = false;
                return server.give_up();
            }
            // What fails as soon as it is started does so once in an interval.
            let pause = since(last).map_or(Duration::ZERO, |since| {
                settings.interval.saturating_sub(since)
            });
            if !self.pause(pause) {
                return;
            }
            let restart = WatchDogRestart {
                reason,
                attempt: attempts + 1,
            };
            tracing::warn!(
                attempt = restart.attempt,
                "the watchdog starts the server anew: {}",
                restart.reason
            );
            last = Some(Instant::now());
            if server.restart(&restart) {
                attempts += 1;
            }
        }
    }

    /// Waits for a failure, at most this long.
    fn wait(&self, most: Duration) -> Wake {
        let waits = |state: &mut State| state.is_wanted && state.failure.is_none();
        let waited = self
            .changed
            .wait_timeout_while(self.state(), most, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = waited.0;
        if !state.is_wanted {
            state.is_watched = false;
            return Wake::Unwanted;
        }
        match state.failure.take() {
            Some(failure) => Wake::Failure(failure),
            None => Wake::Time,
        }
    }

    /// Waits; false when the server is not wanted any more.
    fn pause(&self, time: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), time, |state| state.is_wanted)
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = waited.0;
        state.is_watched &= state.is_wanted;
        state.is_wanted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Tell = Box<dyn Fn(&BackendFailure) + Send + Sync>;

/// Hears of failures of one driver, as long as that is the server's.
struct Listener {
    watch: Arc<Watch>,
    generation: u64,
    /// Tells the application.
    tell: Tell,
}

impl FailureListener for Listener {
    fn failed(&self, failure: BackendFailure) {
        if self.watch.state().generation != self.generation {
            return;
        }
        (self.tell)(&failure);
        let mut state = self.watch.state();
        if state.generation == self.generation {
            state.failure.get_or_insert(failure);
            drop(state);
            self.watch.changed.notify_all();
        }
    }
}
