//! A server: what is asked of it, from anywhere.
//!
//! What takes time happens on a thread of its own, one change at a time; the phase says which, and `control` has what
//! is done then. What is made at the driver is `lifecycle`'s matter.

mod control;
mod watched;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tidegate_httpapi::{Backend, BackendInfo, Endpoint, RequestQueueId, TlsBindingInfo};
use tidegate_os::KeptListeners;

use crate::admission::Guard;
use crate::builder::ServerBuilder;
use crate::component::{Component, Shared};
use crate::embedded;
use crate::error::Error;
use crate::event::Events;
use crate::lifecycle::Running;
use crate::settings::Settings;
use crate::tls::Configuration;
use crate::traffic::Doors;
use crate::watchdog::{self, Monitor, ProbeError, Watch};
use crate::websocket::{Connections, Guid, Message, Recipients, SubProtocol, WriteError};
use control::{Scope, spawn};

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
    /// As long as requests are taken.
    serving: Option<Serving>,
    stop_requested: bool,
    /// Why the last start or restart failed.
    failure: Option<Error>,
}

/// What takes requests, for who asks it something while it does.
struct Serving {
    backend: Arc<dyn Backend>,
    /// The queue that they are taken from.
    queue: RequestQueueId,
    /// What they have to pass.
    guard: Option<Arc<Guard>>,
    /// What asks who may come in.
    doors: Option<Arc<Doors>>,
    /// What answers them.
    component: Arc<Component>,
    /// Gives a link to the administration.
    sign_in_link: Option<SignInLink>,
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
                    serving: None,
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
        self.state().serving.is_some()
    }

    /// Where the server listens now.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.backend()
            .map_or_else(Vec::new, |backend| backend.endpoints())
    }

    /// The TLS bindings of the driver, with the certificates in use.
    pub fn tls_bindings(&self) -> Vec<TlsBindingInfo> {
        self.backend()
            .map_or_else(Vec::new, |backend| backend.tls_bindings())
    }

    /// Reads the files of all certificates again now, instead of a few seconds after one has changed. New
    /// handshakes use what was read; open connections are not touched.
    ///
    /// # Errors
    ///
    /// The server is not started, or what was read cannot be used: that certificate stays as it was.
    pub fn reload_certificates(&self) -> Result<(), Error> {
        let backend = self.backend().ok_or(Error::NotStarted)?;
        Ok(backend.reload_certificates()?)
    }

    /// The driver and the queue that requests are taken from, as long as they are.
    pub(crate) fn serving(&self) -> Option<(Arc<dyn Backend>, RequestQueueId)> {
        let state = self.state();
        let serving = state.serving.as_ref()?;
        Some((Arc::clone(&serving.backend), serving.queue))
    }

    fn backend(&self) -> Option<Arc<dyn Backend>> {
        self.serving().map(|(backend, _)| backend)
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
        self.state().serving.as_ref()?.guard.clone()
    }

    /// What answers requests, as long as they are taken.
    pub(crate) fn component(&self) -> Option<Arc<Component>> {
        Some(Arc::clone(&self.state().serving.as_ref()?.component))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// What asks who may come in; `None` within when nothing does.
    pub(crate) fn doors(&self) -> Result<Option<Arc<Doors>>, Error> {
        let state = self.state();
        let serving = state.serving.as_ref().ok_or(Error::NotStarted)?;
        Ok(serving.doors.clone())
    }

    /// A link to the [administration](crate::AdministrationSettings) that signs a browser in, once and within an
    /// hour; `None` while there is none.
    pub fn administration_link(&self) -> Option<String> {
        let link = self.state().serving.as_ref()?.sign_in_link.clone()?;
        Some(link())
    }

    /// How many connections are open now.
    pub fn connection_count(&self) -> u64 {
        self.backend()
            .map_or(0, |backend| backend.connection_count())
    }

    /// What the driver runs on; nothing is known of one that does not run.
    pub fn backend_info(&self) -> BackendInfo {
        self.backend()
            .map_or_else(BackendInfo::default, |backend| backend.info())
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
        self.state().serving = Some(Serving::of(&running));
        if result.is_ok() {
            *self.lock_settings() = running.settings.clone();
        }
        self.go_on(Some(running), None);
        result
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
                    serving: state.serving.take(),
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
