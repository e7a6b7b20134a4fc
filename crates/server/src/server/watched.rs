//! A server as its watchdog sees it.

use std::sync::Weak;
use std::time::Duration;

use super::control::Scope;
use super::{Inner, Phase, Server};
use crate::error::Error;
use crate::watchdog::{ProbeError, WatchDogReason, WatchDogRestart, WatchDogSettings, Watched};

/// A server as its watchdog has it: being watched keeps nobody from dropping it.
pub(super) struct WatchedServer(pub(super) Weak<Inner>);

impl WatchedServer {
    fn server(&self) -> Option<Server> {
        Some(Server {
            inner: self.0.upgrade()?,
        })
    }
}

impl Watched for WatchedServer {
    fn settings(&self) -> Option<WatchDogSettings> {
        Some(self.server()?.lock_settings().watchdog.clone())
    }

    fn look(&self, monitor: Option<Duration>) -> Option<WatchDogReason> {
        let server = self.server()?;
        {
            let state = server.state();
            if state.phase == Phase::Down {
                let failure = state.failure.clone().unwrap_or(Error::NotStarted);
                return Some(WatchDogReason::NotStarted(failure));
            }
        }
        match server.probe(monitor?) {
            // It is being started or stopped.
            Ok(()) | Err(ProbeError::NotStarted) => None,
            Err(error) => Some(WatchDogReason::Silent(error)),
        }
    }

    fn restart(&self, restart: &WatchDogRestart) -> bool {
        let Some(server) = self.server() else {
            return false;
        };
        server.tell(|events| events.on_watchdog_restart(&server, restart));
        let begun = server.begin(Phase::Restarting, Scope::Whole, |phase| match phase {
            Phase::Down | Phase::Active => Ok(()),
            _ => Err(Error::Busy),
        });
        if begun.is_ok() {
            // Why it failed is told by the next look.
            let _ = server.wait_started();
        }
        begun.is_ok()
    }

    fn give_up(&self) {
        let Some(server) = self.server() else {
            return;
        };
        let mut state = server.state();
        if state.phase == Phase::Down {
            state.phase = Phase::Stopped;
            server.inner.changed.notify_all();
        }
    }
}
