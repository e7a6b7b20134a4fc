//! What a started server holds at its driver: a session, a URL group, a request queue, its bindings with
//! their certificates.
//!
//! When to start and stop is `server`'s matter.

use std::sync::Arc;
use std::time::Duration;

use tidegate_httpapi::{
    ApiError, Application, Backend, CacheFlush, OperatingMode, RequestQueueId, ServerSessionId,
    Timeouts, UrlGroupId,
};

use crate::administration::Administration;
use crate::admission::Guard;
use crate::binding::{Binding, Place};
use crate::component::{Component, Doorman, Opened, Shared};
use crate::operations::Operations;
use crate::settings::Settings;
use crate::store::Stored;
use crate::tls::{Configuration, Plan};
use crate::traffic::Doors;
use crate::upload::InProgress;
use crate::websocket::Fallback;

/// A driver, and whose it is.
pub(crate) struct Driver {
    pub(crate) backend: Arc<dyn Backend>,
    /// Whether it was made for this server, to be stopped with it.
    pub(crate) owned: bool,
}

/// Where a server is to listen, and what it needs for that.
pub(crate) struct Bindings {
    pub(crate) list: Vec<Binding>,
    pub(crate) plan: Plan,
    /// What the store has.
    pub(crate) stored: Stored,
    /// The driver's timers, by the settings and the store.
    pub(crate) timeouts: Timeouts,
}

/// What a started server holds at its driver.
pub(crate) struct Running {
    driver: Driver,
    session: ServerSessionId,
    group: UrlGroupId,
    queue: RequestQueueId,
    filters_connections: bool,
    bindings: Vec<Binding>,
    configuration: Configuration,
    stored: Stored,
    timeouts: Timeouts,
    component: Arc<Component>,
    /// Of the component, and of those before it that have not ended theirs.
    uploads: Vec<Arc<InProgress>>,
    fallback: Option<Arc<Fallback>>,
    guard: Option<Arc<Guard>>,
    /// What asks how often.
    pub(crate) doors: Option<Arc<Doors>>,
    operations: Operations,
    /// What those who look after it see.
    pub(crate) administration: Option<Administration>,
    /// What it was started with.
    pub(crate) settings: Settings,
}

impl Running {
    /// Makes all of it, and listens. What was made is undone when something fails. `kept` is what the
    /// server that was running before has left at its driver.
    pub(crate) fn start(
        driver: Driver,
        settings: Settings,
        bindings: Bindings,
        kept: Option<Configuration>,
        (shared, mut opened): (&Arc<Shared>, Opened),
    ) -> Result<Self, ApiError> {
        let backend = &driver.backend;
        let mut configuration = kept
            .filter(|kept| kept.is_of(backend))
            .unwrap_or_else(|| Configuration::new(Arc::clone(backend)));
        let held = Held::new(&**backend);
        let mut undo = Undo::new(&driver, settings.shutdown_deadline);
        let session = backend.create_server_session()?;
        undo.session = Some(session);
        backend.set_session_properties(session, settings.session_properties())?;
        let websockets = shared.websockets();
        websockets.set_memory_budget(settings.websocket.memory_budget);
        shared.event_streams().begin(&settings.event_streams);
        let guard = opened.guard.clone();
        let doors = opened.doors.clone();
        if let Some(doors) = &doors {
            doors.begin().map_err(|error| ApiError::Start {
                what: "the thread that keeps bans and allowances",
                source: error.into(),
            })?;
        }
        let operations = std::mem::take(&mut opened.operations);
        if let Some(guard) = &guard {
            guard.begin(None, shared);
        }
        let component = Arc::new(Component::new(Arc::clone(shared), &settings, opened));
        let uploads = vec![Arc::clone(component.uploads_in_progress())];
        let fallback = component.fallback().cloned();
        let called = Arc::clone(&component) as Arc<dyn Application>;
        let queue = backend.create_request_queue(settings.queue_properties(), called)?;
        undo.queue = Some(queue);
        if let Some(fallback) = &fallback {
            let is_inline = settings.fine_tune.operating_mode == OperatingMode::HighPerf;
            let firewall = doors.as_ref().and_then(|doors| doors.firewall());
            let threads = backend.handler_threads(queue)?;
            fallback.start(shared, threads, is_inline, firewall.cloned())?;
        }
        let group = backend.create_url_group(session)?;
        backend.bind_request_queue(group, Some(queue))?;
        backend.set_group_properties(group, settings.group_properties())?;
        let asks = shared.events().watches_connections();
        let firewall = doors.as_ref().and_then(|doors| doors.firewall());
        let filters_connections = asks || firewall.is_some();
        if filters_connections {
            let doorman = Doorman {
                shared: Arc::clone(shared),
                firewall: firewall.cloned(),
                asks,
            };
            backend.set_connection_filter(Some(Arc::new(doorman)))?;
            undo.filter = true;
        }
        // Before the first URL: they decide who may have it, and where it is listened for.
        bindings.stored.apply(&**backend, &Stored::default())?;
        undo.stored = bindings.stored.clone();
        // Whoever connects as soon as it is listened for finds the certificate there.
        configuration.prepare(&bindings.plan)?;
        undo.operations = Operations::open(&**backend, shared, operations)?;
        for binding in &bindings.list {
            add(&**backend, group, binding)?;
        }
        configuration.settle(&bindings.plan);
        drop(held);
        undo.done = true;
        let operations = std::mem::take(&mut undo.operations);
        drop(undo);
        Ok(Self {
            driver,
            session,
            group,
            queue,
            filters_connections,
            bindings: bindings.list,
            configuration,
            stored: bindings.stored,
            timeouts: bindings.timeouts,
            component,
            uploads,
            fallback,
            guard,
            doors,
            operations,
            administration: None,
            settings,
        })
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.driver.backend
    }

    /// What answers requests.
    pub(crate) fn component(&self) -> &Arc<Component> {
        &self.component
    }

    pub(crate) fn guard(&self) -> Option<&Arc<Guard>> {
        self.guard.as_ref()
    }

    pub(crate) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    pub(crate) fn queue(&self) -> RequestQueueId {
        self.queue
    }

    /// Listens on these bindings instead. Those that stay keep their sockets, and certificates that stay
    /// are never missing; when something cannot be had, all is as it was.
    pub(crate) fn rebind(&mut self, bindings: Bindings) -> Result<(), ApiError> {
        let backend = Arc::clone(&self.driver.backend);
        bindings.stored.apply(&*backend, &self.stored)?;
        let before = self.configuration.plan().clone();
        let prepared = self.configuration.prepare(&bindings.plan);
        match prepared.and_then(|()| self.register(bindings.list)) {
            Ok(()) => {
                self.configuration.settle(&bindings.plan);
                if let Some(name) = bindings.stored.differences_for_start(&self.stored) {
                    tracing::warn!("only a start puts a change of the store's {name} into effect");
                }
                self.stored = bindings.stored;
                if self.driver.owned && bindings.timeouts != self.timeouts {
                    backend.set_service_timeouts(&bindings.timeouts)?;
                    self.timeouts = bindings.timeouts;
                }
                Ok(())
            }
            Err(error) => {
                let _ = self.stored.apply(&*backend, &bindings.stored);
                // What was there before can be had again, unless the driver has stopped.
                let _ = self.configuration.prepare(&before);
                self.configuration.settle(&before);
                Err(error)
            }
        }
    }

    /// Serves by other settings, which differ in nothing that only a start puts into effect. Connections and
    /// requests in progress go on; when something cannot be had, all is as it was.
    pub(crate) fn reload(
        &mut self,
        settings: Settings,
        bindings: Bindings,
        (shared, mut opened): (&Arc<Shared>, Opened),
    ) -> Result<(), ApiError> {
        let properties = settings.session_properties();
        self.rebind(bindings)?;
        // What is in its range is refused by a driver that has stopped only.
        let backend = &self.driver.backend;
        backend.set_session_properties(self.session, properties)?;
        backend.set_group_properties(self.group, settings.group_properties())?;
        backend.set_queue_properties(self.queue, settings.queue_properties())?;
        // Who has been let in stays so, and who has failed.
        let (now, before) = (&settings, &self.settings);
        if (&now.authentication, &now.api_keys) == (&before.authentication, &before.api_keys) {
            opened.guard.clone_from(&self.guard);
        }
        if let Some(guard) = &opened.guard {
            guard.begin(self.guard.as_deref(), shared);
        }
        self.guard.clone_from(&opened.guard);
        // What was counted, and who is kept out, stays so.
        opened.doors.clone_from(&self.doors);
        let mut component = Component::new(Arc::clone(shared), &settings, opened);
        // Its connections go on, as those of WebSocket do.
        component.keep_fallback(self.fallback.clone());
        self.uploads.retain(|uploads| !uploads.is_over());
        self.uploads
            .push(Arc::clone(component.uploads_in_progress()));
        self.component = Arc::new(component);
        // A request goes on with the one that it began with.
        let called = Arc::clone(&self.component) as Arc<dyn Application>;
        backend.set_application(self.queue, called)?;
        // What was made by the settings before may be another's now.
        backend.flush_cache(Some(self.queue), &CacheFlush::All)?;
        self.settings = settings;
        Ok(())
    }

    /// Changes what is listened for.
    fn register(&mut self, bindings: Vec<Binding>) -> Result<(), ApiError> {
        let backend = &*self.driver.backend;
        let _held = Held::new(backend);
        let is_among = |among: &[Binding], binding: &Binding| {
            among
                .iter()
                .any(|other| other.is_same_registration(binding))
        };
        let (_, gone): (Vec<_>, Vec<_>) = self
            .bindings
            .iter()
            .partition(|binding| is_among(&bindings, binding));
        let added: Vec<_> = bindings
            .iter()
            .filter(|binding| !is_among(&self.bindings, binding))
            .collect();
        // A binding whose context has changed, or its scheme, is in the way of its successor.
        let (replaced, gone): (Vec<_>, Vec<_>) = gone
            .into_iter()
            .partition(|old| added.iter().any(|new| new.excludes(old)));
        let result = change(backend, self.group, &replaced, &added);
        if result.is_ok() {
            for binding in gone {
                remove(backend, self.group, binding)?;
            }
            self.bindings = bindings;
        }
        result
    }

    /// Ends all of it: takes no more requests, and waits for those in progress. What is left is taken
    /// back by being dropped, or is there for the next start.
    pub(crate) fn stop(mut self) -> Configuration {
        if let Some(administration) = &mut self.administration {
            administration.withdraw();
        }
        let deadline = self.settings.shutdown_deadline;
        if let Some(fallback) = &self.fallback {
            // Its streams have no end of their own, and the driver waits for that.
            fallback.begin_stop();
        }
        let mut undo = Undo::new(&self.driver, deadline);
        undo.session = Some(self.session);
        undo.queue = Some(self.queue);
        undo.filter = self.filters_connections;
        undo.operations = self.operations;
        undo.stored = self.stored.clone();
        drop(undo);
        if let Some(fallback) = &self.fallback {
            fallback.end();
        }
        // Their content has ended by now. What is left is to remove what came of it.
        for uploads in self.uploads {
            uploads.end(UPLOADS_WAIT_MAX);
        }
        if let Some(doors) = &self.doors {
            doors.close();
        }
        if let Some(administration) = self.administration {
            // It has shown how the others ended.
            administration.stop();
        }
        self.configuration
    }
}

/// Far longer than it takes, unless the application holds an upload up.
const UPLOADS_WAIT_MAX: Duration = Duration::from_secs(5);

/// Takes `replaced` out and puts `added` in, or, when one cannot be added, leaves all as it was.
fn change(
    backend: &dyn Backend,
    group: UrlGroupId,
    replaced: &[&Binding],
    added: &[&Binding],
) -> Result<(), ApiError> {
    for binding in replaced {
        remove(backend, group, binding)?;
    }
    for (index, binding) in added.iter().enumerate() {
        if let Err(error) = add(backend, group, binding) {
            for binding in &added[..index] {
                remove(backend, group, binding)?;
            }
            for binding in replaced {
                add(backend, group, binding)?;
            }
            return Err(error);
        }
    }
    Ok(())
}

pub(crate) fn add(
    backend: &dyn Backend,
    group: UrlGroupId,
    binding: &Binding,
) -> Result<(), ApiError> {
    let context = binding.context();
    match binding.place() {
        Place::Prefix(prefix) => backend.add_url(group, prefix, context),
        Place::Unix { socket, path } => backend.add_unix_endpoint(group, socket, path, context),
    }
}

fn remove(backend: &dyn Backend, group: UrlGroupId, binding: &Binding) -> Result<(), ApiError> {
    match binding.place() {
        Place::Prefix(prefix) => backend.remove_url(group, prefix),
        Place::Unix { socket, path } => backend.remove_unix_endpoint(group, socket, path),
    }
}

/// While URLs are added: whoever connects to a port that this opens waits until it is dropped.
struct Held<'a>(&'a dyn Backend);

impl<'a> Held<'a> {
    fn new(backend: &'a dyn Backend) -> Self {
        backend.hold_accepting();
        Self(backend)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.begin_accepting();
    }
}

/// Undoes what has been made at a driver when it is dropped, unless all is done.
struct Undo<'a> {
    driver: &'a Driver,
    deadline: Duration,
    session: Option<ServerSessionId>,
    queue: Option<RequestQueueId>,
    filter: bool,
    operations: Operations,
    /// What was set by the store.
    stored: Stored,
    done: bool,
}

impl<'a> Undo<'a> {
    fn new(driver: &'a Driver, deadline: Duration) -> Self {
        Self {
            driver,
            deadline,
            session: None,
            queue: None,
            filter: false,
            operations: Operations::default(),
            stored: Stored::default(),
            done: false,
        }
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let backend = &*self.driver.backend;
        if self.driver.owned {
            return backend.stop(self.deadline);
        }
        // What fails here is gone already, or the driver has stopped.
        if self.filter {
            let _ = backend.set_connection_filter(None);
        }
        if let Some(session) = self.session {
            let _ = backend.close_server_session(session);
        }
        if let Some(queue) = self.queue {
            let _ = backend.close_request_queue(queue);
        }
        std::mem::take(&mut self.operations).close(backend);
        let _ = Stored::default().apply(backend, &self.stored);
    }
}
