//! What a started server holds at its driver: a session, a URL group, a request queue, its bindings.
//!
//! When to start and stop is `server`'s matter.

use std::sync::Arc;
use std::time::Duration;

use tidegate_httpapi::{
    ApiError, Backend, RequestQueueId, ServerSessionId, SessionProperties, UrlGroupId,
};

use crate::binding::{Binding, Place};
use crate::component::{Component, Doorman, Shared};
use crate::settings::Settings;

/// A driver, and whose it is.
pub(crate) struct Driver {
    pub(crate) backend: Arc<dyn Backend>,
    /// Whether it was made for this server, to be stopped with it.
    pub(crate) owned: bool,
}

/// What a started server holds at its driver.
pub(crate) struct Running {
    driver: Driver,
    session: ServerSessionId,
    group: UrlGroupId,
    queue: RequestQueueId,
    filters_connections: bool,
    bindings: Vec<Binding>,
    /// What it was started with.
    pub(crate) settings: Settings,
}

impl Running {
    /// Makes all of it, and listens. What was made is undone when something fails.
    pub(crate) fn start(
        driver: Driver,
        settings: Settings,
        bindings: Vec<Binding>,
        shared: &Arc<Shared>,
    ) -> Result<Self, ApiError> {
        let backend = &driver.backend;
        let mut undo = Undo::new(&driver, settings.shutdown_deadline);
        let session = backend.create_server_session()?;
        undo.session = Some(session);
        let mut properties = SessionProperties::default();
        properties.timeouts = settings.timeouts.inherited();
        backend.set_session_properties(session, properties)?;
        let component = Component::new(Arc::clone(shared), &settings);
        let queue =
            backend.create_request_queue(settings.queue_properties(), Arc::new(component))?;
        undo.queue = Some(queue);
        let group = backend.create_url_group(session)?;
        backend.bind_request_queue(group, Some(queue))?;
        let filters_connections = shared.events().watches_connections();
        if filters_connections {
            backend.set_connection_filter(Some(Arc::new(Doorman(Arc::clone(shared)))))?;
            undo.filter = true;
        }
        for binding in &bindings {
            add(&**backend, group, binding)?;
        }
        undo.done = true;
        drop(undo);
        Ok(Self {
            driver,
            session,
            group,
            queue,
            filters_connections,
            bindings,
            settings,
        })
    }

    pub(crate) fn backend(&self) -> &Arc<dyn Backend> {
        &self.driver.backend
    }

    /// Listens on these bindings instead. Those that stay keep their sockets; when one cannot be
    /// added, all is as it was.
    pub(crate) fn rebind(&mut self, bindings: Vec<Binding>) -> Result<(), ApiError> {
        let backend = &*self.driver.backend;
        let (kept, gone): (Vec<_>, Vec<_>) = self
            .bindings
            .iter()
            .partition(|binding| bindings.contains(binding));
        let added: Vec<_> = bindings
            .iter()
            .filter(|binding| !kept.contains(binding))
            .collect();
        // A binding whose context alone has changed is in the way of its successor.
        let (replaced, gone): (Vec<_>, Vec<_>) = gone
            .into_iter()
            .partition(|old| added.iter().any(|new| new.is_same_place(old)));
        let result = change(backend, self.group, &replaced, &added);
        if result.is_ok() {
            for binding in gone {
                remove(backend, self.group, binding)?;
            }
            self.bindings = bindings;
        }
        result
    }

    /// Ends all of it: takes no more requests, and waits for those in progress.
    pub(crate) fn stop(self) {
        let deadline = self.settings.shutdown_deadline;
        let mut undo = Undo::new(&self.driver, deadline);
        undo.session = Some(self.session);
        undo.queue = Some(self.queue);
        undo.filter = self.filters_connections;
    }
}

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

fn add(backend: &dyn Backend, group: UrlGroupId, binding: &Binding) -> Result<(), ApiError> {
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

/// Undoes what has been made at a driver when it is dropped, unless all is done.
struct Undo<'a> {
    driver: &'a Driver,
    deadline: Duration,
    session: Option<ServerSessionId>,
    queue: Option<RequestQueueId>,
    filter: bool,
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
    }
}
