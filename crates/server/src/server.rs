//! A server: starting, stopping and restarting it, from anywhere.
//!
//! What takes time happens on a thread of its own, one change at a time; the phase says which. What
//! is made at the driver is `lifecycle`'s matter.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tidegate_httpapi::{Backend, BackendInfo, Endpoint, RequestQueueId, Scheme, TlsBindingInfo};
use tidegate_os::{KeptListeners, ListenAddress};

use crate::administration::{Administration, Prepared};
use crate::admission::Guard;
use crate::binding::Place;
use crate::builder::ServerBuilder;
use crate::component::{Component, Opened, Shared};
use crate::embedded;
use crate::error::Error;
use crate::event::{Events, ExceptionCause, panic_message};
use crate::files::Site;
use crate::forward::Forwards;
use crate::health;
use crate::http::ContentLimits;
use crate::lifecycle::{Bindings, Driver, Running};
use crate::metrics;
use crate::operations::Operation;
use crate::replaceable::Replaceable;
use crate::settings::Settings;
use crate::store::Stored;
use crate::tls::{Configuration, Plan};
use crate::traffic::Doors;
use crate::upload::Intake;
use crate::watchdog::{
    self, Monitor, ProbeError, Watch, WatchDogReason, WatchDogRestart, WatchDogSettings, Watched,
};
use crate::websocket::{Connections, Guid, Message, Recipients, SubProtocol, WriteError};

/// A server; clones are handles to the same one. Dropping the last handle stops it, without waiting.
///
/// ```no_run
/// # fn main() -> Result<(), tidegate::Error> {
/// let server = tidegate::Server::builder().port(8080).build()?;
/// server.start()?;
/// server.wait_started()?;
/// // …
/// server.stop();
/// server.wait_stopped();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

/// A handle that does not keep the server from being stopped when the others are dropped.
#[derive(Clone)]
pub(crate) struct WeakServer(Weak<Inner>);

impl WeakServer {
    /// The server, as long as it has other handles.
    pub(crate) fn upgrade(&self) -> Option<Server> {
        Some(Server {
            inner: self.0.upgrade()?,
        })
    }
}

struct Inner {
    shared: Arc<Shared>,
    /// The driver to run on, in place of one of its own.
    given: Option<Arc<dyn Backend>>,
    /// Guards the properties; held for reading and changing them only.
    settings: Mutex<Settings>,
    /// Guards the phase; never held while the driver or the application is called.
    state: Mutex<State>,
    /// Told of each change of the phase.
    changed: Condvar,
    /// What the watchdog knows.
    watch: Arc<Watch>,
    /// What asks whether the server answers, from when that was asked first. Locked while it is asked for.
    monitor: Mutex<Option<Monitor>>,
    /// The sockets that were handed over have been found in use once.
    listeners_matched: AtomicBool,
}

struct State {
    phase: Phase,
    /// While the phase is `Active`; the thread that makes a change has it otherwise.
    running: Option<Running>,
    /// The driver, as long as requests are taken.
    backend: Option<Arc<dyn Backend>>,
    /// The queue that they are taken from.
    queue: Option<RequestQueueId>,
    /// What they have to pass.
    guard: Option<Arc<Guard>>,
    /// What asks who may come in, as long as they are.
    doors: Option<Arc<Doors>>,
    /// What answers them.
    application: Option<Arc<Replaceable>>,
    /// Gives a link to the administration.
    sign_in_link: Option<SignInLink>,
    stop_requested: bool,
    /// Why the last start or restart failed.
    failure: Option<Error>,
}

/// Gives a link, each time another.
type SignInLink = Arc<dyn Fn() -> String + Send + Sync>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Stopped,
    /// It could not be started again, and the watchdog will try.
    Down,
    Starting,
    Active,
    Restarting,
    Stopping,
}

impl Server {
    /// Begins to set up a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    pub(crate) fn new(shared: Shared, given: Option<Arc<dyn Backend>>, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                given,
                settings: Mutex::new(settings),
                state: Mutex::new(State {
                    phase: Phase::Stopped,
                    running: None,
                    backend: None,
                    queue: None,
                    guard: None,
                    doors: None,
                    application: None,
                    sign_in_link: None,
                    stop_requested: false,
                    failure: None,
                }),
                changed: Condvar::new(),
                watch: Arc::default(),
                monitor: Mutex::default(),
                listeners_matched: AtomicBool::new(false),
            }),
        }
    }

    pub(crate) fn downgrade(&self) -> WeakServer {
        WeakServer(Arc::downgrade(&self.inner))
    }

    /// Begins to start the server, and returns at once.
    ///
    /// [`on_startup`](crate::Events::on_startup) tells when it listens, and
    /// [`wait_started`](Self::wait_started) waits for that; a failure goes to the latter and to
    /// [`on_exception`](crate::Events::on_exception).
    ///
    /// # Errors
    ///
    /// It is started already, or no thread can be made.
    pub fn start(&self) -> Result<(), Error> {
        self.begin(Phase::Starting, Scope::Changes, |phase| match phase {
            Phase::Stopped | Phase::Down => Ok(()),
            _ => Err(Error::AlreadyStarted),
        })
    }

    /// Waits until a start or restart is done.
    ///
    /// # Errors
    ///
    /// Why it failed, or that nobody has started the server.
    pub fn wait_started(&self) -> Result<(), Error> {
        let state = self.wait_while(|phase| matches!(phase, Phase::Starting | Phase::Restarting));
        match (&state.failure, state.phase) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Phase::Active) => Ok(()),
            (None, _) => Err(Error::NotStarted),
        }
    }

    /// Starts the server, and waits until it has been stopped, from a handle to it elsewhere.
    ///
    /// # Errors
    ///
    /// It is started already, or starting failed.
    pub fn run(&self) -> Result<(), Error> {
        self.start()?;
        let state = self.wait_while(|phase| phase != Phase::Stopped);
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Begins to stop the server, and returns at once: after [`shutdown_delay`](Settings::shutdown_delay) no more
    /// requests are taken, those in progress are given [`shutdown_deadline`](Settings::shutdown_deadline) to end.
    ///
    /// [`on_shutdown`](crate::Events::on_shutdown) tells when that is done, and
    /// [`wait_stopped`](Self::wait_stopped) waits for it. A server that is not started stays so.
    pub fn stop(&self) {
        let mut state = self.state();
        self.inner.watch.dismiss();
        match state.phase {
            Phase::Stopped | Phase::Stopping => {}
            Phase::Down => {
                state.phase = Phase::Stopped;
                self.inner.changed.notify_all();
            }
            Phase::Starting | Phase::Restarting => state.stop_requested = true,
            Phase::Active => {
                state.phase = Phase::Stopping;
                drop(state);
                let server = self.clone();
                if spawn(move || server.close()).is_err() {
                    // Without a thread to do it, the caller has to wait.
                    self.close();
                }
            }
        }
    }

    /// Waits until the server is stopped. Not for handlers, whose end the stop waits for.
    pub fn wait_stopped(&self) {
        drop(self.wait_while(|phase| phase != Phase::Stopped));
    }

    /// Begins to put changed [settings](Self::configure) into effect, and returns at once;
    /// [`wait_started`](Self::wait_started) waits.
    ///
    /// When only bindings, their certificates or their protocols differ, the bindings that stay keep their
    /// sockets and go on serving meanwhile, and of the events only
    /// [`on_before_binding`](crate::Events::on_before_binding) is called. Else the server stops and starts.
    /// A server that is not started is started. A certificate that has changed in its file needs none of
    /// this.
    ///
    /// # Errors
    ///
    /// It is being started or stopped, or no thread can be made.
    pub fn restart(&self) -> Result<(), Error> {
        self.begin(Phase::Restarting, Scope::Changes, |phase| match phase {
            Phase::Stopped | Phase::Down | Phase::Active => Ok(()),
            _ => Err(Error::Busy),
        })
    }

    /// Whether the server answers its clients: connects to each address that it listens on, and asks each worker
    /// thread, as the watchdog's [monitor](crate::WatchDogMonitor) does. Blocks for `within` at most; not for
    /// handlers in HighPerf mode, nor for async ones.
    ///
    /// # Errors
    ///
    /// It does not, or does not run. A server with as many connections as it may have is not asked.
    pub fn probe(&self, within: Duration) -> Result<(), ProbeError> {
        let (backend, bindings, settings) = {
            let state = self.state();
            let running = state.running.as_ref().ok_or(ProbeError::NotStarted)?;
            let bindings = running.bindings().to_vec();
            (
                Arc::clone(running.backend()),
                bindings,
                running.settings.clone(),
            )
        };
        backend.probe(within).map_err(ProbeError::Worker)?;
        let most = u64::from(settings.max_connections);
        if most != 0 && backend.connection_count() >= most {
            return Ok(());
        }
        let shared = &self.inner.shared;
        let runtime = shared.runtime().handle();
        let runtime = runtime.map_err(|error| ProbeError::NotAsked(Arc::new(error)))?;
        let questions = {
            let mut monitor = self.monitor();
            let not_asked = |error| ProbeError::NotAsked(Arc::new(error));
            if !monitor.as_ref().is_some_and(|there| there.is_of(&backend)) {
                *monitor = Some(Monitor::open(&backend).map_err(not_asked)?);
            }
            let Some(monitor) = &mut *monitor else {
                return Err(ProbeError::NotStarted);
            };
            monitor.follow(&bindings, &settings).map_err(not_asked)?;
            monitor.questions()
        };
        let answered = watchdog::ask(questions, within, runtime, shared.monitor_peers());
        // One that has begun to stop meanwhile owes nobody an answer.
        match answered {
            Err(_) if self.state().running.is_none() => Err(ProbeError::NotStarted),
            answered => answered,
        }
    }

    fn monitor(&self) -> MutexGuard<'_, Option<Monitor>> {
        let monitor = self.inner.monitor.lock();
        monitor.unwrap_or_else(PoisonError::into_inner)
    }

    /// All WebSocket connections: who there is, broadcasts, groups.
    pub fn connections(&self) -> Connections {
        Connections::new(Arc::clone(&self.inner.shared))
    }

    /// Sends a message to one WebSocket connection. See [`Connections::write_data`].
    pub fn write_data(&self, guid: Guid, message: impl Into<Message>) -> bool {
        self.connections().write_data(guid, message)
    }

    /// Sends a message to many WebSocket connections. See [`Connections::broadcast`].
    ///
    /// # Errors
    ///
    /// As [`Connections::broadcast`].
    pub fn broadcast(
        &self,
        message: impl Into<Message>,
        recipients: &Recipients,
    ) -> Result<(), WriteError> {
        self.connections().broadcast(message, recipients)
    }

    /// Sends an empty ping to all WebSocket connections. See [`Connections::ping`].
    ///
    /// # Errors
    ///
    /// As [`Connections::ping`].
    pub fn ping(&self) -> Result<(), WriteError> {
        self.connections().ping(b"")
    }

    /// Closes all WebSocket connections, with code 1000; the server goes on. See
    /// [`Connections::disconnect_all`].
    ///
    /// # Errors
    ///
    /// As [`Connections::disconnect_all`].
    pub fn disconnect_all(&self) -> Result<(), WriteError> {
        self.connections()
            .disconnect_all(crate::websocket::close_code::NORMAL, "")
    }

    /// Registers a sub-protocol in place of one of the same name; connections made from now on get it.
    pub fn register_protocol(&self, protocol: impl SubProtocol) {
        let hub = self.inner.shared.websockets();
        hub.register_protocol(Arc::new(protocol));
    }

    /// Takes a sub-protocol out; connections that speak it go on. Says whether there was one.
    pub fn unregister_protocol(&self, name: &str) -> bool {
        self.inner.shared.websockets().unregister_protocol(name)
    }

    /// Changes settings, to be put into effect by the next start or [restart](Self::restart).
    ///
    /// # Errors
    ///
    /// A number is out of its range, rules for other origins cannot be, or host and port form no binding;
    /// nothing is changed then.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Error> {
        let mut settings = self.settings();
        change(&mut settings);
        settings.check_all()?;
        *self.lock_settings() = settings;
        Ok(())
    }

    /// Makes all that a start makes, and takes it back, without listening: whether the settings can be put
    /// into effect, certificates read and folders opened. A server that runs is not touched.
    ///
    /// What only listening tells, such as an address in use, is not found out, and of the events only
    /// [`on_before_binding`](crate::Events::on_before_binding) is called.
    ///
    /// # Errors
    ///
    /// What a start would fail with.
    pub fn check(&self) -> Result<(), Error> {
        let mut settings = self.settings();
        let bindings = self.bindings(&settings)?;
        let (opened, accepts_websockets) = self.open_parts(&settings)?;
        // A driver that serves nobody needs no more.
        settings.io_threads = Some(1);
        settings.error_log.enabled = false;
        let listeners = KeptListeners::default();
        let backend = embedded::start(&settings, &bindings.stored, accepts_websockets, &listeners)?;
        let prepared = Configuration::new(Arc::clone(&backend)).prepare(&bindings.plan);
        backend.stop(Duration::ZERO);
        drop(opened);
        Ok(prepared?)
    }

    /// The settings, as they are for the next start or restart.
    pub fn settings(&self) -> Settings {
        self.lock_settings().clone()
    }

    fn lock_settings(&self) -> MutexGuard<'_, Settings> {
        let settings = self.inner.settings.lock();
        settings.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server takes requests.
    pub fn is_active(&self) -> bool {
        self.state().backend.is_some()
    }

    /// Where the server listens now.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let backend = self.state().backend.clone();
        backend.map_or_else(Vec::new, |backend| backend.endpoints())
    }

    /// The TLS bindings of the driver, with the certificates in use.
    pub fn tls_bindings(&self) -> Vec<TlsBindingInfo> {
        let backend = self.state().backend.clone();
        backend.map_or_else(Vec::new, |backend| backend.tls_bindings())
    }

    /// Reads the files of all certificates again now, instead of a few seconds after one has changed. New
    /// handshakes use what was read; open connections are not touched.
    ///
    /// # Errors
    ///
    /// The server is not started, or what was read cannot be used: that certificate stays as it was.
    pub fn reload_certificates(&self) -> Result<(), Error> {
        let backend = self.state().backend.clone().ok_or(Error::NotStarted)?;
        Ok(backend.reload_certificates()?)
    }

    /// The driver and the queue that requests are taken from, as long as they are.
    pub(crate) fn serving(&self) -> Option<(Arc<dyn Backend>, RequestQueueId)> {
        let state = self.state();
        Some((state.backend.clone()?, state.queue?))
    }

    /// Whether the server is about to stop, or has stopped.
    pub(crate) fn is_stopping(&self) -> bool {
        let state = self.state();
        state.stop_requested || matches!(state.phase, Phase::Stopping | Phase::Stopped)
    }

    /// Whether somebody would start the server anew.
    #[cfg(test)]
    pub(crate) fn is_watched(&self) -> bool {
        self.inner.watch.tries_again()
    }

    /// What requests have to pass, as long as they are taken.
    pub(crate) fn guard(&self) -> Option<Arc<Guard>> {
        self.state().guard.clone()
    }

    /// What answers requests, as long as they are taken.
    pub(crate) fn component(&self) -> Option<Arc<Component>> {
        let application = self.state().application.clone()?;
        Some(application.component())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// What asks who may come in; `None` within when nothing does.
    pub(crate) fn doors(&self) -> Result<Option<Arc<Doors>>, Error> {
        let state = self.state();
        if state.queue.is_none() {
            return Err(Error::NotStarted);
        }
        Ok(state.doors.clone())
    }

    /// A link to the [administration](crate::AdministrationSettings) that signs a browser in, once and within an
    /// hour; `None` while there is none.
    pub fn administration_link(&self) -> Option<String> {
        self.state().sign_in_link.as_ref().map(|link| link())
    }

    /// How many connections are open now.
    pub fn connection_count(&self) -> u64 {
        let backend = self.state().backend.clone();
        backend.map_or(0, |backend| backend.connection_count())
    }

    /// What the driver runs on; nothing is known of one that does not run.
    pub fn backend_info(&self) -> BackendInfo {
        let backend = self.state().backend.clone();
        backend.map_or_else(BackendInfo::default, |backend| backend.info())
    }

    /// Puts settings into effect while the server runs, and returns when that is done. No connection is closed
    /// and no request lost: those in progress end as they have begun.
    ///
    /// What the server serves may change, and where it listens: bindings and certificates, files, uploads,
    /// forwarding, rules for other origins, timeouts, the queue's length, the longest content; and what the
    /// [store](Settings::store) has, which is read again, but for the cache's limit. Cached responses
    /// are flushed. Of the events only [`on_before_binding`](crate::Events::on_before_binding) is called.
    ///
    /// # Errors
    ///
    /// What a [start](Self::start) would fail with; that other settings have changed, which only a start puts
    /// into effect ([`Error::NeedsStart`]); or that the server does not run. Nothing is changed then.
    pub fn reload(&self, settings: Settings) -> Result<(), Error> {
        settings.check_all()?;
        let mut state = self.state();
        let Some(mut running) = state.running.take() else {
            return Err(match state.phase {
                Phase::Stopped => Error::NotStarted,
                _ => Error::Busy,
            });
        };
        state.phase = Phase::Restarting;
        drop(state);
        let result = self.reload_running(&mut running, settings);
        if result.is_ok() {
            *self.lock_settings() = running.settings.clone();
            self.state().guard = running.guard().map(Arc::clone);
        }
        self.go_on(Some(running), None);
        result
    }

    fn reload_running(&self, running: &mut Running, settings: Settings) -> Result<(), Error> {
        let differences = running.settings.differences_for_start(&settings);
        if !differences.is_empty() {
            return Err(Error::NeedsStart(differences));
        }
        let bindings = self.bindings(&settings)?;
        let (opened, _) = self.open_parts(&settings)?;
        Ok(running.reload(settings, bindings, (&self.inner.shared, opened))?)
    }

    /// Enters `phase`, if it may follow the present one, and has a thread do what it is for.
    fn begin(
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
        let mut state = self.state();
        state.backend = running
            .as_ref()
            .map(|running| Arc::clone(running.backend()));
        state.queue = running.as_ref().map(Running::queue);
        state.guard = running.as_ref().and_then(Running::guard).map(Arc::clone);
        state.doors = running.as_ref().and_then(|running| running.doors.clone());
        state.application = running
            .as_ref()
            .map(|running| Arc::clone(running.application()));
        let administration = running
            .as_ref()
            .and_then(|running| running.administration.as_ref());
        state.sign_in_link = administration.map(Administration::sign_in_link);
        drop(state);
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
    fn go_on(&self, running: Option<Running>, failure: Option<Error>) {
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
    fn open_parts(&self, settings: &Settings) -> Result<(Opened, bool), Error> {
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
    fn bindings(&self, settings: &Settings) -> Result<Bindings, Error> {
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
    fn close(&self) {
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
        let mut state = self.state();
        state.backend = None;
        state.queue = None;
        state.guard = None;
        state.doors = None;
        state.application = None;
        state.sign_in_link = None;
        drop(state);
        self.tell(|events| events.on_shutdown(self));
        kept
    }

    fn tell(&self, call: impl FnOnce(&dyn Events)) {
        let events = self.inner.shared.events();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| call(events))) {
            events.panicked(None, &*payload);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, in_phase: impl Fn(Phase) -> bool) -> MutexGuard<'_, State> {
        self.inner
            .changed
            .wait_while(self.state(), |state| in_phase(state.phase))
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("phase", &self.state().phase)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.watch.dismiss();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = state.running.take() else {
            return;
        };
        // The last handle is gone, and stopping takes one, for the events.
        let settings = self
            .settings
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let server = Server {
            inner: Arc::new(Self {
                shared: Arc::clone(&self.shared),
                given: self.given.take(),
                settings: Mutex::new(settings.clone()),
                state: Mutex::new(State {
                    phase: Phase::Active,
                    running: Some(running),
                    backend: state.backend.take(),
                    queue: state.queue.take(),
                    guard: state.guard.take(),
                    doors: state.doors.take(),
                    application: state.application.take(),
                    sign_in_link: state.sign_in_link.take(),
                    stop_requested: false,
                    failure: None,
                }),
                changed: Condvar::new(),
                watch: Arc::default(),
                monitor: Mutex::new(
                    self.monitor
                        .get_mut()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take(),
                ),
                listeners_matched: AtomicBool::new(true),
            }),
        };
        server.stop();
    }
}

/// How much of a server a restart starts anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    /// What the settings have changed of it.
    Changes,
    /// All of it.
    Whole,
}

/// A server as its watchdog has it: being watched keeps nobody from dropping it.
struct WatchedServer(Weak<Inner>);

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

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name("tidegate-control".to_owned());
    match thread.spawn(work) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Thread(Arc::new(error))),
    }
}
