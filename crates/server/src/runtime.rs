//! The tokio runtime for async handlers and mounted services.
//!
//! It is off the data plane, and not there at all until something async has to be done.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

/// The caller's runtime, or one of our own that is started when first needed.
#[derive(Debug)]
pub(crate) struct AsyncRuntime {
    given: Option<Handle>,
    own: OnceLock<Runtime>,
    /// Held by the one who starts it.
    start: Mutex<()>,
}

impl AsyncRuntime {
    pub(crate) fn new(given: Option<Handle>) -> Self {
        Self {
            given,
            own: OnceLock::new(),
            start: Mutex::new(()),
        }
    }

    /// The runtime; it is started if there is none.
    ///
    /// # Errors
    ///
    /// The system has no threads or descriptors for it. That passes: the next caller tries again.
    pub(crate) fn handle(&self) -> io::Result<&Handle> {
        self.handle_or(|| {
            Builder::new_multi_thread()
                .thread_name("tidegate-async")
                .enable_all()
                .build()
        })
    }

    fn handle_or(&self, start: impl FnOnce() -> io::Result<Runtime>) -> io::Result<&Handle> {
        if let Some(running) = self.running() {
            return Ok(running);
        }
        let _starting = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = self.running() {
            return Ok(running);
        }
        let runtime = start()?;
        Ok(self.own.get_or_init(|| runtime).handle())
    }

    /// The runtime, if there is one.
    pub(crate) fn running(&self) -> Option<&Handle> {
        match &self.given {
            Some(given) => Some(given),
            None => self.own.get().map(Runtime::handle),
        }
    }
}

/// Work that needs the runtime's timers and sockets, to be polled outside of it.
pub(crate) fn with_runtime(
    runtime: Handle,
    work: impl Future<Output = ()> + Send + 'static,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    // Two pieces of memory, so that the work is moved once.
    let mut work = Box::pin(work);
    Box::pin(poll_fn(move |context| {
        let _entered = runtime.enter();
        work.as_mut().poll(context)
    }))
}

impl Drop for AsyncRuntime {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its tasks, and panics when that is inside a task of
        // its own, where the last handle to a server may well be dropped.
        if let Some(runtime) = self.own.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_failed_is_tried_again() {
        let runtime = AsyncRuntime::new(None);
        let shortage = || Err(io::Error::other("too many open files"));
        let error = runtime.handle_or(shortage).unwrap_err();
        assert_eq!(error.to_string(), "too many open files");
        assert!(runtime.running().is_none());
        assert!(runtime.handle().is_ok());
        // It is there now, and not started twice.
        assert!(runtime.handle_or(shortage).is_ok());
    }
}
