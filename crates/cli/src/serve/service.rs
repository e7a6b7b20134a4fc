//! Being a service: sockets that were handed over, and what the service manager is told.
//!
//! The service manager is systemd or the supervisor (`supervise`). What is handed over and how is the
//! component's matter (`tidegate::service`).

use std::thread;
use std::time::{Duration, Instant};

use tidegate::Server;
use tidegate::service::{
    Handover, KeptListeners, Lifeline, Notifier, raise_open_files_max, service_watchdog,
};
use tokio::sync::oneshot;

use crate::console::say;

/// What above this process wants to know of it.
#[derive(Debug, Default)]
pub(super) struct Service {
    manager: Option<Notifier>,
    /// How often it wants to hear that the server answers.
    watchdog: Option<Duration>,
    supervisor: Option<Lifeline>,
}

impl Service {
    /// Takes what was handed to this process. To be called before anything is opened.
    ///
    /// # Errors
    ///
    /// What it was cannot be used; for a person.
    pub(super) fn take() -> Result<(Self, KeptListeners), String> {
        let handover = Handover::take().map_err(|error| error.to_string())?;
        // Where the system does not let it be raised, the server has as many connections as there are.
        let _ = raise_open_files_max();
        let service = Self {
            manager: Notifier::from_environment().map_err(|error| error.to_string())?,
            watchdog: service_watchdog().map_err(|error| error.to_string())?,
            supervisor: handover.supervisor,
        };
        Ok((service, handover.listeners))
    }

    /// The server serves.
    pub(super) fn started(&mut self, server: &Server) {
        self.tell(&format!("READY=1\nSTATUS={}\n", status(server)));
        let Some(every) = self.watchdog.take() else {
            return;
        };
        let (server, period) = (server.clone(), every / 2);
        let manager = match Notifier::from_environment() {
            Ok(Some(manager)) => manager,
            _ => return,
        };
        let watch = move || {
            loop {
                let begun = Instant::now();
                // Silence says the rest.
                if server.probe(period).is_ok() && manager.tell("WATCHDOG=1\n").is_err() {
                    return;
                }
                thread::sleep(period.saturating_sub(begun.elapsed()));
            }
        };
        if let Err(error) = thread::Builder::new().spawn(watch) {
            say(format_args!(
                "nothing tells the service manager's watchdog: {error}"
            ));
        }
    }

    /// Settings are about to be read again; `reloaded` has to follow.
    pub(super) fn reloading(&self) {
        if let Some(manager) = &self.manager {
            let _ = manager.tell_reloading();
        }
    }

    /// Settings have been read again, whatever came of it.
    pub(super) fn reloaded(&self, server: &Server) {
        self.tell(&format!("READY=1\nSTATUS={}\n", status(server)));
    }

    /// The server begins to stop.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=requests in progress are ended\n");
    }

    /// Comes when the supervisor has ended, if there was one.
    pub(super) fn supervisor_ended(&mut self) -> oneshot::Receiver<()> {
        let (ended, receiver) = oneshot::channel();
        let wait = self.supervisor.take().map(|supervisor| {
            thread::Builder::new().spawn(move || {
                supervisor.wait_for_end();
                let _ = ended.send(());
            })
        });
        if let Some(Err(error)) = wait {
            say(format_args!(
                "an end of the supervisor will not be noticed: {error}"
            ));
        }
        receiver
    }

    /// A service manager that is gone wants to know nothing.
    fn tell(&self, lines: &str) {
        if let Some(manager) = &self.manager {
            let _ = manager.tell(lines);
        }
    }
}

fn status(server: &Server) -> String {
    format!("serving at {}", super::report::endpoints(server))
}
