//! How a server starts, changes and stops: one change at a time, on a thread of its own.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tidegate_httpapi::{ApiError, Endpoint, Scheme};
use tidegate_os::ListenAddress;

use super::watched::WatchedServer;
use super::{Phase, Server, Serving};
use crate::administration::{Administration, Prepared};
use crate::admission::Guard;
use crate::binding::{Binding, Place};
use crate::component::Opened;
use crate::embedded;
use crate::error::Error;
use crate::event::{ExceptionCause, panic_message};
use crate::files::Site;
use crate::forward::Forwards;
use crate::health;
use crate::http::ContentLimits;
use crate::lifecycle::{Bindings, Driver, Running};
use crate::metrics;
use crate::operations::Operation;
use crate::settings::Settings;
use crate::store::Stored;
use crate::tls::{Configuration, Plan};
use crate::traffic::Doors;
use crate::upload::Intake;

impl Server {
    pub(super) fn reload_running(
        &self,
        running: &mut Running,
        settings: Settings,
    ) -> Result<(), Error> {
        let differences = running.settings.differences_for_start(&settings);
        if !differences.is_empty() {
            return Err(Error::NeedsStart(differences));
        }
        let bindings = self.bindings(&settings)?;
        let (opened, _) = self.open_parts(&settings)?;
        Ok(running.reload(settings, bindings, (&self.inner.shared, opened))?)
    }

    /// Enters `phase`, if it may follow the present one, and has a thread do what it is for.
    pub(super) fn begin(
        &self,
        phase: Phase,
        scope: Scope,
        may_follow: impl FnOnce(Phase) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut state = self.state();
        may_follow(state.phase)?;
        let before = std::mem::replace(&mut state.phase, phase);
        state.failure = None;
        self.inner.watch.want();
        let running = state.running.take();
        drop(state);
        let handover = Arc::new(Mutex::new(running));
        let (server, taken) = (self.clone(), Arc::clone(&handover));
        let spawned = spawn(move || {
            let running = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            server.open(running, scope);
        });
        if let Err(error) = spawned {
            let mut state = self.state();
            state.phase = before;
            state.running = handover
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            self.inner.changed.notify_all();
            return Err(error);
        }
        Ok(())
    }

    /// Starts, or restarts what is running.
    fn open(&self, running: Option<Running>, scope: Scope) {
        let settings = self.settings();
        let is_rebinding = scope == Scope::Changes
            && running
                .as_ref()
                .is_some_and(|running| running.settings.differs_in_bindings_only(&settings));
        let (running, result) = match running {
            Some(running) if is_rebinding => self.rebind(running, settings),
            running => {
                let kept = running.map(|running| self.shut_down(running));
                match self.start_driver(settings, kept) {
                    Ok(running) => (Some(running), Ok(())),
                    Err(error) => (None, Err(error)),
                }
            }
        };
        self.state().serving = running.as_ref().map(Serving::of);
        if running.is_some() && !is_rebinding {
            self.tell(|events| events.on_startup(self));
        }
        if let Err(error) = &result {
            let cause = ExceptionCause::Start(error.clone());
            self.inner.shared.events().exception(None, cause);
        }
        self.go_on(running, result.err());
    }

    /// Ends a change: what runs is what is running from now on.
    pub(super) fn go_on(&self, running: Option<Running>, failure: Option<Error>) {
        let mut state = self.state();
        state.failure = failure;
        state.phase = match &running {
            Some(_) => Phase::Active,
            None if !state.stop_requested && self.inner.watch.tries_again() => Phase::Down,
            None => Phase::Stopped,
        };
        let is_watched = running
            .as_ref()
            .is_some_and(|running| running.settings.watchdog.enabled);
        state.running = running;
        let stop_requested = std::mem::take(&mut state.stop_requested);
        if stop_requested && state.phase == Phase::Active {
            state.phase = Phase::Stopping;
            drop(state);
            return self.close();
        }
        drop(state);
        if is_watched && self.inner.watch.begin() {
            self.watch();
        }
        self.inner.changed.notify_all();
    }

    /// Has a thread watch the server.
    fn watch(&self) {
        let watch = Arc::clone(&self.inner.watch);
        let server = WatchedServer(Arc::downgrade(&self.inner));
        let thread = thread::Builder::new().name("tidegate-watchdog".to_owned());
        if let Err(error) = thread.spawn(move || watch.run(&server)) {
            tracing::error!(%error, "there is no thread for the watchdog");
            self.inner.watch.has_not_begun();
        }
    }

    fn start_driver(
        &self,
        settings: Settings,
        kept: Option<Configuration>,
    ) -> Result<Running, Error> {
        let bindings = self.bindings(&settings)?;
        let (opened, accepts_websockets) = self.open_parts(&settings)?;
        let administration = Prepared::open(&settings)?;
        let driver = match &self.inner.given {
            Some(given) => Driver {
                backend: Arc::clone(given),
                owned: false,
            },
            None => Driver {
                backend: embedded::start(
                    &settings,
                    &bindings.stored,
                    accepts_websockets,
                    self.inner.shared.listeners(),
                )?,
                owned: true,
            },
        };
        let shared = Arc::downgrade(&self.inner.shared);
        let listener = self.inner.watch.next_listener(Box::new(move |failure| {
            if let Some(shared) = shared.upgrade() {
                let cause = ExceptionCause::Driver(failure.clone());
                shared.events().exception(None, cause);
            }
        }));
        driver.backend.set_failure_listener(Some(listener));
        let running = Running::start(
            driver,
            settings,
            bindings,
            kept,
            (&self.inner.shared, opened),
        )?;
        let mut running = self.match_listeners(running)?;
        if let Some(prepared) = administration {
            let at = (running.backend(), running.queue());
            let started = Administration::start(prepared, &running.settings, at, self.downgrade());
            match started {
                Ok(administration) => running.administration = Some(administration),
                Err(error) => {
                    running.stop();
                    return Err(error);
                }
            }
        }
        Ok(running)
    }

    /// Looks whether all sockets that were handed over are used. Later, bindings may be taken out.
    fn match_listeners(&self, running: Running) -> Result<Running, Error> {
        let endpoints = running.backend().endpoints();
        let used: Vec<_> = endpoints
            .into_iter()
            .map(|endpoint| match endpoint {
                Endpoint::Tcp(address) => ListenAddress::Tcp(address),
                Endpoint::Unix(path) => ListenAddress::Unix(path),
            })
            .collect();
        let unused = self.inner.shared.listeners().unused(&used);
        // Only the control thread comes here, one at a time.
        let was_matched = self.inner.listeners_matched.load(Ordering::Relaxed);
        if unused.is_empty() || was_matched {
            self.inner.listeners_matched.store(true, Ordering::Relaxed);
            return Ok(running);
        }
        running.stop();
        let names = unused.iter();
        Err(Error::UnusedListeners(
            names
                .map(|(name, address)| format!("{name} ({address})"))
                .collect(),
        ))
    }

    /// Makes what of the settings may fail, and says whether WebSockets are accepted.
    pub(super) fn open_parts(&self, settings: &Settings) -> Result<(Opened, bool), Error> {
        let shared = &self.inner.shared;
        let forwards = Forwards::new(shared, settings)?;
        let forwards_websockets = settings.forward.iter().any(|forward| forward.websockets);
        let accepts_websockets = forwards_websockets || shared.events().accepts_websockets();
        let sites: Result<Vec<_>, _> = settings.files.iter().map(Site::open).collect();
        let limits = ContentLimits::of(settings);
        let opened = Opened {
            doors: Doors::open(settings)?,
            forwards,
            sites: sites?,
            intake: Intake::open(settings, shared.events(), limits)?,
            guard: Guard::open(
                &settings.authentication,
                &settings.api_keys,
                settings.thread_pool_size,
                shared,
            )?,
            operations: self.operations(settings)?,
        };
        Ok((opened, accepts_websockets))
    }

    /// What the settings have served beside the application.
    fn operations(&self, settings: &Settings) -> Result<Vec<Operation>, Error> {
        let mut operations = Vec::new();
        operations.extend(metrics::operation(self.downgrade(), settings)?);
        operations.extend(health::operations(&self.downgrade(), settings));
        Ok(operations)
    }

    fn rebind(
        &self,
        mut running: Running,
        settings: Settings,
    ) -> (Option<Running>, Result<(), Error>) {
        let result = match self.bindings(&settings) {
            Ok(bindings) => running.rebind(bindings).map_err(Error::from),
            Err(error) => Err(error),
        };
        running.settings = settings;
        (Some(running), result)
    }

    /// The bindings of the settings, as the application changes them.
    pub(super) fn bindings(&self, settings: &Settings) -> Result<Bindings, Error> {
        let mut bindings = settings.collect_bindings()?;
        let events = self.inner.shared.events();
        let told = catch_unwind(AssertUnwindSafe(|| events.on_before_binding(&mut bindings)));
        if let Err(payload) = told {
            return Err(Error::HandlerPanicked {
                event: "on_before_binding",
                message: panic_message(&*payload),
            });
        }
        if bindings.is_empty() {
            return Err(Error::NoBinding);
        }
        let mut all = bindings.clone();
        all.extend(settings.operation_bindings());
        all.extend(settings.administration_bindings()?);
        check_prefixes(&all)?;
        let stored = Stored::read(settings.store.as_deref())?;
        let is_https = |port| {
            let mut prefixes = bindings.iter().filter_map(|binding| match binding.place() {
                Place::Prefix(prefix) if prefix.scheme == Scheme::Https => Some(prefix.port),
                _ => None,
            });
            settings.binding_options.configure_ssl_certificate
                && prefixes.any(|https| https == port)
        };
        let plan = Plan::new(&all, settings, stored.tls(is_https)?)?;
        Ok(Bindings {
            list: bindings,
            plan,
            timeouts: stored.timeouts(settings),
            stored,
        })
    }

    /// Stops. The phase is `Stopping`.
    pub(super) fn close(&self) {
        let running = self.state().running.take();
        if let Some(running) = running {
            // All goes on, but it is said that it will not.
            thread::sleep(running.settings.shutdown_delay);
            self.shut_down(running);
        }
        self.state().phase = Phase::Stopped;
        self.inner.changed.notify_all();
    }

    /// Gives what is left at the driver, for a start that follows.
    fn shut_down(&self, running: Running) -> Configuration {
        // They have no end of their own, and the stop would wait for that.
        self.inner.shared.event_streams().end();
        if let Some(monitor) = self.monitor().take() {
            monitor.close();
        }
        running.backend().set_failure_listener(None);
        let kept = running.stop();
        self.state().serving = None;
        self.tell(|events| events.on_shutdown(self));
        kept
    }
}

impl Serving {
    pub(super) fn of(running: &Running) -> Self {
        let administration = running.administration.as_ref();
        Self {
            backend: Arc::clone(running.backend()),
            queue: running.queue(),
            guard: running.guard().map(Arc::clone),
            doors: running.doors.clone(),
            component: Arc::clone(running.component()),
            sign_in_link: administration.map(Administration::sign_in_link),
        }
    }
}

/// How much of a server a restart starts anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// What the settings have changed of it.
    Changes,
    /// All of it.
    Whole,
}

pub(super) fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name("tidegate-control".to_owned());
    match thread.spawn(work) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Thread(Arc::new(error))),
    }
}

/// That each URL is there once, and each port carries one scheme: the driver would refuse the second.
fn check_prefixes(bindings: &[Binding]) -> Result<(), ApiError> {
    let (mut prefixes, mut schemes) = (HashSet::new(), HashMap::new());
    for binding in bindings {
        let Place::Prefix(prefix) = binding.place() else {
            continue;
        };
        let carried = *schemes.entry(prefix.port).or_insert(prefix.scheme);
        if carried != prefix.scheme {
            return Err(ApiError::SchemeConflict {
                prefix: prefix.to_string(),
                carried,
            });
        }
        if !prefixes.insert(prefix.to_string()) {
            return Err(ApiError::AlreadyRegistered {
                prefix: prefix.to_string(),
            });
        }
    }
    Ok(())
}
