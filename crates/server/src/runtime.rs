//! The tokio runtime for async handlers and mounted services.
//!
//! It is off the data plane, and not there at all until something async has to be done.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The caller's runtime, or one of our own that is started when first needed.
#[derive(Debug)]
pub(crate) struct AsyncRuntime {
    given: Option<Handle>,
    own: OnceLock<io::Result<Runtime>>,
}

impl AsyncRuntime {
    pub(crate) fn new(given: Option<Handle>) -> Self {
        Self {
            given,
            own: OnceLock::new(),
        }
    }

    /// The runtime; it is started if there is none.
    pub(crate) fn handle(&self) -> io::Result<&Handle> {
        if let Some(given) = &self.given {
            return Ok(given);
        }
        let own = self.own.get_or_init(|| {
            Builder::new_multi_thread()
                .thread_name("tidegate-async")
                .enable_all()
                .build()
        });
        match own {
            Ok(runtime) => Ok(runtime.handle()),
            Err(error) => Err(error.kind().into()),
        }
    }

    /// The runtime, if there is one.
    pub(crate) fn running(&self) -> Option<&Handle> {
        match (&self.given, self.own.get()) {
            (Some(given), _) => Some(given),
            (None, Some(Ok(own))) => Some(own.handle()),
            (None, _) => None,
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
        if let Some(Ok(runtime)) = self.own.take() {
            runtime.shutdown_background();
        }
    }
}
